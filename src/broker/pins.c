#include "broker/state.h"

/*
 * Edge B5: the pin is in memory before the payload's segment is looked at; the owner of a segment
 * raises its generation before it looks at pins. So one of the two sees the other.
 */
void pin_open(struct connection *c, uint64_t position)
{
    struct broker *b = c->broker;
    if (!list_linked(&c->pin_link))
        list_append(&b->pinned, &c->pin_link);
    if (position >= b->reading)
        return;
    b->reading = position;
    follower_reading(b->follower, position);
}

/* The lowest position the connection has under way, and its entry; false: none. */
static bool lowest_pin(struct connection *c, uint64_t *position, struct goi_entry_shared *entry)
{
    struct delivery *d = &c->delivery;
    const struct inflight_batch *lowest = inflight_lowest(&d->inflight);
    bool sends_lower = d->sending && (!lowest || d->position < lowest->position);
    if (!lowest && !sends_lower)
        return false;
    *position = sends_lower ? d->position : lowest->position;
    *entry = sends_lower ? d->entry : lowest->entry;
    return true;
}

static void forget_acked(struct connection *c)
{
    if (!ring_count(&c->delivery.inflight.batches))
        return;
    uint64_t unacked = env_unacked_bytes(c->socket);
    inflight_acked(&c->delivery.inflight, c->sent_bytes - min_u64(unacked, c->sent_bytes));
}

bool pin_is_held(struct connection *c)
{
    const struct delivery *d = &c->delivery;
    forget_acked(c);
    return ring_count(&d->inflight.batches) > 0 ||
           (d->sending && d->by_file && d->sent > DELIVER_HEAD_BYTES);
}

/* Its owner wants the segment back, or the log is about to come round to the entry. */
static bool is_wanted(struct broker *b, uint64_t position, const struct goi_entry_shared *entry)
{
    return follower_position(b->follower) - position > b->region->areas.goi_entries / 2 ||
           !follower_payload_stands(b->follower, position, entry);
}

/* Whether it has kept what is wanted for too long. */
static bool holds_up(struct connection *c, uint64_t position, const struct goi_entry_shared *entry)
{
    struct broker *b = c->broker;
    if (!is_wanted(b, position, entry)) {
        c->delivery.wanted_ns = 0;
        return false;
    }
    if (!c->delivery.wanted_ns)
        c->delivery.wanted_ns = b->now_ns;
    return b->now_ns - c->delivery.wanted_ns >= b->options.limits.deliver_stall_ms * 1000000ULL;
}

/* The connection's lowest pin, or NO_POSITION when it has none (any more). May close it. */
static uint64_t refresh_one(struct connection *c, bool ask_kernel)
{
    uint64_t position;
    struct goi_entry_shared entry;
    if (ask_kernel)
        forget_acked(c);
    if (!lowest_pin(c, &position, &entry)) {
        c->delivery.wanted_ns = 0;
        list_remove(&c->pin_link);
        return NO_POSITION;
    }
    if (!ask_kernel || !holds_up(c, position, &entry))
        return position;
    c->broker->counters.stalled++;
    connection_close(c, true);
    return NO_POSITION;
}

void pins_refresh(struct broker *b)
{
    if (list_empty(&b->pinned) && b->reading == NO_POSITION)
        return;
    bool ask_kernel = b->now_ns >= b->pin_check_ns;
    if (!ask_kernel && b->work == 0)
        return;
    if (ask_kernel)
        b->pin_check_ns = b->now_ns + PIN_CHECK_NS;
    uint64_t reading = NO_POSITION;
    struct list turns;
    int asks = ask_kernel ? PIN_ASKS_PER_CHECK : 0;
    list_take(&b->pinned, &turns);
    /* Those that were not asked come first the next time. */
    struct list asked;
    list_init(&asked);
    while (!list_empty(&turns)) {
        struct connection *c = CONTAINER_OF(turns.next, struct connection, pin_link);
        list_append(asks > 0 ? &asked : &b->pinned, &c->pin_link);
        reading = min_u64(reading, refresh_one(c, asks-- > 0));
    }
    while (!list_empty(&asked))
        list_append(&b->pinned, asked.next);
    if (reading == b->reading)
        return;
    b->reading = reading;
    follower_reading(b->follower, reading);
}

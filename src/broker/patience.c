/*
 * How it works: a peer owes bytes while a frame has begun and not ended, and until its first frame;
 * it owes to take bytes while answers wait for it. It then has frame_timeout_ms. Every byte gives
 * it as much time as a slow but honest link needs for it, though never more than that ahead: so
 * whoever stops is noticed, wherever in a frame that is, and whoever trickles, too. What the broker
 * itself waits for costs the peer nothing. A subscriber that pauses owes nothing; what it holds is
 * asked back in pins.c.
 */
#include "broker/state.h"

static uint64_t frame_timeout_ns(const struct broker *b)
{
    return b->options.limits.frame_timeout_ms * 1000000ULL;
}

static bool owes_bytes(const struct connection *c)
{
    const struct input *in = &c->input;
    if (in->wait != WAIT_NONE || output_is_full(c))
        return false;
    if (in->state == INPUT_HEADER)
        return in->header_have > 0 || !c->heard;
    return in->state != INPUT_ADMIT && in->body_have < in->frame.body_bytes;
}

static void owe(struct broker *b, uint64_t *until_ns, bool owes)
{
    if (!owes)
        *until_ns = 0;
    else if (!*until_ns)
        *until_ns = b->now_ns + frame_timeout_ns(b);
}

void patience_note(struct connection *c)
{
    struct broker *b = c->broker;
    bool ends = c->closing || c->broken;
    owe(b, &c->input.until_ns, !ends && owes_bytes(c));
    owe(b, &c->take_until, !ends && output_waiting(c) > 0);
    if (!c->input.until_ns && !c->take_until)
        list_remove(&c->owing_link);
    else if (!list_linked(&c->owing_link))
        list_append(&b->owing, &c->owing_link);
}

static void grant(const struct broker *b, uint64_t *until_ns, size_t bytes)
{
    if (*until_ns)
        *until_ns =
            min_u64(*until_ns + bytes * SLOWEST_NS_PER_BYTE, b->now_ns + frame_timeout_ns(b));
}

static void active(struct connection *c)
{
    c->active_ns = c->broker->now_ns;
    list_append(&c->broker->all, &c->all_link);
}

void patience_received(struct connection *c, size_t bytes)
{
    grant(c->broker, &c->input.until_ns, bytes);
    active(c);
}

void patience_sent(struct connection *c, size_t bytes)
{
    grant(c->broker, &c->take_until, bytes);
    active(c);
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void end_late_frame(struct connection *c)
{
    struct error err;
    if (c->heard)
        error_set(&err, EMB_ERR_TIMEOUT,
                  "a frame was begun and did not come to its end within %u ms (frame-timeout)",
                  c->broker->options.limits.frame_timeout_ms);
    else
        error_set(&err, EMB_ERR_TIMEOUT,
                  "no frame came within %u ms of the connection's start (frame-timeout)",
                  c->broker->options.limits.frame_timeout_ms);
    c->broker->counters.frame_timeouts++;
    connection_refuse(c, &err);
}

static void scan_owing(struct broker *b)
{
    struct list *next;
    for (struct list *at = b->owing.next; at != &b->owing; at = next) {
        next = at->next;
        struct connection *c = CONTAINER_OF(at, struct connection, owing_link);
        if (c->take_until && b->now_ns >= c->take_until) {
            b->counters.unread_timeouts++;
            connection_close(c, true);
        } else if (c->input.until_ns && b->now_ns >= c->input.until_ns) {
            end_late_frame(c);
        }
    }
}

/* One that is waited upon, or waits for what others publish, is not idle; nor is a publisher, whose
   session would end with it: whoever publishes once an hour does so in one session. */
static bool may_be_idle(const struct connection *c)
{
    return !c->closing && !c->publishing.open && !c->delivery.subscribed && !c->delivery.sending &&
           c->requests == 0 && c->input.wait == WAIT_NONE && output_waiting(c) == 0;
}

static void scan_idle(struct broker *b)
{
    uint64_t timeout_ns = b->options.limits.idle_timeout_ms * 1000000ULL;
    struct error err;
    struct list *next;
    for (struct list *at = b->all.next; timeout_ns && at != &b->all; at = next) {
        next = at->next;
        struct connection *c = CONTAINER_OF(at, struct connection, all_link);
        if (b->now_ns - c->active_ns < timeout_ns)
            return; /* and those behind it neither */
        if (!may_be_idle(c))
            continue;
        error_set(&err, EMB_ERR_TIMEOUT, "nothing was said for %u ms (idle-timeout)",
                  b->options.limits.idle_timeout_ms);
        b->counters.idle_timeouts++;
        connection_refuse(c, &err);
    }
}

void patience_scan(struct broker *b)
{
    if (b->now_ns < b->patience_scan_ns)
        return;
    b->patience_scan_ns = b->now_ns + PATIENCE_SCAN_NS;
    scan_owing(b);
    scan_idle(b);
}

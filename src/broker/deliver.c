/*
 * How it works: a subscription is an offset that wants to be sent next. Connections that can be
 * sent to are in `delivering` and take turns of bounded size; those that have everything below
 * their limit wait at their topic's tail (tails.c) until the limit or the log moves; those whose
 * socket is full are in neither until the poller finds it writable. Before a batch is opened its
 * position is pinned and its segment looked at (edge B5); a batch that is sent without a copy stays
 * pinned until the peer's TCP has it.
 */
#include "broker/state.h"

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"

/* What a look for the next batch, or a turn of sending, ended with. */
enum deliver_result { DELIVER_MORE, DELIVER_TAIL, DELIVER_BLOCKED, DELIVER_ENDED };

uint64_t deliver_limit(struct broker *b, uint8_t level)
{
    return level == READ_LATEST ? follower_position(b->follower) : follower_durable(b->follower);
}

void deliver_wake(struct connection *c)
{
    if ((c->delivery.subscribed || c->delivery.sending) && !c->closing)
        list_append(&c->broker->delivering, &c->deliver_link);
}

static const struct meta_topic *topic_of(const struct connection *c)
{
    return meta_topic_by_id(follower_meta(c->broker->follower), c->delivery.topic);
}

/* ---- a frame --------------------------------------------------------------------------------- */

static void frame_done(struct connection *c)
{
    struct delivery *d = &c->delivery;
    struct broker *b = c->broker;
    b->counters.batches_out++;
    b->counters.bytes_out += d->bytes;
    struct inflight_batch batch = {
        .position = d->position, .end_bytes = c->sent_bytes, .entry = d->entry};
    if (d->by_file && !inflight_push(&d->inflight, &batch)) {
        connection_break(c); /* still sending, and so pinned, until it is reset */
        return;
    }
    d->sending = false; /* what was copied is the kernel's now: read */
    d->sent = 0;
}

/* The head, and behind it the rest of the batch when that is copied anyway. */
static void send_head(struct connection *c)
{
    struct delivery *d = &c->delivery;
    struct iovec iov[2] = {{.iov_base = d->head + d->sent, .iov_len = DELIVER_HEAD_BYTES - d->sent},
                           {.iov_base = (void *)(uintptr_t)(d->payload + BATCH_HEADER_BYTES),
                            .iov_len = d->bytes - BATCH_HEADER_BYTES}};
    bool rest_follows = d->by_file;
    int count = rest_follows || iov[1].iov_len == 0 ? 1 : 2;
    d->sent += (uint32_t)connection_transmit(c, iov, count, rest_follows);
}

static void send_rest(struct connection *c)
{
    struct delivery *d = &c->delivery;
    uint32_t at = d->sent - FRAME_HEADER_BYTES;
    if (!d->by_file) {
        struct iovec iov = {.iov_base = (void *)(uintptr_t)(d->payload + at),
                            .iov_len = d->bytes - at};
        d->sent += (uint32_t)connection_transmit(c, &iov, 1, false);
        return;
    }
    uint64_t offset = payload_address(d->entry.payload) + at;
    size_t sent =
        connection_sent(c, env_sendfile(c->socket, c->broker->options.map, offset, d->bytes - at));
    d->sent += (uint32_t)sent;
    c->broker->counters.sendfile_bytes += sent;
}

bool deliver_finish_frame(struct connection *c)
{
    struct delivery *d = &c->delivery;
    while (d->sending) {
        if (!c->writable || c->broken)
            return false;
        if (d->sent < DELIVER_HEAD_BYTES)
            send_head(c);
        else
            send_rest(c);
        if (d->sent == FRAME_HEADER_BYTES + d->bytes)
            frame_done(c);
    }
    return true;
}

static bool goes_by_file(const struct broker *b, uint32_t bytes)
{
    return bytes >= SENDFILE_MIN_BYTES && b->options.map && env_map_can_sendfile(b->options.map);
}

/* The private copy of the batch's header: its line in the BLog has only its owner as writer. */
static void frame_place(struct connection *c)
{
    struct delivery *d = &c->delivery;
    const struct goi_entry_shared *entry = &d->entry;
    struct frame_header header = {.body_bytes = d->bytes,
                                  .type = FRAME_DELIVER,
                                  .correlation = d->correlation,
                                  .session = entry->session,
                                  .client_sequence = entry->client_sequence,
                                  .base_offset = entry->base_offset,
                                  .position = d->position,
                                  .message_count = entry->message_count,
                                  .subscription = d->subscription};
    frame_header_write(d->head, &header);
    memcpy(d->head + FRAME_HEADER_BYTES, d->payload, BATCH_HEADER_BYTES);
    batch_header_place(d->head + FRAME_HEADER_BYTES, entry->base_offset,
                       (int32_t)follower_meta(c->broker->follower)->life);
    d->sent = 0;
    d->sending = true;
    d->by_file = goes_by_file(c->broker, d->bytes);
}

/* ---- the next batch -------------------------------------------------------------------------- */

void deliver_end(struct connection *c)
{
    c->delivery.subscribed = false;
    if (c->delivery.sent == 0)
        c->delivery.sending = false;
    if (!c->delivery.sending)
        list_remove(&c->deliver_link);
}

static enum deliver_result end_with(struct connection *c, const struct error *err)
{
    answer_error(c, c->delivery.correlation, err);
    deliver_end(c);
    return DELIVER_ENDED;
}

static enum deliver_result end_out_of_range(struct connection *c, uint64_t oldest)
{
    struct error err;
    error_set(&err, EMB_ERR_OFFSET_OUT_OF_RANGE,
              "offset %" PRIu64 " of topic \"%s\" is not held any more; the oldest is %" PRIu64,
              c->delivery.next_offset, topic_of(c)->name, oldest);
    return end_with(c, &err);
}

static enum deliver_result end_of_topic(struct connection *c)
{
    struct error err;
    error_set(&err, EMB_ERR_UNKNOWN_TOPIC, "topic %u was deleted", c->delivery.topic);
    return end_with(c, &err);
}

/* Pinned first, then looked at. What was passed over has left memory. */
static bool batch_stands(struct connection *c)
{
    struct delivery *d = &c->delivery;
    struct follower *f = c->broker->follower;
    pin_open(c, d->next_position);
    return follower_entry(f, d->next_position, &d->entry, NULL) == EMB_OK &&
           d->entry.base_offset <= d->next_offset &&
           follower_payload_stands(f, d->next_position, &d->entry);
}

/* The follower may learn later than this look that a segment is gone. */
static uint64_t oldest_after(const struct connection *c)
{
    const struct delivery *d = &c->delivery;
    uint64_t oldest = follower_oldest_offset(c->broker->follower, d->topic);
    return max_u64(oldest, d->next_offset + 1);
}

static enum deliver_result open_batch(struct connection *c)
{
    struct delivery *d = &c->delivery;
    struct follower *f = c->broker->follower;
    struct error err;
    if (!batch_stands(c))
        return end_out_of_range(c, oldest_after(c));
    d->payload = follower_payload(f, &d->entry);
    d->bytes = payload_bytes(d->entry.payload);
    if (!d->payload || d->bytes < BATCH_HEADER_BYTES) {
        error_set(&err, EMB_ERR_CORRUPT,
                  "the batch at offset %" PRIu64 " of topic %u is not readable",
                  d->entry.base_offset, d->topic);
        return end_with(c, &err);
    }
    d->position = d->next_position;
    frame_place(c);
    d->last_position = d->position;
    d->next_position = NO_POSITION;
    d->next_offset = d->entry.base_offset + d->entry.message_count;
    return DELIVER_MORE;
}

/* Sets next_position. Searching by offset is dear; behind a batch that was sent there is a link. */
static int find_next(struct connection *c, uint64_t *oldest)
{
    struct delivery *d = &c->delivery;
    struct follower *f = c->broker->follower;
    if (d->next_position != NO_POSITION)
        return EMB_OK;
    if (d->last_position == NO_POSITION)
        return follower_find_offset(f, d->topic, d->next_offset, &d->next_position, oldest);
    d->next_position = follower_next_in_topic(f, d->topic, d->last_position);
    return d->next_position == NO_POSITION ? EMB_ERR_NOT_FOUND : EMB_OK;
}

static enum deliver_result next_batch(struct connection *c)
{
    struct delivery *d = &c->delivery;
    uint64_t oldest = 0;
    const struct meta_topic *topic = topic_of(c);
    if (!d->subscribed || is_leaving(c->broker))
        return DELIVER_ENDED;
    if (!topic || topic->deleted)
        return end_of_topic(c);
    int code = find_next(c, &oldest);
    if (code == EMB_ERR_OFFSET_OUT_OF_RANGE)
        return end_out_of_range(c, oldest);
    if (code != EMB_OK || d->next_position >= deliver_limit(c->broker, d->level))
        return DELIVER_TAIL;
    return open_batch(c);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static bool budget_left(const struct connection *c, uint64_t bytes_before, unsigned batches)
{
    return c->sent_bytes - bytes_before < RECV_BYTES && batches < FRAMES_PER_CYCLE;
}

/* Answers go before the next batch, and after a frame that is half sent. */
static enum deliver_result deliver_turn(struct connection *c)
{
    uint64_t bytes_before = c->sent_bytes;
    for (unsigned batches = 0; budget_left(c, bytes_before, batches); batches++) {
        if (!deliver_finish_frame(c) || !output_flush(c))
            return DELIVER_BLOCKED;
        enum deliver_result result = next_batch(c);
        if (result != DELIVER_MORE)
            return result;
    }
    return deliver_finish_frame(c) ? DELIVER_MORE : DELIVER_BLOCKED;
}

static void deliver_one(struct broker *b, struct connection *c)
{
    list_remove(&c->deliver_link);
    enum deliver_result result = c->broken ? DELIVER_ENDED : deliver_turn(c);
    if (result == DELIVER_MORE)
        list_append(&b->delivering, &c->deliver_link);
    else if (result == DELIVER_TAIL)
        tail_wait(c);
    else if (result == DELIVER_ENDED)
        output_flush(c);
    connection_watch(c);
}

void deliver_work(struct broker *b)
{
    struct list turns;
    list_take(&b->delivering, &turns);
    while (!list_empty(&turns))
        deliver_one(b, CONTAINER_OF(turns.next, struct connection, deliver_link));
}

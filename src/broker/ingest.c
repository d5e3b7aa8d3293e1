/*
 * How it works: a PRODUCE header is judged before any space is given to it. What is wrong but well
 * framed is read away and answered; what is right waits for room, is received into the BLog,
 * checked there against what its frame claims, and published.
 */
#include "broker/state.h"

#include "base/assert.h"

#define CLIENT_SEQUENCE_MAX    (UINT64_MAX >> 1)
#define ROOM_RESUMES_PER_CYCLE 64

static int check_size(const struct connection *c, const struct frame_header *frame)
{
    if (frame->body_bytes > c->broker->options.max_batch_bytes)
        return EMB_ERR_BATCH_TOO_LARGE;
    if (frame->body_bytes < BATCH_HEADER_BYTES || frame->message_count == 0)
        return EMB_ERR_CORRUPT_BATCH;
    /* Replicas compare what the log's entry keeps of it with what stands in the batch. */
    return frame->max_timestamp_ms > BATCH_TIMESTAMP_MAX ? EMB_ERR_CORRUPT_BATCH : EMB_OK;
}

static int check_sequence(const struct connection *c, const struct frame_header *frame)
{
    if (c->publishing.session == NO_SESSION)
        return frame->client_sequence == NO_SEQUENCE ? EMB_OK : EMB_ERR_INVALID_ARGUMENT;
    return frame->client_sequence <= CLIENT_SEQUENCE_MAX ? EMB_OK : EMB_ERR_INVALID_ARGUMENT;
}

static int check_produce(const struct connection *c)
{
    const struct publishing *pub = &c->publishing;
    const struct frame_header *frame = &c->input.frame;
    if (!pub->open)
        return EMB_ERR_PROTOCOL;
    if (frame->topic != pub->topic || frame->session != pub->session || frame->acks != pub->acks)
        return EMB_ERR_MISMATCH;
    const struct meta_topic *topic =
        meta_topic_by_id(follower_meta(c->broker->follower), pub->topic);
    if (!topic || topic->deleted)
        return EMB_ERR_UNKNOWN_TOPIC;
    int code = check_size(c, frame);
    return code ? code : check_sequence(c, frame);
}

/* Before PUBLISH_OPEN only the frame says whether its sender expects an answer. */
static uint8_t acks_of(const struct connection *c)
{
    return c->publishing.open ? c->publishing.acks : c->input.frame.acks;
}

static void answer_batch(struct connection *c, int status)
{
    struct ack_item item = {
        .correlation = c->input.frame.correlation, .base_offset = NO_OFFSET, .status = status};
    c->broker->counters.refused_batches++;
    if (acks_of(c) > 0)
        ack_give(c->broker, c->id, &item);
}

static enum step discard(struct connection *c, int status)
{
    c->input.discard_status = status;
    c->input.state = INPUT_DISCARD;
    if (status == EMB_ERR_BACKPRESSURE)
        c->broker->counters.backpressure++;
    return STEP_AGAIN;
}

enum step ingest_discarded(struct connection *c)
{
    answer_batch(c, c->input.discard_status);
    input_next_frame(c);
    return STEP_AGAIN;
}

enum step ingest_admit(struct connection *c)
{
    struct broker *b = c->broker;
    int code = check_produce(c);
    if (code != EMB_OK)
        return discard(c, code);
    if (b->pressure.refusing)
        return discard(c, EMB_ERR_BACKPRESSURE);
    if (b->pressure.paused)
        return input_wait(c, WAIT_ROOM);
    if (!lane_reserve(b, c->input.frame.body_bytes, false, &c->input.space)) {
        b->lane.short_of_room = true;
        return input_wait(c, WAIT_ROOM);
    }
    c->input.state = INPUT_PAYLOAD;
    c->input.payload_ns = b->now_ns;
    list_append(&b->receiving, &c->receive_link);
    return STEP_AGAIN;
}

static void entry_fill(const struct connection *c, struct pbr_entry_shared *entry)
{
    const struct frame_header *frame = &c->input.frame;
    *entry = (struct pbr_entry_shared){.session = frame->session,
                                       .client_sequence = frame->client_sequence,
                                       .topic = frame->topic,
                                       .message_count = frame->message_count,
                                       .kind = ENTRY_DATA};
    put_u48(entry->timestamp_ms, frame->max_timestamp_ms);
}

static bool is_ack_at_publish(const struct connection *c)
{
    return c->publishing.acks == 1 && c->publishing.order == TOPIC_ORDER_NONE;
}

static void publish_payload(struct connection *c)
{
    struct broker *b = c->broker;
    struct pbr_entry_shared entry;
    struct lane_slot slot = {.connection = c->id,
                             .correlation = c->input.frame.correlation,
                             .acks = is_ack_at_publish(c) ? 0 : c->publishing.acks};
    entry_fill(c, &entry);
    lane_publish(b, &entry, &c->input.space, c->input.frame.body_bytes, &slot);
    b->counters.batches_in++;
    b->counters.bytes_in += c->input.frame.body_bytes;
    /* It leaves at the end of the cycle, after the drain. */
    if (is_ack_at_publish(c))
        ack_give(b, c->id,
                 &(struct ack_item){.correlation = slot.correlation, .base_offset = NO_OFFSET});
}

static int check_payload(const struct connection *c)
{
    const struct frame_header *frame = &c->input.frame;
    struct batch_identity identity = {.session = frame->session,
                                      .client_sequence = frame->client_sequence,
                                      .message_count = frame->message_count,
                                      .max_timestamp_ms = frame->max_timestamp_ms};
    return batch_check(c->input.space.bytes, frame->body_bytes, &identity, NULL);
}

static enum step abandon(struct connection *c, int status)
{
    blog_abandoned(&c->broker->lane.blog, &c->input.space);
    answer_batch(c, status);
    input_next_frame(c);
    return STEP_AGAIN;
}

/* The room is looked for first, so that a payload that waits is not checked over and over. */
enum step ingest_publish(struct connection *c)
{
    struct broker *b = c->broker;
    if (!slot_ring_has_room(&b->lane.slots, false)) {
        if (!b->pressure.refusing)
            return input_wait(c, WAIT_SLOT);
        b->counters.backpressure++;
        return abandon(c, EMB_ERR_BACKPRESSURE);
    }
    if (check_payload(c) != EMB_OK) {
        b->counters.corrupt_batches++;
        return abandon(c, EMB_ERR_CORRUPT_BATCH);
    }
    publish_payload(c);
    input_next_frame(c);
    return STEP_AGAIN;
}

/* ---- waiters --------------------------------------------------------------------------------- */

/* Runs waiters in turn; stops at the first that has to wait again, which is then the last. */
static void resume_waiters(struct list *waiters, enum wait_reason reason)
{
    for (int i = 0; i < ROOM_RESUMES_PER_CYCLE && !list_empty(waiters); i++) {
        struct connection *c = CONTAINER_OF(waiters->next, struct connection, wait_link);
        struct broker *b = c->broker;
        uint64_t id = c->id;
        input_resume(c);
        connection_turn(c);
        c = connection_find(b, id);
        if (c && c->input.wait == reason)
            return;
    }
}

void ingest_resume(struct broker *b)
{
    const struct slot_ring *slots = &b->lane.slots;
    if (slot_ring_has_room(slots, false) || b->pressure.refusing)
        resume_waiters(&b->slot_waiters, WAIT_SLOT);
    if (!b->pressure.paused || b->pressure.refusing)
        resume_waiters(&b->room_waiters, WAIT_ROOM);
}

/*
 * A publisher in mid-payload keeps its segment from being reused. While room is short it has half
 * the time of back-pressure for all of it: else many that send a byte now and then, each in time
 * for its frame, would leave nothing to those who wait.
 */
void ingest_scan_stalled(struct broker *b)
{
    if (!b->pressure.paused || b->now_ns < b->stall_scan_ns)
        return;
    b->stall_scan_ns = b->now_ns + STALL_SCAN_NS;
    uint64_t patience_ns = b->options.limits.backpressure_ms * 500000ULL;
    struct list *next;
    for (struct list *at = b->receiving.next; at != &b->receiving; at = next) {
        next = at->next;
        struct connection *c = CONTAINER_OF(at, struct connection, receive_link);
        if (b->now_ns - c->input.payload_ns < patience_ns)
            continue;
        b->counters.stalled++;
        connection_close(c, true);
    }
}

#include "broker/broker.h"

#include <stdlib.h>

#include "broker/state.h"

#define BATCH_LIMIT_BYTES (16u << 20) /* one more than a batch may have */

/* ---- options --------------------------------------------------------------------------------- */

static void options_complete(struct broker_options *o, const struct region *region)
{
    default_u32(&o->max_batch_bytes, (uint32_t)min_u64(4u << 20, region->geometry.segment_bytes));
    default_u32(&o->max_message_bytes, (uint32_t)min_u64(1u << 20, o->max_batch_bytes));
    limits_complete(&o->limits);
}

static int check_sizes(const struct broker_options *o, const struct region *region,
                       struct error *err)
{
    uint32_t segment = region->geometry.segment_bytes;
    if (o->max_batch_bytes > segment || o->max_batch_bytes >= BATCH_LIMIT_BYTES ||
        o->max_batch_bytes < BATCH_HEADER_BYTES)
        return error_set(
            err, EMB_ERR_INVALID_SETTING,
            "max_batch_bytes is %u; %u to %u (a segment, and below 16 MiB) are accepted",
            o->max_batch_bytes, BATCH_HEADER_BYTES,
            (uint32_t)min_u64(segment, BATCH_LIMIT_BYTES - 1));
    if (o->max_message_bytes > o->max_batch_bytes)
        return error_set(err, EMB_ERR_INVALID_SETTING,
                         "max_message_bytes is %u; at most max_batch_bytes, %u, is accepted",
                         o->max_message_bytes, o->max_batch_bytes);
    return EMB_OK;
}

static int check_options(const struct broker_options *o, const struct region *region,
                         struct error *err)
{
    if (o->node >= NODE_MAX)
        return error_set(err, EMB_ERR_INVALID_SETTING, "node is %u; 0 to %d are accepted", o->node,
                         NODE_MAX - 1);
    int code = limits_check(&o->limits, err);
    return code ? code : check_sizes(o, region, err);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void lists_init(struct broker *b)
{
    list_init(&b->requests);
    list_init(&b->all);
    list_init(&b->ready);
    list_init(&b->room_waiters);
    list_init(&b->slot_waiters);
    list_init(&b->position_waiters);
    list_init(&b->waiters_due);
    list_init(&b->acking);
    list_init(&b->delivering);
    list_init(&b->pinned);
    list_init(&b->receiving);
    list_init(&b->owing);
    peers_init(&b->peers);
}

static void tables_free(struct broker *b)
{
    free(b->scratch);
    tails_free(b);
    places_free(&b->places);
    free(b);
}

static struct broker *broker_new(const struct broker_options *options)
{
    struct broker *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->options = *options;
    b->options.host = NULL;
    b->follower = options->follower;
    b->region = follower_region(options->follower);
    b->reading = NO_POSITION;
    lists_init(b);
    pending_init(&b->pending);
    pressure_set(&b->pressure, options->limits.high_percent, options->limits.low_percent,
                 options->limits.backpressure_ms * 1000000ULL);
    b->scratch = malloc(SCRATCH_BYTES);
    if (b->scratch && tails_init(b) == EMB_OK)
        return b;
    tables_free(b);
    return NULL;
}

int broker_create(const struct broker_options *options, struct broker **broker, struct error *err)
{
    struct broker_options complete = *options;
    const struct region *region = follower_region(options->follower);
    options_complete(&complete, region);
    int code = check_options(&complete, region, err);
    if (code != EMB_OK)
        return code;
    struct broker *b = broker_new(&complete);
    if (!b)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for a broker");
    code = connections_listen(b, options, err);
    if (code != EMB_OK) {
        tables_free(b);
        return code;
    }
    *broker = b;
    return EMB_OK;
}

/* Slots without outcome name requests, and so do answers that wait. */
static void requests_free(struct broker *b)
{
    struct pending_answer answer;
    struct lane_slot slot;
    while (pending_take(&b->pending, UINT64_MAX, &answer))
        free(answer.request);
    for (uint64_t i = b->lane.slots.released; b->lane.open && i < b->lane.slots.next; i++)
        if (slot_ring_release(&b->lane.slots, i, &slot))
            free(slot.request);
    while (!list_empty(&b->requests)) {
        struct meta_request *request = CONTAINER_OF(b->requests.next, struct meta_request, link);
        list_remove(&request->link);
        free(request);
    }
}

void broker_destroy(struct broker *b)
{
    if (!b)
        return;
    while (!list_empty(&b->all))
        connection_close(CONTAINER_OF(b->all.next, struct connection, all_link), true);
    env_close(b->listener);
    requests_free(b);
    pending_free(&b->pending);
    lane_free(b);
    tables_free(b);
}

uint16_t broker_port(const struct broker *b)
{
    return env_local_port(b->listener);
}

void broker_counters(const struct broker *b, struct broker_counters *counters)
{
    *counters = b->counters;
}

/* ---- the duty cycle -------------------------------------------------------------------------- */

/* What the follower read since the last cycle. */
static void follow(struct broker *b)
{
    lane_refresh(b);
    outcomes_take(b);
    answers_take(b);
    uint64_t position = follower_position(b->follower);
    uint64_t durable = follower_durable(b->follower);
    tails_wake(b, position != b->seen_position || durable != b->seen_durable);
    b->seen_position = position;
    b->seen_durable = durable;
}

/* A pass over all of them when the position has moved, or every 10 ms: so many in a cycle. */
static void resume_position_waiters(struct broker *b)
{
    uint64_t position = follower_position(b->follower);
    bool moved = position != b->waited_position || b->now_ns >= b->wait_scan_ns;
    if (list_empty(&b->waiters_due) && moved) {
        b->waited_position = position;
        b->wait_scan_ns = b->now_ns + WAIT_SCAN_NS;
        list_take(&b->position_waiters, &b->waiters_due);
    }
    for (int i = 0; i < WAITERS_PER_CYCLE && !list_empty(&b->waiters_due); i++) {
        struct connection *c = CONTAINER_OF(b->waiters_due.next, struct connection, wait_link);
        input_resume(c);
        if (c->closing)
            list_append(&b->position_waiters, &c->wait_link);
    }
    b->work += !list_empty(&b->waiters_due);
}

static void ready_work(struct broker *b)
{
    struct list turns;
    list_take(&b->ready, &turns);
    while (!list_empty(&turns)) {
        struct connection *c = CONTAINER_OF(turns.next, struct connection, ready_link);
        list_remove(&c->ready_link);
        connection_turn(c);
    }
}

static void lane_work(struct broker *b)
{
    if (!b->lane.open || b->lane.lost)
        return;
    lane_reclaim(b);
    lane_pressure(b);
    requests_publish(b);
    ingest_resume(b);
    ingest_scan_stalled(b);
    /* A pause is short as a rule, and ends by what this node does next: it must not sleep over it.
     */
    if (b->pressure.paused && b->now_ns - b->pressure.paused_ns < 2 * RETRY_BYTES_NS)
        b->work++;
}

int broker_do_work(struct broker *b, uint64_t now_ns)
{
    b->now_ns = now_ns;
    b->work = 0;
    follow(b);
    connections_accept(b);
    lane_work(b);
    leave_work(b);
    resume_position_waiters(b);
    patience_scan(b);
    ready_work(b);
    deliver_work(b);
    lane_finish(b);
    acks_flush(b);
    pins_refresh(b);
    return b->work + !list_empty(&b->ready) + !list_empty(&b->delivering);
}

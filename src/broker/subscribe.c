/* Beginning and ending a subscription. Sending is in deliver.c. */
#include "broker/state.h"

#include <inttypes.h>

static enum step fail(struct connection *c, const struct error *err)
{
    answer_error(c, c->input.frame.correlation, err);
    return STEP_AGAIN;
}

static int check_subscribe(const struct subscribe *subscribe, struct error *err)
{
    if (subscribe->start > START_TIMESTAMP)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "start is %u; 0 (earliest), 1 (latest), 2 (offset) and 3 (timestamp) are "
                         "accepted",
                         subscribe->start);
    if (subscribe->level > READ_LATEST)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "level is %u; 0 (durable) and 1 (latest) are accepted", subscribe->level);
    return EMB_OK;
}

static uint64_t offset_at_timestamp(struct follower *f, const struct meta_topic *topic,
                                    uint64_t timestamp_ms)
{
    uint64_t position;
    struct goi_entry_shared entry;
    if (follower_find_timestamp(f, topic->id, timestamp_ms, &position) == EMB_OK &&
        follower_entry(f, position, &entry, NULL) == EMB_OK)
        return entry.base_offset;
    return topic->next_offset; /* all there is, is older: what comes next */
}

static int check_offset(struct broker *b, const struct meta_topic *topic, uint64_t offset,
                        struct error *err)
{
    uint64_t oldest = follower_oldest_offset(b->follower, topic->id);
    if (offset > topic->next_offset)
        return error_set(err, EMB_ERR_OFFSET_OUT_OF_RANGE,
                         "offset %" PRIu64 " of topic \"%s\" does not exist yet; the oldest is "
                         "%" PRIu64 ", the next one will be %" PRIu64,
                         offset, topic->name, oldest, topic->next_offset);
    if (offset >= oldest)
        return EMB_OK;
    return error_set(err, EMB_ERR_OFFSET_OUT_OF_RANGE,
                     "offset %" PRIu64 " of topic \"%s\" is not held any more; the oldest is "
                     "%" PRIu64 ", the next one will be %" PRIu64,
                     offset, topic->name, oldest, topic->next_offset);
}

/* What this node has not read yet may have been told to others: an offset beyond the topic's end is
   judged when all is read that was committed when it was asked for. */
static bool end_is_read(struct connection *c, const struct subscribe *subscribe,
                        const struct meta_topic *topic, enum step *step)
{
    uint64_t *read_first = &c->delivery.read_first;
    if (subscribe->start == START_OFFSET && subscribe->value > topic->next_offset) {
        if (!*read_first)
            *read_first = follower_committed(c->broker->follower);
        if (*read_first && !control_position_passed(c, *read_first - 1, step)) {
            if (*step != STEP_WAIT)
                *read_first = 0;
            return false;
        }
    }
    *read_first = 0;
    return true;
}

static int first_offset(struct broker *b, const struct subscribe *subscribe,
                        const struct meta_topic *topic, uint64_t *offset, struct error *err)
{
    struct follower *f = b->follower;
    switch ((enum subscribe_start)subscribe->start) {
    case START_EARLIEST:
        *offset = follower_oldest_offset(f, topic->id);
        break;
    case START_LATEST:
        *offset = follower_end_offset(f, topic->id, deliver_limit(b, subscribe->level));
        break;
    case START_OFFSET:
        *offset = subscribe->value;
        return check_offset(b, topic, *offset, err);
    case START_TIMESTAMP:
        *offset = offset_at_timestamp(f, topic, subscribe->value);
        break;
    }
    return EMB_OK;
}

static void subscription_begin(struct connection *c, const struct subscribe *subscribe,
                               const struct meta_topic *topic, uint64_t offset)
{
    struct delivery *d = &c->delivery;
    d->subscribed = true;
    d->topic = topic->id;
    d->level = subscribe->level;
    d->subscription = subscribe->subscription;
    d->correlation = c->input.frame.correlation;
    d->next_offset = offset;
    d->next_position = NO_POSITION;
    d->last_position = NO_POSITION;
    deliver_wake(c);
}

static enum step subscribe_to(struct connection *c, const struct subscribe *subscribe,
                              const struct meta_topic *topic)
{
    struct broker *b = c->broker;
    struct error err;
    uint64_t offset = 0;
    struct topic_info info;
    struct wire_writer w;
    if (check_subscribe(subscribe, &err) != EMB_OK ||
        first_offset(b, subscribe, topic, &offset, &err) != EMB_OK)
        return fail(c, &err);
    if (!frame_begin(c, sizeof(info) + 16, &w))
        return STEP_AGAIN;
    topic_info_fill(b, topic, &info);
    topic_info_put(&w, &info);
    wire_put_u64(&w, offset);
    frame_end(c, &w, FRAME_SUBSCRIBE_OK, c->input.frame.correlation);
    subscription_begin(c, subscribe, topic, offset);
    env_socket_may_pause(c->socket);
    return STEP_AGAIN;
}

/* The earlier subscription ends in any case: its client has turned away from it. */
enum step subscribe_request(struct connection *c, struct wire_reader *r)
{
    struct subscribe subscribe;
    struct error err;
    enum step step;
    subscribe_get(r, &subscribe);
    if (!control_decoded(c, r))
        return STEP_AGAIN;
    deliver_end(c);
    if (!control_position_passed(c, subscribe.after_position, &step))
        return step;
    const struct meta_topic *topic =
        meta_topic_by_name(follower_meta(c->broker->follower), subscribe.topic);
    if (topic)
        return end_is_read(c, &subscribe, topic, &step) ? subscribe_to(c, &subscribe, topic) : step;
    c->delivery.read_first = 0; /* it was deleted while its end was waited for */
    error_set(&err, EMB_ERR_UNKNOWN_TOPIC, "topic \"%s\" does not exist; create it first",
              subscribe.topic);
    return fail(c, &err);
}

enum step unsubscribe_request(struct connection *c, struct wire_reader *r)
{
    if (!control_decoded(c, r))
        return STEP_AGAIN;
    deliver_end(c);
    answer_ok(c, c->input.frame.correlation, 0);
    return STEP_AGAIN;
}

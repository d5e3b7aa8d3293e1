/* Requests of clients: one function per frame type, and the table of them. */
#include "broker/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef enum step control_fn(struct connection *c, struct wire_reader *r);

static uint64_t correlation_of(const struct connection *c)
{
    return c->input.frame.correlation;
}

static const struct meta_state *meta_of(const struct connection *c)
{
    return follower_meta(c->broker->follower);
}

static enum step fail(struct connection *c, const struct error *err)
{
    answer_error(c, correlation_of(c), err);
    return STEP_AGAIN;
}

bool control_decoded(struct connection *c, struct wire_reader *r)
{
    if (wire_reader_end(r) == EMB_OK)
        return true;
    fail(c, r->err);
    return false;
}

/* False when the request has been answered: it asks for more than its connection may hold. */
static bool large_answer_begin(struct connection *c, size_t body_bytes, struct wire_writer *w)
{
    struct error err;
    if (frame_fits(c, body_bytes, &err))
        return frame_begin(c, body_bytes, w);
    c->broker->counters.over_memory++;
    fail(c, &err);
    return false;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static bool wait_or_fail(struct connection *c, const struct error *err, enum step *step)
{
    uint64_t now_ns = c->broker->now_ns;
    if (!c->input.wait_until_ns)
        c->input.wait_until_ns = now_ns + c->broker->options.limits.request_wait_ms * 1000000ULL;
    *step = now_ns < c->input.wait_until_ns ? input_wait(c, WAIT_POSITION) : fail(c, err);
    return false;
}

bool control_position_passed(struct connection *c, uint64_t after_position, enum step *step)
{
    struct error err;
    uint64_t position = follower_position(c->broker->follower);
    if (after_position == NO_POSITION || position > after_position)
        return true;
    error_set(&err, EMB_ERR_UNAVAILABLE,
              "this broker has read the log up to position %" PRIu64 ", not yet beyond %" PRIu64
              "; ask again later",
              position, after_position);
    return wait_or_fail(c, &err, step);
}

static bool lane_is_open(struct connection *c, enum step *step)
{
    struct error err;
    if (c->broker->lane.open && !c->broker->lane.lost)
        return true;
    error_set(&err, EMB_ERR_UNAVAILABLE,
              "node %u is not admitted to the rack; ask again later or ask another broker",
              c->broker->options.node);
    return wait_or_fail(c, &err, step);
}

/* A node without the role is in nobody's list of brokers, but can be asked how the rack is. */
static bool is_broker(const struct broker *b)
{
    return b->options.roles == 0 || (b->options.roles & ROLE_BROKER);
}

static enum step refuse_as_no_broker(struct connection *c)
{
    struct error err;
    error_set(
        &err, EMB_ERR_NOT_SUPPORTED,
        "node %u is not a broker, it serves HELLO and STATUS alone; the answer to HELLO lists "
        "the brokers",
        c->broker->options.node);
    return fail(c, &err);
}

/* ---- hello and topics ------------------------------------------------------------------------ */

static void hello_fill(const struct connection *c, struct hello_ok *ok)
{
    const struct meta_state *meta = meta_of(c);
    *ok = (struct hello_ok){.node = c->broker->options.node,
                            .life = meta->life,
                            .max_batch_bytes = c->broker->options.max_batch_bytes,
                            .max_message_bytes = c->broker->options.max_message_bytes};
    for (uint32_t i = 0; i < NODE_MAX; i++) {
        const struct meta_node *node = &meta->nodes[i];
        if (!node->live || !(node->roles & ROLE_BROKER))
            continue;
        struct broker_address *address = &ok->brokers[ok->broker_count++];
        address->node = i;
        address->port = node->port;
        snprintf(address->host, sizeof(address->host), "%.*s", NODE_HOST_BYTES, node->host);
    }
}

/* Operators read it on their terminals. */
static void name_keep(struct connection *c, const char *name)
{
    size_t bytes = strnlen(name, sizeof c->name - 1);
    for (size_t i = 0; i < bytes; i++)
        c->name[i] = name[i] >= ' ' && name[i] < 0x7f ? name[i] : '?';
    c->name[bytes] = '\0';
}

static enum step hello_request(struct connection *c, struct wire_reader *r)
{
    struct hello hello;
    struct hello_ok ok;
    struct wire_writer w;
    hello_get(r, &hello);
    if (!control_decoded(c, r))
        return STEP_AGAIN;
    name_keep(c, hello.client_name);
    hello_fill(c, &ok);
    if (frame_begin(c, sizeof(ok), &w)) {
        hello_ok_put(&w, &ok);
        frame_end(c, &w, FRAME_HELLO_OK, correlation_of(c));
    }
    return STEP_AGAIN;
}

void topic_info_fill(struct broker *b, const struct meta_topic *topic, struct topic_info *info)
{
    *info = (struct topic_info){.id = topic->id,
                                .settings = topic->settings,
                                .position = topic->created_position,
                                .first_offset = follower_oldest_offset(b->follower, topic->id),
                                .next_offset = topic->next_offset,
                                .durable_offset = follower_end_offset(
                                    b->follower, topic->id, follower_durable(b->follower))};
    memcpy(info->name, topic->name, sizeof(info->name));
}

/* A live topic by the name in the body, or NULL when the request has been answered. */
static const struct meta_topic *named_topic(struct connection *c, struct wire_reader *r)
{
    char name[TOPIC_NAME_MAX + 1];
    struct error err;
    wire_get_text(r, "topic name", name, sizeof(name));
    if (!control_decoded(c, r))
        return NULL;
    const struct meta_topic *topic = meta_topic_by_name(meta_of(c), name);
    if (!topic) {
        error_set(&err, EMB_ERR_UNKNOWN_TOPIC, "topic \"%s\" does not exist; create it first",
                  name);
        fail(c, &err);
    }
    return topic;
}

static enum step topic_describe_request(struct connection *c, struct wire_reader *r)
{
    struct topic_info info;
    struct wire_writer w;
    const struct meta_topic *topic = named_topic(c, r);
    if (!topic || !frame_begin(c, sizeof(info), &w))
        return STEP_AGAIN;
    topic_info_fill(c->broker, topic, &info);
    topic_info_put(&w, &info);
    frame_end(c, &w, FRAME_TOPIC_OK, correlation_of(c));
    return STEP_AGAIN;
}

static uint32_t live_topics(const struct meta_state *meta)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < meta->topics_max; i++)
        count += topic_is_live(&meta->topics[i]);
    return count;
}

static enum step topic_list_request(struct connection *c, struct wire_reader *r)
{
    const struct meta_state *meta = meta_of(c);
    uint32_t count = live_topics(meta);
    struct topic_info info;
    struct wire_writer w;
    if (!control_decoded(c, r) || !large_answer_begin(c, 4 + count * sizeof(info), &w))
        return STEP_AGAIN;
    wire_put_u32(&w, count);
    for (uint32_t i = 0; i < meta->topics_max; i++) {
        if (!topic_is_live(&meta->topics[i]))
            continue;
        topic_info_fill(c->broker, &meta->topics[i], &info);
        topic_info_put(&w, &info);
    }
    frame_end(c, &w, FRAME_TOPIC_LIST_OK, correlation_of(c));
    return STEP_AGAIN;
}

/* ---- requests to the sequencer --------------------------------------------------------------- */

static enum step begin(struct connection *c, const struct meta_record *record)
{
    struct error err;
    if (c->requests >= REQUESTS_PER_CONNECTION)
        return input_wait(c, WAIT_REQUESTS);
    int code = request_begin(c, record);
    if (code == EMB_OK)
        return STEP_AGAIN;
    error_set(&err, code, "no memory for the request now");
    return fail(c, &err);
}

static void topic_create_record(struct meta_record *record, const char *name,
                                const struct topic_settings *settings)
{
    *record = (struct meta_record){.type = META_TOPIC_CREATE};
    record->topic_create.gap_timeout_us = settings->gap_timeout_us;
    record->topic_create.order = settings->order;
    record->topic_create.replicas = settings->replicas;
    record->topic_create.min_insync = settings->min_insync;
    record->topic_create.gap = settings->gap;
    record->topic_create.durability = settings->durability;
    snprintf(record->topic_create.name, sizeof(record->topic_create.name), "%s", name);
}

static enum step topic_create_request(struct connection *c, struct wire_reader *r)
{
    char name[TOPIC_NAME_MAX + 1];
    struct topic_settings settings;
    struct meta_record record;
    struct error err;
    wire_get_text(r, "topic name", name, sizeof(name));
    topic_settings_get(r, &settings);
    if (!control_decoded(c, r))
        return STEP_AGAIN;
    if (topic_name_check(name, &err) != EMB_OK || topic_settings_check(&settings, &err) != EMB_OK)
        return fail(c, &err);
    topic_create_record(&record, name, &settings);
    return begin(c, &record);
}

static enum step topic_delete_request(struct connection *c, struct wire_reader *r)
{
    struct meta_record record = {.type = META_TOPIC_DELETE};
    const struct meta_topic *topic = named_topic(c, r);
    if (!topic)
        return STEP_AGAIN;
    record.topic_delete.topic = topic->id;
    return begin(c, &record);
}

/* A live topic by its number, or NULL and *err. */
static const struct meta_topic *numbered_topic(const struct connection *c, uint32_t id,
                                               struct error *err)
{
    const struct meta_topic *topic = meta_topic_by_id(meta_of(c), id);
    if (topic && !topic->deleted)
        return topic;
    error_set(err, EMB_ERR_UNKNOWN_TOPIC, "topic %" PRIu32 " does not exist%s", id,
              topic ? " any more" : "; ask for its number with TOPIC_DESCRIBE");
    return NULL;
}

/* A connection publishes one thing, unless the session of what it published before has ended. */
int publishing_may_change(const struct connection *c, struct error *err)
{
    const struct publishing *pub = &c->publishing;
    if (!pub->open)
        return EMB_OK;
    if (pub->session != NO_SESSION) {
        const struct meta_session *session = meta_session_find(meta_of(c), pub->session);
        if (!session || session->ended)
            return EMB_OK;
    }
    return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                     "this connection publishes to topic %u already; open another connection",
                     pub->topic);
}

/* What has a session may end before the answer, for all that is known here: it is judged then. */
static int check_will_hold(const struct connection *c, struct error *err)
{
    return c->publishing.session == NO_SESSION ? publishing_may_change(c, err) : EMB_OK;
}

static enum step session_open_request(struct connection *c, struct wire_reader *r)
{
    struct meta_record record = {.type = META_SESSION_OPEN};
    struct error err;
    enum step step;
    record.session_open.topic = wire_get_u16(r, "topic");
    uint64_t after_position = wire_get_u64(r, "after position");
    if (!control_decoded(c, r))
        return STEP_AGAIN;
    if (!control_position_passed(c, after_position, &step))
        return step;
    const struct meta_topic *topic = numbered_topic(c, record.session_open.topic, &err);
    if (!topic)
        return fail(c, &err);
    if (topic->settings.order < TOPIC_ORDER_CLIENT_BROKER) {
        error_set(&err, EMB_ERR_INVALID_ARGUMENT,
                  "topic \"%s\" has order %u; sessions are opened for orders 4 and 5 only",
                  topic->name, topic->settings.order);
        return fail(c, &err);
    }
    if (check_will_hold(c, &err) != EMB_OK)
        return fail(c, &err);
    return begin(c, &record);
}

static enum step session_close_request(struct connection *c, struct wire_reader *r)
{
    struct meta_record record = {.type = META_SESSION_END};
    record.session_end.session = wire_get_u64(r, "session");
    record.session_end.reason = META_END_CLOSED;
    if (!control_decoded(c, r))
        return STEP_AGAIN;
    return begin(c, &record);
}

/* ---- PUBLISH_OPEN ---------------------------------------------------------------------------- */

static int check_acks(const struct meta_topic *topic, uint8_t acks, struct error *err)
{
    if (acks > 2)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "acks is %u; 0, 1 and 2 are accepted",
                         acks);
    if (acks == 2 && topic->settings.replicas == 0)
        return error_set(err, EMB_ERR_INVALID_SETTING,
                         "acks is 2, but topic \"%s\" has no replicas that could make it durable; "
                         "publish with acks 0 or 1, or create a topic with replicas",
                         topic->name);
    return EMB_OK;
}

static int check_session(const struct connection *c, const struct meta_topic *topic,
                         uint64_t number, struct error *err)
{
    if (!topic_has_sessions(&topic->settings)) {
        if (number == NO_SESSION)
            return EMB_OK;
        return error_set(err, EMB_ERR_MISMATCH,
                         "session is %#" PRIx64 ", but topic \"%s\" has order %u, which has no "
                         "sessions; all ones is accepted",
                         number, topic->name, topic->settings.order);
    }
    const struct meta_session *session = meta_session_find(meta_of(c), number);
    if (!session)
        return error_set(err, EMB_ERR_UNKNOWN_SESSION,
                         "session %#" PRIx64 " is not known here; open one for topic \"%s\" and "
                         "name its position",
                         number, topic->name);
    if (session->ended)
        return error_set(err, EMB_ERR_SESSION_FENCED,
                         "session %#" PRIx64 " has ended; open another", number);
    if (session->topic != topic->id)
        return error_set(err, EMB_ERR_MISMATCH, "session %#" PRIx64 " is of topic %u, not of %u",
                         number, session->topic, topic->id);
    return EMB_OK;
}

static int publishing_begin(struct connection *c, const struct meta_topic *topic,
                            const struct publish_open *open, struct error *err)
{
    struct publishing *pub = &c->publishing;
    struct meta_request *lost = NULL;
    bool owned = pub->lost && pub->lost->record.session_end.session == open->session;
    if (owned)
        lost = pub->lost; /* it was opened by this connection */
    else if (open->session != NO_SESSION && !(lost = request_session_lost(open->session)))
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for a publisher now");
    if (pub->lost && !owned)
        request_lose_session(c->broker, pub->lost);
    *pub = (struct publishing){.open = true,
                               .topic = open->topic,
                               .acks = open->acks,
                               .order = topic->settings.order,
                               .session = open->session,
                               .lost = lost};
    return EMB_OK;
}

static enum step publish_open_request(struct connection *c, struct wire_reader *r)
{
    struct publish_open open;
    struct error err;
    enum step step;
    publish_open_get(r, &open);
    if (!control_decoded(c, r))
        return STEP_AGAIN;
    if (!control_position_passed(c, open.after_position, &step))
        return step;
    const struct meta_topic *topic = numbered_topic(c, open.topic, &err);
    if (!topic || check_acks(topic, open.acks, &err) != EMB_OK ||
        check_session(c, topic, open.session, &err) != EMB_OK ||
        publishing_may_change(c, &err) != EMB_OK ||
        publishing_begin(c, topic, &open, &err) != EMB_OK)
        return fail(c, &err);
    answer_ok(c, correlation_of(c), topic->created_position);
    return STEP_AGAIN;
}

/* ---- status and the table -------------------------------------------------------------------- */

struct status_size {
    uint32_t items;
    size_t bytes;
    size_t room;
    struct wire_writer *w; /* NULL: they are only measured */
};

/* What does not fit is left out: lines of other nodes, which are looked at each time, may have come
   since the measuring. */
static void take_status(void *arg, const struct status_item *item)
{
    struct status_size *size = arg;
    size_t bytes = 2 + strlen(item->table) + 4 + 2 + strlen(item->name) + 1 +
                   (item->is_text ? 2 + strlen(item->text) : 8);
    if (size->w && bytes > size->room - size->bytes)
        return;
    size->items++;
    size->bytes += bytes;
    if (size->w)
        status_item_put(size->w, item);
}

static enum step status_request(struct connection *c, struct wire_reader *r)
{
    struct status_size measured = {0};
    struct wire_writer w, count;
    if (!control_decoded(c, r))
        return STEP_AGAIN;
    broker_status(c->broker, take_status, &measured);
    if (!large_answer_begin(c, 4 + measured.bytes, &w))
        return STEP_AGAIN;
    struct status_size put = {.room = measured.bytes, .w = &w};
    wire_writer_init(&count, w.bytes + w.used, 4);
    wire_put_u32(&w, 0);
    broker_status(c->broker, take_status, &put);
    wire_put_u32(&count, put.items);
    frame_end(c, &w, FRAME_STATUS_OK, correlation_of(c));
    return STEP_AGAIN;
}

static control_fn *const requests[FRAME_TYPE_END] = {
    [FRAME_HELLO] = hello_request,
    [FRAME_TOPIC_CREATE] = topic_create_request,
    [FRAME_TOPIC_DESCRIBE] = topic_describe_request,
    [FRAME_TOPIC_DELETE] = topic_delete_request,
    [FRAME_TOPIC_LIST] = topic_list_request,
    [FRAME_SESSION_OPEN] = session_open_request,
    [FRAME_SESSION_CLOSE] = session_close_request,
    [FRAME_PUBLISH_OPEN] = publish_open_request,
    [FRAME_SUBSCRIBE] = subscribe_request,
    [FRAME_UNSUBSCRIBE] = unsubscribe_request,
    [FRAME_STATUS] = status_request,
};

/* STEP_WAIT: called again with the same body. STEP_AGAIN: done, whatever the answer was. */
enum step control_dispatch(struct connection *c)
{
    const struct frame_header *frame = &c->input.frame;
    struct wire_reader r;
    struct error err = {0};
    enum step step;
    control_fn *request = frame->type < FRAME_TYPE_END ? requests[frame->type] : NULL;
    if (!request) {
        error_set(&err, EMB_ERR_PROTOCOL, "a %s frame is not for brokers",
                  frame_type_name(frame->type));
        return fail(c, &err);
    }
    if (frame->type != FRAME_STATUS && !lane_is_open(c, &step))
        return step;
    if (frame->type != FRAME_STATUS && frame->type != FRAME_HELLO && !is_broker(c->broker))
        return refuse_as_no_broker(c);
    wire_reader_init(&r, c->input.control, frame->body_bytes, &err);
    return request(c, &r);
}

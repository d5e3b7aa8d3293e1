/*
 * How it works: what a client wants of the sequencer becomes a META batch in this node's lane. The
 * slot's outcome is the decision; it is told once the decision is durable. UNAVAILABLE is asked
 * again for a while, for it passes (a store joins, a block of producer ids becomes durable).
 */
#include "broker/state.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"

static struct meta_request *request_new(const struct meta_record *record)
{
    struct meta_request *request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    list_init(&request->link);
    request->record = *record;
    request->record.version = 1;
    return request;
}

int request_begin(struct connection *c, const struct meta_record *record)
{
    struct meta_request *request = request_new(record);
    if (!request)
        return EMB_ERR_NO_MEMORY;
    request->connection = c->id;
    request->correlation = c->input.frame.correlation;
    request->frame = c->input.frame.type;
    c->requests++;
    request_queue(c->broker, request);
    return EMB_OK;
}

bool request_own(struct broker *b, const struct meta_record *record)
{
    struct meta_request *request = request_new(record);
    if (request)
        request_queue(b, request);
    return request != NULL;
}

void request_queue(struct broker *b, struct meta_request *request)
{
    list_append(&b->requests, &request->link);
}

static void session_end_record(struct meta_record *record, uint64_t session, uint32_t reason)
{
    *record = (struct meta_record){.type = META_SESSION_END, .version = 1};
    record->session_end.session = session;
    record->session_end.reason = reason;
}

struct meta_request *request_session_lost(uint64_t session)
{
    struct meta_record record;
    session_end_record(&record, session, META_END_LOST);
    return request_new(&record);
}

void request_lose_session(struct broker *b, struct meta_request *lost)
{
    const struct meta_session *session =
        meta_session_find(follower_meta(b->follower), lost->record.session_end.session);
    if (session && !session->ended && !b->lane.lost)
        request_queue(b, lost);
    else
        free(lost);
}

/* ---- publishing ------------------------------------------------------------------------------ */

static void publish_one(struct broker *b, struct meta_request *request,
                        const struct blog_space *space)
{
    uint64_t now_ms = env_wall_ms(b->options.env);
    uint32_t bytes = meta_batch_build(space->bytes, &request->record, now_ms);
    struct lane_slot slot = {.request = request};
    struct pbr_entry_shared entry = {.session = NO_SESSION,
                                     .client_sequence = NO_SEQUENCE,
                                     .message_count = 1,
                                     .kind = ENTRY_META};
    put_u48(entry.timestamp_ms, now_ms);
    blog_trim(&b->lane.blog, space, bytes);
    list_remove(&request->link);
    if (request->record.type == META_NODE_LEAVE)
        b->leave.sealed = true;
    lane_publish(b, &entry, space, bytes, &slot);
    b->counters.requests++;
}

void requests_publish(struct broker *b)
{
    struct blog_space space;
    struct list *next;
    for (struct list *at = b->requests.next; at != &b->requests; at = next) {
        next = at->next;
        struct meta_request *request = CONTAINER_OF(at, struct meta_request, link);
        if (b->now_ns < request->not_before_ns)
            continue;
        if (!slot_ring_has_room(&b->lane.slots, true))
            return;
        if (!lane_reserve(b, META_BATCH_BYTES, true, &space)) {
            b->lane.short_of_room = true;
            return;
        }
        publish_one(b, request, &space);
    }
}

/* ---- outcomes -------------------------------------------------------------------------------- */

/* A session nobody learned of would stay open for ever; the same request now ends it. */
static void end_if_opened(struct broker *b, struct meta_request *request)
{
    if (request->frame != FRAME_SESSION_OPEN || request->outcome.kind != ENTRY_META) {
        free(request);
        return;
    }
    session_end_record(&request->record, request->outcome.session, META_END_LOST);
    request->connection = 0;
    request->frame = 0;
    request->tries = 0;
    request_queue(b, request);
}

static bool is_to_be_tried_again(const struct meta_request *request, const struct outcome *o)
{
    return o->kind == ENTRY_RETRY ||
           (o->kind == ENTRY_REJECTED && o->reason == EMB_ERR_UNAVAILABLE &&
            request->tries < REQUEST_TRIES);
}

void request_outcome(struct broker *b, struct meta_request *request, const struct outcome *outcome)
{
    if (request->record.type == META_NODE_LEAVE)
        b->leave.sealed = false; /* one that is granted has no outcome here */
    if (is_to_be_tried_again(request, outcome)) {
        request->tries++;
        request->not_before_ns = b->now_ns + REQUEST_AGAIN_NS;
        request_queue(b, request);
        return;
    }
    request->outcome = *outcome;
    struct pending_answer answer = {.position = outcome->position, .request = request};
    if (pending_push(&b->pending, &answer))
        return;
    struct connection *c = connection_find(b, request->connection);
    if (c)
        connection_break(c);
    end_if_opened(b, request);
}

/* ---- answers --------------------------------------------------------------------------------- */

static uint32_t stores_here(const struct meta_state *meta)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < NODE_MAX; i++)
        count += meta->nodes[i].live && (meta->nodes[i].roles & ROLE_REPLICA);
    return count;
}

/* What of the settings is impossible, in the words of who checks them. */
static int refuse_settings(const struct meta_state *meta, const struct meta_record *record,
                           int reason, struct error *err)
{
    struct topic_settings settings = {.order = record->topic_create.order,
                                      .replicas = record->topic_create.replicas,
                                      .min_insync = record->topic_create.min_insync,
                                      .gap = record->topic_create.gap,
                                      .durability = record->topic_create.durability};
    unsigned members = meta->lanes[LANE_SEQUENCER].chain.count;
    if (topic_settings_check(&settings, err) == reason)
        return reason;
    return error_set(err, reason,
                     "topic \"%s\" asks for %u replicas; 0 to %u are accepted, as chains have %u "
                     "members here",
                     record->topic_create.name, settings.replicas, members, members);
}

static int refuse_topic(const struct broker *b, const struct meta_record *record, int reason,
                        struct error *err)
{
    const char *name = record->topic_create.name;
    const struct meta_state *meta = follower_meta(b->follower);
    switch (reason) {
    case EMB_ERR_TOPIC_EXISTS:
        return error_set(err, reason,
                         "topic \"%s\" already exists; choose another name or delete it", name);
    case EMB_ERR_LIMIT:
        return error_set(err, reason,
                         "topic \"%s\": this region holds at most %" PRIu32
                         " topics and has given all their numbers",
                         name, meta->topics_max);
    case EMB_ERR_UNAVAILABLE:
        return error_set(err, reason,
                         "topic \"%s\" asks for %u replicas; %" PRIu32 " stores are here now", name,
                         record->topic_create.replicas, stores_here(meta));
    case EMB_ERR_NOT_SUPPORTED:
        return error_set(err, reason,
                         "topic \"%s\": order %u is not supported by this version; "
                         "0, 1, 2 and 5 are accepted",
                         name, record->topic_create.order);
    case EMB_ERR_INVALID_SETTING:
        return refuse_settings(meta, record, reason, err);
    default:
        return error_set(err, reason,
                         "topic \"%s\" (order %u, replicas %u, min_insync %u, gap %u): "
                         "%s",
                         name, record->topic_create.order, record->topic_create.replicas,
                         record->topic_create.min_insync, record->topic_create.gap,
                         error_text(reason));
    }
}

static int refuse_session(const struct broker *b, const struct meta_record *record, int reason,
                          struct error *err)
{
    if (record->type == META_SESSION_END)
        return error_set(err, reason, "session %#" PRIx64 ": %s; it has ended or never was",
                         record->session_end.session, error_text(reason));
    if (reason == EMB_ERR_LIMIT)
        return error_set(err, reason,
                         "this region holds at most %" PRIu32
                         " sessions and all are open; close some",
                         follower_meta(b->follower)->sessions_max);
    return error_set(err, reason, "a session of topic %" PRIu32 ": %s", record->session_open.topic,
                     error_text(reason));
}

static int refuse(const struct broker *b, const struct meta_request *request, struct error *err)
{
    const struct meta_record *record = &request->record;
    int reason = request->outcome.reason;
    if (record->type == META_TOPIC_CREATE)
        return refuse_topic(b, record, reason, err);
    if (record->type == META_TOPIC_DELETE)
        return error_set(err, reason, "topic %" PRIu32 " cannot be deleted: %s",
                         record->topic_delete.topic, error_text(reason));
    return refuse_session(b, record, reason, err);
}

static void answer_topic(struct broker *b, struct connection *c, const struct meta_request *request)
{
    struct topic_info info;
    struct wire_writer w;
    const struct meta_topic *topic =
        meta_topic_by_id(follower_meta(b->follower), request->outcome.topic);
    if (!topic) {
        struct error err;
        error_set(&err, EMB_ERR_UNKNOWN_TOPIC, "topic \"%s\" was created and is gone again",
                  request->record.topic_create.name);
        answer_error(c, request->correlation, &err);
        return;
    }
    topic_info_fill(b, topic, &info);
    if (!frame_begin(c, sizeof(info), &w))
        return;
    topic_info_put(&w, &info);
    frame_end(c, &w, FRAME_TOPIC_OK, request->correlation);
}

/* Until it is published to, the session is this connection's to lose. false: it cannot be. */
static bool answer_session(struct connection *c, const struct meta_request *request)
{
    struct wire_writer w;
    struct error err;
    struct publishing *pub = &c->publishing;
    if (publishing_may_change(c, &err) != EMB_OK) {
        answer_error(c, request->correlation, &err);
        return false;
    }
    struct meta_request *lost = request_session_lost(request->outcome.session);
    if (!lost || !frame_begin(c, 16, &w)) {
        free(lost);
        connection_break(c);
        return false;
    }
    wire_put_u64(&w, request->outcome.session);
    wire_put_u64(&w, request->outcome.position);
    frame_end(c, &w, FRAME_SESSION_OK, request->correlation);
    if (pub->lost)
        request_lose_session(c->broker, pub->lost);
    pub->lost = lost;
    return true;
}

/* false: a session was opened, and nobody has it. */
static bool answer(struct broker *b, struct connection *c, const struct meta_request *request)
{
    struct error err;
    if (request->outcome.kind != ENTRY_META) {
        refuse(b, request, &err);
        answer_error(c, request->correlation, &err);
    } else if (request->frame == FRAME_TOPIC_CREATE) {
        answer_topic(b, c, request);
    } else if (request->frame == FRAME_SESSION_OPEN) {
        return answer_session(c, request);
    } else {
        answer_ok(c, request->correlation, request->outcome.position);
    }
    return true;
}

void request_answer(struct broker *b, struct meta_request *request)
{
    struct connection *c = connection_find(b, request->connection);
    if (request->record.type == META_NODE_LEAVE)
        leave_refused(b, request->outcome.reason);
    bool told = false;
    if (c) {
        c->requests--;
        told = answer(b, c, request);
        if (c->input.wait == WAIT_REQUESTS)
            input_resume(c);
        connection_ready(c);
    }
    if (told)
        free(request);
    else
        end_if_opened(b, request);
}

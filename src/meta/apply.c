#include <string.h>

#include "base/assert.h"
#include "meta/state.h"

/* ---- deciding: the sequencer's side ---------------------------------------------------------- */

static int decide_topic_create(const struct meta_state *state, const struct meta_record *record,
                               struct goi_entry_shared *entry)
{
    struct topic_settings settings = {.order = record->topic_create.order,
                                      .replicas = record->topic_create.replicas,
                                      .min_insync = record->topic_create.min_insync,
                                      .gap = record->topic_create.gap,
                                      .durability = record->topic_create.durability};
    int rc = topic_name_check(record->topic_create.name, NULL);
    if (rc == EMB_OK)
        rc = topic_settings_check(&settings, NULL);
    if (rc)
        return rc;
    if (settings.order == TOPIC_ORDER_TOKEN || settings.order == TOPIC_ORDER_CLIENT_BROKER)
        return EMB_ERR_NOT_SUPPORTED;
    const struct meta_chain *chain = &state->lanes[LANE_SEQUENCER].chain;
    if (settings.replicas > chain->count)
        return chain->version ? EMB_ERR_INVALID_SETTING : EMB_ERR_UNAVAILABLE;
    if (meta_topic_by_name(state, record->topic_create.name))
        return EMB_ERR_TOPIC_EXISTS;
    for (uint32_t i = 0; i < state->topics_max; i++) {
        if (state->topics[i].id == 0) {
            entry->topic = (uint16_t)(i + 1);
            return EMB_OK;
        }
    }
    return EMB_ERR_LIMIT;
}

static int decide_session_open(const struct meta_state *state, const struct meta_record *record,
                               struct goi_entry_shared *entry)
{
    const struct meta_topic *topic = meta_topic_by_id(state, record->session_open.topic);
    if (!topic || topic->deleted)
        return EMB_ERR_UNKNOWN_TOPIC;
    if (!topic_has_sessions(&topic->settings))
        return EMB_ERR_INVALID_SETTING;
    if (state->session_count >= state->sessions_max)
        return EMB_ERR_LIMIT;
    if (state->next_producer >= state->producer_usable)
        return EMB_ERR_UNAVAILABLE;
    entry->topic = topic->id;
    entry->session = state->next_producer << 16;
    return EMB_OK;
}

static int decide_session_end(const struct meta_state *state, const struct meta_record *record,
                              struct goi_entry_shared *entry)
{
    const struct meta_session *session = meta_session_find(state, record->session_end.session);
    if (!session)
        return EMB_ERR_UNKNOWN_SESSION;
    if (session->ended)
        return EMB_ERR_SESSION_FENCED;
    entry->session = session->session;
    entry->topic = session->topic;
    entry->client_sequence = session->next;
    return EMB_OK;
}

/* A node leaves with all its lanes, by a slot of one of them. */
static int decide_leave(const struct meta_state *state, const struct meta_record *record,
                        const struct goi_entry_shared *entry)
{
    const struct meta_node *node = &state->nodes[record->leave.node];
    bool own = entry->lane < LANE_MAX && state->lanes[entry->lane].node == record->leave.node;
    if (!own || !node->live || node->incarnation != record->leave.incarnation ||
        (node->roles & (ROLE_SEQUENCER | ROLE_STANDBY)))
        return EMB_ERR_PERMISSION;
    return meta_node_in_chain(state, record->leave.node) ? EMB_ERR_BUSY : EMB_OK;
}

int meta_decide(const struct meta_state *state, const struct meta_record *record,
                struct goi_entry_shared *entry)
{
    const struct meta_topic *topic;
    switch (record->type) {
    case META_TOPIC_CREATE:
        return decide_topic_create(state, record, entry);
    case META_TOPIC_DELETE:
        topic = meta_topic_by_id(state, record->topic_delete.topic);
        if (!topic || topic->deleted)
            return EMB_ERR_UNKNOWN_TOPIC;
        entry->topic = topic->id;
        return EMB_OK;
    case META_SESSION_OPEN:
        return decide_session_open(state, record, entry);
    case META_SESSION_END:
        return decide_session_end(state, record, entry);
    case META_NODE_LEAVE:
        return decide_leave(state, record, entry);
    default:
        return EMB_ERR_PERMISSION; /* the sequencer's own records are not for nodes to ask for */
    }
}

/* ---- judging: what reads the log of another host --------------------------------------------- */

static bool session_can_open(const struct meta_state *state, uint64_t session)
{
    return session != 0 && session != NO_SESSION &&
           (meta_session_find(state, session) || state->session_count < state->session_places);
}

bool meta_entry_holds(const struct meta_state *state, const struct goi_entry_shared *entry,
                      const struct meta_record *record)
{
    if (entry->lane > LANE_SEQUENCER || entry->kind < ENTRY_DATA || entry->kind > ENTRY_SKIP)
        return false;
    if (entry->kind != ENTRY_META)
        return true;
    if (!record)
        return false;
    if (record->type == META_TOPIC_CREATE)
        return entry->topic >= 1 && entry->topic <= state->topics_max;
    if (record->type == META_SESSION_OPEN)
        return session_can_open(state, entry->session);
    return true;
}

/* ---- applying: everybody --------------------------------------------------------------------- */

static void apply_topic_create(struct meta_state *state, uint64_t position,
                               const struct goi_entry_shared *entry,
                               const struct meta_record *record)
{
    struct meta_topic *topic = &state->topics[entry->topic - 1];
    if (position < topic->as_of)
        return;
    state->topic_count += topic->id == 0 || topic->deleted; /* else a number was given twice */
    *topic =
        (struct meta_topic){.as_of = position,
                            .id = entry->topic,
                            .settings = {.order = record->topic_create.order,
                                         .replicas = record->topic_create.replicas,
                                         .min_insync = record->topic_create.min_insync,
                                         .gap = record->topic_create.gap,
                                         .durability = record->topic_create.durability,
                                         .gap_timeout_us = record->topic_create.gap_timeout_us},
                            .created_position = position,
                            .first_position = NO_POSITION};
    if (topic->settings.min_insync == 0)
        topic->settings.min_insync = topic->settings.replicas;
    memcpy(topic->name, record->topic_create.name, sizeof topic->name);
}

static void apply_topic_delete(struct meta_state *state, uint64_t position,
                               const struct goi_entry_shared *entry)
{
    struct meta_topic *topic = meta_topic_by_id(state, entry->topic);
    if (!topic || position < topic->as_of || topic->deleted)
        return;
    topic->deleted = true;
    state->topic_count--;
}

static void apply_session_open(struct meta_state *state, uint64_t position,
                               const struct goi_entry_shared *entry)
{
    uint64_t producer = entry->session >> 16;
    if (position >= state->marks_as_of && producer >= state->next_producer)
        state->next_producer = producer + 1;
    if (meta_session_find(state, entry->session))
        return; /* it was loaded with a later as_of */
    struct meta_session *session = meta_session_add(state, entry->session);
    session->as_of = position;
    session->topic = entry->topic;
    session->opened_position = position;
    state->session_count++;
}

static void apply_session_end(struct meta_state *state, uint64_t position,
                              const struct goi_entry_shared *entry)
{
    struct meta_session *session = meta_session_find(state, entry->session);
    if (!session || position < session->as_of || session->ended)
        return;
    session->ended = true;
    state->session_count--;
}

static void apply_admit(struct meta_state *state, uint64_t position,
                        const struct meta_record *record)
{
    struct meta_node *node = &state->nodes[record->admit.node];
    if (position >= node->as_of) {
        *node = (struct meta_node){.as_of = position,
                                   .incarnation = record->admit.incarnation,
                                   .roles = record->admit.roles,
                                   .port = record->admit.port,
                                   .lane_count = record->admit.lane_count,
                                   .first_segment = record->admit.first_segment,
                                   .segments = record->admit.segments,
                                   .live = true};
        memcpy(node->store_uuid, record->admit.store_uuid, sizeof node->store_uuid);
        memcpy(node->host, record->admit.host, sizeof node->host);
        memcpy(node->lanes, record->admit.lanes, sizeof node->lanes);
    }
    for (uint32_t i = 0; i < record->admit.lane_count; i++) {
        struct meta_lane *lane = &state->lanes[record->admit.lanes[i]];
        if (position < lane->as_of)
            continue;
        lane->node = record->admit.node;
        lane->generation = record->admit.lane_generations[i];
        lane->granted_position = position;
    }
}

static void apply_leave(struct meta_state *state, uint64_t position,
                        const struct meta_record *record)
{
    struct meta_node *node = &state->nodes[record->leave.node];
    if (position >= node->as_of)
        node->live = false;
    for (uint32_t i = 0; i < node->lane_count; i++) {
        struct meta_lane *lane = &state->lanes[node->lanes[i]];
        if (position < lane->as_of || lane->node != record->leave.node)
            continue;
        lane->node = NODE_MAX;
        lane->start = record->leave.lane_ends[i];
    }
}

static void apply_chain(struct meta_state *state, uint64_t position,
                        const struct meta_record *record)
{
    struct meta_lane *lane = &state->lanes[record->chain.lane];
    if (position < lane->as_of)
        return;
    state->chain_changes++;
    lane->chain = (struct meta_chain){
        .version = record->chain.version, .count = record->chain.count, .position = position};
    memcpy(lane->chain.members, record->chain.members, sizeof lane->chain.members);
}

static void apply_meta(struct meta_state *state, uint64_t position,
                       const struct goi_entry_shared *entry, const struct meta_record *record)
{
    switch (record->type) {
    case META_LIFE:
        if (position >= state->marks_as_of) {
            state->life = record->life.life;
            state->cut = record->life.cut;
        }
        break;
    case META_NODE_ADMIT:
        apply_admit(state, position, record);
        break;
    case META_CHAIN:
        apply_chain(state, position, record);
        break;
    case META_PRODUCER_BLOCK:
        if (position >= state->marks_as_of)
            state->producer_mark = record->producer_block.mark;
        break;
    case META_TOPIC_CREATE:
        apply_topic_create(state, position, entry, record);
        break;
    case META_TOPIC_DELETE:
        apply_topic_delete(state, position, entry);
        break;
    case META_SESSION_OPEN:
        apply_session_open(state, position, entry);
        break;
    case META_SESSION_END:
        apply_session_end(state, position, entry);
        break;
    case META_NODE_LEAVE:
        apply_leave(state, position, record);
        break;
    }
}

static struct meta_session *session_of(struct meta_state *state, uint64_t position,
                                       const struct goi_entry_shared *entry)
{
    struct meta_session *session = meta_session_find(state, entry->session);
    return session && position >= session->as_of ? session : NULL;
}

static void apply_data(struct meta_state *state, uint64_t position,
                       const struct goi_entry_shared *entry)
{
    struct meta_topic *topic = meta_topic_by_id(state, entry->topic);
    if (topic && position >= topic->as_of) {
        topic->next_offset = entry->base_offset + entry->message_count;
        if (topic->first_position == NO_POSITION)
            topic->first_position = position;
    }
    struct meta_session *session = session_of(state, position, entry);
    if (!session)
        return;
    session->next = entry->client_sequence + entry->message_count;
    session->window[session->window_count++ % SESSION_WINDOW] =
        (struct session_batch){.client_sequence = entry->client_sequence,
                               .base_offset = entry->base_offset,
                               .message_count = entry->message_count};
}

static void apply_skip(struct meta_state *state, uint64_t position,
                       const struct goi_entry_shared *entry)
{
    struct meta_session *session = session_of(state, position, entry);
    if (!session)
        return;
    session->next = entry->base_offset;
    session->lost_below = entry->base_offset;
}

void meta_apply(struct meta_state *state, uint64_t position, const struct goi_entry_shared *entry,
                const struct meta_record *record)
{
    if (entry->kind == ENTRY_META) {
        ASSERT(record);
        apply_meta(state, position, entry, record);
    } else if (entry->kind == ENTRY_DATA) {
        apply_data(state, position, entry);
    } else if (entry->kind == ENTRY_SKIP) {
        apply_skip(state, position, entry);
    }
}

/*
 * How it works: a sequence of items, each an 8-byte head (kind:1, zero:3, bytes:4), the position
 * as of which it was taken:8, and a packed little-endian struct. Formats: docs/formats.md.
 */
#include <string.h>

#include "meta/state.h"

enum item_kind { ITEM_MARKS = 1, ITEM_TOPIC = 2, ITEM_NODE = 3, ITEM_LANE = 4, ITEM_SESSION = 5 };

struct item_head {
    uint8_t kind;
    uint8_t reserved[3];
    uint32_t bytes; /* of the body */
    uint64_t as_of;
};

struct item_marks {
    uint64_t next_producer;
    uint64_t producer_mark;
    uint64_t cut;
    uint32_t life;
    uint32_t reserved;
};

struct item_topic {
    uint64_t created_position;
    uint64_t next_offset;
    uint64_t first_position;
    uint32_t gap_timeout_us;
    uint16_t id;
    uint8_t deleted;
    uint8_t order;
    uint8_t replicas;
    uint8_t min_insync;
    uint8_t gap;
    uint8_t durability;
    char name[TOPIC_NAME_MAX + 1];
    uint8_t reserved[2];
};

struct item_node {
    uint64_t incarnation;
    uint32_t node;
    uint32_t roles;
    uint8_t store_uuid[16];
    char host[NODE_HOST_BYTES];
    uint16_t port;
    uint32_t lane_count;
    uint32_t lanes[NODE_LANES_MAX];
    uint32_t first_segment;
    uint32_t segments;
    uint32_t live;
};

struct item_lane {
    uint64_t granted_position;
    uint64_t chain_position;
    uint64_t start;
    uint32_t lane;
    uint32_t node;
    uint32_t generation;
    uint16_t chain_version;
    uint16_t chain_count;
    uint32_t members[CHAIN_MAX];
};

struct item_session {
    uint64_t session;
    uint64_t opened_position;
    uint64_t next;
    uint64_t lost_below;
    uint64_t window_count;
    uint16_t topic;
    uint8_t ended;
    uint8_t reserved[5];
    struct {
        uint64_t client_sequence;
        uint64_t base_offset;
    } window[SESSION_WINDOW];
    uint32_t message_counts[SESSION_WINDOW]; /* of the window's batches */
};

_Static_assert(sizeof(struct item_head) == 16, "packed");
_Static_assert(sizeof(struct item_topic) == 288, "packed, below 320 with its head");
_Static_assert(sizeof(struct item_node) == 88, "packed, below 128 with its head");
_Static_assert(sizeof(struct item_lane) == 72, "packed, below 192 with its head");
_Static_assert(sizeof(struct item_session) == 368,
               "packed; with its head 384, as region/geometry.c counts");

struct out {
    unsigned char *bytes;
    size_t capacity;
    size_t used;
    uint64_t position;
};

static bool put(struct out *out, enum item_kind kind, const void *body, size_t bytes)
{
    struct item_head head = {
        .kind = (uint8_t)kind, .bytes = (uint32_t)bytes, .as_of = out->position};
    if (out->capacity - out->used < sizeof head + bytes)
        return false;
    memcpy(out->bytes + out->used, &head, sizeof head);
    memcpy(out->bytes + out->used + sizeof head, body, bytes);
    out->used += sizeof head + bytes;
    return true;
}

static bool put_marks(struct out *out, const struct meta_state *state)
{
    struct item_marks item = {.next_producer = state->next_producer,
                              .producer_mark = state->producer_mark,
                              .cut = state->cut,
                              .life = state->life};
    return put(out, ITEM_MARKS, &item, sizeof item);
}

static bool put_topic(struct out *out, const struct meta_topic *topic)
{
    struct item_topic item = {.created_position = topic->created_position,
                              .next_offset = topic->next_offset,
                              .first_position = topic->first_position,
                              .gap_timeout_us = topic->settings.gap_timeout_us,
                              .id = topic->id,
                              .deleted = topic->deleted,
                              .order = topic->settings.order,
                              .replicas = topic->settings.replicas,
                              .min_insync = topic->settings.min_insync,
                              .gap = topic->settings.gap,
                              .durability = topic->settings.durability};
    memcpy(item.name, topic->name, sizeof item.name);
    return put(out, ITEM_TOPIC, &item, sizeof item);
}

static bool put_node(struct out *out, const struct meta_node *node, uint32_t id)
{
    struct item_node item = {.incarnation = node->incarnation,
                             .node = id,
                             .roles = node->roles,
                             .port = node->port,
                             .lane_count = node->lane_count,
                             .first_segment = node->first_segment,
                             .segments = node->segments,
                             .live = node->live};
    memcpy(item.store_uuid, node->store_uuid, sizeof item.store_uuid);
    memcpy(item.host, node->host, sizeof item.host);
    memcpy(item.lanes, node->lanes, sizeof item.lanes);
    return put(out, ITEM_NODE, &item, sizeof item);
}

static bool put_lane(struct out *out, const struct meta_lane *lane, uint32_t id)
{
    struct item_lane item = {.granted_position = lane->granted_position,
                             .chain_position = lane->chain.position,
                             .start = lane->start,
                             .lane = id,
                             .node = lane->node,
                             .generation = lane->generation,
                             .chain_version = lane->chain.version,
                             .chain_count = lane->chain.count};
    memcpy(item.members, lane->chain.members, sizeof item.members);
    return put(out, ITEM_LANE, &item, sizeof item);
}

static bool put_session(struct out *out, const struct meta_session *session)
{
    struct item_session item = {.session = session->session,
                                .opened_position = session->opened_position,
                                .next = session->next,
                                .lost_below = session->lost_below,
                                .window_count = session->window_count,
                                .topic = session->topic,
                                .ended = session->ended};
    for (int i = 0; i < SESSION_WINDOW; i++) {
        item.window[i].client_sequence = session->window[i].client_sequence;
        item.window[i].base_offset = session->window[i].base_offset;
        item.message_counts[i] = session->window[i].message_count;
    }
    return put(out, ITEM_SESSION, &item, sizeof item);
}

/* One item of a stage, if that place is used at all; false: it does not fit. */
static bool put_item(struct out *out, const struct meta_state *state, uint32_t stage, uint32_t i)
{
    switch (stage) {
    case 0:
        return put_marks(out, state);
    case 1:
        return state->topics[i].id == 0 || put_topic(out, &state->topics[i]);
    case 2:
        return state->nodes[i].incarnation == 0 || put_node(out, &state->nodes[i], i);
    case 3:
        return (state->lanes[i].generation == 0 && state->lanes[i].chain.version == 0) ||
               put_lane(out, &state->lanes[i], i);
    default:
        return state->sessions[i].session == 0 || put_session(out, &state->sessions[i]);
    }
}

int64_t meta_encode(const struct meta_state *state, struct meta_cursor *cursor, uint64_t position,
                    unsigned items, void *bytes, size_t capacity)
{
    const uint32_t counts[] = {1, state->topics_max, NODE_MAX, LANE_MAX + 1, state->session_places};
    struct out out = {.bytes = bytes, .capacity = capacity, .position = position};
    unsigned places = 0; /* empty ones cost time too, though less */
    while (cursor->stage < 5 && places < 16 * items) {
        if (cursor->item == counts[cursor->stage]) {
            cursor->stage++;
            cursor->item = 0;
            continue;
        }
        size_t before = out.used;
        if (!put_item(&out, state, cursor->stage, cursor->item))
            return out.used ? (int64_t)out.used : EMB_ERR_NO_SPACE;
        places += out.used > before ? 16 : 1;
        cursor->item++;
    }
    return (int64_t)out.used;
}

bool meta_encode_done(const struct meta_cursor *cursor)
{
    return cursor->stage == 5;
}

/* ---- loading --------------------------------------------------------------------------------- */

static void load_marks(struct meta_state *state, const struct item_head *head,
                       const struct item_marks *item)
{
    state->marks_as_of = head->as_of;
    state->next_producer = item->next_producer;
    state->producer_mark = item->producer_mark;
    state->cut = item->cut;
    state->life = item->life;
}

static bool load_topic(struct meta_state *state, const struct item_head *head,
                       const struct item_topic *item)
{
    if (item->id == 0 || item->id > state->topics_max || !memchr(item->name, 0, sizeof item->name))
        return false;
    struct meta_topic *topic = &state->topics[item->id - 1];
    state->topic_count -= topic->id != 0 && !topic->deleted; /* it stands there twice */
    *topic = (struct meta_topic){.as_of = head->as_of,
                                 .id = item->id,
                                 .deleted = item->deleted,
                                 .settings = {.order = item->order,
                                              .replicas = item->replicas,
                                              .min_insync = item->min_insync,
                                              .gap = item->gap,
                                              .durability = item->durability,
                                              .gap_timeout_us = item->gap_timeout_us},
                                 .created_position = item->created_position,
                                 .next_offset = item->next_offset,
                                 .first_position = item->first_position};
    memcpy(topic->name, item->name, sizeof topic->name);
    state->topic_count += !topic->deleted;
    return true;
}

static bool load_node(struct meta_state *state, const struct item_head *head,
                      const struct item_node *item)
{
    if (item->node >= NODE_MAX || item->lane_count > NODE_LANES_MAX ||
        !memchr(item->host, 0, sizeof item->host))
        return false;
    for (uint32_t i = 0; i < item->lane_count; i++)
        if (item->lanes[i] >= LANE_MAX)
            return false;
    struct meta_node *node = &state->nodes[item->node];
    *node = (struct meta_node){.as_of = head->as_of,
                               .incarnation = item->incarnation,
                               .roles = item->roles,
                               .port = item->port,
                               .lane_count = item->lane_count,
                               .first_segment = item->first_segment,
                               .segments = item->segments,
                               .live = item->live};
    memcpy(node->store_uuid, item->store_uuid, sizeof node->store_uuid);
    memcpy(node->host, item->host, sizeof node->host);
    memcpy(node->lanes, item->lanes, sizeof node->lanes);
    return true;
}

static bool load_lane(struct meta_state *state, const struct item_head *head,
                      const struct item_lane *item)
{
    if (item->lane > LANE_MAX || item->node > NODE_MAX || item->chain_count > CHAIN_MAX)
        return false;
    for (uint32_t i = 0; i < item->chain_count; i++)
        if (item->members[i] >= NODE_MAX)
            return false;
    struct meta_lane *lane = &state->lanes[item->lane];
    *lane = (struct meta_lane){.as_of = head->as_of,
                               .node = item->node,
                               .generation = item->generation,
                               .start = item->start,
                               .granted_position = item->granted_position,
                               .chain = {.version = item->chain_version,
                                         .count = item->chain_count,
                                         .position = item->chain_position}};
    memcpy(lane->chain.members, item->members, sizeof item->members);
    return true;
}

static bool load_session(struct meta_state *state, const struct item_head *head,
                         const struct item_session *item)
{
    if (item->session == 0 || item->session == NO_SESSION ||
        meta_session_find(state, item->session) || state->session_count >= state->session_places)
        return false; /* as many as have places: items are of different positions */
    struct meta_session *session = meta_session_add(state, item->session);
    session->as_of = head->as_of;
    session->topic = item->topic;
    session->ended = item->ended;
    session->opened_position = item->opened_position;
    session->next = item->next;
    session->lost_below = item->lost_below;
    session->window_count = item->window_count;
    for (int i = 0; i < SESSION_WINDOW; i++)
        session->window[i] =
            (struct session_batch){.client_sequence = item->window[i].client_sequence,
                                   .base_offset = item->window[i].base_offset,
                                   .message_count = item->message_counts[i]};
    state->session_count += !session->ended;
    return true;
}

/* Whether the item is whole and sensible; unknown kinds are not. */
static bool load_item(struct meta_state *state, const struct item_head *head, const void *body)
{
    union {
        struct item_marks marks;
        struct item_topic topic;
        struct item_node node;
        struct item_lane lane;
        struct item_session session;
    } item;
    static const size_t sizes[] = {[ITEM_MARKS] = sizeof item.marks,
                                   [ITEM_TOPIC] = sizeof item.topic,
                                   [ITEM_NODE] = sizeof item.node,
                                   [ITEM_LANE] = sizeof item.lane,
                                   [ITEM_SESSION] = sizeof item.session};
    if (head->kind < ITEM_MARKS || head->kind > ITEM_SESSION || head->bytes != sizes[head->kind])
        return false;
    memcpy(&item, body, head->bytes);
    switch (head->kind) {
    case ITEM_MARKS:
        load_marks(state, head, &item.marks);
        return true;
    case ITEM_TOPIC:
        return load_topic(state, head, &item.topic);
    case ITEM_NODE:
        return load_node(state, head, &item.node);
    case ITEM_LANE:
        return load_lane(state, head, &item.lane);
    default:
        return load_session(state, head, &item.session);
    }
}

int meta_decode(struct meta_state *state, const void *bytes, size_t count, struct error *err)
{
    const unsigned char *from = bytes;
    size_t at = 0;
    while (at < count) {
        struct item_head head = {0};
        bool whole = count - at >= sizeof head;
        if (whole)
            memcpy(&head, from + at, sizeof head);
        if (!whole || head.bytes > count - at - sizeof head ||
            !load_item(state, &head, from + at + sizeof head))
            return error_set(err, EMB_ERR_CORRUPT,
                             "META state: the item of kind %u with %u bytes at byte %zu of %zu is "
                             "damaged",
                             head.kind, head.bytes, at, count);
        at += sizeof head + head.bytes;
    }
    return EMB_OK;
}

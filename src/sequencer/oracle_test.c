#include "sequencer/oracle_test.h"

#include <string.h>

struct client *client_of(struct world *w, uint64_t id)
{
    for (int i = 0; i < w->client_count; i++)
        if (w->clients[i].id == id)
            return &w->clients[i];
    return NULL;
}

/* ---- the model: one entry -------------------------------------------------------------------- */

static void model_data(struct world *w, const struct goi_entry_shared *e)
{
    struct topic *topic = &w->topics[e->topic];
    assert_true(topic->there && !topic->deleted);
    assert_int_equal(e->base_offset, topic->next_offset);
    topic->next_offset += e->message_count;
    if (topic->order < TOPIC_ORDER_TOKEN) {
        assert_true(e->session == NO_SESSION);
        return;
    }
    struct client *c = client_of(w, e->session);
    assert_non_null(c);
    assert_false(c->ended);
    assert_int_equal(c->topic, e->topic);
    assert_int_equal(e->client_sequence, c->next);
    assert_false(c->rejected[c->next]);
    for (uint32_t i = 0; i < e->message_count; i++, c->next++) {
        assert_int_equal(c->messages[c->next], UNKNOWN);
        c->messages[c->next] = COMMITTED;
        c->offsets[c->next] = e->base_offset + i;
    }
    c->recent[c->batches++ % SESSION_WINDOW] =
        (struct batch){.first = e->client_sequence, .count = e->message_count};
}

/* The committed batch that begins at `first`, if it is remembered. */
static const struct batch *recent_at(const struct client *c, uint64_t first)
{
    for (uint64_t i = 0; i < min_u64(c->batches, SESSION_WINDOW); i++)
        if (c->recent[i].first == first)
            return &c->recent[i];
    return NULL;
}

static void model_nop(struct world *w, const struct goi_entry_shared *e)
{
    const struct client *c = client_of(w, e->session);
    assert_non_null(c);
    uint64_t first = e->client_sequence;
    assert_true(first + e->message_count <= c->next);
    for (uint64_t i = 0; i < e->message_count; i++)
        assert_int_equal(c->messages[first + i], COMMITTED);
    if (recent_at(c, first))
        assert_int_equal(e->base_offset, c->offsets[first]);
    else
        assert_true(e->base_offset == NO_OFFSET);
}

static void model_rejected(struct world *w, const struct goi_entry_shared *e)
{
    struct client *c = client_of(w, e->session);
    int reason = error_from_wire(e->reason);
    if (!c || e->client_sequence >= MESSAGES_MOST)
        return;
    if (reason == EMB_ERR_LOST) {
        assert_true(e->client_sequence < c->lost_below);
        const struct batch *recent = recent_at(c, e->client_sequence);
        assert_true(!recent || recent->count != e->message_count);
    } else if (reason == EMB_ERR_SEQUENCE) {
        assert_true(e->client_sequence < c->next);
    } else if (reason == EMB_ERR_UNKNOWN_TOPIC) {
        assert_true(w->topics[c->topic].deleted);
    } else {
        assert_true(c->ended);
    }
    c->rejected[e->client_sequence] = true;
}

/* Slots of the session without outcome: is there one that begins at `first`, long collected? */
static bool is_undecided(const struct world *w, uint64_t session, uint64_t first, uint64_t turns)
{
    for (uint32_t node = 0; node < w->rig.nodes; node++) {
        uint64_t slots = w->rig.seat.geometry.lane_slots, end = w->rig.published[node];
        for (uint64_t i = end > slots ? end - slots : 0; i < end; i++) {
            const struct slot *slot = &w->slots[node][i];
            if (!slot->decided && slot->entry.session == session &&
                slot->entry.client_sequence == first && slot->published_turn + turns <= w->turn)
                return true;
        }
    }
    return false;
}

/* A gap is resolved only if it is one, and is old enough for this session. */
static void model_gap(const struct world *w, const struct client *c, uint64_t timeout_ns)
{
    assert_false(c->ended);
    assert_true(w->rig.now_ns - c->opened_ns >= timeout_ns);
    assert_false(is_undecided(w, c->id, c->next, 5));
}

static void model_skip(struct world *w, const struct goi_entry_shared *e)
{
    struct client *c = client_of(w, e->session);
    assert_non_null(c);
    assert_true(c->skips);
    model_gap(w, c, SKIP_NS);
    assert_int_equal(e->client_sequence, c->next);
    assert_true(e->base_offset > c->next);
    assert_true(is_undecided(w, c->id, e->base_offset, 0));
    while (c->next < e->base_offset)
        c->messages[c->next++] = LOST;
    c->lost_below = c->next;
}

static void model_end(struct world *w, const struct goi_entry_shared *e,
                      const struct meta_record *record)
{
    struct client *c = client_of(w, e->session);
    assert_non_null(c);
    assert_false(c->ended);
    assert_int_equal(e->client_sequence, c->next);
    if (record->session_end.reason == META_END_FENCED) {
        assert_int_equal(e->lane, LANE_SEQUENCER);
        assert_false(c->skips);
        model_gap(w, c, FENCE_NS);
    }
    c->ended = true;
}

static void model_meta(struct world *w, const struct goi_entry_shared *e,
                       const struct meta_record *record)
{
    struct topic *topic = &w->topics[e->topic];
    if (record->type == META_TOPIC_CREATE) {
        assert_false(topic->there);
        *topic = (struct topic){
            .there = true, .order = record->topic_create.order, .gap = record->topic_create.gap};
    } else if (record->type == META_TOPIC_DELETE) {
        assert_true(topic->there && !topic->deleted);
        topic->deleted = true;
    } else if (record->type == META_SESSION_OPEN) {
        assert_null(client_of(w, e->session));
        assert_true(w->client_count < SESSIONS_MOST);
        w->clients[w->client_count++] = (struct client){.id = e->session,
                                                        .topic = e->topic,
                                                        .skips = topic->gap == TOPIC_GAP_SKIP,
                                                        .opened_ns = w->rig.now_ns};
    } else if (record->type == META_SESSION_END) {
        model_end(w, e, record);
    }
}

/* One outcome for each slot, and about that slot. */
static void model_slot(struct world *w, const struct goi_entry_shared *e)
{
    for (uint32_t node = 0; node < w->rig.nodes; node++) {
        if (w->rig.published[node] == 0 || lane_of(&w->rig, node) != e->lane)
            continue;
        assert_true(e->pbr_index < w->rig.published[node]);
        struct slot *slot = &w->slots[node][e->pbr_index];
        assert_false(slot->decided);
        slot->decided = true;
        assert_int_equal(slot->entry.payload, e->payload);
        assert_int_equal(slot->entry.message_count, e->message_count);
        assert_true(slot->entry.kind == ENTRY_META || slot->entry.session == e->session);
        return;
    }
    fail_msg("an outcome for lane %u, which nobody has", e->lane);
}

static void model_entry(struct world *w, const struct goi_entry_shared *e,
                        const struct meta_record *record)
{
    if (e->lane != LANE_SEQUENCER)
        model_slot(w, e);
    if (e->kind == ENTRY_DATA)
        model_data(w, e);
    else if (e->kind == ENTRY_NOP)
        model_nop(w, e);
    else if (e->kind == ENTRY_REJECTED)
        model_rejected(w, e);
    else if (e->kind == ENTRY_SKIP)
        model_skip(w, e);
    else if (e->kind == ENTRY_META)
        model_meta(w, e, record);
}

/* ---- stores ---------------------------------------------------------------------------------- */

/* Whether every member of its chain has done for an entry what it asks for. What the log began with
   stands before there were stores. */
static bool is_whole(const struct world *w, uint64_t position)
{
    const struct goi_entry_shared *e = &w->log[position].entry;
    const struct meta_chain *chain = &follower_meta(w->rig.followers[0])->lanes[e->lane].chain;
    const uint64_t *done = e->flags & ENTRY_ASKS_SYNC ? w->synced : w->copied;
    if (!(e->flags & (ENTRY_ASKS_SYNC | ENTRY_ASKS_COPY)) || position < chain->position)
        return true;
    for (uint32_t i = 0; i < chain->count; i++)
        if (done[chain->members[i]] <= position)
            return false;
    return true;
}

void check_durable(const struct world *w, uint32_t node)
{
    const struct follower *f = w->rig.followers[node];
    uint64_t durable = follower_durable(f), kept = follower_kept(f);
    uint64_t ring = w->rig.seat.areas.goi_entries;
    assert_true(durable <= kept && kept <= w->checked);
    for (uint64_t p = kept > ring ? kept - ring : 0; p < kept; p++)
        assert_true(is_whole(w, p));
}

void check_log(struct world *w)
{
    struct region *region = &w->rig.seat;
    for (; w->checked < counters_of(&w->rig).committed; w->checked++) {
        assert_true(w->checked < LOG_MOST);
        uint64_t ring = region->areas.goi_entries;
        if (w->checked >= ring)
            assert_true(is_whole(w, w->checked - ring)); /* what it overwrites */
        struct logged *at = &w->log[w->checked];
        assert_true(region_goi_observe(region, w->checked, &at->entry));
        if (at->entry.kind == ENTRY_META) {
            uint64_t word = at->entry.payload;
            assert_int_equal(meta_batch_read(region_payload(region, word), payload_bytes(word),
                                             &at->record, NULL),
                             EMB_OK);
        }
        model_entry(w, &at->entry, &at->record);
    }
}

/* ---- the model: states ----------------------------------------------------------------------- */

void check_state(const struct world *w, const struct meta_state *state)
{
    for (uint32_t id = 1; id <= 16; id++) {
        const struct meta_topic *topic = meta_topic_by_id(state, id);
        assert_true((topic != NULL) == w->topics[id].there);
        if (!topic)
            continue;
        assert_int_equal(topic->next_offset, w->topics[id].next_offset);
        assert_true(topic->deleted == w->topics[id].deleted);
    }
    uint32_t open = 0;
    for (int i = 0; i < w->client_count; i++) {
        const struct client *c = &w->clients[i];
        const struct meta_session *session = meta_session_find(state, c->id);
        open += !c->ended;
        assert_true(session || c->ended);
        if (!session)
            continue;
        assert_true(session->ended == c->ended);
        assert_int_equal(session->next, c->next);
        assert_int_equal(session->lost_below, c->lost_below);
        assert_int_equal(session->window_count, c->batches);
    }
    assert_int_equal(state->session_count, open);
}

/* Which slots a successor would find undecided, from the checkpoint's lanes and the log's tail. */
static void check_lanes(struct world *w, const unsigned char *at, const unsigned char *end,
                        uint64_t covers)
{
    uint32_t slots = w->rig.seat.geometry.lane_slots, lanes = 0;
    for (; at < end; at += 16 + slots / 8, lanes++) {
        uint32_t lane, node = 0;
        uint64_t collected;
        memcpy(&lane, at, 4);
        memcpy(&collected, at + 8, 8);
        while (node < w->rig.nodes && lane_of(&w->rig, node) != lane)
            node++;
        assert_true(node < w->rig.nodes && collected <= w->rig.published[node]);
        bool undecided[SLOTS_MOST] = {false};
        for (uint64_t i = 0; i < slots && i < collected; i++)
            undecided[collected - 1 - i] = at[16 + i / 8] >> i % 8 & 1;
        for (uint64_t i = collected; i < w->rig.published[node]; i++)
            undecided[i] = true;
        for (uint64_t p = covers; p < w->checked; p++)
            if (w->log[p].entry.lane == lane)
                undecided[w->log[p].entry.pbr_index] = false;
        for (uint64_t i = 0; i < w->rig.published[node]; i++)
            assert_true(undecided[i] == !w->slots[node][i].decided);
    }
    assert_true(lanes <= w->rig.nodes);
}

void check_checkpoint(struct world *w)
{
    struct checkpoint_shared header;
    unsigned char *bytes;
    assert_int_equal(region_checkpoint_load(&w->rig.seat, 0, 1, &header, (void **)&bytes), EMB_OK);
    assert_true(header.covers + w->rig.seat.areas.goi_entries >= w->checked);
    uint64_t meta_bytes;
    memcpy(&meta_bytes, bytes, sizeof meta_bytes);
    struct meta_state state;
    struct error err = {0};
    const struct geometry *g = &w->rig.seat.geometry;
    assert_int_equal(meta_state_init(&state, g->topics, g->sessions), EMB_OK);
    if (meta_decode(&state, bytes + 8, meta_bytes, &err))
        fail_msg("%s", err.text);
    for (uint64_t p = header.covers; p < w->checked; p++)
        meta_apply(&state, p, &w->log[p].entry, &w->log[p].record);
    check_state(w, &state);
    if (header.covers)
        check_lanes(w, bytes + 8 + meta_bytes, bytes + header.bytes, header.covers);
    w->checkpoints = header.sequence;
    meta_state_free(&state);
    free(bytes);
}

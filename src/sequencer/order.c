/*
 * Ordering. Orders 0 to 2 take arrival order. Order 5 commits a session's batch when it begins at
 * the session's `next`; a later one is held until then, and each commit releases the one that
 * begins where it ends (a cascade, one hash look-up a step: linear in the number of batches).
 */
#include "base/assert.h"
#include "sequencer/state.h"

#define GAPS_EVERY_NS 200000ULL

static void commit_data(struct sequencer *s, const struct collected *c)
{
    decide_slot(s, c, ENTRY_DATA, 0, NO_OFFSET);
}

/* Commits the held batches that follow, as far as there is room. */
static void cascade(struct sequencer *s, struct meta_session *session)
{
    while (decide_room(s, false)) {
        uint32_t at = hold_find(&s->hold, session->session, session->next);
        if (at == HELD_NONE)
            return;
        struct collected c = s->hold.pool[at].batch;
        hold_remove(s, at);
        commit_data(s, &c);
        s->counters.released++;
    }
}

static bool has_held(const struct sequencer *s, const struct meta_session *session)
{
    return s->hold.sessions[hold_place(s, session)].count != 0;
}

/*
 * Wholly below `next`: a duplicate, or of a range that was declared lost. Below the end of the last
 * such range only the very batch is known to have been committed whole; one that its client cut
 * anew may reach into what was lost.
 */
static void decide_old(struct sequencer *s, const struct collected *c,
                       const struct meta_session *session)
{
    const struct session_batch *original = meta_session_batch(session, c->entry.client_sequence);
    bool same = original && original->message_count == c->entry.message_count;
    if (!same && c->entry.client_sequence < session->lost_below)
        decide_slot(s, c, ENTRY_REJECTED, EMB_ERR_LOST, NO_OFFSET);
    else
        decide_slot(s, c, ENTRY_NOP, 0, original ? original->base_offset : NO_OFFSET);
}

static void order_in_session(struct sequencer *s, const struct collected *c,
                             struct meta_session *session)
{
    uint64_t first = c->entry.client_sequence;
    uint64_t end = first + c->entry.message_count;
    if (end <= session->next) {
        decide_old(s, c, session);
    } else if (first < session->next) {
        decide_slot(s, c, ENTRY_REJECTED, EMB_ERR_SEQUENCE, NO_OFFSET);
    } else if (has_held(s, session) && hold_find(&s->hold, session->session, first) != HELD_NONE) {
        /* Its twin is held already; even at `next`, where it waits only for room. */
        decide_slot(s, c, ENTRY_RETRY, EMB_ERR_RETRY, NO_OFFSET);
    } else if (first == session->next) {
        commit_data(s, c);
        if (has_held(s, session))
            cascade(s, session);
    } else {
        hold_add(s, c, session);
    }
}

/* Why a DATA entry cannot be ordered at all, or EMB_OK. */
static int data_refusal(const struct sequencer *s, const struct collected *c,
                        const struct meta_topic *topic, const struct meta_session *session)
{
    if (c->entry.kind != ENTRY_DATA || c->entry.message_count == 0)
        return EMB_ERR_CORRUPT_BATCH;
    if (!topic || topic->deleted)
        return EMB_ERR_UNKNOWN_TOPIC;
    if (!region_payload(s->region, c->entry.payload))
        return EMB_ERR_CORRUPT_BATCH; /* no replica could ever make it durable */
    if (!topic_has_sessions(&topic->settings))
        return c->entry.session == NO_SESSION ? EMB_OK : EMB_ERR_UNKNOWN_SESSION;
    if (!session || session->topic != topic->id)
        return EMB_ERR_UNKNOWN_SESSION;
    if (c->entry.client_sequence > NO_SEQUENCE - c->entry.message_count)
        return EMB_ERR_SEQUENCE;
    return session->ended ? EMB_ERR_SESSION_FENCED : EMB_OK;
}

static void order_data(struct sequencer *s, const struct collected *c)
{
    const struct meta_topic *topic = meta_topic_by_id(&s->meta, c->entry.topic);
    struct meta_session *session = meta_session_find(&s->meta, c->entry.session);
    int refusal = data_refusal(s, c, topic, session);
    if (refusal)
        decide_slot(s, c, ENTRY_REJECTED, refusal, NO_OFFSET);
    else if (session)
        order_in_session(s, c, session);
    else
        commit_data(s, c);
}

static void wait_for_room(struct sequencer *s, struct ring *waiting, const struct collected *c)
{
    bool pushed = ring_push(waiting, c);
    ASSERT(pushed);
    s->counters.waited++;
}

void order_entry(struct sequencer *s, const struct collected *c)
{
    if (c->entry.kind == ENTRY_META) {
        bool first = ring_count(&s->waiting_meta) == 0;
        if (!first || !decide_room(s, true) || !decide_request(s, c))
            wait_for_room(s, &s->waiting_meta, c);
    } else if (!ring_count(&s->waiting) && decide_room(s, false)) {
        order_data(s, c);
    } else {
        wait_for_room(s, &s->waiting, c);
    }
}

static bool may_decide(const struct sequencer *s, bool meta)
{
    return s->decided_count < PASS_ENTRIES / 2 && decide_room(s, meta);
}

/* Held batches whose turn came when there was no room: before what waits, or a busy log would keep
   them out for ever. */
static void release_due(struct sequencer *s)
{
    uint32_t next;
    for (uint32_t at = s->hold.active; at != HELD_NONE && may_decide(s, false); at = next) {
        next = s->hold.sessions[at].active_next;
        struct meta_session *session = &s->meta.sessions[at];
        if (!session->ended && !meta_topic_by_id(&s->meta, session->topic)->deleted)
            cascade(s, session);
    }
}

void order_waiting(struct sequencer *s)
{
    const struct collected *front;
    while ((front = ring_front(&s->waiting_meta)) && may_decide(s, true) &&
           decide_request(s, front))
        ring_pop(&s->waiting_meta);
    if (ring_count(&s->waiting))
        release_due(s);
    while ((front = ring_front(&s->waiting)) && may_decide(s, false)) {
        order_data(s, front);
        ring_pop(&s->waiting);
    }
}

void order_reject_held(struct sequencer *s, uint64_t session_id, int reason)
{
    const struct meta_session *session = meta_session_find(&s->meta, session_id);
    if (!session)
        return;
    struct session_hold *of = &s->hold.sessions[hold_place(s, session)];
    while (of->count && decide_room(s, true)) {
        struct collected c = s->hold.pool[of->first].batch;
        hold_remove(s, of->first);
        decide_slot(s, &c, ENTRY_REJECTED, reason, NO_OFFSET);
    }
}

/* ---- holding must not block ------------------------------------------------------------------ */

static void retry_oldest(struct sequencer *s, struct lane_in *lane)
{
    uint32_t at = lane->held_oldest;
    struct collected c = s->hold.pool[at].batch;
    hold_remove(s, at);
    decide_slot(s, &c, ENTRY_RETRY, EMB_ERR_RETRY, NO_OFFSET);
}

void order_retry_held(struct sequencer *s)
{
    uint32_t half = s->region->geometry.lane_slots / 2;
    for (uint32_t i = 0; i < s->region->geometry.lanes && s->counters.held_now; i++) {
        struct lane_in *lane = &s->lanes[i];
        if (!lane->live || lane->held_oldest == HELD_NONE)
            continue;
        lane->retry_below = region_retry_below_observe(s->region, i);
        while (lane->held_oldest != HELD_NONE && decide_room(s, true)) {
            uint64_t slot = s->hold.pool[lane->held_oldest].batch.entry.index;
            if (slot >= lane->retry_below && slot + half > lane->next - 1)
                break;
            retry_oldest(s, lane);
        }
    }
}

/* ---- gaps ------------------------------------------------------------------------------------ */

static uint64_t gap_timeout_ns(const struct sequencer *s, const struct meta_topic *topic)
{
    if (topic->settings.gap_timeout_us)
        return topic->settings.gap_timeout_us * 1000ULL;
    return topic->settings.gap == TOPIC_GAP_SKIP ? s->options.skip_timeout_ns
                                                 : s->options.fence_timeout_ns;
}

static uint64_t lowest_held(const struct sequencer *s, const struct session_hold *of)
{
    uint64_t lowest = NO_SEQUENCE;
    for (uint32_t at = of->first; at != HELD_NONE; at = s->hold.pool[at].session_next)
        lowest = min_u64(lowest, s->hold.pool[at].batch.entry.client_sequence);
    return lowest;
}

static void resolve_gap(struct sequencer *s, struct meta_session *session,
                        const struct session_hold *of, const struct meta_topic *topic)
{
    if (topic->settings.gap == TOPIC_GAP_SKIP) {
        decide_skip(s, session, lowest_held(s, of));
        cascade(s, session);
        return;
    }
    struct meta_record record = {.type = META_SESSION_END, .version = 1};
    record.session_end.session = session->session;
    record.session_end.reason = META_END_FENCED;
    struct goi_entry_shared entry = {.session = session->session,
                                     .client_sequence = session->next,
                                     .topic = session->topic,
                                     .reason = (uint8_t)-EMB_ERR_SESSION_FENCED};
    if (!decide_own_meta(s, &record, &entry))
        return;
    s->counters.fences++;
    order_reject_held(s, session->session, EMB_ERR_SESSION_FENCED);
}

/* Held batches that begin below `next` by now (their client cut its batches anew): not held on. */
static void settle_overtaken(struct sequencer *s, struct meta_session *session,
                             const struct session_hold *of)
{
    uint32_t next;
    for (uint32_t at = of->first; at != HELD_NONE && decide_room(s, true); at = next) {
        next = s->hold.pool[at].session_next;
        struct collected c = s->hold.pool[at].batch;
        if (c.entry.client_sequence >= session->next)
            continue;
        hold_remove(s, at);
        order_in_session(s, &c, session);
    }
}

/* Whether the batch at `next` is here and only waits for room: then nothing is missing. */
static bool next_is_here(struct sequencer *s, const struct meta_session *session)
{
    if (hold_find(&s->hold, session->session, session->next) != HELD_NONE)
        return true;
    for (size_t i = 0; i < ring_count(&s->waiting); i++) {
        const struct pbr_entry_shared *entry =
            &((const struct collected *)ring_at(&s->waiting, i))->entry;
        if (entry->session == session->session && entry->client_sequence <= session->next &&
            session->next - entry->client_sequence < entry->message_count)
            return true;
    }
    return false;
}

static void gap_begins(struct sequencer *s, struct session_hold *of,
                       const struct meta_session *session)
{
    of->gap_since_ns = s->now_ns;
    of->gap_next = session->next;
    of->gap_session = session->session;
}

static void end_old_gap(struct sequencer *s, struct session_hold *of, struct meta_session *session,
                        const struct meta_topic *topic)
{
    settle_overtaken(s, session, of);
    if (of->count == 0 || !decide_room(s, true))
        return;
    if (next_is_here(s, session))
        gap_begins(s, of, session);
    else if (topic->settings.gap == TOPIC_GAP_FENCE || decide_room(s, false))
        resolve_gap(s, session, of, topic); /* without room, skipping would serve nobody */
}

/* One session with held batches: commits what has become due, resolves what is too old. */
static void look_at_gap(struct sequencer *s, uint32_t place)
{
    struct session_hold *of = &s->hold.sessions[place];
    struct meta_session *session = &s->meta.sessions[place];
    const struct meta_topic *topic = meta_topic_by_id(&s->meta, session->topic);
    if (session->ended || topic->deleted) {
        order_reject_held(s, session->session,
                          session->ended ? EMB_ERR_SESSION_FENCED : EMB_ERR_UNKNOWN_TOPIC);
        return;
    }
    cascade(s, session);
    if (of->gap_session != session->session || of->gap_next != session->next)
        gap_begins(s, of, session);
    else if (s->now_ns - of->gap_since_ns >= gap_timeout_ns(s, topic))
        end_old_gap(s, of, session, topic);
}

void order_gaps(struct sequencer *s)
{
    if (s->hold.active == HELD_NONE || s->now_ns - s->gaps_ns < GAPS_EVERY_NS)
        return;
    s->gaps_ns = s->now_ns;
    uint32_t next;
    for (uint32_t place = s->hold.active; place != HELD_NONE; place = next) {
        next = s->hold.sessions[place].active_next;
        if (decide_room(s, true))
            look_at_gap(s, place);
    }
}

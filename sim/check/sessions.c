/*
 * "Per session the committed client sequences are contiguous and increasing, apart from ranges
 * declared lost." (3-protocol, Invariants; P5)
 *
 * A session is opened by a META entry, once, for one topic. From sequence 0 on each of its DATA and
 * SKIP entries begins where the one before ended; SKIP only in topics of policy "skip"; the end of
 * a session names that place too, and nothing is committed in it afterwards. Orders without
 * sessions carry none. A DATA entry is what its act is (session, sequence, count, topic,
 * timestamp), and an act with a session is committed once. A NOP says "duplicate": all of its range
 * was committed before, nothing of it lost, and the offset it names is the one of the batch that
 * begins there.
 */
#include <stdlib.h>

#include "sim/check/internal.h"

struct piece {
    uint64_t first, end;
    uint64_t base_offset; /* NO_OFFSET: declared lost */
};

struct session_seen {
    uint64_t session;
    uint16_t topic;
    bool ended;
    uint64_t next;
    uint64_t lost_below;
    struct piece *pieces; /* in order, without holes */
    uint64_t count, capacity;
};

static struct session_seen *sessions;
static uint64_t session_count, session_capacity;
static struct map by_id;

static void begin(void)
{
    session_count = 0;
    map_clear(&by_id);
}

static struct session_seen *session_seen(uint64_t session)
{
    uint64_t number;
    return map_get(&by_id, session, &number) ? &sessions[number] : NULL;
}

static void session_open(const struct committed *committed)
{
    const struct goi_entry_shared *entry = &committed->entry;
    if (session_seen(entry->session)) {
        finding("sessions", "%s: this session was opened before", entry_text(committed));
        return;
    }
    sessions = array_grow(sessions, &session_capacity, session_count + 1, sizeof *sessions);
    struct session_seen *seen = &sessions[session_count];
    seen->session = entry->session;
    seen->topic = entry->topic;
    seen->ended = false;
    seen->next = seen->lost_below = seen->count = 0;
    map_put(&by_id, entry->session, session_count++);
}

static void session_end(const struct committed *committed)
{
    const struct goi_entry_shared *entry = &committed->entry;
    struct session_seen *seen = session_seen(entry->session);
    if (!seen || seen->ended) {
        finding("sessions", "%s: ends a session that is not open", entry_text(committed));
        return;
    }
    if (entry->client_sequence != seen->next)
        finding("sessions", "%s: ends the session at another sequence than %llu, its next",
                entry_text(committed), (ull)seen->next);
    seen->ended = true;
}

static void piece_add(struct session_seen *seen, uint64_t first, uint64_t end, uint64_t base_offset)
{
    seen->pieces = array_grow(seen->pieces, &seen->capacity, seen->count + 1, sizeof *seen->pieces);
    seen->pieces[seen->count++] =
        (struct piece){.first = first, .end = end, .base_offset = base_offset};
    seen->next = end;
}

/* The piece that holds a sequence below `next`. */
static const struct piece *piece_of(const struct session_seen *seen, uint64_t sequence)
{
    uint64_t low = 0, high = seen->count;
    ASSERT(sequence < seen->next);
    while (low + 1 < high) {
        uint64_t middle = (low + high) / 2;
        if (seen->pieces[middle].first <= sequence)
            low = middle;
        else
            high = middle;
    }
    return &seen->pieces[low];
}

/* ---- what others ask ------------------------------------------------------------------------- */

enum range_is sessions_range(uint64_t session, uint64_t first, uint64_t end)
{
    const struct session_seen *seen = session_seen(session);
    if (!seen || end > seen->next || first >= end)
        return RANGE_NOT_YET;
    const struct piece *past_last = seen->pieces + seen->count;
    for (const struct piece *at = piece_of(seen, first); at < past_last && at->first < end; at++)
        if (at->base_offset == NO_OFFSET)
            return RANGE_PARTLY_LOST;
    return RANGE_COMMITTED;
}

bool sessions_ended(uint64_t session)
{
    const struct session_seen *seen = session_seen(session);
    return seen && seen->ended;
}

uint64_t sessions_lost_below(uint64_t session)
{
    const struct session_seen *seen = session_seen(session);
    return seen ? seen->lost_below : 0;
}

uint32_t sessions_data_after(uint64_t session, uint64_t first)
{
    const struct session_seen *seen = session_seen(session);
    uint32_t count = 0;
    for (uint64_t i = seen ? seen->count : 0; i-- > 0 && seen->pieces[i].first > first;)
        count += seen->pieces[i].base_offset != NO_OFFSET;
    return count;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* The open session of a DATA or SKIP entry; NULL, and a finding, when it is not. */
static struct session_seen *session_open_for(const struct committed *committed)
{
    struct session_seen *seen = session_seen(committed->entry.session);
    if (seen && !seen->ended && seen->topic == committed->entry.topic)
        return seen;
    finding("sessions", "%s: the session %s", entry_text(committed),
            !seen         ? "was never opened"
            : seen->ended ? "has ended"
                          : "is of another topic");
    return NULL;
}

static void compare_with_act(const struct committed *committed)
{
    const struct goi_entry_shared *entry = &committed->entry;
    const struct act *act = committed->act;
    if (!act)
        return; /* a finding of "bytes" */
    if (entry->session != act->session || entry->client_sequence != act->client_sequence ||
        entry->message_count != act->message_count || entry->topic != act->topic ||
        get_u48(entry->timestamp_ms) != act->max_timestamp_ms)
        finding("sessions", "%s has the bytes of %s, but not its identity", entry_text(committed),
                act_text(act));
    if (act->session == NO_SESSION)
        return;
    for (uint64_t at = log_next_about(committed->position); at != NO_POSITION;
         at = log_next_about(at))
        if (log_at(at)->entry.kind == ENTRY_DATA)
            finding("sessions", "%s: %s was committed already at position %llu",
                    entry_text(committed), act_text(act), (ull)at);
}

static void data(const struct committed *committed)
{
    const struct goi_entry_shared *entry = &committed->entry;
    const struct topic_settings *topic = log_topic(entry->topic);
    compare_with_act(committed);
    if (!topic)
        return; /* a finding of "offsets" */
    if (!topic_has_sessions(topic)) {
        if (entry->session != NO_SESSION || entry->client_sequence != NO_SEQUENCE)
            finding("sessions", "%s: its topic has no sessions", entry_text(committed));
        return;
    }
    struct session_seen *seen = session_open_for(committed);
    if (!seen)
        return;
    if (entry->client_sequence != seen->next)
        finding("sessions", "%s: the session's next sequence is %llu", entry_text(committed),
                (ull)seen->next);
    piece_add(seen, entry->client_sequence, entry->client_sequence + entry->message_count,
              entry->base_offset);
}

static void skip(const struct committed *committed)
{
    const struct goi_entry_shared *entry = &committed->entry;
    const struct topic_settings *topic = log_topic(entry->topic);
    struct session_seen *seen = session_open_for(committed);
    if (!seen)
        return;
    if (!topic || topic->gap != TOPIC_GAP_SKIP)
        finding("sessions", "%s: a range is declared lost in a topic that does not skip",
                entry_text(committed));
    if (entry->client_sequence != seen->next || entry->base_offset <= seen->next)
        finding("sessions",
                "%s: it declares %llu to %llu lost, the session's next sequence is %llu",
                entry_text(committed), (ull)entry->client_sequence, (ull)entry->base_offset,
                (ull)seen->next);
    piece_add(seen, seen->next, max_u64(entry->base_offset, seen->next + 1), NO_OFFSET);
    seen->lost_below = seen->next;
}

static void nop(const struct committed *committed)
{
    static const char *const states[] = {
        [RANGE_NOT_YET] = "is not committed", [RANGE_PARTLY_LOST] = "was declared lost"};
    const struct goi_entry_shared *entry = &committed->entry;
    uint64_t first = entry->client_sequence;
    enum range_is is = sessions_range(entry->session, first, first + entry->message_count);
    if (is != RANGE_COMMITTED) {
        finding("sessions", "%s: taken for a duplicate, but its range, or some of it, %s",
                entry_text(committed), states[is]);
        return;
    }
    const struct piece *piece = piece_of(session_seen(entry->session), first);
    if (entry->base_offset != NO_OFFSET &&
        (piece->first != first || piece->base_offset != entry->base_offset))
        finding("sessions", "%s: a duplicate, but of what begins at sequence %llu, offset %llu",
                entry_text(committed), (ull)piece->first, (ull)piece->base_offset);
}

static void committed(const struct committed *committed)
{
    switch (committed->entry.kind) {
    case ENTRY_DATA:
        data(committed);
        break;
    case ENTRY_SKIP:
        skip(committed);
        break;
    case ENTRY_NOP:
        nop(committed);
        break;
    case ENTRY_META:
        if (committed->record.type == META_SESSION_OPEN)
            session_open(committed);
        else if (committed->record.type == META_SESSION_END)
            session_end(committed);
        break;
    }
}

const struct checker check_sessions = {
    .name = "sessions",
    .invariant = "per session the committed client sequences are contiguous and increasing, apart "
                 "from ranges declared lost",
    .begin = begin,
    .committed = committed,
};

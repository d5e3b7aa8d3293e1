/*
 * "What was REJECTED or declared lost is never committed under its session." (3-protocol)
 *
 * One act may be sent more than once, so it may have several slots, each with an outcome. A
 * session's `next` only rises and an ended session stays so. From that follows, per act (session
 * and range): REJECTED, for whatever reason, then DATA: never. DATA, then REJECTED as
 *     SESSION_FENCED, UNKNOWN_SESSION  only once the session has ended (its place may be another's)
 *     UNKNOWN_TOPIC                    only once the topic was deleted
 *     LOST                             only when it is forgotten: SESSION_WINDOW batches later
 *     SEQUENCE, CORRUPT_BATCH, others  never: it is the same range and the same bytes
 *   REJECTED as LOST without DATA      only if it begins below the end of a range declared lost
 *   RETRY, then anything; anything, then NOP as far as "sessions" allows.
 * That a lost range is never committed is the rule of "sessions" that sequences rise.
 *
 * Of answers, in whatever order they arrive: LOST, and what is refused for its content (too large,
 * corrupt), then committed: never. SEQUENCE and a plain OK: never; SEQUENCE and "duplicate" may be
 * (its range was covered by others meanwhile). Content and OK: never.
 * SESSION_FENCED and the like are also what a client tells itself of its other batches when one was
 * refused; some of those may be committed.
 */
#include "sim/check/internal.h"

static void data(const struct committed *committed)
{
    const struct act *act = committed->act;
    if (!act)
        return;
    for (uint64_t at = log_next_about(committed->position); at != NO_POSITION;
         at = log_next_about(at))
        if (log_at(at)->entry.kind == ENTRY_REJECTED && act->session != NO_SESSION)
            finding("refused", "%s commits %s, which was rejected: %s", entry_text(committed),
                    act_text(act), entry_text(log_at(at)));
    const struct known_act *known = known_act(act);
    if (known->refused_lost || known->refused_content)
        finding("refused", "%s commits %s, whose publisher was told: %s", entry_text(committed),
                act_text(act), error_text(act->status));
}

/* Whether an act that was committed may be rejected so now. */
static bool may_follow_data(const struct committed *committed)
{
    const struct goi_entry_shared *entry = &committed->entry;
    const struct meta_topic *topic = meta_topic_by_id(log_meta(), entry->topic);
    switch (-(int)entry->reason) {
    case EMB_ERR_SESSION_FENCED:
    case EMB_ERR_UNKNOWN_SESSION:
        return sessions_ended(entry->session);
    case EMB_ERR_UNKNOWN_TOPIC:
        return !topic || topic->deleted;
    case EMB_ERR_LOST:
        return entry->client_sequence < sessions_lost_below(entry->session) &&
               sessions_data_after(entry->session, entry->client_sequence) >= SESSION_WINDOW;
    default:
        return false;
    }
}

static void rejected(const struct committed *committed)
{
    const struct act *act = log_about(committed->position);
    if (!act)
        return;
    uint64_t position = log_first_data(act);
    if (position != NO_POSITION && !may_follow_data(committed))
        finding("refused", "%s: it rejects %s, which is committed at position %llu",
                entry_text(committed), act_text(act), (ull)position);
    if (position == NO_POSITION && committed->entry.reason == -EMB_ERR_LOST &&
        act->client_sequence >= sessions_lost_below(act->session))
        finding("refused", "%s: nothing was declared lost at or above sequence %llu",
                entry_text(committed), (ull)act->client_sequence);
}

static void committed(const struct committed *committed)
{
    if (committed->entry.kind == ENTRY_DATA)
        data(committed);
    else if (committed->entry.kind == ENTRY_REJECTED)
        rejected(committed);
}

static void answered(struct act *act)
{
    const struct known_act *known = known_act(act);
    if (known->refused_sequence && known->plain_oks)
        finding("refused", "%s was answered both OK and \"%s\"", act_text(act),
                error_text(EMB_ERR_SEQUENCE));
    if (known->refused_content && known->oks)
        finding("refused", "%s was acknowledged, and refused for its content", act_text(act));
    if (known->refused_content && log_first_data(act) != NO_POSITION)
        finding("refused", "%s was refused for its content, but is committed at position %llu",
                act_text(act), (ull)log_first_data(act));
}

const struct checker check_refused = {
    .name = "refused",
    .invariant = "what was REJECTED or declared lost is never committed under its session",
    .committed = committed,
    .answered = answered,
};

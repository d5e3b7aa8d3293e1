/* Planted in the sequencer: wrong decisions. */
#include "sequencer/state.h"
#include "sim/bugs/planted.h"
#include "sim/bugs/wraps.h"

/* What a decision becomes under the bugs of ordering. */
static void distort(enum entry_kind *kind, int *reason)
{
    if (planted(BUG_DUPLICATE_COMMITTED) && *kind == ENTRY_NOP)
        *kind = ENTRY_DATA;
    if (planted(BUG_RETRY_ACKED) && *kind == ENTRY_RETRY)
        *kind = ENTRY_NOP;
    if (planted(BUG_STRADDLE_AS_DUPLICATE) && *kind == ENTRY_REJECTED &&
        *reason == EMB_ERR_SEQUENCE)
        *kind = ENTRY_NOP;
    if (*kind == ENTRY_NOP)
        *reason = 0;
}

WRAPS(void, decide_slot, struct sequencer *s, const struct collected *c, enum entry_kind kind,
      int reason, uint64_t base_offset)
{
    distort(&kind, &reason);
    if (planted(BUG_OFFSET_HOLE) && kind == ENTRY_DATA && s->counters.data % 16 == 15)
        meta_topic_by_id(&s->meta, c->entry.topic)->next_offset++;
    REAL(decide_slot)(s, c, kind, reason, base_offset);
}

WRAPS(void, decide_skip, struct sequencer *s, struct meta_session *session, uint64_t until)
{
    if (planted(BUG_GAP_SKIPPED_SILENTLY))
        session->next = until;
    else
        REAL(decide_skip)(s, session, until);
}

WRAPS(void, hold_add, struct sequencer *s, const struct collected *c,
      const struct meta_session *session)
{
    if (planted(BUG_HELD_COMMITTED))
        REAL(decide_slot)(s, c, ENTRY_DATA, 0, NO_OFFSET);
    else if (!planted(BUG_HOLD_FORGETS))
        REAL(hold_add)(s, c, session);
}

WRAPS(void, limits_update, struct sequencer *s)
{
    REAL(limits_update)(s);
    if (planted(BUG_GOI_SEGMENT_REUSED_EARLY))
        s->data_limit = s->meta_limit = UINT64_MAX;
}

/* One slot without outcome is what a leave itself counts, and too many for letting go. */
WRAPS(uint32_t, collect_lane_undecided, const struct sequencer *s, uint32_t lane)
{
    return planted(BUG_NEVER_LET_GO) ? 1 : REAL(collect_lane_undecided)(s, lane);
}

/* The pool is always short under the bugs of orphans, which else would seldom matter. */
WRAPS(uint32_t, segment_source_free, const struct segment_source *source, uint32_t enough)
{
    bool is_short = planted(BUG_ORPHANS_FREED_EARLY) || planted(BUG_ORPHANS_NOT_RETURNED);
    return is_short ? 0 : REAL(segment_source_free)(source, enough);
}

/* What a node has forgotten the sequencer would give back as soon as it leaves once more. */
WRAPS(void, orphans_node_left, struct sequencer *s, uint32_t node, uint64_t position)
{
    if (!planted(BUG_SEGMENTS_NOT_ADOPTED))
        REAL(orphans_node_left)(s, node, planted(BUG_ORPHANS_FREED_EARLY) ? 1 : position);
}

WRAPS(void, orphans_node_back, struct sequencer *s, uint32_t node)
{
    if (!planted(BUG_ORPHANS_NOT_RETURNED))
        REAL(orphans_node_back)(s, node);
}

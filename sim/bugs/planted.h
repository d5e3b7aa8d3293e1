/*
 * Deliberate faults, to prove that the checkers find them. One row each in planted.c: name, what is
 * wrong, which checker finds it, within how many seeds. Selected at run time; off otherwise. They
 * are planted around the production code, not in it: at the bottom of mem (sim/memory), or by
 * wrapping functions at link time (sim/bugs/wraps_*.c, `-Wl,--wrap`).
 */
#ifndef SIM_BUGS_PLANTED_H
#define SIM_BUGS_PLANTED_H

#include <stdbool.h>
#include <stdint.h>

enum bug {
    BUG_NONE,
    BUG_PAYLOAD_NOT_WRITTEN_BACK,
    BUG_PBR_NOT_WRITTEN_BACK,
    BUG_GOI_NOT_WRITTEN_BACK,
    BUG_COMMITTED_NOT_WRITTEN_BACK,
    BUG_LINE_NOT_INVALIDATED,
    BUG_PAYLOAD_NOT_INVALIDATED,
    BUG_DRAIN_IS_STORE_FENCE,
    BUG_COMMITTED_BEFORE_DRAIN,
    BUG_PAYLOAD_NOT_DRAINED,
    BUG_PIN_NOT_DRAINED,
    BUG_RETIREMENT_NOT_DRAINED,
    BUG_PLAIN_READ,
    BUG_TWO_WRITERS,
    BUG_EPOCH_NOT_CHECKED,
    BUG_EPOCH_CHECKED_IN_GROUP,
    BUG_RECOVERED_BEFORE_FENCED,
    BUG_ACK_BEFORE_SYNC,
    BUG_PROGRESS_BEFORE_SYNC,
    BUG_PROGRESS_AHEAD_OF_PREDECESSOR,
    BUG_DUPLICATE_ACKED_EARLY,
    BUG_DUPLICATE_COMMITTED,
    BUG_STRADDLE_AS_DUPLICATE,
    BUG_GAP_SKIPPED_SILENTLY,
    BUG_HELD_COMMITTED,
    BUG_HOLD_FORGETS,
    BUG_RETRY_ACKED,
    BUG_PBR_SLOT_REUSED_EARLY,
    BUG_GOI_SEGMENT_REUSED_EARLY,
    BUG_BLOG_SEGMENT_REUSED_EARLY,
    BUG_NEEDED_AHEAD,
    BUG_OFFSET_HOLE,
    BUG_TORN_FRAME_ACCEPTED,
    BUG_FOREIGN_DELIVERY,
    BUG_JOINER_TRUSTS_CHECKPOINT,
    BUG_STORE_BEGINS_LATE,
    BUG_SNAPSHOT_OF_LATER,
    BUG_LANE_BEGINS_ANEW,
    BUG_SEGMENTS_NOT_ADOPTED,
    BUG_NEVER_LET_GO,
    BUG_ORPHANS_FREED_EARLY,
    BUG_ORPHANS_NOT_RETURNED,
    BUG_COUNT
};

struct planted_bug {
    const char *name;    /* "payload-not-written-back" */
    const char *text;    /* what is wrong */
    const char *checker; /* who finds it: names of findings, separated by '|' */
    uint32_t seeds;      /* within so many, from 1 on */
};

const struct planted_bug *planted_bug(enum bug bug); /* 1 to BUG_COUNT - 1 */
enum bug planted_find(const char *name);             /* BUG_NONE: there is none of that name */
void planted_select(enum bug bug);                   /* at the beginning of each seed */
bool planted(enum bug bug);
void planted_readers_begin(void); /* what wraps_readers.c remembers of the seed before, forgotten */
/* Whether a node is in a lane's chain, and not its tail. */
bool planted_is_predecessor(uint32_t lane, uint32_t node);
/* Told by taps.c: what the outcome just taken was; the next payload is for a subscriber. */
void planted_note_outcome(bool is_duplicate);
void planted_note_delivery(void);
/* Whether this fiber is where a planted bug leaves out a drain. */
bool planted_forgets_drain(void);

#endif

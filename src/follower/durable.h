/*
 * D and kept: how far the log is what it promises. D is the position below which every entry has
 * on its chain what it asks for, and its chain enough members; kept is the same without the member
 * count. Both are computed from the completion words of the chains' tails (edge R8), each node for
 * itself. Until a lane has its chain, what has no payload to be copied (META, refusals) is durable
 * once every admitted store has synced it. Design: 3-protocol, "D".
 *
 * Two steps, so that an epoch check can stand between them: durable_scan reads, durable_accept
 * makes it count. Owner: a follower, or the sequencer. One thread.
 */
#ifndef FOLLOWER_DURABLE_H
#define FOLLOWER_DURABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "meta/meta.h"
#include "region/region.h"

#define DURABLE_JUMPS_MAX 16

/* What an entry asks of its chain; one for each GOI slot. */
struct durable_cell {
    uint8_t lane;
    uint8_t asks; /* ENTRY_ASKS_* | ASKS_PAYLOAD | min_insync << 4 */
};

struct durable_jump {
    uint64_t end;
    uint64_t next_start;
};

/* One cursor that walks as far as its condition holds. */
struct durable_cursor {
    uint64_t position; /* accepted */
    uint64_t scanned;  /* reached by the last scan */
};

struct durable {
    struct region *region;
    const struct meta_state *meta;
    struct durable_cell *cells;
    uint64_t end; /* after the last noted entry */
    struct durable_cursor durable;
    struct durable_cursor kept;
    struct durable_jump jumps[DURABLE_JUMPS_MAX]; /* the newest ones */
    uint32_t jump_count;
    uint64_t synced[LANE_MAX + 1]; /* tail words as last observed */
    uint64_t copied[LANE_MAX + 1];
    uint64_t observed_turn[LANE_MAX + 1];
    uint64_t turn;
};

int durable_init(struct durable *durable, struct region *region, const struct meta_state *meta);
void durable_free(struct durable *durable);
/* The log begins at `position`; everything below counts as covered. */
void durable_begin(struct durable *durable, uint64_t position);
/* Notes the next entry, already applied to the META state. */
void durable_note(struct durable *durable, uint64_t position, const struct goi_entry_shared *entry);
/* The log goes on at next_start after `end`. */
void durable_note_jump(struct durable *durable, uint64_t end, uint64_t next_start);
/* Observes tails' words where they are needed and walks both cursors; nothing counts yet. */
void durable_scan(struct durable *durable);
/* What was scanned counts; true if D or kept moved. */
bool durable_accept(struct durable *durable);

#endif

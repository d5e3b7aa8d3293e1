/*
 * A node's view of the region: its geometry, where things lie in it, and attaching to it. Every
 * node has its own `struct region`; none is global. Lines are read only by copying them out.
 * One thread (the node's) uses a region, but for the read-only fields. Design: 2-memory-model.
 */
#ifndef REGION_REGION_H
#define REGION_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "layout/control.h"
#include "layout/entry.h"
#include "layout/node.h"
#include "layout/segment.h"
#include "layout/superblock.h"
#include "mem/mem.h"

/* Offsets of everything in the region, derived from the geometry alone. */
struct region_areas {
    uint64_t epoch_slots;
    uint64_t workspaces;
    uint64_t workspace_bytes;
    uint64_t checkpoint_bytes; /* of one half, header line included */
    uint64_t nodes;
    uint64_t completions; /* [LANE_MAX + 1][NODE_MAX] lines */
    uint64_t lanes;
    uint64_t lane_bytes; /* head line and slots */
    uint64_t goi;
    uint64_t segment_bitmap;
    uint64_t segment_table;
    uint64_t blog; /* aligned to segment_bytes */
    uint32_t segments;
    uint64_t goi_entries; /* of the whole ring */
};

struct region {
    struct mem mem;
    unsigned char *base;
    struct geometry geometry;
    struct region_areas areas;
    uint8_t uuid[16];
    uint64_t epoch_floor; /* the highest epoch this node has seen; only rises */
};

/* ---- geometry -------------------------------------------------------------------------------- */

struct geometry geometry_dev(void);  /* 1 GiB */
struct geometry geometry_test(void); /* 64 MiB, everything wraps early */
/* EMB_ERR_INVALID_SETTING: which field, its value, what is accepted; also when nothing of the
   region would be left for BLog segments (fewer than 16). */
int geometry_check(const struct geometry *geometry, struct error *err);
void region_areas_compute(const struct geometry *geometry, struct region_areas *areas);

/* ---- life ------------------------------------------------------------------------------------ */

/* Writes an empty region into zero-filled or foreign memory; the superblock last. Blocks for as
   long as writing all but the BLog and the checkpoint bodies takes. */
int region_format(void *base, const struct geometry *geometry, enum mem_coherence coherence,
                  const uint8_t uuid[16], struct error *err);
/*
 * Checks the superblock and takes its geometry. writeback is for software-coherent regions.
 * Nothing is written: a read-only mapping will do for tools. region_bytes of a larger mapping
 * count. EMB_ERR_CORRUPT (no or a foreign magic, bad CRC), EMB_ERR_VERSION (layout older or newer:
 * both numbers), EMB_ERR_MISMATCH (a struct's size differs: which), EMB_ERR_CORRUPT "truncated"
 * when `bytes` is less than its region_bytes (both numbers).
 */
int region_attach(struct region *region, void *base, uint64_t bytes, enum mem_writeback writeback,
                  struct error *err);
/* Whether a formatted superblock stands there (its magic and CRC are right). */
bool region_is_formatted(const void *base, uint64_t bytes);

/*
 * What `region check` finds: every valid-looking line is verified (epoch slots, intervals,
 * checkpoint headers, node requests, segment lines, GOI entries of the current interval).
 * Calls fn with a sentence for each problem and returns their number. Works on a copied or
 * read-only mapping.
 */
int region_check(struct region *region, void (*fn)(void *arg, const char *problem), void *arg);

/* ---- epochs ---------------------------------------------------------------------------------- */

struct epoch_view {
    uint64_t epoch; /* 0: none was ever granted */
    uint32_t sequencer;
    uint32_t workspace;
    uint32_t slot;
};

/* *Look*: observes all epoch slots; the highest valid one, all zero when there is none. Raises
   region->epoch_floor. */
void region_epoch_look(struct region *region, struct epoch_view *view);
/* *Check*: true while `epoch` is the highest anyone has published. Its loads come after all
   loads before it (edge R3). Raises region->epoch_floor. */
bool region_epoch_is(struct region *region, uint64_t epoch);
/* Publishes an epoch slot and drains (the elector's grant; edge R1). */
void region_epoch_publish(struct region *region, const struct epoch_view *view);

/* ---- workspace ------------------------------------------------------------------------------- */

struct interval {
    uint64_t epoch; /* of the interval that ended; 0 in line 0 */
    uint64_t end;
    uint64_t next_start;
};

/* Publishes line `index` (below INTERVAL_MAX) of the epoch record (no drain). */
void region_interval_publish(struct region *region, uint32_t workspace, uint64_t owner_epoch,
                             uint64_t index, const struct interval *interval);
/* false: not there (yet). */
bool region_interval_observe(struct region *region, uint32_t workspace, uint64_t owner_epoch,
                             uint64_t index, struct interval *interval);
void region_committed_publish(struct region *region, uint32_t workspace, uint64_t committed);
uint64_t region_committed_observe(struct region *region, uint32_t workspace); /* to act */

/* The number of the newest checkpoint of this owner_epoch; 0: there is none. What it says is only
   known once it is loaded. */
uint64_t region_checkpoint_newest(struct region *region, uint32_t workspace, uint64_t owner_epoch);
/* Checkpoint halves, 0 and 1: where the body goes (capacity), then the header. The body is written
   with plain stores and mem_write_back; region_checkpoint_publish fills the header's CRC and drains
   before and after. While a body is being rewritten its old header stands: body_crc refuses it. */
void *region_checkpoint_body(struct region *region, uint32_t workspace, int half,
                             uint64_t *capacity);
void region_checkpoint_publish(struct region *region, uint32_t workspace, int half,
                               const struct checkpoint_shared *header);
/* The newest valid one of this owner_epoch: copies its body to *bytes (malloc'ed, the caller
   frees; at least one byte is allocated). EMB_ERR_NOT_FOUND when there is none, EMB_ERR_NO_MEMORY.
   Blocks for as long as copying takes. */
int region_checkpoint_load(struct region *region, uint32_t workspace, uint64_t owner_epoch,
                           struct checkpoint_shared *header, void **bytes);

/* ---- GOI ------------------------------------------------------------------------------------- */

/* Fills stamp and CRC and publishes the line at position (no drain). */
void region_goi_publish(struct region *region, uint64_t position, struct goi_entry_shared *entry);
/* false: what stands there is not that position's entry (not there yet, or overwritten). */
bool region_goi_observe(struct region *region, uint64_t position, struct goi_entry_shared *entry);
/* A group of at most `count` from position on, not beyond the ring's end, for the price of one
   where memory is not coherent: how many of the first are there. */
unsigned region_goi_observe_run(struct region *region, uint64_t position, unsigned count,
                                struct goi_entry_shared *entries);

/* ---- lanes ----------------------------------------------------------------------------------- */

/* Fills index, generation and CRC and publishes the slot (no drain). */
void region_lane_publish(struct region *region, uint32_t lane, uint32_t generation, uint64_t index,
                         struct pbr_entry_shared *entry);
/* LAPPED: a valid later entry, or a newer generation's, stands there: this reader's incarnation is
   over. */
enum lane_look { LANE_NOT_YET = 0, LANE_THERE = 1, LANE_LAPPED = -1 };
enum lane_look region_lane_observe(struct region *region, uint32_t lane, uint32_t generation,
                                   uint64_t index, struct pbr_entry_shared *entry);
/* A group of at most `count` from index on, not beyond the ring's end, for the price of one where
   memory is not coherent. *there of them are there; the result is that of the first that is not
   (LANE_THERE: all that were looked at are). */
enum lane_look region_lane_observe_run(struct region *region, uint32_t lane, uint32_t generation,
                                       uint64_t index, unsigned count,
                                       struct pbr_entry_shared *entries, unsigned *there);
void region_retry_below_publish(struct region *region, uint32_t lane, uint64_t index);
uint64_t region_retry_below_observe(struct region *region, uint32_t lane);

/* ---- nodes and completion -------------------------------------------------------------------- */

void region_node_request_publish(struct region *region, uint32_t node,
                                 struct node_request_shared *request);
bool region_node_request_observe(struct region *region, uint32_t node,
                                 struct node_request_shared *request);
struct node_beat_shared *region_node_beat(struct region *region, uint32_t node);
struct node_read_shared *region_node_read(struct region *region, uint32_t node);
struct completion_shared *region_completion(struct region *region, uint32_t lane, uint32_t node);

/* ---- payload --------------------------------------------------------------------------------- */

/* The bytes of a payload word, or NULL if it leaves its segment or the BLog (it came from
   another host: checked, not asserted). Not invalidated: see mem_observe_range. */
unsigned char *region_payload(struct region *region, uint64_t word);
/* The segment of a byte address, or UINT32_MAX outside the BLog. Addresses count from the
   region's start. */
uint32_t region_segment_of(const struct region *region, uint64_t address);
uint64_t region_segment_address(const struct region *region, uint32_t segment);
/*
 * A segment's generation: odd while a life of it is being written and read, even once that life is
 * retired; 0: never used, or its line is invalid. A payload may be read from memory later, without
 * being held by `needed`, only if the generation was odd when its entry was followed, and is still
 * the same after `reading` was published and drained (edge R5).
 */
uint64_t region_segment_generation(struct region *region, uint32_t segment);
/* The whole line; false: never used, or invalid. */
bool region_segment_observe(struct region *region, uint32_t segment, struct segment_shared *line);
static inline bool segment_is_living(uint64_t generation)
{
    return generation & 1;
}
/* Publishes the segment's line (no drain). */
void region_segment_publish(struct region *region, uint32_t segment, uint64_t generation,
                            uint32_t owner, uint32_t lane);

#endif

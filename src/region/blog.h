/*
 * A BLog: the segments that one ingest agent (or the sequencer, for its META) owns, and space in
 * them. Space is handed out in order, aligned to 64 bytes, and never spans segments; a segment
 * that is full waits until nobody needs it and begins a new life.
 *
 * Writer: the agent. Readers: everybody, through the payload words of entries. One thread.
 * Reuse (edge R5): a segment is retired when every slot in it has its outcome and all of it is
 * kept: its generation is raised and drained, and only then are the nodes' `needed` and `reading`
 * observed; once all of them have passed it, it is free. A new life raises the generation again
 * and drains before its first byte is handed out. Design: 3-protocol, "Reuse".
 *
 * Segments come from one pool: the shared bitmap on hardware-coherent regions, the node's
 * partition elsewhere, behind `struct segment_source`.
 */
#ifndef REGION_BLOG_H
#define REGION_BLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "region/region.h"

#define SEGMENT_NONE          UINT32_MAX
#define SEGMENT_PARTITION_MAX 4096

/* Where new segments come from. Several BLogs of one thread may share one. */
struct segment_source {
    struct region *region;
    bool shared;    /* the bitmap; else the partition below */
    uint32_t first; /* of the partition; 0 for the bitmap, which is searched as a whole */
    uint32_t count;
    uint64_t taken_mask[SEGMENT_PARTITION_MAX / 64]; /* partition: which are taken; local */
};

/* Hardware-coherent regions only (asserted). */
void segment_source_shared(struct segment_source *source, struct region *region);
/* count is 1 to SEGMENT_PARTITION_MAX, all of them segments of the region. */
void segment_source_partition(struct segment_source *source, struct region *region, uint32_t first,
                              uint32_t count);
/* A free segment, or SEGMENT_NONE. */
uint32_t segment_source_take(struct segment_source *source);
/* The caller holds `segment` from an earlier life: it is not given out. */
void segment_source_claim(struct segment_source *source, uint32_t segment);
void segment_source_give(struct segment_source *source, uint32_t segment);
/* How many segments of the shared bitmap are free; it counts to `enough` and no further. */
uint32_t segment_source_free(const struct segment_source *source, uint32_t enough);

enum blog_segment_state {
    BLOG_EMPTY,   /* this place holds no segment */
    BLOG_OPEN,    /* the newest life: space is handed out of it */
    BLOG_FULL,    /* its slots wait for outcomes and for being kept */
    BLOG_RETIRED, /* generation raised; waits for the nodes */
    BLOG_READY,   /* nobody needs it: the next life may begin */
};

/* One place: a segment and the life it is in. */
struct blog_segment {
    uint32_t segment;
    enum blog_segment_state state;
    uint64_t generation;
    uint64_t life;          /* number of the life in this BLog, rising */
    uint64_t slots_end;     /* PBR index after the last entry in it; 0: none yet */
    uint32_t open_slots;    /* entries in it without outcome */
    uint32_t reservations;  /* handed out, neither published nor abandoned */
    uint64_t last_position; /* highest position of an outcome in it; NO_POSITION: none */
};

struct blog {
    struct region *region;
    struct segment_source *source;
    uint32_t node;
    uint32_t lane;
    uint32_t quota; /* segments it may own; set by blog_set_quota */
    uint32_t owned; /* it may exceed quota until what is too much is free */
    struct blog_segment *places;
    uint32_t place_count;
    uint32_t open_place; /* place of the open life; UINT32_MAX: none */
    uint64_t lives;      /* begun so far */
    uint32_t tail_bytes; /* used in the open one */
    uint32_t tail_start; /* where the newest reservation starts; UINT32_MAX: it was given back */
    bool source_dry;     /* the source had none when last asked */
};

/* What blog_reclaim needs to know of the world. */
struct blog_horizon {
    uint64_t kept;       /* everything below is kept */
    uint64_t live_nodes; /* bit per node whose needed and reading count */
};

/* quota is 1 to 65535. EMB_OK or EMB_ERR_NO_MEMORY. Takes no segment yet. */
int blog_init(struct blog *blog, struct region *region, struct segment_source *source,
              uint32_t node, uint32_t lane, uint32_t quota);
void blog_free(struct blog *blog); /* local memory only: segments stay taken */
/*
 * Takes over what an earlier incarnation of this node left in its segments: their lines name it,
 * and it has said that it is gone. All their entries lie below `end`. They are reclaimed like any
 * other. Before the first reservation. EMB_OK or EMB_ERR_NO_MEMORY.
 */
int blog_adopt(struct blog *blog, uint64_t end);
/* Less: what is too much goes back to the source as it becomes free. EMB_OK or
   EMB_ERR_NO_MEMORY. */
int blog_set_quota(struct blog *blog, uint32_t quota);

/* A place in the BLog: handle and address. Valid until published or abandoned. */
struct blog_space {
    unsigned char *bytes;
    uint64_t address; /* from the region's start */
    uint64_t held;    /* the life it stands in; never repeats, stays valid until its outcomes */
};

/* The most that can be reserved at once: a segment, but less than 16 MiB (payload words). */
uint32_t blog_batch_max(const struct blog *blog);
/* Reserves `bytes` (1 to blog_batch_max; more never fits: false). false: no segment is free now;
   call blog_reclaim and try again later. Each reservation ends with exactly one of
   blog_published, blog_abandoned and blog_trim to 0. */
bool blog_reserve(struct blog *blog, uint32_t bytes, struct blog_space *space);
/* Shortens the newest reservation (of an older one the rest stays a hole). To 0 bytes: the same as
   blog_abandoned. */
void blog_trim(struct blog *blog, const struct blog_space *space, uint32_t bytes);
/* The reservation became slot `index` (order 0 at any ack level too: it gets an outcome). */
void blog_published(struct blog *blog, const struct blog_space *space, uint64_t index);
/* The reservation became nothing (connection lost, bad batch): a hole, or given back if it is the
   newest. */
void blog_abandoned(struct blog *blog, const struct blog_space *space);
/* A slot whose payload stands in life `held` got its outcome at `position`. */
void blog_outcome(struct blog *blog, uint64_t held, uint64_t position);
/* Retires and frees what can be, oldest first, until more than half of the quota is free: the rest
   stays readable from memory. Returns how many segments became writable or went back. Cheap when
   there is nothing to do. */
int blog_reclaim(struct blog *blog, const struct blog_horizon *horizon);
/* Bytes that can still be reserved without reclaiming (as far as the source's last answer goes),
   and all it may own. */
uint64_t blog_free_bytes(const struct blog *blog);
uint64_t blog_total_bytes(const struct blog *blog);
/* All slots of the oldest full segment that still has open slots are below this index; 0: there is
   none. What the lane publishes as retry_below when it is short of space, if it is higher than
   what it published before. */
uint64_t blog_blocking_slot(const struct blog *blog);

/* ---- reuse, for owners without a BLog -------------------------------------------------------- */

/* The lowest position that a live node needs, or that any node reads now: what lies below, and was
   retired and drained before, is free. NO_POSITION: nobody is live. */
uint64_t blog_lowest_needed(struct region *region, uint64_t live_nodes);
/* A segment that is free, of that (even) generation and last lane, goes back to its source. */
void blog_give_back(struct segment_source *source, uint32_t segment, uint64_t generation,
                    uint32_t lane);

#endif

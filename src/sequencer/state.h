/* Inside sequencer: its state, shared by its files. One thread; lifetime of the sequencer. */
#ifndef SEQUENCER_STATE_H
#define SEQUENCER_STATE_H

#include "base/ring.h"
#include "follower/durable.h"
#include "meta/meta.h"
#include "region/blog.h"
#include "region/region.h"
#include "sequencer/sequencer.h"

#define PASS_ENTRIES   1024 /* decided in one pass, at most, before it is committed */
#define LANE_BURST     64   /* collected from one lane before the next has its turn */
#define PRODUCER_BLOCK 4096

/* An entry that was collected and has no outcome yet. */
struct collected {
    struct pbr_entry_shared entry;
    uint32_t lane;
};

struct lane_in {
    bool live;
    bool left; /* its broker broke the ring's rules: nothing more is collected from it */
    uint32_t generation;
    uint64_t next;        /* index of the next slot to collect */
    uint64_t retry_below; /* as last observed */
    uint32_t held_oldest; /* list of held batches in slot order; HELD_NONE: empty */
    uint32_t held_newest;
};

#define HELD_NONE UINT32_MAX

/* A batch that waits for its session's earlier ones; its PBR slot is not decided. */
struct held {
    struct collected batch;
    uint32_t hash_next;
    uint32_t lane_next, lane_prev;
    uint32_t session_next, session_prev;
    uint32_t place; /* of its session */
};

/* What ordering needs beside meta_session, by its place. */
struct session_hold {
    uint32_t first; /* list of this session's held batches, unordered */
    uint32_t count;
    uint64_t gap_since_ns;             /* since when `next` did not move though something is held */
    uint64_t gap_next;                 /* `next` at that time */
    uint64_t gap_session;              /* whose gap that was: places are used again */
    uint32_t active_next, active_prev; /* places with held batches; HELD_NONE ends */
    bool active;
};

struct hold {
    struct held *pool;
    uint32_t capacity;
    uint32_t free;
    uint32_t *buckets;
    uint32_t mask;
    struct session_hold *sessions; /* by place */
    uint32_t active;               /* first place with held batches */
};

/* Decided in this pass, not committed yet. */
struct decided {
    struct goi_entry_shared entry;
};

struct checkpoint_state {
    bool under_way;
    bool wanted; /* by a node that was just admitted */
    int half;
    uint64_t sequence;
    uint64_t covers;         /* of the one under way */
    uint64_t durable;        /* D when it began */
    uint64_t covers_drained; /* of the last whole one */
    uint64_t used;
    uint32_t body_crc;
    struct meta_cursor cursor;
    uint32_t lane; /* next lane item; LANE_MAX: all written */
    uint64_t last_ns;
};

/* What nodes that have left still hold. */
struct orphans {
    uint64_t left_position[NODE_MAX]; /* where its leave stands; 0: it never left, or is back, or
                                         holds nothing any more */
    uint32_t next;                    /* of the one that left first, nothing stands below */
    uint64_t looked_ns;
};

struct sequencer {
    struct sequencer_options options;
    struct region *region;
    struct epoch_view epoch;
    struct error failure;
    struct meta_state meta;
    struct durable durable;
    struct segment_source source;
    struct blog blog; /* payload of its own META */
    uint64_t own_slot;

    struct lane_in lanes[LANE_MAX];
    uint32_t first_lane; /* whose turn it is to be collected first */
    uint8_t *undecided;  /* for each slot of each lane: it was collected and has no outcome yet */
    struct ring waiting; /* struct collected: DATA without room in the GOI */
    struct ring waiting_meta; /* META, when even its reserve is used up; never behind DATA */
    struct hold hold;

    uint64_t counter; /* the next position: the one global counter */
    struct decided *decided;
    uint32_t decided_count;
    uint64_t data_limit; /* positions at or beyond are not for DATA */
    uint64_t meta_limit; /* nor for anything */
    uint64_t limits_ns;

    uint64_t now_ns;
    uint64_t admission_ns;
    struct admission_asker {
        uint64_t incarnation;
        uint64_t heartbeat; /* at the last look */
    } askers[NODE_MAX];
    uint32_t admission_looks;
    uint64_t gaps_ns;
    uint64_t mark_position; /* of the last producer block */
    bool begun;             /* the first META entries are decided */
    uint32_t lines_collected;
    struct checkpoint_state checkpoint;
    struct orphans orphans;
    struct sequencer_counters counters;
};

/* collect.c: takes new PBR entries from all live lanes and decides each (order.c). */
void collect_pass(struct sequencer *s);
/* As granted in the state: its generation, and where it starts. */
void collect_lane_open(struct sequencer *s, uint32_t lane);
void collect_lane_close(struct sequencer *s, uint32_t lane);
/* How many of its slots were collected and have no outcome yet. */
uint32_t collect_lane_undecided(const struct sequencer *s, uint32_t lane);
/* Whether the slot `index` was collected and has no outcome yet: its flag. */
uint8_t *collect_undecided(const struct sequencer *s, uint32_t lane, uint64_t index);

/* order.c */
/* Decides one collected entry: commits, holds, rejects; or leaves it waiting for room. */
void order_entry(struct sequencer *s, const struct collected *c);
/* Decides what waited for room, as far as there is some. */
void order_waiting(struct sequencer *s);
/* Rejects every held batch of an ended session. */
void order_reject_held(struct sequencer *s, uint64_t session, int reason);
/* RETRY for held batches that stand in the way; gap timeouts. */
void order_retry_held(struct sequencer *s);
void order_gaps(struct sequencer *s);

/* decide.c: the pass buffer. Each appends one entry at the next position and applies it. */
bool decide_room(const struct sequencer *s, bool meta);
void decide_slot(struct sequencer *s, const struct collected *c, enum entry_kind kind, int reason,
                 uint64_t base_offset);
/* false: not now, for the place it would take still has held batches of an ended session. */
bool decide_request(struct sequencer *s, const struct collected *c);
/* The sequencer's own META; false: no room or no space for its payload now. */
bool decide_own_meta(struct sequencer *s, const struct meta_record *record,
                     struct goi_entry_shared *entry);
void decide_skip(struct sequencer *s, struct meta_session *session, uint64_t until);
/* After a node's leave at that position: its lanes are read no more, its segments are nobody's. */
void decide_left(struct sequencer *s, uint32_t node, uint64_t position);

/* commit.c */
void commit_pass(struct sequencer *s);
/* Looks at all epoch slots; false (and stops for good) when one is higher, or is this epoch's and
   was granted to somebody else. */
bool commit_look(struct sequencer *s);

/* hold.c: the index of held batches. */
int hold_init(struct hold *hold, uint32_t capacity, uint32_t places);
void hold_free(struct hold *hold);
/* Its place in the pool, HELD_NONE when none is held there. */
uint32_t hold_find(const struct hold *hold, uint64_t session, uint64_t client_sequence);
void hold_add(struct sequencer *s, const struct collected *c, const struct meta_session *session);
void hold_remove(struct sequencer *s, uint32_t at);
uint32_t hold_place(const struct sequencer *s, const struct meta_session *session);

/* limits.c: how far the GOI may be written. */
void limits_update(struct sequencer *s);
/* Bit per node that is in the rack. */
uint64_t limits_live_nodes(const struct sequencer *s);

/* orphans.c: segments of nodes that have left. */
/* Gives some back when the shared pool is short. Before anything of the pass is decided. */
void orphans_pass(struct sequencer *s);
/* Its leave is decided, at that position: from then on its segments have no other writer. */
void orphans_node_left(struct sequencer *s, uint32_t node, uint64_t position);
/* It is admitted: its segments are its own again. */
void orphans_node_back(struct sequencer *s, uint32_t node);

/* admission.c: nodes that ask, or take it back; lanes, chains, producer ids. */
void admission_pass(struct sequencer *s);

/* checkpoint.c: a slice of the next checkpoint, when one is due; 1 if so. It is work: the log may
   wait for it, so nobody sleeps between slices. */
int checkpoint_pass(struct sequencer *s);
/* Writes a whole one at once (start of an epoch). */
int checkpoint_write(struct sequencer *s);

#endif

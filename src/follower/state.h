/* Inside follower: its state, shared by its files. One thread; lifetime of the follower. */
#ifndef FOLLOWER_STATE_H
#define FOLLOWER_STATE_H

#include "base/ring.h"
#include "follower/durable.h"
#include "follower/follower.h"

#define INDEX_SAMPLE_EVERY 64

/* One for each GOI slot: what the topic's index needs beside the entry itself. */
struct index_cell {
    uint32_t lap;        /* position / ring size of the entry it is about */
    uint32_t next_delta; /* to the topic's next DATA entry; 0: it is the newest */
    uint32_t generation; /* low bits, of its payload's segment */
    uint16_t topic;      /* 0: not DATA */
};

/* Every INDEX_SAMPLE_EVERY-th batch of a topic, so that a search need not begin at the oldest. */
struct index_sample {
    uint64_t offset;
    uint64_t position;
    uint64_t max_timestamp_ms; /* of this batch and those before the next sample */
};

struct topic_index {
    uint64_t oldest; /* position of the oldest DATA entry in the ring, NO_POSITION: none */
    uint64_t newest;
    uint64_t passed; /* what comes before has left memory; 0, or of the chain if above `oldest` */
    uint64_t batches;
    struct ring samples; /* of struct index_sample */
};

/* What the follower knows of one BLog segment. */
struct segment_note {
    uint64_t generation;
    uint64_t last_position;
    uint64_t last_address;
};

struct follower {
    struct region *region;
    uint32_t node;
    uint32_t entries_per_turn;
    struct meta_state meta;
    struct durable durable;
    struct epoch_view epoch; /* epoch 0: none yet */
    uint64_t line;           /* of the epoch record to look at next */
    uint64_t position;
    uint64_t incarnation;     /* 0: the log is read from its first entry */
    uint64_t checkpoint_seen; /* number of the last one that was looked into */
    uint64_t admitted;        /* A of join.c: below it the state is the checkpoint's */
    uint64_t covers;          /* of that checkpoint */
    uint64_t live_nodes;
    struct error failure;

    struct goi_entry_shared *taken; /* of this turn */
    struct ring outcomes;
    uint64_t lane_slot[LANE_MAX]; /* absolute index near which this lane's slots are */
    uint32_t lane_segment[LANE_MAX + 1];

    struct index_cell *cells;
    struct topic_index *topics; /* by id - 1 */
    struct segment_note *segments;
    uint64_t memory_floor; /* below it some payload is gone: only rises */
    uint64_t floor_turn;   /* which segments are gone is looked at again in this turn, or later */

    uint64_t needed_by_replica;
    uint64_t store_synced;
    uint64_t reading;
    uint64_t needed_published;
    uint64_t position_published;
    uint64_t heartbeat_ns;
    uint64_t heartbeat;
    struct follower_counters counters;
};

/* index.c */
int index_init(struct follower *f);
void index_free(struct follower *f);
/* Takes an entry (of any kind) into the index; the payload's segment is observed if it may be
   another life of it. */
void index_note(struct follower *f, uint64_t position, const struct goi_entry_shared *entry);
/* The same for an entry that nothing holds in memory: it counts only if it cannot be another's. */
void index_note_early(struct follower *f, uint64_t position, const struct goi_entry_shared *entry);

/* join.c: false while there is no checkpoint of this epoch that holds the node's admission. `first`
   is the log's first position. */
bool join_begin(struct follower *f, const struct epoch_view *epoch, uint64_t first);
/* The entry at the position is gone. true: it need not be there, the log is read from D on. */
bool join_passes_over(struct follower *f);
/* Takes an entry below the admission. */
void join_take(struct follower *f, const struct goi_entry_shared *entry);

/* pins.c */
void pins_init(struct follower *f);
/* Heartbeat and epoch floor, also of a node that is not admitted yet: only who lives is. */
void pins_beat(struct follower *f, uint64_t now_ns);
/* Publishes what has changed: read position, needed, heartbeat. */
void pins_publish(struct follower *f, uint64_t now_ns);

#endif

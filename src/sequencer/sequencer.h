/*
 * The sequencer: collects what the lanes hold, orders it, commits it to the GOI. One agent, one
 * thread; it may share that with its node. It writes its epoch's workspace and GOI entries, its own
 * segments, and the lines of segments whose owner has left, and nothing else (law 1). Design:
 * 3-protocol, "2. Order". How it works: README.md.
 */
#ifndef SEQUENCER_SEQUENCER_H
#define SEQUENCER_SEQUENCER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "region/region.h"

struct sequencer;

struct sequencer_options {
    struct region *region;
    uint32_t node;
    struct epoch_view epoch;   /* as the elector granted and published it */
    uint64_t wall_offset_ms;   /* wall clock minus now_ns / 10^6, for META timestamps */
    uint32_t chain_length;     /* members of a chain; 0: no replication */
    uint32_t stores_expected;  /* chains are fixed once so many stores are admitted */
    uint32_t nodes_expected;   /* into how many partitions a software-coherent region is cut */
    uint64_t pass_ns;          /* a pass collects no longer; 0: 500 us */
    uint64_t fence_timeout_ns; /* 0: 15 s */
    uint64_t skip_timeout_ns;  /* 0: 1.5 ms */
};

/* Whether a first sequencer could begin in this region: before an epoch is asked for, which would
   end the one that works there. EMB_ERR_NOT_SUPPORTED: an epoch was granted in it already, or it
   holds one's log. */
int sequencer_check_region(struct region *region, struct error *err);
/*
 * Begins the epoch: checkpoint, epoch record, drain, look (design, "Record, then look, then
 * write"). EMB_ERR_STALE_EPOCH when a higher one was granted meanwhile, or this one to another node
 * as well: then nothing was written; EMB_ERR_NOT_SUPPORTED when the region holds an earlier epoch's
 * log.
 */
int sequencer_create(const struct sequencer_options *options, struct sequencer **sequencer,
                     struct error *err);
void sequencer_destroy(struct sequencer *sequencer);
/* One pass: the number of entries committed and lines collected. */
int sequencer_do_work(struct sequencer *sequencer, uint64_t now_ns);
/* EMB_OK while it orders; EMB_ERR_STALE_EPOCH once it saw a higher epoch, or its own with another's
   name, and stopped for good. */
int sequencer_failure(const struct sequencer *sequencer, struct error *err);

struct sequencer_counters {
    uint64_t passes;           /* with at least one entry */
    uint64_t counter_advances; /* one a pass, one more for each GOI segment's end in it */
    uint64_t data, meta, nop, rejected, retry, skip;
    uint64_t held; /* batches that were held at all */
    uint64_t held_now;
    uint64_t released; /* held batches committed by a cascade */
    uint64_t waited;   /* DATA that waited for room in the GOI */
    uint64_t fences;
    uint64_t checkpoints;
    uint64_t looks;
    uint64_t lanes_left; /* lapped, or overwritten before they had an outcome: not read any more */
    uint64_t orphans;    /* segments given back in place of nodes that had left */
    uint64_t committed;  /* position */
};
void sequencer_counters(const struct sequencer *sequencer, struct sequencer_counters *counters);

#endif

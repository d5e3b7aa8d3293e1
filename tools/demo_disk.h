/*
 * P4: what the stores hold, held against what subscribers were handed. The stores of all nodes are
 * read one after another; every batch of the topic must stand whole on every member of its lane's
 * chain, below that member's last sync, and hold the messages of its offsets byte for byte.
 *
 * One thread. The first violation stays in `why`.
 */
#ifndef TOOLS_DEMO_DISK_H
#define TOOLS_DEMO_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "layout/limits.h"
#include "store/store.h"
#include "tools/demo_check.h"
#include "tools/demo_source.h"

struct disk_batch {
    uint64_t position;
    uint64_t base_offset;
    uint32_t count;
    uint8_t lane;
    uint8_t chain_count;
    uint16_t members; /* a bit for each member of the chain that holds it */
};

struct disk_member {
    uint32_t node;
    uint64_t batches;
    uint64_t bytes;
};

struct disk_chain {
    uint16_t count; /* 0: none yet */
    uint32_t members[CHAIN_MAX];
};

struct disk_check {
    const struct delivered *delivered;
    const char *topic;
    struct disk_batch *batches; /* in order of position */
    uint64_t batch_count;
    uint64_t batch_capacity;
    struct disk_member members[LANE_MAX + 1][CHAIN_MAX]; /* what was found, by lane and place */
    /* Of the store that is being read. */
    uint32_t node;
    struct disk_chain chains[LANE_MAX + 1];
    uint16_t topic_id; /* 0: its creation was not read yet */
    uint64_t batch_index;
    uint64_t next_offset;
    uint64_t last_position; /* of a batch in its care */
    bool cares;             /* it has one */
    char why[WHY_BYTES];
};

void disk_check_init(struct disk_check *check, const struct delivered *delivered,
                     const char *topic);
void disk_check_free(struct disk_check *check);
/* Begins the store of a node, takes its frames (a store_scan callback), ends it. */
void disk_check_begin(struct disk_check *check, uint32_t node);
int disk_check_frame(void *arg, const struct store_frame *frame);
bool disk_check_end(struct disk_check *check, uint64_t synced_position);
/* After all stores: every batch on at least `replicas` members and on all of its chain, every
   message in a batch. */
bool disk_check_finish(struct disk_check *check, unsigned replicas);

#endif

/*
 * The replica: copies the log from shared memory into its node's store and says how far it has
 * come. An agent in the thread of its node's follower, called after it: what the follower holds
 * has passed the epoch check of its turn. Design: 3-protocol, "3. Replicate".
 *
 * Writer of the completion lines (lane, this node) of the region, for the lanes in its care: those
 * whose chain names this node. Readers: the successor in the chain and every follower (edge R8).
 * Lifetime: between those of the follower and the store it is given, which must outlive it.
 */
#ifndef REPLICA_REPLICA_H
#define REPLICA_REPLICA_H

#include <stdint.h>

#include "base/error.h"
#include "follower/follower.h"
#include "region/region.h"
#include "store/store.h"

struct replica;

struct replica_options {
    struct follower *follower;
    struct store *store;
    struct region *region;
    uint32_t node;
    uint64_t sync_bytes;     /* sync at the latest when so much is unsynced; 0: 64 MiB */
    uint64_t sync_period_ns; /* and so long after an entry that asks only to be copied; 0: 250 ms */
};

/* The store is open, its log not begun: that is done here once the follower knows where. Pins all
   memory until then. EMB_ERR_NO_MEMORY. */
int replica_create(const struct replica_options *options, struct replica **replica,
                   struct error *err);
/* Releases the pin. The store is not synced: what asked for it has been or was never promised. */
void replica_destroy(struct replica *replica);

/* An agent's duty cycle: entries taken, completions of the store, syncs begun, words published. */
int replica_do_work(struct replica *replica, uint64_t now_ns);

/*
 * EMB_OK, or why it has ended: the store's log could not be begun, CORRUPT_BATCH (a payload that is
 * not what its entry says: position, lane, reason), OFFSET_OUT_OF_RANGE (an entry was overwritten
 * before it was copied), CORRUPT (an entry that cannot be), or the store's failure. It then copies,
 * syncs and publishes nothing more, holds back no memory, and what it has published stays true. Its
 * turns still take what the store has under way.
 */
int replica_failure(const struct replica *replica, struct error *err);

/* The first position that it has not yet given to the store. */
uint64_t replica_position(const struct replica *replica);

struct replica_counters {
    uint64_t turns;
    uint64_t entries;
    uint64_t payloads;
    uint64_t payload_bytes;
    uint64_t jumps;
    uint64_t busy; /* the store's staging was full */
    uint64_t syncs;
    uint64_t publishes; /* words */
};
void replica_counters(const struct replica *replica, struct replica_counters *counters);

#endif

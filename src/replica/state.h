/*
 * A replica's state and its three steps: copying, syncing, saying so. One thread; only this room
 * includes it. Lifetime: the replica's.
 */
#ifndef REPLICA_STATE_H
#define REPLICA_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "replica/replica.h"

/* An entry between the follower and the store; kept while the store's staging is full. */
struct replica_item {
    bool there;
    struct goi_entry_shared entry;
    const unsigned char *payload; /* checked; NULL: the entry alone is stored */
    uint32_t payload_bytes;
};

/* What this replica knows of one lane. Ends are the position after the newest of their kind. */
struct replica_lane {
    uint64_t sync_asked_end; /* entries that ask to be synced, in its care or not */
    uint64_t copy_asked_end; /* entries that ask to be copied only */
    /* Payload that was asked for but is not in this store, as the lane was not in its care. */
    uint64_t missing_first;
    uint64_t missing_end;
    /* Place in the chain of `version`: -1 when the lane is not in its care. */
    uint16_t version;
    int place;
    uint32_t predecessor;
    /* As published: these words only rise. */
    uint64_t synced_word;
    uint64_t copied_word;
};

struct replica {
    struct follower *follower;
    struct store *store;
    struct region *region;
    uint32_t node;
    uint64_t sync_bytes;
    uint64_t sync_period_ns;
    struct error failure;
    bool begun;

    uint64_t cursor; /* the next position to be given to the store */
    struct replica_item item;
    struct replica_lane lanes[LANE_MAX + 1];

    uint64_t sync_wanted_end;  /* entries that want a sync at once */
    uint64_t copy_wanted_end;  /* entries that want one within the period */
    uint64_t copy_wanted_ns;   /* since when the oldest of them waits */
    uint64_t sync_covers_end;  /* what the newest sync covers, finished or not */
    uint64_t flush_covers_end; /* and the newest flush */
    uint64_t needed_told;      /* to the follower */
    bool all_covered;          /* every lane in its care, since the last entry was given */
    uint64_t chain_changes;    /* of the META state, as of the last look at all lanes */
    struct replica_counters counters;
};

/* Ends the replica: writes the reason, releases the pin. Returns the code. */
int replica_fail(struct replica *replica, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* copy.c: gives entries to the store; how many. */
int replica_copy(struct replica *replica, uint64_t now_ns);
/* sync.c: begins a sync when one is due; 1 if so. */
int replica_sync(struct replica *replica, uint64_t now_ns);
/* progress.c: publishes completion words and drains; how many. */
int replica_publish(struct replica *replica);
/* progress.c: the lane, its place brought up to the newest chain the follower knows. */
struct replica_lane *replica_lane_look(struct replica *replica, uint32_t lane);

#endif

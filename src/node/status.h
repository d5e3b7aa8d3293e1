/*
 * What a node adds to its broker's STATUS answers. Called in the node's thread, while it answers.
 */
#ifndef NODE_STATUS_H
#define NODE_STATUS_H

#include <stdint.h>

#include "broker/broker.h"
#include "cluster/member.h"
#include "replica/replica.h"
#include "store/store.h"

/* Table "process": the process id that this node runs in. */
void node_status_process(uint32_t node, broker_status_fn *fn, void *arg);
/*
 * Table "node", beside what the log says of each: its state (live, silent, left, asks), for how
 * long no heartbeat was seen, how far it has read, what it needs of the memory, what its store has
 * synced. "asks": it waits for its admission.
 */
void node_status_members(struct region *region, const struct meta_state *meta,
                         const struct member *member, broker_status_fn *fn, void *arg);
/* Table "broker": who orders, and for how long D has stood below what is committed, in ms. */
void node_status_log(uint32_t node, uint32_t sequencer, uint64_t durable_waits_ms,
                     broker_status_fn *fn, void *arg);
/* Table "replica": how far it has come, and what its store has done. */
void node_status_replica(uint32_t node, const struct replica *replica, const struct store *store,
                         broker_status_fn *fn, void *arg);

#endif

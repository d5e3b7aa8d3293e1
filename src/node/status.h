/*
 * What a node adds to its broker's STATUS answers. Called in the node's thread, while it answers.
 */
#ifndef NODE_STATUS_H
#define NODE_STATUS_H

#include <stdint.h>

#include "broker/broker.h"
#include "replica/replica.h"
#include "store/store.h"

/* Table "process": the process id that this node runs in. */
void node_status_process(uint32_t node, broker_status_fn *fn, void *arg);
/* Table "replica": how far it has come, and what its store has done. */
void node_status_replica(uint32_t node, const struct replica *replica, const struct store *store,
                         broker_status_fn *fn, void *arg);

#endif

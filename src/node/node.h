/*
 * A node: the roles of one host put together - follower, replica with its store, broker, and its
 * side of membership - in one thread, as one agent. The unit of failure: when one of its parts
 * ends, the node's turn stops. Created and destroyed by one thread while its runner stands still.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent.h"
#include "base/error.h"
#include "broker/broker.h"
#include "env/env.h"
#include "follower/follower.h"
#include "node/seat.h"
#include "region/region.h"
#include "replica/replica.h"
#include "store/store.h"

struct node_options {
    struct env *env;
    struct runner *runner;
    struct env_map *map; /* the region, formatted */
    enum mem_writeback writeback;
    uint32_t node;
    uint32_t roles; /* ROLE_BROKER and ROLE_REPLICA are looked at here */
    const char *host;
    const char *advertise; /* that others reach it by; NULL: host */
    uint16_t port;
    const char *data;                               /* directory of its store */
    bool data_locked;                               /* the caller holds its lock */
    uint64_t store_file_bytes, store_staging_bytes; /* 0: the store's defaults */
    uint64_t sync_bytes;
    uint32_t max_batch_bytes, max_message_bytes;
    struct broker_limits limits;
};

struct node;

/* Opens store, follower, replica and broker; in its first turn it asks to be admitted. Errors name
   the part; EMB_ERR_EXISTS: the node id is taken, or the store's directory holds a log. */
int node_create(const struct node_options *options, struct node **node, struct error *err);
void node_destroy(struct node *node);
/* Before its first turn, in which else it asks to be admitted. EMB_ERR_EXISTS: its id was taken. */
int node_ask(struct node *node, struct error *err);
/* For one whose process could not start whole, and has no turns any more: when it is destroyed it
   takes its request back. */
void node_give_up(struct node *node);
/* To be added to its runner. */
struct agent node_agent(struct node *node);
/* The sequencer's seat beside it, which its STATUS answers tell of; it must outlive the node.
   Before its first turn. */
void node_set_seat(struct node *node, struct seat *seat);
/* Admitted by the sequencer, as its own follower has read. */
bool node_admitted(const struct node *node);

enum node_leave {
    NODE_STAYS,
    NODE_LEAVING,
    NODE_LEFT,   /* nothing waits for it: it may be destroyed, and its id taken again */
    NODE_CANNOT, /* *err says why: it goes on as if it had not been asked, but for clients if the
                    rack refused it only then */
};
/* In the node's thread, between its turns: begins to leave the rack. */
void node_leave(struct node *node);
enum node_leave node_leave_state(const struct node *node, struct error *err);
/* Bit per node of the rack whose heartbeat has not moved for a second (MEMBER_SILENT_NS). */
uint32_t node_silent_nodes(const struct node *node);
uint16_t node_port(const struct node *node);
/* Other limits from now on, in the node's thread. They have been checked: impossible ones change
   nothing. */
void node_set_limits(struct node *node, const struct broker_limits *limits);
/* EMB_OK, or why its follower cannot go on: the node has ended. */
int node_failure(const struct node *node, struct error *err);
/* EMB_OK, or why its replica has ended: the node goes on without counting for durability. */
int node_replica_failure(const struct node *node, struct error *err);
struct follower *node_follower(struct node *node);
const struct region *node_region(const struct node *node);
struct region *node_own_region(struct node *node); /* for its thread */
/* Whether an epoch was ever granted in its region, as far as it has looked. */
bool node_sees_epoch(const struct node *node);

#endif

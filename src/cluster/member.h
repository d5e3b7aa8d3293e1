/*
 * A node's side of membership: it asks for admission in its own line of the node table, and learns
 * from the log that it was admitted (META_NODE_ADMIT of its own incarnation). An agent in the
 * thread of the node's follower, called after it. Design: 3-protocol, "Start".
 *
 * Writer of the request line of its node; readers: the sequencer, tools (edge R7). The request is
 * published once: it stands until a later incarnation replaces it. Heartbeats are the follower's.
 * Lifetime: the node's; the follower and the region must outlive it.
 */
#ifndef CLUSTER_MEMBER_H
#define CLUSTER_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "env/env.h"
#include "follower/follower.h"
#include "region/region.h"

struct member;

struct member_options {
    struct env *env;
    struct region *region;
    struct follower *follower;
    uint32_t node;
    uint32_t roles;            /* enum node_roles */
    uint32_t lanes_wanted;     /* 1 to NODE_LANES_MAX */
    const uint8_t *store_uuid; /* 16 bytes; NULL: no store */
    const char *host;          /* copied; that others reach it by */
    uint16_t port;             /* in use, not 0 */
    uint32_t life;             /* of its store; 0: none yet */
};

/*
 * Chooses an incarnation above every earlier one of this node id and publishes the request.
 * EMB_ERR_INVALID_ARGUMENT with the field, its value and what is accepted; EMB_ERR_NO_MEMORY.
 * The caller holds the lock of the node's data directory: no second process does this at once.
 */
int member_create(const struct member_options *options, struct member **member, struct error *err);
void member_destroy(struct member *member);

/* An agent's duty cycle: 1 in the turn in which the node is admitted, or has been replaced. */
int member_do_work(struct member *member, uint64_t now_ns);
bool member_admitted(const struct member *member);
uint64_t member_incarnation(const struct member *member);
/* EMB_OK, or EMB_ERR_EXISTS: another incarnation of this node id was admitted after this one;
   this one has ended. */
int member_failure(const struct member *member, struct error *err);

#endif

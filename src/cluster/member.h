/*
 * A node's side of membership: it asks for admission in its own line of the node table, and learns
 * from the log that it was admitted (META_NODE_ADMIT of its own incarnation). An agent in the
 * thread of the node's follower, called after it. Design: 3-protocol, "Start".
 *
 * It also times the other nodes' heartbeats, on its own clock, for whoever asks how they are.
 *
 * Writer of the request line of its node; readers: the sequencer, tools, later starts of this node
 * (edge R7). The request is published once, in the first turn, and once more, without roles, when
 * the node has left or is not to be admitted any more. Heartbeats are the follower's.
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

/*
 * Whether this node id may be taken, and the incarnation to take it with: above every earlier one.
 * Before anything else of the node touches the region: its lines have one writer. EMB_ERR_EXISTS: a
 * process took it and has not left; *err says which, at what address. Two that ask at the very same
 * time are told apart by member_failure. The caller holds the lock of the node's data directory.
 */
int member_take_place(struct env *env, struct region *region, uint32_t node, uint64_t *incarnation,
                      struct error *err);

struct member_options {
    struct region *region;
    struct follower *follower;
    uint32_t node;
    uint64_t incarnation;      /* of member_take_place */
    uint32_t roles;            /* enum node_roles */
    uint32_t lanes_wanted;     /* 1 to NODE_LANES_MAX */
    const uint8_t *store_uuid; /* 16 bytes; NULL: no store */
    const char *host;          /* copied; that others reach it by */
    uint16_t port;             /* in use, not 0 */
    uint32_t life;             /* of its store; 0: none yet */
};

/* EMB_ERR_INVALID_ARGUMENT with the field, its value and what is accepted; EMB_ERR_NO_MEMORY. */
int member_create(const struct member_options *options, struct member **member, struct error *err);
void member_destroy(struct member *member);

/* Publishes the request, and drains, before the first turn, which else does it: for a sequencer's
   node, whose rival is to find it. EMB_ERR_EXISTS: another process has taken the place. */
int member_ask(struct member *member, struct error *err);

/* An agent's duty cycle: 1 in the turn in which it asks, is admitted, or has been replaced. */
int member_do_work(struct member *member, uint64_t now_ns);
bool member_admitted(const struct member *member);
uint64_t member_incarnation(const struct member *member);
/* EMB_OK, or EMB_ERR_EXISTS: another process asks with this node id, or was admitted after this
   one, which has ended. */
int member_failure(const struct member *member, struct error *err);
/*
 * Says in its line, if that is still its own, that this incarnation has published its last: its
 * META_NODE_LEAVE is in the log, or it was not admitted as far as it knows (if it was, the
 * sequencer now lets it go). Its agents stand still. The id may be taken again.
 */
void member_left(struct member *member);
/* For how long no heartbeat of that node has been seen, in ns; 0 while it is not a live one. Begins
   anew after a pause of our own. */
uint64_t member_silent_ns(const struct member *member, uint32_t node);
/* Bit per live node that was silent for MEMBER_SILENT_NS, and has not been heard since. */
uint32_t member_silent_nodes(const struct member *member);
#define MEMBER_SILENT_NS 1000000000ULL
/* The heartbeat of a node id, whoever has it; that it moves says that a process runs. */
uint64_t member_heartbeat(struct region *region, uint32_t node);

#endif

/*
 * One node of a rack in a process of its own, as `embarcaderod` runs it: the region it joins, the
 * node, the sequencer's seat if it has that role, and their threads. All calls are for one thread,
 * that of the caller; what the others are doing is asked with process_look.
 */
#ifndef NODE_PROCESS_H
#define NODE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "node/node.h"
#include "node/place.h"

struct process_options {
    struct place_options place;
    enum mem_writeback writeback;
    uint32_t node;
    uint32_t roles;    /* enum node_roles */
    uint32_t nodes;    /* that the rack is made for: partitions of a software-coherent region */
    uint32_t replicas; /* members of a chain; chains are fixed once so many stores are there */
    const char *host;
    const char *advertise; /* NULL: host */
    uint16_t port;
    const char *data; /* directory of the node, locked */
    bool dedicated;   /* the sequencer has a thread of its own */
    uint64_t sync_bytes;
    uint64_t pass_ns, fence_timeout_ns, skip_timeout_ns;
    uint32_t max_batch_bytes, max_message_bytes;
    struct broker_limits limits;
};

struct process;

/*
 * Starts the node; it asks for admission, which process_look tells of. EMB_ERR_UNAVAILABLE: the
 * region is not there yet, to be tried again; nothing is held then, and nothing left but the data
 * directory. Other errors are for good: EMB_ERR_BUSY, another process holds the data directory or,
 * of a sequencer, the region; see node_create and seat_create.
 */
int process_start(const struct process_options *options, struct process **process,
                  struct error *err);
/* Begins to leave the rack (node_leave). */
void process_leave(struct process *process);
/* Other limits for clients, taken in the node's next turn; checked before. false: earlier ones have
   not been taken yet, try again. */
bool process_set_limits(struct process *process, const struct broker_limits *limits);
/* Ends the threads and closes all. A node that has left says so in its line. */
void process_stop(struct process *process);

enum process_state {
    PROCESS_NO_SEQUENCER, /* no epoch was ever granted in this region */
    PROCESS_ASKS,         /* for admission */
    PROCESS_NO_CHAINS,    /* in; topics with replicas wait for more stores */
    PROCESS_SERVES,
    PROCESS_LEAVES,
    PROCESS_LEFT,
    PROCESS_CANNOT_LEAVE, /* *err says why */
    PROCESS_FAILED        /* *err says why: node or sequencer has ended */
};

/* As the node's thread saw it a moment ago. */
struct process_view {
    enum process_state state;
    uint32_t sequencer; /* node id; NODE_MAX: not known */
    uint32_t live;      /* bit per node that is in the rack */
    uint32_t silent;    /* ... and has not been heard for a second */
};

void process_look(struct process *process, struct process_view *view, struct error *err);
/* EMB_OK, or why its replica has ended: the node goes on without counting for durability. */
int process_replica_failure(struct process *process, struct error *err);
uint16_t process_port(const struct process *process);
/* How the region is cut. */
const struct region *process_region(const struct process *process);

#endif

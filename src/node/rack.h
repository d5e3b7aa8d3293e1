/*
 * A rack in one process: nodes and a sequencer on one region, as `embarcaderod --dev` and the tests
 * run it. Makes the region, grants the epoch (elector `fixed`), starts the nodes and the threads
 * that run them. rack_start, rack_stop and the queries are for one thread, that of the caller.
 */
#ifndef NODE_RACK_H
#define NODE_RACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "broker/broker.h"
#include "env/env.h"
#include "mem/mem.h"
#include "region/region.h"
#include "sequencer/sequencer.h"

#define RACK_NODES_MAX 8

struct rack_options {
    struct env *env;
    const char *region_url;
    struct geometry geometry;
    enum mem_coherence coherence; /* 0: as the url's kind suggests */
    enum mem_writeback writeback;
    uint32_t nodes;
    uint32_t replicas; /* members of a chain; 0: nodes have no stores */
    const char *host;
    uint16_t port;    /* node i listens on port + i; 0: any free one */
    const char *data; /* node i's store is in data/node<i> */
    bool dedicated;   /* a thread for each node and one for the sequencer; else one for all */
    uint64_t sync_bytes;
    uint64_t pass_ns, fence_timeout_ns, skip_timeout_ns;
    uint32_t max_batch_bytes, max_message_bytes;
    struct broker_limits limits;
};

struct rack;

/* Starts everything; returns once all nodes are admitted and their chains are set, at most 10 s. */
int rack_start(const struct rack_options *options, struct rack **rack, struct error *err);
/* Stops the threads, closes the stores. keep: the region stays, else it is removed. */
void rack_stop(struct rack *rack, bool keep);
/* Other limits for clients of all nodes, taken in their next turns; checked before. false: earlier
   ones have not been taken everywhere yet, try again. */
bool rack_set_limits(struct rack *rack, const struct broker_limits *limits);
uint16_t rack_port(const struct rack *rack, uint32_t node);
/* EMB_OK, or the first node or sequencer that has ended and why. May be asked at any time. */
int rack_failure(struct rack *rack, struct error *err);
/* EMB_OK, or why a node's replica has ended: the rack goes on, level-2 acks of its lanes stop. */
int rack_replica_failure(struct rack *rack, uint32_t node, struct error *err);
struct region *rack_region(struct rack *rack);
/* Only while the rack's threads are quiet (tests): racy numbers otherwise. */
void rack_sequencer_counters(struct rack *rack, struct sequencer_counters *counters);

#endif

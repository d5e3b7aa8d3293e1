/*
 * The sequencer's seat: a view of the region, an elector and, once an epoch is granted, the
 * sequencer, as one agent. It may share its thread with nodes. Created and destroyed by one thread
 * while its runner stands still. rack.c puts one into each rack.
 */
#ifndef NODE_SEAT_H
#define NODE_SEAT_H

#include <stdint.h>

#include "agent/agent.h"
#include "base/error.h"
#include "broker/broker.h"
#include "env/env.h"
#include "region/region.h"
#include "sequencer/sequencer.h"

struct seat_options {
    struct env *env;
    struct env_map *map; /* the region, formatted */
    enum mem_writeback writeback;
    uint32_t node;     /* whose seat it is; the elector `fixed` grants to it alone */
    uint32_t nodes;    /* of the rack */
    uint32_t replicas; /* members of a chain; 0: nodes have no stores */
    uint32_t stores;   /* chains are fixed once so many are admitted; 0: as many as a chain has */
    uint64_t pass_ns, fence_timeout_ns, skip_timeout_ns; /* 0: the sequencer's defaults */
};

struct seat;

/* Whether seat_create may be tried: see sequencer_check_region. Writes nothing. */
int seat_check(const struct seat_options *options, struct error *err);
/* Attaches, checks, campaigns, begins the epoch. Where others may do so at the same time the node
   has asked before with the role sequencer (node_ask): see elector_fixed_create. Errors are
   those of region_attach, the elector and sequencer_create. */
int seat_create(const struct seat_options *options, struct seat **seat, struct error *err);
void seat_destroy(struct seat *seat);
/* To be added to a runner. */
struct agent seat_agent(struct seat *seat);
/* EMB_OK, or why its sequencer has stopped for good. */
int seat_failure(const struct seat *seat, struct error *err);
struct region *seat_region(struct seat *seat);
/* While its runner stands still, or racy (tests). */
void seat_counters(const struct seat *seat, struct sequencer_counters *counters);
/* Table "sequencer", row `node`: the counters as of a few milliseconds ago. Any thread. */
void seat_status(struct seat *seat, broker_status_fn *fn, void *arg);

#endif

/*
 * Inside rack/: the rack of a seed, its shape, its hosts, its faults. One thread; lifetime: a seed.
 */
#ifndef SIM_RACK_INTERNAL_H
#define SIM_RACK_INTERNAL_H

#include "node/node.h"
#include "node/seat.h"
#include "sim/client/clients.h"
#include "sim/core/internal.h"
#include "sim/env/sim_env.h"
#include "sim/rack/run.h"

#define RACK_HOSTS_MAX 5
#define RACK_PORT      9650

/* Where the sequencer runs. */
enum seat_place {
    SEAT_WITH_NODE, /* in the thread of host 0's node */
    SEAT_APART,     /* in a thread of its own there */
    SEAT_ALONE,     /* on a host of its own, behind those with nodes: nobody shares its cache */
};

/* All that is drawn before anything runs. */
struct shape {
    uint32_t nodes; /* one a host, on the first hosts */
    uint32_t hosts;
    uint32_t replicas;
    uint32_t stores_expected; /* when chains are fixed */
    bool last_has_no_store;   /* of the nodes; it may leave then */
    uint64_t late_ns;   /* the last node starts so long after the others are ready; 0: with them */
    uint64_t leaves_ns; /* it leaves so long after that, each time; 0: it stays */
    uint64_t away_ns;   /* and comes back after this */
    enum mem_coherence coherence;
    struct geometry geometry;
    enum seat_place seat_place;
    uint64_t store_file_bytes, store_staging_bytes, sync_bytes;
    uint32_t backpressure_ms, deliver_stall_ms;
    struct env_shape env;
    struct workload_shape workload;
};

/* A host of the rack and what runs on it. */
struct rack_host {
    struct host *host;
    struct runner *runner;
    struct runner *seat_runner; /* the same, or one of its own */
    struct node *node;
    struct seat *seat; /* on one host */
    struct env_map *map;
    bool may_fail; /* a fault was done to it that its node or replica need not survive */
    bool seat_may_fail;
    bool told; /* its failure was looked at */
    bool started;
    bool leaves;       /* it was asked to, or is away */
    uint32_t left;     /* how often */
    uint64_t since_ns; /* since when it starts or leaves */
};

struct rack {
    struct shape shape;
    struct rack_host hosts[RACK_HOSTS_MAX];
    struct rack_host *seat; /* where it is */
    uint64_t ends_after_ns; /* of work, power is lost everywhere; 0: all comes to rest */
    bool armed;             /* no fault was done that the rack is not meant to survive yet */
    bool still;             /* nobody comes or goes any more */
    uint32_t known;         /* nodes that clients know of: the first so many */
};

extern struct rack rack;

/* shape.c: draws it; a sentence of it into `text`. */
void shape_draw(struct shape *shape, char *text, size_t text_bytes);

/* hosts.c */
void hosts_create(void); /* world hosts, region formatted */
void hosts_start(void);  /* their processes begin */
bool hosts_ready(void);  /* all admitted that start at once, chains durable */
/* From now on a late node may start, and one may leave. */
void hosts_move(void);
/* No more of that; false while one is on its way. */
bool hosts_are_still(void);
void hosts_addresses(struct rack_addresses *addresses);
/* Whether a node, a replica or the sequencer has ended that had no reason to; tells clients who
   came and went. */
void hosts_check(void);
/* A killed process is started again: refused today, as its store holds a log. */
void hosts_restart(struct rack_host *at);
void hosts_count_coverage(void);

/* faults.c */
void faults_draw(struct run_result *result);
/* Lets those of the plan happen that `keep` names, from now on. */
void faults_start(uint64_t keep);
/* None is to come, and none lasts, since so long. */
bool faults_over(uint64_t since_ns);
void faults_power_lost(void); /* everywhere, at the end */

/* successor.c */
void successor_start(struct host *host);

#endif

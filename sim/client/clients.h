/*
 * The clients of a world: publishers, subscribers, and who creates the topics, as fibers on hosts
 * of their own. They use the production core of the client (src/client/tcp) over the simulated env
 * and tell check/ all they do. One thread; lifetime: clients_start to clients_end.
 */
#ifndef SIM_CLIENT_CLIENTS_H
#define SIM_CLIENT_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/address.h"
#include "client/tcp/connection.h"
#include "sim/core/world.h"

/* Where the rack listens: filled by rack/ once its hosts run. */
struct rack_addresses {
    struct address addresses[8];
    uint32_t count;
};

struct workload_shape {
    uint32_t topics;      /* 1 to 3 */
    uint32_t publishers;  /* 1 to 6 */
    uint32_t subscribers; /* 0 to 4 */
    uint32_t batches;     /* of all publishers together */
    uint32_t batch_bytes_most;
    uint32_t replicas; /* that topics may ask for, at most */
};

/* Draws the workload (CHOICE_WORKLOAD), a sentence of it into `text`. */
void workload_draw(struct workload_shape *shape, uint32_t segment_bytes, uint32_t replicas,
                   char *text, unsigned text_bytes);
/* Starts their hosts and fibers; they connect when they like. */
void clients_start(const struct workload_shape *shape, const struct rack_addresses *rack);
/* Brokers came or went: the first `count` of those in clients_start's order can be connected to. */
void clients_know(const struct rack_addresses *rack);
/* All publishers have an outcome for all they had to publish, or have given up; subscribers do not
   count. */
bool clients_done(void);
/* No new session, batch or subscription from now on; those under way go on. */
void clients_stop(void);
/* Batches published so far. */
uint64_t clients_batches(void);
/* How often one that was not hurt by a fault of its own (its connections were broken, its host
   paused) had to give up; for the progress checker, which prints what it was waiting for. */
const char *clients_stuck(void); /* NULL: nobody waits; a sentence otherwise; static storage */
void clients_end(void);

#endif

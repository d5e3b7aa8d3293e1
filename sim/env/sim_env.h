/*
 * The simulated env: what env.h promises, made of simulated time, network and disks, with their
 * faults. One `struct env` a host and life; a host's disk outlives its envs. One thread; lifetime:
 * env_begin to the next env_begin.
 */
#ifndef SIM_ENV_SIM_ENV_H
#define SIM_ENV_SIM_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "env/env.h"
#include "sim/core/world.h"

/* How the network and the disks of this seed behave when no fault is under way. */
struct env_shape {
    uint64_t latency_least_ns, latency_most_ns; /* one way */
    uint32_t window_bytes; /* of a connection's one direction, sent and not yet received */
    bool short_transfers;  /* sends and receives are cut short by chance */
    bool sendfile;         /* env_map_can_sendfile, and peers count as remote */
    uint64_t write_least_ns, write_most_ns;
    uint64_t sync_least_ns, sync_most_ns;
    uint64_t disk_bytes; /* of each host's disk */
};

/* Empty disks, no connections. */
void env_begin(const struct env_shape *shape);
/* Frees every file, connection and env. */
void env_end(void);
/* The env of a host's new process. */
struct env *env_of_host(struct host *host);

/* ---- network faults -------------------------------------------------------------------------- */

/* Breaks one connection between the hosts, or any of `a` (b NULL); false: there is none. */
bool net_break_one(struct host *a, struct host *b);
/* Nothing passes between them (b NULL: a and all others) until then; what was sent waits. */
void net_partition(struct host *a, struct host *b, uint64_t until_ns);
/* One direction of one connection of the host passes nothing until then; false: there is none. */
bool net_stall_one(struct host *host, uint64_t until_ns);
/* The host's processes are gone: its peers see resets (killed) or nothing any more (power lost). */
void net_host_gone(struct host *host, bool killed);

/* ---- disk faults ----------------------------------------------------------------------------- */

void disk_slow(struct host *host, uint64_t until_ns); /* syncs take 20 to 200 ms */
/* The next sync fails; what it covered is lost or not, by chance, in a later crash. */
void disk_fail_sync(struct host *host);
void disk_fail_write(struct host *host);              /* the next write fails */
void disk_fill(struct host *host, uint64_t until_ns); /* no space but what is reserved */
/* Changes a bit of something that was synced and is not the last 64 KiB. False: too little. */
bool disk_rot(struct host *host);
/* The host's processes are gone. killed: what was written stays; power lost: unsynced writes are
   lost, torn or kept, each block by chance, and so are names not synced. Locks are free again. */
void disk_host_gone(struct host *host, bool killed);

/* ---- what checks look at ----------------------------------------------------------------------*/

/* Files of a host's disk below a directory, in order of names. */
void disk_files(struct host *host, const char *path,
                void (*fn)(void *arg, const char *name, const unsigned char *durable,
                           uint64_t durable_bytes),
                void *arg);
/* Called whenever a sync of a file has ended well: all that `durable` holds survives a crash. The
   bytes below `bytes` only; `name` without directory. */
typedef void disk_sync_fn(struct host *host, const char *name, const unsigned char *durable,
                          uint64_t bytes);
void disk_watch_syncs(disk_sync_fn *fn);

#endif

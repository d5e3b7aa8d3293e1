/*
 * Where the tests of this folder work: the simulated env upon the real core, three hosts, and as
 * memory a stand-in of one array per host. Used by one test program, by its one thread; each test
 * begins and ends a world.
 */
#ifndef SIM_ENV_TEST_WORLD_H
#define SIM_ENV_TEST_WORLD_H

#include "sim/env/sim_env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/core/internal.h"
#include "sim/memory/memory.h"

#define REGION_BYTES 65536u

static unsigned char region[3][REGION_BYTES];
static uint64_t stored_bytes, read_bytes;

unsigned char *memory_mapping(const struct host *host)
{
    return region[host->number];
}

uint64_t memory_bytes(void)
{
    return REGION_BYTES;
}

void memory_stored(const void *at, size_t bytes)
{
    stored_bytes += bytes;
}

void memory_read(const void *at, size_t bytes, const char *who)
{
    read_bytes += bytes;
}

static struct host *host[3];
static struct env *env[3];

static const struct env_shape usual = {
    .latency_least_ns = 20 * US,
    .latency_most_ns = 200 * US,
    .window_bytes = 65536,
    .sendfile = true,
    .write_least_ns = 20 * US,
    .write_most_ns = 100 * US,
    .sync_least_ns = 100 * US,
    .sync_most_ns = 2 * MS,
    .disk_bytes = 1 << 20,
};

static inline unsigned char pattern(uint64_t at)
{
    return (unsigned char)(at * 31 + (at >> 8));
}

static inline void begin(uint64_t seed, const struct env_shape *shape)
{
    static const char *names[] = {"host0", "host1", "host2"};
    world_begin(seed, TRACE_NOTHING);
    env_begin(shape);
    for (int i = 0; i < 3; i++) {
        host[i] = world_add_host(names[i], true);
        env[i] = env_of_host(host[i]);
        for (uint64_t at = 0; at < REGION_BYTES; at++)
            region[i][at] = pattern(at);
    }
}

static inline void end(void)
{
    env_end();
    world_end();
}

static inline void run_to(uint64_t ms)
{
    world_run(NULL, ms * MS);
}

static inline void host_loses_power(int number)
{
    world_kill(host[number]);
    net_host_gone(host[number], false);
    host[number]->powered = false;
    disk_host_gone(host[number], false);
}

#endif

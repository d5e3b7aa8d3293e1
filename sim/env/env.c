/* Processes: their making and their end, clocks and random bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "sim/env/internal.h"

#define WALL_START_MS 1767225600000ULL /* 2026-01-01 */

struct simulated simulated;

void *room_of(size_t bytes)
{
    void *room = calloc(1, bytes);
    ASSERT(room);
    return room;
}

void env_begin(const struct env_shape *shape)
{
    disk_sync_fn *watch = simulated.watch_sync;
    simulated = (struct simulated){.shape = *shape, .watch_sync = watch};
    TAILQ_INIT(&simulated.envs);
    TAILQ_INIT(&simulated.network.connections);
    TAILQ_INIT(&simulated.forgotten);
    disk_begin();
}

static void env_free(struct env *env)
{
    files_let_go(env);
    while (!TAILQ_EMPTY(&env->pollers))
        poller_free(TAILQ_FIRST(&env->pollers));
    while (!TAILQ_EMPTY(&env->dirs))
        env_dir_close(TAILQ_FIRST(&env->dirs));
    while (!TAILQ_EMPTY(&env->files))
        env_file_close(TAILQ_FIRST(&env->files));
    while (!TAILQ_EMPTY(&env->maps))
        env_map_close(TAILQ_FIRST(&env->maps));
    TAILQ_REMOVE(&simulated.envs, env, link);
    free(env);
}

void env_end(void)
{
    network_free();
    while (!TAILQ_EMPTY(&simulated.envs))
        env_free(TAILQ_FIRST(&simulated.envs));
    io_forget_all();
    disk_free();
    simulated.watch_sync = NULL;
}

struct env *env_of_host(struct host *host)
{
    struct env *env = room_of(sizeof(*env));
    env->host = host;
    env->number = ++simulated.envs_made;
    TAILQ_INIT(&env->pollers);
    TAILQ_INIT(&env->dirs);
    TAILQ_INIT(&env->files);
    TAILQ_INIT(&env->maps);
    TAILQ_INSERT_TAIL(&simulated.envs, env, link);
    return env;
}

struct env *env_create(void)
{
    struct host *host = world_current_host();
    ASSERT(host);
    return env_of_host(host);
}

static void connections_leave(const struct env *env, enum departure how)
{
    struct connection *next;
    for (struct connection *at = TAILQ_FIRST(&simulated.network.connections); at; at = next) {
        next = TAILQ_NEXT(at, link);
        at->events++; /* so that the first end's leaving does not free it */
        for (int side = 0; side < 2; side++)
            if (at->end[side].env == env)
                end_leave(at, side, how);
        at->events--;
        link_release(at);
    }
}

/* What processes that had ended left to their host's kernel to send. */
static void connections_lose_power(const struct host *host)
{
    for (struct connection *at = TAILQ_FIRST(&simulated.network.connections); at;
         at = TAILQ_NEXT(at, link))
        for (int side = 0; side < 2; side++)
            if (at->end[side].host == host) {
                at->end[side].silent = true;
                stream_cut(&at->stream[side]);
            }
}

static void env_network_gone(struct env *env, enum departure how)
{
    if (env->gone)
        return;
    env->gone = true;
    connections_leave(env, how);
}

static void env_disk_gone(struct env *env)
{
    for (struct env_poller *poller = TAILQ_FIRST(&env->pollers); poller;
         poller = TAILQ_NEXT(poller, link))
        for (struct env_io *io = TAILQ_FIRST(&poller->ios); io; io = TAILQ_NEXT(io, link))
            io_let_go(io);
    files_let_go(env);
}

/* Simulated hosts crash, but do not fork. */
void env_abandon(struct env *env)
{
    ASSERT(false);
}

void env_destroy(struct env *env)
{
    if (!env)
        return;
    env_network_gone(env, DEPARTURE_KILLED);
    env_disk_gone(env);
    env_free(env);
}

void net_host_gone(struct host *host, bool killed)
{
    for (struct env *env = TAILQ_FIRST(&simulated.envs); env; env = TAILQ_NEXT(env, link))
        if (env->host == host)
            env_network_gone(env, killed ? DEPARTURE_KILLED : DEPARTURE_POWER);
    if (!killed)
        connections_lose_power(host);
}

void disk_host_gone(struct host *host, bool killed)
{
    struct disk *disk = disk_of(host);
    for (struct env *env = TAILQ_FIRST(&simulated.envs); env; env = TAILQ_NEXT(env, link))
        if (env->host == host)
            env_disk_gone(env);
    disk->failing_syncs = disk->failing_writes = 0;
    if (!killed)
        disk_crash(disk);
}

uint64_t env_now_ns(struct env *env)
{
    return host_clock_ns(env->host, world_now_ns());
}

uint64_t env_wall_ms(struct env *env)
{
    return WALL_START_MS + env_now_ns(env) / MS;
}

void env_random(struct env *env, void *bytes, size_t count)
{
    for (size_t at = 0; at < count; at += sizeof(uint64_t)) {
        uint64_t word = choose_next(CHOICE_RANDOM);
        memcpy((char *)bytes + at, &word, min_u64(sizeof(word), count - at));
    }
}

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/core/internal.h"

#define ACCIDENT_EVERY 3 /* events, on average */

static struct {
    uint64_t now_ns;
    uint64_t events;
    struct host hosts[HOSTS_MAX];
    uint32_t host_count;
    void (*accident)(void);
    const char *(*where)(void);
    struct world_finding finding;
} world;

void world_begin(uint64_t seed, enum trace_level trace)
{
    memset(&world, 0, sizeof world);
    memset(coverage_of_world(), 0, sizeof(struct coverage));
    choice_begin(seed);
    trace_begin(trace);
    events_begin();
    fibers_begin();
}

void world_end(void)
{
    events_begin();
    fibers_begin();
}

uint64_t world_now_ns(void)
{
    return world.now_ns;
}

uint64_t world_events(void)
{
    return world.events;
}

void world_on_accident(void (*accident)(void))
{
    world.accident = accident;
}

void world_tell_where(const char *(*where)(void))
{
    world.where = where;
}

bool world_run(bool (*done)(void), uint64_t until_ns)
{
    uint64_t next_ns;
    while (!world.finding.there && events_next_time(&next_ns) && next_ns <= until_ns) {
        world.now_ns = next_ns;
        world.events++;
        events_call_next();
        if (world.accident && choose_one_in(CHOICE_MEMORY, ACCIDENT_EVERY))
            world.accident();
        if (done && done())
            return true;
    }
    if (!world.finding.there && world.now_ns < until_ns)
        world.now_ns = until_ns;
    return false;
}

/* ---- hosts ----------------------------------------------------------------------------------- */

struct host *world_add_host(const char *name, bool in_rack)
{
    ASSERT(world.host_count < HOSTS_MAX);
    struct host *host = &world.hosts[world.host_count];
    *host = (struct host){
        .number = world.host_count++, .in_rack = in_rack, .alive = true, .powered = true};
    snprintf(host->name, sizeof host->name, "%s", name);
    return host;
}

uint32_t world_host_count(void)
{
    return world.host_count;
}

struct host *world_host(uint32_t number)
{
    ASSERT(number < world.host_count);
    return &world.hosts[number];
}

void world_pause(struct host *host, uint64_t until_ns)
{
    if (until_ns > host->paused_to_ns)
        host->paused_to_ns = until_ns;
}

void world_kill(struct host *host)
{
    host->alive = false;
    host->was_killed = true;
    host->paused_to_ns = 0;
    fibers_end(host);
}

uint64_t host_clock_ns(const struct host *host, uint64_t now_ns)
{
    int64_t drift_ns = (int64_t)now_ns / 1000000 * host->clock_ppm;
    return (uint64_t)((int64_t)now_ns + drift_ns + host->clock_offset_ns);
}

/* ---- findings -------------------------------------------------------------------------------- */

void finding(const char *checker, const char *format, ...)
{
    va_list args;
    if (world.finding.there)
        return;
    world.finding.there = true;
    snprintf(world.finding.checker, sizeof world.finding.checker, "%s", checker);
    int used = snprintf(world.finding.text, sizeof world.finding.text,
                        "at %.3f ms, %s: ", (double)world.now_ns / 1e6,
                        fiber_current() ? fiber_name(fiber_current()) : "the world");
    va_start(args, format);
    used += vsnprintf(world.finding.text + used, sizeof world.finding.text - (size_t)used, format,
                      args);
    va_end(args);
    const char *where = world.where && fiber_current() ? world.where() : NULL;
    if (where && used < (int)sizeof world.finding.text)
        snprintf(world.finding.text + used, sizeof world.finding.text - (size_t)used, " (%s)",
                 where);
    if (trace_wants(TRACE_EVENTS))
        trace_line("FINDING", "%s: %s", checker, world.finding.text);
}

bool world_has_finding(void)
{
    return world.finding.there;
}

const struct world_finding *world_finding(void)
{
    return &world.finding;
}

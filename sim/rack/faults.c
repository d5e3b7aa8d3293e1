/*
 * The fault plan: drawn before anything runs, told in sentences, each fault an event of its own, so
 * that a plan can be shortened without changing the rest.
 */
#include <stdio.h>

#include "base/assert.h"
#include "base/bits.h"
#include "sim/check/check.h"
#include "sim/memory/memory.h"
#include "sim/rack/internal.h"

#define PLAN_MOST 6

enum fault_kind {
    FAULT_BREAK,
    FAULT_STALL,
    FAULT_PARTITION,
    FAULT_SLOW_DISK,
    FAULT_PAUSE,
    FAULT_PAUSE_LONG,
    FAULT_SURVIVED, /* those below are not survived by the rack as it is today */
    FAULT_SYNC_FAILS = FAULT_SURVIVED,
    FAULT_WRITE_FAILS,
    FAULT_DISK_FULL,
    FAULT_ROT,
    FAULT_KILL,
    FAULT_RESTART,
    FAULT_POWER,
    FAULT_EPOCH,
    FAULT_KINDS
};

struct fault {
    enum fault_kind kind;
    uint64_t at_ns; /* after faults_start */
    uint64_t for_ns;
    uint32_t host;
};

static struct {
    struct fault plan[PLAN_MOST];
    uint32_t count;
    uint64_t last_ns; /* when the last of those that happen is over */
} faults;

static const char *const sentences[FAULT_KINDS] = {
    [FAULT_BREAK] = "a connection to %s breaks",
    [FAULT_STALL] = "a connection to %s stalls for %.1f ms",
    [FAULT_PARTITION] = "nothing reaches %s for %.1f ms",
    [FAULT_SLOW_DISK] = "syncs on %s are slow for %.1f ms",
    [FAULT_PAUSE] = "%s is paused for %.1f ms",
    [FAULT_PAUSE_LONG] = "%s is paused for %.1f ms, long",
    [FAULT_SYNC_FAILS] = "the next sync on %s fails",
    [FAULT_WRITE_FAILS] = "the next write on %s fails",
    [FAULT_DISK_FULL] = "the disk of %s is full for %.1f ms",
    [FAULT_ROT] = "a bit of old data changes on %s",
    [FAULT_KILL] = "the processes of %s are killed",
    [FAULT_RESTART] = "the processes of %s are killed, and started again after %.1f ms",
    [FAULT_POWER] = "%s loses power",
    [FAULT_EPOCH] = "a higher epoch is granted to %s",
};

/* ---- drawing --------------------------------------------------------------------------------- */

static uint64_t draw_duration_ns(enum fault_kind kind)
{
    bool is_long = kind == FAULT_PAUSE_LONG || kind == FAULT_SLOW_DISK;
    return choose_skewed(CHOICE_FAULTS, is_long ? 40 * MS : MS / 10, is_long ? 400 * MS : 40 * MS);
}

static void draw_one(struct fault *fault, bool survived)
{
    fault->kind = (enum fault_kind)(
        survived ? choose_below(CHOICE_FAULTS, FAULT_SURVIVED)
                 : choose_between(CHOICE_FAULTS, FAULT_SURVIVED, FAULT_KINDS - 1));
    fault->at_ns = choose_one_in(CHOICE_FAULTS, 4) ? choose_skewed(CHOICE_FAULTS, MS / 10, 120 * MS)
                                                   : choose_between(CHOICE_FAULTS, MS, 150 * MS);
    fault->for_ns = draw_duration_ns(fault->kind);
    fault->host = (uint32_t)choose_below(CHOICE_FAULTS, rack.shape.hosts);
}

static void describe(const struct fault *fault, char *text, size_t bytes)
{
    int used = snprintf(text, bytes, "at %.2f ms ", (double)fault->at_ns / 1e6);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text + used, bytes - (size_t)used, sentences[fault->kind],
             rack.hosts[fault->host].host->name, (double)fault->for_ns / 1e6);
#pragma GCC diagnostic pop
}

/* A third of the seeds has none, a third only such as are survived. */
void faults_draw(struct run_result *result)
{
    uint64_t kind = choose_below(CHOICE_FAULTS, 6);
    faults.count = kind < 2 ? 0 : (uint32_t)choose_between(CHOICE_FAULTS, 1, PLAN_MOST);
    faults.last_ns = 0;
    for (uint32_t i = 0; i < faults.count; i++) {
        draw_one(&faults.plan[i], kind < 4 || choose_one_in(CHOICE_FAULTS, 2));
        describe(&faults.plan[i], result->faults[i], RUN_FAULT_BYTES);
    }
    result->fault_count = faults.count;
}

/* ---- happening ------------------------------------------------------------------------------- */

static void lose_processes(struct rack_host *at, bool killed)
{
    struct host *host = at->host;
    fibers_each(host, memory_fiber_ends);
    world_kill(host);
    net_host_gone(host, killed);
    disk_host_gone(host, killed);
    if (killed)
        return;
    memory_power_lost(host);
    host->powered = false;
}

static void on_restart(void *arg, uint64_t number)
{
    struct rack_host *at = arg;
    (void)number;
    if (at->started && !at->leaves && at->host->powered && at->host->number < rack.shape.nodes)
        hosts_restart(at);
}

static void do_disk(struct rack_host *at, const struct fault *fault, uint64_t until_ns)
{
    switch (fault->kind) {
    case FAULT_SLOW_DISK:
        disk_slow(at->host, until_ns);
        return;
    case FAULT_SYNC_FAILS:
        disk_fail_sync(at->host);
        break;
    case FAULT_WRITE_FAILS:
        disk_fail_write(at->host);
        break;
    case FAULT_DISK_FULL:
        disk_fill(at->host, until_ns);
        break;
    default:
        if (disk_rot(at->host))
            stores_expect_damage(at->host);
        return;
    }
    at->may_fail = true;
}

static void do_host(struct rack_host *at, const struct fault *fault, uint64_t until_ns)
{
    switch (fault->kind) {
    case FAULT_PAUSE:
    case FAULT_PAUSE_LONG:
        COVER(HOST_PAUSED);
        world_pause(at->host, until_ns);
        break;
    case FAULT_KILL:
    case FAULT_RESTART:
        COVER(HOST_KILLED);
        lose_processes(at, true);
        if (fault->kind == FAULT_RESTART)
            world_at(until_ns, on_restart, at, 0);
        break;
    case FAULT_POWER:
        COVER(HOST_POWER_LOST);
        lose_processes(at, false);
        break;
    default:
        rack.seat->seat_may_fail = true;
        successor_start(at->host);
        break;
    }
}

static void do_network(struct rack_host *at, const struct fault *fault, uint64_t until_ns)
{
    if (fault->kind == FAULT_BREAK)
        net_break_one(at->host, NULL);
    else if (fault->kind == FAULT_STALL)
        net_stall_one(at->host, until_ns);
    else
        net_partition(at->host, NULL, until_ns);
}

static void on_fault(void *arg, uint64_t number)
{
    const struct fault *fault = arg;
    struct rack_host *at = &rack.hosts[fault->host];
    uint64_t until_ns = world_now_ns() + fault->for_ns;
    char text[RUN_FAULT_BYTES];
    if (!at->host->alive)
        return;
    describe(fault, text, sizeof text);
    TRACE("fault", number, fault->kind, "%s", text);
    if (fault->kind >= FAULT_SURVIVED && fault->kind != FAULT_ROT)
        rack.armed = false;
    if (fault->kind <= FAULT_PARTITION)
        do_network(at, fault, until_ns);
    else if (fault->kind == FAULT_SLOW_DISK ||
             (fault->kind >= FAULT_SYNC_FAILS && fault->kind <= FAULT_ROT))
        do_disk(at, fault, until_ns);
    else
        do_host(at, fault, until_ns);
}

void faults_start(uint64_t keep)
{
    for (uint32_t i = 0; i < faults.count; i++) {
        struct fault *fault = &faults.plan[i];
        if (!(keep >> i & 1))
            continue;
        uint64_t at_ns = world_now_ns() + fault->at_ns;
        world_at(at_ns, on_fault, fault, i);
        faults.last_ns = max_u64(faults.last_ns, at_ns + fault->for_ns);
    }
}

bool faults_over(uint64_t since_ns)
{
    return world_now_ns() > faults.last_ns + since_ns;
}

void faults_power_lost(void)
{
    for (uint32_t i = 0; i < rack.shape.hosts; i++)
        if (rack.hosts[i].host->powered)
            lose_processes(&rack.hosts[i], false);
}

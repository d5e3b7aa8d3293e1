/*
 * The rack's hosts: on each a runner with a node of the production code, in a fiber of its own; on
 * the first also the sequencer's seat, in the same or in another. What they do here is what the
 * daemon's threads do.
 */
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "base/assert.h"
#include "base/bits.h"
#include "sim/check/check.h"
#include "sim/memory/memory.h"
#include "sim/rack/internal.h"

#define PARK_FIRST_NS  (50 * US)
#define PARK_MOST_NS   (5 * MS)
#define SLEEPLESS_MOST 1000 /* turns */

/* ---- a thread -------------------------------------------------------------------------------- */

/* An idle thread that is never let sleep would take a whole core. */
static void check_sleep(uint32_t *sleepless, uint64_t before_ns)
{
    *sleepless = world_now_ns() == before_ns ? *sleepless + 1 : 0;
    if (*sleepless > SLEEPLESS_MOST)
        finding("progress", "%s has nothing to do and is not let sleep",
                world_current_host()->name);
}

/* A turn takes some time, or there would be no end to what happens at once. */
static void run(struct runner *runner)
{
    uint64_t park_ns = PARK_FIRST_NS;
    uint32_t sleepless = 0;
    for (;;) {
        uint64_t before_ns = world_now_ns();
        if (runner_turn(runner, park_ns)) {
            park_ns = PARK_FIRST_NS;
            sleepless = 0;
        } else {
            park_ns = min_u64(2 * park_ns, PARK_MOST_NS);
            check_sleep(&sleepless, before_ns);
        }
        fiber_sleep(choose_between(CHOICE_SCHEDULE, 300, 3 * US));
    }
}

static bool succeeded(const struct rack_host *at, int rc, const struct error *err)
{
    if (rc)
        finding("rack", "%s does not start: %s", at->host->name, err->text);
    return rc == EMB_OK;
}

static int make_runner(struct rack_host *at, struct runner **runner, struct error *err)
{
    int rc = runner_create(at->host->env, "host", runner, err);
    if (rc == EMB_OK && !at->map)
        rc = env_map_open(at->host->env, "shm:rack", 0, 0, &at->map, err);
    return rc;
}

/* ---- the seat -------------------------------------------------------------------------------- */

static int make_seat(struct rack_host *at, struct error *err)
{
    struct seat_options options = {.env = at->host->env,
                                   .map = at->map,
                                   .node = at->host->number,
                                   .nodes = rack.shape.nodes,
                                   .replicas = rack.shape.replicas};
    int rc = seat_create(&options, &at->seat, err);
    if (rc)
        return rc;
    struct agent agent = seat_agent(at->seat);
    runner_add(at->seat_runner, &agent);
    return EMB_OK;
}

static void seat_main(void *arg)
{
    struct rack_host *at = arg;
    struct error err;
    int rc = make_runner(at, &at->seat_runner, &err);
    if (succeeded(at, rc ? rc : make_seat(at, &err), &err))
        run(at->seat_runner);
}

/* ---- a node ---------------------------------------------------------------------------------- */

static int make_node(struct rack_host *at, struct error *err)
{
    const struct shape *shape = &rack.shape;
    struct node_options options = {
        .env = at->host->env,
        .runner = at->runner,
        .map = at->map,
        .node = at->host->number,
        .roles = ROLE_BROKER | (shape->replicas ? ROLE_REPLICA : 0) |
                 (at == rack.seat ? ROLE_SEQUENCER : 0),
        .host = at->host->name,
        .port = RACK_PORT,
        .data = STORE_PATH,
        .store_file_bytes = shape->store_file_bytes,
        .store_staging_bytes = shape->store_staging_bytes,
        .sync_bytes = shape->sync_bytes,
        .backpressure_ms = shape->backpressure_ms,
        .deliver_stall_ms = shape->deliver_stall_ms,
        .request_wait_ms = 1000,
        .max_connections = 64,
    };
    int rc = node_create(&options, &at->node, err);
    if (rc)
        return rc;
    struct agent agent = node_agent(at->node);
    runner_add(at->runner, &agent);
    return EMB_OK;
}

static void node_main(void *arg)
{
    struct rack_host *at = arg;
    struct error err;
    int rc = make_runner(at, &at->runner, &err);
    if (rc == EMB_OK && at == rack.seat && rack.shape.seat_place == SEAT_WITH_NODE) {
        at->seat_runner = at->runner;
        rc = make_seat(at, &err);
    }
    if (succeeded(at, rc ? rc : make_node(at, &err), &err))
        run(at->runner);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void skew_clock(struct host *host)
{
    host->clock_offset_ns = (int64_t)choose_below(CHOICE_SHAPE, 1000000 * MS);
    if (choose_one_in(CHOICE_SHAPE, 2))
        return;
    COVER(CLOCK_SKEWED);
    host->clock_ppm = (int32_t)choose_between(CHOICE_SHAPE, 0, 1000) - 500;
}

static void format(void)
{
    static const uint8_t uuid[16] = {1, 2, 3};
    const struct shape *shape = &rack.shape;
    struct error err;
    memory_begin(shape->geometry.region_bytes, shape->coherence, shape->hosts);
    int rc = region_format(memory_mapping(rack.hosts[0].host), &shape->geometry, shape->coherence,
                           uuid, &err);
    ASSERT(rc == EMB_OK);
    memory_formatted(&shape->geometry, shape->coherence);
}

void hosts_create(void)
{
    char name[16];
    for (uint32_t i = 0; i < rack.shape.hosts; i++) {
        snprintf(name, sizeof name, "host%u", i);
        rack.hosts[i] = (struct rack_host){.host = world_add_host(name, true)};
        skew_clock(rack.hosts[i].host);
    }
    rack.seat = &rack.hosts[rack.shape.seat_place == SEAT_ALONE ? rack.shape.nodes : 0];
    format();
}

void hosts_start(void)
{
    for (uint32_t i = 0; i < rack.shape.hosts; i++) {
        struct rack_host *at = &rack.hosts[i];
        at->host->env = env_of_host(at->host);
        if (at == rack.seat && rack.shape.seat_place != SEAT_WITH_NODE)
            fiber_start("seat", at->host, seat_main, at);
        if (i < rack.shape.nodes)
            fiber_start("node", at->host, node_main, at);
    }
}

static bool node_is_ready(const struct rack_host *at)
{
    if (!at->node || !node_admitted(at->node))
        return false;
    struct follower *follower = node_follower(at->node);
    const struct meta_chain *chain = &follower_meta(follower)->lanes[LANE_SEQUENCER].chain;
    return rack.shape.replicas == 0 ||
           (chain->version != 0 && follower_durable(follower) > chain->position);
}

bool hosts_ready(void)
{
    for (uint32_t i = 0; i < rack.shape.nodes; i++)
        if (!node_is_ready(&rack.hosts[i]))
            return false;
    return true;
}

void hosts_addresses(struct rack_addresses *addresses)
{
    addresses->count = rack.shape.nodes;
    for (uint32_t i = 0; i < rack.shape.nodes; i++) {
        struct address *address = &addresses->addresses[i];
        snprintf(address->host, sizeof address->host, "%s", rack.hosts[i].host->name);
        address->port = RACK_PORT;
    }
}

/* ---- how they are ---------------------------------------------------------------------------- */

static void check_host(struct rack_host *at)
{
    struct error err;
    if (!at->host->alive || !at->node || at->told)
        return;
    int failed = node_failure(at->node, &err);
    if (!failed)
        failed = node_replica_failure(at->node, &err);
    if (!failed)
        return;
    at->told = true;
    TRACE("failure", at->host->number, failed, "%s: %s", at->host->name, err.text);
    if (!at->may_fail)
        finding("rack", "%s has ended without a fault: %s", at->host->name, err.text);
}

static void check_seat(struct rack_host *at)
{
    struct error err;
    if (at->host->alive && at->seat && !at->seat_may_fail && seat_failure(at->seat, &err))
        finding("rack", "the sequencer has ended without a fault: %s", err.text);
}

void hosts_check(void)
{
    for (uint32_t i = 0; i < rack.shape.hosts; i++)
        check_host(&rack.hosts[i]);
    check_seat(rack.seat);
}

void hosts_count_coverage(void)
{
    struct sequencer_counters counters = {0};
    if (rack.seat->seat)
        seat_counters(rack.seat->seat, &counters);
    COVER_ADD(HELD, counters.held);
    COVER_ADD(RELEASED, counters.released);
    COVER_ADD(WAITED, counters.waited);
}

/* ---- again ----------------------------------------------------------------------------------- */

static void restart_main(void *arg)
{
    struct rack_host *at = arg;
    struct error err;
    at->map = NULL;
    at->node = NULL;
    int rc = make_runner(at, &at->runner, &err);
    if (rc == EMB_OK)
        rc = make_node(at, &err);
    if (rc == EMB_ERR_EXISTS)
        COVER(HOST_RESTART_REFUSED);
    else
        finding("rack", "%s started again on a store that holds a log: %s", at->host->name,
                rc ? err.text : "not refused");
    TRACE("restart", at->host->number, rc, "%s: %s", at->host->name, rc ? err.text : "started");
    at->host->alive = false;
}

void hosts_restart(struct rack_host *at)
{
    at->host->alive = true;
    at->host->env = env_of_host(at->host);
    fiber_start("restart", at->host, restart_main, at);
}

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
#define LEAVES_MOST    8
#define MOVE_NS        (4000 * MS) /* to join or to leave; clients that do not read take 2 s */

/* ---- a thread -------------------------------------------------------------------------------- */

/* An idle thread that is never let sleep would take a whole core. */
static void check_sleep(uint32_t *sleepless, uint64_t before_ns)
{
    *sleepless = world_now_ns() == before_ns ? *sleepless + 1 : 0;
    if (*sleepless > SLEEPLESS_MOST)
        finding("progress", "%s has nothing to do and is not let sleep",
                world_current_host()->name);
}

static bool has_left(struct rack_host *at)
{
    struct error err;
    if (!at || !at->leaves || !at->node)
        return false;
    node_leave(at->node);
    enum node_leave state = node_leave_state(at->node, &err);
    if (state == NODE_CANNOT && rack.armed)
        finding("rack", "%s may not leave: %s", at->host->name, err.text);
    return state == NODE_LEFT;
}

/* A turn takes some time, or there would be no end to what happens at once. Returns when the node
   `at` has left the rack; NULL: never. */
static void run(struct runner *runner, struct rack_host *at)
{
    uint64_t park_ns = PARK_FIRST_NS;
    uint32_t sleepless = 0;
    while (!has_left(at)) {
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
                                   .replicas = rack.shape.replicas,
                                   .stores = rack.shape.stores_expected};
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
        run(at->seat_runner, NULL);
}

/* ---- a node ---------------------------------------------------------------------------------- */

static bool is_last(const struct rack_host *at)
{
    return at == &rack.hosts[rack.shape.nodes - 1];
}

static uint32_t roles_of(const struct rack_host *at)
{
    bool store = rack.shape.replicas && !(is_last(at) && rack.shape.last_has_no_store);
    return ROLE_BROKER | (store ? ROLE_REPLICA : 0) | (at == rack.seat ? ROLE_SEQUENCER : 0);
}

static int make_node(struct rack_host *at, struct error *err)
{
    const struct shape *shape = &rack.shape;
    struct node_options options = {
        .env = at->host->env,
        .runner = at->runner,
        .map = at->map,
        .node = at->host->number,
        .roles = roles_of(at),
        .host = at->host->name,
        .port = RACK_PORT,
        .data = STORE_PATH,
        .store_file_bytes = shape->store_file_bytes,
        .store_staging_bytes = shape->store_staging_bytes,
        .sync_bytes = shape->sync_bytes,
        .limits = {.backpressure_ms = shape->backpressure_ms,
                   .deliver_stall_ms = shape->deliver_stall_ms,
                   .request_wait_ms = 1000,
                   .max_connections = 64},
    };
    int rc = node_create(&options, &at->node, err);
    if (rc)
        return rc;
    struct agent agent = node_agent(at->node);
    runner_add(at->runner, &agent);
    return EMB_OK;
}

static int start_node(struct rack_host *at, struct error *err)
{
    at->started = true;
    at->since_ns = world_now_ns();
    int rc = make_runner(at, &at->runner, err);
    if (rc == EMB_OK && at == rack.seat && rack.shape.seat_place == SEAT_WITH_NODE) {
        at->seat_runner = at->runner;
        rc = make_seat(at, err);
    }
    return rc ? rc : make_node(at, err);
}

static void on_leave(void *arg, uint64_t number)
{
    struct rack_host *at = arg;
    (void)number;
    if (!at->host->alive || !at->node || rack.still)
        return;
    at->leaves = true;
    at->since_ns = world_now_ns();
    TRACE("leave", at->host->number, 0, "%s leaves the rack", at->host->name);
}

/* It has left: away for a while, then back as a new process. */
static void node_rests(struct rack_host *at)
{
    struct node *node = at->node;
    COVER(NODE_LEFT);
    at->node = NULL;
    node_destroy(node);
    runner_destroy(at->runner);
    fiber_sleep(rack.shape.away_ns);
    at->leaves = false;
    if (++at->left < LEAVES_MOST)
        world_at(world_now_ns() + rack.shape.leaves_ns, on_leave, at, 0);
}

static void node_main(void *arg)
{
    struct rack_host *at = arg;
    struct error err;
    while (succeeded(at, start_node(at, &err), &err)) {
        run(at->runner, at);
        node_rests(at);
        COVER(NODE_BACK);
    }
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
        if (i < rack.shape.nodes && !(is_last(at) && rack.shape.late_ns))
            fiber_start("node", at->host, node_main, at);
    }
    rack.known = rack.shape.nodes - (rack.shape.late_ns > 0);
}

static void on_late_start(void *arg, uint64_t number)
{
    struct rack_host *at = arg;
    (void)number;
    if (!at->host->alive || rack.still)
        return;
    COVER(NODE_LATE);
    fiber_start("node", at->host, node_main, at);
}

bool hosts_are_still(void)
{
    const struct rack_host *last = &rack.hosts[rack.shape.nodes - 1];
    return !last->started || (last->node && node_admitted(last->node) && !last->leaves);
}

void hosts_move(void)
{
    struct rack_host *last = &rack.hosts[rack.shape.nodes - 1];
    uint64_t now_ns = world_now_ns();
    if (rack.shape.late_ns)
        world_at(now_ns + rack.shape.late_ns, on_late_start, last, 0);
    if (rack.shape.leaves_ns)
        world_at(now_ns + rack.shape.late_ns + rack.shape.leaves_ns, on_leave, last, 0);
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
    for (uint32_t i = 0; i < rack.known; i++)
        if (!node_is_ready(&rack.hosts[i]))
            return false;
    return true;
}

void hosts_addresses(struct rack_addresses *addresses)
{
    addresses->count = rack.known;
    for (uint32_t i = 0; i < rack.shape.nodes; i++) {
        struct address *address = &addresses->addresses[i];
        snprintf(address->host, sizeof address->host, "%s", rack.hosts[i].host->name);
        address->port = RACK_PORT;
    }
}

/* ---- how they are ---------------------------------------------------------------------------- */

/* Clients hear of the last node once it is in, and hear no more of it when it goes. */
static void check_last(struct rack_host *at)
{
    struct rack_addresses addresses;
    bool in = at->node && node_admitted(at->node) && !at->leaves;
    if (at->started && !in && rack.armed && world_now_ns() > at->since_ns + MOVE_NS)
        finding("progress", "%s %s the rack for %llu ms", at->host->name,
                at->leaves ? "leaves" : "joins", MOVE_NS / MS);
    if (rack.known == rack.shape.nodes - !in)
        return;
    rack.known = rack.shape.nodes - !in;
    hosts_addresses(&addresses);
    if (addresses.count)
        clients_know(&addresses);
}

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
    if (rack.shape.nodes > 1)
        check_last(&rack.hosts[rack.shape.nodes - 1]);
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
    COVER_ADD(SEGMENT_ORPHANED, counters.orphans);
}

/* ---- again ----------------------------------------------------------------------------------- */

static void restart_main(void *arg)
{
    struct rack_host *at = arg;
    struct error err;
    /* One that was killed before anybody knew of it is a newcomer. */
    bool was_admitted = log_meta() && log_meta()->nodes[at->host->number].live;
    at->map = NULL;
    at->node = NULL;
    int rc = make_runner(at, &at->runner, &err);
    if (rc == EMB_OK)
        rc = make_node(at, &err);
    if (rc == EMB_ERR_EXISTS)
        COVER(HOST_RESTART_REFUSED);
    else if (was_admitted)
        finding("rack", "%s was admitted and killed, and is started again: %s", at->host->name,
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

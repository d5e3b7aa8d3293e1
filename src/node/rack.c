#include "node/rack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/handover.h"
#include "node/node.h"
#include "node/place.h"
#include "node/prefault.h"
#include "node/report.h"
#include "node/seat.h"

#define READY_TIMEOUT_NS 10000000000ULL
#define NAP_NS           1000000ULL
#define PATH_BYTES       1024

struct rack_node {
    struct rack *rack;
    struct node *node;
    struct report ended;
    struct report replica_ended;
    struct handover limits;
};

struct rack {
    struct rack_options options;
    char url[256];
    struct env_map *map;
    bool created; /* the region is ours to remove */
    struct seat *seat;
    struct rack_node nodes[RACK_NODES_MAX];
    struct runner *runners[RACK_NODES_MAX + 1];
    uint32_t runner_count;
    uint32_t running; /* started threads */
    struct prefault *prefault;
    struct flag ready; /* set by node 0's thread once the rack can serve */
    struct report sequencer_ended;
};

/* ---- the region ------------------------------------------------------------------------------ */

static int make_region(struct rack *rack, struct error *err)
{
    const struct rack_options *o = &rack->options;
    struct place_options place = {
        .env = o->env, .url = rack->url, .geometry = o->geometry, .coherence = o->coherence};
    int rc = place_make(&place, &rack->map, err);
    rack->created = rc == EMB_OK;
    return rc;
}

/* ---- the sequencer --------------------------------------------------------------------------- */

static int make_seat(struct rack *rack, struct error *err)
{
    const struct rack_options *o = &rack->options;
    struct seat_options options = {.env = o->env,
                                   .map = rack->map,
                                   .writeback = o->writeback,
                                   .node = 0,
                                   .nodes = o->nodes,
                                   .replicas = o->replicas,
                                   .stores = o->replicas ? o->nodes : 0,
                                   .pass_ns = o->pass_ns,
                                   .fence_timeout_ns = o->fence_timeout_ns,
                                   .skip_timeout_ns = o->skip_timeout_ns};
    return seat_create(&options, &rack->seat, err);
}

/* An agent of the sequencer's thread: tells the caller's how it is. */
static int watch_seat_turn(void *state, uint64_t now_ns)
{
    struct rack *rack = state;
    struct error failure;
    if (seat_failure(rack->seat, &failure))
        report_once(&rack->sequencer_ended, &failure);
    return 0;
}

/* ---- nodes and threads ----------------------------------------------------------------------- */

static int add_runner(struct rack *rack, const char *name, struct runner **runner,
                      struct error *err)
{
    int rc = runner_create(rack->options.env, name, runner, err);
    if (rc == EMB_OK)
        rack->runners[rack->runner_count++] = *runner;
    return rc;
}

/* Admitted nodes, and chains that are durable: the rack can serve. */
static bool can_serve(const struct rack *rack, struct follower *follower)
{
    const struct meta_state *meta = follower_meta(follower);
    for (uint32_t id = 0; id < rack->options.nodes; id++)
        if (!meta->nodes[id].live)
            return false;
    const struct meta_chain *chain = &meta->lanes[LANE_SEQUENCER].chain;
    return rack->options.replicas == 0 ||
           (chain->version != 0 && follower_durable(follower) > chain->position);
}

/* An agent of each node's thread: tells the caller's how the node is. */
static int watch_turn(void *state, uint64_t now_ns)
{
    struct rack_node *place = state;
    struct error failure;
    handover_take(&place->limits, place->node);
    if (node_failure(place->node, &failure))
        report_once(&place->ended, &failure);
    if (node_replica_failure(place->node, &failure))
        report_once(&place->replica_ended, &failure);
    if (place == &place->rack->nodes[0] && !flag_load_acquire(&place->rack->ready) &&
        can_serve(place->rack, node_follower(place->node)))
        flag_store_release(&place->rack->ready, 1);
    return 0;
}

static int make_node(struct rack *rack, uint32_t id, struct error *err)
{
    const struct rack_options *o = &rack->options;
    struct runner *runner = rack->runners[0];
    int rc;
    if (o->dedicated && (rc = add_runner(rack, "node", &runner, err)))
        return rc;
    char data[PATH_BYTES];
    snprintf(data, sizeof data, "%s/node%u", o->data, id);
    struct node_options options = {.env = o->env,
                                   .runner = runner,
                                   .map = rack->map,
                                   .writeback = o->writeback,
                                   .node = id,
                                   .roles = ROLE_BROKER | (o->replicas ? ROLE_REPLICA : 0) |
                                            (id == 0 ? ROLE_SEQUENCER : 0),
                                   .host = o->host,
                                   .port = o->port ? (uint16_t)(o->port + id) : 0,
                                   .data = data,
                                   .sync_bytes = o->sync_bytes,
                                   .max_batch_bytes = o->max_batch_bytes,
                                   .max_message_bytes = o->max_message_bytes,
                                   .limits = o->limits};
    struct rack_node *place = &rack->nodes[id];
    place->rack = rack;
    rc = node_create(&options, &place->node, err);
    if (rc)
        return rc;
    if (id == 0)
        node_set_seat(place->node, rack->seat);
    struct agent agent = node_agent(place->node);
    runner_add(runner, &agent);
    runner_add(runner, &(struct agent){"watch", watch_turn, place});
    return EMB_OK;
}

static int make_all(struct rack *rack, struct error *err)
{
    struct runner *first;
    int rc = make_region(rack, err);
    if (rc == EMB_OK)
        rc = add_runner(rack, "sequencer", &first, err);
    if (rc == EMB_OK)
        rc = make_seat(rack, err);
    if (rc)
        return rc;
    struct agent seat = seat_agent(rack->seat);
    runner_add(first, &seat);
    runner_add(first, &(struct agent){"watch seat", watch_seat_turn, rack});
    for (uint32_t id = 0; id < rack->options.nodes; id++)
        if ((rc = make_node(rack, id, err)))
            return rc;
    return prefault_start(rack->map, seat_region(rack->seat)->areas.blog, &rack->prefault, err);
}

static int start_threads(struct rack *rack, struct error *err)
{
    for (uint32_t i = 0; i < rack->runner_count; i++) {
        runner_set_peers(rack->runners[i], rack->runners, (int)rack->runner_count);
        int rc = runner_start(rack->runners[i], err);
        if (rc)
            return rc;
        rack->running++;
    }
    return EMB_OK;
}

static int wait_until_ready(struct rack *rack, struct error *err)
{
    struct env *env = rack->options.env;
    struct env_poller *nap;
    int rc = env_poller_create(env, &nap);
    if (rc)
        return error_set(err, rc, "no poller to wait with");
    uint64_t end_ns = env_now_ns(env) + READY_TIMEOUT_NS;
    while (rc == EMB_OK && !flag_load_acquire(&rack->ready)) {
        env_poller_wait(nap, NAP_NS);
        rc = rack_failure(rack, err);
        for (uint32_t id = 0; id < rack->options.nodes && rc == EMB_OK; id++)
            rc = rack_replica_failure(rack, id, err);
        if (rc == EMB_OK && env_now_ns(env) > end_ns)
            rc = error_set(err, EMB_ERR_TIMEOUT,
                           "the rack's %u nodes were not admitted, or their chains not durable, "
                           "within 10 s",
                           rack->options.nodes);
    }
    env_poller_destroy(nap);
    return rc;
}

int rack_start(const struct rack_options *options, struct rack **out, struct error *err)
{
    if (options->nodes < 1 || options->nodes > RACK_NODES_MAX || options->replicas > options->nodes)
        return error_set(err, EMB_ERR_INVALID_SETTING,
                         "%u nodes with %u replicas: 1 to %d nodes and at most as many replicas "
                         "are accepted",
                         options->nodes, options->replicas, RACK_NODES_MAX);
    struct rack *rack = calloc(1, sizeof *rack);
    if (!rack)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for a rack");
    rack->options = *options;
    snprintf(rack->url, sizeof rack->url, "%s", options->region_url);
    int rc = make_all(rack, err);
    if (rc == EMB_OK)
        rc = start_threads(rack, err);
    if (rc == EMB_OK)
        rc = wait_until_ready(rack, err);
    if (rc) {
        rack_stop(rack, false);
        return rc;
    }
    *out = rack;
    return EMB_OK;
}

void rack_stop(struct rack *rack, bool keep)
{
    for (uint32_t i = 0; i < rack->running; i++)
        runner_stop(rack->runners[i]);
    for (uint32_t i = 0; i < rack->running; i++)
        runner_join(rack->runners[i]);
    prefault_stop(rack->prefault);
    for (uint32_t id = 0; id < RACK_NODES_MAX; id++)
        node_destroy(rack->nodes[id].node);
    seat_destroy(rack->seat);
    for (uint32_t i = 0; i < rack->runner_count; i++)
        runner_destroy(rack->runners[i]);
    if (rack->map)
        env_map_close(rack->map);
    if (rack->created && !keep)
        env_map_remove(rack->options.env, rack->url, NULL);
    free(rack);
}

/* ---- queries --------------------------------------------------------------------------------- */

bool rack_set_limits(struct rack *rack, const struct broker_limits *limits)
{
    bool given = true;
    for (uint32_t id = 0; id < rack->options.nodes; id++)
        given &= handover_give(&rack->nodes[id].limits, limits);
    return given;
}

uint16_t rack_port(const struct rack *rack, uint32_t node)
{
    return node_port(rack->nodes[node].node);
}

int rack_failure(struct rack *rack, struct error *err)
{
    int rc = report_read(&rack->sequencer_ended, err);
    for (uint32_t id = 0; id < rack->options.nodes && rc == EMB_OK; id++)
        rc = report_read(&rack->nodes[id].ended, err);
    return rc;
}

int rack_replica_failure(struct rack *rack, uint32_t node, struct error *err)
{
    return report_read(&rack->nodes[node].replica_ended, err);
}

struct region *rack_region(struct rack *rack)
{
    return seat_region(rack->seat);
}

void rack_sequencer_counters(struct rack *rack, struct sequencer_counters *counters)
{
    seat_counters(rack->seat, counters);
}

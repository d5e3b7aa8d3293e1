#include "node/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/member.h"
#include "node/bells.h"
#include "node/handover.h"
#include "node/prefault.h"
#include "node/report.h"
#include "node/seat.h"

#define LISTEN_NS 500000000ULL /* far longer than a live node takes between two heartbeats */

struct process {
    struct process_options options;
    struct env_dir *lock; /* of the data directory, also for its store */
    struct env_map *map;
    struct node *node;
    struct seat *seat; /* NULL: not the sequencer */
    struct runner *runners[2];
    struct bells *bells[2]; /* of each runner */
    int runner_count;
    int running;
    struct prefault *prefault;

    struct flag leave; /* asked for by the caller */
    struct handover limits;
    /* Written by the node's thread. */
    struct flag state, sequencer, live, silent;
    struct report failed, cannot_leave, replica_failed;
};

/* ---- agents that tell the caller ------------------------------------------------------------- */

static enum process_state state_of(struct process *p)
{
    struct error err;
    const struct follower *follower = node_follower(p->node);
    enum node_leave leave = node_leave_state(p->node, &err);
    if (leave == NODE_CANNOT)
        report_once(&p->cannot_leave, &err);
    if (leave != NODE_STAYS)
        return leave == NODE_LEFT     ? PROCESS_LEFT
               : leave == NODE_CANNOT ? PROCESS_CANNOT_LEAVE
                                      : PROCESS_LEAVES;
    if (!node_admitted(p->node))
        return node_sees_epoch(p->node) ? PROCESS_ASKS : PROCESS_NO_SEQUENCER;
    bool chains = follower_meta(follower)->lanes[LANE_SEQUENCER].chain.version != 0;
    return chains || p->options.replicas == 0 ? PROCESS_SERVES : PROCESS_NO_CHAINS;
}

/* Of the node's thread, after the node's turn. */
static int watch_turn(void *state, uint64_t now_ns)
{
    struct process *p = state;
    struct error err;
    if (flag_load_acquire(&p->leave))
        node_leave(p->node);
    handover_take(&p->limits, p->node);
    if (node_failure(p->node, &err))
        report_once(&p->failed, &err);
    if (node_replica_failure(p->node, &err))
        report_once(&p->replica_failed, &err);
    flag_store_release(&p->live, follower_live_nodes(node_follower(p->node)));
    flag_store_release(&p->silent, node_silent_nodes(p->node));
    flag_store_release(&p->sequencer, follower_sequencer(node_follower(p->node)));
    flag_store_release(&p->state, state_of(p));
    return 0;
}

static int watch_seat_turn(void *state, uint64_t now_ns)
{
    struct process *p = state;
    struct error err;
    if (seat_failure(p->seat, &err))
        report_once(&p->failed, &err);
    return 0;
}

/* ---- starting -------------------------------------------------------------------------------- */

static int add_runner(struct process *p, const char *name, struct error *err)
{
    int rc = runner_create(p->options.place.env, name, &p->runners[p->runner_count], err);
    p->runner_count += rc == EMB_OK;
    return rc;
}

static int open_place(struct process *p, struct error *err)
{
    const struct process_options *o = &p->options;
    return o->roles & ROLE_SEQUENCER ? place_make_or_open(&o->place, &p->map, err)
                                     : place_open(&o->place, &p->map, err);
}

/* Two processes of one node id on a host have, as a rule, one directory. */
static int lock_data(struct process *p, struct error *err)
{
    const struct process_options *o = &p->options;
    return env_dir_open(o->place.env, o->data, ENV_DIR_CREATE | ENV_DIR_LOCK | ENV_DIR_WRITE,
                        &p->lock, err);
}

static struct seat_options seat_options_of(const struct process *p)
{
    const struct process_options *o = &p->options;
    return (struct seat_options){.env = o->place.env,
                                 .map = p->map,
                                 .writeback = o->writeback,
                                 .node = o->node,
                                 .nodes = o->nodes,
                                 .replicas = o->replicas,
                                 .pass_ns = o->pass_ns,
                                 .fence_timeout_ns = o->fence_timeout_ns,
                                 .skip_timeout_ns = o->skip_timeout_ns};
}

/* Before anything of this node is seen by others. */
static int check_seat(const struct process *p, struct error *err)
{
    struct seat_options options = seat_options_of(p);
    return p->options.roles & ROLE_SEQUENCER ? seat_check(&options, err) : EMB_OK;
}

static int make_seat(struct process *p, struct error *err)
{
    struct seat_options options = seat_options_of(p);
    int rc = node_ask(p->node, err);
    if (rc == EMB_OK && p->options.dedicated)
        rc = add_runner(p, "sequencer", err);
    if (rc == EMB_OK)
        rc = seat_create(&options, &p->seat, err);
    if (rc)
        return rc;
    node_set_seat(p->node, p->seat);
    struct runner *runner = p->runners[p->runner_count - 1];
    struct agent agent = seat_agent(p->seat);
    runner_add(runner, &agent);
    runner_add(runner, &(struct agent){"watch seat", watch_seat_turn, p});
    return EMB_OK;
}

static int make_node(struct process *p, struct error *err)
{
    const struct process_options *o = &p->options;
    struct node_options options = {.env = o->place.env,
                                   .runner = p->runners[0],
                                   .map = p->map,
                                   .writeback = o->writeback,
                                   .node = o->node,
                                   .roles = o->roles,
                                   .host = o->host,
                                   .advertise = o->advertise,
                                   .port = o->port,
                                   .data = o->data,
                                   .data_locked = true,
                                   .sync_bytes = o->sync_bytes,
                                   .max_batch_bytes = o->max_batch_bytes,
                                   .max_message_bytes = o->max_message_bytes,
                                   .limits = o->limits};
    int rc = node_create(&options, &p->node, err);
    if (rc)
        return rc;
    struct agent agent = node_agent(p->node);
    runner_add(p->runners[0], &agent);
    runner_add(p->runners[0], &(struct agent){"watch", watch_turn, p});
    return EMB_OK;
}

/* Whose id is taken is told whether the process that has it runs, which takes a while to see. */
static int check_place(struct process *p, struct error *err)
{
    const struct process_options *o = &p->options;
    struct region region;
    struct env_poller *nap;
    uint64_t incarnation;
    int rc = region_attach(&region, env_map_base(p->map), env_map_bytes(p->map), o->writeback, err);
    if (rc == EMB_OK)
        rc = member_take_place(o->place.env, &region, o->node, &incarnation, err);
    if (rc != EMB_ERR_EXISTS || env_poller_create(o->place.env, &nap))
        return rc;
    uint64_t before = member_heartbeat(&region, o->node);
    env_poller_wait(nap, LISTEN_NS);
    bool runs = member_heartbeat(&region, o->node) != before;
    env_poller_destroy(nap);
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, "; %s",
             runs ? "it runs (its heartbeat moves): choose another node-id"
                  : "it does not run any more, and a node that did not leave cannot come back yet");
    return rc;
}

/* The node before the seat: a sequencer whose node cannot start grants itself no epoch, and one
   that starts at the same time finds the node's request. The directory before the region, which is
   only made by who may use it. */
static int make_all(struct process *p, struct error *err)
{
    int rc = lock_data(p, err);
    if (rc == EMB_OK)
        rc = open_place(p, err);
    if (rc == EMB_OK)
        rc = check_place(p, err);
    if (rc == EMB_OK)
        rc = check_seat(p, err);
    if (rc == EMB_OK)
        rc = add_runner(p, "node", err);
    if (rc == EMB_OK)
        rc = make_node(p, err);
    if (rc == EMB_OK && (p->options.roles & ROLE_SEQUENCER))
        rc = make_seat(p, err);
    if (rc)
        return rc;
    uint64_t blog = node_region(p->node)->areas.blog;
    return prefault_start(p->map, blog, &p->prefault, err);
}

/* The sequencer has a bell of its own where it has a thread of its own. */
static int hang_bells(struct process *p, struct error *err)
{
    const struct process_options *o = &p->options;
    int rc = bells_create(o->place.env, p->runners[0], node_own_region(p->node), o->node, false,
                          &p->bells[0], err);
    if (rc == EMB_OK && p->runner_count == 2)
        rc = bells_create(o->place.env, p->runners[1], seat_region(p->seat), o->node, true,
                          &p->bells[1], err);
    return rc;
}

static int start_threads(struct process *p, struct error *err)
{
    int rc = hang_bells(p, err);
    for (int i = 0; i < p->runner_count && rc == EMB_OK; i++) {
        runner_set_peers(p->runners[i], p->runners, p->runner_count);
        rc = runner_start(p->runners[i], err);
        p->running += rc == EMB_OK;
    }
    return rc;
}

static void stop_threads(struct process *p)
{
    for (int i = 0; i < p->running; i++)
        runner_stop(p->runners[i]);
    for (int i = 0; i < p->running; i++)
        runner_join(p->runners[i]);
    prefault_stop(p->prefault);
}

static void destroy(struct process *p)
{
    node_destroy(p->node);
    seat_destroy(p->seat);
    for (int i = 0; i < p->runner_count; i++) {
        bells_destroy(p->bells[i]);
        runner_destroy(p->runners[i]);
    }
    if (p->map)
        env_map_close(p->map);
    if (p->lock)
        env_dir_close(p->lock);
    free(p);
}

int process_start(const struct process_options *options, struct process **out, struct error *err)
{
    struct process *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for a node");
    p->options = *options;
    flag_store_release(&p->sequencer, NODE_MAX);
    int rc = make_all(p, err);
    if (rc == EMB_OK)
        rc = start_threads(p, err);
    if (rc) {
        stop_threads(p);
        if (p->node)
            node_give_up(p->node);
        destroy(p);
        return rc;
    }
    *out = p;
    return EMB_OK;
}

bool process_set_limits(struct process *p, const struct broker_limits *limits)
{
    bool given = handover_give(&p->limits, limits);
    runner_wake(p->runners[0]);
    return given;
}

void process_leave(struct process *p)
{
    flag_store_release(&p->leave, 1);
    runner_wake(p->runners[0]);
}

void process_stop(struct process *p)
{
    stop_threads(p);
    destroy(p);
}

/* ---- looking --------------------------------------------------------------------------------- */

void process_look(struct process *p, struct process_view *view, struct error *err)
{
    *view = (struct process_view){.state = (enum process_state)flag_load_acquire(&p->state),
                                  .sequencer = (uint32_t)flag_load_acquire(&p->sequencer),
                                  .live = (uint32_t)flag_load_acquire(&p->live),
                                  .silent = (uint32_t)flag_load_acquire(&p->silent)};
    if (view->state == PROCESS_CANNOT_LEAVE)
        report_read(&p->cannot_leave, err);
    if (report_read(&p->failed, err))
        view->state = PROCESS_FAILED;
}

int process_replica_failure(struct process *p, struct error *err)
{
    return report_read(&p->replica_failed, err);
}

uint16_t process_port(const struct process *p)
{
    return node_port(p->node);
}

const struct region *process_region(const struct process *p)
{
    return node_region(p->node);
}

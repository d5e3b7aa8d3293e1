#include "node/node.h"

#include <stdlib.h>

#include "cluster/member.h"
#include "node/status.h"

struct node {
    struct node_options options;
    struct region region;
    struct store *store;
    struct follower *follower;
    struct replica *replica;
    struct broker *broker;
    struct member *member;
    uint64_t incarnation;
    enum node_leave leave;
    struct error why; /* it cannot leave */
    uint64_t durable; /* D, and when it last moved or had nothing to wait for */
    uint64_t durable_ns;
    uint64_t now_ns;
    struct seat *seat; /* or NULL */
};

static int64_t snapshot(void *arg, void *bytes, size_t capacity)
{
    struct node *node = arg;
    const struct meta_state *meta = follower_meta(node->follower);
    struct meta_cursor cursor = {0};
    int64_t used = 0;
    while (!meta_encode_done(&cursor)) {
        int64_t more = meta_encode(meta, &cursor, follower_position(node->follower), UINT16_MAX,
                                   (unsigned char *)bytes + used, capacity - (size_t)used);
        if (more < 0)
            return more;
        used += more;
    }
    return used;
}

static int open_replica(struct node *node, struct error *err)
{
    const struct node_options *o = &node->options;
    if (!(o->roles & ROLE_REPLICA))
        return EMB_OK;
    struct store_options options = {.path = o->data,
                                    .create = true,
                                    .locked = o->data_locked,
                                    .node = o->node,
                                    .life = 1,
                                    .file_bytes = o->store_file_bytes,
                                    .staging_bytes = o->store_staging_bytes,
                                    .direct = true,
                                    .snapshot = snapshot,
                                    .snapshot_arg = node};
    int rc = store_open(o->env, runner_poller(o->runner), &options, &node->store, err);
    if (rc)
        return rc;
    struct replica_options replica = {.follower = node->follower,
                                      .store = node->store,
                                      .region = &node->region,
                                      .node = o->node,
                                      .sync_bytes = o->sync_bytes};
    return replica_create(&replica, &node->replica, err);
}

static int open_member(struct node *node, uint16_t port, struct error *err)
{
    const struct node_options *o = &node->options;
    struct member_options options = {.region = &node->region,
                                     .follower = node->follower,
                                     .node = o->node,
                                     .incarnation = node->incarnation,
                                     .roles = o->roles,
                                     .lanes_wanted = 1,
                                     .store_uuid = node->store ? store_uuid(node->store) : NULL,
                                     .host = o->advertise ? o->advertise : o->host,
                                     .port = port,
                                     .life = 1};
    return member_create(&options, &node->member, err);
}

static void more_status(void *arg, broker_status_fn *fn, void *fn_arg)
{
    struct node *node = arg;
    uint32_t sequencer = follower_sequencer(node->follower);
    node_status_log(node->options.node, sequencer, (node->now_ns - node->durable_ns) / 1000000, fn,
                    fn_arg);
    node_status_members(&node->region, follower_meta(node->follower), node->member, fn, fn_arg);
    node_status_process(node->options.node, fn, fn_arg);
    if (node->replica)
        node_status_replica(node->options.node, node->replica, node->store, fn, fn_arg);
    if (node->seat)
        seat_status(node->seat, fn, fn_arg);
}

static int open_broker(struct node *node, struct error *err)
{
    const struct node_options *o = &node->options;
    struct broker_options options = {.env = o->env,
                                     .poller = runner_poller(o->runner),
                                     .follower = node->follower,
                                     .map = o->map,
                                     .node = o->node,
                                     .roles = o->roles,
                                     .incarnation = node->incarnation,
                                     .host = o->host,
                                     .port = o->port,
                                     .max_batch_bytes = o->max_batch_bytes,
                                     .max_message_bytes = o->max_message_bytes,
                                     .limits = o->limits,
                                     .more_status = more_status,
                                     .more_arg = node};
    return broker_create(&options, &node->broker, err);
}

/* The place first: nothing is written of a node id that another has. The broker before the store: a
   port that is taken then leaves no store behind. */
static int open_parts(struct node *node, struct error *err)
{
    const struct node_options *o = &node->options;
    int rc = region_attach(&node->region, env_map_base(o->map), env_map_bytes(o->map), o->writeback,
                           err);
    if (rc == EMB_OK)
        rc = member_take_place(o->env, &node->region, o->node, &node->incarnation, err);
    if (rc)
        return rc;
    struct follower_options follower = {
        .region = &node->region, .node = o->node, .incarnation = node->incarnation};
    if ((rc = follower_create(&follower, &node->follower, err)) || (rc = open_broker(node, err)) ||
        (rc = open_replica(node, err)))
        return rc;
    return open_member(node, broker_port(node->broker), err);
}

int node_create(const struct node_options *options, struct node **out, struct error *err)
{
    struct node *node = calloc(1, sizeof *node);
    if (!node)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for node %u", options->node);
    node->options = *options;
    int rc = open_parts(node, err);
    if (rc) {
        node_destroy(node);
        return rc;
    }
    *out = node;
    return EMB_OK;
}

void node_destroy(struct node *node)
{
    if (!node)
        return;
    if (node->broker)
        broker_destroy(node->broker);
    if (node->member && node->leave == NODE_LEFT)
        member_left(node->member);
    if (node->member)
        member_destroy(node->member);
    if (node->replica)
        replica_destroy(node->replica);
    if (node->store)
        store_close(node->store);
    follower_destroy(node->follower);
    free(node);
}

int node_ask(struct node *node, struct error *err)
{
    return member_ask(node->member, err);
}

void node_give_up(struct node *node)
{
    node->leave = NODE_LEFT;
}

/* ---- leaving --------------------------------------------------------------------------------- */

static void cannot(struct node *node, const char *why)
{
    node->leave = NODE_CANNOT;
    error_set(&node->why, EMB_ERR_BUSY, "node %u cannot leave the rack: %s", node->options.node,
              why);
}

void node_leave(struct node *node)
{
    if (node->leave != NODE_STAYS)
        return;
    if (node->options.roles & ROLE_SEQUENCER)
        cannot(node, "it is the sequencer, and another cannot take over yet");
    else if (meta_node_in_chain(follower_meta(node->follower), node->options.node))
        cannot(node, "its store is a member of chains, which cannot change yet");
    else
        broker_leave(node->broker);
    if (node->leave == NODE_STAYS)
        node->leave = NODE_LEAVING;
}

/* Its follower cannot go on, which is how it should be if nobody counts on the node any more. */
static bool may_be_out(const struct node *node)
{
    return node->leave == NODE_LEAVING && broker_has_asked_to_leave(node->broker);
}

static void leave_go_on(struct node *node)
{
    int reason;
    enum broker_leave state = broker_leave_state(node->broker, &reason);
    if (state == BROKER_LEFT)
        node->leave = NODE_LEFT;
    else if (state == BROKER_REFUSED)
        cannot(node, reason == EMB_ERR_BUSY ? "its store has become a member of a chain"
                                            : error_text(reason));
}

enum node_leave node_leave_state(const struct node *node, struct error *err)
{
    if (err && node->leave == NODE_CANNOT)
        *err = node->why;
    return node->leave;
}

uint32_t node_silent_nodes(const struct node *node)
{
    return member_silent_nodes(node->member);
}

/* ---- the agent ------------------------------------------------------------------------------- */

static void note_durable(struct node *node, uint64_t now_ns)
{
    uint64_t durable = follower_durable(node->follower);
    if (durable != node->durable || durable >= follower_position(node->follower))
        node->durable_ns = now_ns;
    node->durable = durable;
    node->now_ns = now_ns;
}

/* The follower first: what it takes in this turn the others act upon in it. */
static int node_do_work(void *state, uint64_t now_ns)
{
    struct node *node = state;
    if (node->leave == NODE_LEFT)
        return 0;
    if (follower_failure(node->follower, NULL) && may_be_out(node)) {
        if (follower_was_let_go(node->follower))
            node->leave = NODE_LEFT;
        return 0;
    }
    if (node_failure(node, NULL)) /* what its store has under way would not let the thread sleep */
        return node->store ? store_do_work(node->store, now_ns) : 0;
    int work = follower_do_work(node->follower, now_ns);
    note_durable(node, now_ns);
    work += member_do_work(node->member, now_ns);
    if (node->replica)
        work += replica_do_work(node->replica, now_ns);
    work += broker_do_work(node->broker, now_ns);
    if (node->leave == NODE_LEAVING)
        leave_go_on(node);
    return work;
}

struct agent node_agent(struct node *node)
{
    return (struct agent){.name = "node", .do_work = node_do_work, .state = node};
}

void node_set_seat(struct node *node, struct seat *seat)
{
    node->seat = seat;
}

bool node_admitted(const struct node *node)
{
    return member_admitted(node->member);
}

uint16_t node_port(const struct node *node)
{
    return broker_port(node->broker);
}

int node_failure(const struct node *node, struct error *err)
{
    int rc = may_be_out(node) || node->leave == NODE_LEFT ? EMB_OK
                                                          : follower_failure(node->follower, err);
    return rc ? rc : member_failure(node->member, err);
}

void node_set_limits(struct node *node, const struct broker_limits *limits)
{
    broker_set_limits(node->broker, limits, NULL);
}

int node_replica_failure(const struct node *node, struct error *err)
{
    return node->replica ? replica_failure(node->replica, err) : EMB_OK;
}

const struct region *node_region(const struct node *node)
{
    return &node->region;
}

struct region *node_own_region(struct node *node)
{
    return &node->region;
}

bool node_sees_epoch(const struct node *node)
{
    return node->region.epoch_floor != 0;
}

struct follower *node_follower(struct node *node)
{
    return node->follower;
}

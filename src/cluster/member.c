/*
 * How it works: the incarnation is the wall clock with some random bits below it, so that two in
 * one millisecond differ, but always above what the line knows of this node id, so that a clock set
 * back does no harm. Whoever reads the log then tells an admission of this process from one of its
 * predecessors by that number alone.
 *
 * The request is published in the first turn, if not before: by then all of the node that may fail
 * stands. A request is a standing promise, so whoever ends before it was granted takes it back.
 *
 * A heartbeat is a counter; when it last moved is measured here, and begins anew for all nodes
 * after a pause of our own: nobody else is silent because we were.
 */
#include "cluster/member.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

#define RANDOM_BITS    12 /* with the clock's in 53, which JSON's numbers carry */
#define WATCH_EVERY_NS 10000000ULL
#define OWN_PAUSE_NS   20000000ULL

struct pulse {
    uint64_t heartbeat;
    uint64_t moved_ns; /* 0: not watched yet */
};

struct member {
    struct region *region;
    struct follower *follower;
    uint32_t node;
    struct node_request_shared request;
    bool asked;
    bool admitted;
    struct error failure;
    struct pulse pulses[NODE_MAX];
    uint32_t silent;
    uint64_t turn_ns; /* of the last turn */
    uint64_t watch_ns;
};

/* ---- a place --------------------------------------------------------------------------------- */

static int check_free(struct region *region, uint32_t node, struct node_request_shared *found,
                      struct error *err)
{
    *found = (struct node_request_shared){0};
    if (!region_node_request_observe(region, node, found) || found->roles == 0) /* R7 */
        return EMB_OK;
    return error_set(err, EMB_ERR_EXISTS,
                     "node id %u is taken in this region: a process that listened on %.*s:%u "
                     "(incarnation %llu) has not left the rack",
                     node, NODE_HOST_BYTES, found->host, found->port,
                     (unsigned long long)found->incarnation);
}

static uint64_t withdrawn(struct region *region, uint32_t node)
{
    return mem_observe_u64(&region->mem, &region_node_beat(region, node)->withdrawn);
}

int member_take_place(struct env *env, struct region *region, uint32_t node, uint64_t *incarnation,
                      struct error *err)
{
    struct node_request_shared found;
    uint64_t random;
    int rc = check_free(region, node, &found, err);
    if (rc)
        return rc;
    env_random(env, &random, sizeof random);
    uint64_t last = max_u64(found.incarnation, withdrawn(region, node));
    /* Never 0, which stands for "never admitted". */
    *incarnation =
        max_u64(env_wall_ms(env) << RANDOM_BITS, last + 1) + (random & ((1U << RANDOM_BITS) - 1));
    return EMB_OK;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static int check_place(const struct member_options *options, struct error *err)
{
    if (options->node >= NODE_MAX)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "node id %u; accepted: 0 to %d",
                         options->node, NODE_MAX - 1);
    size_t bytes = options->host ? strnlen(options->host, NODE_HOST_BYTES) : 0;
    if (bytes == 0 || bytes == NODE_HOST_BYTES)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "node %u: host \"%.60s\"; accepted: 1 to %d bytes", options->node,
                         options->host ? options->host : "", NODE_HOST_BYTES - 1);
    if (options->port == 0)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "node %u: port 0; accepted: the port that it listens on, 1 to 65535",
                         options->node);
    return EMB_OK;
}

static int check_parts(const struct member_options *options, struct error *err)
{
    const uint32_t all = ROLE_BROKER | ROLE_REPLICA | ROLE_SEQUENCER | ROLE_STANDBY;
    if (options->roles == 0 || (options->roles & ~all))
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "node %u: roles %#x; accepted: some of %#x (broker 1, replica 2, "
                         "sequencer 4, standby 8)",
                         options->node, options->roles, all);
    if (options->lanes_wanted < 1 || options->lanes_wanted > NODE_LANES_MAX)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "node %u: %u lanes; accepted: 1 to %d",
                         options->node, options->lanes_wanted, NODE_LANES_MAX);
    if (!(options->roles & ROLE_REPLICA) != !options->store_uuid)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "node %u: %s; accepted: a store exactly where there is the role replica",
                         options->node,
                         options->store_uuid ? "a store without the role replica"
                                             : "the role replica without a store");
    return EMB_OK;
}

static void fill_request(struct node_request_shared *request, const struct member_options *options)
{
    *request = (struct node_request_shared){
        .incarnation = options->incarnation,
        .roles = options->roles,
        .lanes_wanted = options->lanes_wanted,
        .port = options->port,
        .life = options->life,
    };
    if (options->store_uuid)
        memcpy(request->store_uuid, options->store_uuid, sizeof request->store_uuid);
    memcpy(request->host, options->host, strlen(options->host));
}

static void publish_request(struct member *member)
{
    region_node_request_publish(member->region, member->node, &member->request); /* R7 */
    mem_drain(&member->region->mem);
}

int member_create(const struct member_options *options, struct member **member, struct error *err)
{
    ASSERT(options->region && options->follower && options->incarnation);
    int result = check_place(options, err);
    if (result == EMB_OK)
        result = check_parts(options, err);
    if (result != EMB_OK)
        return result;
    struct member *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the membership of node %u",
                         options->node);
    made->region = options->region;
    made->follower = options->follower;
    made->node = options->node;
    fill_request(&made->request, options);
    *member = made;
    return EMB_OK;
}

void member_destroy(struct member *member)
{
    free(member);
}

/* Meanwhile another process may have taken the place. */
int member_ask(struct member *member, struct error *err)
{
    struct node_request_shared found;
    if (!member->asked &&
        check_free(member->region, member->node, &found, &member->failure) == EMB_OK) {
        member->asked = true;
        publish_request(member);
    }
    return member_failure(member, err);
}

/* The line's request, if it is another's; what is found of it is told. */
static bool is_overwritten(struct member *member, struct node_request_shared *found)
{
    return region_node_request_observe(member->region, member->node, found) && /* R7 */
           found->incarnation != member->request.incarnation;
}

void member_left(struct member *member)
{
    struct node_request_shared found;
    struct node_beat_shared *beat = region_node_beat(member->region, member->node);
    if (!member->asked || is_overwritten(member, &found))
        return;
    mem_publish_u64(&member->region->mem, &beat->withdrawn, member->request.incarnation); /* R7 */
    member->request.roles = 0;
    publish_request(member);
}

/* ---- learning -------------------------------------------------------------------------------- */

static int replaced(struct member *member, uint64_t incarnation)
{
    member->admitted = false;
    error_set(&member->failure, EMB_ERR_EXISTS,
              "node %u: incarnation %llu was admitted after this one, %llu; accepted: one live "
              "process a node id",
              member->node, (unsigned long long)incarnation,
              (unsigned long long)member->request.incarnation);
    return 1;
}

/* Somebody wrote over our request. */
static int overwritten(struct member *member)
{
    struct node_request_shared found;
    if (!is_overwritten(member, &found))
        return 0;
    member->admitted = false;
    error_set(&member->failure, EMB_ERR_EXISTS,
              "node id %u is asked for by two processes at the same time, this one and one that "
              "listens on %.*s:%u; accepted: one process a node id",
              member->node, NODE_HOST_BYTES, found.host, found.port);
    return 1;
}

static int learn(struct member *member)
{
    uint64_t incarnation = follower_meta(member->follower)->nodes[member->node].incarnation;
    if (incarnation > member->request.incarnation)
        return replaced(member, incarnation);
    if (member->admitted)
        return 0;
    if (incarnation != member->request.incarnation)
        return overwritten(member);
    member->admitted = follower_is_current(member->follower);
    return member->admitted;
}

/* ---- how the others are ---------------------------------------------------------------------- */

uint64_t member_heartbeat(struct region *region, uint32_t node)
{
    return mem_observe_u64(&region->mem, &region_node_beat(region, node)->heartbeat); /* R7 */
}

static void watch_node(struct member *member, uint32_t node, bool paused, uint64_t now_ns)
{
    struct pulse *pulse = &member->pulses[node];
    uint64_t heartbeat = member_heartbeat(member->region, node);
    if (heartbeat != pulse->heartbeat)
        member->silent &= ~(1u << node);
    if (heartbeat != pulse->heartbeat || !pulse->moved_ns || paused)
        *pulse = (struct pulse){.heartbeat = heartbeat, .moved_ns = now_ns};
    if (now_ns - pulse->moved_ns >= MEMBER_SILENT_NS)
        member->silent |= 1u << node;
}

static void watch(struct member *member, uint64_t now_ns)
{
    bool paused = now_ns - member->turn_ns > OWN_PAUSE_NS;
    uint64_t live = follower_live_nodes(member->follower);
    member->silent &= (uint32_t)live;
    for (uint32_t node = 0; node < NODE_MAX; node++) {
        if (live >> node & 1)
            watch_node(member, node, paused, now_ns);
        else
            member->pulses[node] = (struct pulse){0};
    }
}

int member_do_work(struct member *member, uint64_t now_ns)
{
    if (member->failure.code != EMB_OK)
        return 0;
    if (now_ns - member->watch_ns >= WATCH_EVERY_NS) {
        watch(member, now_ns);
        member->watch_ns = now_ns;
        if (member->admitted && overwritten(member))
            return 1;
    }
    member->turn_ns = now_ns;
    if (member->asked)
        return learn(member);
    member_ask(member, NULL);
    return 1;
}

uint32_t member_silent_nodes(const struct member *member)
{
    return member->silent;
}

uint64_t member_silent_ns(const struct member *member, uint32_t node)
{
    uint64_t moved_ns = member->pulses[node].moved_ns;
    return moved_ns ? member->turn_ns - moved_ns : 0;
}

bool member_admitted(const struct member *member)
{
    return member->admitted;
}

uint64_t member_incarnation(const struct member *member)
{
    return member->request.incarnation;
}

int member_failure(const struct member *member, struct error *err)
{
    if (err)
        *err = member->failure;
    return member->failure.code;
}

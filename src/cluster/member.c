/*
 * How it works: the incarnation is the wall clock, in ms, but always above what the line and the
 * log know of this node id, so that a clock set back does no harm. Whoever reads the log then tells
 * an admission of this process from one of its predecessors by that number alone.
 */
#include "cluster/member.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct member {
    struct follower *follower;
    uint32_t node;
    uint64_t incarnation;
    bool admitted;
    struct error failure;
};

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

static uint64_t incarnation_above(const struct member_options *options)
{
    struct node_request_shared found;
    uint64_t incarnation = env_wall_ms(options->env);
    /* Never 0, which stands for "never admitted". */
    uint64_t earlier = follower_meta(options->follower)->nodes[options->node].incarnation;
    if (region_node_request_observe(options->region, options->node, &found))
        earlier = max_u64(earlier, found.incarnation);
    return max_u64(incarnation, earlier + 1);
}

static void publish_request(const struct member_options *options, uint64_t incarnation)
{
    struct node_request_shared request = {
        .incarnation = incarnation,
        .roles = options->roles,
        .lanes_wanted = options->lanes_wanted,
        .port = options->port,
        .life = options->life,
    };
    if (options->store_uuid)
        memcpy(request.store_uuid, options->store_uuid, sizeof request.store_uuid);
    memcpy(request.host, options->host, strlen(options->host));
    region_node_request_publish(options->region, options->node, &request); /* R7 */
    mem_drain(&options->region->mem);
}

int member_create(const struct member_options *options, struct member **member, struct error *err)
{
    ASSERT(options->env && options->region && options->follower);
    int result = check_place(options, err);
    if (result == EMB_OK)
        result = check_parts(options, err);
    if (result != EMB_OK)
        return result;
    struct member *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the membership of node %u",
                         options->node);
    made->follower = options->follower;
    made->node = options->node;
    made->incarnation = incarnation_above(options);
    publish_request(options, made->incarnation);
    *member = made;
    return EMB_OK;
}

void member_destroy(struct member *member)
{
    free(member);
}

/* ---- learning -------------------------------------------------------------------------------- */

static int replaced(struct member *member, uint64_t incarnation)
{
    member->admitted = false;
    error_set(&member->failure, EMB_ERR_EXISTS,
              "node %u: incarnation %llu was admitted after this one, %llu; accepted: one live "
              "process a node id",
              member->node, (unsigned long long)incarnation,
              (unsigned long long)member->incarnation);
    return 1;
}

int member_do_work(struct member *member, uint64_t now_ns)
{
    uint64_t incarnation = follower_meta(member->follower)->nodes[member->node].incarnation;
    if (member->failure.code != EMB_OK)
        return 0;
    if (incarnation > member->incarnation)
        return replaced(member, incarnation);
    if (member->admitted || incarnation != member->incarnation)
        return 0;
    member->admitted = true;
    return 1;
}

bool member_admitted(const struct member *member)
{
    return member->admitted;
}

uint64_t member_incarnation(const struct member *member)
{
    return member->incarnation;
}

int member_failure(const struct member *member, struct error *err)
{
    if (err)
        *err = member->failure;
    return member->failure.code;
}

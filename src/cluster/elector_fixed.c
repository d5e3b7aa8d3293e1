/*
 * How it works: look for another that asks; look for the highest epoch anybody has published or
 * seen; take the first number above it whose slot and workspace (both the number modulo their
 * count) are free; publish; look again. Numbers may be skipped: an epoch that was never granted has
 * no record.
 *
 * A slot or workspace is free if no valid slot names it, or one of this node does that is not the
 * newest: the newest is the predecessor, whose workspace has yet to be read. What another node was
 * granted it may still write, however long ago that was, so it is never taken here.
 */
#include "cluster/elector.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"

#define EPOCH_LAST UINT32_MAX /* entries carry 32 bits of it */

struct elector_fixed {
    struct elector elector;
    struct region *region;
    uint32_t node;
    uint32_t sequencer;
};

/* What stands in the epoch slots; epoch 0: nothing valid. */
struct grants {
    struct epoch_view views[EPOCH_SLOT_COUNT];
    uint64_t highest; /* published or seen by any node */
};

static void observe_grant(struct region *region, uint32_t slot, struct epoch_view *view)
{
    struct epoch_slot_shared line;
    const unsigned char *at = region->base + region->areas.epoch_slots + slot * LINE_BYTES;
    mem_observe_line_to_act(&region->mem, &line, at); /* R1 */
    *view = (struct epoch_view){.slot = slot};
    if (line.crc != crc32c(&line, offsetof(struct epoch_slot_shared, crc)))
        return;
    view->epoch = line.epoch;
    view->sequencer = line.sequencer;
    view->workspace = line.workspace;
}

static void observe_grants(struct region *region, struct grants *grants)
{
    struct epoch_view newest;
    region_epoch_look(region, &newest);
    grants->highest = max_u64(newest.epoch, region->epoch_floor);
    for (uint32_t slot = 0; slot < EPOCH_SLOT_COUNT; slot++) {
        observe_grant(region, slot, &grants->views[slot]);
        grants->highest = max_u64(grants->highest, grants->views[slot].epoch);
    }
    /* Floors outlive slots that were lost. */
    for (uint32_t node = 0; node < NODE_MAX; node++)
        grants->highest = max_u64(
            grants->highest,
            mem_observe_u64(&region->mem, &region_node_beat(region, node)->epoch_floor)); /* R7 */
}

/* The grant that stands in the way of this slot and workspace, or NULL. */
static const struct epoch_view *obstacle(const struct grants *grants, uint32_t node, uint32_t slot,
                                         uint32_t workspace)
{
    for (uint32_t i = 0; i < EPOCH_SLOT_COUNT; i++) {
        const struct epoch_view *view = &grants->views[i];
        bool same = view->epoch && (i == slot || view->workspace == workspace);
        if (same && (view->sequencer != node || view->epoch == grants->highest))
            return view;
    }
    return NULL;
}

static int choose(const struct elector_fixed *fixed, const struct grants *grants,
                  struct epoch_view *chosen, struct error *err)
{
    const struct epoch_view *in_the_way = NULL;
    for (uint64_t i = 1; i <= EPOCH_SLOT_COUNT; i++) {
        uint64_t epoch = grants->highest + i;
        if (grants->highest >= EPOCH_LAST || epoch > EPOCH_LAST)
            return error_set(err, EMB_ERR_LIMIT,
                             "epoch %llu was the last of this region; format it anew",
                             (unsigned long long)grants->highest);
        *chosen = (struct epoch_view){.epoch = epoch,
                                      .sequencer = fixed->node,
                                      .workspace = (uint32_t)(epoch % WORKSPACE_COUNT),
                                      .slot = (uint32_t)(epoch % EPOCH_SLOT_COUNT)};
        in_the_way = obstacle(grants, fixed->node, chosen->slot, chosen->workspace);
        if (!in_the_way)
            return EMB_OK;
    }
    return error_set(err, EMB_ERR_LIMIT,
                     "no epoch slot is free for node %u: the last of all %d, slot %u, was granted "
                     "to node %u (epoch %llu), which may still write it; format the region anew "
                     "when that node has stopped for good",
                     fixed->node, EPOCH_SLOT_COUNT, in_the_way->slot, in_the_way->sequencer,
                     (unsigned long long)in_the_way->epoch);
}

/* Another process that is a sequencer, or wants to be one and has asked: it would be granted the
   same number, slot and workspace. Our own request is in memory, so that it finds us if we miss it:
   of two at most one goes on, on memory of any kind. */
static int check_alone(struct elector_fixed *fixed, struct error *err)
{
    struct node_request_shared other;
    for (uint32_t node = 0; node < NODE_MAX; node++)
        if (node != fixed->node && region_node_request_observe(fixed->region, node, &other) &&
            (other.roles & ROLE_SEQUENCER)) /* R7 */
            return error_set(err, EMB_ERR_EXISTS,
                             "node %u has the role sequencer, and so does node %u, on %.*s:%u; "
                             "accepted: one node with the role sequencer (if both have ended now, "
                             "start one of them again)",
                             fixed->node, node, NODE_HOST_BYTES, other.host, other.port);
    return EMB_OK;
}

/* Somebody else who was configured as the one sequencer would have chosen the same number. */
static int verify(struct elector_fixed *fixed, const struct epoch_view *chosen, struct error *err)
{
    struct epoch_view newest;
    region_epoch_look(fixed->region, &newest);
    if (newest.epoch == chosen->epoch && newest.sequencer == chosen->sequencer)
        return EMB_OK;
    return error_set(err, EMB_ERR_STALE_EPOCH,
                     "epoch %llu was granted to node %u, and epoch %llu to node %u at the same "
                     "time; accepted: one node configured as sequencer, on all nodes the same",
                     (unsigned long long)chosen->epoch, chosen->sequencer,
                     (unsigned long long)newest.epoch, newest.sequencer);
}

static int fixed_campaign(struct elector *elector, uint64_t now_ns, struct epoch_view *granted,
                          struct error *err)
{
    struct elector_fixed *fixed = CONTAINER_OF(elector, struct elector_fixed, elector);
    struct grants grants;
    if (fixed->node != fixed->sequencer)
        return error_set(err, EMB_ERR_UNAVAILABLE,
                         "node %u asks for an epoch; accepted: node %u, which is configured as "
                         "sequencer",
                         fixed->node, fixed->sequencer);
    int result = check_alone(fixed, err);
    if (result != EMB_OK)
        return result;
    observe_grants(fixed->region, &grants);
    result = choose(fixed, &grants, granted, err);
    if (result != EMB_OK)
        return result;
    region_epoch_publish(fixed->region, granted); /* R1, and drains */
    return verify(fixed, granted, err);
}

static void fixed_destroy(struct elector *elector)
{
    free(CONTAINER_OF(elector, struct elector_fixed, elector));
}

static const struct elector_kind fixed_kind = {
    .name = "fixed", .campaign = fixed_campaign, .destroy = fixed_destroy};

int elector_fixed_create(const struct elector_fixed_options *options, struct elector **elector,
                         struct error *err)
{
    ASSERT(options->region && options->node < NODE_MAX && options->sequencer < NODE_MAX);
    struct elector_fixed *made = malloc(sizeof *made);
    if (!made)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the elector of node %u",
                         options->node);
    *made = (struct elector_fixed){.elector = {.kind = &fixed_kind},
                                   .region = options->region,
                                   .node = options->node,
                                   .sequencer = options->sequencer};
    *elector = &made->elector;
    return EMB_OK;
}

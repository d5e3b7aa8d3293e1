/* Planted in who acts on the log: epoch checks, acknowledgements, replicas, reuse, delivery. */
#include "broker/slots.h"
#include "follower/follower.h"
#include "region/blog.h"
#include "sim/bugs/planted.h"
#include "sim/bugs/wraps.h"
#include "sim/core/world.h"
#include "store/frame.h"
#include "store/store.h"

static bool epoch_was[HOSTS_MAX]; /* what an early check said, by host */
static bool outcome_is_duplicate;

WRAPS(bool, region_epoch_is, struct region *region, uint64_t epoch)
{
    if (planted(BUG_EPOCH_NOT_CHECKED))
        return true;
    if (planted(BUG_EPOCH_CHECKED_IN_GROUP))
        return epoch_was[world_current_host()->number];
    return REAL(region_epoch_is)(region, epoch);
}

static const struct pub_u64 *committed_word(const struct region *region, uint32_t workspace)
{
    const unsigned char *at =
        region->base + region->areas.workspaces + workspace * region->areas.workspace_bytes;
    return &((const struct committed_shared *)at)->committed;
}

WRAPS(uint64_t, region_committed_observe, struct region *region, uint32_t workspace)
{
    const struct host *host = world_current_host();
    if (planted(BUG_PLAIN_READ))
        return *(const volatile uint64_t *)&committed_word(region, workspace)->value;
    if (planted(BUG_EPOCH_CHECKED_IN_GROUP) && host)
        epoch_was[host->number] = REAL(region_epoch_is)(region, region->epoch_floor);
    return REAL(region_committed_observe)(region, workspace);
}

WRAPS(uint64_t, follower_durable, const struct follower *f)
{
    return planted(BUG_ACK_BEFORE_SYNC) ? follower_position(f) : REAL(follower_durable)(f);
}

WRAPS(uint64_t, store_synced, const struct store *store)
{
    return planted(BUG_PROGRESS_BEFORE_SYNC) ? store_appended(store) : REAL(store_synced)(store);
}

WRAPS(void, follower_set_store_synced, struct follower *f, uint64_t position)
{
    REAL(follower_set_store_synced)(f, position);
    if (!planted(BUG_TWO_WRITERS))
        return;
    struct region *region = follower_region(f);
    uint32_t neighbour = follower_node(f) ? follower_node(f) - 1 : 1;
    mem_publish_u64(&region->mem, &region_node_read(region, neighbour)->store_synced, position);
}

WRAPS(bool, follower_outcome_take, struct follower *f, struct outcome *outcome)
{
    bool taken = REAL(follower_outcome_take)(f, outcome);
    outcome_is_duplicate = taken && outcome->kind == ENTRY_NOP;
    return taken;
}

WRAPS(bool, slot_ring_release, struct slot_ring *ring, uint64_t index, struct lane_slot *slot)
{
    bool released = REAL(slot_ring_release)(ring, index, slot);
    if (planted(BUG_DUPLICATE_ACKED_EARLY) && released && outcome_is_duplicate && slot->acks == 2)
        slot->acks = 1;
    return released;
}

WRAPS(int, slot_ring_init, struct slot_ring *ring, uint32_t capacity)
{
    return REAL(slot_ring_init)(ring, planted(BUG_PBR_SLOT_REUSED_EARLY) ? 2 * capacity : capacity);
}

WRAPS(int, blog_reclaim, struct blog *blog, const struct blog_horizon *horizon)
{
    struct blog_horizon nobody = {.kept = UINT64_MAX, .live_nodes = 0};
    return REAL(blog_reclaim)(blog, planted(BUG_BLOG_SEGMENT_REUSED_EARLY) ? &nobody : horizon);
}

WRAPS(bool, frame_is_whole, const void *bytes, struct frame_place place)
{
    return planted(BUG_TORN_FRAME_ACCEPTED) || REAL(frame_is_whole)(bytes, place);
}

WRAPS(uint64_t, follower_next_in_topic, struct follower *f, uint32_t topic, uint64_t position)
{
    uint64_t next = REAL(follower_next_in_topic)(f, topic, position);
    if (planted(BUG_DELIVERY_SKIPS) && next != NO_POSITION && next % 8 == 5)
        next = REAL(follower_next_in_topic)(f, topic, next);
    return next;
}

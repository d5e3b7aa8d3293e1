/* Planted in who acts on the log: epoch checks, acknowledgements, replicas, reuse, delivery. */
#include <string.h>

#include "broker/slots.h"
#include "follower/follower.h"
#include "region/blog.h"
#include "sim/bugs/planted.h"
#include "sim/bugs/wraps.h"
#include "sim/core/world.h"
#include "store/frame.h"
#include "store/store.h"

static bool epoch_was[HOSTS_MAX]; /* what an early check said, by host */
/* By fiber: its serial while it is there; a fiber that dies there leaves it behind. */
static uint64_t within_reading[FIBERS_MAX], within_reclaim[FIBERS_MAX];
static bool outcome_is_duplicate;
static bool delivers;                             /* the next payload is for a subscriber */
static const unsigned char *delivered[HOSTS_MAX]; /* the payload before, by host */

void planted_readers_begin(void)
{
    memset(epoch_was, true, sizeof epoch_was);
    memset(delivered, 0, sizeof delivered);
    outcome_is_duplicate = delivers = false;
}

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

WRAPS(int, region_checkpoint_load, struct region *region, uint32_t workspace, uint64_t owner_epoch,
      struct checkpoint_shared *header, void **bytes)
{
    int rc = REAL(region_checkpoint_load)(region, workspace, owner_epoch, header, bytes);
    if (rc == EMB_OK && planted(BUG_JOINER_TRUSTS_CHECKPOINT))
        header->durable = header->covers;
    return rc;
}

WRAPS(uint64_t, follower_admitted, const struct follower *f)
{
    return planted(BUG_STORE_BEGINS_LATE) ? follower_position(f) : REAL(follower_admitted)(f);
}

WRAPS(int64_t, meta_encode, const struct meta_state *state, struct meta_cursor *cursor,
      uint64_t position, unsigned items, void *bytes, size_t capacity)
{
    bool snapshot = items == UINT16_MAX; /* else a slice of a checkpoint */
    position += snapshot && planted(BUG_SNAPSHOT_OF_LATER) ? 8 : 0;
    return REAL(meta_encode)(state, cursor, position, items, bytes, capacity);
}

WRAPS(int, blog_adopt, struct blog *blog, uint64_t end)
{
    return planted(BUG_SEGMENTS_NOT_ADOPTED) ? EMB_OK : REAL(blog_adopt)(blog, end);
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

void planted_note_outcome(bool is_duplicate)
{
    outcome_is_duplicate = is_duplicate;
}

WRAPS(bool, slot_ring_release, struct slot_ring *ring, uint64_t index, struct lane_slot *slot)
{
    bool released = REAL(slot_ring_release)(ring, index, slot);
    if (planted(BUG_DUPLICATE_ACKED_EARLY) && released && outcome_is_duplicate && slot->acks == 2)
        slot->acks = 1;
    return released;
}

WRAPS(int, slot_ring_init, struct slot_ring *ring, uint32_t capacity, uint64_t start)
{
    if (planted(BUG_LANE_BEGINS_ANEW))
        start = 0;
    return REAL(slot_ring_init)(ring, planted(BUG_PBR_SLOT_REUSED_EARLY) ? 2 * capacity : capacity,
                                start);
}

WRAPS(int, blog_reclaim, struct blog *blog, const struct blog_horizon *horizon)
{
    struct blog_horizon nobody = {.kept = UINT64_MAX, .live_nodes = 0};
    uint64_t *within = &within_reclaim[fiber_number(fiber_current())];
    *within = fiber_serial(fiber_current());
    int freed =
        REAL(blog_reclaim)(blog, planted(BUG_BLOG_SEGMENT_REUSED_EARLY) ? &nobody : horizon);
    *within = 0;
    return freed;
}

WRAPS(void, follower_reading, struct follower *f, uint64_t position)
{
    uint64_t *within = &within_reading[fiber_number(fiber_current())];
    *within = fiber_serial(fiber_current());
    REAL(follower_reading)(f, position);
    *within = 0;
}

bool planted_forgets_drain(void)
{
    const struct fiber *fiber = fiber_current();
    if (!fiber)
        return false;
    uint32_t number = fiber_number(fiber);
    uint64_t serial = fiber_serial(fiber);
    return (planted(BUG_PIN_NOT_DRAINED) && within_reading[number] == serial) ||
           (planted(BUG_RETIREMENT_NOT_DRAINED) && within_reclaim[number] == serial);
}

WRAPS(bool, frame_is_whole, const void *bytes, struct frame_place place)
{
    return planted(BUG_TORN_FRAME_ACCEPTED) || REAL(frame_is_whole)(bytes, place);
}

void planted_note_delivery(void)
{
    delivers = true;
}

/* What is opened for a subscriber: under the bug, sometimes the payload of the batch before. */
WRAPS(const unsigned char *, follower_payload, struct follower *f,
      const struct goi_entry_shared *entry)
{
    const unsigned char *payload = REAL(follower_payload)(f, entry);
    if (!delivers)
        return payload;
    const unsigned char **before = &delivered[world_current_host()->number];
    delivers = false;
    if (planted(BUG_FOREIGN_DELIVERY) && payload && entry->base_offset % 4 == 3 && *before)
        return *before;
    *before = payload;
    return payload;
}

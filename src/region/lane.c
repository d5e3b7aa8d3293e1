/* The up channel: PBR entries in the lanes' rings. */
#include "base/bits.h"
#include "region/internal.h"

void region_lane_publish(struct region *region, uint32_t lane, uint32_t generation, uint64_t index,
                         struct pbr_entry_shared *entry)
{
    entry->index = index;
    entry->lane_generation = generation;
    entry->crc = line_crc(entry);
    /* Pairs with region_lane_observe, R6. */
    mem_publish_line(&region->mem, region_lane_line(region, lane, index), entry);
}

/* Of a valid line that is not the one wanted: whether it overtook this reader. */
static enum lane_look judge_other(const struct region *region, const struct pbr_entry_shared *entry,
                                  uint32_t generation, uint64_t index)
{
    bool of_slot = ((entry->index ^ index) & (region->geometry.lane_slots - 1)) == 0;
    bool overtook = entry->lane_generation > generation ||
                    (entry->lane_generation == generation && entry->index > index);
    return of_slot && overtook ? LANE_LAPPED : LANE_NOT_YET;
}

static enum lane_look judge(const struct region *region, const struct pbr_entry_shared *entry,
                            uint32_t generation, uint64_t index)
{
    if (entry->index < index || !line_is_valid(entry))
        return LANE_NOT_YET; /* an earlier lap, or half-written */
    if (entry->index == index && entry->lane_generation == generation)
        return LANE_THERE;
    return judge_other(region, entry, generation, index);
}

enum lane_look region_lane_observe(struct region *region, uint32_t lane, uint32_t generation,
                                   uint64_t index, struct pbr_entry_shared *entry)
{
    /* Pairs with region_lane_publish, R6. */
    mem_observe_line(&region->mem, entry, region_lane_line(region, lane, index));
    return judge(region, entry, generation, index);
}

enum lane_look region_lane_observe_run(struct region *region, uint32_t lane, uint32_t generation,
                                       uint64_t index, unsigned count,
                                       struct pbr_entry_shared *entries, unsigned *there)
{
    uint64_t slots = region->geometry.lane_slots;
    unsigned run = (unsigned)min_u64(count, slots - (index & (slots - 1)));
    enum lane_look look = LANE_THERE;
    /* Pairs with region_lane_publish, R6. */
    mem_observe_lines(&region->mem, entries, region_lane_line(region, lane, index), run);
    for (*there = 0; *there < run; ++*there) {
        look = judge(region, &entries[*there], generation, index + *there);
        if (look != LANE_THERE)
            break;
    }
    return look;
}

void region_retry_below_publish(struct region *region, uint32_t lane, uint64_t index)
{
    mem_publish_u64(&region->mem, &region_lane_head(region, lane)->retry_below, index);
}

uint64_t region_retry_below_observe(struct region *region, uint32_t lane)
{
    return mem_observe_u64(&region->mem, &region_lane_head(region, lane)->retry_below);
}

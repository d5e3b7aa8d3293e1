/* The down channel: the ring of GOI entries. */
#include "base/bits.h"
#include "region/internal.h"

void region_goi_publish(struct region *region, uint64_t position, struct goi_entry_shared *entry)
{
    entry->stamp = (uint32_t)position;
    entry->crc = goi_crc(entry, position);
    /* Pairs with region_goi_observe, R4; committed_seq follows after a drain. */
    mem_publish_line(&region->mem, region_goi_line(region, position), entry);
}

static bool is_of(const struct goi_entry_shared *entry, uint64_t position)
{
    return entry->stamp == (uint32_t)position && entry->crc == goi_crc(entry, position);
}

bool region_goi_observe(struct region *region, uint64_t position, struct goi_entry_shared *entry)
{
    /* To act: acks, copies and deliveries follow from it. Pairs with region_goi_publish, R4. */
    mem_observe_line_to_act(&region->mem, entry, region_goi_line(region, position));
    return is_of(entry, position);
}

unsigned region_goi_observe_run(struct region *region, uint64_t position, unsigned count,
                                struct goi_entry_shared *entries)
{
    uint64_t to_end = region->areas.goi_entries - ring_index(position, region->areas.goi_entries);
    unsigned run = (unsigned)min_u64(count, to_end), there = 0;
    /* To act, as region_goi_observe; pairs with region_goi_publish, R4. */
    mem_observe_lines_to_act(&region->mem, entries, region_goi_line(region, position), run);
    while (there < run && is_of(&entries[there], position + there))
        there++;
    return there;
}

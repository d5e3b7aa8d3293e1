/* Payload addresses and the segment table. */
#include "region/internal.h"

uint32_t region_segment_of(const struct region *region, uint64_t address)
{
    if (address < region->areas.blog)
        return UINT32_MAX;
    uint64_t segment = (address - region->areas.blog) / region->geometry.segment_bytes;
    return segment < region->areas.segments ? (uint32_t)segment : UINT32_MAX;
}

uint64_t region_segment_address(const struct region *region, uint32_t segment)
{
    ASSERT(segment < region->areas.segments);
    return region->areas.blog + (uint64_t)segment * region->geometry.segment_bytes;
}

unsigned char *region_payload(struct region *region, uint64_t word)
{
    uint64_t address = payload_address(word);
    uint32_t bytes = payload_bytes(word);
    uint32_t segment = region_segment_of(region, address);
    if (segment == UINT32_MAX || bytes == 0)
        return NULL;
    uint64_t end = region_segment_address(region, segment) + region->geometry.segment_bytes;
    return bytes <= end - address ? region->base + address : NULL;
}

bool region_segment_observe(struct region *region, uint32_t segment, struct segment_shared *line)
{
    mem_observe_line(&region->mem, line, region_segment_line(region, segment));
    return line_is_valid(line);
}

uint64_t region_segment_generation(struct region *region, uint32_t segment)
{
    struct segment_shared line;
    /* Comes after the reader's pin is drained, and after what it read. Pairs with
       region_segment_publish, R5. */
    return region_segment_observe(region, segment, &line) ? line.generation : 0;
}

void region_segment_publish(struct region *region, uint32_t segment, uint64_t generation,
                            uint32_t owner, uint32_t lane)
{
    struct segment_shared line = {.generation = generation, .owner = owner, .lane = lane};
    line.crc = line_crc(&line);
    /* Pairs with region_segment_generation, R5. */
    mem_publish_line(&region->mem, region_segment_line(region, segment), &line);
}

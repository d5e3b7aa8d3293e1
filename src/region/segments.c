/* Where segments come from: the shared bitmap, or a partition of the node's own. */
#include "base/bits.h"
#include "region/blog.h"
#include "region/internal.h"

void segment_source_shared(struct segment_source *source, struct region *region)
{
    ASSERT(region->mem.coherence == MEM_HARDWARE);
    *source = (struct segment_source){
        .region = region,
        .shared = true,
        .count = region->areas.segments,
    };
}

void segment_source_partition(struct segment_source *source, struct region *region, uint32_t first,
                              uint32_t count)
{
    ASSERT(count > 0 && count <= SEGMENT_PARTITION_MAX);
    ASSERT(first < region->areas.segments && count <= region->areas.segments - first);
    *source = (struct segment_source){.region = region, .first = first, .count = count};
}

static uint32_t partition_take(struct segment_source *source)
{
    for (uint32_t at = 0; at < source->count; at += 64) {
        uint64_t valid = source->count - at < 64 ? (1ULL << (source->count - at)) - 1 : UINT64_MAX;
        uint64_t clear = ~source->taken_mask[at / 64] & valid;
        if (!clear)
            continue;
        uint32_t bit = (uint32_t)__builtin_ctzll(clear);
        source->taken_mask[at / 64] |= 1ULL << bit;
        return source->first + at + bit;
    }
    return SEGMENT_NONE;
}

uint32_t segment_source_take(struct segment_source *source)
{
    if (!source->shared)
        return partition_take(source);
    struct region *region = source->region;
    int64_t bit = mem_bitmap_take(&region->mem, region_segment_bitmap(region), source->count);
    return bit < 0 ? SEGMENT_NONE : (uint32_t)bit;
}

void segment_source_claim(struct segment_source *source, uint32_t segment)
{
    uint32_t bit = segment - source->first;
    ASSERT(segment >= source->first && bit < source->count);
    if (!source->shared)
        source->taken_mask[bit / 64] |= 1ULL << (bit % 64);
    else /* it still is, unless something else has written there */
        mem_bitmap_take_at(&source->region->mem, region_segment_bitmap(source->region), segment);
}

void segment_source_give(struct segment_source *source, uint32_t segment)
{
    if (source->shared) {
        struct region *region = source->region;
        mem_bitmap_give(&region->mem, region_segment_bitmap(region), segment);
        return;
    }
    uint32_t bit = segment - source->first;
    ASSERT(segment >= source->first && bit < source->count);
    ASSERT(source->taken_mask[bit / 64] & (1ULL << (bit % 64)));
    source->taken_mask[bit / 64] &= ~(1ULL << (bit % 64));
}

/* From the end: the lowest are taken first, so that a pool with some left says so at once. */
uint32_t segment_source_free(const struct segment_source *source, uint32_t enough)
{
    struct region *region = source->region;
    const struct pub_u64 *words = region_segment_bitmap(region);
    uint32_t free_count = 0, end = source->count;
    ASSERT(source->shared);
    while (end > 0 && free_count < enough) {
        uint32_t at = (end - 1) / 64 * 64;
        uint64_t valid = end - at < 64 ? (1ULL << (end - at)) - 1 : UINT64_MAX;
        uint64_t taken = mem_observe_u64(&region->mem, &words[at / 64]);
        free_count += (uint32_t)__builtin_popcountll(~taken & valid);
        end = at;
    }
    return free_count < enough ? free_count : enough;
}

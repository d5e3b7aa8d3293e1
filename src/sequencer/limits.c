/*
 * How far the GOI may be written. A segment of it is written over only when everything in it is
 * kept, a drained checkpoint covers it, and every live node's `needed` has passed it. The reserve
 * (the larger of 10 % and six segments) is for META alone, so that the cure of a full log never
 * waits for the log.
 */
#include "sequencer/state.h"

#define LIMITS_EVERY_NS  1000000ULL
#define RESERVE_SEGMENTS 6

static uint64_t nodes_needed(struct sequencer *s)
{
    uint64_t needed = NO_POSITION;
    for (uint32_t node = 0; node < NODE_MAX; node++) {
        if (!s->meta.nodes[node].live)
            continue;
        struct node_read_shared *line = region_node_read(s->region, node);
        needed = min_u64(needed, mem_observe_u64(&s->region->mem, &line->needed)); /* R7 */
    }
    return needed;
}

uint64_t limits_live_nodes(const struct sequencer *s)
{
    uint64_t live_nodes = 0;
    for (uint32_t node = 0; node < NODE_MAX; node++)
        if (s->meta.nodes[node].live)
            live_nodes |= 1ULL << node;
    return live_nodes;
}

void limits_update(struct sequencer *s)
{
    const struct region_areas *areas = &s->region->areas;
    bool short_of_room = s->counter + areas->goi_entries / 4 >= s->data_limit;
    if (!short_of_room && s->now_ns - s->limits_ns < LIMITS_EVERY_NS)
        return;
    s->limits_ns = s->now_ns;
    uint64_t segment = s->region->geometry.goi_segment_entries;
    uint64_t reserve = max_u64(areas->goi_entries / 10, RESERVE_SEGMENTS * segment);
    uint64_t free_below = min_u64(s->durable.kept.position, s->checkpoint.covers_drained);
    free_below = align_down(min_u64(free_below, nodes_needed(s)), segment);
    s->meta_limit = max_u64(s->meta_limit, free_below + areas->goi_entries);
    s->data_limit = s->meta_limit - reserve;
    struct blog_horizon horizon = {.kept = s->durable.kept.position,
                                   .live_nodes = limits_live_nodes(s)};
    if (blog_free_bytes(&s->blog) < blog_total_bytes(&s->blog) / 2)
        blog_reclaim(&s->blog, &horizon);
}

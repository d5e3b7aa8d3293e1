/* The node table and the done channel. */
#include "region/internal.h"

void region_node_request_publish(struct region *region, uint32_t node,
                                 struct node_request_shared *request)
{
    request->crc = line_crc(request);
    /* Pairs with region_node_request_observe, R7. */
    mem_publish_line(&region->mem, &region_node(region, node)->request, request);
}

bool region_node_request_observe(struct region *region, uint32_t node,
                                 struct node_request_shared *request)
{
    /* Pairs with region_node_request_publish, R7. */
    mem_observe_line(&region->mem, request, &region_node(region, node)->request);
    return line_is_valid(request) && request->host[NODE_HOST_BYTES - 1] == 0;
}

struct node_beat_shared *region_node_beat(struct region *region, uint32_t node)
{
    return &region_node(region, node)->beat;
}

struct node_read_shared *region_node_read(struct region *region, uint32_t node)
{
    return &region_node(region, node)->read;
}

struct completion_shared *region_completion(struct region *region, uint32_t lane, uint32_t node)
{
    ASSERT(lane <= LANE_SEQUENCER && node < NODE_MAX);
    return (struct completion_shared *)(region->base + region->areas.completions) +
           (uint64_t)lane * NODE_MAX + node;
}

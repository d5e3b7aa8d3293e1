/*
 * Shared by the files of this folder alone: the validity of one-line records and where lines lie.
 */
#ifndef REGION_INTERNAL_H
#define REGION_INTERNAL_H

#include "base/assert.h"
#include "base/checksum.h"
#include "region/region.h"

#define LINE_CRC_AT 60 /* every record of one line ends with its CRC32C */

static inline uint32_t line_crc(const void *line)
{
    return crc32c(line, LINE_CRC_AT);
}

static inline uint32_t line_crc_field(const void *line)
{
    uint32_t crc;
    __builtin_memcpy(&crc, (const unsigned char *)line + LINE_CRC_AT, sizeof crc);
    return crc;
}

static inline bool line_is_valid(const void *line)
{
    return line_crc_field(line) == line_crc(line);
}

/* The whole position goes into the CRC: the stamp has only its low bits. */
static inline uint32_t goi_crc(const struct goi_entry_shared *entry, uint64_t position)
{
    return crc32c_extend(line_crc(entry), &position, sizeof position);
}

/* The rest of a division by a ring's size, which mostly is a power of two. */
static inline uint64_t ring_index(uint64_t position, uint64_t size)
{
    return (size & (size - 1)) == 0 ? position & (size - 1) : position % size;
}

static inline void *region_epoch_line(const struct region *region, uint32_t slot)
{
    return region->base + region->areas.epoch_slots + (uint64_t)slot * LINE_BYTES;
}

static inline unsigned char *region_workspace(const struct region *region, uint32_t workspace)
{
    ASSERT(workspace < WORKSPACE_COUNT);
    return region->base + region->areas.workspaces + workspace * region->areas.workspace_bytes;
}

static inline void *region_interval_line(const struct region *region, uint32_t workspace,
                                         uint64_t index)
{
    return region_workspace(region, workspace) + (1 + index) * LINE_BYTES;
}

static inline void *region_goi_line(const struct region *region, uint64_t position)
{
    return region->base + region->areas.goi +
           ring_index(position, region->areas.goi_entries) * LINE_BYTES;
}

static inline struct lane_head_shared *region_lane_head(const struct region *region, uint32_t lane)
{
    ASSERT(lane < region->geometry.lanes);
    return (struct lane_head_shared *)(region->base + region->areas.lanes +
                                       lane * region->areas.lane_bytes);
}

static inline void *region_lane_line(const struct region *region, uint32_t lane, uint64_t index)
{
    uint64_t slot = index & (region->geometry.lane_slots - 1);
    return (unsigned char *)region_lane_head(region, lane) + (1 + slot) * LINE_BYTES;
}

static inline struct node_shared *region_node(const struct region *region, uint32_t node)
{
    ASSERT(node < NODE_MAX);
    return (struct node_shared *)(region->base + region->areas.nodes) + node;
}

static inline void *region_segment_line(const struct region *region, uint32_t segment)
{
    ASSERT(segment < region->areas.segments);
    return region->base + region->areas.segment_table + (uint64_t)segment * LINE_BYTES;
}

static inline struct pub_u64 *region_segment_bitmap(const struct region *region)
{
    return (struct pub_u64 *)(region->base + region->areas.segment_bitmap);
}

/* Where the header line of a checkpoint half stands. */
void *region_checkpoint_line(const struct region *region, uint32_t workspace, int half);

#endif

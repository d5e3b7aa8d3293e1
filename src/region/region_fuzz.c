/*
 * Fuzz target: a region made by somebody else. The input patches a freshly formatted small region
 * (records of: place:4, count:1, bytes), its CRCs are made right where the first byte asks for it,
 * and then everything that reads a region must come back, without leaving it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "region/blog.h"
#include "region/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REGION_BYTES (1u << 20)

enum { SEAL_SUPERBLOCK = 1, SEAL_LINES = 2 };

static struct geometry small_geometry(void)
{
    struct geometry geometry = geometry_test();
    geometry.region_bytes = REGION_BYTES;
    geometry.segment_bytes = 4096;
    geometry.lanes = 2;
    geometry.topics = geometry.sessions = 1;
    return geometry;
}

static void seal(unsigned char *line)
{
    uint32_t crc = line_crc(line);
    memcpy(line + LINE_CRC_AT, &crc, sizeof crc);
}

static void patch(unsigned char *base, uint64_t bytes, const uint8_t *data, size_t size)
{
    uint8_t flags = size ? data[0] : 0;
    size_t at = 1;
    while (at + 5 <= size) {
        uint32_t place;
        memcpy(&place, data + at, sizeof place);
        uint64_t count = min_u64(data[at + 4], size - at - 5);
        place %= (uint32_t)bytes;
        count = min_u64(count, bytes - place);
        memcpy(base + place, data + at + 5, count);
        if (flags & SEAL_LINES)
            seal(base + align_down(place, LINE_BYTES));
        at += 5 + count;
    }
    struct superblock_shared *superblock = (struct superblock_shared *)base;
    if (flags & SEAL_SUPERBLOCK)
        superblock->crc = crc32c(superblock, offsetof(struct superblock_shared, crc));
}

static void read_lanes(struct region *region)
{
    struct pbr_entry_shared entries[8];
    for (uint32_t lane = 0; lane < region->geometry.lanes; lane++) {
        uint64_t below = region_retry_below_observe(region, lane);
        for (uint64_t index = 0; index < region->geometry.lane_slots; index++)
            region_lane_observe(region, lane, 1, below + index, &entries[0]);
        unsigned there;
        region_lane_observe_run(region, lane, 1, 0, COUNT_OF(entries), entries, &there);
        if (there > COUNT_OF(entries))
            abort();
    }
}

static void read_nodes(struct region *region)
{
    struct node_request_shared request;
    for (uint32_t node = 0; node < NODE_MAX; node++)
        if (region_node_request_observe(region, node, &request) &&
            strlen(request.host) >= sizeof request.host)
            abort();
}

/* What an owner does at its start and in each cycle: segments are found, written and given back. */
static void use_segments(struct region *region)
{
    struct segment_source source;
    struct blog blog;
    struct blog_space space;
    struct blog_horizon horizon = {.kept = UINT64_MAX, .live_nodes = 3};
    for (uint32_t segment = 0; segment < region->areas.segments; segment++)
        region_segment_generation(region, segment);
    if (region->mem.coherence == MEM_HARDWARE)
        segment_source_shared(&source, region);
    else
        segment_source_partition(&source, region, 0, (uint32_t)min_u64(region->areas.segments, 8));
    if (blog_init(&blog, region, &source, 0, 0, 3) != EMB_OK)
        return;
    for (int i = 0; i < 6; i++) {
        if (blog_reserve(&blog, 3000, &space)) {
            if (space.bytes < region->base + region->areas.blog ||
                space.bytes + 3000 > region->base + region->geometry.region_bytes)
                abort();
            blog_abandoned(&blog, &space);
        }
        blog_reclaim(&blog, &horizon);
    }
    blog_free(&blog);
}

static void read_everything(struct region *region)
{
    struct epoch_view view;
    struct interval interval;
    struct checkpoint_shared header;
    void *bytes;
    region_check(region, NULL, NULL);
    read_lanes(region);
    read_nodes(region);
    region_epoch_look(region, &view);
    region_epoch_is(region, view.epoch);
    uint64_t committed = region_committed_observe(region, view.workspace);
    for (uint64_t i = 0; i < INTERVAL_MAX; i++)
        region_interval_observe(region, view.workspace, view.epoch, i, &interval);
    if (region_checkpoint_load(region, view.workspace, view.epoch, &header, &bytes) == EMB_OK)
        free(bytes);
    for (uint64_t i = 0; i < 200; i++) {
        struct goi_entry_shared entry;
        region_goi_observe(region, committed - i, &entry);
        const unsigned char *payload = region_payload(region, entry.payload);
        uint32_t count = payload_bytes(entry.payload);
        if (payload && (payload < region->base + region->areas.blog ||
                        payload + count > region->base + region->geometry.region_bytes))
            abort();
    }
    use_segments(region);
}

/* Formatting and asking for memory take longer than everything else, so they are done once. */
static unsigned char *memory_make(const struct geometry *geometry)
{
    static const uint8_t uuid[16];
    static _Alignas(4096) unsigned char pattern[REGION_BYTES], memory[REGION_BYTES];
    static int formatted;
    struct error err;
    if (!formatted && region_format(pattern, geometry, MEM_HARDWARE, uuid, &err) != EMB_OK)
        abort();
    formatted = 1;
    memcpy(memory, pattern, REGION_BYTES);
    return memory;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct geometry geometry = small_geometry();
    unsigned char *base = memory_make(&geometry);
    struct region region;
    struct error err;
    patch(base, geometry.region_bytes, data, size);
    region_is_formatted(base, geometry.region_bytes);
    if (region_attach(&region, base, geometry.region_bytes, MEM_WRITEBACK_AUTO, &err) == EMB_OK)
        read_everything(&region);
    return 0;
}

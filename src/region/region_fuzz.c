/*
 * Fuzz target: a region made by somebody else. The input patches a freshly formatted small region
 * (records of: place:4, count:1, bytes), its CRCs are made right where the first byte asks for it,
 * and then everything that reads a region must come back, without leaving it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "region/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEAL_SUPERBLOCK = 1, SEAL_LINES = 2 };

static struct geometry small_geometry(void)
{
    struct geometry geometry = geometry_test();
    geometry.region_bytes = 1 << 20;
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

static void read_everything(struct region *region)
{
    struct epoch_view view;
    struct interval interval;
    struct checkpoint_shared header;
    void *bytes;
    region_check(region, NULL, NULL);
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t uuid[16];
    struct geometry geometry = small_geometry();
    unsigned char *base = aligned_alloc(4096, geometry.region_bytes);
    struct region region;
    struct error err;
    if (!base || region_format(base, &geometry, MEM_HARDWARE, uuid, &err) != EMB_OK)
        abort();
    patch(base, geometry.region_bytes, data, size);
    region_is_formatted(base, geometry.region_bytes);
    if (region_attach(&region, base, geometry.region_bytes, MEM_WRITEBACK_AUTO, &err) == EMB_OK)
        read_everything(&region);
    free(base);
    return 0;
}

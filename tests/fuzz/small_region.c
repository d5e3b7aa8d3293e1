#include "tests/fuzz/small_region.h"

#include <string.h>

#include "base/assert.h"

static struct geometry small_geometry(void)
{
    struct geometry geometry = geometry_test();
    geometry.region_bytes = SMALL_REGION_BYTES;
    geometry.segment_bytes = 4096;
    geometry.lanes = 2;
    geometry.lane_slots = 8;
    geometry.topics = 4;
    geometry.sessions = 8;
    return geometry;
}

unsigned char *small_region_make(enum mem_coherence coherence)
{
    static const uint8_t uuid[16] = {1};
    static _Alignas(4096) unsigned char patterns[2][SMALL_REGION_BYTES], memory[SMALL_REGION_BYTES];
    static bool formatted[2];
    bool software = coherence == MEM_SOFTWARE;
    struct geometry geometry = small_geometry();
    if (!formatted[software])
        ASSERT(region_format(patterns[software], &geometry, coherence, uuid, NULL) == EMB_OK);
    formatted[software] = true;
    memcpy(memory, patterns[software], SMALL_REGION_BYTES);
    return memory;
}

void small_region_attach(struct region *region, unsigned char *memory)
{
    ASSERT(region_attach(region, memory, SMALL_REGION_BYTES, MEM_WRITEBACK_AUTO, NULL) == EMB_OK);
}

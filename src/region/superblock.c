/*
 * Formatting and attaching.
 *
 * How it works. A format takes the old superblock away first, clears every line that a reader
 * would believe (foreign memory may hold a region's valid lines), drains, and writes the
 * superblock last, so that whoever finds it valid finds the rest ready. The magic, the version and
 * the CRC keep their places in all versions. The coherence mode is unknown until the superblock
 * was read, so it is read as if the region were software-coherent where the CPU can.
 */
#include <string.h>

#include "base/bits.h"
#include "region/internal.h"

/* In the order of superblock_shared.struct_bytes, which is part of the format. */
static const struct {
    const char *name;
    uint16_t bytes;
} structs[SUPERBLOCK_STRUCTS] = {
    {"superblock", sizeof(struct superblock_shared)},
    {"epoch slot", sizeof(struct epoch_slot_shared)},
    {"interval", sizeof(struct interval_shared)},
    {"committed", sizeof(struct committed_shared)},
    {"checkpoint header", sizeof(struct checkpoint_shared)},
    {"PBR entry", sizeof(struct pbr_entry_shared)},
    {"GOI entry", sizeof(struct goi_entry_shared)},
    {"lane head", sizeof(struct lane_head_shared)},
    {"node request", sizeof(struct node_request_shared)},
    {"node beat", sizeof(struct node_beat_shared)},
    {"node read", sizeof(struct node_read_shared)},
    {"node", sizeof(struct node_shared)},
    {"completion", sizeof(struct completion_shared)},
    {"segment", sizeof(struct segment_shared)},
};

static uint32_t superblock_crc(const struct superblock_shared *superblock)
{
    return crc32c(superblock, offsetof(struct superblock_shared, crc));
}

/* ---- format ---------------------------------------------------------------------------------- */

static void fill_superblock(struct superblock_shared *superblock, const struct geometry *geometry,
                            enum mem_coherence coherence, const uint8_t uuid[16])
{
    *superblock = (struct superblock_shared){
        .magic = SUPERBLOCK_MAGIC,
        .layout_version = LAYOUT_VERSION,
        .coherence = coherence,
        .region_bytes = geometry->region_bytes,
        .segment_bytes = geometry->segment_bytes,
        .lanes = geometry->lanes,
        .lane_slots = geometry->lane_slots,
        .goi_segments = geometry->goi_segments,
        .goi_segment_entries = geometry->goi_segment_entries,
        .topics = geometry->topics,
        .sessions = geometry->sessions,
    };
    memcpy(superblock->uuid, uuid, sizeof superblock->uuid);
    for (int i = 0; i < SUPERBLOCK_STRUCTS; i++)
        superblock->struct_bytes[i] = structs[i].bytes;
    superblock->crc = superblock_crc(superblock);
}

static void clear(struct mem *mem, unsigned char *from, uint64_t bytes)
{
    memset(from, 0, bytes);
    mem_begin_lines(mem, from, bytes);
    mem_write_back(mem, from, bytes);
}

static void clear_workspaces(struct mem *mem, unsigned char *base, const struct region_areas *areas)
{
    uint64_t lines_bytes = areas->workspace_bytes - 2 * areas->checkpoint_bytes;
    for (uint64_t i = 0; i < WORKSPACE_COUNT; i++) {
        unsigned char *workspace = base + areas->workspaces + i * areas->workspace_bytes;
        clear(mem, workspace, lines_bytes + LINE_BYTES);
        clear(mem, workspace + lines_bytes + areas->checkpoint_bytes, LINE_BYTES);
    }
}

/* The line of the magic comes last; until then the CRC is wrong as well. */
static void publish_superblock(struct mem *mem, unsigned char *base,
                               const struct superblock_shared *superblock)
{
    const unsigned char *from = (const unsigned char *)superblock;
    for (size_t at = SUPERBLOCK_BYTES; at > 0; at -= LINE_BYTES) {
        if (at == LINE_BYTES)
            mem_drain(mem);
        mem_publish_line(mem, base + at - LINE_BYTES, from + at - LINE_BYTES);
    }
    mem_drain(mem);
}

int region_format(void *base, const struct geometry *geometry, enum mem_coherence coherence,
                  const uint8_t uuid[16], struct error *err)
{
    struct mem mem;
    int code = geometry_check(geometry, err);
    if (code == EMB_OK)
        code = mem_init(&mem, coherence, MEM_WRITEBACK_AUTO, err);
    if (code != EMB_OK)
        return code;

    static const unsigned char nothing[LINE_BYTES];
    struct region_areas areas;
    region_areas_compute(geometry, &areas);
    mem_publish_line(&mem, base, nothing);
    mem_drain(&mem);
    clear(&mem, (unsigned char *)base + areas.epoch_slots, EPOCH_SLOT_COUNT * LINE_BYTES);
    clear_workspaces(&mem, base, &areas);
    clear(&mem, (unsigned char *)base + areas.nodes,
          areas.segment_table + (uint64_t)areas.segments * LINE_BYTES - areas.nodes);
    mem_drain(&mem);

    struct superblock_shared superblock;
    fill_superblock(&superblock, geometry, coherence, uuid);
    publish_superblock(&mem, base, &superblock);
    return EMB_OK;
}

/* ---- attach ---------------------------------------------------------------------------------- */

static void observe_superblock(const void *base, struct superblock_shared *superblock)
{
    struct mem mem;
    if (mem_init(&mem, MEM_SOFTWARE, MEM_WRITEBACK_AUTO, NULL) != EMB_OK)
        mem_init(&mem, MEM_HARDWARE, MEM_WRITEBACK_AUTO, NULL);
    for (size_t at = 0; at < SUPERBLOCK_BYTES; at += LINE_BYTES)
        mem_observe_line(&mem, (unsigned char *)superblock + at, (const unsigned char *)base + at);
}

static int check_identity(const struct superblock_shared *superblock, struct error *err)
{
    if (superblock->magic != SUPERBLOCK_MAGIC)
        return error_set(err, EMB_ERR_CORRUPT,
                         "no Embarcadero region: its first 8 bytes are %016llx, %016llx would be "
                         "accepted; format it first",
                         (unsigned long long)superblock->magic,
                         (unsigned long long)SUPERBLOCK_MAGIC);
    uint32_t crc = superblock_crc(superblock);
    if (superblock->crc != crc)
        return error_set(err, EMB_ERR_CORRUPT,
                         "the region's superblock is corrupted: its CRC is %08x, its bytes have "
                         "%08x (it says layout version %u, this build reads %d)",
                         superblock->crc, crc, superblock->layout_version, LAYOUT_VERSION);
    if (superblock->layout_version != LAYOUT_VERSION)
        return error_set(err, EMB_ERR_VERSION,
                         "the region has layout version %u, which is %s; this build reads %d",
                         superblock->layout_version,
                         superblock->layout_version < LAYOUT_VERSION ? "older" : "newer",
                         LAYOUT_VERSION);
    return EMB_OK;
}

static int check_structs(const struct superblock_shared *superblock, struct error *err)
{
    for (int i = 0; i < SUPERBLOCK_STRUCTS; i++) {
        if (superblock->struct_bytes[i] != structs[i].bytes)
            return error_set(err, EMB_ERR_MISMATCH,
                             "the region's %s has %u bytes; this build's has %u", structs[i].name,
                             superblock->struct_bytes[i], structs[i].bytes);
    }
    return EMB_OK;
}

static struct geometry geometry_of(const struct superblock_shared *superblock)
{
    return (struct geometry){
        .region_bytes = superblock->region_bytes,
        .segment_bytes = superblock->segment_bytes,
        .lanes = superblock->lanes,
        .lane_slots = superblock->lane_slots,
        .goi_segments = superblock->goi_segments,
        .goi_segment_entries = superblock->goi_segment_entries,
        .topics = superblock->topics,
        .sessions = superblock->sessions,
    };
}

static int check_values(const struct superblock_shared *superblock, uint64_t bytes,
                        struct error *err)
{
    struct geometry geometry = geometry_of(superblock);
    struct error why;
    if (geometry_check(&geometry, &why) != EMB_OK)
        return error_set(err, EMB_ERR_CORRUPT, "the region's superblock is impossible: %.200s",
                         why.text);
    if (superblock->coherence != MEM_HARDWARE && superblock->coherence != MEM_SOFTWARE)
        return error_set(err, EMB_ERR_CORRUPT,
                         "the region's coherence is %u; 1 (hardware) and 2 (software) are accepted",
                         superblock->coherence);
    if (bytes < superblock->region_bytes)
        return error_set(err, EMB_ERR_CORRUPT,
                         "the region is truncated: it has %llu bytes, its superblock says %llu",
                         (unsigned long long)bytes, (unsigned long long)superblock->region_bytes);
    return EMB_OK;
}

int region_attach(struct region *region, void *base, uint64_t bytes, enum mem_writeback writeback,
                  struct error *err)
{
    struct superblock_shared superblock;
    if (bytes < SUPERBLOCK_BYTES)
        return error_set(err, EMB_ERR_CORRUPT,
                         "the region is truncated: it has %llu bytes, its superblock alone has %d",
                         (unsigned long long)bytes, SUPERBLOCK_BYTES);
    observe_superblock(base, &superblock);
    int code = check_identity(&superblock, err);
    if (code == EMB_OK)
        code = check_structs(&superblock, err);
    if (code == EMB_OK)
        code = check_values(&superblock, bytes, err);
    if (code != EMB_OK)
        return code;

    *region = (struct region){.base = base, .geometry = geometry_of(&superblock)};
    region_areas_compute(&region->geometry, &region->areas);
    memcpy(region->uuid, superblock.uuid, sizeof region->uuid);
    return mem_init(&region->mem, (enum mem_coherence)superblock.coherence, writeback, err);
}

bool region_is_formatted(const void *base, uint64_t bytes)
{
    struct superblock_shared superblock;
    if (bytes < SUPERBLOCK_BYTES)
        return false;
    observe_superblock(base, &superblock);
    return superblock.magic == SUPERBLOCK_MAGIC && superblock.crc == superblock_crc(&superblock);
}

/*
 * The first 4 KiB of a region: what it is and how it is cut. Writer: the formatter, once, before
 * anybody else attaches; never changed. Readers: every node at attach, tools. A stale read is not
 * possible after formatting; before it the CRC is wrong and the reader waits or refuses.
 *
 *    0 magic:8  8 layout_version:4  12 coherence:4  16 uuid:16
 *   32 region_bytes:8  40 segment_bytes:4  44 lanes:4  48 lane_slots:4  52 goi_segments:4
 *   56 goi_segment_entries:4  60 topics:4  64 sessions:4  68 struct sizes:2x14 ... 4092 crc:4
 */
#ifndef LAYOUT_SUPERBLOCK_H
#define LAYOUT_SUPERBLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "layout/limits.h"

#define SUPERBLOCK_BYTES   4096
#define SUPERBLOCK_MAGIC   0x6f72656463726d45ULL /* "Emrcdero" in memory order */
#define SUPERBLOCK_STRUCTS 14

/* How the region is cut. All sizes fixed when it is formatted. */
struct geometry {
    uint64_t region_bytes;
    uint32_t segment_bytes;       /* of the BLog: a power of two, 4 KiB or more */
    uint32_t lanes;               /* 1 to 64 */
    uint32_t lane_slots;          /* a power of two, 8 or more */
    uint32_t goi_segments;        /* 16 or more */
    uint32_t goi_segment_entries; /* a power of two, 8 or more */
    uint32_t topics;              /* 1 to 4096 */
    uint32_t sessions;            /* 1 to 1,000,000 */
};

struct superblock_shared {
    uint64_t magic;
    uint32_t layout_version;
    uint32_t coherence; /* enum mem_coherence */
    uint8_t uuid[16];
    uint64_t region_bytes;
    uint32_t segment_bytes;
    uint32_t lanes;
    uint32_t lane_slots;
    uint32_t goi_segments;
    uint32_t goi_segment_entries;
    uint32_t topics;
    uint32_t sessions;
    uint16_t struct_bytes[SUPERBLOCK_STRUCTS]; /* of every struct of the region, in a fixed order */
    uint8_t reserved[SUPERBLOCK_BYTES - 68 - 2 * SUPERBLOCK_STRUCTS - 4];
    uint32_t crc; /* of all before it */
};

_Static_assert(sizeof(struct superblock_shared) == SUPERBLOCK_BYTES, "superblock is 4 KiB");
_Static_assert(offsetof(struct superblock_shared, region_bytes) == 32, "superblock layout");
_Static_assert(offsetof(struct superblock_shared, struct_bytes) == 68, "superblock layout");
_Static_assert(offsetof(struct superblock_shared, crc) == 4092, "superblock layout");

#endif

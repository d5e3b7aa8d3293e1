/*
 * BLog segments. Their table: one line a segment; readers: whoever reads payload. Writer: the owner
 * that the line names, from its admission to the slot with its leave; once that is kept, on
 * hardware-coherent regions, the sequencer, up to the next admission of that node (its decision
 * parts the two, and the log tells it: region/README.md). A line that names nobody: who has taken
 * the segment's bit. Beside it the allocation words, a bitmap (one bit a segment, set: taken) used
 * on hardware-coherent regions only; elsewhere every node has a partition of its own.
 *
 *   0 generation:8 (rises with every life of the segment)  8 owner:4 (node; NODE_MAX: given back)
 *   12 lane:4  16 zero:44  60 crc:4
 *
 * The generation is raised and drained before the first byte of a new life is written; a reader
 * compares it with the one it knew, so a stale read of it is caught by the pin of edge R5.
 */
#ifndef LAYOUT_SEGMENT_H
#define LAYOUT_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include "layout/limits.h"

struct segment_shared {
    uint64_t generation;
    uint32_t owner;
    uint32_t lane;
    uint8_t reserved[44];
    uint32_t crc;
};

_Static_assert(sizeof(struct segment_shared) == LINE_BYTES, "one line");
_Static_assert(offsetof(struct segment_shared, crc) == 60, "segment layout");

#endif

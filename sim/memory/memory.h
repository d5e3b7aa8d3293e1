/*
 * The shared memory and a private cache per host. mem.c (in this folder) implements src/mem/mem.h
 * upon it, so that the production code runs unchanged.
 *
 * Software-coherent: each host has a copy of the whole region, its cache. A store changes the copy;
 * it reaches memory when a write-back of its line takes effect (some time after it was asked for,
 * by the next drain of the same fiber at the latest), or by eviction at any time. A load reads the
 * copy, however old; an observe fetches the line. Lines go to memory in one piece, nothing larger.
 * Hardware-coherent: all hosts map the same memory; a publish stands in its fiber's store buffer
 * until it takes effect, in order (a line in parts, its first word last), by the next drain at the
 * latest.
 *
 * Pointers into a host's mapping tell the host, so calls of mem.h need no handle. One thread;
 * lifetime: memory_begin to the next memory_begin (mappings are kept from seed to seed).
 */
#ifndef SIM_MEMORY_MEMORY_H
#define SIM_MEMORY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "region/region.h"
#include "sim/core/world.h"

/* Zeroed memory for `hosts` hosts (of the rack: numbers 0 to hosts - 1). */
void memory_begin(uint64_t region_bytes, enum mem_coherence coherence, uint32_t hosts);
/* The region as a host maps it. */
unsigned char *memory_mapping(const struct host *host);
uint64_t memory_bytes(void);
/* The region was formatted: from now on places have names, structs can only be reached through mem,
   and the watches are told. */
void memory_formatted(const struct geometry *geometry, enum mem_coherence coherence);
const struct region_areas *memory_areas(void);
const struct geometry *memory_geometry(void);

/* What memory itself holds, past all caches. */
const unsigned char *memory_truth(uint64_t offset);
/* A line as the host that stored to it last has it, in memory yet or not. */
void memory_line_of_writer(uint64_t offset, unsigned char line[64]);
/* What a host's own latest store to a word was, in memory yet or not. */
uint64_t memory_intended_u64(const struct host *host, uint64_t offset);

/* Whether a pointer lies in a host's mapping, and where. */
bool memory_find(const void *pointer, struct host **host, uint64_t *offset);

/* ---- told by env ----------------------------------------------------------------------------- */

/* Bytes were stored there by a receive, without mem; any pointer (not into a region: nothing). */
void memory_stored(const void *at, size_t bytes);
/* Bytes are about to be read, without mem, by a send or a checksum; finds a read without an
   observe. Any pointer. `who` for the finding: "send", "checksum". */
void memory_read(const void *at, size_t bytes, const char *who);

/* ---- told by the scheduler and the faults ---------------------------------------------------- */

/* One accident: an eviction, a line fetched again, a write-back that takes effect. */
void memory_accident(void);
/* A fiber that runs no more; its store buffer takes effect, its write-backs may. */
void memory_fiber_ends(uint32_t fiber);
/* The host's caches are gone: dirty lines are lost. */
void memory_power_lost(struct host *host);

/* ---- places ---------------------------------------------------------------------------------- */

enum place_area {
    PLACE_SUPERBLOCK,
    PLACE_EPOCH_SLOT,
    PLACE_COMMITTED,
    PLACE_INTERVAL,
    PLACE_CHECKPOINT_HEADER,
    PLACE_CHECKPOINT_BODY,
    PLACE_NODE_REQUEST,
    PLACE_NODE_BEAT,
    PLACE_NODE_READ,
    PLACE_COMPLETION,
    PLACE_LANE_HEAD,
    PLACE_LANE_SLOT,
    PLACE_GOI,
    PLACE_SEGMENT_BITMAP,
    PLACE_SEGMENT_LINE,
    PLACE_BLOG,
    PLACE_NONE,
};

struct place {
    enum place_area area;
    uint32_t major;  /* workspace, node, lane, segment; GOI: 0 */
    uint32_t minor;  /* slot, interval, half; completion: node; GOI: ring index */
    uint32_t within; /* byte within the struct (BLog: within the segment) */
};

struct place place_of(uint64_t offset);
/* "lane 3 slot 5, pbr_entry_shared.payload"; static storage, good until the fourth next call. */
const char *place_text(uint64_t offset);

/* Files and lines of the production code that is calling, innermost first; NULL: none is. Static
   storage. */
const char *where_called(void);

/* ---- watches --------------------------------------------------------------------------------- */

/*
 * Who wants to know of lines. `stored`: a host stored to the line (its cache or store buffer has
 * it); `reached`: it is in memory now, before and after. Not for the BLog and checkpoint bodies.
 */
struct memory_watch {
    void (*stored)(const struct host *host, uint64_t offset, const unsigned char line[64]);
    void (*reached)(const struct host *host, uint64_t offset, const unsigned char before[64],
                    const unsigned char after[64]);
    /* Payload or any bytes of the BLog were stored (received, or built and written back). */
    void (*blog_stored)(const struct host *host, uint64_t offset, uint64_t bytes);
    /* Whether the log makes that host the writer of the segment's line, whose writer was another.
     */
    bool (*segment_passes)(const struct host *host, uint32_t segment);
};
void memory_watch(const struct memory_watch *watch);

/* Whether the whole range is in memory as the host has it: written back and drained. */
bool memory_is_settled(const struct host *host, uint64_t offset, uint64_t bytes);

#endif

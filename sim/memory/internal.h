/*
 * Inside memory/: lines, caches, store buffers. One thread; lifetime: memory_begin to the next.
 */
#ifndef SIM_MEMORY_INTERNAL_H
#define SIM_MEMORY_INTERNAL_H

#include "base/assert.h"
#include "base/bits.h"
#include "sim/memory/memory.h"

#define REGION_BYTES_MOST (16u << 20)
#define MAPPINGS_MAX      8
#define LINES_MOST        (REGION_BYTES_MOST / CACHE_LINE)
#define CPUS              (FIBERS_MAX + 1) /* the first: what runs outside of fibers */
#define NOBODY            0xff
#define PENDING_MOST      64 /* of a fiber: a full buffer lets one go */

enum line_flags {
    LINE_DIRTY = 1,  /* this host's cache holds a store that memory has not */
    LINE_LISTED = 2, /* in the host's list of dirty lines */
};

/* What a host's cache holds. Only software-coherent regions have them. */
struct cache {
    unsigned char *lines; /* the whole region, as this host sees it */
    uint8_t *flags;       /* enum line_flags, by line */
    uint32_t *observed;   /* by line: version of the last observe or store of its own */
    uint32_t *dirty;      /* line numbers; those that are clean again are dropped when met */
    uint32_t dirty_count;
};

/* A store (hardware) or a write-back (software) that has not taken effect. */
struct pending {
    uint32_t offset; /* of the line, or of the word */
    uint32_t bytes;  /* hardware: 8 or 64 */
    uint32_t group;  /* software: those of a lower group come first */
    bool is_part;    /* hardware: of a line whose first word is still to come */
    uint64_t issued_ns;
    unsigned char data[CACHE_LINE]; /* hardware */
};

struct cpu {
    struct pending items[PENDING_MOST]; /* in order of issue (software: more or less) */
    uint32_t count;
    uint32_t group;
    uint32_t newest;   /* offset of the newest item */
    struct host *host; /* of all items */
};

struct memory {
    uint64_t bytes;
    uint32_t hosts;
    bool software;
    bool formatted;
    struct geometry geometry;
    struct region_areas areas;
    unsigned char *truth; /* memory itself */
    uint32_t *version;    /* by line: rises with each change of it in memory */
    uint8_t *owner;       /* by line: the host that stored to it last */
    struct cache caches[MAPPINGS_MAX];
    unsigned char *windows[MAPPINGS_MAX]; /* as the hosts map it, in this seed's mode */
    struct cpu cpus[CPUS];
    uint32_t cpu_count;     /* that were ever used in this seed */
    uint32_t settle_one_in; /* calls of mem, and half as many accidents, that let something pending
                               take effect */
    uint32_t evict_one_in;  /* accidents that may evict a line; 0: none does */
    uint32_t recent[256];   /* lines that changed in memory */
    uint32_t recent_count;
    struct memory_watch watch;
};

extern struct memory memory;

/* ---- cache.c --------------------------------------------------------------------------------- */

struct cpu *cpu_current(void);
void cpus_begin(void);
/* The host's own newest bytes of a line. */
const unsigned char *line_as_host_has(const struct host *host, uint32_t line);
/* Software: the line of the host's cache becomes dirty. */
void line_dirtied(struct host *host, uint32_t line);
/* Software: asks for a write-back. Hardware: puts a store into the buffer. */
void pending_add(struct host *host, uint64_t offset, const void *data, uint32_t bytes);
/* Hardware: a whole line, which is not one piece. */
void pending_add_line(struct host *host, uint64_t offset, const void *data);
/* Some of what is pending here takes effect, by chance. */
void pending_chance(struct cpu *cpu);
void pending_all(struct cpu *cpu);
/* Software: the line goes to memory, if it is dirty. */
void line_to_memory(struct host *host, uint32_t line);
/* Software: the cache takes the line from memory. */
void line_fetch(struct host *host, uint32_t line);
/* Whether the line of a host waits to take effect. */
bool line_is_settled(const struct host *host, uint32_t line);

/* ---- rules.c --------------------------------------------------------------------------------- */

/* The rules that a store to a line must keep; finds what breaks them. Before the store. */
void rules_store(struct host *host, uint64_t offset, const void *data, uint32_t bytes);
/* Publish, drain, look: what a host has published must be in memory before it looks at what another
   host does upon it. Before a load. */
void rules_observe(const struct host *host, uint64_t offset);
/* One writer a line, alone. */
void rules_writer(struct host *host, uint64_t offset, uint64_t bytes);

/* ---- where.c --------------------------------------------------------------------------------- */

/* Finds plain accesses to structs of the region, and lets them pass. */
void where_catch_faults(void);
void where_protect(void);
void where_unprotect(void);

#endif

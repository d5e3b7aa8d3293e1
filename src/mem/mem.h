/*
 * The vocabulary of the shared memory: the only fences and cache instructions of the system, and,
 * beside base's in-process rings, the only atomics. Design: 2-memory-model, "One vocabulary".
 *
 * A `struct mem` is one host's view of the region; every call names it, so that the simulator can
 * give each host a cache of its own. Pointers are into that view. None of the calls blocks.
 *
 * Order promised to callers:
 *   publish   becomes visible after everything that was published or written back AND drained
 *             before it. On hardware-coherent regions also without the drain (release stores).
 *   drain     what was published and written back before it is in memory before anything after
 *             it is loaded or stored: a store-load barrier in both modes.
 *   observe   reads memory, not this host's cache; what is loaded before it in program order is
 *             loaded before it was invalidated (so a check comes after what it guards), and what
 *             is loaded after it is loaded after it.
 *
 * A line is 64 bytes, aligned. On hardware-coherent regions it is not one piece: an observed first
 * word means that the other seven are at least as new. Its CRC says whether they belong together.
 *
 * Threads: a struct mem belongs to one thread, or to several that set nothing in it (read_back is
 * false).
 */
#ifndef MEM_MEM_H
#define MEM_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum mem_coherence {
    MEM_HARDWARE = 1, /* stores become visible by themselves */
    MEM_SOFTWARE = 2, /* nothing is visible before its line was written back */
};

enum mem_writeback {
    MEM_WRITEBACK_AUTO = 0,
    MEM_WRITEBACK_MOVDIR64B = 1,
    MEM_WRITEBACK_CLWB = 2,
    MEM_WRITEBACK_CLFLUSHOPT = 3,
    MEM_WRITEBACK_DC_CVAC = 4, /* Arm */
};

/* A published word. One member, so that plain assignment from a number does not compile. */
struct pub_u64 {
    uint64_t value;
};

struct mem {
    enum mem_coherence coherence;
    enum mem_writeback writeback;      /* of lines; never AUTO in a software-coherent mem */
    enum mem_writeback word_writeback; /* of words and ranges: the same, but never MOVDIR64B */
    bool direct;    /* plain stores and loads do; false under a simulated memory */
    bool read_back; /* drain reads the last published line back (platform property) */
    const void *last_published;
    uint64_t fence_word; /* what drain's read-modify-write is done on where a fence would not do */
};

/*
 * Fills *mem. writeback counts on software-coherent regions only. EMB_ERR_NOT_SUPPORTED when this
 * CPU lacks the instruction, or one that invalidates; *err then lists those it has.
 */
int mem_init(struct mem *mem, enum mem_coherence coherence, enum mem_writeback writeback,
             struct error *err);
/* "auto", "movdir64b", "clwb", "clflushopt", "dc_cvac"; EMB_ERR_INVALID_ARGUMENT otherwise. */
int mem_writeback_parse(const char *name, enum mem_writeback *writeback);
const char *mem_writeback_name(enum mem_writeback writeback);
bool mem_writeback_available(enum mem_writeback writeback);

/* ---- the writer's side ----------------------------------------------------------------------- */

static inline void mem_publish_u64(struct mem *mem, struct pub_u64 *word, uint64_t value);
/* A whole line; its first word (the stamp) becomes visible last. */
void mem_publish_line(struct mem *mem, void *line, const void *from_64_bytes);
/* Payload written with plain stores or by a recv, before the record that refers to it. */
void mem_write_back(struct mem *mem, const void *from, size_t bytes);
void mem_drain(struct mem *mem);
/* Tells a thread sanitizer of zeroed lines before anybody polls them; else nothing. */
void mem_begin_lines(struct mem *mem, void *from, size_t bytes);

/* ---- the reader's side ----------------------------------------------------------------------- */

static inline uint64_t mem_observe_u64(struct mem *mem, const struct pub_u64 *word);
/* A group, one fence for all: `count` words, each in a line of its own, `stride_bytes` apart. */
void mem_observe_words(struct mem *mem, const struct pub_u64 *first, size_t stride_bytes,
                       unsigned count, uint64_t *out);
void mem_observe_line(struct mem *mem, void *to_64_bytes, const void *line);
/* The same, and what was seen is in memory itself, not only in a neighbour's cache. */
void mem_observe_line_to_act(struct mem *mem, void *to_64_bytes, const void *line);
uint64_t mem_observe_u64_to_act(struct mem *mem, const struct pub_u64 *word);
/* The same of `count` lines that follow each other: one fence for all. */
void mem_observe_lines(struct mem *mem, void *to, const void *first, unsigned count);
void mem_observe_lines_to_act(struct mem *mem, void *to, const void *first, unsigned count);
/* Invalidates payload before its first read in this life of the segment. */
void mem_observe_range(struct mem *mem, const void *from, size_t bytes);

/* One's own word: only its one writer may call it. Unordered. */
static inline uint64_t mem_own_u64(struct mem *mem, const struct pub_u64 *word);

/* ---- exceptions of law 4: hardware-coherent regions only (asserted) -------------------------- */

/* Sets the lowest clear bit below `bits`; its index, or -1 when all are set. */
int64_t mem_bitmap_take(struct mem *mem, struct pub_u64 *words, uint64_t bits);
/* Takes one certain bit: true if it was clear. */
bool mem_bitmap_take_at(struct mem *mem, struct pub_u64 *words, uint64_t bit);
/* What was published before it is visible to whoever takes the bit next. One that another host has
   cleared already stays so. */
void mem_bitmap_give(struct mem *mem, struct pub_u64 *words, uint64_t bit);

/* ---- short ways, for regions where plain stores and loads do --------------------------------- */

void mem_publish_u64_slow(struct mem *mem, struct pub_u64 *word, uint64_t value);
uint64_t mem_observe_u64_slow(struct mem *mem, const struct pub_u64 *word);
uint64_t mem_own_u64_slow(struct mem *mem, const struct pub_u64 *word);

/* Loads before it complete before loads after it. x86 keeps them in order by itself, so that only
   the compiler must be held back. */
static inline void mem_loads_in_order(void)
{
#if defined(__aarch64__)
    __asm__ volatile("dmb ishld" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

static inline void mem_publish_u64(struct mem *mem, struct pub_u64 *word, uint64_t value)
{
    if (mem->direct)
        __atomic_store_n(&word->value, value, __ATOMIC_RELEASE);
    else
        mem_publish_u64_slow(mem, word, value);
}

static inline uint64_t mem_observe_u64(struct mem *mem, const struct pub_u64 *word)
{
    if (!mem->direct)
        return mem_observe_u64_slow(mem, word);
    mem_loads_in_order();
    return __atomic_load_n(&word->value, __ATOMIC_ACQUIRE);
}

static inline uint64_t mem_own_u64(struct mem *mem, const struct pub_u64 *word)
{
    return mem->direct ? __atomic_load_n(&word->value, __ATOMIC_RELAXED)
                       : mem_own_u64_slow(mem, word);
}

#endif

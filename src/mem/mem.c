/*
 * How it works
 *
 * Hardware-coherent: a publish is a release store, an observe an acquire load, write-backs are
 * nothing, and drain is the one fence that also keeps later loads behind earlier stores.
 *
 * Software-coherent: a publish stores and writes the line back without waiting; drain is an mfence,
 * which waits for all of them (write-backs and movdir64b are weakly ordered: sfence would let later
 * loads pass). An observe is
 *
 *     mfence      loads before it are complete: what they guard is not checked too early
 *     clflushopt  this host's copy goes; if it was dirty, it goes to memory first
 *     mfence      clflushopt is complete before the load is issued (lfence would not say so)
 *     load        from memory
 *
 * and loads after it follow in program order, as x86 keeps loads in order; on Arm the load is an
 * acquire. Between the invalidate and the load the line may come back by itself (a neighbour
 * reads it), but only with what memory held after the invalidate.
 *
 * Words of a line are always stored and loaded as atomics of eight bytes: no word is ever torn,
 * and a race detector sees the order that the protocol relies on.
 */
#include "mem/mem.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "mem/instructions.h"

#define LINE_WORDS 8

/* ---- what there is --------------------------------------------------------------------------- */

static const char *const writeback_names[] = {
    [MEM_WRITEBACK_AUTO] = "auto",       [MEM_WRITEBACK_MOVDIR64B] = "movdir64b",
    [MEM_WRITEBACK_CLWB] = "clwb",       [MEM_WRITEBACK_CLFLUSHOPT] = "clflushopt",
    [MEM_WRITEBACK_DC_CVAC] = "dc_cvac",
};

int mem_writeback_parse(const char *name, enum mem_writeback *writeback)
{
    for (unsigned i = 0; i < COUNT_OF(writeback_names); i++) {
        if (!strcmp(name, writeback_names[i])) {
            *writeback = (enum mem_writeback)i;
            return EMB_OK;
        }
    }
    return EMB_ERR_INVALID_ARGUMENT;
}

const char *mem_writeback_name(enum mem_writeback writeback)
{
    return (unsigned)writeback < COUNT_OF(writeback_names) ? writeback_names[writeback] : "unknown";
}

/* The best that this CPU has, or AUTO when it has none. */
static enum mem_writeback best_writeback(void)
{
    for (unsigned i = MEM_WRITEBACK_MOVDIR64B; i < COUNT_OF(writeback_names); i++) {
        if (cpu_has((enum mem_writeback)i))
            return (enum mem_writeback)i;
    }
    return MEM_WRITEBACK_AUTO;
}

bool mem_writeback_available(enum mem_writeback writeback)
{
    if (!cpu_can_invalidate())
        return false;
    return writeback == MEM_WRITEBACK_AUTO ? best_writeback() != MEM_WRITEBACK_AUTO
                                           : cpu_has(writeback);
}

static int writeback_missing(enum mem_writeback writeback, struct error *err)
{
    char list[96] = "";
    for (unsigned i = MEM_WRITEBACK_MOVDIR64B; i < COUNT_OF(writeback_names); i++) {
        if (!mem_writeback_available((enum mem_writeback)i))
            continue;
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", writeback_names[i]);
    }
    return error_set(
        err, EMB_ERR_NOT_SUPPORTED, "mem.writeback is %s, which this CPU lacks; accepted here: %s",
        mem_writeback_name(writeback), list[0] ? list : "none, only hardware-coherent regions");
}

int mem_init(struct mem *mem, enum mem_coherence coherence, enum mem_writeback writeback,
             struct error *err)
{
    *mem = (struct mem){.coherence = coherence, .writeback = writeback};
    if (coherence == MEM_HARDWARE) {
        mem->direct = true;
        return EMB_OK;
    }
    if (coherence != MEM_SOFTWARE)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "coherence is %d; 1 (hardware) and 2 (software) are accepted", coherence);
    if (!mem_writeback_available(writeback))
        return writeback_missing(writeback, err);
    if (writeback == MEM_WRITEBACK_AUTO)
        mem->writeback = best_writeback();
    mem->word_writeback = mem->writeback;
    if (mem->writeback == MEM_WRITEBACK_MOVDIR64B)
        mem->word_writeback =
            cpu_has(MEM_WRITEBACK_CLWB) ? MEM_WRITEBACK_CLWB : MEM_WRITEBACK_CLFLUSHOPT;
    return EMB_OK;
}

/* ---- the writer's side ----------------------------------------------------------------------- */

static bool is_software(const struct mem *mem)
{
    return mem->coherence == MEM_SOFTWARE;
}

static void remember_published(struct mem *mem, const void *line)
{
    if (mem->read_back)
        mem->last_published = line;
}

void mem_publish_u64_slow(struct mem *mem, struct pub_u64 *word, uint64_t value)
{
    __atomic_store_n(&word->value, value, __ATOMIC_RELEASE);
    if (!is_software(mem))
        return;
    line_write_back(mem->word_writeback, word);
    remember_published(mem, word);
}

/* The stamp last, so that whoever sees it finds the rest at least as new. */
static void store_line(uint64_t *to, const void *from)
{
    uint64_t words[LINE_WORDS];
    memcpy(words, from, sizeof words);
    for (int i = 1; i < LINE_WORDS; i++)
        __atomic_store_n(&to[i], words[i], __ATOMIC_RELAXED);
    __atomic_store_n(&to[0], words[0], __ATOMIC_RELEASE);
}

void mem_publish_line(struct mem *mem, void *line, const void *from_64_bytes)
{
    ASSERT(((uintptr_t)line & (CACHE_LINE - 1)) == 0);
    if (is_software(mem) && mem->writeback == MEM_WRITEBACK_MOVDIR64B) {
        line_store_direct(line, from_64_bytes);
        remember_published(mem, line);
        return;
    }
    store_line(line, from_64_bytes);
    if (!is_software(mem))
        return;
    line_write_back(mem->word_writeback, line);
    remember_published(mem, line);
}

void mem_write_back(struct mem *mem, const void *from, size_t bytes)
{
    if (!is_software(mem) || bytes == 0)
        return;
    uintptr_t end = (uintptr_t)from + bytes;
    uintptr_t line = align_down((uintptr_t)from, CACHE_LINE);
    for (; line < end; line += CACHE_LINE)
        line_write_back(mem->word_writeback, (const void *)line);
    remember_published(mem, (const void *)(line - CACHE_LINE));
}

/* Through memory: the platform may acknowledge a write-back before it is visible to others. */
static void read_last_back(struct mem *mem)
{
    line_invalidate(mem->last_published);
    fence_full();
    const uint64_t *word = (const uint64_t *)align_down((uintptr_t)mem->last_published, CACHE_LINE);
    __atomic_load_n(word, __ATOMIC_ACQUIRE);
    fence_full();
}

void mem_drain(struct mem *mem)
{
    if (is_software(mem)) {
        fence_full();
        if (mem->read_back && mem->last_published)
            read_last_back(mem);
        return;
    }
#if defined(__SANITIZE_THREAD__)
    __atomic_fetch_add(&mem->fence_word, 0, __ATOMIC_SEQ_CST);
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/*
 * GCC 12's ThreadSanitizer learns of a line at its first release store. A load that polls the line
 * at that very moment gets the new value without the order that comes with it, and the payload
 * behind it is then reported as a race. A release store of what is there anyway comes first.
 */
void mem_begin_lines(struct mem *mem, void *from, size_t bytes)
{
    (void)mem;
#if defined(__SANITIZE_THREAD__)
    uint64_t *words = from;
    for (size_t i = 0; i < bytes / sizeof *words; i += LINE_WORDS)
        __atomic_store_n(&words[i], 0, __ATOMIC_RELEASE);
#else
    (void)from;
    (void)bytes;
#endif
}

/* ---- the reader's side ----------------------------------------------------------------------- */

static void invalidate(struct mem *mem, const void *line)
{
    if (!is_software(mem)) {
        mem_loads_in_order();
        return;
    }
    fence_full();
    line_invalidate(line);
    fence_full();
}

/* What a neighbour's store showed here may still be in this host's cache alone. */
static void settle(struct mem *mem, const void *line)
{
    if (!is_software(mem))
        return;
    line_write_back(mem->word_writeback, line);
    fence_full();
}

uint64_t mem_observe_u64_slow(struct mem *mem, const struct pub_u64 *word)
{
    invalidate(mem, word);
    return __atomic_load_n(&word->value, __ATOMIC_ACQUIRE);
}

uint64_t mem_own_u64_slow(struct mem *mem, const struct pub_u64 *word)
{
    return __atomic_load_n(&word->value, __ATOMIC_RELAXED);
}

uint64_t mem_observe_u64_to_act(struct mem *mem, const struct pub_u64 *word)
{
    uint64_t value = mem_observe_u64(mem, word);
    settle(mem, word);
    return value;
}

void mem_observe_words(struct mem *mem, const struct pub_u64 *first, size_t stride_bytes,
                       unsigned count, uint64_t *out)
{
    const unsigned char *at = (const unsigned char *)first;
    if (is_software(mem)) {
        fence_full();
        for (unsigned i = 0; i < count; i++)
            line_invalidate(at + i * stride_bytes);
        fence_full();
    } else {
        mem_loads_in_order();
    }
    for (unsigned i = 0; i < count; i++) {
        const struct pub_u64 *word = (const struct pub_u64 *)(at + i * stride_bytes);
        out[i] = __atomic_load_n(&word->value, __ATOMIC_ACQUIRE);
    }
}

static void load_line(void *to, const uint64_t *from)
{
    uint64_t words[LINE_WORDS];
    words[0] = __atomic_load_n(&from[0], __ATOMIC_ACQUIRE);
    for (int i = 1; i < LINE_WORDS; i++)
        words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    mem_loads_in_order();
    memcpy(to, words, sizeof words);
}

void mem_observe_line(struct mem *mem, void *to_64_bytes, const void *line)
{
    ASSERT(((uintptr_t)line & (CACHE_LINE - 1)) == 0);
    invalidate(mem, line);
    load_line(to_64_bytes, line);
}

void mem_observe_line_to_act(struct mem *mem, void *to_64_bytes, const void *line)
{
    mem_observe_line(mem, to_64_bytes, line);
    settle(mem, line);
}

void mem_observe_lines(struct mem *mem, void *to, const void *first, unsigned count)
{
    ASSERT(((uintptr_t)first & (CACHE_LINE - 1)) == 0);
    mem_observe_range(mem, first, (size_t)count * CACHE_LINE);
    for (unsigned i = 0; i < count; i++)
        load_line((unsigned char *)to + i * CACHE_LINE,
                  (const uint64_t *)((const unsigned char *)first + i * CACHE_LINE));
}

void mem_observe_lines_to_act(struct mem *mem, void *to, const void *first, unsigned count)
{
    mem_observe_lines(mem, to, first, count);
    if (!is_software(mem))
        return;
    for (unsigned i = 0; i < count; i++)
        line_write_back(mem->word_writeback, (const unsigned char *)first + i * CACHE_LINE);
    fence_full();
}

void mem_observe_range(struct mem *mem, const void *from, size_t bytes)
{
    if (!is_software(mem)) {
        mem_loads_in_order();
        return;
    }
    fence_full();
    uintptr_t end = (uintptr_t)from + bytes;
    for (uintptr_t line = align_down((uintptr_t)from, CACHE_LINE); line < end; line += CACHE_LINE)
        line_invalidate((const void *)line);
    fence_full();
}

/* ---- exceptions of law 4 --------------------------------------------------------------------- */

bool mem_bitmap_take_at(struct mem *mem, struct pub_u64 *words, uint64_t bit)
{
    ASSERT(mem->coherence == MEM_HARDWARE);
    uint64_t mask = 1ULL << (bit % 64);
    return !(__atomic_fetch_or(&words[bit / 64].value, mask, __ATOMIC_ACQ_REL) & mask);
}

int64_t mem_bitmap_take(struct mem *mem, struct pub_u64 *words, uint64_t bits)
{
    ASSERT(mem->coherence == MEM_HARDWARE);
    for (uint64_t at = 0; at < bits; at += 64) {
        uint64_t valid = bits - at < 64 ? (1ULL << (bits - at)) - 1 : UINT64_MAX;
        uint64_t clear;
        while ((clear = ~mem_observe_u64(mem, &words[at / 64]) & valid) != 0) {
            uint64_t bit = at + (uint64_t)__builtin_ctzll(clear);
            if (mem_bitmap_take_at(mem, words, bit))
                return (int64_t)bit;
        }
    }
    return -1;
}

void mem_bitmap_give(struct mem *mem, struct pub_u64 *words, uint64_t bit)
{
    ASSERT(mem->coherence == MEM_HARDWARE);
    uint64_t mask = 1ULL << (bit % 64);
    __atomic_fetch_and(&words[bit / 64].value, ~mask, __ATOMIC_ACQ_REL);
}

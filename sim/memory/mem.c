/*
 * mem.h upon the model. Each call may be interrupted before it begins, an observe also between its
 * invalidate and its load. Calls from outside of fibers (a format, a check) run through.
 */
#include "mem/mem.h"

#include <string.h>

#include "sim/bugs/planted.h"
#include "sim/memory/internal.h"

/* The place a pointer names. Formatting and attaching happen before places have names. */
static uint64_t place_in(const void *pointer, struct host **host)
{
    uint64_t offset = 0;
    bool found = memory_find(pointer, host, &offset);
    ASSERT(found);
    return offset;
}

static bool is_in(uint64_t offset, enum place_area area)
{
    return memory.formatted && place_of(offset).area == area;
}

/* ---- what there is --------------------------------------------------------------------------- */

int mem_writeback_parse(const char *name, enum mem_writeback *writeback)
{
    *writeback = MEM_WRITEBACK_AUTO;
    return strcmp(name, "auto") == 0 ? EMB_OK : EMB_ERR_INVALID_ARGUMENT;
}

const char *mem_writeback_name(enum mem_writeback writeback)
{
    return "simulated";
}

bool mem_writeback_available(enum mem_writeback writeback)
{
    return true;
}

int mem_init(struct mem *mem, enum mem_coherence coherence, enum mem_writeback writeback,
             struct error *err)
{
    *mem = (struct mem){.coherence = coherence,
                        .writeback = MEM_WRITEBACK_CLWB,
                        .word_writeback = MEM_WRITEBACK_CLWB};
    return EMB_OK;
}

/* ---- the writer's side ----------------------------------------------------------------------- */

/* The bugs of forgotten write-backs: the line stays in the cache until it is evicted. */
static bool is_forgotten(uint64_t offset)
{
    return (planted(BUG_PBR_NOT_WRITTEN_BACK) && is_in(offset, PLACE_LANE_SLOT)) ||
           (planted(BUG_GOI_NOT_WRITTEN_BACK) && is_in(offset, PLACE_GOI)) ||
           (planted(BUG_COMMITTED_NOT_WRITTEN_BACK) && is_in(offset, PLACE_COMMITTED));
}

static void publish(const void *at, const void *data, uint32_t bytes)
{
    struct host *host;
    uint64_t offset = place_in(at, &host);
    uint32_t line = (uint32_t)(offset / CACHE_LINE);
    if (memory.formatted)
        rules_store(host, offset, data, bytes);
    if (memory.software) {
        memcpy(memory.caches[host->number].lines + offset, data, bytes);
        line_dirtied(host, line);
        if (!is_forgotten(offset))
            pending_add(host, offset, data, bytes);
    } else if (bytes == CACHE_LINE) {
        pending_add_line(host, offset, data);
    } else {
        pending_add(host, offset, data, bytes);
    }
    uint64_t words[2];
    memcpy(words, data, 8);
    memcpy(&words[1], (const unsigned char *)data + (bytes > 8 ? 8 : 0), 8);
    TRACE_MEMORY("publish", offset, words[0] ^ words[1], "%s = %llx",
                 memory.formatted ? place_text(offset) : "format", (unsigned long long)words[0]);
    if (memory.formatted && memory.watch.stored)
        memory.watch.stored(host, (uint64_t)line * CACHE_LINE, line_as_host_has(host, line));
    pending_chance(cpu_current());
}

void mem_publish_u64_slow(struct mem *mem, struct pub_u64 *word, uint64_t value)
{
    fiber_preempt_point();
    publish(word, &value, sizeof value);
}

void mem_publish_line(struct mem *mem, void *line, const void *from_64_bytes)
{
    ASSERT(((uintptr_t)line & (CACHE_LINE - 1)) == 0);
    fiber_preempt_point();
    publish(line, from_64_bytes, CACHE_LINE);
}

static void tell_built(struct host *host, uint64_t offset, uint64_t bytes)
{
    bool known = memory.software && !line_is_settled(host, (uint32_t)(offset / CACHE_LINE));
    if (known || !memory.formatted || offset < memory.areas.blog)
        return;
    rules_writer(host, offset, bytes);
    if (memory.watch.blog_stored)
        memory.watch.blog_stored(host, offset, bytes);
}

void mem_write_back(struct mem *mem, const void *from, size_t bytes)
{
    struct host *host;
    if (bytes == 0)
        return;
    fiber_preempt_point();
    uint64_t offset = place_in(from, &host);
    tell_built(host, offset, bytes); /* META was built by plain stores, of which nobody told */
    TRACE_MEMORY("writeback", offset, bytes, "%zu bytes of %s", bytes,
                 memory.formatted ? place_text(offset) : "format");
    bool forgotten = planted(BUG_PAYLOAD_NOT_WRITTEN_BACK) && is_in(offset, PLACE_BLOG);
    if (!memory.software)
        return;
    for (uint64_t at = align_down(offset, CACHE_LINE); at < offset + bytes; at += CACHE_LINE) {
        line_dirtied(host, (uint32_t)(at / CACHE_LINE));
        if (memory.formatted && !forgotten)
            pending_add(host, at, NULL, CACHE_LINE);
        else if (!memory.formatted)
            line_to_memory(host, (uint32_t)(at / CACHE_LINE));
    }
    pending_chance(cpu_current());
}

/* The drain that belongs to what was published last, under the bugs that leave it out. */
static bool is_forgotten_drain(const struct cpu *cpu)
{
    if (!memory.formatted || cpu->newest == UINT32_MAX)
        return false;
    enum place_area newest = place_of(cpu->newest).area;
    return (planted(BUG_COMMITTED_BEFORE_DRAIN) && newest == PLACE_GOI) ||
           (planted(BUG_PAYLOAD_NOT_DRAINED) && newest == PLACE_BLOG) || planted_forgets_drain();
}

void mem_drain(struct mem *mem)
{
    struct cpu *cpu = cpu_current();
    fiber_preempt_point();
    TRACE_MEMORY("drain", cpu->count, 0, "%u", cpu->count);
    bool forgotten = is_forgotten_drain(cpu);
    cpu->newest = UINT32_MAX; /* what follows is another drain */
    if (forgotten)
        return;
    if (planted(BUG_DRAIN_IS_STORE_FENCE))
        cpu->group++; /* later stores come behind it, later loads do not */
    else
        pending_all(cpu);
}

void mem_begin_lines(struct mem *mem, void *from, size_t bytes)
{
}

/* ---- the reader's side ----------------------------------------------------------------------- */

static void invalidate(struct host *host, uint32_t line)
{
    if (memory.software && !planted(BUG_LINE_NOT_INVALIDATED))
        line_fetch(host, line);
}

/* Own stores that have not taken effect are seen by their own fiber. */
static void load(struct host *host, uint64_t offset, void *to, uint32_t bytes)
{
    uint32_t line = (uint32_t)(offset / CACHE_LINE);
    unsigned char seen[CACHE_LINE];
    if (memory.software) {
        memcpy(to, memory.caches[host->number].lines + offset, bytes);
        return;
    }
    memcpy(seen, memory.truth + (uint64_t)line * CACHE_LINE, CACHE_LINE);
    const struct cpu *cpu = cpu_current();
    for (uint32_t i = 0; i < cpu->count; i++)
        if (cpu->items[i].offset / CACHE_LINE == line)
            memcpy(seen + cpu->items[i].offset % CACHE_LINE, cpu->items[i].data,
                   cpu->items[i].bytes);
    memcpy(to, seen + offset % CACHE_LINE, bytes);
}

static void observe(const void *at, void *to, uint32_t bytes, bool to_act)
{
    struct host *host;
    uint64_t offset = place_in(at, &host);
    uint32_t line = (uint32_t)(offset / CACHE_LINE);
    fiber_preempt_point();
    rules_observe(host, offset);
    invalidate(host, line);
    fiber_preempt_point();
    load(host, offset, to, bytes);
    if (to_act && memory.software)
        line_to_memory(host, line);
    uint64_t word;
    memcpy(&word, to, sizeof word);
    TRACE_MEMORY("observe", offset, word, "%s is %llx",
                 memory.formatted ? place_text(offset) : "superblock", (unsigned long long)word);
}

uint64_t mem_observe_u64_slow(struct mem *mem, const struct pub_u64 *word)
{
    uint64_t value;
    observe(word, &value, sizeof value, false);
    return value;
}

/* A predecessor's word is observed by its successor alone, a tail's by followers. */
static bool is_predecessors_word(const void *at)
{
    struct host *host;
    uint64_t offset = place_in(at, &host);
    return planted(BUG_PROGRESS_AHEAD_OF_PREDECESSOR) && is_in(offset, PLACE_COMPLETION) &&
           planted_is_predecessor(place_of(offset).major, place_of(offset).minor);
}

uint64_t mem_observe_u64_to_act(struct mem *mem, const struct pub_u64 *word)
{
    uint64_t value;
    observe(word, &value, sizeof value, true);
    if (is_predecessors_word(word))
        return completion_word(1, UINT64_MAX >> 16);
    return value;
}

void mem_observe_words(struct mem *mem, const struct pub_u64 *first, size_t stride_bytes,
                       unsigned count, uint64_t *out)
{
    const unsigned char *at = (const unsigned char *)first;
    struct host *host;
    uint64_t offset = place_in(first, &host);
    fiber_preempt_point();
    rules_observe(host, offset);
    for (unsigned i = 0; i < count; i++)
        invalidate(host, (uint32_t)((offset + i * stride_bytes) / CACHE_LINE));
    fiber_preempt_point();
    for (unsigned i = 0; i < count; i++)
        load(host, offset + i * stride_bytes, &out[i], sizeof out[i]);
    TRACE_MEMORY("observe", offset, out[0], "%u words from %s on", count,
                 place_text((uint64_t)(at - memory.windows[host->number])));
}

void mem_observe_line(struct mem *mem, void *to_64_bytes, const void *line)
{
    observe(line, to_64_bytes, CACHE_LINE, false);
}

void mem_observe_line_to_act(struct mem *mem, void *to_64_bytes, const void *line)
{
    observe(line, to_64_bytes, CACHE_LINE, true);
}

static void observe_lines(void *to, const void *first, unsigned count, bool to_act)
{
    struct host *host;
    uint64_t offset = place_in(first, &host);
    fiber_preempt_point();
    for (unsigned i = 0; i < count; i++)
        invalidate(host, (uint32_t)(offset / CACHE_LINE) + i);
    fiber_preempt_point();
    for (unsigned i = 0; i < count; i++) {
        load(host, offset + (uint64_t)i * CACHE_LINE, (unsigned char *)to + i * CACHE_LINE,
             CACHE_LINE);
        if (to_act && memory.software)
            line_to_memory(host, (uint32_t)(offset / CACHE_LINE) + i);
    }
    TRACE_MEMORY("observe", offset, count, "%u lines from %s on", count, place_text(offset));
}

void mem_observe_lines(struct mem *mem, void *to, const void *first, unsigned count)
{
    observe_lines(to, first, count, false);
}

void mem_observe_lines_to_act(struct mem *mem, void *to, const void *first, unsigned count)
{
    observe_lines(to, first, count, true);
}

void mem_observe_range(struct mem *mem, const void *from, size_t bytes)
{
    struct host *host;
    uint64_t offset = place_in(from, &host);
    fiber_preempt_point();
    TRACE_MEMORY("observe", offset, bytes, "%zu bytes of %s", bytes, place_text(offset));
    bool payload = memory.formatted && offset >= memory.areas.blog;
    if (!memory.software || (payload && planted(BUG_PAYLOAD_NOT_INVALIDATED)))
        return;
    for (uint64_t line = offset / CACHE_LINE; line * CACHE_LINE < offset + bytes; line++) {
        line_fetch(host, (uint32_t)line);
        if (line % 8 == 0)
            fiber_preempt_point();
    }
}

uint64_t mem_own_u64_slow(struct mem *mem, const struct pub_u64 *word)
{
    struct host *host;
    uint64_t offset = place_in(word, &host), value;
    memcpy(&value, line_as_host_has(host, (uint32_t)(offset / CACHE_LINE)) + offset % CACHE_LINE,
           sizeof value);
    return value;
}

/* ---- exceptions of law 4 --------------------------------------------------------------------- */

static uint64_t *bitmap_word(struct pub_u64 *words, uint64_t bit, struct host **host)
{
    return (uint64_t *)(memory.truth + place_in(&words[bit / 64], host));
}

/* Whoever takes a segment is the writer of its lines from then on. */
static void segment_changes_hands(const struct host *host, uint64_t segment)
{
    const struct region_areas *areas = &memory.areas;
    uint64_t bytes = memory.geometry.segment_bytes;
    memory.owner[areas->segment_table / CACHE_LINE + segment] = (uint8_t)host->number;
    memset(&memory.owner[(areas->blog + segment * bytes) / CACHE_LINE], (int)host->number,
           bytes / CACHE_LINE);
}

bool mem_bitmap_take_at(struct mem *mem, struct pub_u64 *words, uint64_t bit)
{
    struct host *host;
    ASSERT(mem->coherence == MEM_HARDWARE);
    fiber_preempt_point();
    pending_all(cpu_current());
    uint64_t *word = bitmap_word(words, bit, &host);
    if (*word & (1ULL << bit % 64))
        return false;
    *word |= 1ULL << bit % 64;
    segment_changes_hands(host, bit);
    TRACE_MEMORY("take", bit, host->number, "segment %llu", (unsigned long long)bit);
    return true;
}

int64_t mem_bitmap_take(struct mem *mem, struct pub_u64 *words, uint64_t bits)
{
    struct host *host;
    for (uint64_t bit = 0; bit < bits; bit++)
        if (!(*bitmap_word(words, bit, &host) & (1ULL << bit % 64)) &&
            mem_bitmap_take_at(mem, words, bit))
            return (int64_t)bit;
    return -1;
}

void mem_bitmap_give(struct mem *mem, struct pub_u64 *words, uint64_t bit)
{
    struct host *host;
    ASSERT(mem->coherence == MEM_HARDWARE);
    fiber_preempt_point();
    pending_all(cpu_current());
    uint64_t *word = bitmap_word(words, bit, &host);
    ASSERT(*word & (1ULL << bit % 64));
    *word &= ~(1ULL << bit % 64);
    TRACE_MEMORY("give", bit, host->number, "segment %llu", (unsigned long long)bit);
}

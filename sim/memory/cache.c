/*
 * Caches and store buffers: when a store reaches memory.
 *
 * Software-coherent: a line that is dirty goes to memory when a write-back of it takes effect - at
 * some call of mem, at a drain of the same fiber, or by accident - or when it is evicted. What goes
 * is the line as the cache has it at that moment. Hardware-coherent: stores of a fiber take effect
 * in order, with the bytes they had; its own loads see them before.
 */
#include <string.h>

#include "sim/bugs/planted.h"
#include "sim/memory/internal.h"

#define LINGER_MOST_NS (100 * US)

static unsigned char merged[4][CACHE_LINE]; /* lines as a host has them, for callers */

/* Number 0: what runs outside of fibers. */
static struct cpu *cpu_of(uint32_t number)
{
    if (number >= memory.cpu_count)
        memory.cpu_count = number + 1;
    return &memory.cpus[number];
}

struct cpu *cpu_current(void)
{
    const struct fiber *fiber = fiber_current();
    return cpu_of(fiber ? fiber_number(fiber) + 1 : 0);
}

void cpus_begin(void)
{
    memory.cpu_count = 1;
    for (int i = 0; i < CPUS; i++) {
        memory.cpus[i].count = memory.cpus[i].group = 0;
        memory.cpus[i].newest = UINT32_MAX;
    }
}

/* ---- reaching memory ------------------------------------------------------------------------- */

static void to_memory(const struct host *host, uint64_t offset, const void *data, uint32_t bytes,
                      bool is_part)
{
    uint32_t line = (uint32_t)(offset / CACHE_LINE);
    unsigned char *at = memory.truth + (uint64_t)line * CACHE_LINE;
    unsigned char before[CACHE_LINE];
    memcpy(before, at, CACHE_LINE);
    memcpy(memory.truth + offset, data, bytes);
    memory.version[line]++;
    if (memory.software)
        memory.caches[host->number].observed[line] = memory.version[line];
    memory.recent[memory.recent_count++ % COUNT_OF(memory.recent)] = line;
    if (memory.formatted && !is_part && offset < memory.areas.blog && memory.watch.reached)
        memory.watch.reached(host, (uint64_t)line * CACHE_LINE, before, at);
}

void line_to_memory(struct host *host, uint32_t line)
{
    struct cache *cache = &memory.caches[host->number];
    if (!(cache->flags[line] & LINE_DIRTY))
        return;
    cache->flags[line] &= (uint8_t)~LINE_DIRTY;
    to_memory(host, (uint64_t)line * CACHE_LINE, cache->lines + (uint64_t)line * CACHE_LINE,
              CACHE_LINE, false);
}

void line_fetch(struct host *host, uint32_t line)
{
    struct cache *cache = &memory.caches[host->number];
    line_to_memory(host, line);
    unsigned char *to = cache->lines + (uint64_t)line * CACHE_LINE;
    const unsigned char *from = memory.truth + (uint64_t)line * CACHE_LINE;
    if (memcmp(to, from, CACHE_LINE) != 0) {
        COVER(STALE_KEPT);
        memcpy(to, from, CACHE_LINE);
    }
    cache->observed[line] = memory.version[line];
}

void line_dirtied(struct host *host, uint32_t line)
{
    struct cache *cache = &memory.caches[host->number];
    if (!memory.software)
        return;
    if (!(cache->flags[line] & LINE_LISTED)) {
        cache->dirty[cache->dirty_count++] = line;
        cache->flags[line] |= LINE_LISTED;
    }
    cache->flags[line] |= LINE_DIRTY;
    cache->observed[line] = memory.version[line];
}

/* ---- pending --------------------------------------------------------------------------------- */

static void take_effect(struct cpu *cpu, uint32_t at)
{
    struct pending item = cpu->items[at];
    struct host *host = cpu->host;
    if (memory.software)
        cpu->items[at] = cpu->items[--cpu->count]; /* write-backs have no order among themselves */
    else
        memmove(&cpu->items[at], &cpu->items[at + 1], (--cpu->count - at) * sizeof *cpu->items);
    if (memory.software)
        line_to_memory(host, item.offset / CACHE_LINE);
    else
        to_memory(host, item.offset, item.data, item.bytes, item.is_part);
}

/* One that may be next: any of the lowest group, or the oldest store. */
static uint32_t draw_pending(const struct cpu *cpu)
{
    uint32_t at = memory.software ? (uint32_t)choose_below(CHOICE_MEMORY, cpu->count) : 0;
    for (uint32_t i = 0; memory.software && cpu->group && i < cpu->count; i++)
        if (cpu->items[i].group < cpu->items[at].group)
            at = i;
    return at;
}

void pending_add(struct host *host, uint64_t offset, const void *data, uint32_t bytes)
{
    struct cpu *cpu = cpu_current();
    if (cpu->host != host)
        pending_all(cpu); /* of a fiber before this one */
    if (cpu->count == PENDING_MOST)
        take_effect(cpu, draw_pending(cpu));
    struct pending *item = &cpu->items[cpu->count++];
    item->offset = (uint32_t)offset;
    item->bytes = bytes;
    item->group = cpu->group;
    item->is_part = false;
    item->issued_ns = world_now_ns();
    if (!memory.software)
        memcpy(item->data, data, bytes);
    cpu->host = host;
    cpu->newest = (uint32_t)offset;
}

static void pending_add_part(struct host *host, uint64_t offset, const void *data, int from, int to)
{
    if (from >= to)
        return;
    pending_add(host, offset + (uint64_t)from * 8, (const unsigned char *)data + from * 8,
                (uint32_t)(to - from) * 8);
    struct cpu *cpu = cpu_current();
    cpu->items[cpu->count - 1].is_part = true;
}

/* Words 1 to 7 in two parts, in any order, then the first word: all that mem.h promises. */
void pending_add_line(struct host *host, uint64_t offset, const void *data)
{
    int split = (int)choose_between(CHOICE_MEMORY, 1, 8);
    bool upper_first = choose_one_in(CHOICE_MEMORY, 2);
    pending_add_part(host, offset, data, upper_first ? split : 1, upper_first ? 8 : split);
    pending_add_part(host, offset, data, upper_first ? 1 : split, upper_first ? split : 8);
    pending_add(host, offset, data, 8);
}

void pending_chance(struct cpu *cpu)
{
    if (cpu->count && choose_one_in(CHOICE_MEMORY, memory.settle_one_in))
        take_effect(cpu, draw_pending(cpu));
}

void pending_all(struct cpu *cpu)
{
    while (cpu->count)
        take_effect(cpu, draw_pending(cpu));
    cpu->group = 0;
}

/* ---- what a host has ------------------------------------------------------------------------- */

bool line_is_settled(const struct host *host, uint32_t line)
{
    return !memory.software || !(memory.caches[host->number].flags[line] & LINE_DIRTY);
}

static void overlay(const struct cpu *cpu, uint32_t line, unsigned char *to)
{
    for (uint32_t i = 0; i < cpu->count; i++)
        if (cpu->items[i].offset / CACHE_LINE == line)
            memcpy(to + cpu->items[i].offset % CACHE_LINE, cpu->items[i].data, cpu->items[i].bytes);
}

const unsigned char *line_as_host_has(const struct host *host, uint32_t line)
{
    static uint32_t next;
    if (memory.software)
        return memory.caches[host->number].lines + (uint64_t)line * CACHE_LINE;
    unsigned char *to = merged[next++ % 4];
    memcpy(to, memory.truth + (uint64_t)line * CACHE_LINE, CACHE_LINE);
    for (uint32_t i = 0; i < memory.cpu_count; i++)
        if (memory.cpus[i].count && memory.cpus[i].host == host)
            overlay(&memory.cpus[i], line, to);
    return to;
}

/* ---- accidents ------------------------------------------------------------------------------- */

static void evict_one(struct host *host)
{
    struct cache *cache = &memory.caches[host->number];
    if (!host->powered || cache->dirty_count == 0 || memory.evict_one_in == 0 ||
        !choose_one_in(CHOICE_MEMORY, memory.evict_one_in))
        return;
    uint32_t at = (uint32_t)choose_below(CHOICE_MEMORY, cache->dirty_count);
    uint32_t line = cache->dirty[at];
    cache->dirty[at] = cache->dirty[--cache->dirty_count];
    cache->flags[line] &= (uint8_t)~LINE_LISTED;
    if (!(cache->flags[line] & LINE_DIRTY))
        return;
    COVER(EVICTED);
    line_to_memory(host, line);
}

/* A line that was dropped and read again by some load: newer, but nobody asked. */
static void refetch_one(struct host *host)
{
    struct cache *cache = &memory.caches[host->number];
    if (!memory.recent_count)
        return;
    uint32_t known = (uint32_t)min_u64(memory.recent_count, COUNT_OF(memory.recent));
    uint32_t line = memory.recent[choose_below(CHOICE_MEMORY, known)];
    if (cache->flags[line] & LINE_DIRTY)
        return;
    COVER(REFETCHED);
    memcpy(cache->lines + (uint64_t)line * CACHE_LINE, memory.truth + (uint64_t)line * CACHE_LINE,
           CACHE_LINE);
}

/* One fiber's oldest or any: by chance, or because no buffer keeps anything for so long. */
static void complete_one(void)
{
    uint32_t from = (uint32_t)choose_below(CHOICE_MEMORY, memory.cpu_count);
    for (uint32_t i = 0; i < memory.cpu_count; i++) {
        struct cpu *cpu = &memory.cpus[(from + i) % memory.cpu_count];
        if (!cpu->count)
            continue;
        bool is_old = world_now_ns() - cpu->items[0].issued_ns > LINGER_MOST_NS;
        if (!is_old && !choose_one_in(CHOICE_MEMORY, memory.settle_one_in / 2))
            return;
        COVER(LATE_WRITE_BACK);
        take_effect(cpu, is_old ? 0 : draw_pending(cpu));
        return;
    }
}

void memory_accident(void)
{
    struct host *host = world_host((uint32_t)choose_below(CHOICE_MEMORY, memory.hosts));
    uint64_t what = choose_below(CHOICE_MEMORY, 4);
    if (what < 2)
        complete_one();
    else if (memory.software && what == 2)
        evict_one(host);
    else if (memory.software)
        refetch_one(host);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Stores that were made are in the cache; whether its write-backs went out is up to chance. */
void memory_fiber_ends(uint32_t fiber)
{
    struct cpu *cpu = cpu_of(fiber + 1);
    while (cpu->count && (!memory.software || choose_one_in(CHOICE_MEMORY, 2)))
        take_effect(cpu, draw_pending(cpu));
    cpu->count = 0;
}

void memory_power_lost(struct host *host)
{
    struct cache *cache = &memory.caches[host->number];
    while (cache->dirty_count > 0) {
        uint32_t line = cache->dirty[--cache->dirty_count];
        COVER_ADD(DIRTY_LOST, cache->flags[line] & LINE_DIRTY);
        cache->flags[line] = 0;
    }
    for (uint32_t i = 0; i < memory.cpu_count; i++)
        if (memory.cpus[i].host == host)
            memory.cpus[i].count = 0;
}

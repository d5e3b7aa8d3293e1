/*
 * How it works. Each host's mapping is a window of its own; behind it lies the host's cache, or,
 * where memory is hardware-coherent, memory itself. The simulator reaches the same bytes through a
 * second mapping, for in the windows the pages of structs are closed: whoever touches those without
 * mem is caught in the act (where.c). Windows of both modes are mapped once and used for all seeds.
 */
#include "sim/memory/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct memory memory;

static unsigned char *software_windows[MAPPINGS_MAX];
static unsigned char *hardware_windows[MAPPINGS_MAX];

/* ---- mappings, once a process ---------------------------------------------------------------- */

static unsigned char *map_file(int file)
{
    void *at = mmap(NULL, REGION_BYTES_MOST, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ASSERT(at != MAP_FAILED);
    return at;
}

static int new_file(void)
{
    int file = memfd_create("region", MFD_CLOEXEC);
    int failed = file < 0 || ftruncate(file, REGION_BYTES_MOST);
    ASSERT(!failed);
    return file;
}

static void *lines_alloc(size_t item_bytes)
{
    void *items = calloc(LINES_MOST, item_bytes);
    ASSERT(items);
    return items;
}

static void map_once(void)
{
    if (memory.truth)
        return;
    int truth = new_file();
    memory.truth = map_file(truth);
    memory.version = lines_alloc(sizeof(uint32_t));
    memory.owner = lines_alloc(1);
    for (int i = 0; i < MAPPINGS_MAX; i++) {
        int cache = new_file();
        memory.caches[i].lines = map_file(cache);
        software_windows[i] = map_file(cache);
        hardware_windows[i] = map_file(truth);
        memory.caches[i].flags = lines_alloc(1);
        memory.caches[i].observed = lines_alloc(sizeof(uint32_t));
        memory.caches[i].dirty = lines_alloc(sizeof(uint32_t));
        close(cache);
    }
    close(truth);
    where_catch_faults();
}

/* ---- a seed ---------------------------------------------------------------------------------- */

static void cache_begin(struct cache *cache, uint64_t lines)
{
    if (memory.software)
        memset(cache->lines, 0, lines * CACHE_LINE);
    memset(cache->flags, 0, lines);
    memset(cache->observed, 0, lines * sizeof(uint32_t));
    cache->dirty_count = 0;
}

void memory_begin(uint64_t region_bytes, enum mem_coherence coherence, uint32_t hosts)
{
    ASSERT(region_bytes <= REGION_BYTES_MOST && hosts <= MAPPINGS_MAX);
    map_once();
    where_unprotect();
    memory.bytes = region_bytes;
    memory.hosts = hosts;
    memory.software = coherence == MEM_SOFTWARE;
    memory.formatted = false;
    static const uint8_t evict_one_in[] = {1, 1, 8, 0};
    memory.evict_one_in = evict_one_in[choose_below(CHOICE_MEMORY, sizeof evict_one_in)];
    static const uint8_t settle_one_in[] = {2, 8, 8, 64};
    memory.settle_one_in = settle_one_in[choose_below(CHOICE_MEMORY, sizeof settle_one_in)];
    memory.recent_count = 0;
    memory.watch = (struct memory_watch){0};
    uint64_t lines = region_bytes / CACHE_LINE;
    memset(memory.truth, 0, region_bytes);
    memset(memory.version, 0, lines * sizeof(uint32_t));
    memset(memory.owner, NOBODY, lines);
    for (uint32_t i = 0; i < hosts; i++) {
        memory.windows[i] = memory.software ? software_windows[i] : hardware_windows[i];
        cache_begin(&memory.caches[i], lines);
    }
    cpus_begin();
}

/* What every host has read by then: a formatted region. From here on caches go their own ways. */
void memory_formatted(const struct geometry *geometry, enum mem_coherence coherence)
{
    ASSERT((coherence == MEM_SOFTWARE) == memory.software);
    memory.geometry = *geometry;
    region_areas_compute(geometry, &memory.areas);
    pending_all(cpu_current());
    for (uint32_t i = 0; memory.software && i < memory.hosts; i++) {
        memcpy(memory.caches[i].lines, memory.truth, memory.bytes);
        memset(memory.caches[i].flags, 0, memory.bytes / CACHE_LINE);
        memory.caches[i].dirty_count = 0;
    }
    memset(memory.version, 0, memory.bytes / CACHE_LINE * sizeof(uint32_t));
    memset(memory.owner, NOBODY, memory.bytes / CACHE_LINE);
    memory.formatted = true;
    where_protect();
}

unsigned char *memory_mapping(const struct host *host)
{
    ASSERT(host->number < memory.hosts);
    return memory.windows[host->number];
}

uint64_t memory_bytes(void)
{
    return memory.bytes;
}

const struct region_areas *memory_areas(void)
{
    return &memory.areas;
}

const struct geometry *memory_geometry(void)
{
    return &memory.geometry;
}

const unsigned char *memory_truth(uint64_t offset)
{
    ASSERT(offset < memory.bytes);
    return memory.truth + offset;
}

bool memory_find(const void *pointer, struct host **host, uint64_t *offset)
{
    for (uint32_t i = 0; i < memory.hosts; i++) {
        uint64_t within = (uint64_t)((const unsigned char *)pointer - memory.windows[i]);
        if (within < memory.bytes) {
            *host = world_host(i);
            *offset = within;
            return true;
        }
    }
    return false;
}

uint64_t memory_intended_u64(const struct host *host, uint64_t offset)
{
    uint64_t value;
    memcpy(&value, line_as_host_has(host, (uint32_t)(offset / CACHE_LINE)) + offset % CACHE_LINE,
           sizeof value);
    return value;
}

void memory_line_of_writer(uint64_t offset, unsigned char line[64])
{
    uint32_t number = (uint32_t)(offset / CACHE_LINE);
    const unsigned char *from = memory.truth + (uint64_t)number * CACHE_LINE;
    if (memory.owner[number] != NOBODY)
        from = line_as_host_has(world_host(memory.owner[number]), number);
    memcpy(line, from, CACHE_LINE);
}

bool memory_is_settled(const struct host *host, uint64_t offset, uint64_t bytes)
{
    for (uint64_t line = offset / CACHE_LINE; line * CACHE_LINE < offset + bytes; line++)
        if (!line_is_settled(host, (uint32_t)line))
            return false;
    return true;
}

void memory_watch(const struct memory_watch *watch)
{
    memory.watch = *watch;
}

/* ---- plain accesses, as env and the checksums tell of them ----------------------------------- */

static void tell_blog_stored(const struct host *host, uint64_t offset, uint64_t bytes)
{
    if (memory.formatted && offset >= memory.areas.blog && memory.watch.blog_stored)
        memory.watch.blog_stored(host, offset, bytes);
}

void memory_stored(const void *at, size_t bytes)
{
    struct host *host;
    uint64_t offset;
    if (bytes == 0 || !memory_find(at, &host, &offset))
        return;
    ASSERT(offset + bytes <= memory.bytes);
    rules_writer(host, offset, bytes);
    tell_blog_stored(host, offset, bytes);
    for (uint64_t line = offset / CACHE_LINE; line * CACHE_LINE < offset + bytes; line++)
        line_dirtied(host, (uint32_t)line);
}

void memory_read(const void *at, size_t bytes, const char *who)
{
    struct host *host;
    uint64_t offset;
    if (!memory.software || !memory.formatted || !memory_find(at, &host, &offset) ||
        offset < memory.areas.blog)
        return;
    const struct cache *cache = &memory.caches[host->number];
    for (uint64_t line = offset / CACHE_LINE; line * CACHE_LINE < offset + bytes; line++) {
        uint8_t owner = memory.owner[line];
        if (owner == NOBODY || owner == host->number ||
            cache->observed[line] == memory.version[line])
            continue;
        finding("memory", "a %s on %s reads %s, which %s has published since, without an observe",
                who, host->name, place_text(line * CACHE_LINE), world_host(owner)->name);
        return;
    }
}

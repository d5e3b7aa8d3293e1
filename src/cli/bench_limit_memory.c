/*
 * What memory allows: copying into a cold region, copying entries between rings, and a cache line
 * that goes to another CPU and back.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "cli/bench_limit_pair.h"
#include "cli/bench_limits.h"
#include "cli/progress.h"

#define CHUNK_BYTES  (1u << 20)
#define SOURCE_BYTES (16u << 20)
#define PAGE_BYTES   4096
#define LOOK_EVERY   1024 /* entries between two looks at the clock */
#define LANE_SLOTS   8192
#define GOI_ENTRIES  (1u << 20)
#define ENTRY_BYTES  64
#define TRIPS        16 /* a sample is their mean: one alone is no longer than reading the clock */

/* ---- the region ------------------------------------------------------------------------------ */

int limit_memory_open(struct limit_memory *limit)
{
    void *region =
        mmap(NULL, limit->region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    limit->source = aligned_alloc(PAGE_BYTES, SOURCE_BYTES);
    if (region == MAP_FAILED || !limit->source) {
        if (region != MAP_FAILED)
            munmap(region, limit->region_bytes);
        free(limit->source);
        return cli_fail("bench: no memory for a region of %llu bytes",
                        (unsigned long long)limit->region_bytes);
    }
    madvise(region, limit->region_bytes, MADV_HUGEPAGE);
    memset(limit->source, 'x', SOURCE_BYTES);
    limit->region = region;
    for (uint64_t at = 0; at < limit->region_bytes; at += PAGE_BYTES)
        limit->region[at] = 1;
    return CLI_DONE;
}

void limit_memory_close(struct limit_memory *limit)
{
    if (limit->region)
        munmap(limit->region, limit->region_bytes);
    free(limit->source);
}

/* ---- copying --------------------------------------------------------------------------------- */

int limit_copy_round(void *arg, bool keep, double *bytes_per_second)
{
    struct limit_memory *limit = arg;
    uint64_t begin_ns = progress_now_ns(), now_ns = begin_ns, copied = 0, at = 0;
    (void)keep;
    while (now_ns - begin_ns < limit->round_ns && !interrupt_asked(&limit->run->interrupt)) {
        memcpy(limit->region + at, limit->source + copied % SOURCE_BYTES, CHUNK_BYTES);
        copied += CHUNK_BYTES;
        at += CHUNK_BYTES;
        if (at + CHUNK_BYTES > limit->region_bytes)
            at = 0;
        now_ns = progress_now_ns();
    }
    *bytes_per_second = (double)copied * 1e9 / (double)(now_ns - begin_ns);
    return CLI_DONE;
}

/* The compiler must not make one copy of two, as a sequencer must look at what it got. */
static void entry_copy(unsigned char *to, const unsigned char *from, uint64_t number)
{
    unsigned char entry[ENTRY_BYTES];
    memcpy(entry, from, ENTRY_BYTES);
    memcpy(entry, &number, sizeof number);
    memcpy(to, entry, ENTRY_BYTES);
}

int limit_entry_round(void *arg, bool keep, double *batches_per_second)
{
    struct limit_memory *limit = arg;
    uint64_t entries = min_u64(GOI_ENTRIES, limit->region_bytes / ENTRY_BYTES);
    uint64_t begin_ns = progress_now_ns(), now_ns = begin_ns, n = 0;
    (void)keep;
    while (now_ns - begin_ns < limit->round_ns && !interrupt_asked(&limit->run->interrupt)) {
        for (int i = 0; i < LOOK_EVERY; i++, n++)
            entry_copy(limit->region + n % entries * ENTRY_BYTES,
                       limit->source + n % LANE_SLOTS * ENTRY_BYTES, n);
        now_ns = progress_now_ns();
    }
    *batches_per_second = (double)n * 1e9 / (double)(now_ns - begin_ns);
    return CLI_DONE;
}

/* ---- a line between two CPUs ----------------------------------------------------------------- */

/* Each word in a line of its own: one thread writes it, the other polls it. */
struct lines {
    _Alignas(2 * CACHE_LINE) struct flag there;
    _Alignas(2 * CACHE_LINE) struct flag back;
    _Alignas(2 * CACHE_LINE) struct limit_pair pair;
};

#define LINES_OVER UINT64_MAX

bool limit_line_possible(void)
{
    struct limit_pair pair;
    return limit_pair_begin(&pair);
}

static void *line_answer(void *arg)
{
    struct lines *lines = arg;
    uint64_t seen = 0, now;
    limit_pair_pin(&lines->pair, 1);
    while ((now = flag_load_acquire(&lines->there)) != LINES_OVER)
        if (now != seen) {
            flag_store_release(&lines->back, now);
            seen = now;
        }
    return NULL;
}

static void line_trips(struct limit_memory *limit, struct lines *lines,
                       struct bench_histogram *round)
{
    uint64_t begin_ns = progress_now_ns(), now_ns = begin_ns, n = 0;
    while (now_ns - begin_ns < limit->round_ns && !interrupt_asked(&limit->run->interrupt)) {
        uint64_t sent_ns = now_ns;
        for (int i = 0; i < TRIPS; i++) {
            flag_store_release(&lines->there, ++n);
            while (flag_load_acquire(&lines->back) != n)
                continue;
        }
        now_ns = progress_now_ns();
        bench_histogram_add(round, (now_ns - sent_ns) / TRIPS);
    }
    flag_store_release(&lines->there, LINES_OVER);
}

int limit_line_round(void *arg, bool keep, double *p50_ns)
{
    struct limit_memory *limit = arg;
    struct bench_histogram round = {0};
    struct lines lines;
    pthread_t thread;

    if (!limit_pair_begin(&lines.pair))
        return cli_fail("bench: a line between CPUs needs two of them");
    flag_init(&lines.there, 0);
    flag_init(&lines.back, 0);
    if (pthread_create(&thread, NULL, line_answer, &lines) != 0)
        return cli_fail("bench: no thread could be started");
    limit_pair_pin(&lines.pair, 0);
    line_trips(limit, &lines, &round);
    pthread_join(thread, NULL);
    limit_pair_end(&lines.pair);
    *p50_ns = (double)bench_histogram_at(&round, 500);
    if (keep)
        bench_histogram_merge(&limit->latency, &round);
    return CLI_DONE;
}

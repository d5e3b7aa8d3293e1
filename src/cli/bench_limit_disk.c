/*
 * Raw disk writes in the rhythm of the stores.
 *
 * How it works: each file has two threads. One appends chunks past the page cache, into space
 * reserved ahead, and stays at most 32 MiB ahead of what is synced. The other syncs whatever has
 * been written, again and again: a running sync is the timer of the next group, as in a replica.
 * Bytes count when a sync that began behind them has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "cli/bench_limits.h"
#include "cli/progress.h"

#define BLOCK_BYTES   4096
#define CHUNK_BYTES   (2u << 20)
#define AHEAD_BYTES   (32u << 20) /* a store's staging */
#define RESERVE_BYTES (64u << 20)
#define WRITTEN_BYTES (64u << 20) /* what small writes go round */
#define BREATH_NS     1000000     /* between small writes: see limit_sync_round */
#define PAUSE_NS      20000       /* of a thread that waits for the other one */

/* A file without a name: it is gone when it is closed, however that comes about. -1: errno. */
static int file_open(const char *dir)
{
    return open(dir, O_TMPFILE | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);
}

static void *block_make(uint64_t bytes)
{
    void *block = NULL;
    if (posix_memalign(&block, BLOCK_BYTES, bytes) != 0)
        return NULL;
    memset(block, 'x', bytes);
    return block;
}

/* 0 or errno. */
static int write_all(int fd, const void *bytes, uint64_t count, uint64_t at)
{
    for (uint64_t done = 0; done < count;) {
        ssize_t put = pwrite(fd, (const char *)bytes + done, count - done, (off_t)(at + done));
        if (put <= 0)
            return put < 0 ? errno : EIO;
        done += (uint64_t)put;
    }
    return 0;
}

static int disk_failed(const char *dir, int failed)
{
    return cli_fail("bench: raw writes in --limit-dir %s: %s; a directory on the stores' disk is "
                    "expected",
                    dir, strerror(failed));
}

/* ---- throughput ------------------------------------------------------------------------------ */

struct written {
    struct flag *stop;
    int fd;
    void *chunk;
    pthread_t writer, syncer;
    int started;         /* threads */
    struct flag written; /* bytes; by the writer */
    struct flag synced;  /* bytes; by the syncer */
    struct flag failed;  /* errno; by either */
};

static bool goes_on(struct written *w)
{
    return !flag_load_acquire(w->stop) && !flag_load_acquire(&w->failed);
}

static void pause_ns(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

static void *writer_run(void *arg)
{
    struct written *w = arg;
    uint64_t at = 0;
    while (goes_on(w)) {
        if (at - flag_load_acquire(&w->synced) + CHUNK_BYTES > AHEAD_BYTES) {
            pause_ns(PAUSE_NS);
            continue;
        }
        if (at % RESERVE_BYTES == 0)
            fallocate(w->fd, 0, (off_t)at, RESERVE_BYTES);
        int failed = write_all(w->fd, w->chunk, CHUNK_BYTES, at);
        if (failed)
            flag_store_release(&w->failed, (uint64_t)failed);
        at += CHUNK_BYTES;
        flag_store_release(&w->written, at);
    }
    return NULL;
}

static void *syncer_run(void *arg)
{
    struct written *w = arg;
    while (goes_on(w)) {
        uint64_t at = flag_load_acquire(&w->written);
        if (at == flag_load_relaxed(&w->synced)) {
            pause_ns(PAUSE_NS);
            continue;
        }
        if (fdatasync(w->fd) != 0)
            flag_store_release(&w->failed, (uint64_t)errno);
        flag_store_release(&w->synced, at);
    }
    return NULL;
}

/* 0 or errno; written_end in any case. */
static int written_begin(struct written *w, const char *dir, struct flag *stop)
{
    *w = (struct written){.stop = stop, .fd = file_open(dir)};
    flag_init(&w->written, 0);
    flag_init(&w->synced, 0);
    flag_init(&w->failed, 0);
    if (w->fd < 0)
        return errno;
    w->chunk = block_make(CHUNK_BYTES);
    if (!w->chunk)
        return ENOMEM;
    int failed = pthread_create(&w->writer, NULL, writer_run, w);
    if (failed)
        return failed;
    w->started = 1;
    failed = pthread_create(&w->syncer, NULL, syncer_run, w);
    w->started += failed == 0;
    return failed;
}

/* After stop; 0 or errno. */
static int written_end(struct written *w)
{
    if (w->started > 0)
        pthread_join(w->writer, NULL);
    if (w->started > 1)
        pthread_join(w->syncer, NULL);
    free(w->chunk);
    if (w->fd >= 0)
        close(w->fd);
    return (int)flag_load_acquire(&w->failed);
}

static uint64_t synced_bytes(struct written *files, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += flag_load_acquire(&files[i].synced);
    return sum;
}

int limit_disk_round(void *arg, bool keep, double *bytes_per_second)
{
    struct limit_disk *limit = arg;
    struct written *files = calloc(limit->files, sizeof *files);
    struct flag stop;
    uint32_t begun = 0;
    int failed = files ? 0 : ENOMEM;

    (void)keep;
    flag_init(&stop, 0);
    while (failed == 0 && begun < limit->files)
        failed = written_begin(&files[begun++], limit->dir, &stop);
    if (failed == 0 && bench_sleep(limit->run, limit->round_ns / BENCH_WARM_DIVISOR)) {
        uint64_t begin_ns = progress_now_ns(), begin = synced_bytes(files, begun);
        bench_sleep(limit->run, limit->round_ns);
        uint64_t bytes = synced_bytes(files, begun) - begin, end_ns = progress_now_ns();
        *bytes_per_second =
            (double)bytes * 1e9 / (double)(end_ns - begin_ns) / (double)limit->replicas;
    }
    flag_store_release(&stop, 1);
    for (uint32_t i = 0; i < begun; i++) {
        int ended = written_end(&files[i]);
        failed = failed ? failed : ended;
    }
    free(files);
    return failed ? disk_failed(limit->dir, failed) : CLI_DONE;
}

/* ---- latency --------------------------------------------------------------------------------- */

int limit_sync_open(struct limit_sync *limit)
{
    int failed = 0;
    void *chunk = block_make(CHUNK_BYTES);
    limit->fd = file_open(limit->dir);
    if (limit->fd < 0)
        failed = errno;
    else if (!chunk)
        failed = ENOMEM;
    for (uint64_t at = 0; failed == 0 && at < WRITTEN_BYTES; at += CHUNK_BYTES)
        failed = write_all(limit->fd, chunk, CHUNK_BYTES, at);
    if (failed == 0 && fsync(limit->fd) != 0)
        failed = errno;
    limit->block = chunk;
    if (failed == 0)
        return CLI_DONE;
    limit_sync_close(limit);
    return disk_failed(limit->dir, failed);
}

void limit_sync_close(struct limit_sync *limit)
{
    if (limit->fd >= 0)
        close(limit->fd);
    free(limit->block);
    limit->fd = -1;
    limit->block = NULL;
}

/* It is the latency of one write that is asked for, not how many there can be: virtual disks that
   allow so many operations a second answer late when they come without pause. */
int limit_sync_round(void *arg, bool keep, double *p50_ns)
{
    struct limit_sync *limit = arg;
    struct bench_histogram round = {0};
    uint64_t begin_ns = progress_now_ns(), now_ns = begin_ns;

    while (now_ns - begin_ns < limit->round_ns && !interrupt_asked(&limit->run->interrupt)) {
        pause_ns(BREATH_NS);
        uint64_t sent_ns = progress_now_ns();
        int failed = write_all(limit->fd, limit->block, BLOCK_BYTES, limit->at);
        if (failed == 0 && fdatasync(limit->fd) != 0)
            failed = errno;
        if (failed)
            return disk_failed(limit->dir, failed);
        limit->at = (limit->at + BLOCK_BYTES) % WRITTEN_BYTES;
        now_ns = progress_now_ns();
        bench_histogram_add(&round, now_ns - sent_ns);
    }
    *p50_ns = (double)bench_histogram_at(&round, 500);
    if (keep)
        bench_histogram_merge(&limit->latency, &round);
    return CLI_DONE;
}

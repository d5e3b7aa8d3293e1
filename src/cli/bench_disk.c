/*
 * Raw disk writes in the rhythm of the stores: each writer appends to a preallocated file of its
 * own past the page cache and syncs after every write.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench.h"
#include "cli/progress.h"

#define BLOCK_BYTES       4096
#define PREALLOCATE_BYTES (64 << 20)

struct writer {
    const struct limit_disk *limit;
    pthread_t thread;
    struct flag *stop;
    struct flag synced; /* bytes */
    int failure;        /* errno; read when joined */
};

/* A file without a name: it is gone when it is closed, however that comes about. */
static int file_open(const char *dir, int *failure)
{
    int fd = open(dir, O_TMPFILE | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);
    if (fd < 0)
        *failure = errno;
    return fd;
}

/* Appends one write and syncs it; 0 or errno. */
static int append(const struct writer *w, int fd, const void *bytes, uint64_t at)
{
    uint64_t count = w->limit->write_bytes;
    if (at % PREALLOCATE_BYTES < count)
        fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)(PREALLOCATE_BYTES + count));
    for (uint64_t done = 0; done < count;) {
        ssize_t put = pwrite(fd, (const char *)bytes + done, count - done, (off_t)(at + done));
        if (put <= 0)
            return put < 0 ? errno : EIO;
        done += (uint64_t)put;
    }
    return fdatasync(fd) == 0 ? 0 : errno;
}

static void *writer_run(void *arg)
{
    struct writer *w = arg;
    void *bytes = NULL;
    int fd = file_open(w->limit->dir, &w->failure);
    if (fd < 0)
        return NULL;
    if (posix_memalign(&bytes, BLOCK_BYTES, w->limit->write_bytes) != 0)
        w->failure = ENOMEM;
    else
        memset(bytes, 'x', w->limit->write_bytes);
    for (uint64_t at = 0; !w->failure && !flag_load_acquire(w->stop);) {
        w->failure = append(w, fd, bytes, at);
        at += w->limit->write_bytes;
        flag_store_release(&w->synced, at);
    }
    free(bytes);
    close(fd);
    return NULL;
}

static uint64_t synced(struct writer *writers, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += flag_load_acquire(&writers[i].synced);
    return sum;
}

int limit_disk_round(void *arg, bool keep, double *bytes_per_second)
{
    struct limit_disk *limit = arg;
    struct writer *writers = calloc(limit->writers, sizeof *writers);
    struct flag stop;
    uint32_t started = 0;
    int failed = writers ? 0 : ENOMEM;

    flag_init(&stop, 0);
    for (; failed == 0 && started < limit->writers; started += failed == 0) {
        writers[started] = (struct writer){.limit = limit, .stop = &stop};
        flag_init(&writers[started].synced, 0);
        failed = pthread_create(&writers[started].thread, NULL, writer_run, &writers[started]);
    }
    uint64_t begin_ns = progress_now_ns();
    if (failed == 0)
        bench_sleep(limit->run, limit->round_ns);
    uint64_t bytes = synced(writers, started), end_ns = progress_now_ns();
    flag_store_release(&stop, 1);
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(writers[i].thread, NULL);
        failed = failed ? failed : writers[i].failure;
    }
    free(writers);
    if (failed)
        return cli_fail("bench: raw writes in --limit-dir %s: %s; a directory on the stores' disk "
                        "is expected",
                        limit->dir, strerror(failed));
    *bytes_per_second = (double)bytes * 1e9 / (double)(end_ns - begin_ns) / (double)limit->replicas;
    return CLI_DONE;
}

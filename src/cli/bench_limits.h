/*
 * The limits of the machine: what it does without a log, by the plainest means. Each is a round for
 * bench_alternate, in the unit of what is divided by it. Each struct is filled by its owner, one
 * bench; its rounds run in the owner's thread and end the threads that they start.
 */
#ifndef CLI_BENCH_LIMITS_H
#define CLI_BENCH_LIMITS_H

#include "base/flag.h"
#include "cli/bench.h"

/* ---- TCP throughput -------------------------------------------------------------------------- */

enum limit_kind {
    LIMIT_RECEIVE, /* senders here, a process that receives into a region */
    LIMIT_SENDFILE /* a process that sends files of a region, a receiver here */
};

/* Raw loopback TCP against a process of our own. */
struct limit_tcp {
    struct bench_run *run;
    pid_t helper;
    int control; /* its end ends the helper */
    uint16_t port;
    enum limit_kind kind;
    uint32_t threads; /* on this side */
    uint32_t streams; /* of each of them */
    uint64_t round_ns;
    struct flag *counters; /* received bytes, shared with the helper, a line each */
};

#define LIMIT_STREAMS_MAX 2048 /* at once: 64 threads, 32 brokers */

/* Forks the helper: to be called before any other thread is started. */
int limit_tcp_fork(struct limit_tcp *limit, enum limit_kind kind);
/* Tells it the size of its region, which it touches; returns when it listens. */
int limit_tcp_start(struct limit_tcp *limit, struct bench_run *run, uint64_t region_bytes);
int limit_tcp_round(void *limit, bool keep, double *bytes_per_second);
void limit_tcp_end(struct limit_tcp *limit);
/* As the product's sockets are: large buffers, no delay, cubic instead of BBR. */
void limit_socket_tune(int fd);

/* ---- TCP round trips ------------------------------------------------------------------------- */

/* A request of message_bytes and an answer of 64, both sides polling. */
struct limit_trip {
    struct bench_run *run;
    uint64_t message_bytes;
    uint64_t round_ns;
    struct bench_histogram latency; /* of the kept rounds */
};

int limit_trip_round(void *limit, bool keep, double *p50_ns);

/* ---- memory ---------------------------------------------------------------------------------- */

struct limit_memory {
    struct bench_run *run;
    uint64_t region_bytes;
    uint64_t round_ns;
    unsigned char *region; /* every page touched */
    unsigned char *source;
    struct bench_histogram latency; /* of the kept rounds of limit_line_round */
};

int limit_memory_open(struct limit_memory *limit);
void limit_memory_close(struct limit_memory *limit);
/* One thread copies pieces of 1 MiB into the region, round and round, so that it is cold. */
int limit_copy_round(void *limit, bool keep, double *bytes_per_second);
/* 64 bytes in from one ring and 64 out to another for each batch, as a sequencer must at least. */
int limit_entry_round(void *limit, bool keep, double *batches_per_second);
/* A cache line goes to a thread on another CPU and back. */
int limit_line_round(void *limit, bool keep, double *p50_ns);
/* Whether there are two CPUs for it. */
bool limit_line_possible(void);

/* ---- disk ------------------------------------------------------------------------------------ */

/* Raw writes past the page cache into a file for each store, and syncs beside them: the next sync
   begins when one has ended, as the stores do it. */
struct limit_disk {
    struct bench_run *run;
    const char *dir;
    uint32_t files;
    uint32_t replicas; /* what was written is divided by them */
    uint64_t round_ns;
};

int limit_disk_round(void *limit, bool keep, double *bytes_per_second);

/* One write of 4 KiB and its sync, a pause, and again, in space that was written before. */
struct limit_sync {
    struct bench_run *run;
    const char *dir;
    uint64_t round_ns;
    int fd;
    void *block;
    uint64_t at;
    struct bench_histogram latency; /* of the kept rounds */
};

int limit_sync_open(struct limit_sync *limit);
void limit_sync_close(struct limit_sync *limit);
int limit_sync_round(void *limit, bool keep, double *p50_ns);

#endif

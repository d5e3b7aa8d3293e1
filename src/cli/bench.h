/*
 * What the benches share. A bench alternates rounds of measuring the rack with rounds of measuring
 * what this machine can do without it (its limits), drops the first round of each, and reports
 * medians and their ratio. Design: 5-testing, "Measuring". One thread, but where said otherwise.
 */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/cli.h"
#include "cli/interrupt.h"

#define BENCH_ROUNDS_MAX 1000
#define BENCH_SIDES_MAX  3

/* ---- the rack and the run -------------------------------------------------------------------- */

struct bench_rack {
    uint32_t brokers;
    uint32_t stores;
    uint64_t blog_bytes; /* payload memory of all brokers */
    pid_t daemon;        /* 0: not known */
};

struct bench_run {
    struct emb_client *client;
    struct interrupt interrupt;
    struct bench_rack rack;
    char topic[64];
};

/* Connects, learns the rack and makes a topic of the run's own. daemon: 0, or the daemon's process
   (else the rack's status is asked for a `pid`). An enum cli_exit; after CLI_DONE bench_end. */
int bench_begin(struct bench_run *run, const struct cli *cli, pid_t daemon,
                const struct emb_topic_settings *settings);
/* Deletes the topic and closes; result, or CLI_FAILED if that fails. */
int bench_end(struct bench_run *run, int result);
/* Sleeps; false: interrupted. */
bool bench_sleep(struct bench_run *run, uint64_t ns);

/* ---- rounds ---------------------------------------------------------------------------------- */

/* One thing that is measured in every round. */
struct bench_side {
    const char *name;
    /* One round: *value per second. keep: false in the first round, which is dropped. */
    int (*round)(void *arg, bool keep, double *value);
    void *arg;
    double *values; /* of the kept rounds */
    int count;
};

/* Runs all sides in turn, rounds + 1 times; an enum cli_exit. */
int bench_alternate(struct bench_run *run, struct bench_side *sides, int count, int rounds);

/* ---- figures --------------------------------------------------------------------------------- */

struct bench_sample {
    uint64_t value;
    uint64_t weight;
};

struct bench_figure {
    const char *measure;
    const struct bench_side *own;
    const struct bench_side *limits; /* the ratio is to the lowest */
    int limit_count;
    json_t *settings;             /* taken over */
    struct bench_sample *samples; /* of latencies in ns; NULL: none; gets sorted */
    size_t sample_count;
    double foreign_cpu; /* of all CPUs; negative: not known */
};

/* The middle of the values (of the two middle ones their mean); sorts a copy. 0 without values. */
double bench_median(const double *values, int count);
/* The smallest value that per_mille of the weight does not exceed; sorted samples; 0 without. */
uint64_t bench_percentile(const struct bench_sample *samples, size_t count, unsigned per_mille);
void bench_samples_sort(struct bench_sample *samples, size_t count);
/* The object that 5-testing describes. */
json_t *bench_figure_value(struct bench_figure *figure);
/* Prints it as one line of JSON, or for people. */
void bench_report(struct bench_figure *figure, bool as_json);

/* ---- other people's CPU ---------------------------------------------------------------------- */

struct bench_cpu {
    pid_t ours[2]; /* processes of the measure beside this one; 0: none */
    double all_seconds, busy_seconds, our_seconds;
};

void bench_cpu_begin(struct bench_cpu *cpu, pid_t helper, pid_t daemon);
/* The share of all CPUs that other processes used since; negative when the daemon is not known. */
double bench_cpu_end(struct bench_cpu *cpu);

/* ---- limits ---------------------------------------------------------------------------------- */

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
    uint32_t threads; /* sending ones */
    uint32_t streams; /* of each of them */
    uint64_t round_ns;
    struct flag *counters; /* received bytes, shared with the helper, a line each */
};

#define LIMIT_STREAMS_MAX 256

/* Forks the helper: to be called before any other thread is started. */
int limit_tcp_fork(struct limit_tcp *limit, enum limit_kind kind);
/* Tells it the size of its region, which it touches; returns when it listens. */
int limit_tcp_start(struct limit_tcp *limit, uint64_t region_bytes);
int limit_tcp_round(void *limit, bool keep, double *bytes_per_second);
void limit_tcp_end(struct limit_tcp *limit);

/* Raw writes past the page cache, each synced, by as many threads as there are stores. */
struct limit_disk {
    struct bench_run *run;
    const char *dir;
    uint32_t writers;
    uint32_t replicas;    /* what was written is divided by them */
    uint64_t write_bytes; /* between two syncs */
    uint64_t round_ns;
};

int limit_disk_round(void *limit, bool keep, double *bytes_per_second);

#endif

/*
 * What the benches share: the rack and the run, rounds, and figures. A bench alternates rounds of
 * measuring the rack with rounds of measuring what this machine can do without it (its limits, see
 * bench_limits.h), drops the first round of each, and reports medians and their ratio. Design:
 * 5-testing, "Measuring". One thread, but where said otherwise.
 */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/bench_histogram.h"
#include "cli/cli.h"
#include "cli/interrupt.h"

#define BENCH_ROUNDS_MIN    5 /* fewer have no median worth the name */
#define BENCH_ROUNDS_MAX    100
#define BENCH_TOPICS_MAX    32
#define BENCH_PROCESSES_MAX 40
#define BENCH_WARM_DIVISOR  10 /* this part of a round passes before it counts */

/* ---- options that every bench has ------------------------------------------------------------ */

struct bench_common {
    uint64_t round_ns;
    uint64_t rounds;
    uint64_t pid; /* of BENCH_RACK_ROWS */
    bool json;
};

/* Their rows, for a struct of values with a member `common`. */
#define BENCH_COMMON_ROWS(values, round_time)                                                      \
    {.name = "round-time",                                                                         \
     .type = CLI_DURATION,                                                                         \
     .field = offsetof(values, common.round_ns),                                                   \
     .value = round_time,                                                                          \
     .argument = "D",                                                                              \
     .min = 10000000,                                                                              \
     .max = 3600000000000,                                                                         \
     .text = "length of a round"},                                                                 \
        {.name = "rounds",                                                                         \
         .type = CLI_NUMBER,                                                                       \
         .field = offsetof(values, common.rounds),                                                 \
         .value = "5",                                                                             \
         .argument = "N",                                                                          \
         .min = BENCH_ROUNDS_MIN,                                                                  \
         .max = BENCH_ROUNDS_MAX,                                                                  \
         .text = "that count, after one that is dropped"},                                         \
    {                                                                                              \
        .name = "json", .type = CLI_FLAG, .field = offsetof(values, common.json),                  \
        .text = "print one JSON object a line for each measure"                                    \
    }
/* The same and one more, for what asks a rack. */
#define BENCH_RACK_ROWS(values, round_time)                                                        \
    {.name = "pid",                                                                                \
     .type = CLI_NUMBER,                                                                           \
     .field = offsetof(values, common.pid),                                                        \
     .argument = "PID",                                                                            \
     .min = 1,                                                                                     \
     .max = INT32_MAX,                                                                             \
     .text = "the rack's one process on this host; default: as its status says"},                  \
        BENCH_COMMON_ROWS(values, round_time)
#define BENCH_COMMON_COUNT 3
#define BENCH_RACK_COUNT   (BENCH_COMMON_COUNT + 1)

/* ---- the rack and the run -------------------------------------------------------------------- */

struct bench_rack {
    uint32_t brokers;
    uint32_t stores;
    uint64_t blog_bytes;                /* payload memory of all brokers */
    pid_t daemons[BENCH_PROCESSES_MAX]; /* on this host */
    int daemon_count;
    bool daemons_known; /* that is all of them */
};

struct bench_run {
    const struct cli *cli;
    const struct bench_common *common;
    struct emb_client *client; /* NULL: without a rack */
    struct interrupt interrupt;
    struct bench_rack rack;
    pid_t helpers[2];
    int helper_count;
    char topics[BENCH_TOPICS_MAX][64]; /* made by this run */
    int topic_count;
    double foreign_cpu; /* of the last bench_alternate; negative: not known */
    json_t *figures;
};

/* Connects and learns the rack. Helpers must have been forked. After CLI_DONE: bench_end. */
int bench_begin(struct bench_run *run, const struct cli *cli, const struct bench_common *common);
/* The same without a rack, for measuring the machine alone. */
int bench_begin_alone(struct bench_run *run, const struct cli *cli,
                      const struct bench_common *common);
/* Makes a topic of the run's own, which bench_end deletes; *name lives as long as the run. */
int bench_topic(struct bench_run *run, const struct emb_topic_settings *settings,
                const char **name);
/* Prints the figures if result is CLI_DONE, deletes the topics, closes; result, or CLI_FAILED. */
int bench_end(struct bench_run *run, int result);
/* Whose CPU time is not foreign, beside the daemons' and this process'. */
void bench_helper_add(struct bench_run *run, pid_t pid);
/* Sleeps; false: interrupted. */
bool bench_sleep(struct bench_run *run, uint64_t ns);
/* A pseudo-random value for messages, the same for the same seed; NULL without memory. */
unsigned char *bench_payload(uint64_t bytes, uint64_t seed);

/* ---- rounds ---------------------------------------------------------------------------------- */

/* One thing that is measured in every round. */
struct bench_side {
    const char *name;
    /* One round. keep: false in the first round, which is dropped. */
    int (*round)(void *arg, bool keep, double *value);
    void *arg;
    double values[BENCH_ROUNDS_MAX]; /* of the kept rounds */
    int count;
};

/* Runs all sides in turn, rounds + 1 times, and takes run->foreign_cpu; an enum cli_exit. */
int bench_alternate(struct bench_run *run, struct bench_side *sides, int count);

/* The middle of the values (of the two middle ones their mean); sorts a copy. 0 without values. */
double bench_median(const double *values, int count);

/* ---- figures --------------------------------------------------------------------------------- */

#define BENCH_BYTES_PER_S   "bytes/s"
#define BENCH_BATCHES_PER_S "batches/s"
#define BENCH_NS            "ns"
#define BENCH_BYTES         "bytes"
#define BENCH_CPUS          "cpus"
#define BENCH_RATIO         "1"
#define BENCH_LIMITS_MAX    2

struct bench_figure {
    const char *measure;
    const char *unit;
    const struct bench_side *own;
    /* NULLs: fewer. The ratio is to the one nearest to the value: the lowest of rates, the highest
       of times. Without any, limit and ratio are null. */
    const struct bench_side *limits[BENCH_LIMITS_MAX];
    const struct bench_histogram *latency;       /* in ns; NULL: none */
    const struct bench_histogram *limit_latency; /* of the limit, for its settings; NULL: none */
    json_t *settings;                            /* taken over */
    double foreign_cpu;                          /* of all CPUs; negative: not known */
};

/* The object that 5-testing describes. */
json_t *bench_figure_value(const struct bench_figure *figure);
json_t *bench_percentiles_value(const struct bench_histogram *histogram);
/* Keeps it until bench_end. */
void bench_report(struct bench_run *run, struct bench_figure figure);
/* An array of such objects: one a line, or for people a table and the settings. */
void bench_figures_print(FILE *to, const json_t *figures, bool as_json);

/* ---- CPU ------------------------------------------------------------------------------------- */

struct bench_cpu {
    const struct bench_run *run;
    double all_seconds, busy_seconds, our_seconds;
};

void bench_cpu_begin(struct bench_cpu *cpu, const struct bench_run *run);
/* The share of all CPUs that others used since; negative when the rack's processes are not known.
 */
double bench_cpu_end(const struct bench_cpu *cpu);
/* CPU seconds that a process has used; 0 when there is none. */
double bench_process_seconds(pid_t pid);

#endif

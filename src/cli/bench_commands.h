/* The options of the benches, for their rows in the table of commands (bench_commands.c). */
#ifndef CLI_BENCH_COMMANDS_H
#define CLI_BENCH_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/bench.h"

struct bench_publish_values {
    const char *order; /* lists, see cli/bench_lists.h */
    const char *acks;
    const char *message_bytes;
    const char *batch_bytes;
    uint64_t replicas;
    uint64_t publishers;
    bool shared_client;
    const char *limit_dir;
    struct bench_common common;
};

#define BENCH_PUBLISH_ROWS (8 + BENCH_RACK_COUNT)
extern const struct cli_option bench_publish_rows[BENCH_PUBLISH_ROWS];
int bench_publish_run(struct cli *cli, const void *values);

struct bench_consume_values {
    uint64_t backlog_bytes;
    uint64_t message_bytes;
    int level;
    struct bench_common common;
};

#define BENCH_CONSUME_ROWS (3 + BENCH_RACK_COUNT)
extern const struct cli_option bench_consume_rows[BENCH_CONSUME_ROWS];
int bench_consume_run(struct cli *cli, const void *values);

struct bench_latency_values {
    const char *acks;
    const char *load;
    int order;
    uint64_t replicas;
    uint64_t message_bytes;
    uint64_t batch_bytes;
    uint64_t linger_ns;
    const char *limit_dir;
    struct bench_common common;
};

#define BENCH_LATENCY_ROWS (8 + BENCH_RACK_COUNT)
extern const struct cli_option bench_latency_rows[BENCH_LATENCY_ROWS];
int bench_latency_run(struct cli *cli, const void *values);

struct bench_limits_values {
    uint64_t region_bytes;
    uint64_t publishers;
    uint64_t streams;
    uint64_t stores;
    uint64_t message_bytes;
    const char *limit_dir;
    struct bench_common common;
};

#define BENCH_LIMITS_ROWS (6 + BENCH_COMMON_COUNT)
extern const struct cli_option bench_limits_rows[BENCH_LIMITS_ROWS];
int bench_limits_run(struct cli *cli, const void *values);

struct bench_idle_values {
    struct bench_common common;
};

#define BENCH_IDLE_ROWS BENCH_RACK_COUNT
extern const struct cli_option bench_idle_rows[BENCH_IDLE_ROWS];
int bench_idle_run(struct cli *cli, const void *values);

struct bench_start_values {
    const char *ports_file;
    struct bench_common common;
};

#define BENCH_START_ROWS 3
extern const struct cli_option bench_start_rows[BENCH_START_ROWS];
int bench_start_run(struct cli *cli, const void *values);

struct bench_table_values {
    bool json;
};

#define BENCH_TABLE_ROWS 1
extern const struct cli_option bench_table_rows[BENCH_TABLE_ROWS];
int bench_table_run(struct cli *cli, const void *values);

#endif

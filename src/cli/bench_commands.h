/* The options of the two benches, for their rows in the table of commands. */
#ifndef CLI_BENCH_COMMANDS_H
#define CLI_BENCH_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"

struct bench_publish_values {
    int acks;
    int order;
    uint64_t replicas;
    uint64_t publishers;
    bool shared_client;
    uint64_t message_bytes;
    uint64_t batch_bytes;
    uint64_t seconds;
    uint64_t rounds;
    const char *limit_dir;
    uint64_t sync_bytes;
    uint64_t pid;
    bool json;
};

#define BENCH_PUBLISH_ROWS 13
extern const struct cli_option bench_publish_rows[BENCH_PUBLISH_ROWS];
int bench_publish_run(struct cli *cli, const void *values);

struct bench_consume_values {
    uint64_t backlog_bytes;
    uint64_t message_bytes;
    int level;
    uint64_t seconds;
    uint64_t rounds;
    uint64_t pid;
    bool json;
};

#define BENCH_CONSUME_ROWS 7
extern const struct cli_option bench_consume_rows[BENCH_CONSUME_ROWS];
int bench_consume_run(struct cli *cli, const void *values);

#endif

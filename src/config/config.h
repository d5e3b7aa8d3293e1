/*
 * What a daemon was told: the typed values of the one table of options, from (weakest first) its
 * defaults, the environment and the command line. Written once by config_parse, read by everybody
 * afterwards. Pure: the environment is asked through a function. House, habit 8.
 *
 * Sizes are in bytes, durations in nanoseconds; texts are never NULL.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

#define CONFIG_HOST_BYTES 22 /* as long as a node's line in the region can hold */
#define CONFIG_URL_BYTES  256
#define CONFIG_PATH_BYTES 1024

/* Numbered like enum mem_coherence, with 0 for "as the region's url suggests". */
enum config_coherence {
    CONFIG_COHERENCE_AUTO = 0,
    CONFIG_COHERENCE_HARDWARE = 1,
    CONFIG_COHERENCE_SOFTWARE = 2,
};

/* Numbered like enum mem_writeback. */
enum config_writeback {
    CONFIG_WRITEBACK_AUTO = 0,
    CONFIG_WRITEBACK_MOVDIR64B = 1,
    CONFIG_WRITEBACK_CLWB = 2,
    CONFIG_WRITEBACK_CLFLUSHOPT = 3,
};

enum config_threads {
    CONFIG_THREADS_AUTO = 0,
    CONFIG_THREADS_SHARED = 1,
    CONFIG_THREADS_DEDICATED = 2,
};

struct config {
    bool help;    /* asked for: print config_print_help and leave */
    bool version; /* asked for: print the version and leave */

    bool dev;
    uint64_t nodes;
    char host[CONFIG_HOST_BYTES];
    uint64_t port; /* of node 0; node i listens on port + i, each on any free one if 0 */
    char data[CONFIG_PATH_BYTES];
    bool keep;
    char ports_file[CONFIG_PATH_BYTES]; /* empty: none */
    bool quiet;
    bool verbose;

    char region[CONFIG_URL_BYTES]; /* empty: the daemon makes one of its own */
    uint64_t region_bytes;
    int coherence; /* enum config_coherence */
    uint64_t segment_bytes;
    uint64_t lanes;
    uint64_t lane_slots;
    uint64_t goi_segments;
    uint64_t goi_segment_entries;
    uint64_t topics;
    uint64_t sessions;
    int writeback; /* enum config_writeback */

    int threads; /* enum config_threads */
    uint64_t max_batch_bytes;
    uint64_t max_message_bytes;
    uint64_t backpressure_high_percent;
    uint64_t backpressure_low_percent;
    uint64_t backpressure_time_ns;
    uint64_t gap_fence_timeout_ns;
    uint64_t gap_skip_timeout_ns;
    uint64_t pass_time_ns;
    uint64_t sync_bytes;
};

/* The value of an environment variable, or NULL. */
typedef const char *config_env_fn(void *arg, const char *name);

/*
 * Fills *config. argv[0] is the program and is skipped; getenv_fn may be NULL (no environment).
 * EMB_ERR_INVALID_ARGUMENT: unknown option, missing or bad value, values that do not fit together;
 * *err names the option or variable, the value, and what is accepted. *config is then undefined.
 * With --help or --version the rest is still checked, but not whether the values fit together.
 */
int config_parse(int argc, char *const *argv, config_env_fn *getenv_fn, void *getenv_arg,
                 struct config *config, struct error *err);

/* Every option with its range, default and meaning, in the table's order. */
void config_print_help(FILE *to, const char *program);

#endif

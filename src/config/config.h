/*
 * What a daemon was told: the typed values of the one table of options, from (weakest first) its
 * defaults, a file, the environment and the command line. Written by config_parse and
 * config_reload, read by everybody afterwards. Pure: files are read through a function. House,
 * habit 8.
 *
 * Sizes are in bytes, durations in nanoseconds; texts are never NULL.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

#define CONFIG_HOST_BYTES     22 /* as long as a node's line in the region can hold */
#define CONFIG_URL_BYTES      256
#define CONFIG_PATH_BYTES     1024
#define CONFIG_FILE_BYTES_MAX (256 << 10)
#define CONFIG_OPTIONS_MAX    64
#define CONFIG_DEV_NODES_MAX  8 /* nodes in one process */

#define CONFIG_NOT_GIVEN UINT64_MAX /* a number without default that nobody gave */

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

/* Numbered like enum node_roles. */
enum config_roles {
    CONFIG_ROLE_BROKER = 1,
    CONFIG_ROLE_REPLICA = 2,
    CONFIG_ROLE_SEQUENCER = 4,
};

enum config_log_format {
    CONFIG_LOG_AUTO = 0,
    CONFIG_LOG_TEXT = 1,
    CONFIG_LOG_JSON = 2,
};

/* Who gave a value. */
enum config_source {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_DEV,   /* the default with --dev */
    CONFIG_FROM_OTHER, /* a default made smaller to go with other values */
    CONFIG_FROM_FILE,  /* this and the next are "told" */
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_COMMAND_LINE,
};

struct config_origin {
    enum config_source source;
    unsigned line, column; /* in the file, from 1 */
};

struct config {
    bool help;    /* asked for: print config_print_help and leave */
    bool version; /* asked for: print the version and leave */
    bool check;   /* asked for: print config_print_effective and leave */

    char file[CONFIG_PATH_BYTES]; /* that was read; empty: none */
    bool dev;
    uint64_t node_id; /* CONFIG_NOT_GIVEN with dev */
    unsigned roles;   /* enum config_roles, one or more; with dev every node has what it needs */
    uint64_t nodes;   /* with dev those in this process, else those that the rack is made for */
    uint64_t replicas;
    char host[CONFIG_HOST_BYTES];
    char advertise_host[CONFIG_HOST_BYTES]; /* empty: host */
    uint64_t port; /* with dev of node 0, node i listens on port + i; 0: on any free one */
    char data[CONFIG_PATH_BYTES];
    bool keep;                          /* only with dev */
    char ports_file[CONFIG_PATH_BYTES]; /* empty: none */

    int log_format; /* enum config_log_format */
    int log_level;  /* enum log_level: the least urgent that is shown */

    char region[CONFIG_URL_BYTES]; /* with dev may be empty: the daemon makes one of its own */
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
    uint64_t gap_fence_timeout_ns;
    uint64_t gap_skip_timeout_ns;
    uint64_t pass_time_ns;
    uint64_t sync_bytes;

    uint64_t max_batch_bytes;
    uint64_t max_message_bytes;
    uint64_t max_connections;
    uint64_t max_connections_per_client; /* of one address; 0: no limit */
    uint64_t client_memory_bytes;        /* at least max_batch_bytes */
    uint64_t idle_timeout_ns;            /* 0: never */
    uint64_t frame_timeout_ns;
    uint64_t request_wait_ns;
    uint64_t deliver_stall_ns;
    uint64_t backpressure_high_percent;
    uint64_t backpressure_low_percent;
    uint64_t backpressure_time_ns;

    struct config_origin origins[CONFIG_OPTIONS_MAX]; /* by row of the table */
};

/*
 * Reads the whole file into `bytes`, at most `capacity`, and sets *count. Any EMB_ERR_* with *err
 * naming the path. It may block.
 */
typedef int config_read_fn(void *arg, const char *path, char *bytes, size_t capacity, size_t *count,
                           struct error *err);
/* The real one: regular files only, for a pipe could not be read again. */
config_read_fn config_read_file;

struct config_sources {
    int argc;
    char *const *argv;              /* argv[0] is the program and is skipped */
    const char *const *environment; /* "NAME=value", ended by NULL, as environ; NULL: none */
    config_read_fn *read_fn;        /* for --config FILE */
    void *read_arg;
};

/*
 * Fills *config. EMB_ERR_INVALID_ARGUMENT: an unknown option, a missing or bad value, values that
 * do not fit together; *err names the option, variable or line of the file, the value, and what is
 * accepted. A file that cannot be read gives what read_fn gave. *config is then undefined.
 * With --help or --version no file is read, and values need not be there or fit together.
 */
int config_parse(const struct config_sources *sources, struct config *config, struct error *err);

/* The same for a file alone, which need not have what is required: another source may bring it. */
int config_parse_file(const char *path, config_read_fn *read_fn, void *read_arg,
                      struct config *config, struct error *err);

/* One option that has changed: its values as they would be written, valid during the call. applied:
   the new one is in force, else only a restart brings it. */
typedef void config_change_fn(void *arg, const char *name, bool applied, const char *before,
                              const char *after);

/*
 * Reads all sources again. *now is *before with the new values of the options that are reloadable;
 * change_fn hears of every option whose value is another one now, in the table's order, once all is
 * known to be good. Fails as config_parse does, also when the new values do not fit to old ones
 * that only a restart would change; *now is then undefined, and nothing has changed.
 */
int config_reload(const struct config_sources *sources, const struct config *before,
                  struct config *now, config_change_fn *change_fn, void *arg, struct error *err);

/* ---- what is printed, all from the table ----------------------------------------------------- */

/* Every option with its range, default and meaning. */
void config_print_help(FILE *to, const char *program);
/* What differs from the defaults, and who said so, as a file that gives the same values. */
void config_print_effective(FILE *to, const struct config *config);
/* docs/configuration.md */
void config_print_docs(FILE *to);
/* A file with every option and its default, commented out. */
void config_print_example(FILE *to);

#endif

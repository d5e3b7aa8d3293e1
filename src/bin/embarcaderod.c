/* The daemon: a whole rack in this process (--dev), from start to clean stop. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "bin/data_dir.h"
#include "config/config.h"
#include "node/rack.h"

#ifndef EMBARCADERO_VERSION
#define EMBARCADERO_VERSION "unknown"
#endif

#define LOOK_MS    200
#define EXIT_USAGE 2

static int complain(const struct error *err)
{
    fprintf(stderr, "embarcaderod: %s\n", err->text);
    return EXIT_FAILURE;
}

static struct geometry geometry_of(const struct config *config)
{
    return (struct geometry){.region_bytes = config->region_bytes,
                             .segment_bytes = (uint32_t)config->segment_bytes,
                             .lanes = (uint32_t)config->lanes,
                             .lane_slots = (uint32_t)config->lane_slots,
                             .goi_segments = (uint32_t)config->goi_segments,
                             .goi_segment_entries = (uint32_t)config->goi_segment_entries,
                             .topics = (uint32_t)config->topics,
                             .sessions = (uint32_t)config->sessions};
}

/* A thread a node pays when there is a core for each, and one for the sequencer. */
static bool dedicated(const struct config *config)
{
    if (config->threads == CONFIG_THREADS_AUTO)
        return (uint64_t)sysconf(_SC_NPROCESSORS_ONLN) > config->nodes + 1;
    return config->threads == CONFIG_THREADS_DEDICATED;
}

static struct rack_options options_of(const struct config *config, struct env *env,
                                      const char *region_url)
{
    return (struct rack_options){.env = env,
                                 .region_url = region_url,
                                 .geometry = geometry_of(config),
                                 .coherence = (enum mem_coherence)config->coherence,
                                 .writeback = (enum mem_writeback)config->writeback,
                                 .nodes = (uint32_t)config->nodes,
                                 .replicas = (uint32_t)config->replicas,
                                 .host = config->host,
                                 .port = (uint16_t)config->port,
                                 .data = config->data,
                                 .dedicated = dedicated(config),
                                 .sync_bytes = config->sync_bytes,
                                 .pass_ns = config->pass_time_ns,
                                 .fence_timeout_ns = config->gap_fence_timeout_ns,
                                 .skip_timeout_ns = config->gap_skip_timeout_ns,
                                 .max_batch_bytes = (uint32_t)config->max_batch_bytes,
                                 .max_message_bytes = (uint32_t)config->max_message_bytes,
                                 .high_percent = (uint32_t)config->backpressure_high_percent,
                                 .low_percent = (uint32_t)config->backpressure_low_percent,
                                 .backpressure_ms =
                                     (uint32_t)(config->backpressure_time_ns / 1000000)};
}

/* ---- while it runs --------------------------------------------------------------------------- */

/* Written whole before it has its name, so that a reader never sees half of it. */
static int write_ports(const struct config *config, const struct rack *rack, struct error *err)
{
    if (!config->ports_file[0])
        return EMB_OK;
    char part[CONFIG_PATH_BYTES + 8];
    snprintf(part, sizeof part, "%s.part", config->ports_file);
    FILE *file = fopen(part, "w");
    if (file)
        for (uint64_t i = 0; i < config->nodes; i++)
            fprintf(file, "%u\n", rack_port(rack, (uint32_t)i));
    if (!file || fclose(file) || rename(part, config->ports_file))
        return error_set(err, EMB_ERR_IO, "ports file %s cannot be written: %s", config->ports_file,
                         strerror(errno));
    return EMB_OK;
}

/* What --log-level debug adds: how the region is cut, and who runs what. */
static void announce_geometry(const struct config *config, struct rack *rack)
{
    const struct region *region = rack_region(rack);
    const struct geometry *g = &region->geometry;
    printf("  region  %llu MiB, %s-coherent, %u segments of %u KiB, %u lanes of %u slots, GOI %u "
           "x %u\n  threads %s\n",
           (unsigned long long)(g->region_bytes >> 20),
           region->mem.coherence == MEM_HARDWARE ? "hardware" : "software", region->areas.segments,
           g->segment_bytes >> 10, g->lanes, g->lane_slots, g->goi_segments, g->goi_segment_entries,
           dedicated(config) ? "one a node, one for the sequencer" : "one");
}

static void announce(const struct config *config, struct rack *rack, const char *region_url)
{
    if (config->log_level < LOG_LEVEL_INFO)
        return;
    printf("embarcaderod %s: %llu nodes on %s\n  brokers tcp://", EMBARCADERO_VERSION,
           (unsigned long long)config->nodes, region_url);
    for (uint64_t i = 0; i < config->nodes; i++)
        printf("%s%s:%u", i ? "," : "", config->host, rack_port(rack, (uint32_t)i));
    printf("\n  stores  %s/node*\n", config->data);
    if (config->log_level == LOG_LEVEL_DEBUG)
        announce_geometry(config, rack);
    printf("  ready; stop with Ctrl-C\n");
    fflush(stdout);
}

/* Waits for a signal to stop; a failure of a part is told, of the rack ends it. */
static int run_until_stopped(const struct config *config, struct rack *rack,
                             const sigset_t *signals)
{
    struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
    uint64_t told = 0;
    for (;;) {
        int signal_number = sigtimedwait(signals, NULL, &look);
        if (signal_number > 0) {
            if (config->log_level >= LOG_LEVEL_INFO)
                printf("embarcaderod: %s: stopping\n", strsignal(signal_number));
            return EXIT_SUCCESS;
        }
        struct error err;
        if (rack_failure(rack, &err))
            return complain(&err);
        for (uint32_t i = 0; i < config->nodes; i++)
            if (!(told >> i & 1) && rack_replica_failure(rack, i, &err)) {
                complain(&err);
                told |= 1ULL << i;
            }
    }
}

static int run(const struct config *config, struct env *env, const sigset_t *signals)
{
    char own_region[64];
    snprintf(own_region, sizeof own_region, "shm:embarcadero-%d", (int)getpid());
    const char *region_url = config->region[0] ? config->region : own_region;
    struct rack_options options = options_of(config, env, region_url);
    struct rack *rack;
    struct error err;
    if (rack_start(&options, &rack, &err))
        return complain(&err);
    int status = EXIT_SUCCESS;
    if (write_ports(config, rack, &err))
        status = complain(&err);
    if (status == EXIT_SUCCESS) {
        announce(config, rack, region_url);
        status = run_until_stopped(config, rack, signals);
    }
    rack_stop(rack, config->keep);
    if (config->ports_file[0])
        unlink(config->ports_file);
    return status;
}

/* Signals are waited for by the main thread alone; the rack's threads inherit the mask. */
static sigset_t block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signals;
}

int main(int argc, char **argv)
{
    struct config config;
    struct error err;
    struct config_sources sources = {.argc = argc,
                                     .argv = argv,
                                     .environment = (const char *const *)environ,
                                     .read_fn = config_read_file};
    if (config_parse(&sources, &config, &err)) {
        complain(&err);
        return EXIT_USAGE;
    }
    if (config.help) {
        config_print_help(stdout, "embarcaderod");
        return EXIT_SUCCESS;
    }
    if (config.version) {
        printf("embarcaderod %s\n", EMBARCADERO_VERSION);
        return EXIT_SUCCESS;
    }
    if (config.check) {
        config_print_effective(stdout, &config);
        return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    if (!config.dev) {
        fprintf(stderr, "embarcaderod: nodes in processes of their own are not built yet; start a "
                        "whole rack in this one with --dev\n");
        return EXIT_USAGE;
    }
    sigset_t signals = block_signals();
    struct env *env = env_create();
    struct data_dir *data;
    if (!env || data_dir_open(env, config.data, (uint32_t)config.nodes, &data, &err)) {
        env_destroy(env);
        return complain(&err);
    }
    int status = run(&config, env, &signals);
    data_dir_close(data, config.keep);
    env_destroy(env);
    if (config.log_level >= LOG_LEVEL_INFO && status == EXIT_SUCCESS)
        printf("embarcaderod: stopped%s\n", config.keep ? "; region and data are kept" : "");
    return status;
}

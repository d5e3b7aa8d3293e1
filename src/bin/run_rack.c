/* A whole rack in this process (--dev), from start to clean stop. It speaks to a person. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bin/data_dir.h"
#include "bin/settings.h"

#define LOOK_MS 200

static int complain(const struct error *err)
{
    fprintf(stderr, "embarcaderod: %s\n", err->text);
    return EXIT_FAILURE;
}

/* What --log-level debug adds: how the region is cut, and who runs what. */
static void announce_geometry(const struct daemon *d, struct rack *rack, bool dedicated)
{
    const struct region *region = rack_region(rack);
    const struct geometry *g = &region->geometry;
    printf("  region  %llu MiB, %s-coherent, %u segments of %u KiB, %u lanes of %u slots, GOI %u "
           "x %u\n  threads %s\n",
           (unsigned long long)(g->region_bytes >> 20),
           region->mem.coherence == MEM_HARDWARE ? "hardware" : "software", region->areas.segments,
           g->segment_bytes >> 10, g->lanes, g->lane_slots, g->goi_segments, g->goi_segment_entries,
           dedicated ? "one a node, one for the sequencer" : "one");
}

static void announce(const struct daemon *d, struct rack *rack, const struct rack_options *options)
{
    if (d->config.log_level < LOG_LEVEL_INFO)
        return;
    printf("embarcaderod %s: %u nodes on %s\n  brokers tcp://", EMBARCADERO_VERSION, options->nodes,
           options->region_url);
    for (uint32_t i = 0; i < options->nodes; i++)
        printf(strchr(options->host, ':') ? "%s[%s]:%u" : "%s%s:%u", i ? "," : "", options->host,
               rack_port(rack, i));
    printf("\n  stores  %s/node*\n", options->data);
    if (d->config.log_level == LOG_LEVEL_DEBUG)
        announce_geometry(d, rack, options->dedicated);
    printf("  ready; stop with Ctrl-C\n");
    fflush(stdout);
}

/* Waits for a signal to stop; a failure of a part is told, of the rack ends it. */
static int run_until_stopped(struct daemon *d, struct rack *rack)
{
    uint64_t told = 0;
    bool limits_changed = false; /* and not taken everywhere yet */
    for (;;) {
        int signal_number = daemon_wait(d, LOOK_MS);
        if (signal_number == SIGHUP)
            limits_changed |= daemon_reload(d);
        struct broker_limits limits = settings_limits(&d->config);
        if (limits_changed)
            limits_changed = !rack_set_limits(rack, &limits);
        if (signal_number == SIGTERM || signal_number == SIGINT) {
            if (d->config.log_level >= LOG_LEVEL_INFO)
                printf("embarcaderod: %s: stopping\n", strsignal(signal_number));
            return EXIT_SUCCESS;
        }
        struct error err;
        if (rack_failure(rack, &err))
            return complain(&err);
        for (uint32_t i = 0; i < d->config.nodes; i++)
            if (!(told >> i & 1) && rack_replica_failure(rack, i, &err)) {
                complain(&err);
                told |= 1ULL << i;
            }
    }
}

static int write_ports(struct daemon *d, const struct rack *rack, struct error *err)
{
    uint16_t ports[RACK_NODES_MAX];
    for (uint32_t i = 0; i < d->config.nodes; i++)
        ports[i] = rack_port(rack, i);
    return daemon_write_ports(d, ports, d->config.nodes, err);
}

static int run(struct daemon *d)
{
    char own_region[64];
    snprintf(own_region, sizeof own_region, "shm:embarcadero-%d", (int)getpid());
    struct rack_options options =
        settings_rack(d, d->config.region[0] ? d->config.region : own_region);
    struct rack *rack;
    struct error err;
    if (rack_start(&options, &rack, &err))
        return complain(&err);
    int status = EXIT_SUCCESS;
    if (write_ports(d, rack, &err))
        status = complain(&err);
    if (status == EXIT_SUCCESS) {
        announce(d, rack, &options);
        status = run_until_stopped(d, rack);
    }
    rack_stop(rack, d->config.keep);
    daemon_remove_ports(d);
    return status;
}

int run_rack(struct daemon *d)
{
    struct data_dir *data;
    struct error err;
    if (data_dir_open(d->env, d->config.data, (uint32_t)d->config.nodes, &data, &err))
        return complain(&err);
    int status = run(d);
    data_dir_close(data, d->config.keep);
    if (d->config.log_level >= LOG_LEVEL_INFO && status == EXIT_SUCCESS)
        printf("embarcaderod: stopped%s\n", d->config.keep ? "; region and data are kept" : "");
    return status;
}

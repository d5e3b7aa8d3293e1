/* What values have to do with each other: defaults that follow from them, and what does not go
   together. Each error names the option as the one who gave it wrote it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "config/parse.h"

typedef unsigned long long number;

/* ---- defaults -------------------------------------------------------------------------------- */

/* Lowers what nobody gave. */
static void fit(struct config *config, const char *name, uint64_t *field, uint64_t most)
{
    const struct option *option = option_find(name, strlen(name));
    ASSERT(option && option->field == (size_t)((char *)field - (char *)config));
    struct config_origin *origin = &config->origins[option - option_table];
    if (origin->source >= CONFIG_FROM_FILE || *field <= most)
        return;
    *field = most;
    origin->source = CONFIG_FROM_OTHER;
}

void fit_defaults(struct config *config)
{
    for (int i = 0; config->dev && i < option_count; i++)
        if (config->origins[i].source == CONFIG_FROM_DEFAULT && option_table[i].dev_value) {
            option_set_default(&option_table[i], config, option_table[i].dev_value);
            config->origins[i].source = CONFIG_FROM_DEV;
        }
    fit(config, "replicas", &config->replicas, config->nodes);
    fit(config, "max-batch", &config->max_batch_bytes, config->segment_bytes);
    fit(config, "max-message", &config->max_message_bytes, config->max_batch_bytes);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void said_by(const struct config *config, const char *name, char text[OPTION_SAID_BYTES])
{
    const struct option *option = option_find(name, strlen(name));
    ASSERT(option);
    option_said_by(option, config->origins[option - option_table], config->file, text);
}

/* "WHO: what"; EMB_ERR_INVALID_ARGUMENT. */
__attribute__((format(printf, 4, 5))) static int
refuse(struct error *err, const struct config *config, const char *name, const char *format, ...)
{
    char who[OPTION_SAID_BYTES], what[ERROR_TEXT_BYTES];
    va_list args;
    said_by(config, name, who);
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_set(err, EMB_ERR_INVALID_ARGUMENT, "%s: %s", who, what);
}

/* ---- together -------------------------------------------------------------------------------- */

static int check_modes(const struct config *config, struct error *err)
{
    for (int i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        bool is_told = config->origins[i].source >= CONFIG_FROM_FILE;
        if (is_told && config->dev && option->mode == OPTION_WITHOUT_DEV)
            return refuse(err, config, option->name,
                          "accepted without --dev only; with it all nodes are in this process");
        if (is_told && !config->dev && option->mode == OPTION_WITH_DEV)
            return refuse(err, config, option->name,
                          "accepted with --dev only; a node's region and data always stay");
    }
    return EMB_OK;
}

static int check_url(const struct config *config, struct error *err)
{
    static const char *const schemes[] = {"shm:", "file:", "dax:"};
    const char *url = config->region;
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (!strncmp(url, schemes[i], strlen(schemes[i])) && url[strlen(schemes[i])])
            return EMB_OK;
    if (!*url)
        return EMB_OK;
    return refuse(err, config, "region",
                  "bad value \"%.60s\"; accepted: shm:NAME, file:PATH, dax:/dev/daxX.Y", url);
}

static int check_sizes(const struct config *config, struct error *err)
{
    number batch = config->max_batch_bytes, message = config->max_message_bytes;
    if (batch > config->segment_bytes)
        return refuse(err, config, "max-batch",
                      "%llu bytes do not fit into a segment; accepted: at most segment-size, %llu "
                      "bytes",
                      batch, (number)config->segment_bytes);
    if (message > batch)
        return refuse(err, config, "max-message",
                      "%llu bytes do not fit into a batch; accepted: at most max-batch, %llu bytes",
                      message, batch);
    if (config->client_memory_bytes < batch)
        return refuse(err, config, "client-memory",
                      "%llu bytes do not hold a batch; accepted: at least max-batch, %llu bytes",
                      (number)config->client_memory_bytes, batch);
    return EMB_OK;
}

static int check_backpressure(const struct config *config, struct error *err)
{
    if (config->backpressure_low_percent >= config->backpressure_high_percent)
        return refuse(err, config, "backpressure-low",
                      "%llu percent; accepted: below backpressure-high, %llu percent",
                      (number)config->backpressure_low_percent,
                      (number)config->backpressure_high_percent);
    if (config->backpressure_time_ns >= config->gap_fence_timeout_ns)
        return refuse(err, config, "backpressure-time",
                      "%llums; accepted: below gap-fence-timeout, %llums",
                      (number)config->backpressure_time_ns / 1000000,
                      (number)config->gap_fence_timeout_ns / 1000000);
    return EMB_OK;
}

static int check_nodes(const struct config *config, struct error *err)
{
    if (config->dev && config->nodes > CONFIG_DEV_NODES_MAX)
        return refuse(err, config, "nodes", "%llu in one process; accepted with --dev: 1 to %d",
                      (number)config->nodes, CONFIG_DEV_NODES_MAX);
    if (config->dev && config->port && config->port + config->nodes - 1 > 65535)
        return refuse(err, config, "port",
                      "%llu with %llu nodes goes beyond 65535; accepted: at most %llu",
                      (number)config->port, (number)config->nodes, (number)(65536 - config->nodes));
    if (config->nodes > config->lanes)
        return refuse(err, config, "lanes",
                      "%llu; accepted: one or more for each of the %llu nodes",
                      (number)config->lanes, (number)config->nodes);
    if (config->replicas > config->nodes)
        return refuse(err, config, "replicas",
                      "%llu; accepted: at most one for each of the %llu nodes",
                      (number)config->replicas, (number)config->nodes);
    if (!config->dev && config->node_id != CONFIG_NOT_GIVEN && config->node_id >= config->nodes)
        return refuse(err, config, "node-id",
                      "%llu of %llu nodes; accepted: below nodes, for they count from 0",
                      (number)config->node_id, (number)config->nodes);
    return EMB_OK;
}

/* What means "every address" leads nobody anywhere. */
static int check_hosts(const struct config *config, struct error *err)
{
    bool any = !strcmp(config->host, "0.0.0.0") || !strcmp(config->host, "::");
    if (any && !config->advertise_host[0])
        return refuse(err, config, "host",
                      "%s is every address of this host, and clients need one; accepted: together "
                      "with advertise-host",
                      config->host);
    return EMB_OK;
}

int check_together(const struct config *config, struct error *err)
{
    int (*const checks[])(const struct config *, struct error *) = {
        check_modes, check_url, check_hosts, check_sizes, check_backpressure, check_nodes};
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        int result = checks[i](config, err);
        if (result != EMB_OK)
            return result;
    }
    return EMB_OK;
}

int check_required(const struct config *config, struct error *err)
{
    if (config->dev)
        return EMB_OK;
    if (config->node_id == CONFIG_NOT_GIVEN)
        return error_set(
            err, EMB_ERR_INVALID_ARGUMENT,
            "--node-id is missing: which node of the rack this is; accepted: 0 to 31, or "
            "--dev for a whole rack in this process");
    if (!config->region[0])
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "--region is missing: the shared memory of the rack that this node joins; "
                         "accepted: shm:NAME, file:PATH, dax:/dev/daxX.Y");
    return EMB_OK;
}

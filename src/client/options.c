#include "client/options.h"

#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "batch/batch.h"

#define KIB 1024u
#define MIB (1024u * KIB)

/* Copies the first `bytes` of a struct of defaults to the caller's, with its size in front. */
static void defaults_copy(void *to, size_t bytes, const void *defaults, size_t default_bytes)
{
    memset(to, 0, bytes);
    memcpy(to, defaults, min_u64(bytes, default_bytes));
    if (bytes >= sizeof bytes)
        memcpy(to, &bytes, sizeof bytes);
}

static const struct emb_client_options client_defaults = {.timeout_ms = 10000};

static const struct emb_publisher_options publisher_defaults = {
    .acks = EMB_ACKS_DURABLE,
    .linger_us = 1000,
    .batch_bytes_min = 64 * KIB,
    .batch_bytes_max = 1 * MIB + 64 * KIB, /* the brokers' largest message by default, and more */
    .compression = EMB_COMPRESSION_NONE,
    .max_buffered_bytes = 32 * MIB,
    .max_in_flight = 16,
};

static const struct emb_subscriber_options subscriber_defaults = {
    .start = EMB_START_EARLIEST,
    .level = EMB_LEVEL_DURABLE,
    .broker = EMB_BROKER_ANY,
    .max_buffered_bytes = 16 * MIB,
};

static const struct emb_topic_settings topic_defaults = {.order = EMB_ORDER_CLIENT, .replicas = 2};

void emb_client_options_init_sized(struct emb_client_options *options, size_t bytes)
{
    defaults_copy(options, bytes, &client_defaults, sizeof client_defaults);
}

void emb_publisher_options_init_sized(struct emb_publisher_options *options, size_t bytes)
{
    defaults_copy(options, bytes, &publisher_defaults, sizeof publisher_defaults);
}

void emb_subscriber_options_init_sized(struct emb_subscriber_options *options, size_t bytes)
{
    defaults_copy(options, bytes, &subscriber_defaults, sizeof subscriber_defaults);
}

void emb_topic_settings_init_sized(struct emb_topic_settings *settings, size_t bytes)
{
    defaults_copy(settings, bytes, &topic_defaults, sizeof topic_defaults);
}

/* `bytes` is what the caller's first member says of his struct's size. */
static int given_copy(const void *given, void *options, size_t option_bytes, const char *what,
                      struct error *err)
{
    size_t bytes;

    if (given == NULL)
        return EMB_OK;
    memcpy(&bytes, given, sizeof bytes);
    if (bytes < 2 * sizeof bytes || bytes > 4096)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "%s: struct_bytes is %zu; fill it with %s_init first", what, bytes, what);
    memcpy(options, given, min_u64(bytes, option_bytes));
    return EMB_OK;
}

static int range_check(const char *name, uint64_t value, uint64_t least, uint64_t most,
                       struct error *err)
{
    if (value >= least && value <= most)
        return EMB_OK;
    return error_set(err, EMB_ERR_INVALID_ARGUMENT, "%s is %" PRIu64 "; %" PRIu64 " to %" PRIu64,
                     name, value, least, most);
}

/* An enum's value, which a caller may have set to anything. */
static int choice_check(const char *name, int value, int most, struct error *err)
{
    if (value >= 0 && value <= most)
        return EMB_OK;
    return error_set(err, EMB_ERR_INVALID_ARGUMENT, "%s is %d; 0 to %d", name, value, most);
}

struct range {
    const char *name;
    uint64_t value;
    uint64_t least;
    uint64_t most;
};

static int ranges_check(const struct range *ranges, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        int code =
            range_check(ranges[i].name, ranges[i].value, ranges[i].least, ranges[i].most, err);
        if (code != EMB_OK)
            return code;
    }
    return EMB_OK;
}

int client_options_read(const struct emb_client_options *given, struct emb_client_options *options,
                        struct error *err)
{
    *options = client_defaults;
    int code = given_copy(given, options, sizeof *options, "emb_client_options", err);
    if (code != EMB_OK)
        return code;
    if (options->name != NULL && strlen(options->name) > 63)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "name has %zu bytes; at most 63",
                         strlen(options->name));
    return range_check("timeout_ms", options->timeout_ms, 1, UINT32_MAX, err);
}

int publisher_options_read(const struct emb_publisher_options *given,
                           struct emb_publisher_options *options, struct error *err)
{
    *options = publisher_defaults;
    int code = given_copy(given, options, sizeof *options, "emb_publisher_options", err);
    if (code != EMB_OK)
        return code;
    const struct emb_publisher_options *o = options;
    const struct range ranges[] = {
        {"linger_us", o->linger_us, 0, 60000000},
        {"batch_bytes_max", o->batch_bytes_max, 4 * KIB, BATCH_MAX_BYTES},
        {"batch_bytes_min", o->batch_bytes_min, 1, o->batch_bytes_max},
        {"max_buffered_bytes", o->max_buffered_bytes, o->batch_bytes_max, 1ull << 40},
        {"max_in_flight", o->max_in_flight, 1, 16},
    };
    if (o->compression != EMB_COMPRESSION_NONE && o->compression != EMB_COMPRESSION_LZ4 &&
        o->compression != EMB_COMPRESSION_ZSTD)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "compression is %d; 0 (none), 3 (lz4) or 4 (zstd)", o->compression);
    if (o->compression_level < -100 || o->compression_level > 100)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "compression_level is %d; -100 to 100",
                         o->compression_level);
    code = choice_check("acks", o->acks, EMB_ACKS_DURABLE, err);
    return code == EMB_OK ? ranges_check(ranges, COUNT_OF(ranges), err) : code;
}

int subscriber_options_read(const struct emb_subscriber_options *given,
                            struct emb_subscriber_options *options, struct error *err)
{
    *options = subscriber_defaults;
    int code = given_copy(given, options, sizeof *options, "emb_subscriber_options", err);
    if (code != EMB_OK)
        return code;
    code = choice_check("start", options->start, EMB_START_TIMESTAMP, err);
    if (code == EMB_OK)
        code = choice_check("level", options->level, EMB_LEVEL_LATEST, err);
    if (code == EMB_OK)
        code = range_check("max_buffered_bytes", options->max_buffered_bytes, 1, 1ull << 40, err);
    return code;
}

static int settings_check(const struct emb_topic_settings *s, struct error *err)
{
    int code = choice_check("order", s->order, EMB_ORDER_CLIENT, err);

    if (code == EMB_OK)
        code = choice_check("gap", s->gap, EMB_GAP_SKIP, err);
    if (code == EMB_OK)
        code = choice_check("durability", s->durability, EMB_DURABILITY_PERIODIC, err);
    if (code == EMB_OK)
        code = range_check("replicas", s->replicas, 0, TOPIC_REPLICAS_MAX, err);
    if (code == EMB_OK)
        code = range_check("min_insync", s->min_insync, 0, TOPIC_REPLICAS_MAX, err);
    return code;
}

int topic_settings_read(const struct emb_topic_settings *given, struct topic_settings *settings,
                        struct error *err)
{
    struct emb_topic_settings s = topic_defaults;

    int code = given_copy(given, &s, sizeof s, "emb_topic_settings", err);
    if (code != EMB_OK)
        return code;
    if (settings_check(&s, err) != EMB_OK)
        return err != NULL ? (err->code = EMB_ERR_INVALID_SETTING) : EMB_ERR_INVALID_SETTING;
    *settings = (struct topic_settings){
        .order = (uint8_t)s.order,
        .replicas = (uint8_t)s.replicas,
        .min_insync = (uint8_t)s.min_insync,
        .gap = (uint8_t)s.gap,
        .durability = (uint8_t)s.durability,
        .gap_timeout_us = s.gap_timeout_us,
    };
    return topic_settings_check(settings, err);
}

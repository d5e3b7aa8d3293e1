/*
 * How it works: every option gets the default of its row, then what the environment says, then what
 * the command line says, each through option_set; `told` remembers who spoke last. Defaults that
 * depend on other options (--dev, a small segment) are put in afterwards, only where nobody spoke.
 * A file would be one more source, between defaults and environment.
 */
#include "config/config.h"

#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "config/option.h"

#define OPTIONS_MAX 64

struct parse {
    struct config *config;
    struct error *err;
    bool told[OPTIONS_MAX]; /* by row: environment or command line gave a value */
};

static int take(struct parse *parse, const struct option *option, const char *said_by,
                const char *value)
{
    parse->told[option - option_table] = true;
    return option_set(option, parse->config, said_by, value, parse->err);
}

static void take_default(struct parse *parse, const struct option *option, const char *value)
{
    int result = option_set(option, parse->config, option->name, value, NULL);
    ASSERT(result == EMB_OK);
}

static bool is_told(const struct parse *parse, const char *name)
{
    const struct option *option = option_find(name, strlen(name));
    ASSERT(option);
    return parse->told[option - option_table];
}

/* ---- sources --------------------------------------------------------------------------------- */

static void take_defaults(struct parse *parse)
{
    ASSERT(option_count <= OPTIONS_MAX);
    memset(parse->config, 0, sizeof *parse->config);
    for (int i = 0; i < option_count; i++)
        take_default(parse, &option_table[i], option_table[i].value);
}

static int take_environment(struct parse *parse, config_env_fn *getenv_fn, void *getenv_arg)
{
    for (int i = 0; getenv_fn && i < option_count; i++) {
        char variable[OPTION_VARIABLE_BYTES];
        option_variable(&option_table[i], variable);
        const char *value = getenv_fn(getenv_arg, variable);
        int result = value ? take(parse, &option_table[i], variable, value) : EMB_OK;
        if (result != EMB_OK)
            return result;
    }
    return EMB_OK;
}

static int refuse_unknown(struct parse *parse, const char *word, size_t bytes)
{
    const struct option *nearest = option_nearest(word, bytes);
    if (nearest)
        return error_set(parse->err, EMB_ERR_INVALID_ARGUMENT,
                         "unknown option --%.*s; did you mean --%s?", (int)min_u64(bytes, 60), word,
                         nearest->name);
    return error_set(parse->err, EMB_ERR_INVALID_ARGUMENT,
                     "unknown option --%.*s; --help lists all of them", (int)min_u64(bytes, 60),
                     word);
}

static int refuse_missing(struct parse *parse, const struct option *option)
{
    char accepts[OPTION_ACCEPTS_BYTES];
    option_accepts(option, accepts);
    return error_set(parse->err, EMB_ERR_INVALID_ARGUMENT, "--%s needs a value: %s", option->name,
                     accepts);
}

/* Takes `--name=value`, `--name value`, or `--name` of a bool; returns the words used, or an error.
   `next` is the word behind it, or NULL. */
static int take_option(struct parse *parse, const char *word, const char *next)
{
    const char *equals = strchr(word, '=');
    size_t bytes = equals ? (size_t)(equals - word) : strlen(word);
    const struct option *option = option_find(word, bytes);
    if (!option)
        return refuse_unknown(parse, word, bytes);
    const char *value = equals ? equals + 1 : option->type == OPTION_BOOL ? "true" : next;
    /* A word that looks like an option is not taken for a value: the value was forgotten. */
    if (!value || (value == next && !strncmp(next, "--", 2)))
        return refuse_missing(parse, option);
    char said_by[OPTION_VARIABLE_BYTES];
    snprintf(said_by, sizeof said_by, "--%s", option->name);
    int result = take(parse, option, said_by, value);
    return result != EMB_OK ? result : value == next ? 2 : 1;
}

static int take_word(struct parse *parse, const char *word, const char *next)
{
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        parse->config->help = true;
        return 1;
    }
    if (!strcmp(word, "--version")) {
        parse->config->version = true;
        return 1;
    }
    if (strncmp(word, "--", 2) || !word[2])
        return error_set(parse->err, EMB_ERR_INVALID_ARGUMENT,
                         "unexpected argument \"%.60s\"; options have the form --name value", word);
    return take_option(parse, word + 2, next);
}

static int take_command_line(struct parse *parse, int argc, char *const *argv)
{
    for (int i = 1; i < argc;) {
        int used = take_word(parse, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
        if (used < 0)
            return used;
        i += used;
    }
    return EMB_OK;
}

/* ---- together -------------------------------------------------------------------------------- */

static void fit_defaults(struct parse *parse)
{
    struct config *config = parse->config;
    for (int i = 0; config->dev && i < option_count; i++)
        if (!parse->told[i] && option_table[i].dev_value)
            take_default(parse, &option_table[i], option_table[i].dev_value);
    if (!is_told(parse, "max-batch"))
        config->max_batch_bytes = min_u64(config->max_batch_bytes, config->segment_bytes);
    if (!is_told(parse, "max-message"))
        config->max_message_bytes = min_u64(config->max_message_bytes, config->max_batch_bytes);
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
    return error_set(
        err, EMB_ERR_INVALID_ARGUMENT,
        "--region: bad value \"%.60s\"; accepted: shm:NAME, file:PATH, dax:/dev/daxX.Y", url);
}

static int check_sizes(const struct config *config, struct error *err)
{
    unsigned long long batch = config->max_batch_bytes, message = config->max_message_bytes;
    if (batch > config->segment_bytes)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "--max-batch: %llu bytes do not fit into a segment; accepted: at most "
                         "--segment-size, %llu bytes",
                         batch, (unsigned long long)config->segment_bytes);
    if (message > batch)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "--max-message: %llu bytes do not fit into a batch; accepted: at most "
                         "--max-batch, %llu bytes",
                         message, batch);
    return EMB_OK;
}

static int check_backpressure(const struct config *config, struct error *err)
{
    if (config->backpressure_low_percent >= config->backpressure_high_percent)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "--backpressure-low: %llu percent; accepted: below --backpressure-high, "
                         "%llu percent",
                         (unsigned long long)config->backpressure_low_percent,
                         (unsigned long long)config->backpressure_high_percent);
    if (config->backpressure_time_ns >= config->gap_fence_timeout_ns)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "--backpressure-time: %llums; accepted: below --gap-fence-timeout, %llums",
                         (unsigned long long)config->backpressure_time_ns / 1000000,
                         (unsigned long long)config->gap_fence_timeout_ns / 1000000);
    return EMB_OK;
}

static int check_rest(const struct config *config, struct error *err)
{
    if (config->port && config->port + config->nodes - 1 > 65535)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "--port: %llu with %llu nodes goes beyond 65535; accepted: at most %llu",
                         (unsigned long long)config->port, (unsigned long long)config->nodes,
                         (unsigned long long)(65536 - config->nodes));
    if (config->nodes > config->lanes)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "--lanes: %llu; accepted: one or more for each of the %llu nodes",
                         (unsigned long long)config->lanes, (unsigned long long)config->nodes);
    if (config->quiet && config->verbose)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "--quiet and --verbose exclude each other; accepted: one of them");
    return EMB_OK;
}

static int check_together(const struct config *config, struct error *err)
{
    int (*const checks[])(const struct config *, struct error *) = {check_url, check_sizes,
                                                                    check_backpressure, check_rest};
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        int result = checks[i](config, err);
        if (result != EMB_OK)
            return result;
    }
    return EMB_OK;
}

int config_parse(int argc, char *const *argv, config_env_fn *getenv_fn, void *getenv_arg,
                 struct config *config, struct error *err)
{
    struct parse parse = {.config = config, .err = err};
    take_defaults(&parse);
    int result = take_environment(&parse, getenv_fn, getenv_arg);
    if (result == EMB_OK)
        result = take_command_line(&parse, argc, argv);
    if (result != EMB_OK)
        return result;
    fit_defaults(&parse);
    return config->help || config->version ? EMB_OK : check_together(config, err);
}

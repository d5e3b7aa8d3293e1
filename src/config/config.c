/*
 * How it works: every option gets the default of its row, then what the file says, then the
 * environment, then the command line, each through option_set; origins remember who spoke last.
 * Which file it is, only the last two can say: they are read once to know that, and again over the
 * file. Defaults that depend on other options are put in afterwards, only where nobody spoke.
 */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "config/parse.h"

int parse_take(struct parse *parse, const struct option *option, struct config_origin origin,
               const char *value)
{
    char said_by[OPTION_SAID_BYTES];
    option_said_by(option, origin, parse->config->file, said_by);
    parse->config->origins[option - option_table] = origin;
    return option_set(option, parse->config, said_by, value, parse->err);
}

bool parse_is_told(const struct config *config, const char *name)
{
    const struct option *option = option_find(name, strlen(name));
    ASSERT(option);
    return config->origins[option - option_table].source >= CONFIG_FROM_FILE;
}

static void take_defaults(struct config *config)
{
    ASSERT(option_count <= CONFIG_OPTIONS_MAX);
    memset(config, 0, sizeof *config);
    for (int i = 0; i < option_count; i++)
        option_set_default(&option_table[i], config, option_table[i].value);
}

/* ---- environment ----------------------------------------------------------------------------- */

/* The variable of `bytes` bytes is an option's; NULL when it is none. */
static const struct option *option_of_variable(const char *name, size_t bytes)
{
    for (int i = 0; i < option_count; i++) {
        char variable[OPTION_VARIABLE_BYTES];
        option_variable(&option_table[i], variable);
        if (strlen(variable) == bytes && !memcmp(variable, name, bytes))
            return &option_table[i];
    }
    return NULL;
}

/* Of clients, and of the tests of stores: a daemon started beside them has them too. */
static bool is_others(const char *name, size_t bytes)
{
    static const char *const others[] = {OPTION_PREFIX "BROKERS", OPTION_PREFIX "IO"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (strlen(others[i]) == bytes && !memcmp(others[i], name, bytes))
            return true;
    return false;
}

static int refuse_variable(struct parse *parse, const char *name, size_t bytes)
{
    char key[OPTION_VARIABLE_BYTES], nearest[OPTION_VARIABLE_BYTES];
    size_t key_bytes = min_u64(bytes - strlen(OPTION_PREFIX), sizeof key);
    for (size_t i = 0; i < key_bytes; i++) {
        char letter = name[strlen(OPTION_PREFIX) + i];
        key[i] = letter == '_'                    ? '-'
                 : letter >= 'A' && letter <= 'Z' ? (char)(letter + 32)
                                                  : letter;
    }
    const struct option *option = option_nearest(key, key_bytes);
    if (!option)
        return error_set(parse->err, EMB_ERR_INVALID_ARGUMENT,
                         "unknown variable %.*s; --help lists all options", (int)min_u64(bytes, 80),
                         name);
    option_variable(option, nearest);
    return error_set(parse->err, EMB_ERR_INVALID_ARGUMENT,
                     "unknown variable %.*s; did you mean %s?", (int)min_u64(bytes, 80), name,
                     nearest);
}

static int take_variable(struct parse *parse, const char *variable)
{
    const char *equals = strchr(variable, '=');
    if (!equals || strncmp(variable, OPTION_PREFIX, strlen(OPTION_PREFIX)))
        return EMB_OK;
    size_t bytes = (size_t)(equals - variable);
    const struct option *option = option_of_variable(variable, bytes);
    if (option)
        return parse_take(parse, option, (struct config_origin){.source = CONFIG_FROM_ENVIRONMENT},
                          equals + 1);
    return is_others(variable, bytes) ? EMB_OK : refuse_variable(parse, variable, bytes);
}

static int take_environment(struct parse *parse, const char *const *environment)
{
    int result = EMB_OK;
    for (size_t i = 0; result == EMB_OK && environment && environment[i]; i++)
        result = take_variable(parse, environment[i]);
    return result;
}

/* ---- command line ---------------------------------------------------------------------------- */

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
    int result = parse_take(parse, option,
                            (struct config_origin){.source = CONFIG_FROM_COMMAND_LINE}, value);
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

static int take_process(struct parse *parse, const struct config_sources *sources)
{
    int result = take_environment(parse, sources->environment);
    if (result != EMB_OK)
        return result;
    return take_command_line(parse, sources->argc, sources->argv);
}

/* ---- file ------------------------------------------------------------------------------------ */

/* Reads the file that config->file names, over what config holds. */
static int take_file(struct parse *parse, config_read_fn *read_fn, void *read_arg)
{
    const char *path = parse->config->file;
    if (!read_fn)
        return error_set(parse->err, EMB_ERR_NOT_SUPPORTED, "%s: files are not read here", path);
    char *bytes = malloc(CONFIG_FILE_BYTES_MAX);
    size_t count = 0;
    int result = bytes ? read_fn(read_arg, path, bytes, CONFIG_FILE_BYTES_MAX, &count, parse->err)
                       : error_set(parse->err, EMB_ERR_NO_MEMORY, "no memory to read %s", path);
    if (result == EMB_OK)
        result = parse_yaml(parse, path, bytes, count);
    free(bytes);
    return result;
}

/* The defaults with the file over them, and the rest once more over that. */
static int take_all_again(struct parse *parse, const struct config_sources *sources)
{
    char path[CONFIG_PATH_BYTES];
    memcpy(path, parse->config->file, sizeof path);
    take_defaults(parse->config);
    memcpy(parse->config->file, path, sizeof path);
    int result = take_file(parse, sources->read_fn, sources->read_arg);
    return result != EMB_OK ? result : take_process(parse, sources);
}

int config_parse(const struct config_sources *sources, struct config *config, struct error *err)
{
    struct parse parse = {.config = config, .err = err};
    take_defaults(config);
    int result = take_process(&parse, sources);
    bool is_asked = config->help || config->version;
    if (result == EMB_OK && config->file[0] && !is_asked)
        result = take_all_again(&parse, sources);
    if (result != EMB_OK)
        return result;
    fit_defaults(config);
    if (is_asked)
        return EMB_OK;
    result = check_required(config, err);
    return result != EMB_OK ? result : check_together(config, err);
}

int config_parse_file(const char *path, config_read_fn *read_fn, void *read_arg,
                      struct config *config, struct error *err)
{
    struct parse parse = {.config = config, .err = err};
    size_t bytes = strlen(path);
    if (bytes == 0 || bytes >= sizeof config->file)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "a path of %zu bytes cannot be read; accepted: 1 to %zu", bytes,
                         sizeof config->file - 1);
    take_defaults(config);
    memcpy(config->file, path, bytes + 1);
    int result = take_file(&parse, read_fn, read_arg);
    if (result != EMB_OK)
        return result;
    fit_defaults(config);
    return check_together(config, err);
}

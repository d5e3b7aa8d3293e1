#include "cli/options.h"

#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/units.h"
#include "base/words.h"

#define ACCEPTS_BYTES 160
#define HELP_COLUMN   26

/* ---- what is accepted ------------------------------------------------------------------------ */

static void accepts_choices(const struct cli_option *row, char *text)
{
    size_t used = 0;
    int count = 0;
    for (int i = 0; row->words[i]; i++) {
        const char *join = i == 0 ? "" : row->words[i + 1] ? ", " : " or ";
        used += (size_t)snprintf(text + used, ACCEPTS_BYTES - used, "%s%s", join, row->words[i]);
        ASSERT(used < ACCEPTS_BYTES);
        count++;
    }
    if (row->rules & CLI_BY_NUMBER)
        snprintf(text + used, ACCEPTS_BYTES - used, ", or 0 to %d", count - 1);
}

static void limit_text(const struct cli_option *row, uint64_t limit, char text[UNITS_TEXT_BYTES])
{
    if (row->type == CLI_SIZE)
        units_size_text(limit, text);
    else if (row->type == CLI_DURATION)
        units_duration_text(limit, text);
    else
        snprintf(text, UNITS_TEXT_BYTES, "%llu", (unsigned long long)limit);
}

static void accepts_numbers(const struct cli_option *row, char *text)
{
    static const char *const forms[] = {[CLI_NUMBER] = "a whole number",
                                        [CLI_SIZE] = "bytes, or with KiB, MiB or GiB",
                                        [CLI_DURATION] = "a whole number with us, ms, s, min or h"};
    char min[UNITS_TEXT_BYTES], max[UNITS_TEXT_BYTES];
    limit_text(row, row->min, min);
    limit_text(row, row->max, max);
    size_t used = (size_t)snprintf(text, ACCEPTS_BYTES, "%s", forms[row->type]);
    if (row->max)
        used += (size_t)snprintf(text + used, ACCEPTS_BYTES - used, ", %s to %s", min, max);
    else if (row->min)
        used += (size_t)snprintf(text + used, ACCEPTS_BYTES - used, ", at least %s", min);
    if (row->rules & CLI_POWER_OF_TWO)
        snprintf(text + used, ACCEPTS_BYTES - used, ", a power of two");
}

static void accepts_text(const struct cli_option *row, char text[ACCEPTS_BYTES])
{
    if (row->type == CLI_CHOICE)
        accepts_choices(row, text);
    else if (row->type == CLI_TEXT || row->type == CLI_LIST)
        snprintf(text, ACCEPTS_BYTES, "%s", row->argument);
    else
        accepts_numbers(row, text);
}

/* ---- values ---------------------------------------------------------------------------------- */

static bool choice_read(const struct cli_option *row, const char *value, int *to)
{
    uint64_t index = UINT64_MAX;
    if (row->rules & CLI_BY_NUMBER && !units_number_read(value, &index))
        index = UINT64_MAX;
    for (int i = 0; row->words[i]; i++)
        if (strcmp(row->words[i], value) == 0 || index == (uint64_t)i) {
            *to = i;
            return true;
        }
    return false;
}

static bool number_read(const struct cli_option *row, const char *value, uint64_t *to)
{
    bool good = row->type == CLI_SIZE       ? units_size_read(value, to)
                : row->type == CLI_DURATION ? units_duration_read(value, to)
                                            : units_number_read(value, to);
    if (!good || *to < row->min || *to == CLI_NOT_GIVEN || (row->max && *to > row->max))
        return false;
    return !(row->rules & CLI_POWER_OF_TWO) || is_power_of_two(*to);
}

static bool list_add(struct cli_list *list, const char *value)
{
    if (list->count == CLI_LIST_MAX)
        return false;
    list->items[list->count++] = value;
    return true;
}

/* false: not an accepted value. */
static bool value_set(const struct cli_option *row, void *values, const char *value)
{
    void *field = (char *)values + row->field;
    switch (row->type) {
    case CLI_FLAG:
        *(bool *)field = true;
        return true;
    case CLI_NUMBER:
    case CLI_SIZE:
    case CLI_DURATION:
        return number_read(row, value, field);
    case CLI_CHOICE:
        return choice_read(row, value, field);
    case CLI_TEXT:
        *(const char **)field = value;
        return true;
    case CLI_LIST:
        return list_add(field, value);
    }
    return false;
}

static void row_default(const struct cli_option *row, void *values)
{
    void *field = (char *)values + row->field;
    if (row->value)
        ASSERT(value_set(row, values, row->value));
    else if (row->type == CLI_FLAG)
        *(bool *)field = false;
    else if (row->type == CLI_CHOICE)
        *(int *)field = 0;
    else if (row->type == CLI_TEXT)
        *(const char **)field = NULL;
    else if (row->type == CLI_LIST)
        *(struct cli_list *)field = (struct cli_list){.count = 0};
    else
        *(uint64_t *)field = CLI_NOT_GIVEN;
}

void cli_options_default(const struct cli_options *options)
{
    for (int i = 0; i < options->count; i++)
        row_default(&options->rows[i], options->values);
}

/* ---- the command line ------------------------------------------------------------------------ */

static const struct cli_option *row_find(const struct cli_options *tables, int table_count,
                                         const char *name, size_t bytes, void **values)
{
    for (int t = 0; t < table_count; t++)
        for (int i = 0; i < tables[t].count; i++) {
            const struct cli_option *row = &tables[t].rows[i];
            if (strlen(row->name) == bytes && memcmp(row->name, name, bytes) == 0) {
                *values = tables[t].values;
                return row;
            }
        }
    return NULL;
}

static int unknown_option(const struct cli_options *tables, int table_count, const char *word,
                          size_t bytes, struct error *err)
{
    const char *nearest = NULL;
    unsigned least = WORDS_FAR;
    for (int t = 0; t < table_count; t++)
        for (int i = 0; i < tables[t].count; i++) {
            const char *name = tables[t].rows[i].name;
            unsigned distance = words_distance(word + 2, bytes, name, strlen(name));
            if (distance < least) {
                least = distance;
                nearest = name;
            }
        }
    if (nearest)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "unknown option %.60s; did you mean --%s? --help lists all", word,
                         nearest);
    return error_set(err, EMB_ERR_INVALID_ARGUMENT, "unknown option %.60s; --help lists all", word);
}

/* Reads the option at argv[0]; the words consumed, 1 or 2. */
static int option_read(const struct cli_options *tables, int table_count, int argc,
                       char *const *argv, struct error *err)
{
    const char *name = argv[0] + 2;
    size_t bytes = strcspn(name, "=");
    const char *value = name[bytes] == '=' ? name + bytes + 1 : NULL;
    char accepts[ACCEPTS_BYTES] = "";
    void *values = NULL;
    int used = 1;
    const struct cli_option *row = row_find(tables, table_count, name, bytes, &values);

    if (!row)
        return unknown_option(tables, table_count, argv[0], bytes, err);
    if (row->type == CLI_FLAG) {
        if (value)
            return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                             "--%s takes no value, but got \"%.60s\"", row->name, value);
        value_set(row, values, NULL);
        return used;
    }
    accepts_text(row, accepts);
    if (!value && argc > 1 && strncmp(argv[1], "--", 2) != 0) {
        value = argv[1];
        used = 2;
    }
    if (!value)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "--%s: its value is missing; accepted: %s",
                         row->name, accepts);
    if (!value_set(row, values, value))
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "--%s: bad value \"%.60s\"; accepted: %s%s",
                         row->name, value, accepts,
                         row->type == CLI_LIST ? ", at most 16 times" : "");
    return used;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

int cli_options_parse(const struct cli_options *tables, int table_count, int argc,
                      char *const *argv, bool stop_at_argument, const char **arguments,
                      int *argument_count, struct error *err)
{
    bool options_over = false;
    int at = 0;
    *argument_count = 0;
    while (at < argc) {
        if (!options_over && strcmp(argv[at], "--") == 0) {
            options_over = true;
            at++;
        } else if (options_over || !is_option(argv[at])) {
            if (stop_at_argument)
                return at;
            arguments[(*argument_count)++] = argv[at++];
        } else if (strncmp(argv[at], "--", 2) != 0) {
            return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                             "unknown option %.60s; options begin with two dashes", argv[at]);
        } else {
            int used = option_read(tables, table_count, argc - at, argv + at, err);
            if (used < 0)
                return used;
            at += used;
        }
    }
    return at;
}

/* ---- help ------------------------------------------------------------------------------------ */

static void row_help(FILE *to, const struct cli_option *row)
{
    char accepts[ACCEPTS_BYTES];
    bool numbers = row->type == CLI_NUMBER || row->type == CLI_SIZE || row->type == CLI_DURATION;
    int used = fprintf(to, "  --%s%s%s", row->name, row->argument ? " " : "",
                       row->argument ? row->argument : "");
    if (row->type == CLI_CHOICE)
        for (int i = 0; row->words[i]; i++)
            used += fprintf(to, "%c%s", i ? '|' : ' ', row->words[i]);
    fprintf(to, used < HELP_COLUMN ? "%*s" : "\n%*s",
            used < HELP_COLUMN ? HELP_COLUMN - used : HELP_COLUMN, "");
    fprintf(to, "%s", row->text);
    if (numbers && row->max) {
        accepts_numbers(row, accepts);
        fprintf(to, " (%s)", accepts);
    }
    if (row->value && *row->value)
        fprintf(to, " [%s]", row->value);
    fprintf(to, "\n");
}

void cli_options_help(FILE *to, const struct cli_option *rows, int count)
{
    for (int i = 0; i < count; i++)
        row_help(to, &rows[i]);
}

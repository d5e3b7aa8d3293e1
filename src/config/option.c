#include "config/option.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/text.h"
#include "base/units.h"
#include "base/words.h"
#include "config/document.h"

#define VALUE_SHOWN_BYTES 64

/* ---- finding --------------------------------------------------------------------------------- */

const struct option *option_find(const char *name, size_t bytes)
{
    for (int i = 0; i < option_count; i++)
        if (strlen(option_table[i].name) == bytes && !memcmp(option_table[i].name, name, bytes))
            return &option_table[i];
    return NULL;
}

const struct option *option_nearest(const char *name, size_t bytes)
{
    const struct option *nearest = NULL;
    unsigned least = WORDS_FAR;
    for (int i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        unsigned distance = words_distance(name, bytes, option->name, strlen(option->name));
        if (distance < least) {
            least = distance;
            nearest = option;
        }
    }
    return nearest;
}

void option_variable(const struct option *option, char variable[OPTION_VARIABLE_BYTES])
{
    int used = snprintf(variable, OPTION_VARIABLE_BYTES, OPTION_PREFIX "%s", option->name);
    ASSERT(used > 0 && used < OPTION_VARIABLE_BYTES);
    for (char *at = variable; *at; at++)
        *at = *at == '-' || *at == '.' ? '_' : (char)toupper((unsigned char)*at);
}

void option_said_by(const struct option *option, struct config_origin origin, const char *path,
                    char said_by[OPTION_SAID_BYTES])
{
    char variable[OPTION_VARIABLE_BYTES];
    switch (origin.source) {
    case CONFIG_FROM_COMMAND_LINE:
        snprintf(said_by, OPTION_SAID_BYTES, "--%s", option->name);
        return;
    case CONFIG_FROM_ENVIRONMENT:
        option_variable(option, variable);
        snprintf(said_by, OPTION_SAID_BYTES, "%s", variable);
        return;
    case CONFIG_FROM_FILE:
        snprintf(said_by, OPTION_SAID_BYTES, "%s:%u:%u: %s", document_path_shown(path), origin.line,
                 origin.column, option->name);
        return;
    default:
        snprintf(said_by, OPTION_SAID_BYTES, "%s", option->name);
        return;
    }
}

/* ---- what is accepted ------------------------------------------------------------------------ */

static void number_text(const struct option *option, uint64_t number, char text[UNITS_TEXT_BYTES])
{
    if (option->type == OPTION_SIZE)
        units_size_text(number, text);
    else if (option->type == OPTION_DURATION)
        units_duration_text(number, text);
    else
        snprintf(text, UNITS_TEXT_BYTES, "%llu", (unsigned long long)number);
}

static void accepted_numbers(const struct option *option, char *accepts)
{
    char min[UNITS_TEXT_BYTES], max[UNITS_TEXT_BYTES];
    number_text(option, option->min, min);
    number_text(option, option->max, max);
    snprintf(accepts, OPTION_ACCEPTS_BYTES, "%s%s to %s%s",
             option->rules & OPTION_OR_ZERO ? "0, or " : "", min, max,
             option->rules & OPTION_POWER_OF_TWO ? ", a power of two" : "");
}

/* "a, b or c" for one of them, "one or more of a, b and c" for a set. */
static void accepted_choices(const struct option *option, char *accepts)
{
    bool is_set = option->type == OPTION_SET;
    size_t used =
        (size_t)snprintf(accepts, OPTION_ACCEPTS_BYTES, "%s", is_set ? "one or more of " : "");
    for (int i = 0; option->choices[i]; i++) {
        const char *join = i == 0 ? "" : option->choices[i + 1] ? ", " : is_set ? " and " : " or ";
        used += (size_t)snprintf(accepts + used, OPTION_ACCEPTS_BYTES - used, "%s%s", join,
                                 option->choices[i]);
        ASSERT(used < OPTION_ACCEPTS_BYTES);
    }
}

void option_accepts(const struct option *option, char accepts[OPTION_ACCEPTS_BYTES])
{
    switch (option->type) {
    case OPTION_BOOL:
        snprintf(accepts, OPTION_ACCEPTS_BYTES, "true or false");
        return;
    case OPTION_TEXT:
        snprintf(accepts, OPTION_ACCEPTS_BYTES, "%s %llu bytes",
                 option->rules & OPTION_NOT_EMPTY ? "1 to" : "at most",
                 (unsigned long long)option->max);
        return;
    case OPTION_ENUM:
    case OPTION_SET:
        accepted_choices(option, accepts);
        return;
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        accepted_numbers(option, accepts);
        return;
    }
}

/* ---- reading a value ------------------------------------------------------------------------- */

static const char *form_text(enum option_type type)
{
    switch (type) {
    case OPTION_INT:
        return "a whole number, ";
    case OPTION_SIZE:
        return "a whole number of bytes or with KiB, MiB, GiB or TiB, ";
    case OPTION_DURATION:
        return "a whole number with ns, us, ms, s, min or h, ";
    case OPTION_SET:
        return "words parted by commas, ";
    case OPTION_TEXT:
        return "text without control characters, ";
    default:
        return "";
    }
}

static int refuse(const struct option *option, const char *said_by, const char *value,
                  struct error *err)
{
    char accepts[OPTION_ACCEPTS_BYTES], shown[VALUE_SHOWN_BYTES];
    option_accepts(option, accepts);
    text_quote(shown, sizeof shown, value, strlen(value));
    return error_set(err, EMB_ERR_INVALID_ARGUMENT, "%s: bad value %s; accepted: %s%s", said_by,
                     shown, form_text(option->type), accepts);
}

static int refuse_later(const struct option *option, const char *said_by, struct error *err)
{
    char accepts[OPTION_ACCEPTS_BYTES];
    option_accepts(option, accepts);
    return error_set(err, EMB_ERR_INVALID_ARGUMENT, "%s: \"%s\" is not built yet; accepted: %s%s",
                     said_by, option->later, form_text(option->type), accepts);
}

static bool number_in_range(const struct option *option, uint64_t number)
{
    if (number == 0 && (option->rules & OPTION_OR_ZERO))
        return true;
    if (number < option->min || number > option->max)
        return false;
    return !(option->rules & OPTION_POWER_OF_TWO) || is_power_of_two(number);
}

static bool number_read(const struct option *option, const char *value, uint64_t *number)
{
    bool read = option->type == OPTION_SIZE       ? units_size_read(value, number)
                : option->type == OPTION_DURATION ? units_duration_read(value, number)
                                                  : units_number_read(value, number);
    return read && number_in_range(option, *number);
}

static bool bool_read(const char *value, bool *to)
{
    static const char *const words[2][4] = {{"false", "0", "no", "off"},
                                            {"true", "1", "yes", "on"}};
    for (int truth = 0; truth < 2; truth++)
        for (int i = 0; i < 4; i++)
            if (!strcmp(words[truth][i], value)) {
                *to = truth;
                return true;
            }
    return false;
}

/* The index of the choice of `bytes` bytes; -1 when it is none. */
static int choice_find(const struct option *option, const char *value, size_t bytes)
{
    for (int i = 0; option->choices[i]; i++)
        if (strlen(option->choices[i]) == bytes && !memcmp(option->choices[i], value, bytes))
            return i;
    return -1;
}

static bool choice_read(const struct option *option, const char *value, int *to)
{
    *to = choice_find(option, value, strlen(value));
    return *to >= 0;
}

/* The words of a set one by one, with blanks around them taken off; false at the end. */
static bool word_next(const char **at, const char **word, size_t *bytes)
{
    if (!*at)
        return false;
    const char *comma = strchr(*at, ',');
    *word = *at + strspn(*at, " ");
    *bytes = comma ? (size_t)(comma - *at) : strlen(*at);
    *bytes -= min_u64((size_t)(*word - *at), *bytes);
    while (*bytes > 0 && (*word)[*bytes - 1] == ' ')
        --*bytes;
    *at = comma ? comma + 1 : NULL;
    return true;
}

/* A word named twice is refused: the second was meant to be another. */
static bool set_read(const struct option *option, const char *value, unsigned *to)
{
    const char *word;
    size_t bytes;
    unsigned bits = 0;
    while (word_next(&value, &word, &bytes)) {
        int choice = choice_find(option, word, bytes);
        if (choice < 0 || (bits >> choice & 1))
            return false;
        bits |= 1u << choice;
    }
    *to = bits;
    return true;
}

static bool names_later(const struct option *option, const char *value)
{
    const char *word;
    size_t bytes;
    while (option->later && word_next(&value, &word, &bytes))
        if (strlen(option->later) == bytes && !memcmp(option->later, word, bytes))
            return true;
    return false;
}

static bool text_read(const struct option *option, const char *value, char *to)
{
    size_t bytes = strlen(value);
    if (bytes > option->max || (bytes == 0 && (option->rules & OPTION_NOT_EMPTY)))
        return false;
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)value[i] < ' ' || value[i] == '\x7F')
            return false;
    memcpy(to, value, bytes + 1);
    return true;
}

int option_set(const struct option *option, struct config *config, const char *said_by,
               const char *value, struct error *err)
{
    void *field = (char *)config + option->field;
    bool good = false;
    switch (option->type) {
    case OPTION_INT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        good = number_read(option, value, field);
        break;
    case OPTION_BOOL:
        good = bool_read(value, field);
        break;
    case OPTION_TEXT:
        good = text_read(option, value, field);
        break;
    case OPTION_ENUM:
        good = choice_read(option, value, field);
        break;
    case OPTION_SET:
        good = set_read(option, value, field);
        break;
    }
    if (!good && names_later(option, value))
        return refuse_later(option, said_by, err);
    return good ? EMB_OK : refuse(option, said_by, value, err);
}

void option_set_default(const struct option *option, struct config *config, const char *value)
{
    if (option->rules & OPTION_NO_DEFAULT) {
        uint64_t *field = (uint64_t *)((char *)config + option->field);
        *field = CONFIG_NOT_GIVEN;
        return;
    }
    int result = option_set(option, config, option->name, value, NULL);
    ASSERT(result == EMB_OK);
}

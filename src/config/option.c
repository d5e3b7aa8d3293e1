#include "config/option.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"B", 1}};
static const struct unit duration_units[] = {{"s", 1000000000}, {"ms", 1000000}, {"us", 1000}};

/* ---- finding --------------------------------------------------------------------------------- */

const struct option *option_find(const char *name, size_t bytes)
{
    for (int i = 0; i < option_count; i++)
        if (strlen(option_table[i].name) == bytes && !memcmp(option_table[i].name, name, bytes))
            return &option_table[i];
    return NULL;
}

#define NAME_MAX_BYTES 40

/* Edits (insert, remove, replace one byte) from a to b: Wagner and Fischer 1974, one row. */
static unsigned edit_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    unsigned row[NAME_MAX_BYTES + 1];
    for (unsigned j = 0; j <= b_bytes; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_bytes; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_bytes; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_bytes];
}

const struct option *option_nearest(const char *name, size_t bytes)
{
    const struct option *nearest = NULL;
    unsigned least = 4; /* beyond three edits it is another word */
    if (bytes > NAME_MAX_BYTES)
        return NULL;
    for (int i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        size_t length = strlen(option->name);
        unsigned distance = edit_distance(name, bytes, option->name, length);
        if (distance < least && distance < length) {
            least = distance;
            nearest = option;
        }
    }
    return nearest;
}

void option_variable(const struct option *option, char variable[OPTION_VARIABLE_BYTES])
{
    int used = snprintf(variable, OPTION_VARIABLE_BYTES, "EMBARCADERO_%s", option->name);
    ASSERT(used > 0 && used < OPTION_VARIABLE_BYTES);
    for (char *at = variable; *at; at++)
        *at = *at == '-' || *at == '.' ? '_' : (char)toupper((unsigned char)*at);
}

/* ---- what is accepted ------------------------------------------------------------------------ */

/* The number with the largest unit that leaves no rest. */
static void number_text(const struct option *option, uint64_t number, char text[32])
{
    const struct unit *units = option->type == OPTION_SIZE ? size_units : duration_units;
    int count = option->type == OPTION_SIZE ? COUNT_OF(size_units) : COUNT_OF(duration_units);
    for (int i = 0; option->type != OPTION_INT && number && i < count; i++)
        if (number % units[i].factor == 0) {
            snprintf(text, 32, "%llu%s", (unsigned long long)(number / units[i].factor),
                     units[i].name);
            return;
        }
    snprintf(text, 32, "%llu", (unsigned long long)number);
}

static void accepted_numbers(const struct option *option, char *accepts)
{
    char min[32], max[32];
    number_text(option, option->min, min);
    number_text(option, option->max, max);
    snprintf(accepts, OPTION_ACCEPTS_BYTES, "%s to %s%s", min, max,
             option->rules & OPTION_POWER_OF_TWO ? ", a power of two" : "");
}

static void accepted_choices(const struct option *option, char *accepts)
{
    size_t used = 0;
    for (int i = 0; option->choices[i]; i++) {
        const char *join = i == 0 ? "" : option->choices[i + 1] ? ", " : " or ";
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
        snprintf(accepts, OPTION_ACCEPTS_BYTES, "%s to %llu bytes",
                 option->rules & OPTION_NOT_EMPTY ? "1" : "0", (unsigned long long)option->max);
        return;
    case OPTION_ENUM:
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
        return "a whole number of bytes or with KiB, MiB or GiB, ";
    case OPTION_DURATION:
        return "a whole number with us, ms or s, ";
    default:
        return "";
    }
}

static int refuse(const struct option *option, const char *said_by, const char *value,
                  struct error *err)
{
    char accepts[OPTION_ACCEPTS_BYTES];
    option_accepts(option, accepts);
    return error_set(err, EMB_ERR_INVALID_ARGUMENT, "%s: bad value \"%.60s\"; accepted: %s%s",
                     said_by, value, form_text(option->type), accepts);
}

/* Digits at the start of *value; moves it behind them. false: none, or more than 64 bits. */
static bool digits_read(const char **value, uint64_t *number)
{
    const char *at = *value;
    *number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*at - '0'), number))
            return false;
    }
    bool any = at != *value;
    *value = at;
    return any;
}

/* The factor of a unit; 0: unknown. Bytes need none, and neither does 0. */
static uint64_t unit_factor(enum option_type type, const char *name, uint64_t number)
{
    if (!*name && (type != OPTION_DURATION || number == 0))
        return 1;
    if (type == OPTION_INT)
        return 0;
    const struct unit *units = type == OPTION_SIZE ? size_units : duration_units;
    int count = type == OPTION_SIZE ? COUNT_OF(size_units) : COUNT_OF(duration_units);
    for (int i = 0; i < count; i++)
        if (!strcmp(units[i].name, name))
            return units[i].factor;
    return 0;
}

static bool number_in_range(const struct option *option, uint64_t number)
{
    if (number < option->min || number > option->max)
        return false;
    return !(option->rules & OPTION_POWER_OF_TWO) || is_power_of_two(number);
}

static bool number_read(const struct option *option, const char *value, uint64_t *number)
{
    if (!digits_read(&value, number))
        return false;
    uint64_t factor = unit_factor(option->type, value, *number);
    return factor != 0 && !__builtin_mul_overflow(*number, factor, number) &&
           number_in_range(option, *number);
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

static bool choice_read(const struct option *option, const char *value, int *to)
{
    for (int i = 0; option->choices[i]; i++)
        if (!strcmp(option->choices[i], value)) {
            *to = i;
            return true;
        }
    return false;
}

static bool text_read(const struct option *option, const char *value, char *to)
{
    size_t bytes = strlen(value);
    if (bytes > option->max || (bytes == 0 && (option->rules & OPTION_NOT_EMPTY)))
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
    }
    return good ? EMB_OK : refuse(option, said_by, value, err);
}

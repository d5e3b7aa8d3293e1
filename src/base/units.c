#include "base/units.h"

#include <stdio.h>
#include <string.h>

#include "base/bits.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit sizes[] = {
    {"TiB", 1ULL << 40}, {"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"B", 1}};
static const struct unit durations[] = {{"h", 3600000000000}, {"min", 60000000000},
                                        {"s", 1000000000},    {"ms", 1000000},
                                        {"us", 1000},         {"ns", 1}};

/* Digits at the start of *text; moves it behind them. false: none, or more than 64 bits. */
static bool digits_read(const char **text, uint64_t *number)
{
    const char *at = *text;
    *number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*at - '0'), number))
            return false;
    }
    bool any = at != *text;
    *text = at;
    return any;
}

bool units_number_read(const char *text, uint64_t *to)
{
    return digits_read(&text, to) && *text == '\0';
}

/* The number times the unit named behind it. */
static bool scaled_read(const char *text, const struct unit *units, size_t count, uint64_t *to)
{
    if (!digits_read(&text, to))
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, units[i].name) == 0)
            return !__builtin_mul_overflow(*to, units[i].factor, to);
    return false;
}

bool units_size_read(const char *text, uint64_t *bytes)
{
    return units_number_read(text, bytes) || scaled_read(text, sizes, COUNT_OF(sizes), bytes);
}

bool units_duration_read(const char *text, uint64_t *ns)
{
    if (units_number_read(text, ns))
        return *ns == 0;
    return scaled_read(text, durations, COUNT_OF(durations), ns);
}

static void exact_text(uint64_t number, const struct unit *units, size_t count, char *text)
{
    for (size_t i = 0; i < count; i++)
        if (number && number % units[i].factor == 0) {
            snprintf(text, UNITS_TEXT_BYTES, "%llu%s",
                     (unsigned long long)(number / units[i].factor), units[i].name);
            return;
        }
    snprintf(text, UNITS_TEXT_BYTES, "%llu", (unsigned long long)number);
}

void units_size_text(uint64_t bytes, char text[UNITS_TEXT_BYTES])
{
    /* Plain bytes need no unit. */
    exact_text(bytes, sizes, COUNT_OF(sizes) - 1, text);
}

void units_duration_text(uint64_t ns, char text[UNITS_TEXT_BYTES])
{
    exact_text(ns, durations, COUNT_OF(durations), text);
}

static void round_text(double number, const struct unit *units, size_t count, char *text)
{
    size_t i = 0;
    while (i + 1 < count && number < (double)units[i].factor)
        i++;
    double shown = number / (double)units[i].factor;
    int decimals = units[i].factor == 1 || shown >= 99.95 ? 0 : shown >= 9.995 ? 1 : 2;
    snprintf(text, UNITS_TEXT_BYTES, "%.*f %s", decimals, shown, units[i].name);
}

void units_size_round(double bytes, char text[UNITS_TEXT_BYTES])
{
    round_text(bytes, sizes, COUNT_OF(sizes), text);
}

void units_duration_round(double ns, char text[UNITS_TEXT_BYTES])
{
    round_text(ns, durations, COUNT_OF(durations), text);
}

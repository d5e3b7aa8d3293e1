/*
 * The table of options, and how one value is read and written as text. Constant; any thread.
 * Only this room includes it.
 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "config/config.h"

enum option_type {
    OPTION_INT,      /* uint64_t */
    OPTION_SIZE,     /* uint64_t, bytes */
    OPTION_DURATION, /* uint64_t, nanoseconds */
    OPTION_BOOL,     /* bool */
    OPTION_TEXT,     /* char[max + 1] */
    OPTION_ENUM,     /* int, the index of the choice */
};

enum option_rules {
    OPTION_POWER_OF_TWO = 1,
    OPTION_NOT_EMPTY = 2,
};

#define OPTION_CHOICES_MAX 5

struct option {
    const char *group; /* heading in the help; NULL: as the one before */
    const char *name;
    enum option_type type;
    unsigned rules;
    size_t field;                            /* offset in struct config */
    uint64_t min, max;                       /* numbers; for texts max is the longest */
    const char *choices[OPTION_CHOICES_MAX]; /* enums, NULL-terminated */
    const char *value;                       /* default */
    const char *dev_value;                   /* default with --dev; NULL: the same */
    const char *text;
};

extern const struct option option_table[];
extern const int option_count;

/* NULL when there is none of exactly this name (of `bytes` bytes). */
const struct option *option_find(const char *name, size_t bytes);
/* The option whose name is most like it, or NULL when none is near. */
const struct option *option_nearest(const char *name, size_t bytes);
/* EMBARCADERO_<KEY>: upper case, `-` and `.` as `_`. */
#define OPTION_VARIABLE_BYTES 64
void option_variable(const struct option *option, char variable[OPTION_VARIABLE_BYTES]);

/*
 * Reads `value` into the option's field. `said_by` is what the error calls it ("--port",
 * "EMBARCADERO_PORT"). EMB_ERR_INVALID_ARGUMENT names it, the value and what is accepted.
 */
int option_set(const struct option *option, struct config *config, const char *said_by,
               const char *value, struct error *err);
/* "1 to 8", "4KiB to 1GiB, a power of two", "auto, shared or dedicated", ... */
#define OPTION_ACCEPTS_BYTES 128
void option_accepts(const struct option *option, char accepts[OPTION_ACCEPTS_BYTES]);

#endif

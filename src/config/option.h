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
    OPTION_TEXT,     /* char[max + 1], without control characters */
    OPTION_ENUM,     /* int, the index of the choice */
    OPTION_SET,      /* unsigned, a bit for each choice named, the first is 1 */
};

enum option_rules {
    OPTION_POWER_OF_TWO = 1,
    OPTION_NOT_EMPTY = 2,
    OPTION_OR_ZERO = 4,     /* 0 is accepted below min, and means what the text says */
    OPTION_NO_DEFAULT = 8,  /* a number that stays CONFIG_NOT_GIVEN; its value is "" */
    OPTION_NOT_IN_FILE = 16 /* command line and environment only */
};

/* Where an option means something; elsewhere giving it is refused, since it would be ignored. */
enum option_mode { OPTION_ANYWHERE, OPTION_WITH_DEV, OPTION_WITHOUT_DEV };

#define OPTION_CHOICES_MAX 5

struct option {
    const char *group; /* heading in help and docs; NULL: as the one before */
    const char *name;
    enum option_type type;
    unsigned rules;
    enum option_mode mode;
    bool reloadable;                         /* a running daemon takes a new value */
    size_t field;                            /* offset in struct config */
    uint64_t min, max;                       /* numbers; for texts max is the longest */
    const char *choices[OPTION_CHOICES_MAX]; /* enums and sets, NULL-terminated */
    const char *later;                       /* a choice that is designed but not built, or NULL */
    const char *value;                       /* default */
    const char *dev_value;                   /* default with --dev; NULL: the same */
    const char *text;
};

extern const struct option option_table[]; /* CONFIG_OPTIONS_MAX at most */
extern const int option_count;

/* ---- names ----------------------------------------------------------------------------------- */

/* NULL when there is none of exactly this name (of `bytes` bytes). */
const struct option *option_find(const char *name, size_t bytes);
/* The option whose name is most like it, or NULL when none is near. */
const struct option *option_nearest(const char *name, size_t bytes);
/* EMBARCADERO_<KEY>: upper case, `-` and `.` as `_`. */
#define OPTION_PREFIX         "EMBARCADERO_"
#define OPTION_VARIABLE_BYTES 64
void option_variable(const struct option *option, char variable[OPTION_VARIABLE_BYTES]);

/* What an error calls the option, by who gave its value: "--port", "EMBARCADERO_PORT",
   "rack.yaml:12:1: port", or "port" for a default. `path` is the file's. */
#define OPTION_SAID_BYTES 160
void option_said_by(const struct option *option, struct config_origin origin, const char *path,
                    char said_by[OPTION_SAID_BYTES]);

/* ---- values ---------------------------------------------------------------------------------- */

/*
 * Reads `value` into the option's field. `said_by` is what the error calls it. The same text from
 * every source: sets are parted by commas. EMB_ERR_INVALID_ARGUMENT names it, the value and what
 * is accepted.
 */
int option_set(const struct option *option, struct config *config, const char *said_by,
               const char *value, struct error *err);
/* `value` is one of the row's defaults, which are sound (asserted). */
void option_set_default(const struct option *option, struct config *config, const char *value);
/* "1 to 8", "4KiB to 1GiB, a power of two", "auto, shared or dedicated", ... */
#define OPTION_ACCEPTS_BYTES 128
void option_accepts(const struct option *option, char accepts[OPTION_ACCEPTS_BYTES]);

/* The value that the option has, as option_set would read it; "" for one that was not given. */
#define OPTION_VALUE_BYTES CONFIG_PATH_BYTES
void option_value(const struct option *option, const struct config *config,
                  char value[OPTION_VALUE_BYTES]);
/* For a file: texts between quotes, sets as a list. */
#define OPTION_YAML_BYTES (6 * CONFIG_PATH_BYTES + 3)
void option_yaml(const struct option *option, const char *value, char yaml[OPTION_YAML_BYTES]);

bool option_same(const struct option *option, const struct config *a, const struct config *b);
/* The option's value and origin. */
void option_copy(const struct option *option, struct config *to, const struct config *from);

#endif

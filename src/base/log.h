/*
 * One line of a log: a level, a sentence, and named values, as text or as JSON. Only the form: no
 * output, no clock, no level that is left out; programs write lines, libraries return errors
 * (house, habit 6). Pure; any thread.
 *
 *   text     2026-03-01T12:00:00.000000Z info started node=3 region="shm:rack 1"
 *   journal  <6>started node=3 region="shm:rack 1"
 *   json     {"time":"2026-03-01T12:00:00.000000Z","level":"info","message":"started","node":3,...}
 *
 * Whatever the values hold, a line is one line of valid UTF-8, and of valid JSON. journal is for
 * systemd's journal, which reads the priority in front and knows the time (sd-daemon(3)).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

/* Most urgent first, so that what is to be shown is `level <= shown`. */
enum log_level {
    LOG_LEVEL_ERROR,   /* something has ended, or does not do what it is for */
    LOG_LEVEL_WARNING, /* it goes on, but somebody should look */
    LOG_LEVEL_INFO,    /* starts, stops, changes */
    LOG_LEVEL_DEBUG,
};

enum log_form { LOG_FORM_TEXT, LOG_FORM_JOURNAL, LOG_FORM_JSON };

/* A named value; the key is a constant of [a-z][a-z0-9_]*, and not time, level or message. */
struct log_field {
    const char *key;
    const char *text; /* NULL: number counts */
    uint64_t number;  /* all ones: none, or not known */
};

#define LOG_TEXT(name, value)                                                                      \
    {                                                                                              \
        .key = (name), .text = (value)                                                             \
    }
#define LOG_NUMBER(name, value)                                                                    \
    {                                                                                              \
        .key = (name), .number = (value)                                                           \
    }

struct log_line {
    enum log_level level;
    uint64_t unix_ns; /* 0: no time is shown */
    const char *message;
    const struct log_field *fields; /* field_count of them */
    size_t field_count;
};

#define LOG_LINE_BYTES       2048 /* a pipe takes so much in one piece, never mixed with others' */
#define LOG_LINE_BYTES_LEAST 256

/*
 * Writes the line with its newline and a NUL; returns its bytes without the NUL, at least 1.
 * capacity is LOG_LINE_BYTES_LEAST or more. A message longer than half of it is cut, a field that
 * does not fit is left out with all behind it; the line then ends with the field truncated=true.
 */
size_t log_format(char *to, size_t capacity, enum log_form form, const struct log_line *line);

/* "error", "warning", "info", "debug". Static storage. */
const char *log_level_name(enum log_level level);

#endif

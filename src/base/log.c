#include "base/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/text.h"

#define NS_PER_S   1000000000ULL
#define TAIL_BYTES 24 /* of the longest end: ,"truncated":true} and a newline */

struct pen {
    char *at, *end; /* what is at `end` and behind is left for the line's own end */
    bool is_json;
    bool truncated;
};

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    ASSERT(level <= LOG_LEVEL_DEBUG);
    return names[level];
}

/* syslog(3)'s numbers. */
static int priority_of(enum log_level level)
{
    static const int priorities[] = {3, 4, 6, 7};
    return priorities[level];
}

/* ---- writing --------------------------------------------------------------------------------- */

/* All of it or nothing. */
static bool put(struct pen *pen, const char *text)
{
    size_t bytes = strlen(text);
    if (bytes >= (size_t)(pen->end - pen->at))
        return false;
    memcpy(pen->at, text, bytes + 1);
    pen->at += bytes;
    return true;
}

/* There is room for it by the sizes of this file. */
static void must_put(struct pen *pen, const char *text)
{
    bool fits = put(pen, text);
    ASSERT(fits);
}

/* As much as fits; false when that is not all. */
static bool put_escaped(struct pen *pen, enum text_place place, const char *text)
{
    size_t taken, bytes = strlen(text);
    pen->at += text_escape(pen->at, (size_t)(pen->end - pen->at), place, text, bytes, &taken);
    return taken == bytes;
}

static bool put_quoted(struct pen *pen, const char *text)
{
    return put(pen, "\"") && put_escaped(pen, TEXT_QUOTED, text) && put(pen, "\"");
}

static bool put_number(struct pen *pen, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    return put(pen, digits);
}

/* Letters, digits and what paths and addresses have: a value that no blank or quote hides in. */
static bool is_bare(const char *text)
{
    static const char bare[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/,+-@%";
    return *text && text[strspn(text, bare)] == '\0';
}

/* ---- the parts ------------------------------------------------------------------------------- */

static void time_text(uint64_t unix_ns, char text[40])
{
    time_t seconds = (time_t)(unix_ns / NS_PER_S);
    struct tm parts;
    size_t used = gmtime_r(&seconds, &parts) ? strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &parts) : 0;
    snprintf(text + used, 40 - used, ".%06uZ", (unsigned)(unix_ns % NS_PER_S / 1000));
}

static void put_start(struct pen *pen, enum log_form form, const struct log_line *line)
{
    char start[96], stamp[40] = "";
    bool timed = line->unix_ns != 0;
    if (timed)
        time_text(line->unix_ns, stamp);
    if (form == LOG_FORM_JOURNAL)
        snprintf(start, sizeof start, "<%d>", priority_of(line->level));
    else if (form == LOG_FORM_JSON)
        snprintf(start, sizeof start,
                 "{%s%s%s\"level\":\"%s\",\"message\":", timed ? "\"time\":\"" : "", stamp,
                 timed ? "\"," : "", log_level_name(line->level));
    else
        snprintf(start, sizeof start, "%s%s%s ", stamp, timed ? " " : "",
                 log_level_name(line->level));
    must_put(pen, start);
}

/* At most up to `end`, so that a long message leaves room for fields. */
static void put_message(struct pen *pen, const char *message, char *end)
{
    const char *quote = pen->is_json ? "\"" : "";
    must_put(pen, quote);
    struct pen part = {.at = pen->at, .end = end};
    pen->truncated = !put_escaped(&part, pen->is_json ? TEXT_QUOTED : TEXT_BARE, message);
    pen->at = part.at;
    must_put(pen, quote);
}

static bool key_is_sound(const char *key)
{
    return *key >= 'a' && *key <= 'z' &&
           strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(key) &&
           strcmp(key, "time") != 0 && strcmp(key, "level") != 0 && strcmp(key, "message") != 0;
}

static bool put_value(struct pen *pen, const struct log_field *field)
{
    if (!field->text && field->number == UINT64_MAX)
        return put(pen, pen->is_json ? "null" : "none");
    if (!field->text)
        return put_number(pen, field->number);
    if (!pen->is_json && is_bare(field->text))
        return put(pen, field->text);
    return put_quoted(pen, field->text);
}

static bool put_field(struct pen *pen, const struct log_field *field)
{
    ASSERT(key_is_sound(field->key));
    struct pen before = *pen;
    bool whole = put(pen, pen->is_json ? ",\"" : " ") && put(pen, field->key) &&
                 put(pen, pen->is_json ? "\":" : "=") && put_value(pen, field);
    if (!whole)
        *pen = before;
    return whole;
}

size_t log_format(char *to, size_t capacity, enum log_form form, const struct log_line *line)
{
    ASSERT(capacity >= LOG_LINE_BYTES_LEAST);
    struct pen pen = {
        .at = to, .end = to + capacity - TAIL_BYTES, .is_json = form == LOG_FORM_JSON};
    put_start(&pen, form, line);
    put_message(&pen, line->message, to + capacity / 2);
    size_t fields = 0;
    while (fields < line->field_count && put_field(&pen, &line->fields[fields]))
        fields++;
    pen.truncated |= fields < line->field_count;
    pen.end = to + capacity;
    if (pen.truncated)
        must_put(&pen, pen.is_json ? ",\"truncated\":true" : " truncated=true");
    must_put(&pen, pen.is_json ? "}\n" : "\n");
    return (size_t)(pen.at - to);
}

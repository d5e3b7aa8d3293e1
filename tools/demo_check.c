#include "tools/demo_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ull unsigned long long

uint32_t key_text(uint64_t id, char text[KEY_TEXT_BYTES])
{
    uint64_t number = id & ~ID_MARKER;
    return (uint32_t)snprintf(text, KEY_TEXT_BYTES, "%s%llu:%llu", id & ID_MARKER ? "m" : "",
                              (ull)(number % PUBLISHERS), (ull)number);
}

uint32_t marker_text(uint64_t marker, char text[KEY_TEXT_BYTES])
{
    return (uint32_t)snprintf(text, KEY_TEXT_BYTES, "marker %llu", (ull)marker);
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.count == b.count && (a.count == 0 || memcmp(a.at, b.at, a.count) == 0);
}

const char *excerpt(struct bytes bytes, char text[EXCERPT_BYTES])
{
    size_t used = 0;
    while (used < bytes.count && used < EXCERPT_BYTES - 4) {
        unsigned char c = (unsigned char)bytes.at[used];
        text[used++] = c < 0x20 || c >= 0x7f ? '.' : (char)c;
    }
    snprintf(text + used, EXCERPT_BYTES - used, "%s", used < bytes.count ? "..." : "");
    return text;
}

/* ---- one subscriber -------------------------------------------------------------------------- */

void reader_check_init(struct reader_check *check, const struct source *source, unsigned subscriber)
{
    *check = (struct reader_check){.source = source, .subscriber = subscriber};
    for (unsigned k = 0; k < PUBLISHERS; k++)
        check->next[k] = k;
}

void reader_check_free(struct reader_check *check)
{
    free(check->ids);
    check->ids = NULL;
}

__attribute__((format(printf, 4, 5))) static bool
violated(struct reader_check *check, const char *promise, uint64_t offset, const char *format, ...)
{
    if (check->why[0])
        return false;
    int used =
        snprintf(check->why, WHY_BYTES, "%s violated at subscriber %u, offset %llu: ", promise,
                 check->subscriber, (ull)offset);
    va_list args;
    va_start(args, format);
    vsnprintf(check->why + used, WHY_BYTES - (size_t)used, format, args);
    va_end(args);
    return false;
}

/* The id that a key names, or all ones; only the very text that was published is taken. */
static uint64_t key_id(struct bytes key)
{
    char text[KEY_TEXT_BYTES], again[KEY_TEXT_BYTES];
    if (key.count >= sizeof text)
        return UINT64_MAX;
    memcpy(text, key.at, key.count);
    text[key.count] = '\0';
    const char *colon = strchr(text, ':');
    if (!colon)
        return UINT64_MAX;
    uint64_t id = (strtoull(colon + 1, NULL, 10) & ~ID_MARKER) | (text[0] == 'm' ? ID_MARKER : 0);
    bool same = key_text(id, again) == key.count && memcmp(text, again, key.count) == 0;
    return same ? id : UINT64_MAX;
}

static bool remember(struct reader_check *check, uint64_t id)
{
    if (check->count == check->capacity) {
        uint64_t capacity = check->capacity ? 2 * check->capacity : 1 << 16;
        uint64_t *ids = realloc(check->ids, capacity * sizeof *ids);
        if (!ids)
            return violated(check, "memory", check->count, "none left to check with");
        check->ids = ids;
        check->capacity = capacity;
    }
    check->ids[check->count++] = id;
    return true;
}

/* `seen` was handed out where `expected` should have been; the next one expected is *next. */
static bool take_next(struct reader_check *check, const char *promise, uint64_t offset,
                      uint64_t seen, uint64_t *next, uint64_t step)
{
    uint64_t mark = seen & ID_MARKER;
    uint64_t number = seen & ~ID_MARKER;
    char expected_key[KEY_TEXT_BYTES], got_key[KEY_TEXT_BYTES];
    if (number != *next) {
        key_text(mark | *next, expected_key);
        key_text(seen, got_key);
        return violated(check, promise, offset, "expected key %s, got %s (%s)", expected_key,
                        got_key,
                        number < *next ? "handed out a second time, or out of order"
                                       : "what is between is lost, or out of order");
    }
    *next += step;
    return true;
}

static bool same_value(struct reader_check *check, const char *promise,
                       const struct checked_message *message, struct bytes expected)
{
    char key[EXCERPT_BYTES], wanted[EXCERPT_BYTES], got[EXCERPT_BYTES];
    if (!message->value.at)
        return violated(check, promise, message->offset,
                        "key %s: no value, which is not the same as an empty one",
                        excerpt(message->key, key));
    if (bytes_equal(message->value, expected))
        return true;
    return violated(check, promise, message->offset,
                    "key %s: expected a value of %llu bytes \"%s\", got %llu bytes \"%s\"",
                    excerpt(message->key, key), (ull)expected.count, excerpt(expected, wanted),
                    (ull)message->value.count, excerpt(message->value, got));
}

static bool check_line(struct reader_check *check, const struct checked_message *message,
                       uint64_t line)
{
    check->lines++;
    return take_next(check, "P2", message->offset, line, &check->next[line % PUBLISHERS],
                     PUBLISHERS) &&
           same_value(check, "P2", message, source_line(check->source, line));
}

static bool check_marker(struct reader_check *check, const struct checked_message *message,
                         uint64_t id)
{
    char text[KEY_TEXT_BYTES];
    uint32_t bytes = marker_text(id & ~ID_MARKER, text);
    return take_next(check, "P1", message->offset, id, &check->next_marker, 1) &&
           same_value(check, "P1", message, (struct bytes){text, bytes});
}

bool reader_check_message(struct reader_check *check, const struct checked_message *message)
{
    char key[EXCERPT_BYTES];
    uint64_t id = key_id(message->key);
    if (check->why[0])
        return false;
    if (message->offset != check->count)
        return violated(check, "P3", message->offset,
                        "offset %llu was expected: offsets are dense (key %s)", (ull)check->count,
                        excerpt(message->key, key));
    if (id == UINT64_MAX || (!(id & ID_MARKER) && id >= check->source->lines))
        return violated(check, "P2", message->offset, "nobody published the key \"%s\"",
                        excerpt(message->key, key));
    if (!remember(check, id))
        return false;
    return id & ID_MARKER ? check_marker(check, message, id) : check_line(check, message, id);
}

bool reader_check_end(struct reader_check *check, uint64_t markers)
{
    char key[KEY_TEXT_BYTES];
    for (unsigned k = 0; k < PUBLISHERS; k++)
        if (check->next[k] < check->source->lines) {
            key_text(check->next[k], key);
            return violated(check, "P2", check->count, "the log ends, expected key %s", key);
        }
    if (check->next_marker != markers)
        return violated(check, "P1", check->count, "%llu markers were handed out, %llu published",
                        (ull)check->next_marker, (ull)markers);
    return !check->why[0];
}

/* ---- several --------------------------------------------------------------------------------- */

static const char *key_at(const struct reader_check *check, uint64_t offset,
                          char text[KEY_TEXT_BYTES])
{
    if (offset < check->count)
        key_text(check->ids[offset], text);
    else
        snprintf(text, KEY_TEXT_BYTES, "(nothing)");
    return text;
}

bool readers_agree(const struct reader_check *a, const struct reader_check *b, char why[WHY_BYTES])
{
    char key_a[KEY_TEXT_BYTES], key_b[KEY_TEXT_BYTES];
    uint64_t offset = 0;
    while (offset < a->count && offset < b->count && a->ids[offset] == b->ids[offset])
        offset++;
    if (offset == a->count && offset == b->count)
        return true;
    snprintf(why, WHY_BYTES,
             "P3 violated at offset %llu: subscriber %u was handed key %s, subscriber %u key %s",
             (ull)offset, a->subscriber, key_at(a, offset, key_a), b->subscriber,
             key_at(b, offset, key_b));
    return false;
}

bool acks_agree(const struct reader_check *check, const uint64_t *acked, uint64_t count,
                uint64_t first_id, uint64_t id_step, char why[WHY_BYTES])
{
    char key[KEY_TEXT_BYTES], there[KEY_TEXT_BYTES];
    for (uint64_t n = 0; n < count; n++) {
        uint64_t id = first_id + n * id_step;
        if (acked[n] < check->count && check->ids[acked[n]] == id)
            continue;
        key_text(id, key);
        snprintf(why, WHY_BYTES,
                 "P2 violated: key %s was acknowledged at offset %llu, where subscriber %u was "
                 "handed %s",
                 key, (ull)acked[n], check->subscriber, key_at(check, acked[n], there));
        return false;
    }
    return true;
}

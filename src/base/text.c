#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define ESCAPED_BYTES_MAX 8 /* of one character: \u2028 and a NUL */

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

/* The bytes that a sequence with this first byte has; 0 when none begins so. */
static size_t sequence_bytes(unsigned char first)
{
    return first < 0x80   ? 1
           : first < 0xC2 ? 0
           : first < 0xE0 ? 2
           : first < 0xF0 ? 3
           : first < 0xF5 ? 4
                          : 0;
}

size_t text_code_point(const char *text, size_t bytes, uint32_t *code)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)text[0];
    size_t count = sequence_bytes(first);
    if (count == 0 || count > bytes)
        return 0;
    uint32_t number = count == 1 ? first : first & (0x7Fu >> count);
    for (size_t i = 1; i < count; i++) {
        unsigned char next = (unsigned char)text[i];
        if ((next & 0xC0) != 0x80)
            return 0;
        number = number << 6 | (next & 0x3F);
    }
    if (number < least[count] || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF))
        return 0;
    *code = number;
    return count;
}

/* ---- escaping -------------------------------------------------------------------------------- */

/* What a terminal, a log collector or a YAML reader would not take for itself. */
static bool must_be_number(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029 ||
           code == 0xFEFF || code == 0xFFFE || code == 0xFFFF;
}

/* The letter behind the backslash, or NUL. */
static char letter_of(uint32_t code, enum text_place place)
{
    switch (code) {
    case '"':
    case '\\':
        return place == TEXT_QUOTED ? (char)code : '\0';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return '\0';
    }
}

/* One character, escaped and NUL-terminated; its bytes. *taken: those of text. */
static size_t escape_one(char to[ESCAPED_BYTES_MAX], enum text_place place, const char *text,
                         size_t bytes, size_t *taken)
{
    uint32_t code = 0;
    *taken = text_code_point(text, bytes, &code);
    if (*taken == 0) {
        *taken = 1;
        return (size_t)snprintf(to, ESCAPED_BYTES_MAX, "\xEF\xBF\xBD");
    }
    char letter = letter_of(code, place);
    if (letter)
        return (size_t)snprintf(to, ESCAPED_BYTES_MAX, "\\%c", letter);
    if (must_be_number(code))
        return (size_t)snprintf(to, ESCAPED_BYTES_MAX, "\\u%04x", code);
    memcpy(to, text, *taken);
    to[*taken] = '\0';
    return *taken;
}

size_t text_escape(char *to, size_t capacity, enum text_place place, const char *text, size_t bytes,
                   size_t *taken)
{
    ASSERT(capacity > 0);
    size_t used = 0, at = 0;
    while (at < bytes) {
        char escaped[ESCAPED_BYTES_MAX];
        size_t step, count = escape_one(escaped, place, text + at, bytes - at, &step);
        if (used + count >= capacity)
            break;
        memcpy(to + used, escaped, count);
        used += count;
        at += step;
    }
    to[used] = '\0';
    *taken = at;
    return used;
}

size_t text_quote(char *to, size_t capacity, const char *text, size_t bytes)
{
    ASSERT(capacity >= TEXT_QUOTE_LEAST);
    size_t taken, used = 1 + text_escape(to + 1, capacity - 2, TEXT_QUOTED, text, bytes, &taken);
    to[0] = '"';
    if (taken < bytes) {
        /* Again, with room for the dots: cutting what was written could cut a character. */
        used = 1 + text_escape(to + 1, capacity - 5, TEXT_QUOTED, text, bytes, &taken);
        memcpy(to + used, "...", 3);
        used += 3;
    }
    to[used++] = '"';
    to[used] = '\0';
    return used;
}

/*
 * Text from outside, shown inside our own: one line, valid UTF-8, nothing that moves a cursor. What
 * is written between quotes is a string of JSON and of YAML alike. Pure; any thread. RFC 3629
 * (UTF-8), RFC 8259 section 7 (strings).
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* The bytes of the code point at `text` (of `bytes` > 0 bytes), put into *code; 0 when it is no
   UTF-8: also what is overlong, a surrogate, or cut off. */
size_t text_code_point(const char *text, size_t bytes, uint32_t *code);

enum text_place {
    TEXT_BARE,   /* for people: quotes and backslashes stay */
    TEXT_QUOTED, /* to stand between quotes */
};

/*
 * Writes text with control characters and line separators escaped (for TEXT_QUOTED also quotes and
 * backslashes) and U+FFFD for each byte that is no UTF-8: as many whole characters as fit below
 * `capacity`, which includes the NUL at the end. Returns the bytes written without it; *taken is
 * how much of text they are.
 */
size_t text_escape(char *to, size_t capacity, enum text_place place, const char *text, size_t bytes,
                   size_t *taken);

#define TEXT_QUOTE_LEAST 6 /* bytes of the shortest "..." */
/* The same with its quotes; what does not fit ends in "...". capacity is TEXT_QUOTE_LEAST or more.
 */
size_t text_quote(char *to, size_t capacity, const char *text, size_t bytes);

#endif

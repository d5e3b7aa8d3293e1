/*
 * How alike two words are, so that a mistyped name can be answered with the one that was meant.
 * Pure; any thread.
 */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include <stddef.h>

#define WORDS_FAR 4u /* so many edits make another word */

/* Bytes to insert, remove or replace to get from a to b; WORDS_FAR when it is that many or more,
   and also when nothing of the shorter word would be left. */
unsigned words_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes);

#endif

/*
 * Numbers, sizes and durations as people write them, and back. Whole numbers only; sizes in powers
 * of two. Pure; any thread. Used by configuration and tools.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#define UNITS_TEXT_BYTES 32

/* Each reads the whole text and is false when it is something else or beyond 64 bits; *to is then
   undefined. */
bool units_number_read(const char *text, uint64_t *to);
/* Bytes: "4096", "64KiB", "1GiB" (B, KiB, MiB, GiB, TiB). */
bool units_size_read(const char *text, uint64_t *bytes);
/* Nanoseconds: "500us", "2s" (ns, us, ms, s, min, h). Only 0 needs no unit. */
bool units_duration_read(const char *text, uint64_t *ns);

/* With the largest unit that leaves no rest, so that reading it gives the same number. */
void units_size_text(uint64_t bytes, char text[UNITS_TEXT_BYTES]);
void units_duration_text(uint64_t ns, char text[UNITS_TEXT_BYTES]);

/* Rounded for the eye, three digits: "1.25 GiB", "340 us". Not to be read again. */
void units_size_round(double bytes, char text[UNITS_TEXT_BYTES]);
void units_duration_round(double ns, char text[UNITS_TEXT_BYTES]);

#endif

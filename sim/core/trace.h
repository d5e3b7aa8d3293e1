/*
 * What happened, as a hash that is always kept (the same seed must give the same one, in every
 * build) and as lines for people when they are asked for. The one thread.
 *
 *   TRACE(kind, number, number, "format", ...)         events: messages, commits, faults, syncs
 *   TRACE_MEMORY(kind, number, number, "format", ...)  each publish, write-back, drain, observe
 *
 * The numbers go into the hash, the text only to the lines. Never an address of this process, nor
 * anything else that differs between builds.
 */
#ifndef SIM_CORE_TRACE_H
#define SIM_CORE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

enum trace_level { TRACE_NOTHING, TRACE_EVENTS, TRACE_ALL };

void trace_begin(enum trace_level level);
uint64_t trace_hash(void);
void trace_mix(const char *kind, uint64_t a, uint64_t b);
bool trace_wants(enum trace_level level);
/* One line: simulated time, who runs now, the text. */
void trace_line(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define TRACE_AT(level, kind, a, b, ...)                                                           \
    do {                                                                                           \
        trace_mix((kind), (uint64_t)(a), (uint64_t)(b));                                           \
        if (__builtin_expect(trace_wants(level), 0))                                               \
            trace_line((kind), __VA_ARGS__);                                                       \
    } while (0)
#define TRACE(kind, a, b, ...)        TRACE_AT(TRACE_EVENTS, kind, a, b, __VA_ARGS__)
#define TRACE_MEMORY(kind, a, b, ...) TRACE_AT(TRACE_ALL, kind, a, b, __VA_ARGS__)

#endif

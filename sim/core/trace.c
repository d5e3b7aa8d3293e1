#include "sim/core/trace.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/bits.h"
#include "sim/core/world.h"

static struct {
    enum trace_level level;
    uint64_t hash;
} trace;

void trace_begin(enum trace_level level)
{
    trace.level = level;
    trace.hash = 0x9e3779b97f4a7c15ULL;
}

uint64_t trace_hash(void)
{
    return trace.hash;
}

bool trace_wants(enum trace_level level)
{
    return trace.level >= level;
}

/* A few multiplications: it is kept for every call of mem. */
void trace_mix(const char *kind, uint64_t a, uint64_t b)
{
    uint64_t hash = trace.hash ^ world_now_ns();
    for (; *kind; kind++)
        hash = (hash ^ (unsigned char)*kind) * 0x100000001b3ULL;
    hash = (hash ^ a) * 0x9e3779b97f4a7c15ULL;
    hash = ((hash >> 29) ^ hash ^ b) * 0xbf58476d1ce4e5b9ULL;
    trace.hash = hash ^ hash >> 32;
}

void trace_line(const char *kind, const char *format, ...)
{
    va_list args;
    const struct fiber *fiber = fiber_current();
    const struct host *host = world_current_host();
    printf("%12.3f us  %-8s %-12s %-13s ", (double)world_now_ns() / 1000.0, host ? host->name : "-",
           fiber ? fiber_name(fiber) : "world", kind);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

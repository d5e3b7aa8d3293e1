/*
 * Counts of latencies, in steps of at most 1/64 of the value: a sample costs some nanoseconds and
 * no memory, so that every message of an open loop can have one. Pure; one thread.
 */
#ifndef CLI_BENCH_HISTOGRAM_H
#define CLI_BENCH_HISTOGRAM_H

#include <stdint.h>

#define BENCH_HISTOGRAM_BITS  6
#define BENCH_HISTOGRAM_STEPS ((65u - BENCH_HISTOGRAM_BITS) << BENCH_HISTOGRAM_BITS)

struct bench_histogram {
    uint64_t total;
    uint64_t max;
    uint64_t counts[BENCH_HISTOGRAM_STEPS];
};

void bench_histogram_add(struct bench_histogram *h, uint64_t value);
void bench_histogram_clear(struct bench_histogram *h);
/* Adds what the other counted. */
void bench_histogram_merge(struct bench_histogram *to, const struct bench_histogram *from);
/* The value that per_mille of the samples do not exceed, at most one step too high; 0 without. */
uint64_t bench_histogram_at(const struct bench_histogram *h, unsigned per_mille);

#endif

/* Counts of durations in steps of 1/16. Pure; one thread. */
#ifndef CLIENT_HISTOGRAM_H
#define CLIENT_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS (61u * 16u)

struct histogram {
    uint64_t total;
    uint64_t max;
    uint64_t counts[HISTOGRAM_STEPS];
};

void histogram_add(struct histogram *h, uint64_t value, uint64_t count);
/* The value that `per_mille` of those counted do not exceed; 0 when there is none. */
uint64_t histogram_at(const struct histogram *h, unsigned per_mille);

#endif

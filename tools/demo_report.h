/*
 * What the run measured, as a table for people, and latencies gathered for it. One thread per
 * object.
 */
#ifndef TOOLS_DEMO_REPORT_H
#define TOOLS_DEMO_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Latencies, each of several messages. Zero-initialised to begin. */
struct sample {
    uint64_t ns;
    uint64_t weight;
};
struct samples {
    struct sample *items;
    size_t count;
    size_t capacity;
};

/* False: no memory. */
bool samples_add(struct samples *samples, uint64_t ns, uint64_t weight);
bool samples_merge(struct samples *samples, const struct samples *more);
/* The least latency that `fraction` of the messages do not exceed; 0 without any. Sorts. */
uint64_t samples_percentile(struct samples *samples, double fraction);
void samples_free(struct samples *samples);

struct report_subscriber {
    const char *broker;
    uint64_t messages;
    uint64_t ns;
};

struct report {
    uint64_t lines;
    uint64_t bytes;
    uint64_t published_ns; /* from the first publish to the last acknowledgement */
    unsigned publishers;
    uint64_t markers;
    uint64_t markers_under_load;
    uint64_t batches;
    uint64_t retries;
    uint64_t backpressure;
    uint64_t duplicates;
    struct samples latencies;
    struct samples *marker_latencies;
    struct report_subscriber subscribers[2];
};

void report_print(struct report *report);

#endif

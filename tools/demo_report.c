#include "tools/demo_report.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"

bool samples_add(struct samples *samples, uint64_t ns, uint64_t weight)
{
    if (samples->count == samples->capacity) {
        size_t capacity = samples->capacity ? 2 * samples->capacity : 1024;
        struct sample *items = realloc(samples->items, capacity * sizeof *items);
        if (!items)
            return false;
        samples->items = items;
        samples->capacity = capacity;
    }
    samples->items[samples->count++] = (struct sample){ns, weight};
    return true;
}

bool samples_merge(struct samples *samples, const struct samples *more)
{
    for (size_t i = 0; i < more->count; i++)
        if (!samples_add(samples, more->items[i].ns, more->items[i].weight))
            return false;
    return true;
}

static int sample_compare(const void *a, const void *b)
{
    uint64_t left = ((const struct sample *)a)->ns, right = ((const struct sample *)b)->ns;
    return (left > right) - (left < right);
}

uint64_t samples_percentile(struct samples *samples, double fraction)
{
    uint64_t total = 0, passed = 0;
    if (samples->count == 0)
        return 0;
    qsort(samples->items, samples->count, sizeof *samples->items, sample_compare);
    for (size_t i = 0; i < samples->count; i++)
        total += samples->items[i].weight;
    for (size_t i = 0; i < samples->count; i++) {
        passed += samples->items[i].weight;
        if ((double)passed >= fraction * (double)total)
            return samples->items[i].ns;
    }
    return samples->items[samples->count - 1].ns;
}

void samples_free(struct samples *samples)
{
    free(samples->items);
    *samples = (struct samples){0};
}

/* ---- the table ------------------------------------------------------------------------------- */

static void print_rate(const char *what, uint64_t messages, uint64_t bytes, uint64_t ns)
{
    double seconds = ns ? (double)ns / 1e9 : 1e-9;
    printf("  %-40s %10llu %9.1f MB %8.2f s %8.3f GB/s %9.0f msg/s\n", what,
           (unsigned long long)messages, (double)bytes / 1e6, seconds,
           (double)bytes / 1e9 / seconds, (double)messages / seconds);
}

static void print_latency(const char *what, struct samples *samples)
{
    static const double fractions[] = {0.5, 0.99, 0.999, 1};
    char text[UNITS_TEXT_BYTES];
    printf("  %-40s", what);
    for (unsigned i = 0; i < sizeof fractions / sizeof fractions[0]; i++) {
        units_duration_round((double)samples_percentile(samples, fractions[i]), text);
        printf(" %10s", text);
    }
    printf("\n");
}

void report_print(struct report *report)
{
    char what[64];
    printf("  %-40s %10s %12s %10s %13s\n", "", "messages", "bytes", "time", "rate");
    snprintf(what, sizeof what, "published and durable (%u clients)", report->publishers);
    print_rate(what, report->lines, report->bytes, report->published_ns);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(what, sizeof what, "consumed, checked, from %s", report->subscribers[i].broker);
        print_rate(what, report->lines, report->bytes, report->subscribers[i].ns);
    }
    printf("\n  %-40s %10s %10s %10s %10s\n", "time to durable acknowledgement", "p50", "p99",
           "p99.9", "max");
    print_latency("lines, as fast as they are taken", &report->latencies);
    print_latency("markers, one after another", report->marker_latencies);
    printf("\n  %llu batches, sent again: %llu RETRY, %llu BACKPRESSURE; %llu duplicates\n\n",
           (unsigned long long)report->batches, (unsigned long long)report->retries,
           (unsigned long long)report->backpressure, (unsigned long long)report->duplicates);
    printf("  P1 real-time order     holds (%llu markers through %u publishers, %llu of them under "
           "load)\n",
           (unsigned long long)report->markers, report->publishers,
           (unsigned long long)report->markers_under_load);
    printf("  P2 publishers' order   holds (%llu messages, bytes and order, none lost, none twice; "
           "at the acknowledged offsets)\n",
           (unsigned long long)report->lines);
    printf("  P3 one order for all   holds (%llu offsets, 2 subscribers at different brokers)\n",
           (unsigned long long)report->subscribers[0].messages);
}

#include "cli/bench_histogram.h"

#include <string.h>

#include "base/bits.h"

/* Up to 2^BITS each value has a step of its own, above that each power of two has 2^BITS. */
static unsigned step_of(uint64_t value)
{
    if (value >> BENCH_HISTOGRAM_BITS == 0)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - BENCH_HISTOGRAM_BITS;
    return (shift << BENCH_HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

/* The largest value of the step. */
static uint64_t step_last(unsigned step)
{
    if (step < 2u << BENCH_HISTOGRAM_BITS)
        return step;
    unsigned shift = (step >> BENCH_HISTOGRAM_BITS) - 1;
    uint64_t first = (uint64_t)(step - (shift << BENCH_HISTOGRAM_BITS)) << shift;
    return first + ((1ULL << shift) - 1);
}

void bench_histogram_add(struct bench_histogram *h, uint64_t value)
{
    h->counts[step_of(value)]++;
    h->total++;
    h->max = max_u64(h->max, value);
}

void bench_histogram_clear(struct bench_histogram *h)
{
    memset(h, 0, sizeof *h);
}

void bench_histogram_merge(struct bench_histogram *to, const struct bench_histogram *from)
{
    for (unsigned i = 0; i < BENCH_HISTOGRAM_STEPS; i++)
        to->counts[i] += from->counts[i];
    to->total += from->total;
    to->max = max_u64(to->max, from->max);
}

uint64_t bench_histogram_at(const struct bench_histogram *h, unsigned per_mille)
{
    uint64_t wanted = max_u64((h->total * per_mille + 999) / 1000, 1), seen = 0;
    for (unsigned i = 0; i < BENCH_HISTOGRAM_STEPS; i++) {
        seen += h->counts[i];
        if (seen >= wanted)
            return min_u64(step_last(i), h->max);
    }
    return 0;
}

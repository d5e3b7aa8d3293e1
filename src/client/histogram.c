#include "client/histogram.h"

#include "base/bits.h"

/* Below 16 exactly, above by the highest bit and the four below it. */
static unsigned step_of(uint64_t value)
{
    if (value < 16)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - 4u;
    return (shift + 1) * 16 + (unsigned)((value >> shift) & 15);
}

static uint64_t step_end(unsigned step)
{
    if (step < 16)
        return step;
    unsigned shift = step / 16 - 1;
    return (((uint64_t)(step % 16) + 16) << shift) + ((uint64_t)1 << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value, uint64_t count)
{
    h->counts[step_of(value)] += count;
    h->total += count;
    h->max = max_u64(h->max, value);
}

uint64_t histogram_at(const struct histogram *h, unsigned per_mille)
{
    uint64_t wanted = h->total - h->total * (1000 - per_mille) / 1000;
    uint64_t seen = 0;

    for (unsigned step = 0; step < HISTOGRAM_STEPS && h->total > 0; step++) {
        seen += h->counts[step];
        if (seen >= wanted)
            return min_u64(step_end(step), h->max);
    }
    return 0;
}

#include "sim/core/choice.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/random.h"

static struct random_state streams[CHOICE_COUNT];

void choice_begin(uint64_t seed)
{
    for (uint64_t i = 0; i < CHOICE_COUNT; i++)
        random_seed(&streams[i], hash_u64(seed * CHOICE_COUNT + i + 1));
}

uint64_t choose_next(enum choice_stream stream)
{
    return random_next(&streams[stream]);
}

/* The generator's high bits are its best. */
uint64_t choose_below(enum choice_stream stream, uint64_t bound)
{
    ASSERT(bound > 0);
    return (random_next(&streams[stream]) >> 11) % bound;
}

uint64_t choose_between(enum choice_stream stream, uint64_t low, uint64_t high)
{
    ASSERT(low <= high);
    return low + choose_below(stream, high - low + 1);
}

static unsigned bits_of(uint64_t value)
{
    return value ? 64 - (unsigned)__builtin_clzll(value) : 0;
}

uint64_t choose_skewed(enum choice_stream stream, uint64_t low, uint64_t high)
{
    ASSERT(low <= high);
    unsigned bits = (unsigned)choose_between(stream, bits_of(low), bits_of(high));
    uint64_t least = bits ? 1ULL << (bits - 1) : 0;
    uint64_t most = bits ? least * 2 - 1 : 0;
    return choose_between(stream, max_u64(low, least), min_u64(high, most));
}

bool choose_one_in(enum choice_stream stream, uint64_t count)
{
    return choose_below(stream, count) == 0;
}

bool choose_percent(enum choice_stream stream, unsigned percent)
{
    return choose_below(stream, 100) < percent;
}

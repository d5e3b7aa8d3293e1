/* A small seeded generator (xorshift64*, Vigna 2014) for jitter and tests; not for secrets. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

struct random_state {
    uint64_t state; /* never 0 */
};

static inline void random_seed(struct random_state *r, uint64_t seed)
{
    r->state = seed ? seed : 0x9e3779b97f4a7c15ULL;
}

static inline uint64_t random_next(struct random_state *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * 0x2545f4914f6cdd1dULL;
}

/* A number below `bound` (bound > 0). */
static inline uint64_t random_below(struct random_state *r, uint64_t bound)
{
    return random_next(r) % bound;
}

#endif

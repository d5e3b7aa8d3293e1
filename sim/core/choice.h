/*
 * Chance, from one seed. Each purpose has a stream of its own, so that leaving out a fault does not
 * change the workload or the rack's shape. The one thread; lifetime of the world.
 */
#ifndef SIM_CORE_CHOICE_H
#define SIM_CORE_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

enum choice_stream {
    CHOICE_SHAPE,    /* the rack: hosts, sizes, modes */
    CHOICE_WORKLOAD, /* topics, publishers, subscribers, batches */
    CHOICE_SCHEDULE, /* who runs next, and for how long */
    CHOICE_FAULTS,   /* the fault plan */
    CHOICE_NETWORK,
    CHOICE_DISK,
    CHOICE_MEMORY, /* evictions, order of write-backs */
    CHOICE_RANDOM, /* env_random */
    CHOICE_COUNT
};

void choice_begin(uint64_t seed);
uint64_t choose_next(enum choice_stream stream);
/* A number below `bound` (bound > 0). */
uint64_t choose_below(enum choice_stream stream, uint64_t bound);
/* low to high, both included. */
uint64_t choose_between(enum choice_stream stream, uint64_t low, uint64_t high);
/* The same, but each power of two is as likely as the next: small ones are frequent. */
uint64_t choose_skewed(enum choice_stream stream, uint64_t low, uint64_t high);
bool choose_one_in(enum choice_stream stream, uint64_t count); /* true once in `count` */
bool choose_percent(enum choice_stream stream, unsigned percent);

#endif

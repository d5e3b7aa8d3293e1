/*
 * Two threads that poll each other, each on a CPU of its own: on a busy machine both would else
 * often share one, and wait for each other's time slice. Filled by one thread, before the other is
 * started.
 */
#ifndef CLI_BENCH_LIMIT_PAIR_H
#define CLI_BENCH_LIMIT_PAIR_H

#include <sched.h>
#include <stdbool.h>

struct limit_pair {
    bool two;
    int cpus[2];
    cpu_set_t before; /* of the thread that began */
};

/* Chooses the first two CPUs that this thread may use; false: there are no two, and pins do
 * nothing. */
bool limit_pair_begin(struct limit_pair *pair);
/* The calling thread runs on CPU `end` (0 or 1) from now on. */
void limit_pair_pin(const struct limit_pair *pair, int end);
/* By the thread that began: it may use all of its CPUs again. */
void limit_pair_end(const struct limit_pair *pair);

#endif

/*
 * A row of runs of which the first failure is looked for: a range of seeds, seeds from files, or
 * one seed with ever fewer faults. Runs end in any order, but are merged in theirs, so that totals
 * and the first failure do not depend on the number of workers. Written by the crew and its one
 * thread; lives as long as the caller wants the results.
 */
#ifndef SIM_RUN_HUNT_H
#define SIM_RUN_HUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/rack/run.h"

#define HUNT_NONE UINT64_MAX

struct hunt_pick {
    uint64_t seed;
    uint64_t keep_faults;
};

struct hunt {
    /* The caller's. */
    const struct hunt_pick *picks; /* NULL: first, first + 1, ... with all faults */
    uint64_t first;
    uint64_t count;
    const char *bug;     /* NULL: none */
    const char *checker; /* only its findings are failures; NULL: any. Needs chunk_max 1. */
    uint32_t chunk_max;  /* runs that one child is given */
    void (*merged)(void *context, uint64_t seed, const struct run_result *result); /* or NULL */
    void *context;

    /* Told to the caller. */
    uint64_t merged_count;
    uint64_t failed_index; /* the lowest that failed, or HUNT_NONE */
    struct run_result failure;
    uint64_t begun_ns, ended_ns; /* of CLOCK_MONOTONIC; 0: not yet */

    /* Its own. */
    uint64_t started_count;
    uint32_t window; /* runs that may be under way or wait to be merged */
    struct run_result *results;
    bool *here;
    int workers;
    uint64_t run_ns; /* in all runs that ended */
    uint64_t run_count;
};

/* false: no memory. */
bool hunt_begin(struct hunt *hunt, int jobs);
void hunt_free(struct hunt *hunt);

struct run_options hunt_run(const struct hunt *hunt, uint64_t index);
bool hunt_over(const struct hunt *hunt);

/* How many runs may be started now with one child, from started_count on; 0: none. */
uint32_t hunt_chunk(const struct hunt *hunt);

/* Takes a result, merges what is complete. */
void hunt_result(struct hunt *hunt, uint64_t index, const struct run_result *result,
                 uint64_t run_ns);

/* When no run will end any more: a failure behind a run that did not end is merged after all. */
void hunt_close(struct hunt *hunt);

#endif

/*
 * What the seeds of a run came to: sums, and the first failure with its shortest fault plan.
 * Filled in the order of the seeds; one thread.
 */
#ifndef SIM_RUN_TOTALS_H
#define SIM_RUN_TOTALS_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/rack/run.h"

#define FAULTS_TEXT_BYTES 128

struct totals {
    uint64_t seeds;
    uint64_t batches;
    uint64_t simulated_ns;
    uint64_t elapsed_ns;            /* of real time, with all workers */
    uint64_t counts[COVER_COUNT];   /* of each counter */
    uint64_t in_seeds[COVER_COUNT]; /* seeds in which it was not 0 */
};

/* How often the failing run was tried again, and what came of it. */
struct shrunk {
    bool again;           /* the same seed failed in the same way when it was run again */
    bool same_hash;       /* and with the same hash */
    bool shorter;         /* keep_faults is less than the whole plan */
    uint64_t keep_faults; /* the shortest plan found */
    uint64_t trials;
};

struct failure {
    bool here;
    uint64_t seed;
    uint64_t asked_faults; /* keep_faults that were asked for */
    const char *bug;       /* the planted one, or NULL */
    const char *what;      /* where the seed came from (a regression), or NULL */
    struct run_result result;
    struct shrunk shrunk;
};

void totals_add(struct totals *totals, const struct run_result *result);

/* A mask as the list that --faults takes: "none", "all" or "2,5". */
void faults_text(uint64_t keep_faults, char text[FAULTS_TEXT_BYTES]);
/* false: `text` is no such list. */
bool faults_read(const char *text, uint64_t *keep_faults);

#endif

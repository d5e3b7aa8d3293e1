/*
 * One hunt from its start to its report: progress, state file, time limit, shrinking. What runs of
 * many seeds and of regressions have in common. Owner: the command; lives as long as it.
 */
#ifndef SIM_RUN_MANY_H
#define SIM_RUN_MANY_H

#include <stdio.h>

#include "sim/run/crew.h"
#include "sim/run/options.h"
#include "sim/run/report.h"
#include "sim/run/state.h"

struct many {
    /* The caller's. */
    const struct sim_options *options;
    FILE *out;
    FILE *err;
    struct hunt hunt;        /* picks or first, and count */
    const char *const *what; /* by index: where a pick came from; NULL */
    struct state state;      /* read before, if there is a file */

    /* Its own. */
    struct report report;
    uint64_t begun_ns, carried_ns;
    uint64_t progress_ns, state_ns; /* when they were last written */
    bool progress_shown, time_over, state_bad;
    char end[128];
    char earlier[STATE_FAILURE_BYTES + 32];
};

/* Runs and reports; an enum sim_status. */
int many_run(struct many *many);

#endif

/*
 * The command line of the simulator: one table, what goes with what, help. Read once by sim_main;
 * texts point into argv.
 */
#ifndef SIM_RUN_OPTIONS_H
#define SIM_RUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "sim/core/trace.h"

#define SIM_PROGRAM "embarcadero-sim"

enum sim_status { SIM_DONE = 0, SIM_FAILED = 1, SIM_USAGE = 2 };

enum sim_mode {
    SIM_RUN = 1, /* a bit each, so that a row can name several */
    SIM_ONE = 2,
    SIM_BUGS = 4,
    SIM_BUGS_TEST = 8,
    SIM_REGRESSIONS = 16,
};

struct sim_options {
    /* as given, or CLI_NOT_GIVEN, NULL, false; sim_options_read puts the defaults in */
    uint64_t seeds, first, jobs, time_s, limit_s, seed;
    const char *faults, *trace, *bug, *state, *regressions, *commit;
    bool json, hashes, bugs, bugs_test, help;

    /* made of them */
    enum sim_mode mode;
    uint64_t keep_faults;
    enum trace_level trace_level;
    uint64_t limit_ns;  /* of one seed */
    uint64_t factor;    /* EMB_TEST_TIME_FACTOR */
    const char **names; /* of --bugs-test; malloc'ed */
    int name_count;     /* 0: all */
};

/* 0, or EMB_ERR_INVALID_ARGUMENT and a sentence. sim_options_free in both cases. */
int sim_options_read(struct sim_options *options, int argc, char **argv, struct error *err);
void sim_options_free(struct sim_options *options);
void sim_options_help(FILE *to);

#endif

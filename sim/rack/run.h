/*
 * One seed, from beginning to end: draws the rack, the workload and the fault plan, runs them,
 * checks. What run/ (the command line) calls, once a process or many times after each other.
 */
#ifndef SIM_RACK_RUN_H
#define SIM_RACK_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/core/coverage.h"
#include "sim/core/trace.h"

#define RUN_FAULTS_MAX    32
#define RUN_FAULT_BYTES   112
#define RUN_CHECKER_BYTES 32
#define RUN_FINDING_BYTES 2000
#define RUN_ALL_FAULTS    UINT64_MAX

struct run_options {
    uint64_t seed;
    uint64_t keep_faults; /* bit i: fault i of the plan happens; RUN_ALL_FAULTS */
    const char *bug;      /* a planted one (bugs/planted.h), or NULL */
    enum trace_level trace;
};

struct run_result {
    bool failed;
    char checker[RUN_CHECKER_BYTES]; /* who found it */
    char finding[RUN_FINDING_BYTES];
    uint64_t hash; /* of all that happened */
    uint64_t simulated_ns;
    uint64_t batches; /* published */
    uint32_t fault_count;
    char faults[RUN_FAULTS_MAX][RUN_FAULT_BYTES]; /* the plan, a sentence each */
    char shape[320];                              /* the rack and the workload in a sentence */
    struct coverage coverage;
};

/* Runs it. A failed assertion of the production code is a finding too; a crash is the caller's to
   notice (it runs seeds in a process of their own). */
void run_seed(const struct run_options *options, struct run_result *result);

#endif

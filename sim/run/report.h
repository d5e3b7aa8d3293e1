/*
 * What is printed of a run: for people, or as one JSON object. One thread.
 */
#ifndef SIM_RUN_REPORT_H
#define SIM_RUN_REPORT_H

#include <stdio.h>

#include "sim/run/totals.h"

struct report {
    const char *commit;   /* NULL: not known */
    const char *bug;      /* the planted one, or NULL */
    const char *end;      /* why it ended early, or NULL */
    const char *earlier;  /* what failed in a part of this run that ended before, or NULL */
    uint64_t first, last; /* seeds that were run; last 0: none, or no range */
    struct totals totals;
    uint64_t run_seeds; /* in this process, in run_ns; totals may hold more (--state) */
    uint64_t run_ns;
    struct failure failure;
};

void report_print(FILE *to, const struct report *report);
void report_json(FILE *to, const struct report *report);
void report_failure(FILE *to, const struct report *report);

/* Of one seed alone, after its trace. */
void report_seed(FILE *to, const struct run_options *run, const struct run_result *result);

#endif

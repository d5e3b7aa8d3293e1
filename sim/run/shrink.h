/*
 * The shortest fault plan with which a seed still fails in the same way. Used once, by the run that
 * failed.
 */
#ifndef SIM_RUN_SHRINK_H
#define SIM_RUN_SHRINK_H

#include "sim/run/crew.h"
#include "sim/run/totals.h"

/* Runs the seed of a failure again and again, for budget_ns at most, and fills failure->shrunk. */
void failure_shrink(struct crew *crew, struct failure *failure, uint64_t budget_ns);

#endif

/*
 * The workers that run hunts, as many at a time as there are cores. Owner and only user: the one
 * thread of the program. SIGINT and SIGTERM are taken by a crew from its opening to its closing.
 */
#ifndef SIM_RUN_CREW_H
#define SIM_RUN_CREW_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "sim/run/hunt.h"
#include "sim/run/worker.h"

enum crew_end {
    CREW_DONE,        /* every hunt is over */
    CREW_STOPPED,     /* tick said so */
    CREW_INTERRUPTED, /* by SIGINT or SIGTERM; so are all later calls */
    CREW_BROKEN,      /* the system refuses processes; *err says it */
};

struct crew {
    struct worker *workers;
    int jobs;
    uint64_t limit_ns; /* of one seed */
    bool interrupted;
    int signals;
    sigset_t mask_before;
};

int crew_open(struct crew *crew, int jobs, uint64_t limit_ns, struct error *err);
void crew_close(struct crew *crew);

/*
 * Runs the hunts until they are over. Calls tick (or NULL) a few times a second, which may end it
 * by returning false. Children are gone when it returns.
 */
enum crew_end crew_run(struct crew *crew, struct hunt *hunts, int count,
                       bool (*tick)(void *context), void *context, struct error *err);

#endif

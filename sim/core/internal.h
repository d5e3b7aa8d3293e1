/*
 * Shared by the files of core/ and by who begins and runs a world (rack/). One thread; lifetime:
 * world_begin to world_end.
 */
#ifndef SIM_CORE_INTERNAL_H
#define SIM_CORE_INTERNAL_H

#include "sim/core/world.h"

#define FINDING_BYTES 1600

struct world_finding {
    bool there;
    char checker[32];
    char text[FINDING_BYTES];
};

void world_begin(uint64_t seed, enum trace_level trace);
void world_end(void);
/*
 * Lets events happen until `done` says so (asked after each one; NULL: never), or the time has
 * come, or something was found. True: `done` said so.
 */
bool world_run(bool (*done)(void), uint64_t until_ns);
/* Tells where in the production code a fiber is, for findings; static storage. */
void world_tell_where(const char *(*where)(void));
/* Called now and then between two events. */
void world_on_accident(void (*accident)(void));
const struct world_finding *world_finding(void);
uint64_t world_events(void);

/* ---- events.c -------------------------------------------------------------------------------- */

void events_begin(void);
bool events_next_time(uint64_t *time_ns);
/* Takes the next one and calls it. */
void events_call_next(void);

/* ---- fiber.c --------------------------------------------------------------------------------- */

void fibers_begin(void);
/* Numbers of the fibers of a host that have not ended. */
void fibers_each(const struct host *host, void (*fn)(uint32_t number));
/* They run no more. Not from one of them. */
void fibers_end(const struct host *host);
/* Ends the fiber that runs, for good, wherever it is. */
_Noreturn void fiber_abandon(void);

#endif

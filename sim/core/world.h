/*
 * The world of one seed: hosts, simulated time, what happens next, and who runs now. Everything
 * runs in one thread; each agent of a host, each client and each injector is a fiber, which gives
 * the thread up where it sleeps and, by chance, at any call of mem. So any two hosts meet in any
 * order of their loads and stores, and a host can be paused or die in the middle of anything.
 *
 * Writer and reader: the one thread. Lifetime: from world_begin to world_end, within world_run.
 * There is one world at a time, since the calls of mem.h and env.h that the production code makes
 * carry no handle to it.
 */
#ifndef SIM_CORE_WORLD_H
#define SIM_CORE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/core/choice.h"
#include "sim/core/coverage.h"
#include "sim/core/trace.h"

#define HOSTS_MAX  16 /* of the rack and of clients */
#define FIBERS_MAX 128
#define MS         1000000ULL
#define US         1000ULL

struct env;
struct fiber;

/* One machine: of the rack (it maps the region and has a disk), or of clients. */
struct host {
    uint32_t number;
    char name[16]; /* "host0", "client2" */
    bool in_rack;
    bool was_killed;         /* an earlier life of its processes has ended */
    bool alive;              /* its processes run, or are paused */
    bool powered;            /* false: its caches are gone too */
    uint64_t paused_to_ns;   /* its fibers do not run before that time */
    int64_t clock_offset_ns; /* its clocks differ: now = offset + time * (1 + ppm / 10^6) */
    int32_t clock_ppm;
    struct env *env; /* set by whoever starts its processes */
};

/* ---- hosts ----------------------------------------------------------------------------------- */

struct host *world_add_host(const char *name, bool in_rack);
uint32_t world_host_count(void);
struct host *world_host(uint32_t number);
/* The host whose fiber runs now; NULL in events and checks. */
struct host *world_current_host(void);
/* Stops its fibers until then. */
void world_pause(struct host *host, uint64_t until_ns);
/* Its fibers never run again; their memory stays until the process ends. Only the scheduler's part:
   memory, network and disk are told by rack/faults.c. */
void world_kill(struct host *host);
/* What a host's monotonic clock shows at world time `now_ns`. */
uint64_t host_clock_ns(const struct host *host, uint64_t now_ns);

/* ---- time and events ------------------------------------------------------------------------- */

uint64_t world_now_ns(void);
typedef void world_event_fn(void *arg, uint64_t number);
/* Calls fn(arg, number) at that time, or next if it has passed; same times in order of calls.
   Cannot be taken back: owners compare `number` with what they expect. Not within a fiber's code:
   handlers must not sleep nor make mem calls that preempt (they run outside of fibers, where
   preemption is off). */
void world_at(uint64_t time_ns, world_event_fn *fn, void *arg, uint64_t number);

/* ---- fibers ---------------------------------------------------------------------------------- */

/* Runs main(arg) from the next moment on; ends when main returns. host may be NULL. */
struct fiber *fiber_start(const char *name, struct host *host, void (*main)(void *arg), void *arg);
struct fiber *fiber_current(void);                /* NULL: an event or a check runs */
uint32_t fiber_number(const struct fiber *fiber); /* below FIBERS_MAX, used again after its end */
uint64_t fiber_serial(const struct fiber *fiber); /* no other fiber of this process has it */
const char *fiber_name(const struct fiber *fiber);
/* Sleeps so long in world time, or until fiber_wake; true: it was woken. A pause of the host lasts
   on top. */
bool fiber_sleep(uint64_t ns);
/* Ends a sleep, or the next one if none is under way. */
void fiber_wake(struct fiber *fiber);
/* At each call of mem and at those of env that are system calls: others may run here, for a moment
   or for long. Nothing outside of fibers. */
void fiber_preempt_point(void);

/* ---- what was found -------------------------------------------------------------------------- */

/*
 * Something is wrong: names the checker, and what, in a sentence; within a fiber the place in the
 * production code is added. The first one counts; the world
 * stops before the next event. It returns (the caller goes on as if nothing was).
 */
void finding(const char *checker, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool world_has_finding(void);

#endif

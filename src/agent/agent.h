/*
 * Agents and what runs them. An agent is a state with a duty cycle: do_work does a bounded amount
 * of work without blocking and returns how much it did (0: nothing to do). A runner is one thread
 * that calls its agents in turn, looks after their poller and parks when all are idle: it spins,
 * yields (50 us in all), then sleeps in its poller, longer each time up to RUNNER_PARK_MAX_NS.
 * Design: 4-house, "Rooms".
 *
 * A runner and its agents belong to one thread; runner_stop and runner_wake may come from any.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "env/env.h"

struct agent {
    const char *name;
    int (*do_work)(void *state, uint64_t now_ns);
    void *state;
};

struct runner;

#define RUNNER_AGENTS_MAX  64
#define RUNNER_PARK_MAX_NS 5000000ULL

int runner_create(struct env *env, const char *name, struct runner **runner, struct error *err);
/* After it has been joined, and so have all that name it as a peer. */
void runner_destroy(struct runner *runner);
struct env_poller *runner_poller(struct runner *runner);
/* Before runner_run or runner_start. */
void runner_add(struct runner *runner, const struct agent *agent);
/* One turn of all agents, then a look at the poller; waits at most park_ns when nothing was done.
 */
int runner_turn(struct runner *runner, uint64_t park_ns);
/* Runs in the calling thread until runner_stop. */
void runner_run(struct runner *runner);
/* Runs in a thread of its own until runner_stop; runner_join waits for its end. */
int runner_start(struct runner *runner, struct error *err);
void runner_join(struct runner *runner);
/* Whether the caller is the runner's thread. After runner_start. */
bool runner_is_current(const struct runner *runner);
/* In a forked child, where its thread is not: then runner_join returns and it can be destroyed. */
void runner_abandon(struct runner *runner);
/* Any thread, also from a signal handler. For good: a stopped runner runs no more turns. */
void runner_stop(struct runner *runner);
void runner_wake(struct runner *runner); /* any thread */
/*
 * Doorbells between processes of one host, told of the same two moments as below: before it sleeps
 * the runner says that it is parked, drains, and looks once more (park with true, then false when
 * it goes on); after a turn with work it rings those that are. Called in the runner's thread.
 */
struct runner_bells {
    void *state;
    void (*park)(void *state, bool parked);
    void (*ring)(void *state);
};
void runner_set_bells(struct runner *runner, const struct runner_bells *bells); /* before it runs */
/*
 * Doorbells inside one process: after a turn with work, `runner` wakes those of `peers` that are
 * parked. Edge A1: a runner says parked, drains, looks once more, sleeps; a peer does its work,
 * drains, looks at parked, wakes.
 */
void runner_set_peers(struct runner *runner, struct runner *const *peers, int count);

#endif

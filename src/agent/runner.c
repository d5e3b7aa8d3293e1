/*
 * How it works. A busy runner calls its agents turn after turn and looks at its poller every few
 * turns, since a look is a system call. An idle one looks every turn: first it spins, then it
 * yields, so that what comes at once is answered at once; after 50 us it sleeps in its poller,
 * twice as long each time. Time, not turns, leads from one rung to the next, for a turn is short
 * with one agent and long with thirty.
 */
#include "agent/agent.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/flag.h"

#define SPIN_NS       15000ULL /* two cores are all that small machines have: do not hog one */
#define YIELD_NS      50000ULL /* from the first idle turn on, spinning included */
#define PARK_FIRST_NS 50000ULL
#define LOOK_EVERY    4u /* turns with work between looks at a poller that had nothing */

struct runner {
    struct env *env;
    struct env_poller *poller;
    struct agent agents[RUNNER_AGENTS_MAX];
    int agent_count;
    unsigned turns_unlooked; /* turns since the poller was looked at */
    bool poller_was_ready;
    uint64_t now_ns; /* of the last turn */
    struct runner **peers;
    int peer_count;
    struct runner_bells bells; /* functions NULL: none */
    struct flag parked;        /* written by the runner (1, 0) and by who rings it (0) */
    struct flag stop;
    bool started;
    pthread_t thread;
    char name[16]; /* as long as the kernel allows a thread's name */
};

int runner_create(struct env *env, const char *name, struct runner **runner, struct error *err)
{
    struct runner *r = calloc(1, sizeof(*r));
    if (!r)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for runner %s", name);
    int rc = env_poller_create(env, &r->poller);
    if (rc) {
        free(r);
        return error_set(err, rc, "runner %s: its poller cannot be created; %s", name,
                         rc == EMB_ERR_NO_MEMORY ? "no memory is left"
                                                 : "raise the limit of open files");
    }
    r->env = env;
    flag_init(&r->parked, 0);
    flag_init(&r->stop, 0);
    strncpy(r->name, name, sizeof(r->name) - 1);
    *runner = r;
    return EMB_OK;
}

void runner_destroy(struct runner *runner)
{
    if (!runner)
        return;
    ASSERT(!runner->started);
    env_poller_destroy(runner->poller);
    free(runner->peers);
    free(runner);
}

struct env_poller *runner_poller(struct runner *runner)
{
    return runner->poller;
}

void runner_add(struct runner *runner, const struct agent *agent)
{
    ASSERT(!runner->started && runner->agent_count < RUNNER_AGENTS_MAX && agent->do_work);
    runner->agents[runner->agent_count++] = *agent;
}

void runner_set_bells(struct runner *runner, const struct runner_bells *bells)
{
    ASSERT(!runner->started && bells->park && bells->ring);
    runner->bells = *bells;
}

void runner_set_peers(struct runner *runner, struct runner *const *peers, int count)
{
    ASSERT(!runner->started && count >= 0);
    free(runner->peers);
    runner->peers = NULL;
    runner->peer_count = count;
    if (count == 0)
        return;
    runner->peers = malloc((size_t)count * sizeof(*runner->peers));
    ASSERT(runner->peers);
    memcpy(runner->peers, peers, (size_t)count * sizeof(*peers));
}

/*
 * Edge A1, the publisher's half; pairs with runner_park. The fence stands between the work that
 * was published and the look at `parked`. Who takes the mark rings, so that one sleep costs one
 * wake however many peers have work for it.
 */
static void peers_ring(struct runner *runner)
{
    if (runner->bells.ring)
        runner->bells.ring(runner->bells.state);
    if (runner->peer_count == 0)
        return;
    flag_fence_seq_cst();
    for (int i = 0; i < runner->peer_count; i++) {
        struct runner *peer = runner->peers[i];
        if (peer != runner && flag_load_relaxed(&peer->parked) &&
            flag_exchange_seq_cst(&peer->parked, 0))
            env_poller_wake(peer->poller);
    }
}

static int agents_turn(struct runner *runner)
{
    int work = 0;
    runner->now_ns = env_now_ns(runner->env);
    for (int i = 0; i < runner->agent_count; i++)
        work += runner->agents[i].do_work(runner->agents[i].state, runner->now_ns);
    return work;
}

static int poller_look(struct runner *runner, uint64_t timeout_ns)
{
    runner->turns_unlooked = 0;
    int called = env_poller_wait(runner->poller, timeout_ns);
    runner->poller_was_ready = called > 0;
    return called;
}

/* One turn without sleep. */
static int turn(struct runner *runner)
{
    int work = agents_turn(runner);
    if (work == 0 || runner->poller_was_ready || ++runner->turns_unlooked >= LOOK_EVERY)
        work += poller_look(runner, 0);
    if (work)
        peers_ring(runner);
    return work;
}

/*
 * Edge A1, the sleeper's half; pairs with peers_ring. Says parked, drains, looks once more with a
 * whole turn, sleeps. Either this turn sees a peer's work, or the peer sees the mark.
 */
static int runner_park(struct runner *runner, uint64_t park_ns)
{
    flag_exchange_seq_cst(&runner->parked, 1);
    if (runner->bells.park)
        runner->bells.park(runner->bells.state, true);
    flag_fence_seq_cst();
    int work = agents_turn(runner);
    bool sleep = work == 0 && !flag_load_acquire(&runner->stop);
    work += poller_look(runner, sleep ? park_ns : 0);
    flag_store_release(&runner->parked, 0);
    if (runner->bells.park)
        runner->bells.park(runner->bells.state, false);
    if (work)
        peers_ring(runner);
    return work;
}

int runner_turn(struct runner *runner, uint64_t park_ns)
{
    int work = turn(runner);
    if (work || park_ns == 0)
        return work;
    return runner_park(runner, park_ns);
}

/* Idle since idle_ns: one turn on the rung that this time leads to. *park_ns is the next sleep. */
static int idle_turn(struct runner *runner, uint64_t idle_ns, uint64_t *park_ns)
{
    uint64_t idle_for_ns = runner->now_ns - idle_ns;
    if (idle_for_ns < YIELD_NS) {
        if (idle_for_ns >= SPIN_NS)
            sched_yield();
        return turn(runner);
    }
    int work = runner_park(runner, *park_ns);
    *park_ns = min_u64(*park_ns * 2, RUNNER_PARK_MAX_NS);
    return work;
}

void runner_run(struct runner *runner)
{
    while (!flag_load_acquire(&runner->stop)) {
        if (turn(runner))
            continue;
        uint64_t idle_ns = runner->now_ns;
        uint64_t park_ns = PARK_FIRST_NS;
        while (!flag_load_acquire(&runner->stop) && idle_turn(runner, idle_ns, &park_ns) == 0)
            ;
    }
}

static void *runner_main(void *arg)
{
    runner_run(arg);
    return NULL;
}

int runner_start(struct runner *runner, struct error *err)
{
    ASSERT(!runner->started);
    /* Signals are the main thread's: a runner's system calls are not to be interrupted. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&runner->thread, NULL, runner_main, runner);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return error_set(err, EMB_ERR_LIMIT,
                         "runner %s: no thread (%s); raise the limit of threads", runner->name,
                         strerror(failed));
    pthread_setname_np(runner->thread, runner->name);
    runner->started = true;
    return EMB_OK;
}

void runner_join(struct runner *runner)
{
    if (!runner->started)
        return;
    pthread_join(runner->thread, NULL);
    runner->started = false;
}

bool runner_is_current(const struct runner *runner)
{
    return runner->started && pthread_equal(runner->thread, pthread_self());
}

void runner_abandon(struct runner *runner)
{
    runner->started = false;
}

void runner_stop(struct runner *runner)
{
    flag_store_release(&runner->stop, 1);
    env_poller_wake(runner->poller);
}

void runner_wake(struct runner *runner)
{
    env_poller_wake(runner->poller);
}

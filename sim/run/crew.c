/*
 * How it works
 *
 * A free worker goes to the hunt with the fewest workers, so that hunts that end soon do not wait
 * for each other and the last one gets all. A failure ends the children whose runs come after it;
 * those before it go on, since one of them may fail earlier in the row.
 */
#include "sim/run/crew.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TICK_NS 200000000u

int crew_open(struct crew *crew, int jobs, uint64_t limit_ns, struct error *err)
{
    sigset_t ends;
    int error = 0;

    *crew = (struct crew){.jobs = jobs, .limit_ns = limit_ns, .signals = -1};
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, &crew->mask_before);
    crew->signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
    crew->workers = calloc((size_t)jobs, sizeof *crew->workers);
    if (crew->signals < 0 || !crew->workers)
        error = errno;
    for (int i = 0; i < jobs && !error; i++)
        error = worker_place(&crew->workers[i]);
    if (!error)
        return EMB_OK;
    crew_close(crew);
    return error_set(err, EMB_ERR_IO, "no place for %d workers: %s", jobs, strerror(error));
}

static void signals_take(struct crew *crew)
{
    struct signalfd_siginfo signal;
    while (read(crew->signals, &signal, sizeof signal) > 0)
        crew->interrupted = true;
}

void crew_close(struct crew *crew)
{
    for (int i = 0; crew->workers && i < crew->jobs; i++) {
        worker_end(&crew->workers[i]);
        worker_unplace(&crew->workers[i]);
    }
    free(crew->workers);
    crew->workers = NULL;
    /* One that is still pending would end the program with another status than it chose. */
    if (crew->signals >= 0) {
        signals_take(crew);
        close(crew->signals);
    }
    sigprocmask(SIG_SETMASK, &crew->mask_before, NULL);
}

/* ---- what is started ------------------------------------------------------------------------- */

static struct hunt *hunt_choose(struct hunt *hunts, int count)
{
    struct hunt *best = NULL;
    for (int i = 0; i < count; i++)
        if (!hunt_over(&hunts[i]) && hunt_chunk(&hunts[i]) > 0 &&
            (!best || hunts[i].workers < best->workers))
            best = &hunts[i];
    return best;
}

static int chunk_start(struct worker *worker, struct hunt *hunt)
{
    worker->count = hunt_chunk(hunt);
    worker->task = hunt;
    worker->first = hunt->started_count;
    for (uint32_t i = 0; i < worker->count; i++)
        worker->runs[i] = hunt_run(hunt, worker->first + i);
    int error = worker_start(worker);
    if (error)
        return error;
    if (hunt->begun_ns == 0)
        hunt->begun_ns = worker->begun_ns;
    hunt->started_count += worker->count;
    hunt->workers++;
    return 0;
}

/* Gives every free worker something. An error counts only if no worker at all is left. */
static int chunks_start(struct crew *crew, struct hunt *hunts, int count)
{
    int running = 0, error = 0;
    for (int i = 0; i < crew->jobs; i++) {
        struct worker *worker = &crew->workers[i];
        struct hunt *hunt = worker->pid == 0 && !error ? hunt_choose(hunts, count) : NULL;
        if (hunt)
            error = chunk_start(worker, hunt);
        running += worker->pid != 0;
    }
    return running > 0 ? 0 : error;
}

/* ---- what comes in --------------------------------------------------------------------------- */

static void worker_leave(struct worker *worker)
{
    struct hunt *hunt = worker->task;
    worker_end(worker);
    hunt->workers--;
    worker->task = NULL;
}

/* Nobody waits for what stands behind a failure. */
static void workers_behind_end(struct crew *crew, const struct hunt *hunt)
{
    for (int i = 0; i < crew->jobs; i++) {
        struct worker *worker = &crew->workers[i];
        if (worker->task == hunt && worker->first + worker->done > hunt->failed_index)
            worker_leave(worker);
    }
}

static void result_take(struct crew *crew, struct worker *worker, const struct run_result *result,
                        uint64_t begun_ns)
{
    struct hunt *hunt = worker->task;
    hunt_result(hunt, worker->first + worker->done - 1, result, clock_now_ns() - begun_ns);
    if (worker->pid == 0)
        worker_leave(worker);
    if (hunt->failed_index != HUNT_NONE)
        workers_behind_end(crew, hunt);
}

static void worker_hear(struct crew *crew, struct worker *worker)
{
    struct run_result result;
    uint64_t begun_ns = worker->begun_ns;
    switch (worker_read(worker, &result)) {
    case WORKER_NOTHING:
        break;
    case WORKER_RESULT:
        result_take(crew, worker, &result, begun_ns);
        break;
    case WORKER_ENDED:
        worker_leave(worker);
        break;
    }
}

static void workers_limit(struct crew *crew)
{
    struct run_result result;
    uint64_t now_ns = clock_now_ns();
    for (int i = 0; i < crew->jobs; i++) {
        struct worker *worker = &crew->workers[i];
        uint64_t begun_ns = worker->begun_ns;
        if (worker->pid == 0 || worker->done == worker->count || worker->failed ||
            now_ns < begun_ns + crew->limit_ns)
            continue;
        worker_hung(worker, crew->limit_ns, &result);
        result_take(crew, worker, &result, begun_ns);
    }
}

/* Waits for messages and takes one of each worker. */
static void crew_poll(struct crew *crew)
{
    struct pollfd *fds = calloc((size_t)crew->jobs + 1, sizeof *fds);
    if (!fds)
        return;
    for (int i = 0; i < crew->jobs; i++)
        fds[i] = (struct pollfd){.fd = crew->workers[i].pid ? crew->workers[i].pipe : -1,
                                 .events = POLLIN};
    fds[crew->jobs] = (struct pollfd){.fd = crew->signals, .events = POLLIN};
    int ready = poll(fds, (nfds_t)crew->jobs + 1, (int)(TICK_NS / 1000000u));
    for (int i = 0; i < crew->jobs && ready > 0; i++)
        /* An earlier one's failure may have ended this one. */
        if (fds[i].revents && crew->workers[i].pid && crew->workers[i].pipe == fds[i].fd)
            worker_hear(crew, &crew->workers[i]);
    signals_take(crew);
    free(fds);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static bool hunts_over(const struct hunt *hunts, int count)
{
    for (int i = 0; i < count; i++)
        if (!hunt_over(&hunts[i]))
            return false;
    return true;
}

static enum crew_end crew_loop(struct crew *crew, struct hunt *hunts, int count,
                               bool (*tick)(void *context), void *context, struct error *err)
{
    uint64_t ticked_ns = clock_now_ns();
    while (!hunts_over(hunts, count)) {
        if (crew->interrupted)
            return CREW_INTERRUPTED;
        int error = chunks_start(crew, hunts, count);
        if (error) {
            error_set(err, EMB_ERR_IO, "no process could be started: %s", strerror(error));
            return CREW_BROKEN;
        }
        crew_poll(crew);
        workers_limit(crew);
        uint64_t now_ns = clock_now_ns();
        if (tick && now_ns - ticked_ns >= TICK_NS) {
            ticked_ns = now_ns;
            if (!tick(context))
                return CREW_STOPPED;
        }
    }
    return CREW_DONE;
}

enum crew_end crew_run(struct crew *crew, struct hunt *hunts, int count,
                       bool (*tick)(void *context), void *context, struct error *err)
{
    bool good = true;
    enum crew_end end = CREW_BROKEN;
    for (int i = 0; i < count; i++)
        good = hunt_begin(&hunts[i], crew->jobs) && good;
    if (good)
        end = crew_loop(crew, hunts, count, tick, context, err);
    else
        error_set(err, EMB_ERR_IO, "no memory for the results of %d hunts", count);
    for (int i = 0; i < crew->jobs; i++)
        if (crew->workers[i].task)
            worker_leave(&crew->workers[i]);
    for (int i = 0; i < count; i++) {
        hunt_close(&hunts[i]);
        hunt_free(&hunts[i]);
    }
    return end;
}

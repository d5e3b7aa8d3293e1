/*
 * A child process that runs some seeds after each other and tells of each, so that a crash or an
 * endless loop of one seed is noticed and costs nobody else. Written and read by the one thread of
 * the parent; a worker lives for one task, its place (worker_place) as long as the crew.
 */
#ifndef SIM_RUN_WORKER_H
#define SIM_RUN_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sim/rack/run.h"

#define WORKER_RUNS_MAX 20

#define CHECKER_CRASH "crash"
#define CHECKER_HANG  "hang"

struct worker {
    pid_t pid; /* 0: none runs here */
    int pipe;
    int errors;                /* a file in memory: what the child wrote to stderr */
    struct run_result *shared; /* the child's result in the making, to be read after a crash */
    struct run_options runs[WORKER_RUNS_MAX];
    uint32_t count;
    uint32_t done;     /* results that came */
    bool failed;       /* the last of them is a failure, after which the child ends */
    uint64_t begun_ns; /* of the present run, of CLOCK_MONOTONIC */
    void *task;        /* the caller's */
    uint64_t first;    /* the caller's */
};

enum worker_news {
    WORKER_NOTHING, /* the next run has begun */
    WORKER_RESULT,  /* of runs[done - 1], as it ended, crashed or hung */
    WORKER_ENDED,   /* and reaped */
};

/* Maps what the place shares with its children. 0 or errno. */
int worker_place(struct worker *worker);
void worker_unplace(struct worker *worker);

/* Forks a child for worker->runs, of which the caller has set `count`. 0 or errno. */
int worker_start(struct worker *worker);

/* Reads one message; the pipe must be readable. Never waits for long. */
enum worker_news worker_read(struct worker *worker, struct run_result *result);

/* Ends a child whose run takes too long; *result is the finding of runs[done - 1]. */
void worker_hung(struct worker *worker, uint64_t limit_ns, struct run_result *result);

/* Ends a child whose results nobody wants any more. */
void worker_end(struct worker *worker);

/* CLOCK_MONOTONIC. */
uint64_t clock_now_ns(void);

#endif

/*
 * The file in which a long run keeps how far it came, so that it can go on another day. Written
 * whole to a file beside it and renamed, by the one thread; read at the start, and by people.
 */
#ifndef SIM_RUN_STATE_H
#define SIM_RUN_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "sim/run/totals.h"

#define STATE_BUILD_BYTES   64
#define STATE_FAILURE_BYTES 400

struct state {
    char build[STATE_BUILD_BYTES]; /* whose counts these are */
    const char *bug;               /* the planted one, or "-" */
    uint64_t first;                /* where it began */
    uint64_t next;                 /* the first seed that is not counted yet */
    struct totals totals;
    uint64_t failed_seed;              /* the first that failed; 0: none */
    char failure[STATE_FAILURE_BYTES]; /* its checker and finding, in one line */
};

/* The name of this build: the commit if that is known, else of this executable. */
void state_build(const char *commit, char build[STATE_BUILD_BYTES]);

/*
 * Reads a file into *state, whose build, bug and first say what is accepted (first 0: any). No such
 * file: *state stays as it is. Else EMB_ERR_MISMATCH or EMB_ERR_CORRUPT or EMB_ERR_IO.
 */
int state_read(const char *path, struct state *state, struct error *err);
int state_write(const char *path, const struct state *state, struct error *err);

/* Notes the first failure. */
void state_fail(struct state *state, uint64_t seed, const struct run_result *result);

#endif

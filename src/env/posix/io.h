/*
 * An io queue and what its two engines share.
 * Written and read by the poller's thread; the thread engine's worker sees an operation only
 * between its submission and its completion, both under the engine's mutex.
 */
#ifndef ENV_POSIX_IO_H
#define ENV_POSIX_IO_H

#include "env/posix/posix.h"

struct io_op {
    struct io_op *next; /* in the free list, or in a queue of the engine */
    struct env_file *file;
    int fd;
    bool sync;
    const unsigned char *bytes;
    size_t count, done;
    uint64_t offset;
    uint64_t cookie;
    int64_t result; /* once finished */
};

struct io_engine {
    const char *name;
    /* Makes io->state; completions are to signal io's eventfd. 0 or an errno. */
    int (*start)(struct env_io *io);
    void (*submit)(struct env_io *io, struct io_op *op);
    /* A finished operation or NULL; with `wait`, waits for one (some are under way). */
    struct io_op *(*reap)(struct env_io *io, bool wait);
    void (*stop)(struct env_io *io); /* nothing is under way */
};

extern const struct io_engine io_engine_uring;
extern const struct io_engine io_engine_thread;

struct env_io {
    struct env_source source; /* first; its descriptor is the eventfd */
    const struct io_engine *engine;
    void *state;
    unsigned depth, under_way;
    bool signalled; /* the poller saw the eventfd: to be emptied by the next poll */
    struct io_op *free_ops;
    struct io_op *ops;
};

/* One piece of an operation ended with `result` (bytes, or a negative errno). True when the whole
   operation is finished, with its result set; else the rest is to be submitted again. */
bool io_op_advance(struct io_op *op, int64_t result);

/* What of the operation is to be written next, at most as much as one call takes. */
size_t io_op_piece(const struct io_op *op);

#endif

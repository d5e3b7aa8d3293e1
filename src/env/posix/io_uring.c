/*
 * The io_uring engine. An operation has at most one entry in the ring at a time and the ring has
 * at least `depth` entries, so that there is always a free one. What the kernel does not take at
 * once (it is short of memory) stays in the ring and goes with the next call.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#include "base/assert.h"
#include "env/posix/io.h"

static int uring_start(struct env_io *io)
{
    struct io_uring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return ENOMEM;
    int rc = io_uring_queue_init(io->depth, ring, 0);
    if (rc < 0) {
        free(ring);
        return -rc;
    }
    rc = io_uring_register_eventfd(ring, io->source.fd);
    if (rc < 0) {
        io_uring_queue_exit(ring);
        free(ring);
        return -rc;
    }
    io->state = ring;
    return 0;
}

static void uring_submit(struct env_io *io, struct io_op *op)
{
    struct io_uring *ring = io->state;
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    ASSERT(sqe);
    if (op->sync)
        io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
    else
        io_uring_prep_write(sqe, op->fd, op->bytes + op->done, (unsigned)io_op_piece(op),
                            op->offset + op->done);
    io_uring_sqe_set_data(sqe, op);
    io_uring_submit(ring);
}

/* True if there is a completion in *cqe. */
static bool uring_next(struct io_uring *ring, bool wait, struct io_uring_cqe **cqe)
{
    if (io_uring_sq_ready(ring) > 0)
        io_uring_submit(ring);
    if (!wait)
        return io_uring_peek_cqe(ring, cqe) == 0;
    int rc;
    do {
        rc = io_uring_wait_cqe(ring, cqe);
    } while (rc == -EINTR || rc == -EAGAIN);
    ASSERT(rc == 0);
    return true;
}

static struct io_op *uring_reap(struct env_io *io, bool wait)
{
    struct io_uring *ring = io->state;
    struct io_uring_cqe *cqe;
    while (uring_next(ring, wait, &cqe)) {
        struct io_op *op = io_uring_cqe_get_data(cqe);
        int result = cqe->res;
        io_uring_cqe_seen(ring, cqe);
        if (io_op_advance(op, result))
            return op;
        uring_submit(io, op);
    }
    return NULL;
}

static void uring_stop(struct env_io *io)
{
    struct io_uring *ring = io->state;
    io_uring_queue_exit(ring);
    free(ring);
}

const struct io_engine io_engine_uring = {
    .name = "io_uring",
    .start = uring_start,
    .submit = uring_submit,
    .reap = uring_reap,
    .stop = uring_stop,
};

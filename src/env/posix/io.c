/* The part of an io queue that does not depend on its engine. */
#include "env/posix/io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bits.h"

#define MAX_DEPTH       4096u
#define MAX_PIECE_BYTES ((size_t)1 << 30) /* the kernel's own limit is just below 2 GiB */

static void io_on_event(void *arg, bool readable, bool writable)
{
    struct env_io *io = arg;
    io->signalled = true;
}

static void ops_link(struct env_io *io)
{
    for (unsigned i = 0; i < io->depth; i++) {
        io->ops[i].next = io->free_ops;
        io->free_ops = &io->ops[i];
    }
}

static int engine_start(struct env_io *io, bool io_thread, struct error *err)
{
    io->engine = &io_engine_uring;
    if (!io_thread && io->engine->start(io) == 0)
        return EMB_OK;
    io->engine = &io_engine_thread;
    int failed = io->engine->start(io);
    return failed ? posix_error(err, failed, "starting the thread that writes") : EMB_OK;
}

/* Takes the descriptor over only when it succeeds. */
static int io_open(struct env_poller *poller, struct env_io *io, int fd, struct error *err)
{
    io->ops = calloc(io->depth, sizeof(*io->ops));
    if (!io->ops)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for %u writes", io->depth);
    ops_link(io);
    io->source.fd = fd;
    int rc = engine_start(io, poller->env->io_thread, err);
    if (rc)
        return rc;
    rc = posix_source_add(poller, &io->source, fd, err);
    if (rc) {
        io->engine->stop(io);
        return rc;
    }
    io->source.internal = true;
    io->source.fn = io_on_event;
    io->source.arg = io;
    posix_source_watch(&io->source, true, false);
    return EMB_OK;
}

int env_io_create(struct env_poller *poller, unsigned depth, struct env_io **io, struct error *err)
{
    if (depth == 0 || depth > MAX_DEPTH)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "io depth %u: 1 to %u are possible", depth,
                         MAX_DEPTH);
    struct env_io *created = calloc(1, sizeof(*created));
    if (!created)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for an io queue");
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    created->depth = depth;
    int rc = fd < 0 ? posix_error(err, errno, "eventfd") : io_open(poller, created, fd, err);
    if (rc) {
        if (fd >= 0)
            close(fd);
        free(created->ops);
        free(created);
        return rc;
    }
    *io = created;
    return EMB_OK;
}

size_t io_op_piece(const struct io_op *op)
{
    return min_u64(op->count - op->done, MAX_PIECE_BYTES);
}

bool io_op_advance(struct io_op *op, int64_t result)
{
    if (result == -EINTR || result == -EAGAIN)
        return false;
    if (result < 0) {
        op->result = posix_code((int)-result) == EMB_ERR_NO_SPACE ? EMB_ERR_NO_SPACE : EMB_ERR_IO;
        return true;
    }
    if (op->sync) {
        op->result = 0;
        return true;
    }
    op->done += (size_t)result;
    if (op->done < op->count && result > 0)
        return false;
    op->result = op->done == op->count ? (int64_t)op->done : EMB_ERR_IO;
    return true;
}

static int io_submit(struct env_io *io, struct env_file *file, struct io_op values)
{
    struct io_op *op = io->free_ops;
    if (!op)
        return EMB_ERR_BUSY;
    io->free_ops = op->next;
    *op = values;
    op->file = file;
    posix_file_hold(file);
    io->under_way++;
    io->engine->submit(io, op);
    return EMB_OK;
}

int env_io_write(struct env_io *io, struct env_file *file, const void *bytes, size_t count,
                 uint64_t offset, uint64_t cookie)
{
    int fd = file->direct_fd >= 0 ? file->direct_fd : file->fd;
    return io_submit(
        io, file,
        (struct io_op){
            .fd = fd, .bytes = bytes, .count = count, .offset = offset, .cookie = cookie});
}

int env_io_sync(struct env_io *io, struct env_file *file, uint64_t cookie)
{
    return io_submit(io, file, (struct io_op){.fd = file->fd, .sync = true, .cookie = cookie});
}

static void io_finish(struct env_io *io, struct io_op *op)
{
    posix_file_release(op->file);
    op->next = io->free_ops;
    io->free_ops = op;
    io->under_way--;
}

static void event_empty(struct env_io *io)
{
    uint64_t count;
    ssize_t got = read(io->source.fd, &count, sizeof(count));
    (void)got;
    io->signalled = false;
}

/* What is left after a full harvest must wake the poller as if it came now. */
static void event_again(struct env_io *io)
{
    uint64_t one = 1;
    ssize_t put = write(io->source.fd, &one, sizeof(one));
    (void)put;
}

int env_io_poll(struct env_io *io, struct env_completion *completions, int max)
{
    /* Emptied before the harvest: a completion that comes between the two signals again. */
    if (io->signalled)
        event_empty(io);
    int count = 0;
    while (count < max && io->under_way > 0) {
        struct io_op *op = io->engine->reap(io, false);
        if (!op)
            break;
        completions[count].cookie = op->cookie;
        completions[count++].result = op->result;
        io_finish(io, op);
    }
    if (count == max && io->under_way > 0)
        event_again(io);
    return count;
}

const char *env_io_engine(struct env_io *io)
{
    return io->engine->name;
}

void env_io_destroy(struct env_io *io)
{
    if (!io)
        return;
    while (io->under_way > 0)
        io_finish(io, io->engine->reap(io, true));
    io->engine->stop(io);
    free(io->ops);
    posix_source_close(&io->source);
}

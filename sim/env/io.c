/*
 * Asynchronous writes and syncs. An operation takes effect when its event comes, which is when its
 * completion can be polled; those of a process that died are done or not at its death, and what is
 * left of them is freed by their event.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/bits.h"
#include "sim/env/internal.h"
#include "sim/memory/memory.h"

#define MAX_DEPTH     4096u
#define SLOW_LEAST_NS (20 * MS)
#define SLOW_MOST_NS  (200 * MS)
#define LOOK_AGAIN_NS (50 * US)

int env_io_create(struct env_poller *poller, unsigned depth, struct env_io **io, struct error *err)
{
    if (depth == 0 || depth > MAX_DEPTH)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "io depth %u: 1 to %u are possible", depth,
                         MAX_DEPTH);
    struct env_io *created = room_of(sizeof(*created));
    created->poller = poller;
    created->depth = depth;
    TAILQ_INIT(&created->submitted);
    TAILQ_INIT(&created->done);
    TAILQ_INSERT_TAIL(&poller->ios, created, link);
    *io = created;
    return EMB_OK;
}

/* ---- what operations do ---------------------------------------------------------------------- */

/* What a write that did not end well left on the disk: some first blocks of it. */
static void write_part(struct io_op *op)
{
    uint64_t blocks = choose_below(CHOICE_DISK, op->count / BLOCK + 1);
    if (blocks > 0)
        disk_file_write(op->file, op->bytes, blocks * BLOCK, op->offset);
}

static int64_t write_finish(struct io_op *op)
{
    const struct host *host = op->file->disk->host;
    memory_read(op->bytes, op->count, "write");
    if (op->file->disk->failing_writes > 0) {
        op->file->disk->failing_writes--;
        write_part(op);
        COVER(WRITE_FAILED);
        TRACE("disk-write-fail", host->number, op->offset, "%s: a write of %s at %llu fails",
              host->name, op->file->name, (unsigned long long)op->offset);
        return EMB_ERR_IO;
    }
    int rc = disk_file_write(op->file, op->bytes, op->count, op->offset);
    return rc ? rc : (int64_t)op->count;
}

static int64_t sync_finish(struct io_op *op)
{
    struct disk_file *file = op->file;
    const struct host *host = file->disk->host;
    TRACE("disk-sync-end", host->number, op->covered, "%s: sync of %s %s", host->name, file->name,
          op->failing ? "fails" : "ends");
    if (op->failing) {
        COVER(SYNC_FAILED);
        disk_sync_fail(file, op);
        return EMB_ERR_IO;
    }
    COVER(SYNC);
    disk_sync_apply(file, op);
    return 0;
}

/* The operation holds its file no longer. */
static void op_let_go(struct io_op *op)
{
    if (op->sync && --op->file->syncs == 0)
        op->file->covered_writes = 0;
    disk_file_release(op->file);
    op->file = NULL;
}

static void op_finish(struct io_op *op)
{
    ASSERT(op->file); /* once */
    op->result = op->sync ? sync_finish(op) : write_finish(op);
    op_let_go(op);
}

static void op_event(void *arg, uint64_t number)
{
    struct io_op *op = arg;
    struct env_io *io = op->io;
    if (!io) {
        TAILQ_REMOVE(&simulated.forgotten, op, link);
        free(op);
        return;
    }
    op_finish(op);
    TAILQ_REMOVE(&io->submitted, op, link);
    TAILQ_INSERT_TAIL(&io->done, op, link);
    poller_notify(io->poller);
}

/* ---- submission ------------------------------------------------------------------------------ */

static struct io_op *op_submit(struct env_io *io, struct disk_file *file, uint64_t time_ns)
{
    struct io_op *op = room_of(sizeof(*op));
    op->io = io;
    op->file = file;
    file->holders++;
    io->under_way++;
    TAILQ_INSERT_TAIL(&io->submitted, op, link);
    world_at(world_now_ns() + time_ns, op_event, op, 0);
    return op;
}

int env_io_write(struct env_io *io, struct env_file *file, const void *bytes, size_t count,
                 uint64_t offset, uint64_t cookie)
{
    fiber_preempt_point();
    ASSERT(file->writable && count > 0);
    ASSERT(!file->direct ||
           (count % BLOCK == 0 && offset % BLOCK == 0 && (uintptr_t)bytes % BLOCK == 0));
    if (io->under_way == io->depth)
        return EMB_ERR_BUSY;
    uint64_t time_ns =
        choose_between(CHOICE_DISK, simulated.shape.write_least_ns, simulated.shape.write_most_ns);
    struct io_op *op = op_submit(io, file->file, time_ns);
    op->bytes = bytes;
    op->count = count;
    op->offset = offset;
    op->cookie = cookie;
    return EMB_OK;
}

static uint64_t sync_time(const struct disk *disk)
{
    if (disk->slow_to_ns <= world_now_ns())
        return choose_between(CHOICE_DISK, simulated.shape.sync_least_ns,
                              simulated.shape.sync_most_ns);
    COVER(SYNC_SLOW);
    return choose_between(CHOICE_DISK, SLOW_LEAST_NS, SLOW_MOST_NS);
}

int env_io_sync(struct env_io *io, struct env_file *file, uint64_t cookie)
{
    fiber_preempt_point();
    struct disk_file *on_disk = file->file;
    if (io->under_way == io->depth)
        return EMB_ERR_BUSY;
    struct io_op *op = op_submit(io, on_disk, sync_time(on_disk->disk));
    op->sync = true;
    op->cookie = cookie;
    op->covered = on_disk->covered_writes = on_disk->writes;
    op->size = on_disk->size;
    op->size_change = on_disk->size_changes;
    on_disk->syncs++;
    op->failing = on_disk->disk->failing_syncs > 0;
    on_disk->disk->failing_syncs -= op->failing;
    TRACE("disk-sync", on_disk->disk->host->number, op->covered, "%s: sync of %s begins",
          on_disk->disk->host->name, on_disk->name);
    return EMB_OK;
}

int env_io_poll(struct env_io *io, struct env_completion *completions, int max)
{
    int count = 0;
    struct io_op *op;
    while (count < max && (op = TAILQ_FIRST(&io->done))) {
        completions[count++] = (struct env_completion){.cookie = op->cookie, .result = op->result};
        TAILQ_REMOVE(&io->done, op, link);
        free(op);
        io->under_way--;
    }
    return count;
}

const char *env_io_engine(struct env_io *io)
{
    return "simulated";
}

/* ---- the end --------------------------------------------------------------------------------- */

static void op_forget(struct env_io *io, struct io_op *op)
{
    TAILQ_REMOVE(&io->submitted, op, link);
    op->io = NULL;
    TAILQ_INSERT_TAIL(&simulated.forgotten, op, link);
}

static void op_die(struct io_op *op)
{
    if (!op->sync && choose_one_in(CHOICE_DISK, 2))
        write_part(op);
    else if (!op->sync && choose_one_in(CHOICE_DISK, 2))
        disk_file_write(op->file, op->bytes, op->count, op->offset);
    op_let_go(op);
}

void io_let_go(struct env_io *io)
{
    struct io_op *op;
    while ((op = TAILQ_FIRST(&io->submitted))) {
        op_die(op);
        op_forget(io, op);
    }
}

void io_free(struct env_io *io)
{
    struct io_op *op;
    while ((op = TAILQ_FIRST(&io->submitted))) {
        op_let_go(op);
        op_forget(io, op);
    }
    while ((op = TAILQ_FIRST(&io->done))) {
        TAILQ_REMOVE(&io->done, op, link);
        free(op);
    }
    TAILQ_REMOVE(&io->poller->ios, io, link);
    free(io);
}

void io_forget_all(void)
{
    struct io_op *op;
    while ((op = TAILQ_FIRST(&simulated.forgotten))) {
        TAILQ_REMOVE(&simulated.forgotten, op, link);
        free(op);
    }
}

/* Outside of fibers nothing can be waited for: all is done now. */
void env_io_destroy(struct env_io *io)
{
    struct io_op *op;
    if (!io)
        return;
    while (fiber_current() && !TAILQ_EMPTY(&io->submitted))
        fiber_sleep(LOOK_AGAIN_NS);
    while ((op = TAILQ_FIRST(&io->submitted))) {
        op_finish(op);
        op_forget(io, op);
    }
    io_free(io);
}

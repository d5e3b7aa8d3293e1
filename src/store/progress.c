/*
 * What is under way: writes of full chunks and flushed parts, one sync at a time, and what their
 * ends allow. A sync is asked for only when all writes before it have ended, because it covers no
 * others.
 */
#include "store/progress.h"

#include <stdlib.h>

#include "base/assert.h"
#include "store/state.h"

#define COMPLETIONS 16

int store_fail(struct store *store, int code, const char *file, const char *what, uint64_t offset)
{
    if (store->failure.code)
        return store->failure.code;
    return error_set(&store->failure, code,
                     "store %s: %s %s at offset %llu failed (%s); the store takes nothing more: "
                     "check the disk and its free space, then the store",
                     store->options.path, what, file, (unsigned long long)offset, error_text(code));
}

/* The file that a stream offset belongs to, if it may be written now. */
static const struct store_file *file_of(const struct store *store, uint64_t stream_offset)
{
    if (store->closing.file && stream_offset < store->closing.stream_end)
        return &store->closing;
    return &store->current;
}

/* How far the stream may be written: the next file waits for the closing one to be synced. */
static uint64_t submit_limit(const struct store *store)
{
    if (store->closing.file)
        return store->closing.stream_end;
    return store->phase == STORE_READY ? UINT64_MAX : store->current.stream_from;
}

int store_submit(struct store *store)
{
    struct staging *staging = &store->staging;
    struct staging_piece piece;
    int work = 0;
    while (!store->failure.code && staging_next(staging, submit_limit(store), &piece)) {
        const struct store_file *file = file_of(store, piece.from);
        uint64_t offset = store_file_offset(file, piece.from);
        if (file == &store->current)
            store_reserve_ahead(store, offset + (piece.end - piece.from));
        int rc = env_io_write(store->io, file->file, staging_at(staging, piece.from),
                              piece.end - piece.from, offset, staging->piece_next);
        if (rc == EMB_ERR_BUSY)
            return work;
        if (rc) {
            store_fail(store, rc, file->name, "writing", offset);
            return work;
        }
        staging_submit(staging, &piece);
        work++;
    }
    return work;
}

static void write_ended(struct store *store, const struct env_completion *completion)
{
    const struct staging_piece *piece = staging_piece(&store->staging, completion->cookie);
    const struct store_file *file = file_of(store, piece->from);
    uint64_t offset = store_file_offset(file, piece->from);
    if (completion->result < 0)
        store_fail(store, (int)completion->result, file->name, "writing", offset);
    else if ((uint64_t)completion->result != piece->end - piece->from)
        store_fail(store, EMB_ERR_IO, file->name, "writing all of", offset);
    if (store->failure.code == EMB_OK)
        staging_finish(&store->staging, completion->cookie);
}

static void head_ended(struct store *store, const struct env_completion *completion)
{
    if (completion->result != (int64_t)store->current.head_bytes) {
        int code = completion->result < 0 ? (int)completion->result : EMB_ERR_IO;
        store_fail(store, code, store->current.name, "writing", 0);
        return;
    }
    free(store->head);
    store->head = NULL;
    store->phase = STORE_READY;
}

static void sync_ended(struct store *store, const struct env_completion *completion,
                       uint64_t now_ns)
{
    struct store_sync_state sync = store->sync;
    const struct store_file *file =
        sync.file == store->closing.file ? &store->closing : &store->current;
    store->sync.active = false;
    if (completion->result < 0) {
        store_fail(store, (int)completion->result, file->name, "syncing",
                   store_file_offset(file, sync.end));
        return;
    }
    if (store->failure.code)
        return;
    store->synced = sync.position;
    if (file == &store->current)
        store->current.synced_bytes = store_file_offset(file, sync.end);
    store->counters.syncs++;
    store->counters.sync_ns_total += now_ns - sync.started_ns;
    if (sync.closes)
        store_closed_file(store);
}

static int completions_take(struct store *store, uint64_t now_ns)
{
    struct env_completion completions[COMPLETIONS];
    int taken = env_io_poll(store->io, completions, COMPLETIONS);
    for (int i = 0; i < taken; i++) {
        if (completions[i].cookie == PROGRESS_HEAD)
            head_ended(store, &completions[i]);
        else if (completions[i].cookie == PROGRESS_SYNC)
            sync_ended(store, &completions[i], now_ns);
        else
            write_ended(store, &completions[i]);
    }
    return taken;
}

/* A sync that was asked for comes first; then the one that ends a file. */
static void closing_start(struct store *store)
{
    const struct store_file *old = &store->closing;
    if (!old->file || store->sync.active)
        return;
    store->sync = (struct store_sync_state){
        .active = true,
        .closes = true,
        .end = old->stream_end,
        .position = old->end_position,
        .file = old->file,
    };
}

static int sync_start(struct store *store, uint64_t now_ns)
{
    struct store_sync_state *sync = &store->sync;
    if (!sync->active || sync->submitted || store->staging.done < sync->end)
        return 0;
    int rc = env_io_sync(store->io, sync->file, PROGRESS_SYNC);
    if (rc == EMB_ERR_BUSY)
        return 0;
    if (rc) {
        store_fail(store, rc, store->current.name, "syncing", 0);
        return 0;
    }
    sync->submitted = true;
    sync->started_ns = now_ns;
    return 1;
}

int store_do_work(struct store *store, uint64_t now_ns)
{
    if (!store->begun)
        return 0;
    int work = completions_take(store, now_ns);
    if (store->failure.code)
        return work;
    closing_start(store);
    work += store_submit(store);
    if (store->failure.code == EMB_OK)
        work += sync_start(store, now_ns);
    return work;
}

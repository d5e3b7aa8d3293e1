/*
 * How it works. A file begins with a head - the header block, the snapshot, a PAD - that is built
 * in memory of its own when the first entry that no longer fits the old file arrives, because only
 * then does the snapshot belong to that position. The old file gets its last SYNC frame at once;
 * the new one is created when that sync is done, so that a file in the directory proves its
 * predecessors whole. What is appended meanwhile waits in the staging.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/progress.h"
#include "store/state.h"

#define SNAPSHOT_FIRST_BYTES (1ULL << 20)
#define SNAPSHOT_MAX_BYTES   (1ULL << 31)
#define RESERVE_LEAST_BYTES  (1ULL << 20)

/* A head with room for a snapshot of this size, and for the frames around it. */
static uint64_t head_room(uint64_t snapshot_bytes)
{
    return align_up(2 * STORE_BLOCK_BYTES + store_frame_total(snapshot_bytes), STORE_BLOCK_BYTES);
}

/* Asks for the snapshot with more and more room; its bytes, or why there is none. */
static int64_t snapshot_take(struct store *store, unsigned char **head)
{
    uint64_t capacity = store->options.snapshot ? SNAPSHOT_FIRST_BYTES : 0;
    for (;;) {
        *head = aligned_alloc(STORE_BLOCK_BYTES, head_room(capacity));
        if (!*head)
            return EMB_ERR_NO_MEMORY;
        if (!store->options.snapshot)
            return 0;
        unsigned char *at = *head + STORE_BLOCK_BYTES + sizeof(struct store_frame_header);
        int64_t bytes = store->options.snapshot(store->options.snapshot_arg, at, capacity);
        ASSERT(bytes <= (int64_t)capacity);
        if (bytes != EMB_ERR_NO_SPACE || capacity >= SNAPSHOT_MAX_BYTES)
            return bytes;
        free(*head);
        capacity *= 2;
    }
}

/* Puts the frames around the snapshot; the bytes of the whole head. */
static uint64_t head_finish(unsigned char *head, uint64_t first_position, uint64_t snapshot_bytes)
{
    struct frame_place place = {first_position, STORE_BLOCK_BYTES};
    if (snapshot_bytes == 0)
        return STORE_BLOCK_BYTES;
    place.offset += frame_snapshot(head + place.offset, place, first_position, snapshot_bytes);
    uint64_t end = align_up(place.offset, STORE_BLOCK_BYTES);
    if (end > place.offset)
        frame_pad(head + place.offset, place, first_position, end - place.offset);
    return end;
}

int store_prepare_file(struct store *store, struct store_file *file, uint64_t first_position,
                       uint64_t index, struct error *err)
{
    unsigned char *head = NULL;
    int64_t snapshot_bytes = snapshot_take(store, &head);
    if (snapshot_bytes < 0) {
        free(head);
        return error_set(err, (int)snapshot_bytes, "store %s: no snapshot for position %llu: %s",
                         store->options.path, (unsigned long long)first_position,
                         error_text((int)snapshot_bytes));
    }
    *file = (struct store_file){
        .first_position = first_position,
        .index = index,
        .stream_from = store->staging.tail,
        .head_bytes = head_finish(head, first_position, (uint64_t)snapshot_bytes),
    };
    frame_file_name(file->name, first_position);
    frame_file_header((struct store_file_header *)head, store->uuid, store->options.node,
                      store->options.life, first_position, index);
    store->head = head;
    store->phase = STORE_WAITS;
    return EMB_OK;
}

/* However large the snapshot is, file_bytes of log fit behind it. */
static uint64_t file_bytes_most(const struct store *store, const struct store_file *file)
{
    return file->head_bytes + align_up(store->options.file_bytes, STORE_BLOCK_BYTES);
}

static bool reserve(struct store_file *file, uint64_t bytes)
{
    int rc = env_file_preallocate(file->file, bytes, NULL);
    if (rc == EMB_OK)
        file->reserved_bytes = bytes;
    else if (rc != EMB_ERR_NO_SPACE)
        file->cannot_reserve = true;
    return rc == EMB_OK;
}

/*
 * The whole file if possible: then its size is not changed by writing, and a sync has less to do.
 * Without it a write may fail for want of space, which is when the store ends, not here.
 */
static void reserve_at_first(struct store *store)
{
    struct store_file *file = &store->current;
    uint64_t bytes = file_bytes_most(store, file);
    while (!reserve(file, bytes) && !file->cannot_reserve && bytes / 2 >= RESERVE_LEAST_BYTES)
        bytes = align_up(bytes / 2, STORE_BLOCK_BYTES);
}

void store_reserve_ahead(struct store *store, uint64_t offset)
{
    struct store_file *file = &store->current;
    uint64_t ahead = align_up(offset + store->options.preallocate_bytes, STORE_BLOCK_BYTES);
    uint64_t wanted = min_u64(ahead, file_bytes_most(store, file));
    if (!file->cannot_reserve && wanted > file->reserved_bytes)
        reserve(file, wanted);
}

int store_begin_file(struct store *store, struct error *err)
{
    struct store_file *file = &store->current;
    unsigned flags = ENV_FILE_CREATE | ENV_FILE_WRITE;
    if (store->options.direct)
        flags |= ENV_FILE_DIRECT;
    int rc = env_file_open(store->dir, file->name, flags, &file->file, err);
    if (rc)
        return rc;
    reserve_at_first(store);
    rc = env_dir_sync(store->dir, err);
    if (rc)
        return rc;
    rc = env_io_write(store->io, file->file, store->head, file->head_bytes, 0, PROGRESS_HEAD);
    if (rc)
        return error_set(err, rc, "store %s: file %s cannot be begun: %s", store->options.path,
                         file->name, error_text(rc));
    store->phase = STORE_HEAD;
    store->counters.files++;
    return EMB_OK;
}

int store_roll(struct store *store, uint64_t position)
{
    if (store->closing.file || store->phase != STORE_READY ||
        !staging_fits(&store->staging, STORE_SYNC_RESERVE))
        return EMB_ERR_BUSY;
    struct store_file old = store->current;
    store_put_sync(store, true);
    int rc = store_prepare_file(store, &store->current, position, old.index + 1, &store->failure);
    old.stream_end = store->staging.tail;
    old.end_position = store->appended;
    store->closing = old;
    if (rc)
        store->current.file = NULL;
    return rc;
}

void store_closed_file(struct store *store)
{
    struct store_file *old = &store->closing;
    /* Gives the reserved rest back; if this is lost in a crash, the rest is zeros. */
    env_file_truncate(old->file, store_file_offset(old, old->stream_end), NULL);
    env_file_close(old->file);
    old->file = NULL;
    store_begin_file(store, &store->failure);
}

/* The contract of store.h but for reading: opening, appending, asking for a sync. */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "batch/batch.h"
#include "store/state.h"

#define FILE_BYTES        (256ULL << 20)
#define PREALLOCATE_BYTES (64ULL << 20)
#define STAGING_BYTES     (32ULL << 20)

static void find_log(void *arg, const char *name)
{
    char *found = arg;
    uint64_t position;
    if (!found[0] && frame_file_name_read(name, &position))
        memcpy(found, name, STORE_NAME_BYTES);
}

static int directory_take(struct store *store, struct error *err)
{
    const struct store_options *options = &store->options;
    unsigned flags = ENV_DIR_WRITE | (options->locked ? 0u : ENV_DIR_LOCK) |
                     (options->create ? ENV_DIR_CREATE : 0u);
    char found[STORE_NAME_BYTES] = "";
    int rc = env_dir_open(store->env, options->path, flags, &store->dir, err);
    if (rc == EMB_OK)
        rc = env_dir_list(store->dir, find_log, found, err);
    if (rc == EMB_OK && found[0])
        rc = error_set(err, EMB_ERR_EXISTS,
                       "directory %s already holds a log (%s), which is never overwritten; move it "
                       "away or choose another directory",
                       options->path, found);
    return rc;
}

static int options_take(struct store *store, const struct store_options *options, struct error *err)
{
    store->options = *options;
    store->options.path = strdup(options->path);
    if (!options->file_bytes)
        store->options.file_bytes = FILE_BYTES;
    if (!options->preallocate_bytes)
        store->options.preallocate_bytes = PREALLOCATE_BYTES;
    if (!options->staging_bytes)
        store->options.staging_bytes = STAGING_BYTES;
    if (!store->options.path)
        return error_set(err, EMB_ERR_NO_MEMORY, "store %s: no memory", options->path);
    return EMB_OK;
}

static int open_steps(struct store *store, struct env_poller *poller,
                      const struct store_options *options, struct error *err)
{
    int rc = options_take(store, options, err);
    if (rc == EMB_OK)
        rc = directory_take(store, err);
    if (rc == EMB_OK)
        rc = env_io_create(poller, STAGING_WRITES_MAX + 2, &store->io, err);
    if (rc)
        return rc;
    store->counters.engine = env_io_engine(store->io);
    env_random(store->env, store->uuid, sizeof(store->uuid));
    return EMB_OK;
}

int store_open(struct env *env, struct env_poller *poller, const struct store_options *options,
               struct store **store, struct error *err)
{
    struct store *opened = calloc(1, sizeof(*opened));
    if (!opened)
        return error_set(err, EMB_ERR_NO_MEMORY, "store %s: no memory", options->path);
    opened->env = env;
    int rc = open_steps(opened, poller, options, err);
    if (rc)
        store_close(opened);
    else
        *store = opened;
    return rc;
}

static int begin_steps(struct store *store, uint64_t first_position, struct error *err)
{
    uint64_t bytes = store->options.staging_bytes;
    if (!staging_init(&store->staging, bytes, first_position))
        return error_set(err, EMB_ERR_NO_MEMORY, "store %s: no memory for %llu bytes of staging",
                         store->options.path, (unsigned long long)bytes);
    store->appended = store->synced = first_position;
    int rc = store_prepare_file(store, &store->current, first_position, 0, err);
    return rc ? rc : store_begin_file(store, err);
}

/* A log that was never begun must not be in the way of the next try. */
static void begin_undo(struct store *store)
{
    bool begun = store->current.file != NULL;
    env_io_destroy(store->io); /* its writes first */
    store->io = NULL;
    env_file_close(store->current.file);
    store->current.file = NULL;
    if (begun)
        env_dir_remove(store->dir, store->current.name, NULL);
}

int store_begin(struct store *store, uint64_t first_position, struct error *err)
{
    ASSERT(!store->begun && !store->failure.code);
    struct error why;
    int rc = begin_steps(store, first_position, &why);
    if (rc == EMB_OK) {
        store->begun = true;
        return EMB_OK;
    }
    begin_undo(store);
    store->failure = why;
    return error_set(err, rc, "%s", why.text);
}

/*
 * A SYNC frame proves the syncs before it, so one more proves the last one. It need not be synced
 * itself: if it is lost, the last group counts as unproven, as after a crash.
 */
static void prove_last_sync(struct store *store)
{
    bool at_rest = !store->failure.code && store->phase == STORE_READY &&
                   !store_sync_under_way(store) && store->synced == store->appended;
    if (!at_rest || store->current.synced_bytes == 0)
        return;
    store_put_sync(store, false);
    store_submit(store);
}

/* Gives reserved space back. A store that failed is left as it is. */
static void file_release(struct store *store, struct store_file *file, uint64_t stream_end)
{
    if (!file->file)
        return;
    if (store->failure.code == EMB_OK)
        env_file_truncate(file->file, store_file_offset(file, stream_end), NULL);
    env_file_close(file->file);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    prove_last_sync(store);
    if (store->io)
        env_io_destroy(store->io);
    uint64_t written = store->staging.submitted;
    file_release(store, &store->closing, min_u64(written, store->closing.stream_end));
    file_release(store, &store->current, max_u64(written, store->current.stream_from));
    env_dir_close(store->dir);
    staging_free(&store->staging);
    free(store->head);
    free((char *)store->options.path);
    free(store);
}

static void put_entry(struct store *store, uint64_t position, const struct goi_entry_shared *entry,
                      const void *payload, size_t payload_bytes)
{
    struct staging *staging = &store->staging;
    uint64_t from = staging->tail;
    struct frame_place place = {store->current.first_position,
                                store_file_offset(&store->current, from)};
    struct frame_entry_head head;
    size_t head_bytes = frame_entry(&head, place, position, entry, payload, payload_bytes);
    size_t prefix = head_bytes - sizeof(head.frame);
    staging_put(staging, &head, head_bytes);
    if (payload_bytes > prefix)
        staging_put(staging, (const char *)payload + prefix, payload_bytes - prefix);
    staging_put_zeros(staging, from + head.frame.header.total_bytes - staging->tail);
    staging_frame_ends(staging, from, store->appended, position + 1);
    store->appended = position + 1;
    store->unsynced_bytes += head.frame.header.total_bytes;
    store->counters.appended_bytes += head.frame.header.total_bytes;
    store->counters.payload_bytes += payload_bytes;
    store->counters.entries++;
    store->current.has_entries = true;
}

/* A full chunk's worth may lie about without being written: a frame must fit beside it. */
static bool could_ever_fit(const struct store *store, uint64_t total_bytes, size_t payload_bytes)
{
    const struct staging *staging = &store->staging;
    return payload_bytes <= BATCH_MAX_BYTES &&
           total_bytes + staging->chunk_bytes + STORE_SYNC_RESERVE <= staging->capacity;
}

static bool file_is_full(const struct store *store, uint64_t total_bytes)
{
    uint64_t used_bytes = store->staging.tail - store->current.stream_from;
    return store->current.has_entries &&
           used_bytes + total_bytes + STORE_SYNC_RESERVE > store->options.file_bytes;
}

int store_append(struct store *store, uint64_t position, const struct goi_entry_shared *entry,
                 const void *payload, size_t payload_bytes)
{
    ASSERT(position >= store->appended && (payload || payload_bytes == 0));
    uint64_t total_bytes = store_frame_total(sizeof(*entry) + payload_bytes);
    if (store->failure.code)
        return store->failure.code;
    if (!could_ever_fit(store, total_bytes, payload_bytes))
        return EMB_ERR_BATCH_TOO_LARGE;
    if (file_is_full(store, total_bytes)) {
        int rc = store_roll(store, position);
        if (rc)
            return rc;
    }
    if (!staging_fits(&store->staging, total_bytes + STORE_SYNC_RESERVE))
        return EMB_ERR_BUSY;
    put_entry(store, position, entry, payload, payload_bytes);
    return EMB_OK;
}

void store_put_sync(struct store *store, bool last)
{
    struct staging *staging = &store->staging;
    const struct store_file *file = &store->current;
    struct frame_place place = {file->first_position, store_file_offset(file, staging->tail)};
    unsigned char pad[STORE_BLOCK_BYTES];
    struct store_sync_frame frame;
    uint64_t from = staging->tail;
    uint64_t pad_bytes = store_pad_bytes(place.offset);
    if (pad_bytes) {
        frame_pad(pad, place, store->appended, pad_bytes);
        staging_put(staging, pad, pad_bytes);
        place.offset += pad_bytes;
    }
    frame_sync(&frame, place, store->appended, store->durable_position, file->synced_bytes,
               store->uuid, last);
    staging_put(staging, &frame, sizeof(frame));
    staging_frame_ends(staging, from, store->appended, store->appended);
    staging_flush(staging, store->appended);
    store->unsynced_bytes = 0;
    store->counters.appended_bytes += pad_bytes + sizeof(frame);
}

int store_sync(struct store *store, uint64_t durable_position)
{
    if (store->failure.code)
        return store->failure.code;
    if (store_sync_under_way(store))
        return EMB_ERR_BUSY;
    store->durable_position = max_u64(store->durable_position, durable_position);
    if (store->unsynced_bytes == 0)
        return EMB_OK;
    store_put_sync(store, false);
    store->sync = (struct store_sync_state){
        .active = true,
        .end = store->staging.tail,
        .position = store->appended,
        .file = store->current.file,
    };
    store_submit(store);
    return store->failure.code;
}

static void put_pad(struct store *store)
{
    struct staging *staging = &store->staging;
    const struct store_file *file = &store->current;
    struct frame_place place = {file->first_position, store_file_offset(file, staging->tail)};
    uint64_t pad_bytes = align_up(staging->tail, STORE_BLOCK_BYTES) - staging->tail;
    unsigned char pad[STORE_BLOCK_BYTES];
    uint64_t from = staging->tail;
    if (!pad_bytes)
        return;
    frame_pad(pad, place, store->appended, pad_bytes);
    staging_put(staging, pad, pad_bytes);
    staging_frame_ends(staging, from, store->appended, store->appended);
    store->counters.appended_bytes += pad_bytes;
}

int store_flush(struct store *store)
{
    if (store->failure.code || store->staging.tail == store->staging.flushed)
        return store->failure.code;
    put_pad(store);
    staging_flush(&store->staging, store->appended);
    store_submit(store);
    return store->failure.code;
}

bool store_sync_under_way(const struct store *store)
{
    return store->sync.active || store->closing.file;
}

uint64_t store_unsynced_bytes(const struct store *store)
{
    return store->unsynced_bytes;
}

uint64_t store_appended(const struct store *store)
{
    return store->appended;
}

uint64_t store_copied(const struct store *store)
{
    return store->staging.done_position;
}

uint64_t store_synced(const struct store *store)
{
    return store->synced;
}

int store_failure(const struct store *store, struct error *err)
{
    if (err)
        *err = store->failure;
    return store->failure.code;
}

const uint8_t *store_uuid(const struct store *store)
{
    return store->uuid;
}

void store_counters(const struct store *store, struct store_counters *counters)
{
    *counters = store->counters;
}

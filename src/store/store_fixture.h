/* A store on the disk in memory, with the turns a replica would give it. Tests only. */
#ifndef STORE_STORE_FIXTURE_H
#define STORE_STORE_FIXTURE_H

#include "store/fake_env.h"
#include "store/store_sample.h"

#define FIXTURE_PATH  "/disk/store"
#define FIXTURE_FIRST 100

static inline struct env_poller *fixture_poller(struct env *env)
{
    return (struct env_poller *)env;
}

/* Small in all respects, so that everything wraps and rolls. */
static inline struct store_options fixture_options(void)
{
    return (struct store_options){.path = FIXTURE_PATH,
                                  .create = true,
                                  .node = 5,
                                  .life = 2,
                                  .file_bytes = 64 << 10,
                                  .preallocate_bytes = 16 << 10,
                                  .staging_bytes = 64 << 10,
                                  .direct = true};
}

static inline struct store *fixture_open(struct env *env, const struct store_options *options)
{
    struct store *store = NULL;
    struct error err = {0};
    int rc = store_open(env, fixture_poller(env), options, &store, &err);
    ASSERT(rc == EMB_OK && store);
    rc = store_begin(store, FIXTURE_FIRST, &err);
    ASSERT(rc == EMB_OK);
    return store;
}

/* Works until the entry is taken or the store has failed. */
static inline int fixture_append(struct store *store, uint64_t position,
                                 const struct sample *sample)
{
    int rc;
    for (int turns = 0; (rc = sample_append(store, position, sample)) == EMB_ERR_BUSY; turns++) {
        ASSERT(turns < 100000);
        store_do_work(store, 1);
    }
    return rc;
}

/* Syncs and works until that is done or the store has failed. */
static inline int fixture_sync(struct store *store, uint64_t durable_position)
{
    int rc;
    for (int turns = 0; (rc = store_sync(store, durable_position)) == EMB_ERR_BUSY; turns++) {
        ASSERT(turns < 100000);
        store_do_work(store, 1);
    }
    for (int turns = 0; rc == EMB_OK && store_sync_under_way(store); turns++) {
        ASSERT(turns < 100000);
        store_do_work(store, 2);
        rc = store_failure(store, NULL);
    }
    return rc;
}

/* Appends mixed entries [from, to); the first failure. */
static inline int fixture_fill(struct store *store, uint64_t from, uint64_t to, size_t most)
{
    int rc = EMB_OK;
    for (uint64_t position = from; position < to && rc == EMB_OK; position++) {
        struct sample sample = sample_mixed(position, most);
        rc = fixture_append(store, position, &sample);
        sample_free(&sample);
    }
    return rc;
}

/* What a scan delivered, compared on the way with what was appended. */
struct fixture_read {
    uint64_t next;  /* position expected */
    size_t most;    /* as given to fixture_fill */
    uint64_t wrong; /* frames that are not what was appended */
    uint64_t snapshots;
    bool may_skip; /* entries may be missing */
};

static inline bool fixture_same(const struct store_frame *frame, const struct sample *sample)
{
    return frame->payload_bytes == sample->payload_bytes &&
           memcmp(&frame->entry, &sample->entry, sizeof(frame->entry)) == 0 &&
           (!sample->payload_bytes ||
            memcmp(frame->payload, sample->payload, sample->payload_bytes) == 0);
}

static inline int fixture_compare(void *arg, const struct store_frame *frame)
{
    struct fixture_read *read = arg;
    read->snapshots += frame->kind == STORE_FRAME_SNAPSHOT;
    if (frame->kind != STORE_FRAME_ENTRY)
        return 0;
    struct sample sample = sample_mixed(frame->position, read->most);
    bool in_order = read->may_skip ? frame->position >= read->next : frame->position == read->next;
    read->wrong += !in_order || !fixture_same(frame, &sample);
    read->next = frame->position + 1;
    sample_free(&sample);
    return 0;
}

#endif

/* The store on a real disk: what is appended is what stands in the files, and who may open them. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/format.h"
#include "store/frame.h"
#include "store/store_sample.h"

#define MOST 20000

struct place {
    struct env *env;
    struct env_poller *poller;
    char root[256];
    char path[300];
    struct store *store;
};

static int remove_one(const char *path, const struct stat *found, int type, struct FTW *where)
{
    return remove(path);
}

static int place_open(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    ASSERT(place);
    place->env = env_create();
    const char *root = getenv("TMPDIR");
    snprintf(place->root, sizeof(place->root), "%s/embarcadero-store-XXXXXX", root ? root : "/tmp");
    ASSERT(place->env && mkdtemp(place->root) &&
           env_poller_create(place->env, &place->poller) == EMB_OK);
    snprintf(place->path, sizeof(place->path), "%s/a/store", place->root);
    *state = place;
    return 0;
}

static int place_close(void **state)
{
    struct place *place = *state;
    store_close(place->store);
    env_poller_destroy(place->poller);
    env_destroy(place->env);
    nftw(place->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(place);
    return 0;
}

static struct store_options options_of(const struct place *place)
{
    return (struct store_options){.path = place->path,
                                  .create = true,
                                  .node = 3,
                                  .life = 9,
                                  .file_bytes = 256 << 10,
                                  .staging_bytes = 256 << 10,
                                  .direct = true};
}

/* One turn; sleeps in the poller when there was nothing to do. */
static void work(struct place *place)
{
    if (store_do_work(place->store, env_now_ns(place->env)) == 0)
        env_poller_wait(place->poller, 5000000);
    ASSERT_CODE(store_failure(place->store, NULL), EMB_OK);
}

static void append(struct place *place, uint64_t position, const struct sample *sample)
{
    int rc;
    while ((rc = sample_append(place->store, position, sample)) == EMB_ERR_BUSY)
        work(place);
    ASSERT_CODE(rc, EMB_OK);
}

static void sync_all(struct place *place, uint64_t durable_position)
{
    int rc;
    while ((rc = store_sync(place->store, durable_position)) == EMB_ERR_BUSY)
        work(place);
    ASSERT_CODE(rc, EMB_OK);
    while (store_sync_under_way(place->store))
        work(place);
}

static void fill(struct place *place, uint64_t from, uint64_t to)
{
    for (uint64_t position = from; position < to; position++) {
        struct sample sample = sample_mixed(position, MOST);
        append(place, position, &sample);
        sample_free(&sample);
        if (position % 40 == 7)
            store_sync(place->store, position);
        store_do_work(place->store, 0);
    }
}

static int compare(void *arg, const struct store_frame *frame)
{
    uint64_t *next = arg;
    if (frame->kind != STORE_FRAME_ENTRY)
        return 0;
    struct sample sample = sample_mixed(frame->position, MOST);
    assert_int_equal(frame->position, *next);
    assert_int_equal(frame->payload_bytes, sample.payload_bytes);
    assert_memory_equal(&frame->entry, &sample.entry, sizeof(frame->entry));
    if (sample.payload_bytes)
        assert_memory_equal(frame->payload, sample.payload, sample.payload_bytes);
    sample_free(&sample);
    ++*next;
    return 0;
}

/* Walks one file by its lengths alone, without the scan; positions found. */
static uint64_t walk_file(const char *directory, uint64_t first_position, uint64_t next)
{
    char name[STORE_NAME_BYTES], path[600];
    frame_file_name(name, first_position);
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    struct store_frame_header header;
    long offset = STORE_BLOCK_BYTES;
    while (fseek(file, offset, SEEK_SET) == 0 && fread(&header, sizeof(header), 1, file) == 1) {
        assert_int_equal(header.magic, STORE_FRAME_MAGIC);
        if (header.kind == STORE_FRAME_SYNC)
            assert_int_equal((offset + 64) % STORE_BLOCK_BYTES, 0);
        if (header.kind == STORE_FRAME_ENTRY) {
            struct sample sample = sample_mixed(next, MOST);
            unsigned char *bytes = malloc(64 + sample.payload_bytes);
            assert_non_null(bytes);
            assert_int_equal(header.position, next++);
            assert_int_equal(header.payload_bytes, sample.payload_bytes);
            assert_int_equal(fread(bytes, 64 + sample.payload_bytes, 1, file), 1);
            assert_memory_equal(bytes, &sample.entry, 64);
            if (sample.payload_bytes)
                assert_memory_equal(bytes + 64, sample.payload, sample.payload_bytes);
            free(bytes);
            sample_free(&sample);
        }
        offset += header.total_bytes;
    }
    fclose(file);
    return next;
}

static struct store *begin_store(struct place *place, const struct store_options *options)
{
    struct store *store;
    struct error err;
    ASSERT_CODE(store_open(place->env, place->poller, options, &store, &err), EMB_OK);
    ASSERT_CODE(store_begin(store, 0, &err), EMB_OK);
    return store;
}

static void what_is_appended_stands_in_the_files(void **state)
{
    struct place *place = *state;
    struct store_options options = options_of(place);
    struct error err;
    place->store = begin_store(place, &options);
    fill(place, 0, 300);
    sync_all(place, 299);
    assert_int_equal(store_synced(place->store), 300);
    uint8_t uuid[16];
    memcpy(uuid, store_uuid(place->store), sizeof(uuid));
    struct store_counters counters;
    store_counters(place->store, &counters);
    assert_true(counters.files > 3 && counters.syncs > counters.files);
    assert_int_equal(counters.entries, 300);
    store_close(place->store);
    place->store = NULL;

    uint64_t next = 0;
    struct store_summary summary;
    ASSERT_CODE(store_scan(place->env, place->path, compare, &next, &summary, &err), EMB_OK);
    assert_int_equal(next, 300);
    assert_int_equal(summary.synced_position, 300);
    assert_int_equal(summary.durable_position, 299);
    assert_int_equal(summary.files, counters.files);
    assert_int_equal(summary.payload_bytes, counters.payload_bytes);
    assert_int_equal(summary.node, 3);
    assert_int_equal(summary.life, 9);
    assert_false(summary.torn_tail);
    assert_memory_equal(summary.uuid, uuid, 16);

    for (next = 0; next < 300;)
        next = walk_file(place->path, next, next);
}

static void the_largest_batch_fits_default_sizes(void **state)
{
    struct place *place = *state;
    struct store_options options = {.path = place->path, .create = true, .direct = true};
    place->store = begin_store(place, &options);
    struct sample largest = sample_batch(0, BATCH_MAX_BYTES - 200);
    assert_true(largest.payload_bytes > BATCH_MAX_BYTES - 200);
    append(place, 0, &largest);
    append(place, 1, &largest);
    append(place, 2, &largest);
    sync_all(place, 0);
    assert_int_equal(store_appended(place->store), 3);
    assert_int_equal(store_synced(place->store), 3);
    sample_free(&largest);
}

static void a_log_is_never_overwritten_nor_shared(void **state)
{
    struct place *place = *state;
    struct store_options options = options_of(place);
    struct store *second = NULL;
    struct store_summary summary;
    struct error err;
    place->store = begin_store(place, &options);
    ASSERT_CODE(store_open(place->env, place->poller, &options, &second, &err), EMB_ERR_BUSY);
    assert_non_null(strstr(err.text, place->path));
    ASSERT_CODE(store_scan(place->env, place->path, NULL, NULL, &summary, &err), EMB_ERR_BUSY);
    store_close(place->store);
    place->store = NULL;
    ASSERT_CODE(store_open(place->env, place->poller, &options, &second, &err), EMB_ERR_EXISTS);
    assert_non_null(strstr(err.text, "00000000000000000000.log"));
    ASSERT_CODE(store_scan(place->env, place->path, NULL, NULL, &summary, &err), EMB_OK);
    assert_int_equal(summary.entries, 0);
}

static void missing_directories_are_named(void **state)
{
    struct place *place = *state;
    struct store_options options = options_of(place);
    struct store_summary summary;
    struct error err;
    options.create = false;
    ASSERT_CODE(store_open(place->env, place->poller, &options, &place->store, &err),
                EMB_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, place->path));
    ASSERT_CODE(store_scan(place->env, place->path, NULL, NULL, &summary, &err), EMB_ERR_NOT_FOUND);
    /* A look at a directory that holds no log leaves nothing there. */
    ASSERT_CODE(store_scan(place->env, place->root, NULL, NULL, &summary, &err), EMB_ERR_NOT_FOUND);
    assert_int_equal(rmdir(place->root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_appended_stands_in_the_files, place_open,
                                        place_close),
        cmocka_unit_test_setup_teardown(the_largest_batch_fits_default_sizes, place_open,
                                        place_close),
        cmocka_unit_test_setup_teardown(a_log_is_never_overwritten_nor_shared, place_open,
                                        place_close),
        cmocka_unit_test_setup_teardown(missing_directories_are_named, place_open, place_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A store on a disk that fails, fills up, completes in any order and loses power. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "store/store_fixture.h"

#define MOST  3000
#define SEEDS 150

static int rescan(struct env *env, struct store_summary *summary, struct error *err)
{
    struct fixture_read read = {.next = 100, .most = MOST};
    int rc = store_scan(env, FIXTURE_PATH, fixture_compare, &read, summary, err);
    assert_int_equal(read.wrong, 0);
    assert_int_equal(read.next, summary->entries + 100);
    return rc;
}

static void any_order_of_completions_gives_the_same_log(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct env *env = fake_create(seed);
        struct store_options options = fixture_options();
        struct store *store = fixture_open(env, &options);
        uint64_t copied = 100, synced = 100;
        for (uint64_t position = 100; position < 400; position++) {
            assert_int_equal(fixture_fill(store, position, position + 1, MOST), EMB_OK);
            if (position % 17 == 0)
                store_sync(store, position);
            if (position % 5 == seed % 5)
                assert_int_equal(store_flush(store), EMB_OK);
            store_do_work(store, position);
            assert_true(store_copied(store) >= copied && store_synced(store) >= synced);
            assert_true(store_synced(store) <= store_copied(store));
            assert_true(store_copied(store) <= store_appended(store));
            copied = store_copied(store);
            synced = store_synced(store);
        }
        assert_int_equal(fixture_sync(store, 399), EMB_OK);
        assert_int_equal(store_synced(store), 400);
        assert_int_equal(store_copied(store), 400);
        assert_int_equal(store_unsynced_bytes(store), 0);
        store_close(store);
        struct store_summary summary;
        ASSERT_CODE(rescan(env, &summary, NULL), EMB_OK);
        assert_int_equal(summary.entries, 300);
        assert_int_equal(summary.payloads, 200);
        assert_int_equal(summary.synced_position, 400);
        assert_int_equal(summary.durable_position, 399);
        assert_true(summary.files > 5 && !summary.torn_tail);
        assert_int_equal(env->written_twice, 0);
        fake_destroy(env);
    }
}

/* Without a sync only full chunks are written, and a frame counts when its last byte is. */
static void copied_is_what_stands_in_the_file_whole(void **state)
{
    for (uint64_t end = 101; end < 130; end++) {
        struct env *env = fake_create(end);
        struct store_options options = fixture_options();
        struct store *store = fixture_open(env, &options);
        assert_int_equal(fixture_fill(store, 100, end, MOST), EMB_OK);
        for (int i = 0; i < 200; i++)
            store_do_work(store, 1);
        uint64_t copied = store_copied(store);
        assert_int_equal(store_synced(store), 100);
        store_close(store);
        struct store_summary summary;
        ASSERT_CODE(rescan(env, &summary, NULL), EMB_OK);
        assert_int_equal(summary.end_position, copied);
        assert_true(end < 110 || copied > 100);
        fake_destroy(env);
    }
}

/* A flush writes all of it, whole blocks, and syncs nothing. */
static void a_flush_writes_what_is_appended(void **state)
{
    for (uint64_t end = 101; end < 130; end++) {
        struct env *env = fake_create(end);
        struct store_options options = fixture_options();
        struct store *store = fixture_open(env, &options);
        assert_int_equal(fixture_fill(store, 100, end, MOST), EMB_OK);
        assert_int_equal(store_flush(store), EMB_OK);
        assert_int_equal(store_flush(store), EMB_OK);
        for (int i = 0; i < 200; i++)
            store_do_work(store, 1);
        assert_int_equal(store_copied(store), end);
        assert_int_equal(store_synced(store), 100);
        assert_int_equal(env->written_twice, 0);
        store_close(store);
        struct store_summary summary;
        ASSERT_CODE(rescan(env, &summary, NULL), EMB_OK);
        assert_int_equal(summary.end_position, end);
        fake_destroy(env);
    }
}

/* Whatever is lost with the power, what was synced is there and the rest is a clean tail. */
static void a_crash_loses_nothing_that_was_synced(void **state)
{
    uint64_t torn = 0, lost = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct env *env = fake_create(seed);
        struct store_options options = fixture_options();
        struct store *store = fixture_open(env, &options);
        uint64_t end = 101 + random_below(&env->random, 150);
        for (uint64_t position = 100; position < end; position++) {
            assert_int_equal(fixture_fill(store, position, position + 1, MOST), EMB_OK);
            if (random_below(&env->random, 8) == 0)
                store_sync(store, position);
            store_do_work(store, position);
        }
        uint64_t synced = store_synced(store);
        fake_crash(env);
        struct store_summary summary;
        struct error err = {0};
        int rc = rescan(env, &summary, &err);
        if (rc == EMB_ERR_NOT_FOUND) /* even the first file's name was lost */
            assert_int_equal(synced, 100);
        else
            ASSERT_CODE(rc, EMB_OK);
        assert_true(rc || (summary.end_position >= synced && summary.synced_position >= synced));
        torn += summary.torn_tail;
        lost += rc == EMB_OK && summary.end_position < store_appended(store);
        env->hold = true;
        store_close(store);
        fake_destroy(env);
    }
    assert_true(torn > 10 && lost > 10);
}

/* One failure anywhere: the store ends, claims nothing more, and what it claimed is on the disk. */
static void fails_once(int nth_write, int nth_sync, int nth_dir_sync)
{
    struct env *env = fake_create((uint64_t)(nth_write + 100 * nth_sync + 7));
    struct store_options options = fixture_options();
    struct store *store = fixture_open(env, &options);
    env->fail_write = nth_write;
    env->fail_sync = nth_sync;
    env->fail_dir_sync = nth_dir_sync;
    int rc = EMB_OK;
    uint64_t position = 100;
    for (; position < 500 && rc == EMB_OK; position++) {
        rc = fixture_fill(store, position, position + 1, MOST);
        if (rc == EMB_OK && position % 11 == 0)
            rc = fixture_sync(store, position);
    }
    assert_int_equal(rc, EMB_ERR_IO);
    struct error err;
    assert_int_equal(store_failure(store, &err), EMB_ERR_IO);
    assert_true(nth_dir_sync || (strstr(err.text, ".log") && strstr(err.text, "at offset")));
    uint64_t synced = store_synced(store), copied = store_copied(store);
    struct sample sample = sample_bare(position);
    for (int i = 0; i < 50; i++)
        store_do_work(store, 9);
    assert_int_equal(sample_append(store, position, &sample), EMB_ERR_IO);
    assert_int_equal(store_sync(store, 1000), EMB_ERR_IO);
    assert_int_equal(store_synced(store), synced);
    assert_int_equal(store_copied(store), copied);
    store_close(store);
    fake_crash(env);
    struct store_summary summary;
    rc = store_scan(env, FIXTURE_PATH, NULL, NULL, &summary, NULL);
    assert_true(rc == EMB_OK && summary.end_position >= synced && summary.corrupt == 0);
    fake_destroy(env);
}

static void a_failed_write_or_sync_ends_the_store(void **state)
{
    for (int nth = 1; nth <= 40; nth++)
        fails_once(nth, 0, 0);
    for (int nth = 1; nth <= 15; nth++)
        fails_once(0, nth, 0);
    for (int nth = 1; nth <= 3; nth++)
        fails_once(0, 0, nth);
}

static void a_full_disk_ends_the_store_only_when_a_write_fails(void **state)
{
    struct env *env = fake_create(3);
    struct store_options options = fixture_options();
    env->capacity_bytes = 150 << 10; /* two files of 64 KiB and a bit */
    struct store *store = fixture_open(env, &options);
    int rc = EMB_OK;
    uint64_t position = 100;
    for (; rc == EMB_OK; position++)
        rc = fixture_fill(store, position, position + 1, MOST);
    assert_int_equal(rc, EMB_ERR_NO_SPACE);
    struct error err;
    assert_int_equal(store_failure(store, &err), EMB_ERR_NO_SPACE);
    assert_non_null(strstr(err.text, "free space"));
    store_close(store);
    struct store_summary summary;
    ASSERT_CODE(rescan(env, &summary, NULL), EMB_OK);
    assert_true(summary.files == 3 && summary.bytes > 120 << 10);
    fake_destroy(env);
}

static void without_preallocation_it_works_too(void **state)
{
    struct env *env = fake_create(4);
    struct store_options options = fixture_options();
    env->refuse_preallocation = true;
    struct store *store = fixture_open(env, &options);
    assert_int_equal(fixture_fill(store, 100, 300, MOST), EMB_OK);
    assert_int_equal(fixture_sync(store, 1), EMB_OK);
    store_close(store);
    struct store_summary summary;
    ASSERT_CODE(rescan(env, &summary, NULL), EMB_OK);
    assert_int_equal(summary.synced_position, 300);
    fake_destroy(env);
}

static void full_staging_is_busy_and_takes_nothing(void **state)
{
    struct env *env = fake_create(5);
    struct store_options options = fixture_options();
    options.file_bytes = 1 << 20;
    struct store *store = fixture_open(env, &options);
    struct sample sample = sample_batch(100, 5000);
    env->hold = true;
    uint64_t position = 100;
    while (sample_append(store, position, &sample) == EMB_OK)
        position++;
    assert_int_equal(sample_append(store, position, &sample), EMB_ERR_BUSY);
    assert_int_equal(store_appended(store), position);
    assert_true(position >= 100 + 9 && position <= 100 + 12);
    assert_int_equal(store_copied(store), 100);
    /* A sync always finds room. */
    assert_int_equal(store_sync(store, 0), EMB_OK);
    assert_true(store_sync_under_way(store));
    assert_int_equal(store_sync(store, 0), EMB_ERR_BUSY);
    env->hold = false;
    while (store_sync_under_way(store))
        store_do_work(store, 1);
    assert_int_equal(store_synced(store), position);
    assert_int_equal(sample_append(store, position, &sample), EMB_OK);
    sample_free(&sample);
    sample = sample_batch(200, 60000);
    assert_int_equal(sample_append(store, 200, &sample), EMB_ERR_BATCH_TOO_LARGE);
    sample_free(&sample);
    store_close(store);
    fake_destroy(env);
}

static void positions_may_jump(void **state)
{
    struct env *env = fake_create(6);
    struct store_options options = fixture_options();
    struct store *store = fixture_open(env, &options);
    static const uint64_t jumps[] = {105, 106, 5000, 5001, 1ULL << 40};
    for (size_t i = 0; i < COUNT_OF(jumps); i++)
        assert_int_equal(fixture_fill(store, jumps[i], jumps[i] + 1, MOST), EMB_OK);
    assert_int_equal(fixture_sync(store, 5001), EMB_OK);
    assert_int_equal(store_synced(store), (1ULL << 40) + 1);
    store_close(store);
    struct fixture_read read = {.next = 100, .most = MOST, .may_skip = true};
    struct store_summary summary;
    ASSERT_CODE(store_scan(env, FIXTURE_PATH, fixture_compare, &read, &summary, NULL), EMB_OK);
    assert_int_equal(read.wrong, 0);
    assert_int_equal(summary.entries, 5);
    assert_int_equal(summary.first_position, 100);
    assert_int_equal(summary.end_position, (1ULL << 40) + 1);
    fake_destroy(env);
}

/* A snapshot of any size, in each file, all of it the position's it is asked at. */
struct snapshots {
    const struct store *store;
    size_t bytes;
    int calls;
    int refuse_from;
};

static int64_t snapshot_write(void *arg, void *bytes, size_t capacity)
{
    struct snapshots *snapshots = arg;
    if (capacity < snapshots->bytes)
        return EMB_ERR_NO_SPACE;
    if (snapshots->refuse_from && snapshots->calls >= snapshots->refuse_from)
        return EMB_ERR_INTERNAL;
    uint64_t position = snapshots->store ? store_appended(snapshots->store) : 100;
    memset(bytes, (int)(position & 0xff), snapshots->bytes);
    snapshots->calls++;
    return (int64_t)snapshots->bytes;
}

static int snapshot_compare(void *arg, const struct store_frame *frame)
{
    const struct snapshots *snapshots = arg;
    const unsigned char *bytes = frame->payload;
    if (frame->kind != STORE_FRAME_SNAPSHOT)
        return 0;
    assert_int_equal(frame->payload_bytes, snapshots->bytes);
    for (size_t i = 0; i < frame->payload_bytes; i++)
        assert_int_equal(bytes[i], frame->position & 0xff);
    return 0;
}

static void each_file_begins_with_a_snapshot(void **state)
{
    static const size_t sizes[] = {1, 4000, 4064, 5000, 3 << 20};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct env *env = fake_create(i + 1);
        struct snapshots snapshots = {.bytes = sizes[i]};
        struct store_options options = fixture_options();
        options.snapshot = snapshot_write;
        options.snapshot_arg = &snapshots;
        struct store *store = fixture_open(env, &options);
        snapshots.store = store;
        assert_int_equal(fixture_fill(store, 100, 220, MOST), EMB_OK);
        assert_int_equal(fixture_sync(store, 0), EMB_OK);
        struct store_counters counters;
        store_counters(store, &counters);
        assert_true(counters.files >= 2);
        assert_int_equal(counters.files, snapshots.calls);
        store_close(store);
        struct store_summary summary;
        ASSERT_CODE(rescan(env, &summary, NULL), EMB_OK);
        assert_int_equal(summary.files, snapshots.calls);
        ASSERT_CODE(store_scan(env, FIXTURE_PATH, snapshot_compare, &snapshots, &summary, NULL),
                    EMB_OK);
        fake_destroy(env);
    }
}

static void a_refused_snapshot_ends_the_store(void **state)
{
    struct env *env = fake_create(9);
    struct snapshots snapshots = {.bytes = 10, .refuse_from = 2};
    struct store_options options = fixture_options();
    options.snapshot = snapshot_write;
    options.snapshot_arg = &snapshots;
    struct store *store = fixture_open(env, &options);
    assert_int_equal(fixture_fill(store, 100, 1000, MOST), EMB_ERR_INTERNAL);
    assert_int_equal(store_failure(store, NULL), EMB_ERR_INTERNAL);
    store_close(store);
    struct store_summary summary;
    ASSERT_CODE(rescan(env, &summary, NULL), EMB_OK);
    assert_int_equal(summary.files, 2);
    fake_destroy(env);
}

static void a_store_that_could_not_be_begun_leaves_no_log(void **state)
{
    struct env *env = fake_create(10);
    struct store_options options = fixture_options();
    struct store *store = NULL;
    struct error err;
    env->fail_dir_sync = 1;
    ASSERT_CODE(store_open(env, fixture_poller(env), &options, &store, &err), EMB_OK);
    assert_int_equal(fake_file_count(env), 0);
    ASSERT_CODE(store_begin(store, FIXTURE_FIRST, &err), EMB_ERR_IO);
    ASSERT_CODE(store_failure(store, &err), EMB_ERR_IO);
    assert_int_equal(fake_file_count(env), 0);
    assert_int_equal(store_do_work(store, 1), 0);
    store_close(store);
    assert_false(env->locked);
    store = fixture_open(env, &options);
    store_close(store);
    fake_destroy(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_completions_gives_the_same_log),
        cmocka_unit_test(copied_is_what_stands_in_the_file_whole),
        cmocka_unit_test(a_flush_writes_what_is_appended),
        cmocka_unit_test(a_crash_loses_nothing_that_was_synced),
        cmocka_unit_test(a_failed_write_or_sync_ends_the_store),
        cmocka_unit_test(a_full_disk_ends_the_store_only_when_a_write_fails),
        cmocka_unit_test(without_preallocation_it_works_too),
        cmocka_unit_test(full_staging_is_busy_and_takes_nothing),
        cmocka_unit_test(positions_may_jump),
        cmocka_unit_test(each_file_begins_with_a_snapshot),
        cmocka_unit_test(a_refused_snapshot_ends_the_store),
        cmocka_unit_test(a_store_that_could_not_be_begun_leaves_no_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

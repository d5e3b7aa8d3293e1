/* What a scan makes of files: golden bytes, every truncation, flipped bits, files in disorder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "store/store_fixture.h"

#define MOST 900

static int scan(struct env *env, struct fixture_read *read, struct store_summary *summary,
                struct error *err)
{
    *read = (struct fixture_read){.next = 100, .most = MOST, .may_skip = true};
    return store_scan(env, FIXTURE_PATH, fixture_compare, read, summary, err);
}

static uint64_t files_of(const struct store *store)
{
    struct store_counters counters;
    store_counters(store, &counters);
    return counters.files;
}

/* Three files; the last has two syncs, some blocks apart, and unsynced entries behind them. */
static struct env *disk_make(uint64_t *synced, uint64_t *end)
{
    struct env *env = fake_create(7);
    struct store_options options = fixture_options();
    options.file_bytes = 32 << 10;
    struct store *store = fixture_open(env, &options);
    uint64_t position = 100;
    while (files_of(store) < 3) {
        assert_int_equal(fixture_fill(store, position, position + 1, MOST), EMB_OK);
        position++;
        store_do_work(store, 1);
    }
    for (int i = 0; i < 2; i++, position += 9) {
        assert_int_equal(fixture_fill(store, position, position + 9, MOST), EMB_OK);
        assert_int_equal(fixture_sync(store, position), EMB_OK);
    }
    *synced = store_synced(store);
    assert_int_equal(*synced, position);
    assert_int_equal(fixture_fill(store, position, position + 14, MOST), EMB_OK);
    for (int i = 0; i < 100; i++)
        store_do_work(store, 3);
    *end = store_appended(store);
    store_close(store);
    assert_int_equal(fake_file_count(env), 3);
    return env;
}

/* The offsets of the last file's two SYNC frames. */
struct syncs {
    const char *file;
    uint64_t offsets[2];
    int count;
};

static int note_sync(void *arg, const struct store_frame *frame)
{
    struct syncs *syncs = arg;
    if (frame->kind == STORE_FRAME_SYNC && strcmp(frame->file, syncs->file) == 0) {
        assert_true(syncs->count < 2);
        syncs->offsets[syncs->count++] = frame->file_offset;
    }
    return 0;
}

static struct syncs find_syncs(struct env *env, const struct env_file *file)
{
    struct store_summary summary;
    struct syncs syncs = {.file = file->name};
    ASSERT_CODE(store_scan(env, FIXTURE_PATH, note_sync, &syncs, &summary, NULL), EMB_OK);
    assert_int_equal(syncs.count, 2);
    assert_true(syncs.offsets[0] > 8000 && syncs.offsets[1] > syncs.offsets[0]);
    return syncs;
}

static void every_truncation_of_the_last_file_is_a_clean_end(void **state)
{
    uint64_t synced, end, whole_ends = 0;
    struct env *env = disk_make(&synced, &end);
    struct env_file *last = fake_file(env, fake_file_count(env) - 1);
    struct fixture_read read;
    struct store_summary summary, full;
    struct error err;
    ASSERT_CODE(scan(env, &read, &full, &err), EMB_OK);
    assert_int_equal(read.wrong, 0);
    for (uint64_t size = last->now.size; size-- > 0;) {
        fake_resize(last, size);
        ASSERT_CODE(scan(env, &read, &summary, &err), EMB_OK);
        assert_int_equal(summary.corrupt, 0);
        assert_int_equal(read.wrong, 0);
        assert_true(summary.end_position <= full.end_position);
        assert_int_equal(read.next, summary.end_position);
        assert_true(summary.synced_position <= summary.end_position);
        whole_ends += !summary.torn_tail;
    }
    /* Only a cut between two frames looks whole. */
    assert_true(whole_ends > 3 && whole_ends < 60);
    fake_destroy(env);
}

static bool scan_sees_flip(struct env *env, struct env_file *file, uint64_t at,
                           struct store_summary *summary, struct error *err)
{
    struct fixture_read read;
    file->now.bytes[at] ^= (unsigned char)(1u << (at % 8));
    int rc = scan(env, &read, summary, err);
    file->now.bytes[at] ^= (unsigned char)(1u << (at % 8));
    assert_int_equal(read.wrong, 0);
    return rc == EMB_ERR_CORRUPT;
}

/* One bit in each stretch of `step` bytes. */
static void flip_each(struct env *env, struct env_file *file, uint64_t end, uint64_t step,
                      uint64_t synced)
{
    for (uint64_t at = 0; at < end; at += step) {
        struct store_summary summary;
        struct error err = {0};
        assert_true(scan_sees_flip(env, file, at, &summary, &err));
        assert_true(summary.corrupt >= 1 && summary.synced_position == synced);
        const char *where = strstr(err.text, "at offset ");
        assert_true(where && strstr(err.text, file->name));
        assert_true(strtoull(where + 10, NULL, 10) <= at);
    }
}

/* The second SYNC frame proves the first sync: everything up to the first frame's end. */
static void flipped_bits_in_what_is_proven_are_named(void **state)
{
    uint64_t synced, end;
    struct env *env = disk_make(&synced, &end);
    struct env_file *last = fake_file(env, 2);
    flip_each(env, last, find_syncs(env, last).offsets[0] + 64, 3, synced);
    /* An earlier file is proven by the later one. */
    flip_each(env, fake_file(env, 0), fake_file(env, 0)->now.size, 13, synced);
    fake_destroy(env);
}

/* Behind it the power may have gone before the sync had ended: no damage, but no bogus frame. */
static void flipped_bits_in_what_is_not_proven_are_the_torn_tail(void **state)
{
    uint64_t synced, end;
    struct env *env = disk_make(&synced, &end);
    struct env_file *last = fake_file(env, 2);
    struct store_summary summary;
    struct error err;
    struct syncs syncs = find_syncs(env, last);
    for (uint64_t at = syncs.offsets[0] + 64; at < last->now.size; at++) {
        bool seen = scan_sees_flip(env, last, at, &summary, &err);
        /* A flip in the proving frame itself takes its proof away, not the frames before. */
        assert_false(seen);
        assert_true(summary.torn_tail && summary.corrupt == 0);
        if (at < syncs.offsets[1] + 64)
            assert_true(summary.synced_position < synced);
        else
            assert_int_equal(summary.synced_position, synced);
    }
    fake_destroy(env);
}

static void a_clean_close_proves_the_last_sync(void **state)
{
    struct env *env = fake_create(1);
    struct store_options options = fixture_options();
    struct store *store = fixture_open(env, &options);
    assert_int_equal(fixture_fill(store, 100, 110, MOST), EMB_OK);
    assert_int_equal(fixture_sync(store, 0), EMB_OK);
    store_close(store);
    struct env_file *file = fake_file(env, 0);
    for (uint64_t at = 0; at + 4096 < file->now.size; at += 5) {
        struct store_summary summary;
        struct error err;
        assert_true(scan_sees_flip(env, file, at, &summary, &err));
    }
    fake_destroy(env);
}

/* A write that was lost before a sync leaves zeros, which must not pass for the end. */
static void zeros_in_what_is_proven_are_corruption(void **state)
{
    uint64_t synced, end;
    struct env *env = disk_make(&synced, &end);
    struct env_file *last = fake_file(env, fake_file_count(env) - 1);
    struct store_summary summary;
    struct fixture_read read;
    memset(last->now.bytes + 4096, 0, 4096);
    ASSERT_CODE(scan(env, &read, &summary, NULL), EMB_ERR_CORRUPT);
    assert_int_equal(read.wrong, 0);
    assert_int_equal(summary.synced_position, synced);
    fake_destroy(env);
}

static void files_in_disorder_are_named(void **state)
{
    uint64_t synced, end;
    struct store_summary summary;
    struct fixture_read read;
    struct error err;
    struct env *env = disk_make(&synced, &end);
    struct env_file *middle = fake_file(env, 1);
    middle->exists = false;
    ASSERT_CODE(scan(env, &read, &summary, &err), EMB_ERR_CORRUPT);
    assert_non_null(strstr(err.text, "missing"));
    middle->exists = true;
    char name[64];
    memcpy(name, middle->name, sizeof(name));
    memcpy(middle->name, "00000000000000000101.log", 24);
    ASSERT_CODE(scan(env, &read, &summary, &err), EMB_ERR_CORRUPT);
    assert_non_null(strstr(err.text, "renamed"));
    memcpy(middle->name, name, sizeof(name));
    ASSERT_CODE(scan(env, &read, &summary, &err), EMB_OK);
    fake_resize(fake_file(env, 0), 8192);
    ASSERT_CODE(scan(env, &read, &summary, &err), EMB_ERR_CORRUPT);
    fake_destroy(env);
}

static void unknown_versions_and_missing_stores_are_refused(void **state)
{
    uint64_t synced, end;
    struct store_summary summary;
    struct error err;
    struct env *env = disk_make(&synced, &end);
    unsigned char *header = fake_file(env, 0)->now.bytes;
    header[8] = 2;
    uint32_t crc = crc32c(header, 4092);
    memcpy(header + 4092, &crc, 4);
    ASSERT_CODE(store_scan(env, FIXTURE_PATH, NULL, NULL, &summary, &err), EMB_ERR_VERSION);
    assert_non_null(strstr(err.text, "version 2"));
    fake_destroy(env);
    env = fake_create(1);
    ASSERT_CODE(store_scan(env, FIXTURE_PATH, NULL, NULL, &summary, &err), EMB_ERR_NOT_FOUND);
    env->has_directory = true;
    ASSERT_CODE(store_scan(env, FIXTURE_PATH, NULL, NULL, &summary, &err), EMB_ERR_NOT_FOUND);
    assert_false(env->locked);
    fake_destroy(env);
}

static int stop_at_third(void *arg, const struct store_frame *frame)
{
    return ++*(int *)arg == 3 ? 77 : 0;
}

static void a_callback_ends_the_scan(void **state)
{
    uint64_t synced, end;
    struct store_summary summary;
    int calls = 0;
    struct env *env = disk_make(&synced, &end);
    ASSERT_CODE(store_scan(env, FIXTURE_PATH, stop_at_third, &calls, &summary, NULL), 77);
    assert_int_equal(calls, 3);
    assert_false(env->locked);
    fake_destroy(env);
}

/* clang-format off */
static const unsigned char golden_header[56] = {
    'E', 'M', 'B', 'S', 'T', 'O', 'R', 'E',         /*  0 magic */
    0x01, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, /*  8 version, block bytes */
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, /* 16 uuid */
    0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
    0x05, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, /* 32 node, life */
    0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 40 first position */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 48 file index */
};
static const unsigned char golden_header_crc[4] = {0x17, 0xd5, 0x2e, 0x1e};
/* At 4096: a SNAPSHOT of "meta!", and a PAD to the end of the block. */
static const unsigned char golden_snapshot[64] = {
    0x45, 0x4d, 0x42, 0x46, 0x03, 0x01, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00,
    0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x75, 0x3a, 0x01, 0x08,
    0x6d, 0x65, 0x74, 0x61, 0x21, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
static const unsigned char golden_head_pad[32] = {
    0x45, 0x4d, 0x42, 0x46, 0x04, 0x01, 0x00, 0x00, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x21, 0xf9, 0x4f, 0x23,
};
/* At 8192: an ENTRY, NOP without payload; at 8288: an ENTRY, DATA with a batch of 70 bytes. */
static const unsigned char golden_entries[96 + 192] = {
    0x45, 0x4d, 0x42, 0x46, 0x01, 0x01, 0x00, 0x00, 0x60, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0xcb, 0x67, 0xc1,
    0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xbc, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x34, 0x12, 0x00, 0x00, 0x00, 0x00,
    0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x3a, 0xe7, 0x23, 0xa1,
    0x45, 0x4d, 0x42, 0x46, 0x01, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x00, 0x00, 0x46, 0x00, 0x00, 0x00,
    0x65, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xdb, 0x56, 0x30, 0x3d,
    0x65, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x46, 0x00, 0x00, 0x03, 0x00, 0x34, 0x12, 0x00, 0x00, 0x00, 0x00,
    0x65, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x65, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x87, 0x39, 0x50, 0x68,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3a, 0xff, 0xff, 0xff, 0xff,
    0x02, 0x7b, 0x25, 0x92, 0x71, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x8b, 0xcf,
    0xe5, 0x68, 0x65, 0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x65, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x12, 0x34, 0x00, 0x03, 0x00, 0x00, 0x00, 0x65, 0x00, 0x00, 0x00, 0x01, 0x10, 0x00, 0x00,
    0x00, 0x01, 0x04, 0x49, 0xe2, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};
/* At 8480: a PAD; at 12224: a SYNC with D = 77, which ends the block. */
static const unsigned char golden_pad[32] = {
    0x45, 0x4d, 0x42, 0x46, 0x04, 0x01, 0x00, 0x00, 0xa0, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x66, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfc, 0x06, 0x9d, 0x12,
};
static const unsigned char golden_sync[64] = {
    0x45, 0x4d, 0x42, 0x46, 0x02, 0x01, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x66, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x4e, 0xb4, 0x4d,
    0x4d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
};
/* From 12288 on, written by the close: a PAD and a SYNC that says 12288 bytes were synced. */
static const unsigned char golden_close_pad[32] = {
    0x45, 0x4d, 0x42, 0x46, 0x04, 0x01, 0x00, 0x00, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x66, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe9, 0x6c, 0xbf, 0x0b,
};
static const unsigned char golden_close_sync[64] = {
    0x45, 0x4d, 0x42, 0x46, 0x02, 0x01, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x66, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe6, 0x4e, 0xec, 0x6a,
    0x4d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x30, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
};
/* clang-format on */

static int64_t golden_meta(void *arg, void *bytes, size_t capacity)
{
    memcpy(bytes, "meta!", 5);
    return 5;
}

static void golden_bytes(void **state)
{
    struct env *env = fake_create(1);
    struct store_options options = fixture_options();
    options.snapshot = golden_meta;
    struct store *store = fixture_open(env, &options);
    struct sample bare = sample_bare(100), batch = sample_batch(101, 2);
    assert_int_equal(batch.payload_bytes, 70);
    ASSERT_CODE(fixture_append(store, 100, &bare), EMB_OK);
    ASSERT_CODE(fixture_append(store, 101, &batch), EMB_OK);
    ASSERT_CODE(fixture_sync(store, 77), EMB_OK);
    store_close(store);
    struct env_file *file = fake_file(env, 0);
    const unsigned char *bytes = file->now.bytes;
    assert_string_equal(file->name, "00000000000000000100.log");
    assert_int_equal(file->now.size, 4 * 4096);
    assert_memory_equal(bytes, golden_header, sizeof(golden_header));
    assert_memory_equal(bytes + 4092, golden_header_crc, 4);
    assert_memory_equal(bytes + 4096, golden_snapshot, sizeof(golden_snapshot));
    assert_memory_equal(bytes + 4160, golden_head_pad, sizeof(golden_head_pad));
    assert_memory_equal(bytes + 8192, golden_entries, sizeof(golden_entries));
    assert_memory_equal(bytes + 8480, golden_pad, sizeof(golden_pad));
    assert_memory_equal(bytes + 12224, golden_sync, sizeof(golden_sync));
    assert_memory_equal(bytes + 12288, golden_close_pad, sizeof(golden_close_pad));
    assert_memory_equal(bytes + 16320, golden_close_sync, sizeof(golden_close_sync));
    sample_free(&batch);
    fake_destroy(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_bytes),
        cmocka_unit_test(every_truncation_of_the_last_file_is_a_clean_end),
        cmocka_unit_test(flipped_bits_in_what_is_proven_are_named),
        cmocka_unit_test(flipped_bits_in_what_is_not_proven_are_the_torn_tail),
        cmocka_unit_test(a_clean_close_proves_the_last_sync),
        cmocka_unit_test(zeros_in_what_is_proven_are_corruption),
        cmocka_unit_test(files_in_disorder_are_named),
        cmocka_unit_test(unknown_versions_and_missing_stores_are_refused),
        cmocka_unit_test(a_callback_ends_the_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

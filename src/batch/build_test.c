#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "batch/sample.h"

static void builds_the_golden_batch(void **state)
{
    unsigned char buffer[256];
    void *finished;
    ssize_t bytes = sample_build(buffer, sizeof buffer, NULL, 1, BATCH_NONE, &finished);
    assert_int_equal(bytes, sizeof sample_batch);
    assert_ptr_equal(finished, buffer);
    assert_memory_equal(finished, sample_batch, sizeof sample_batch);
}

static void a_record_fits_exactly_or_changes_nothing(void **state)
{
    for (size_t capacity = BATCH_HEADER_BYTES; capacity <= sizeof sample_batch; capacity++) {
        unsigned char *buffer = malloc(capacity);
        struct batch_builder builder;
        batch_builder_init(&builder, buffer, capacity);
        int appended = 0;
        while (appended < SAMPLE_RECORDS) {
            struct batch_builder before = builder;
            if (!batch_append(&builder, &sample_records[appended])) {
                assert_memory_equal(&builder, &before, sizeof before);
                break;
            }
            appended++;
        }
        static const size_t ends[] = {75, 89, 162, 170};
        int expected = 0;
        while (expected < SAMPLE_RECORDS && ends[expected] <= capacity)
            expected++;
        assert_int_equal(appended, expected);
        free(buffer);
    }
}

static void records_stay_below_their_bound(void **state)
{
    unsigned char buffer[512];
    struct record extreme = sample_records[1];
    for (int i = 0; i < SAMPLE_RECORDS + 1; i++) {
        const struct record *record = i < SAMPLE_RECORDS ? &sample_records[i] : &extreme;
        extreme.timestamp_ms = 1ULL << 63;
        struct batch_builder builder;
        batch_builder_init(&builder, buffer, sizeof buffer);
        assert_true(batch_append(&builder, &(struct record){.timestamp_ms = 0}));
        size_t before = builder.used;
        assert_true(batch_append(&builder, record));
        assert_true(builder.used - before <= batch_record_bound(record));
    }
}

static void a_buffer_is_never_filled_beyond_the_largest_batch(void **state)
{
    size_t capacity = BATCH_MAX_BYTES + 4096;
    unsigned char *buffer = calloc(1, capacity);
    struct batch_builder builder;
    batch_builder_init(&builder, buffer, capacity);
    static const char kilobyte[1024];
    struct record record = {.value = kilobyte, .value_bytes = sizeof kilobyte};
    while (batch_append(&builder, &record))
        ;
    record.value_bytes = 1;
    while (batch_append(&builder, &record))
        ;
    assert_in_range(builder.used, BATCH_MAX_BYTES - 10, BATCH_MAX_BYTES);
    void *finished;
    ssize_t bytes =
        batch_finish(&builder, UINT64_MAX, UINT64_MAX, BATCH_NONE, 0, NULL, 0, &finished);
    struct batch_identity identity = {UINT64_MAX, UINT64_MAX, builder.message_count, 0};
    assert_int_equal(bytes, builder.used);
    assert_int_equal(batch_check(finished, (size_t)bytes, &identity, NULL), EMB_OK);
    free(buffer);
}

static void lengths_that_cannot_fit_are_refused(void **state)
{
    unsigned char buffer[128];
    struct batch_builder builder;
    batch_builder_init(&builder, buffer, sizeof buffer);
    struct record record = {
        .key = "", .key_bytes = UINT32_MAX, .value = "", .value_bytes = UINT32_MAX};
    assert_false(batch_append(&builder, &record));
    assert_int_equal(builder.used, BATCH_HEADER_BYTES);
    assert_true(batch_record_bound(&record) > 2ULL * UINT32_MAX);
}

static void compression_is_taken_only_when_smaller(void **state)
{
    unsigned char buffer[8192];
    void *finished, *scratch = malloc(batch_scratch_bytes(sizeof buffer));
    static const enum batch_compression kinds[] = {BATCH_LZ4, BATCH_ZSTD};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        ssize_t bytes = sample_build(buffer, sizeof buffer, scratch, 50, kinds[i], &finished);
        assert_ptr_equal(finished, scratch);
        assert_in_range(bytes, 68, 1000);
        struct batch_identity identity = sample_identity;
        identity.message_count = 50 * SAMPLE_RECORDS;
        assert_int_equal(batch_check(finished, (size_t)bytes, &identity, NULL), EMB_OK);
        assert_int_equal(((unsigned char *)finished)[22], kinds[i]);

        struct batch_builder builder;
        batch_builder_init(&builder, buffer, sizeof buffer);
        assert_true(batch_append(&builder, &sample_records[0]));
        bytes = batch_finish(&builder, SAMPLE_SESSION, 5, kinds[i], 0, scratch,
                             batch_scratch_bytes(sizeof buffer), &finished);
        assert_ptr_equal(finished, buffer);
        assert_int_equal(bytes, 75);
        assert_int_equal(buffer[22], BATCH_NONE);
    }
    free(scratch);
}

static void frames_are_those_that_kafka_reads(void **state)
{
    /* More than one block of LZ4, for a single one is never linked to another. */
    size_t capacity = 256 << 10;
    unsigned char *buffer = malloc(capacity), *at;
    void *finished, *scratch = malloc(batch_scratch_bytes(capacity));
    assert_true(sample_build(buffer, capacity, scratch, 2000, BATCH_LZ4, &finished) > 0);
    at = (unsigned char *)finished + BATCH_HEADER_BYTES;
    /* LZ4 frame: magic, version 1 with independent blocks and no sizes, blocks of 64 KiB. */
    static const unsigned char lz4[] = {0x04, 0x22, 0x4d, 0x18, 0x60, 0x40};
    assert_memory_equal(at, lz4, sizeof lz4);
    assert_true(sample_build(buffer, capacity, scratch, 2000, BATCH_ZSTD, &finished) > 0);
    at = (unsigned char *)finished + BATCH_HEADER_BYTES;
    static const unsigned char zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    assert_memory_equal(at, zstd, sizeof zstd);
    free(scratch);
    free(buffer);
}

static void finishing_refuses_what_cannot_be(void **state)
{
    unsigned char buffer[128], scratch[64];
    struct batch_builder builder;
    void *finished;
    batch_builder_init(&builder, buffer, sizeof buffer);
    assert_int_equal(batch_finish(&builder, 1, 1, BATCH_NONE, 0, NULL, 0, &finished),
                     EMB_ERR_INTERNAL);
    assert_true(batch_append(&builder, &sample_records[0]));
    assert_int_equal(batch_finish(&builder, 1, 1, BATCH_LZ4, 0, scratch, sizeof scratch, &finished),
                     EMB_ERR_INTERNAL);
    assert_int_equal(batch_finish(&builder, 1, 1, BATCH_ZSTD, 0, NULL, 0, &finished),
                     EMB_ERR_INTERNAL);
}

static void write_file(const char *directory, const char *name, const void *bytes, ssize_t count)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (!file || count < 0 || fwrite(bytes, 1, (size_t)count, file) != (size_t)count ||
        fclose(file))
        abort();
}

/* Writes the seeds of the fuzz target. */
static int write_corpus(const char *directory)
{
    unsigned char buffer[8192];
    void *finished, *scratch = malloc(batch_scratch_bytes(sizeof buffer));
    write_file(directory, "plain", sample_batch, sizeof sample_batch);
    ssize_t bytes = sample_build(buffer, sizeof buffer, scratch, 20, BATCH_LZ4, &finished);
    write_file(directory, "lz4", finished, bytes);
    bytes = sample_build(buffer, sizeof buffer, scratch, 20, BATCH_ZSTD, &finished);
    write_file(directory, "zstd", finished, bytes);
    write_file(directory, "truncated", sample_batch, 100);
    unsigned char endless[16];
    memset(endless, 0xff, sizeof endless);
    bytes = (ssize_t)sample_wrap(buffer, endless, sizeof endless, 1, BATCH_NONE);
    write_file(directory, "endless-varint", buffer, bytes);
    free(scratch);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--corpus"))
        return write_corpus(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_the_golden_batch),
        cmocka_unit_test(a_record_fits_exactly_or_changes_nothing),
        cmocka_unit_test(records_stay_below_their_bound),
        cmocka_unit_test(a_buffer_is_never_filled_beyond_the_largest_batch),
        cmocka_unit_test(lengths_that_cannot_fit_are_refused),
        cmocka_unit_test(compression_is_taken_only_when_smaller),
        cmocka_unit_test(frames_are_those_that_kafka_reads),
        cmocka_unit_test(finishing_refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zstd.h>

#include "base/random.h"
#include "batch/sample.h"

#define MAX_BYTES (1u << 20)

static void assert_data(const void *data, uint32_t bytes, const void *expected,
                        uint32_t expected_bytes)
{
    assert_int_equal(bytes, expected_bytes);
    assert_int_equal(!data, !expected);
    if (bytes)
        assert_memory_equal(data, expected, bytes);
}

static void assert_record(const struct record *record, const struct record *expected)
{
    assert_int_equal(record->timestamp_ms, expected->timestamp_ms);
    assert_data(record->key, record->key_bytes, expected->key, expected->key_bytes);
    assert_data(record->value, record->value_bytes, expected->value, expected->value_bytes);
    assert_int_equal(record->header_count, expected->header_count);
    struct record_header header;
    uint32_t key_bytes, at = 0;
    for (uint32_t i = 0; i < record->header_count; i++) {
        const struct record_header *want = &expected->headers[i];
        assert_int_equal(batch_record_header(record, i, &header, &key_bytes), EMB_OK);
        assert_data(header.key, key_bytes, want->key, (uint32_t)strlen(want->key));
        assert_data(header.value, header.value_bytes, want->value, want->value_bytes);
        assert_int_equal(batch_record_header_next(record, &at, &header, &key_bytes), 1);
        assert_data(header.key, key_bytes, want->key, (uint32_t)strlen(want->key));
    }
    assert_int_equal(batch_record_header_next(record, &at, &header, &key_bytes), 0);
    assert_int_equal(batch_record_header(record, record->header_count, &header, &key_bytes),
                     EMB_ERR_CORRUPT_BATCH);
}

static void the_golden_batch_gives_its_records(void **state)
{
    unsigned char copy[sizeof sample_batch];
    memcpy(copy, sample_batch, sizeof copy);
    batch_header_place(copy, 1000, 3);
    struct batch_reader reader;
    struct record record;
    uint64_t offset;
    assert_int_equal(batch_reader_open(&reader, copy, sizeof copy, 0, NULL), EMB_OK);
    assert_null(reader.decompressed);
    for (int i = 0; i < SAMPLE_RECORDS; i++) {
        assert_int_equal(batch_reader_next(&reader, &record, &offset, NULL), 1);
        assert_int_equal(offset, 1000 + i);
        assert_record(&record, &sample_records[i]);
    }
    assert_int_equal(batch_reader_next(&reader, &record, &offset, NULL), 0);
    assert_int_equal(batch_reader_next(&reader, &record, &offset, NULL), 0);
    batch_reader_close(&reader);
}

static void append_time_replaces_the_records_times(void **state)
{
    unsigned char copy[sizeof sample_batch];
    sample_wrap(copy, sample_batch + 61, sizeof copy - 61, SAMPLE_RECORDS, 8);
    struct batch_reader reader;
    struct record record;
    uint64_t offset;
    assert_int_equal(batch_reader_open(&reader, copy, sizeof copy, 0, NULL), EMB_OK);
    assert_int_equal(batch_reader_next(&reader, &record, &offset, NULL), 1);
    assert_int_equal(record.timestamp_ms, SAMPLE_TIME_MS + 300);
    batch_reader_close(&reader);
}

/* Reads all; how many records came before the end, or the error. */
static int read_all(const void *bytes, size_t count, size_t max_bytes)
{
    struct batch_reader reader;
    struct error err = {0};
    int result = batch_reader_open(&reader, bytes, count, max_bytes, &err);
    if (result) {
        assert_true(err.code == result && err.text[0] && !reader.decompressed);
        return result;
    }
    struct record record;
    uint64_t offset;
    int records = 0;
    while ((result = batch_reader_next(&reader, &record, &offset, &err)) == 1) {
        struct record_header header;
        uint32_t key_bytes, at = 0;
        while (batch_record_header_next(&record, &at, &header, &key_bytes) == 1)
            ;
        records++;
    }
    if (result)
        assert_true(err.code == result && err.text[0]);
    batch_reader_close(&reader);
    return result ? result : records;
}

static void assert_round_trip(const void *bytes, size_t count, int rounds)
{
    struct batch_reader reader;
    struct record record;
    uint64_t offset;
    assert_int_equal(batch_reader_open(&reader, bytes, count, MAX_BYTES, NULL), EMB_OK);
    for (int i = 0; i < rounds * SAMPLE_RECORDS; i++) {
        assert_int_equal(batch_reader_next(&reader, &record, &offset, NULL), 1);
        assert_int_equal(offset, i);
        assert_record(&record, &sample_records[i % SAMPLE_RECORDS]);
    }
    assert_int_equal(batch_reader_next(&reader, &record, &offset, NULL), 0);
    batch_reader_close(&reader);
}

static void compressed_batches_round_trip_and_are_bounded(void **state)
{
    const int rounds = 9000; /* about 1 MB of records in a few kB */
    size_t capacity = MAX_BYTES;
    unsigned char *buffer = malloc(capacity);
    void *finished, *scratch = malloc(batch_scratch_bytes(capacity));
    static const enum batch_compression kinds[] = {BATCH_LZ4, BATCH_ZSTD};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        ssize_t plain = sample_build(buffer, capacity, scratch, rounds, BATCH_NONE, &finished);
        assert_round_trip(finished, (size_t)plain, rounds);
        ssize_t bytes = sample_build(buffer, capacity, scratch, rounds, kinds[i], &finished);
        assert_in_range(bytes, 100, plain / 4);
        assert_round_trip(finished, (size_t)bytes, rounds);

        size_t inside = (size_t)plain - BATCH_HEADER_BYTES;
        assert_int_equal(read_all(finished, (size_t)bytes, inside), rounds * SAMPLE_RECORDS);
        static const size_t below[] = {1, 2, 3, 1000, 1 << 16};
        for (size_t k = 0; k < COUNT_OF(below); k++)
            assert_int_equal(read_all(finished, (size_t)bytes, inside - below[k]),
                             EMB_ERR_BATCH_TOO_LARGE);
        assert_int_equal(read_all(finished, (size_t)bytes, 0), EMB_ERR_BATCH_TOO_LARGE);
    }
    free(scratch);
    free(buffer);
}

static void a_zstd_frame_without_its_size_is_read_and_bounded(void **state)
{
    /* As a streaming encoder writes it, with a window far beyond the content. */
    unsigned char frame[512], batch[600];
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
    ZSTD_inBuffer in = {sample_batch + 61, sizeof sample_batch - 61, 0};
    ZSTD_outBuffer out = {frame, sizeof frame, 0};
    assert_int_equal(ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush), 0);
    assert_int_equal(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0);
    ZSTD_freeCCtx(context);
    assert_int_equal(ZSTD_getFrameContentSize(frame, out.pos), ZSTD_CONTENTSIZE_UNKNOWN);
    size_t bytes = sample_wrap(batch, frame, out.pos, SAMPLE_RECORDS, BATCH_ZSTD);
    assert_int_equal(read_all(batch, bytes, sizeof sample_batch - 61), SAMPLE_RECORDS);
    assert_int_equal(read_all(batch, bytes, sizeof sample_batch - 62), EMB_ERR_BATCH_TOO_LARGE);
}

static void bombs_stop_at_the_limit(void **state)
{
    size_t capacity = 64u << 20;
    unsigned char *zeros = calloc(1, capacity), *batch = malloc(1u << 20);
    size_t bound = ZSTD_compressBound(capacity);
    unsigned char *frame = malloc(bound);
    size_t bytes = ZSTD_compress(frame, bound, zeros, capacity, 1);
    assert_true(bytes < 1u << 16);
    bytes = sample_wrap(batch, frame, bytes, 1000, BATCH_ZSTD);
    assert_int_equal(read_all(batch, bytes, MAX_BYTES), EMB_ERR_BATCH_TOO_LARGE);
    /* A frame that claims a size it does not have: 2^63 bytes, then one empty last block. */
    static const unsigned char liar[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0,
                                         0,    0,    0,    0,    0x80, 1, 0, 0};
    bytes = sample_wrap(batch, liar, sizeof liar, 1, BATCH_ZSTD);
    assert_true(read_all(batch, bytes, MAX_BYTES) < 0);
    free(frame);
    free(batch);
    free(zeros);
}

static void truncated_and_trailing_frames_are_refused(void **state)
{
    unsigned char buffer[8192], copy[8192];
    void *finished, *scratch = malloc(batch_scratch_bytes(sizeof buffer));
    static const enum batch_compression kinds[] = {BATCH_LZ4, BATCH_ZSTD};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        size_t bytes =
            (size_t)sample_build(buffer, sizeof buffer, scratch, 20, kinds[i], &finished);
        const unsigned char *frame = (unsigned char *)finished + BATCH_HEADER_BYTES;
        size_t frame_bytes = bytes - BATCH_HEADER_BYTES;
        for (size_t cut = RECORD_MIN_BYTES; cut < frame_bytes; cut++) {
            size_t count = sample_wrap(copy, frame, cut, 80, (uint16_t)kinds[i]);
            assert_int_equal(read_all(copy, count, MAX_BYTES), EMB_ERR_CORRUPT_BATCH);
        }
        unsigned char longer[4096];
        memcpy(longer, frame, frame_bytes);
        longer[frame_bytes] = 0;
        size_t count = sample_wrap(copy, longer, frame_bytes + 1, 80, (uint16_t)kinds[i]);
        assert_int_equal(read_all(copy, count, MAX_BYTES), EMB_ERR_CORRUPT_BATCH);
    }
    free(scratch);
}

static void malformed_records_are_refused(void **state)
{
#define RECORDS(count, ...)                                                                        \
    {                                                                                              \
        count, sizeof((unsigned char[]){__VA_ARGS__}),                                             \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
    static const struct {
        uint32_t count;
        size_t bytes;
        unsigned char records[32];
    } cases[] = {
        RECORDS(1, 0x0d, 0, 0, 0, 1, 1, 0),                            /* length -7 */
        RECORDS(1, 0x0e, 0, 0, 0, 1, 1, 0),                            /* length beyond the batch */
        RECORDS(1, 0x0a, 0, 0, 0, 1, 1, 0),                            /* length too short */
        RECORDS(1, 0x00, 0, 0, 0, 1, 1, 0),                            /* length 0 */
        RECORDS(1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 0),                /* length 2^31 - 1 */
        RECORDS(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),          /* length without an end */
        RECORDS(1, 0x8c, 0x80, 0x80, 0x80, 0x80, 0, 0, 0, 0, 1, 1, 0), /* varint of 6 bytes */
        RECORDS(1, 0x8c, 0x80, 0x80, 0x80, 0x10, 0, 0, 0, 1, 1, 0),    /* varint of 33 bits */
        RECORDS(1, 0x1e, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 1, 1, 0),
        RECORDS(1, 0x0c, 0, 0, 2, 1, 1, 0), /* offset delta 1 for index 0 */
        RECORDS(1, 0x0c, 0, 0, 1, 1, 1, 0), /* offset delta -1 */
        RECORDS(1, 0x0c, 0, 0, 0, 3, 1, 0), /* key length -2 */
        RECORDS(1, 0x0c, 0, 0, 0, 1, 3, 0), /* value length -2 */
        RECORDS(1, 0x0c, 0, 0, 0, 1, 4, 0), /* value beyond the record */
        RECORDS(1, 0x14, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 0), /* key of 2^31 - 1 */
        RECORDS(1, 0x14, 0, 0, 0, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0), /* value of 2^31 - 1 */
        RECORDS(1, 0x0c, 0, 0, 0, 1, 1, 1),                            /* header count -1 */
        RECORDS(1, 0x0c, 0, 0, 0, 1, 1, 2), /* a header that is not there */
        RECORDS(1, 0x14, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f), /* headers: 2^31 - 1 */
        RECORDS(1, 0x10, 0, 0, 0, 1, 1, 2, 1, 1),                      /* header without a key */
        RECORDS(1, 0x10, 0, 0, 0, 1, 1, 2, 0, 3),                      /* header value length -2 */
        RECORDS(1, 0x0e, 0, 0, 0, 1, 1, 0, 0),                      /* a byte after the headers */
        RECORDS(1, 0x0c, 0, 0, 0, 1, 1, 0, 0),                      /* a byte after the records */
        RECORDS(2, 0x0c, 0, 0, 0, 1, 1, 0, 0x0c, 0, 0, 0, 1, 1, 0), /* offset delta 0 twice */
        RECORDS(2, 0x1a, 0, 0, 0, 1, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 0), /* one record for two */
    };
#undef RECORDS
    unsigned char batch[128];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t bytes = sample_wrap(batch, cases[i].records, cases[i].bytes, cases[i].count, 0);
        int result = read_all(batch, bytes, MAX_BYTES);
        if (result != EMB_ERR_CORRUPT_BATCH)
            fail_msg("case %zu gave %d", i, result);
    }
    static const unsigned char good[] = {0x8c, 0x80, 0x80, 0x80, 0, 0, 0, 0, 1, 1, 0};
    size_t bytes = sample_wrap(batch, good, sizeof good, 1, 0);
    assert_int_equal(read_all(batch, bytes, MAX_BYTES), 1); /* long, but 32 bits */
}

static void truncated_records_are_refused(void **state)
{
    for (size_t cut = RECORD_MIN_BYTES; cut < sizeof sample_batch - 61; cut++) {
        unsigned char *batch = malloc(BATCH_HEADER_BYTES + cut);
        size_t bytes = sample_wrap(batch, sample_batch + 61, cut, SAMPLE_RECORDS, 0);
        assert_int_equal(read_all(batch, bytes, MAX_BYTES), EMB_ERR_CORRUPT_BATCH);
        free(batch);
    }
}

static void mutations_never_crash(void **state)
{
    struct random_state random;
    random_seed(&random, 1);
    unsigned char buffer[1024], scratch[4096];
    static const enum batch_compression kinds[] = {BATCH_NONE, BATCH_LZ4, BATCH_ZSTD};
    int survivors = 0;
    for (int round = 0; round < 30000; round++) {
        void *finished;
        ssize_t bytes = sample_build(buffer, sizeof buffer, scratch, 4,
                                     kinds[random_below(&random, 3)], &finished);
        unsigned char *batch = malloc((size_t)bytes);
        memcpy(batch, finished, (size_t)bytes);
        size_t first = random_below(&random, 4) ? BATCH_HEADER_BYTES : FIELD_ATTRIBUTES;
        for (uint64_t i = random_below(&random, 5) + 1; i; i--)
            batch[first + random_below(&random, (size_t)bytes - first)] =
                (unsigned char)random_next(&random);
        survivors += read_all(batch, (size_t)bytes, MAX_BYTES) >= 0;
        assert_true(batch_check(batch, (size_t)bytes, &sample_identity, NULL) <= 0);
        free(batch);
    }
    assert_in_range(survivors, 1000, 29000); /* most of a value may change unseen */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_batch_gives_its_records),
        cmocka_unit_test(append_time_replaces_the_records_times),
        cmocka_unit_test(compressed_batches_round_trip_and_are_bounded),
        cmocka_unit_test(a_zstd_frame_without_its_size_is_read_and_bounded),
        cmocka_unit_test(bombs_stop_at_the_limit),
        cmocka_unit_test(truncated_and_trailing_frames_are_refused),
        cmocka_unit_test(malformed_records_are_refused),
        cmocka_unit_test(truncated_records_are_refused),
        cmocka_unit_test(mutations_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

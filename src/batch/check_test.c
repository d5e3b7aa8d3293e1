#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "batch/sample.h"

static int check(const void *bytes, size_t count)
{
    struct error err = {0};
    int result = batch_check(bytes, count, &sample_identity, &err);
    if (result)
        assert_true(err.code == result && err.text[0]);
    return result;
}

/* Expects a refusal of bytes whose checksum is right, with a text that has `word`. */
static void refuse(unsigned char *batch, size_t bytes, const char *word)
{
    struct error err = {0};
    if (bytes > FIELD_ATTRIBUTES && bytes <= BATCH_MAX_BYTES)
        sample_seal(batch, bytes);
    assert_int_equal(batch_check(batch, bytes, &sample_identity, &err), EMB_ERR_CORRUPT_BATCH);
    if (!strstr(err.text, word))
        fail_msg("\"%s\" does not name \"%s\"", err.text, word);
}

static void the_golden_batch_is_read_and_accepted(void **state)
{
    struct batch_header header;
    assert_int_equal(check(sample_batch, sizeof sample_batch), EMB_OK);
    assert_int_equal(batch_header_read(sample_batch, sizeof sample_batch, &header, NULL), EMB_OK);
    assert_int_equal(header.base_offset, 0);
    assert_int_equal(header.bytes, 170);
    assert_int_equal(header.leader_epoch, -1);
    assert_int_equal(header.crc, 0xf20c96f2);
    assert_int_equal(header.attributes, 0);
    assert_int_equal(header.message_count, 4);
    assert_int_equal(header.first_timestamp_ms, SAMPLE_TIME_MS);
    assert_int_equal(header.max_timestamp_ms, SAMPLE_TIME_MS + 300);
    assert_int_equal(header.producer_id, 0x123456789abcULL);
    assert_int_equal(header.producer_epoch, 7);
    assert_int_equal(header.base_sequence, 5);
}

static void every_truncation_is_refused(void **state)
{
    /* Copies of exact size, so that a read beyond the end is seen by a sanitizer. */
    for (size_t count = 0; count < sizeof sample_batch; count++) {
        unsigned char *copy = malloc(count ? count : 1);
        memcpy(copy, sample_batch, count);
        assert_int_equal(check(copy, count), EMB_ERR_CORRUPT_BATCH);
        free(copy);
    }
    unsigned char longer[sizeof sample_batch + 1] = {0};
    memcpy(longer, sample_batch, sizeof sample_batch);
    assert_int_equal(check(longer, sizeof longer), EMB_ERR_CORRUPT_BATCH);
}

static void every_flipped_bit_is_refused(void **state)
{
    unsigned char copy[sizeof sample_batch];
    memcpy(copy, sample_batch, sizeof copy);
    for (size_t bit = 0; bit < sizeof copy * 8; bit++) {
        size_t byte = bit / 8;
        bool placed = byte < FIELD_LENGTH || (byte >= FIELD_LEADER_EPOCH && byte < FIELD_MAGIC);
        copy[byte] ^= (unsigned char)(1u << bit % 8);
        /* Base offset and leader epoch are the log's to set, and outside of the checksum. */
        assert_int_equal(check(copy, sizeof copy), placed ? EMB_OK : EMB_ERR_CORRUPT_BATCH);
        copy[byte] ^= (unsigned char)(1u << bit % 8);
    }
    assert_memory_equal(copy, sample_batch, sizeof copy);
}

static void placing_changes_only_what_is_not_checksummed(void **state)
{
    unsigned char copy[sizeof sample_batch];
    memcpy(copy, sample_batch, sizeof copy);
    batch_header_place(copy, 0x0102030405060708ULL, 0x0a0b0c0d);
    static const unsigned char placed[16] = {1,    2,    3,    4,    5,    6,    7,    8,
                                             0x00, 0x00, 0x00, 0x9e, 0x0a, 0x0b, 0x0c, 0x0d};
    assert_memory_equal(copy, placed, sizeof placed);
    assert_memory_equal(copy + 16, sample_batch + 16, sizeof copy - 16);
    assert_int_equal(check(copy, sizeof copy), EMB_OK);
}

static void wrong_fields_are_refused_by_name(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
        const char *word;
    } cases[] = {
        {FIELD_LENGTH, 157, "length"},
        {FIELD_LENGTH, 0xffffffff, "length"},
        {FIELD_LENGTH, 0xfffffff4, "length"}, /* + 12 wraps to 0 */
        {FIELD_RECORD_COUNT, 0, "record count"},
        {FIELD_RECORD_COUNT, 0xffffffff, "record count"},
        {FIELD_RECORD_COUNT, 16, "record count"}, /* 15 of 7 bytes would fit */
        {FIELD_RECORD_COUNT, 3, "last offset delta"},
        {FIELD_LAST_OFFSET_DELTA, 4, "last offset delta"},
        {FIELD_BASE_SEQUENCE, 6, "base sequence"},
        {FIELD_PRODUCER_ID, 0x10000, "producer id"},
        {FIELD_PRODUCER_ID, 0x1235, "producer id"},
    };
    unsigned char copy[sizeof sample_batch];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        memcpy(copy, sample_batch, sizeof copy);
        put_be32(copy + cases[i].at, cases[i].value);
        refuse(copy, sizeof copy, cases[i].word);
    }
    memcpy(copy, sample_batch, sizeof copy);
    put_be16(copy + FIELD_PRODUCER_EPOCH, 8);
    refuse(copy, sizeof copy, "producer epoch");
    for (int magic = 0; magic < 256; magic++) {
        memcpy(copy, sample_batch, sizeof copy);
        copy[FIELD_MAGIC] = (unsigned char)magic;
        if (magic != 2)
            refuse(copy, sizeof copy, "magic");
    }
}

static void only_known_attributes_are_accepted(void **state)
{
    unsigned char copy[sizeof sample_batch];
    memcpy(copy, sample_batch, sizeof copy);
    for (unsigned attributes = 0; attributes <= 0xffff; attributes++) {
        unsigned compression = attributes & 7;
        put_be16(copy + FIELD_ATTRIBUTES, (uint16_t)attributes);
        sample_seal(copy, sizeof copy);
        bool known = attributes <= 15 && (compression == 0 || compression == 3 || compression == 4);
        assert_int_equal(check(copy, sizeof copy), known ? EMB_OK : EMB_ERR_CORRUPT_BATCH);
    }
}

static void counts_of_compressed_batches_are_bounded(void **state)
{
    unsigned char copy[sizeof sample_batch];
    struct batch_header header;
    sample_wrap(copy, sample_batch + 61, sizeof copy - 61, BATCH_MAX_MESSAGES, BATCH_LZ4);
    assert_int_equal(batch_header_read(copy, sizeof copy, &header, NULL), EMB_OK);
    sample_wrap(copy, sample_batch + 61, sizeof copy - 61, BATCH_MAX_MESSAGES + 1, BATCH_LZ4);
    refuse(copy, sizeof copy, "record count");
}

static void the_size_limit_is_exact(void **state)
{
    size_t bytes = BATCH_MAX_BYTES + 1;
    unsigned char *large = calloc(1, bytes);
    memcpy(large, sample_batch, BATCH_HEADER_BYTES);
    put_be32(large + FIELD_LENGTH, BATCH_MAX_BYTES - FIELD_LENGTH_END);
    sample_seal(large, BATCH_MAX_BYTES);
    assert_int_equal(check(large, BATCH_MAX_BYTES), EMB_OK);
    put_be32(large + FIELD_LENGTH, BATCH_MAX_BYTES + 1 - FIELD_LENGTH_END);
    refuse(large, bytes, "accepted");
    free(large);
}

static void a_foreign_identity_is_refused(void **state)
{
    struct error err;
    static const struct batch_identity foreign[] = {
        {SAMPLE_SESSION + 1, SAMPLE_SEQUENCE, 4, SAMPLE_TIME_MS + 300},
        {SAMPLE_SESSION + 0x10000, SAMPLE_SEQUENCE, 4, SAMPLE_TIME_MS + 300},
        {UINT64_MAX, SAMPLE_SEQUENCE, 4, SAMPLE_TIME_MS + 300},
        {SAMPLE_SESSION, SAMPLE_SEQUENCE + 1, 4, SAMPLE_TIME_MS + 300},
        {SAMPLE_SESSION, UINT64_MAX, 4, SAMPLE_TIME_MS + 300},
        {SAMPLE_SESSION, SAMPLE_SEQUENCE, 5, SAMPLE_TIME_MS + 300},
        {SAMPLE_SESSION, SAMPLE_SEQUENCE, 4, SAMPLE_TIME_MS + 301},
    };
    for (size_t i = 0; i < COUNT_OF(foreign); i++)
        assert_int_equal(batch_check(sample_batch, sizeof sample_batch, &foreign[i], &err),
                         EMB_ERR_CORRUPT_BATCH);
    struct batch_identity identity = sample_identity;
    identity.max_timestamp_ms = UINT64_MAX;
    assert_int_equal(batch_check(sample_batch, sizeof sample_batch, &identity, &err), EMB_OK);
    identity.client_sequence += 1ULL << 31; /* only the low 31 bits stand in a batch */
    assert_int_equal(batch_check(sample_batch, sizeof sample_batch, &identity, &err), EMB_OK);
}

static void no_session_is_all_ones(void **state)
{
    unsigned char copy[sizeof sample_batch];
    memcpy(copy, sample_batch, sizeof copy);
    memset(copy + FIELD_PRODUCER_ID, 0xff, 14);
    sample_seal(copy, sizeof copy);
    struct batch_identity none = {UINT64_MAX, UINT64_MAX, 4, UINT64_MAX};
    assert_int_equal(batch_check(copy, sizeof copy, &none, NULL), EMB_OK);
    assert_int_equal(check(copy, sizeof copy), EMB_ERR_CORRUPT_BATCH);
    assert_int_equal(batch_sequence(UINT64_MAX), UINT32_MAX);
    assert_int_equal(batch_sequence(UINT64_MAX - 1), 0x7ffffffe);
    assert_int_equal(batch_sequence(0x7fffffff), 0x7fffffff);
    assert_int_equal(batch_sequence(0x80000000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_batch_is_read_and_accepted),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(placing_changes_only_what_is_not_checksummed),
        cmocka_unit_test(wrong_fields_are_refused_by_name),
        cmocka_unit_test(only_known_attributes_are_accepted),
        cmocka_unit_test(counts_of_compressed_batches_are_bounded),
        cmocka_unit_test(the_size_limit_is_exact),
        cmocka_unit_test(a_foreign_identity_is_refused),
        cmocka_unit_test(no_session_is_all_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

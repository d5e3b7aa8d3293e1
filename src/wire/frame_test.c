#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/checksum.h"
#include "base/random.h"
#include "wire/wire.h"

/* clang-format off */
static const unsigned char produce_bytes[64] = {
    'E', 'M', 'B', '1',      0xaa, 0x00, 0x00, 0x00, /*  0 magic, body of 170 bytes */
    15, 1, 0x00, 0x00,       0x4a, 0xb5, 0x49, 0xa0, /*  8 type, version, flags, CRC32C */
    0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,  /* 16 correlation */
    0x07, 0x00, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12,  /* 24 session */
    0x05, 0x00, 0x00, 0x80, 0x01, 0x00, 0x00, 0x00,  /* 32 client sequence */
    0x2c, 0x69, 0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00,  /* 40 max timestamp */
    0x03, 0x02, 2, 0x00,     0x04, 0x00, 0x00, 0x00, /* 48 topic, acks, zero, message count */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  /* 56 zero */
};
static const unsigned char deliver_bytes[64] = {
    'E', 'M', 'B', '1',      0xaa, 0x00, 0x00, 0x00, /*  0 magic, body of 170 bytes */
    19, 1, 0x00, 0x00,       0x41, 0x1a, 0xb5, 0xe9, /*  8 type, version, flags, CRC32C */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  /* 16 correlation */
    0x07, 0x00, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12,  /* 24 session */
    0x05, 0x00, 0x00, 0x80, 0x01, 0x00, 0x00, 0x00,  /* 32 client sequence */
    0x38, 0x37, 0x36, 0x35, 0x34, 0x33, 0x32, 0x31,  /* 40 base offset */
    0x48, 0x47, 0x46, 0x45, 0x44, 0x43, 0x42, 0x41,  /* 48 position */
    0x04, 0x00, 0x00, 0x00, 0x54, 0x53, 0x52, 0x51,  /* 56 message count, subscription */
};
static const unsigned char hello_bytes[64] = {
    'E', 'M', 'B', '1',      0x05, 0x00, 0x00, 0x00, /*  0 magic, body of 5 bytes */
    1, 1, 0x00, 0x00,        0x77, 0x83, 0x56, 0x60, /*  8 type, version, flags, CRC32C */
    0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  /* 16 correlation, then zeros */
};
/* clang-format on */

static const struct frame_header produce = {
    .body_bytes = 170,
    .type = FRAME_PRODUCE,
    .correlation = 0x1112131415161718ULL,
    .session = 0x123456789abc0007ULL,
    .client_sequence = 0x180000005ULL,
    .max_timestamp_ms = 1700000000300ULL,
    .topic = 0x0203,
    .acks = 2,
    .message_count = 4,
};
static const struct frame_header deliver = {
    .body_bytes = 170,
    .type = FRAME_DELIVER,
    .session = 0x123456789abc0007ULL,
    .client_sequence = 0x180000005ULL,
    .base_offset = 0x3132333435363738ULL,
    .position = 0x4142434445464748ULL,
    .message_count = 4,
    .subscription = 0x51525354,
};
static const struct frame_header hello = {.body_bytes = 5, .type = FRAME_HELLO, .correlation = 7};

static void assert_same_header(const struct frame_header *a, const struct frame_header *b)
{
    assert_int_equal(a->body_bytes, b->body_bytes);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->correlation, b->correlation);
    assert_int_equal(a->session, b->session);
    assert_int_equal(a->client_sequence, b->client_sequence);
    assert_int_equal(a->max_timestamp_ms, b->max_timestamp_ms);
    assert_int_equal(a->base_offset, b->base_offset);
    assert_int_equal(a->position, b->position);
    assert_int_equal(a->message_count, b->message_count);
    assert_int_equal(a->subscription, b->subscription);
    assert_int_equal(a->topic, b->topic);
    assert_int_equal(a->acks, b->acks);
}

static void golden(const struct frame_header *header, const unsigned char *bytes)
{
    unsigned char written[FRAME_HEADER_BYTES];
    struct frame_header read;
    memset(written, 0xee, sizeof written);
    memset(&read, 0xee, sizeof read);
    frame_header_write(written, header);
    assert_memory_equal(written, bytes, sizeof written);
    assert_int_equal(frame_header_read(bytes, &read, NULL), EMB_OK);
    assert_same_header(&read, header);
}

static void headers_have_their_golden_bytes(void **state)
{
    golden(&produce, produce_bytes);
    golden(&deliver, deliver_bytes);
    golden(&hello, hello_bytes);
}

/* Reads the golden header with some bytes changed and its CRC right again. */
static int read_changed(const unsigned char *bytes, size_t at, uint64_t value, size_t count,
                        struct error *err)
{
    unsigned char copy[FRAME_HEADER_BYTES];
    struct frame_header header;
    memcpy(copy, bytes, sizeof copy);
    memcpy(copy + at, &value, count);
    memset(copy + 12, 0, 4);
    uint32_t crc = crc32c(copy, sizeof copy);
    memcpy(copy + 12, &crc, sizeof crc);
    return frame_header_read(copy, &header, err);
}

static void every_flipped_bit_is_refused(void **state)
{
    const unsigned char *all[] = {produce_bytes, deliver_bytes, hello_bytes};
    struct frame_header header;
    struct error err;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        unsigned char copy[FRAME_HEADER_BYTES];
        memcpy(copy, all[i], sizeof copy);
        for (size_t bit = 0; bit < sizeof copy * 8; bit++) {
            copy[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_int_equal(frame_header_read(copy, &header, &err), EMB_ERR_PROTOCOL);
            copy[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
    }
}

static void another_version_is_told_with_both_numbers(void **state)
{
    struct error err;
    for (unsigned version = 0; version < 256; version++) {
        int result = read_changed(hello_bytes, 9, version, 1, &err);
        assert_int_equal(result, version == 1 ? EMB_OK : EMB_ERR_VERSION);
    }
    assert_string_equal(err.text, "frame version is 255; this side speaks 1");
}

static void types_and_their_body_limits(void **state)
{
    static const uint8_t requests[] = {
        FRAME_HELLO,      FRAME_TOPIC_CREATE, FRAME_TOPIC_DESCRIBE, FRAME_TOPIC_DELETE,
        FRAME_TOPIC_LIST, FRAME_SESSION_OPEN, FRAME_SESSION_CLOSE,  FRAME_PUBLISH_OPEN,
        FRAME_SUBSCRIBE,  FRAME_UNSUBSCRIBE,  FRAME_STATUS,
    };
    uint32_t limits[256] = {0};
    for (int type = 1; type < FRAME_TYPE_END; type++)
        limits[type] = FRAME_MAX_BODY_BYTES;
    for (size_t i = 0; i < COUNT_OF(requests); i++)
        limits[requests[i]] = FRAME_MAX_CONTROL_BYTES;
    for (unsigned type = 0; type < 256; type++) {
        unsigned char zeros[64] = {'E', 'M', 'B', '1', 0, 0, 0, 0, (unsigned char)type, 1};
        struct error err;
        bool known = type >= 1 && type <= 22;
        assert_int_equal(read_changed(zeros, 4, limits[type], 4, &err),
                         known ? EMB_OK : EMB_ERR_PROTOCOL);
        assert_int_equal(read_changed(zeros, 4, limits[type] + 1ULL, 4, &err), EMB_ERR_PROTOCOL);
        assert_int_equal(read_changed(zeros, 4, 0xffffffff, 4, &err), EMB_ERR_PROTOCOL);
        if (known)
            assert_non_null(strstr(err.text, frame_type_name((uint8_t)type)));
        else
            assert_string_equal(frame_type_name((uint8_t)type), "UNKNOWN");
    }
}

static void reserved_bytes_must_be_zero(void **state)
{
    struct error err;
    for (size_t at = 0; at < FRAME_HEADER_BYTES; at++) {
        if (at < 10 || (at >= 12 && at < 24))
            continue;
        bool reserved = at < 12 || at == 51 || at >= 56;
        if (at != 50)
            assert_int_equal(read_changed(produce_bytes, at, 1, 1, &err),
                             reserved ? EMB_ERR_PROTOCOL : EMB_OK);
        assert_int_equal(read_changed(deliver_bytes, at, 1, 1, &err),
                         at < 12 ? EMB_ERR_PROTOCOL : EMB_OK);
        assert_int_equal(read_changed(hello_bytes, at, 0x80, 1, &err), EMB_ERR_PROTOCOL);
    }
    for (unsigned acks = 0; acks < 256; acks++)
        assert_int_equal(read_changed(produce_bytes, 50, acks, 1, &err),
                         acks <= 2 ? EMB_OK : EMB_ERR_PROTOCOL);
    assert_int_equal(read_changed(produce_bytes, 0, 0x32424d45, 4, &err), EMB_ERR_PROTOCOL);
    assert_non_null(strstr(err.text, "magic"));
}

static void mutations_never_crash(void **state)
{
    struct random_state random;
    struct error err;
    random_seed(&random, 2);
    for (int i = 0; i < 50000; i++) {
        const unsigned char *bytes = i % 2 ? produce_bytes : deliver_bytes;
        int result = read_changed(bytes, random_below(&random, 57), random_next(&random),
                                  1 + random_below(&random, 7), &err);
        assert_true(result <= 0);
    }
}

static void write_file(const char *directory, const char *name, const void *bytes, size_t count)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, count, file) != count || fclose(file))
        abort();
}

/* Writes seeds of the fuzz target: it takes what begins with a byte of 0 as a frame's header. */
static int write_corpus(const char *directory)
{
    unsigned char seed[1 + FRAME_HEADER_BYTES] = {0};
    memcpy(seed + 1, produce_bytes, FRAME_HEADER_BYTES);
    write_file(directory, "header-produce", seed, sizeof seed);
    memcpy(seed + 1, deliver_bytes, FRAME_HEADER_BYTES);
    write_file(directory, "header-deliver", seed, sizeof seed);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--corpus"))
        return write_corpus(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_have_their_golden_bytes),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(another_version_is_told_with_both_numbers),
        cmocka_unit_test(types_and_their_body_limits),
        cmocka_unit_test(reserved_bytes_must_be_zero),
        cmocka_unit_test(mutations_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

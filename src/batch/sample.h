/*
 * What the tests of this folder share: one batch written down byte by byte from the public format
 * description, the records it holds, and a maker of batches around any record bytes. Tests only.
 */
#ifndef BATCH_SAMPLE_H
#define BATCH_SAMPLE_H

#include "base/bits.h"
#include "base/checksum.h"
#include "batch/batch.h"
#include "batch/field.h"

#define SAMPLE_SESSION  (0x123456789abcULL << 16 | 7)
#define SAMPLE_SEQUENCE 0x180000005ULL /* its low 31 bits are 5 */
#define SAMPLE_TIME_MS  1700000000000ULL
#define SAMPLE_RECORDS  4

static const char sample_value[] =
    "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";
static const struct record_header sample_headers[] = {{"h", "x", 1}, {"", NULL, 0}};
static const struct record sample_records[SAMPLE_RECORDS] = {
    {.timestamp_ms = SAMPLE_TIME_MS,
     .key = "k0",
     .key_bytes = 2,
     .value = "hello",
     .value_bytes = 5},
    {.timestamp_ms = SAMPLE_TIME_MS + 300,
     .value = "",
     .headers = sample_headers,
     .header_count = 2},
    {.timestamp_ms = SAMPLE_TIME_MS - 1, .key = "", .value = sample_value, .value_bytes = 64},
    {.timestamp_ms = SAMPLE_TIME_MS, .key = "k", .key_bytes = 1},
};

static const struct batch_identity sample_identity = {
    .session = SAMPLE_SESSION,
    .client_sequence = SAMPLE_SEQUENCE,
    .message_count = SAMPLE_RECORDS,
    .max_timestamp_ms = SAMPLE_TIME_MS + 300,
};

/* clang-format off */
static const unsigned char sample_batch[170] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /*  0 base offset */
    0x00, 0x00, 0x00, 0x9e,                         /*  8 length: 170 - 12 */
    0xff, 0xff, 0xff, 0xff,                         /* 12 leader epoch: none */
    0x02,                                           /* 16 magic */
    0xf2, 0x0c, 0x96, 0xf2,                         /* 17 CRC32C of bytes 21 to 169 */
    0x00, 0x00,                                     /* 21 attributes: not compressed */
    0x00, 0x00, 0x00, 0x03,                         /* 23 last offset delta */
    0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00, /* 27 first timestamp */
    0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x69, 0x2c, /* 35 max timestamp: 300 later */
    0x00, 0x00, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, /* 43 producer id */
    0x00, 0x07,                                     /* 51 producer epoch */
    0x00, 0x00, 0x00, 0x05,                         /* 53 base sequence */
    0x00, 0x00, 0x00, 0x04,                         /* 57 record count */
    /* 61: length 13, attributes, +0 ms, offset +0, key, value, no headers */
    0x1a, 0x00, 0x00, 0x00, 0x04, 'k', '0', 0x0a, 'h', 'e', 'l', 'l', 'o', 0x00,
    /* 75: length 13, attributes, +300 ms, offset +1, no key, empty value, headers h=x, ""=none */
    0x1a, 0x00, 0xd8, 0x04, 0x02, 0x01, 0x00, 0x04, 0x02, 'h', 0x02, 'x', 0x00, 0x01,
    /* 89: length 71, attributes, -1 ms, offset +2, empty key, value of 64, no headers */
    0x8e, 0x01, 0x00, 0x01, 0x04, 0x00, 0x80, 0x01,
    'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z',
    'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z',
    'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z',
    'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z', 'z',
    0x00,
    /* 162: length 7, attributes, +0 ms, offset +3, key, no value, no headers */
    0x0e, 0x00, 0x00, 0x06, 0x02, 'k', 0x01, 0x00,
};
/* clang-format on */

/* Makes a batch's checksum right again after a test has changed its bytes. */
static inline void sample_seal(unsigned char *batch, size_t bytes)
{
    put_be32(batch + FIELD_CRC, crc32c(batch + FIELD_ATTRIBUTES, bytes - FIELD_ATTRIBUTES));
}

/* Puts the sample's header, with a count, before any record bytes; returns the batch's bytes. */
static inline size_t sample_wrap(unsigned char *batch, const void *records, size_t record_bytes,
                                 uint32_t count, uint16_t attributes)
{
    size_t bytes = BATCH_HEADER_BYTES + record_bytes;
    memcpy(batch, sample_batch, BATCH_HEADER_BYTES);
    memcpy(batch + BATCH_HEADER_BYTES, records, record_bytes);
    put_be32(batch + FIELD_LENGTH, (uint32_t)(bytes - FIELD_LENGTH_END));
    put_be16(batch + FIELD_ATTRIBUTES, attributes);
    put_be32(batch + FIELD_LAST_OFFSET_DELTA, count - 1);
    put_be32(batch + FIELD_RECORD_COUNT, count);
    sample_seal(batch, bytes);
    return bytes;
}

/* The sample's records `rounds` times over, sealed with a compression; the bytes are in *finished.
 */
static inline ssize_t sample_build(void *buffer, size_t capacity, void *scratch, int rounds,
                                   enum batch_compression compression, void **finished)
{
    struct batch_builder builder;
    batch_builder_init(&builder, buffer, capacity);
    for (int i = 0; i < rounds * SAMPLE_RECORDS; i++)
        if (!batch_append(&builder, &sample_records[i % SAMPLE_RECORDS]))
            return EMB_ERR_NO_SPACE;
    return batch_finish(&builder, SAMPLE_SESSION, SAMPLE_SEQUENCE, compression, 0, scratch,
                        batch_scratch_bytes(capacity), finished);
}

#endif

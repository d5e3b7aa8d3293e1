/*
 * How it works: a record's length stands before it, so its size is summed first, which also says
 * whether it fits; then it is written once, without checks. The header is written at the end.
 */
#include "batch/batch.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"
#include "batch/compress.h"
#include "batch/field.h"

#define VARINT32_MAX_BYTES 5u
#define VARINT64_MAX_BYTES 10u

void batch_builder_init(struct batch_builder *builder, void *buffer, size_t capacity)
{
    ASSERT(capacity >= BATCH_HEADER_BYTES);
    *builder = (struct batch_builder){
        .buffer = buffer,
        .capacity = min_u64(capacity, BATCH_MAX_BYTES),
        .used = BATCH_HEADER_BYTES,
    };
}

size_t batch_record_bound(const struct record *record)
{
    size_t bytes = 1 + VARINT64_MAX_BYTES + 5 * VARINT32_MAX_BYTES;
    bytes += (size_t)record->key_bytes + record->value_bytes;
    for (uint32_t i = 0; i < record->header_count; i++)
        bytes += 2 * VARINT32_MAX_BYTES + strlen(record->headers[i].key) +
                 record->headers[i].value_bytes;
    return bytes;
}

static size_t data_bytes(const void *data, size_t count)
{
    return data ? varint_bytes(zigzag((int64_t)count)) + count : 1;
}

static unsigned char *put_data(unsigned char *at, const void *data, size_t count)
{
    if (!data)
        return put_varint(at, zigzag(-1));
    at = put_varint(at, zigzag((int64_t)count));
    memcpy(at, data, count);
    return at + count;
}

static size_t headers_bytes(const struct record *record)
{
    size_t bytes = varint_bytes(zigzag(record->header_count));
    for (uint32_t i = 0; i < record->header_count; i++) {
        const struct record_header *header = &record->headers[i];
        bytes += data_bytes(header->key, strlen(header->key));
        bytes += data_bytes(header->value, header->value_bytes);
    }
    return bytes;
}

static unsigned char *put_headers(unsigned char *at, const struct record *record)
{
    at = put_varint(at, zigzag(record->header_count));
    for (uint32_t i = 0; i < record->header_count; i++) {
        const struct record_header *header = &record->headers[i];
        at = put_data(at, header->key, strlen(header->key));
        at = put_data(at, header->value, header->value_bytes);
    }
    return at;
}

static void count_record(struct batch_builder *builder, uint64_t timestamp_ms)
{
    if (builder->message_count++ == 0)
        builder->first_timestamp_ms = builder->max_timestamp_ms = timestamp_ms;
    else if (timestamp_ms > builder->max_timestamp_ms)
        builder->max_timestamp_ms = timestamp_ms;
}

bool batch_append(struct batch_builder *builder, const struct record *record)
{
    uint64_t first = builder->message_count ? builder->first_timestamp_ms : record->timestamp_ms;
    uint64_t timestamp_delta = zigzag((int64_t)(record->timestamp_ms - first));
    uint64_t offset_delta = zigzag(builder->message_count);
    size_t body = 1 + varint_bytes(timestamp_delta) + varint_bytes(offset_delta) +
                  data_bytes(record->key, record->key_bytes) +
                  data_bytes(record->value, record->value_bytes) + headers_bytes(record);
    uint64_t length = zigzag((int64_t)body);
    if (varint_bytes(length) + body > builder->capacity - builder->used)
        return false;

    unsigned char *at = put_varint(builder->buffer + builder->used, length);
    *at++ = 0; /* a record's attributes: no bit has a meaning */
    at = put_varint(at, timestamp_delta);
    at = put_varint(at, offset_delta);
    at = put_data(at, record->key, record->key_bytes);
    at = put_data(at, record->value, record->value_bytes);
    at = put_headers(at, record);
    builder->used = (size_t)(at - builder->buffer);
    count_record(builder, record->timestamp_ms);
    return true;
}

static void put_batch_header(unsigned char *bytes, size_t used, const struct batch_builder *builder,
                             uint64_t session, uint64_t client_sequence,
                             enum batch_compression compression)
{
    uint64_t producer_id = session == UINT64_MAX ? BATCH_NO_PRODUCER : session >> 16;
    batch_header_place(bytes, 0, -1);
    put_be32(bytes + FIELD_LENGTH, (uint32_t)(used - FIELD_LENGTH_END));
    bytes[FIELD_MAGIC] = BATCH_MAGIC;
    put_be16(bytes + FIELD_ATTRIBUTES, (uint16_t)compression);
    put_be32(bytes + FIELD_LAST_OFFSET_DELTA, builder->message_count - 1);
    put_be64(bytes + FIELD_FIRST_TIMESTAMP, builder->first_timestamp_ms);
    put_be64(bytes + FIELD_MAX_TIMESTAMP, builder->max_timestamp_ms);
    put_be64(bytes + FIELD_PRODUCER_ID, producer_id);
    put_be16(bytes + FIELD_PRODUCER_EPOCH, (uint16_t)session);
    put_be32(bytes + FIELD_BASE_SEQUENCE, batch_sequence(client_sequence));
    put_be32(bytes + FIELD_RECORD_COUNT, builder->message_count);
    put_be32(bytes + FIELD_CRC, crc32c(bytes + FIELD_ATTRIBUTES, used - FIELD_ATTRIBUTES));
}

size_t batch_scratch_bytes(size_t used)
{
    return BATCH_HEADER_BYTES + compress_bound(used);
}

ssize_t batch_finish(struct batch_builder *builder, uint64_t session, uint64_t client_sequence,
                     enum batch_compression compression, int level, void *scratch,
                     size_t scratch_bytes, void **finished)
{
    unsigned char *bytes = builder->buffer;
    size_t used = builder->used;
    if (builder->message_count == 0)
        return EMB_ERR_INTERNAL;
    if (compression != BATCH_NONE) {
        if (!scratch || scratch_bytes < batch_scratch_bytes(used))
            return EMB_ERR_INTERNAL;
        ssize_t packed = compress_frame(
            compression, level, bytes + BATCH_HEADER_BYTES, used - BATCH_HEADER_BYTES,
            (unsigned char *)scratch + BATCH_HEADER_BYTES, scratch_bytes - BATCH_HEADER_BYTES);
        if (packed < 0)
            return packed;
        if (BATCH_HEADER_BYTES + (size_t)packed < used) {
            bytes = scratch;
            used = BATCH_HEADER_BYTES + (size_t)packed;
        } else {
            compression = BATCH_NONE;
        }
    }
    put_batch_header(bytes, used, builder, session, client_sequence, compression);
    *finished = bytes;
    return (ssize_t)used;
}

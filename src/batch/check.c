/*
 * How it works: the header is decoded whole, then judged field by field, cheapest first, so that
 * the CRC runs once and only over batches that look right. A right CRC says that the bytes are
 * those that somebody made; the identity says that they are those that were announced.
 */
#include "batch/batch.h"

#include <inttypes.h>

#include "base/checksum.h"
#include "batch/field.h"

static void header_decode(const unsigned char *bytes, struct batch_header *header)
{
    *header = (struct batch_header){
        .base_offset = get_be64(bytes + FIELD_BASE_OFFSET),
        .bytes = get_be32(bytes + FIELD_LENGTH) + FIELD_LENGTH_END,
        .leader_epoch = (int32_t)get_be32(bytes + FIELD_LEADER_EPOCH),
        .crc = get_be32(bytes + FIELD_CRC),
        .attributes = get_be16(bytes + FIELD_ATTRIBUTES),
        .message_count = get_be32(bytes + FIELD_RECORD_COUNT),
        .first_timestamp_ms = get_be64(bytes + FIELD_FIRST_TIMESTAMP),
        .max_timestamp_ms = get_be64(bytes + FIELD_MAX_TIMESTAMP),
        .producer_id = get_be64(bytes + FIELD_PRODUCER_ID),
        .producer_epoch = get_be16(bytes + FIELD_PRODUCER_EPOCH),
        .base_sequence = get_be32(bytes + FIELD_BASE_SEQUENCE),
    };
}

static int check_size(const unsigned char *bytes, size_t available, struct error *err)
{
    if (available < BATCH_HEADER_BYTES + RECORD_MIN_BYTES || available > BATCH_MAX_BYTES)
        return error_set(err, EMB_ERR_CORRUPT_BATCH, "batch has %zu bytes; %u to %u are accepted",
                         available, BATCH_HEADER_BYTES + RECORD_MIN_BYTES, BATCH_MAX_BYTES);
    uint32_t length = get_be32(bytes + FIELD_LENGTH);
    if (length != available - FIELD_LENGTH_END)
        return error_set(err, EMB_ERR_CORRUPT_BATCH,
                         "batch length field is %" PRIu32 "; %zu is accepted for %zu bytes", length,
                         available - FIELD_LENGTH_END, available);
    if (bytes[FIELD_MAGIC] != BATCH_MAGIC)
        return error_set(err, EMB_ERR_CORRUPT_BATCH, "batch magic is %u; %d is accepted",
                         bytes[FIELD_MAGIC], BATCH_MAGIC);
    return EMB_OK;
}

static int check_attributes(uint16_t attributes, struct error *err)
{
    if (attributes & ~ATTRIBUTES_KNOWN)
        return error_set(err, EMB_ERR_CORRUPT_BATCH,
                         "batch attributes are 0x%04x; transactional, control and unknown bits "
                         "(all above 0x000f) are not accepted",
                         attributes);
    switch (batch_header_compression(attributes)) {
    case BATCH_NONE:
    case BATCH_LZ4:
    case BATCH_ZSTD:
        return EMB_OK;
    }
    return error_set(err, EMB_ERR_CORRUPT_BATCH,
                     "batch compression is %u; 0 (none), 3 (lz4) and 4 (zstd) are accepted",
                     attributes & ATTRIBUTES_COMPRESSION);
}

/* Compressed records are bounded as if they stood uncompressed in the largest batch. */
static int check_count(const unsigned char *bytes, const struct batch_header *header,
                       struct error *err)
{
    uint32_t delta = get_be32(bytes + FIELD_LAST_OFFSET_DELTA);
    uint32_t limit = BATCH_MAX_MESSAGES;
    if (batch_header_compression(header->attributes) == BATCH_NONE)
        limit = (header->bytes - BATCH_HEADER_BYTES) / RECORD_MIN_BYTES;
    if (header->message_count == 0 || header->message_count > limit)
        return error_set(err, EMB_ERR_CORRUPT_BATCH,
                         "batch record count is %" PRIu32 "; 1 to %" PRIu32
                         " are accepted for %" PRIu32 " bytes",
                         header->message_count, limit, header->bytes);
    if (delta != header->message_count - 1)
        return error_set(err, EMB_ERR_CORRUPT_BATCH,
                         "batch last offset delta is %" PRIu32 "; %" PRIu32
                         " is accepted for %" PRIu32 " records",
                         delta, header->message_count - 1, header->message_count);
    return EMB_OK;
}

static int check_producer(const struct batch_header *header, struct error *err)
{
    if (header->producer_id >> 48 == 0 || header->producer_id == BATCH_NO_PRODUCER)
        return EMB_OK;
    return error_set(err, EMB_ERR_CORRUPT_BATCH,
                     "batch producer id is 0x%" PRIx64 "; 48 bits, or all ones, are accepted",
                     header->producer_id);
}

int batch_header_read(const void *bytes, size_t available, struct batch_header *header,
                      struct error *err)
{
    int result = check_size(bytes, available, err);
    if (result)
        return result;
    header_decode(bytes, header);
    result = check_attributes(header->attributes, err);
    if (!result)
        result = check_count(bytes, header, err);
    if (!result)
        result = check_producer(header, err);
    return result;
}

static int check_same(const char *field, uint64_t value, uint64_t announced, struct error *err)
{
    if (value == announced)
        return EMB_OK;
    return error_set(err, EMB_ERR_CORRUPT_BATCH, "batch %s is %" PRIu64 "; announced was %" PRIu64,
                     field, value, announced);
}

static int check_identity(const struct batch_header *header, const struct batch_identity *identity,
                          struct error *err)
{
    bool none = identity->session == UINT64_MAX;
    uint64_t producer_id = none ? BATCH_NO_PRODUCER : identity->session >> 16;
    int result = check_same("producer id", header->producer_id, producer_id, err);
    if (!result)
        result =
            check_same("producer epoch", header->producer_epoch, (uint16_t)identity->session, err);
    if (!result)
        result = check_same("base sequence", header->base_sequence,
                            batch_sequence(identity->client_sequence), err);
    if (!result)
        result = check_same("record count", header->message_count, identity->message_count, err);
    if (!result && identity->max_timestamp_ms != UINT64_MAX)
        result =
            check_same("max timestamp", header->max_timestamp_ms, identity->max_timestamp_ms, err);
    return result;
}

int batch_check(const void *bytes, size_t available, const struct batch_identity *identity,
                struct error *err)
{
    struct batch_header header;
    int result = batch_header_read(bytes, available, &header, err);
    if (result)
        return result;
    uint32_t crc =
        crc32c((const unsigned char *)bytes + FIELD_ATTRIBUTES, available - FIELD_ATTRIBUTES);
    if (crc != header.crc)
        return error_set(err, EMB_ERR_CORRUPT_BATCH,
                         "batch CRC32C is 0x%08" PRIx32 "; its bytes have 0x%08" PRIx32, header.crc,
                         crc);
    return check_identity(&header, identity, err);
}

void batch_header_place(void *header_copy, uint64_t base_offset, int32_t leader_epoch)
{
    unsigned char *bytes = header_copy;
    put_be64(bytes + FIELD_BASE_OFFSET, base_offset);
    put_be32(bytes + FIELD_LEADER_EPOCH, (uint32_t)leader_epoch);
}

uint32_t batch_sequence(uint64_t client_sequence)
{
    return client_sequence == UINT64_MAX ? UINT32_MAX : (uint32_t)(client_sequence & INT32_MAX);
}

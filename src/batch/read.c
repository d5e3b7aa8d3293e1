#include "batch/batch.h"

#include <inttypes.h>
#include <stdlib.h>

#include "batch/compress.h"
#include "batch/field.h"

#define HEADER_MIN_BYTES 2u /* an empty key, no value */

int batch_reader_open(struct batch_reader *reader, const void *bytes, size_t available,
                      size_t max_bytes, struct error *err)
{
    *reader = (struct batch_reader){0};
    int result = batch_header_read(bytes, available, &reader->header, err);
    if (result)
        return result;
    reader->at = (const unsigned char *)bytes + BATCH_HEADER_BYTES;
    reader->end = (const unsigned char *)bytes + available;
    enum batch_compression compression = batch_header_compression(reader->header.attributes);
    if (compression == BATCH_NONE)
        return EMB_OK;

    size_t count;
    result = decompress_frame(compression, reader->at, available - BATCH_HEADER_BYTES, max_bytes,
                              &reader->decompressed, &count, err);
    if (result)
        return result;
    reader->at = reader->decompressed;
    reader->end = reader->at + count;
    return EMB_OK;
}

void batch_reader_close(struct batch_reader *reader)
{
    free(reader->decompressed);
    *reader = (struct batch_reader){0};
}

/* Reads a length of -1 or more and that many bytes; -1 gives NULL. */
static bool get_data(const unsigned char **at, const unsigned char *end, const void **data,
                     uint32_t *count)
{
    int64_t length;
    if (!get_varint(at, end, 32, &length) || length < -1 || length > end - *at)
        return false;
    *data = length < 0 ? NULL : *at;
    *count = length < 0 ? 0 : (uint32_t)length;
    *at += *count;
    return true;
}

static bool get_header(const unsigned char **at, const unsigned char *end,
                       struct record_header *header, uint32_t *key_bytes)
{
    const void *key;
    if (!get_data(at, end, &key, key_bytes) || !key)
        return false;
    header->key = key;
    return get_data(at, end, &header->value, &header->value_bytes);
}

/* Walks the headers once, so that whoever reads them later meets only whole ones. */
static bool get_headers(const unsigned char *at, const unsigned char *end, struct record *record)
{
    int64_t count;
    if (!get_varint(&at, end, 32, &count) || count < 0 ||
        (uint64_t)count > (size_t)(end - at) / HEADER_MIN_BYTES)
        return false;
    record->headers = NULL;
    record->header_count = (uint32_t)count;
    record->raw_headers = at;
    record->raw_header_bytes = (uint32_t)(end - at);
    struct record_header header;
    uint32_t key_bytes;
    for (int64_t i = 0; i < count; i++)
        if (!get_header(&at, end, &header, &key_bytes))
            return false;
    return at == end;
}

/* Reads a record's bytes, which must be exactly those of its length; NULL or what is wrong. */
static const char *get_record(const unsigned char *at, const unsigned char *end,
                              const struct batch_reader *reader, struct record *record)
{
    int64_t timestamp_delta, offset_delta;
    if (at == end)
        return "it is empty";
    at++; /* attributes: no bit has a meaning */
    if (!get_varint(&at, end, 64, &timestamp_delta))
        return "its timestamp delta is no varint of 64 bits";
    if (!get_varint(&at, end, 32, &offset_delta) || offset_delta != reader->next)
        return "its offset delta is not its index";
    record->timestamp_ms = reader->header.attributes & ATTRIBUTES_APPEND_TIME
                               ? reader->header.max_timestamp_ms
                               : reader->header.first_timestamp_ms + (uint64_t)timestamp_delta;
    if (!get_data(&at, end, &record->key, &record->key_bytes))
        return "its key ends beyond it";
    if (!get_data(&at, end, &record->value, &record->value_bytes))
        return "its value ends beyond it";
    if (!get_headers(at, end, record))
        return "its headers do not end where it does";
    return NULL;
}

static int record_error(const struct batch_reader *reader, const char *what, struct error *err)
{
    return error_set(err, EMB_ERR_CORRUPT_BATCH,
                     "record %" PRIu32 " of %" PRIu32 " in the batch at offset %" PRIu64
                     " is malformed: %s",
                     reader->next, reader->header.message_count, reader->header.base_offset, what);
}

int batch_reader_next(struct batch_reader *reader, struct record *record, uint64_t *offset,
                      struct error *err)
{
    const unsigned char *at = reader->at;
    if (reader->next == reader->header.message_count)
        return at == reader->end ? 0 : record_error(reader, "bytes follow the last one", err);
    int64_t length;
    if (!get_varint(&at, reader->end, 32, &length) || length < 0 || length > reader->end - at)
        return record_error(reader, "its length ends beyond the batch", err);
    const char *what = get_record(at, at + length, reader, record);
    if (what)
        return record_error(reader, what, err);
    reader->at = at + length;
    *offset = reader->header.base_offset + reader->next++;
    return 1;
}

int batch_record_header_next(const struct record *record, uint32_t *at,
                             struct record_header *header, uint32_t *key_bytes)
{
    if (*at == record->raw_header_bytes)
        return 0;
    if (*at > record->raw_header_bytes)
        return EMB_ERR_CORRUPT_BATCH;
    const unsigned char *byte = record->raw_headers + *at;
    if (!get_header(&byte, record->raw_headers + record->raw_header_bytes, header, key_bytes))
        return EMB_ERR_CORRUPT_BATCH;
    *at = (uint32_t)(byte - record->raw_headers);
    return 1;
}

int batch_record_header(const struct record *record, uint32_t n, struct record_header *header,
                        uint32_t *key_bytes)
{
    uint32_t at = 0;
    int result = n < record->header_count ? 1 : 0;
    for (uint32_t i = 0; i <= n && result == 1; i++)
        result = batch_record_header_next(record, &at, header, key_bytes);
    return result == 1 ? EMB_OK : EMB_ERR_CORRUPT_BATCH;
}

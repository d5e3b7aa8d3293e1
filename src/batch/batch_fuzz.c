/*
 * Fuzz target: any bytes as a batch. They are read without the CRC's protection, and what reads
 * through to the end must be built again to a batch that reads the same number of records.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "batch/batch.h"

#define MAX_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void read_headers(const struct record *record)
{
    struct record_header header;
    uint32_t key_bytes, at = 0, headers = 0;
    while (batch_record_header_next(record, &at, &header, &key_bytes) == 1)
        headers++;
    ASSERT(headers == record->header_count && at == record->raw_header_bytes);
}

static void read_records(struct batch_reader *reader, struct batch_builder *builder)
{
    struct record record;
    uint64_t offset;
    while (batch_reader_next(reader, &record, &offset, NULL) == 1) {
        read_headers(&record);
        record.header_count = 0;
        ASSERT(batch_append(builder, &record));
        ASSERT(offset == reader->header.base_offset + builder->message_count - 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct batch_identity any = {UINT64_MAX, UINT64_MAX, 1, UINT64_MAX};
    struct batch_reader reader;
    struct error err;
    (void)batch_check(bytes, count, &any, &err);
    if (batch_reader_open(&reader, bytes, count, MAX_BYTES, &err))
        return 0;
    /* Deltas count from another first timestamp here, so a record may grow by a few bytes. */
    size_t capacity = BATCH_HEADER_BYTES + (size_t)(reader.end - reader.at) * 3;
    void *buffer = malloc(capacity), *finished;
    struct batch_builder builder;
    batch_builder_init(&builder, buffer, capacity);
    read_records(&reader, &builder);
    if (builder.message_count) {
        any.message_count = builder.message_count;
        ssize_t built =
            batch_finish(&builder, UINT64_MAX, UINT64_MAX, BATCH_NONE, 0, NULL, 0, &finished);
        ASSERT(batch_check(finished, (size_t)built, &any, NULL) == EMB_OK);
    }
    free(buffer);
    batch_reader_close(&reader);
    return 0;
}

/* What the tests of this folder append: batches of any size with GOI entries that name them. */
#ifndef STORE_STORE_SAMPLE_H
#define STORE_STORE_SAMPLE_H

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/random.h"
#include "batch/batch.h"
#include "store/store.h"

/* cmocka's comparisons of codes, which are negative. */
#define ASSERT_CODE(value, code) assert_int_equal((int)(value), (int)(code))

#define SAMPLE_SESSION (0x1234ULL << 16 | 3)

struct sample {
    struct goi_entry_shared entry;
    void *payload; /* NULL: entry only */
    size_t payload_bytes;
};

static inline void sample_seal(struct goi_entry_shared *entry, uint64_t position)
{
    entry->stamp = (uint32_t)position;
    entry->crc = crc32c_extend(crc32c(entry, 60), &position, sizeof(position));
}

/* An entry without payload. */
static inline struct sample sample_bare(uint64_t position)
{
    struct sample sample = {0};
    sample.entry.kind = ENTRY_NOP;
    sample.entry.session = SAMPLE_SESSION;
    sample.entry.client_sequence = position;
    sample.entry.base_offset = 7 * position;
    sample_seal(&sample.entry, position);
    return sample;
}

/* A batch of one record whose value has `value_bytes` bytes, all following from the position. Every
   fifth is META: its batch has no producer, its entry the session that it was granted. */
static inline struct sample sample_batch(uint64_t position, size_t value_bytes)
{
    struct sample sample = {0};
    bool meta = position % 5 == 4;
    unsigned char *value = malloc(value_bytes + 1);
    size_t room = value_bytes + 256;
    void *buffer = malloc(room), *finished;
    ASSERT(value && buffer);
    struct random_state random;
    random_seed(&random, position + 1);
    for (size_t i = 0; i < value_bytes; i++)
        value[i] = (unsigned char)(random_next(&random) >> 32);
    struct batch_builder builder;
    struct record record = {.timestamp_ms = 1700000000000 + position,
                            .value = value,
                            .value_bytes = (uint32_t)value_bytes};
    batch_builder_init(&builder, buffer, room);
    ASSERT(batch_append(&builder, &record));
    ssize_t bytes = batch_finish(&builder, meta ? NO_SESSION : SAMPLE_SESSION,
                                 meta ? NO_SEQUENCE : position, BATCH_NONE, 0, NULL, 0, &finished);
    ASSERT(bytes > 0 && finished == buffer);
    free(value);
    sample.payload = buffer;
    sample.payload_bytes = (size_t)bytes;
    sample.entry.kind = meta ? ENTRY_META : ENTRY_DATA;
    sample.entry.session = SAMPLE_SESSION;
    sample.entry.client_sequence = position;
    sample.entry.message_count = 1;
    sample.entry.payload = payload_word(0, (uint32_t)bytes);
    put_u48(sample.entry.timestamp_ms, record.timestamp_ms);
    sample_seal(&sample.entry, position);
    return sample;
}

/* A mixture: every third is bare, the others have up to `most` bytes of value. */
static inline struct sample sample_mixed(uint64_t position, size_t most)
{
    return position % 3 == 2 ? sample_bare(position)
                             : sample_batch(position, hash_u64(position) % (most + 1));
}

static inline int sample_append(struct store *store, uint64_t position, const struct sample *sample)
{
    return store_append(store, position, &sample->entry, sample->payload, sample->payload_bytes);
}

static inline void sample_free(struct sample *sample)
{
    free(sample->payload);
    sample->payload = NULL;
}

#endif

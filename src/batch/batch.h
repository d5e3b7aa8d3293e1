/*
 * Batches: Kafka RecordBatch v2, magic 2 (https://kafka.apache.org/documentation/#recordbatch), the
 * one form in which messages exist from publisher to subscriber. Big-endian, as there. The first
 * BATCH_HEADER_BYTES bytes:
 *
 *    0 base offset:8     8 length:4 (of what follows)   12 leader epoch:4   16 magic:1   17 crc:4
 *   21 attributes:2     23 last offset delta:4          27 first timestamp:8  35 max timestamp:8
 *   43 producer id:8    51 producer epoch:2             53 base sequence:4    57 record count:4
 *   61 records
 *
 * The CRC32C covers everything from the attributes on. Attributes, bits 0-2: compression (0 none,
 * 3 lz4, 4 zstd here), bit 3: timestamp type. Records are never looked into between publisher and
 * subscriber. Pure functions on caller's memory; no input is trusted. Design: 3-protocol.
 */
#ifndef BATCH_BATCH_H
#define BATCH_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define BATCH_HEADER_BYTES  61u
#define BATCH_MAX_BYTES     ((16u << 20) - 1)
#define BATCH_MAX_MESSAGES  ((BATCH_MAX_BYTES - BATCH_HEADER_BYTES) / 7) /* 7: an empty record */
#define BATCH_TIMESTAMP_MAX ((1ULL << 48) - 1) /* ms since 1970: the log's entries have 6 bytes */
#define BATCH_NO_PRODUCER   UINT64_MAX         /* producer id of orders 0-2 and of META */

enum batch_compression { BATCH_NONE = 0, BATCH_LZ4 = 3, BATCH_ZSTD = 4 };

struct batch_header {
    uint64_t base_offset;
    uint32_t bytes; /* of the whole batch, header included */
    int32_t leader_epoch;
    uint32_t crc;
    uint16_t attributes;
    uint32_t message_count; /* = last offset delta + 1 = record count */
    uint64_t first_timestamp_ms;
    uint64_t max_timestamp_ms;
    uint64_t producer_id; /* 48 bits, or BATCH_NO_PRODUCER */
    uint16_t producer_epoch;
    uint32_t base_sequence; /* low 31 bits of the client sequence; all ones without producer */
};

/* Who a batch claims to be by its frame or its GOI entry. */
struct batch_identity {
    uint64_t session;         /* producer id << 16 | epoch; all ones: none */
    uint64_t client_sequence; /* of the first message; all ones: none */
    uint32_t message_count;
    uint64_t max_timestamp_ms;
};

/*
 * Reads and checks the header: sizes, magic, count, known attributes; not the CRC. `available` is
 * how many bytes stand at `bytes`, the batch must be exactly that long.
 * EMB_ERR_CORRUPT_BATCH with the field, its value and what was expected.
 */
int batch_header_read(const void *bytes, size_t available, struct batch_header *header,
                      struct error *err);
/* batch_header_read, then the CRC, then the identity: nothing is believed that is not all three. */
int batch_check(const void *bytes, size_t available, const struct batch_identity *identity,
                struct error *err);
/* The compression that attributes name; not one of the enum's values in an unchecked header. */
static inline enum batch_compression batch_header_compression(uint16_t attributes)
{
    return (enum batch_compression)(attributes & 7);
}
/* Writes base offset and leader epoch into a private copy of a header (they are not checksummed).
 */
void batch_header_place(void *header_copy, uint64_t base_offset, int32_t leader_epoch);
/* The low 31 bits of a client sequence, as the batch carries it; all ones stays all ones. */
uint32_t batch_sequence(uint64_t client_sequence);

/* ---- building -------------------------------------------------------------------------------- */

struct record_header {
    const char *key;   /* zero-terminated when building; when reading not: see its key_bytes */
    const void *value; /* NULL: none */
    uint32_t value_bytes;
};

struct record {
    uint64_t timestamp_ms;
    const void *key; /* NULL: none */
    uint32_t key_bytes;
    const void *value; /* NULL: none, which is not the same as empty */
    uint32_t value_bytes;
    const struct record_header *headers; /* for building; NULL in a record that was read */
    uint32_t header_count;
    const unsigned char *raw_headers; /* of a record that was read: batch_record_header */
    uint32_t raw_header_bytes;
};

/* Fills a caller's buffer; nothing is allocated. The buffer is the batch when finished. */
struct batch_builder {
    unsigned char *buffer;
    size_t capacity;
    size_t used; /* BATCH_HEADER_BYTES before the first record */
    uint32_t message_count;
    uint64_t first_timestamp_ms;
    uint64_t max_timestamp_ms;
};

/* At least BATCH_HEADER_BYTES; of more than BATCH_MAX_BYTES the rest stays unused. */
void batch_builder_init(struct batch_builder *builder, void *buffer, size_t capacity);
/* The largest number of bytes that batch_append may need for this record. */
size_t batch_record_bound(const struct record *record);
/* Appends; false when it does not fit (nothing is changed then). */
bool batch_append(struct batch_builder *builder, const struct record *record);
/*
 * Writes header and CRC; session and client_sequence as in batch_identity (all ones: none). With
 * compression, `scratch` (of batch_scratch_bytes(used)) takes the compressed batch when that is
 * smaller. *finished points at the batch, in the buffer or in scratch; its bytes are returned,
 * or EMB_ERR_NO_MEMORY / EMB_ERR_INTERNAL.
 */
ssize_t batch_finish(struct batch_builder *builder, uint64_t session, uint64_t client_sequence,
                     enum batch_compression compression, int level, void *scratch,
                     size_t scratch_bytes, void **finished);
size_t batch_scratch_bytes(size_t used);

/* ---- reading --------------------------------------------------------------------------------- */

/* Walks the records of a checked batch. Opening one that is compressed decompresses it. */
struct batch_reader {
    struct batch_header header;
    const unsigned char *at;
    const unsigned char *end;
    void *decompressed; /* owned; NULL when not compressed */
    uint32_t next;      /* index of the next record */
};

/*
 * The bytes must stay until batch_reader_close; base offset and leader epoch are those that stand
 * in them. max_bytes bounds what is decompressed. EMB_OK, EMB_ERR_CORRUPT_BATCH,
 * EMB_ERR_BATCH_TOO_LARGE (more than max_bytes would come out) or EMB_ERR_NO_MEMORY; after an error
 * nothing is held.
 */
int batch_reader_open(struct batch_reader *reader, const void *bytes, size_t available,
                      size_t max_bytes, struct error *err);
/* 1 and *record (its pointers into the reader's memory), 0 at the end, EMB_ERR_CORRUPT_BATCH. What
   is returned has been checked down to its headers. */
int batch_reader_next(struct batch_reader *reader, struct record *record, uint64_t *offset,
                      struct error *err);
/*
 * Reads the header that stands *at bytes (0: the first) into the raw headers and moves *at behind
 * it: 1, 0 after the last, EMB_ERR_CORRUPT_BATCH. The key is not zero-terminated.
 */
int batch_record_header_next(const struct record *record, uint32_t *at,
                             struct record_header *header, uint32_t *key_bytes);
/* Reads the record's n-th header, from the first on; EMB_OK or EMB_ERR_CORRUPT_BATCH. */
int batch_record_header(const struct record *record, uint32_t n, struct record_header *header,
                        uint32_t *key_bytes);
void batch_reader_close(struct batch_reader *reader);

#endif

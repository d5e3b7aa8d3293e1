/* One received batch in the reader's hands: checked whole before anything of it is handed out. */
#include <stdlib.h>
#include <string.h>

#include "client/subscriber.h"

/* A batch may be this large when decompressed. */
#define DECOMPRESSED_MAX_BYTES ((size_t)128 << 20)

static int batch_refuse(const struct emb_subscriber *s, const char *what, struct error *err)
{
    return error_set(err, EMB_ERR_CORRUPT_BATCH, "topic %s, offset %llu, from broker %s: %s",
                     s->core_options.topic, (unsigned long long)s->current->header.base_offset,
                     s->current->broker, what);
}

static int batch_is_right(struct emb_subscriber *s, struct error *err)
{
    const struct frame_header *frame = &s->current->header;
    const struct batch_identity identity = {
        .session = frame->session,
        .client_sequence = frame->client_sequence,
        .message_count = frame->message_count,
        .max_timestamp_ms = UINT64_MAX,
    };
    struct batch_header header;
    struct error why = {0};

    int code = batch_check(s->current->bytes, frame->body_bytes, &identity, &why);
    if (code == EMB_OK)
        code = batch_header_read(s->current->bytes, frame->body_bytes, &header, &why);
    if (code == EMB_OK && header.base_offset != frame->base_offset)
        code = error_set(
            &why, EMB_ERR_CORRUPT_BATCH, "the batch says offset %llu, its frame says %llu",
            (unsigned long long)header.base_offset, (unsigned long long)frame->base_offset);
    return code == EMB_OK ? EMB_OK : batch_refuse(s, why.text, err);
}

int batch_open(struct emb_subscriber *s, struct error *err)
{
    struct error why = {0};

    int code = batch_is_right(s, err);
    if (code != EMB_OK)
        return code;
    code = batch_reader_open(&s->reader, s->current->bytes, s->current->header.body_bytes,
                             DECOMPRESSED_MAX_BYTES, &why);
    if (code != EMB_OK)
        return batch_refuse(s, why.text, err);
    s->reader_is_open = true;
    return EMB_OK;
}

void batch_close(struct emb_subscriber *s)
{
    if (s->reader_is_open)
        batch_reader_close(&s->reader);
    s->reader_is_open = false;
    s->amid_batch = false;
}

/* ---- headers --------------------------------------------------------------------------------- */

static int header_memory(struct emb_subscriber *s, uint32_t count, size_t text_bytes,
                         struct error *err)
{
    if (count > s->header_capacity) {
        struct emb_header *grown = realloc(s->headers, count * sizeof *grown);
        if (grown == NULL)
            return error_set(err, EMB_ERR_NO_MEMORY, "no memory for %u headers", count);
        s->headers = grown;
        s->header_capacity = count;
    }
    if (text_bytes > s->header_text_bytes) {
        char *grown = realloc(s->header_text, text_bytes);
        if (grown == NULL)
            return error_set(err, EMB_ERR_NO_MEMORY, "no memory for headers of %zu bytes",
                             text_bytes);
        s->header_text = grown;
        s->header_text_bytes = text_bytes;
    }
    return EMB_OK;
}

/* On the wire keys are not terminated, so they are copied. Two walks: sizes, then copies. */
static int headers_read(struct emb_subscriber *s, const struct record *record, struct error *err)
{
    struct record_header header;
    uint32_t key_bytes;
    size_t text_bytes = 0;
    size_t at = 0;

    for (uint32_t i = 0; i < record->header_count; i++) {
        if (batch_record_header(record, i, &header, &key_bytes) != EMB_OK)
            return batch_refuse(s, "a header of a message cannot be read", err);
        text_bytes += (size_t)key_bytes + 1;
    }
    int code = header_memory(s, record->header_count, text_bytes, err);
    for (uint32_t i = 0; i < record->header_count && code == EMB_OK; i++) {
        code = batch_record_header(record, i, &header, &key_bytes);
        memcpy(s->header_text + at, header.key, key_bytes);
        s->header_text[at + key_bytes] = '\0';
        s->headers[i] = (struct emb_header){
            .key = s->header_text + at,
            .value = header.value,
            .value_bytes = header.value_bytes,
        };
        at += (size_t)key_bytes + 1;
    }
    return code;
}

/* ---- messages -------------------------------------------------------------------------------- */

static int message_of(struct emb_subscriber *s, const struct record *record, uint64_t offset,
                      struct emb_message *message, struct error *err)
{
    if (record->header_count > 0) {
        int code = headers_read(s, record, err);
        if (code != EMB_OK)
            return code;
    }
    *message = (struct emb_message){
        .key = record->key,
        .key_bytes = record->key_bytes,
        .value = record->value,
        .value_bytes = record->value_bytes,
        .headers = record->header_count > 0 ? s->headers : NULL,
        .header_count = record->header_count,
        .timestamp_ms = record->timestamp_ms,
        .offset = offset,
    };
    return 1;
}

/* The offset is the frame's: it has been checked, the batch's own field is not checksummed. */
static int record_next(struct emb_subscriber *s, struct record *record, uint64_t *offset,
                       struct error *err)
{
    struct error why = {0};
    uint64_t index = s->reader.next;

    int got = batch_reader_next(&s->reader, record, offset, &why);
    if (got < 0)
        return batch_refuse(s, why.text, err);
    *offset = s->current->header.base_offset + index;
    return got;
}

static bool is_before_start(const struct emb_subscriber *s, const struct record *record,
                            uint64_t offset)
{
    return offset < s->position ||
           (s->from_timestamp_ms != 0 && record->timestamp_ms < s->from_timestamp_ms);
}

int batch_message(struct emb_subscriber *s, struct emb_message *message, struct error *err)
{
    struct record record;
    uint64_t offset;
    int got;

    while ((got = record_next(s, &record, &offset, err)) > 0) {
        if (is_before_start(s, &record, offset))
            continue;
        s->from_timestamp_ms = 0;
        return message_of(s, &record, offset, message, err);
    }
    return got;
}

int batch_skip(struct emb_subscriber *s, uint32_t *skip, struct error *err)
{
    struct record record;
    struct error why = {0};
    uint64_t offset;
    int got;

    *skip = 0;
    while ((got = record_next(s, &record, &offset, err)) > 0) {
        if (!is_before_start(s, &record, offset))
            break;
        ++*skip;
    }
    if (got < 0)
        return got;
    if (got > 0)
        s->from_timestamp_ms = 0;
    batch_reader_close(&s->reader); /* and from its beginning again */
    s->reader_is_open = false;
    int code = batch_reader_open(&s->reader, s->current->bytes, s->current->header.body_bytes,
                                 DECOMPRESSED_MAX_BYTES, &why);
    if (code != EMB_OK)
        return batch_refuse(s, why.text, err);
    s->reader_is_open = true;
    return EMB_OK;
}

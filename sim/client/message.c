/* Batches: how many messages of what size, their bytes, and what the history is told of them. */
#include <stdio.h>

#include "base/assert.h"
#include "batch/batch.h"
#include "sim/client/internal.h"

#define VALUE_LEAST_BYTES  16u
#define RECORD_EXTRA_BYTES 64u /* a record's fields and key, at most */
#define COUNT_SMALL        8u
#define COUNT_LARGE        300u

/* ---- drawing --------------------------------------------------------------------------------- */

static uint32_t value_bound(uint32_t bytes_most, uint32_t count)
{
    uint32_t each = (bytes_most - BATCH_HEADER_BYTES) / count;
    return each > RECORD_EXTRA_BYTES + VALUE_LEAST_BYTES ? each - RECORD_EXTRA_BYTES
                                                         : VALUE_LEAST_BYTES;
}

static uint8_t draw_compression(void)
{
    if (draw_one_in(40))
        return BATCH_ZSTD;
    return draw_one_in(8) ? BATCH_LZ4 : BATCH_NONE;
}

static void sizes_draw(uint32_t bytes_most, struct message *m)
{
    uint32_t count_most = (bytes_most - BATCH_HEADER_BYTES) / (RECORD_EXTRA_BYTES + 32);

    if (draw_one_in(30)) { /* as large as may be */
        m->count = (uint32_t)draw_between(1, 4);
        m->value_bytes = value_bound(bytes_most, m->count);
    } else if (draw_one_in(25) && count_most > COUNT_SMALL) {
        uint32_t most = count_most < COUNT_LARGE ? count_most : COUNT_LARGE;
        m->count = (uint32_t)draw_between(COUNT_SMALL, most);
        m->value_bytes = VALUE_LEAST_BYTES + 16;
    } else {
        m->count = (uint32_t)draw_skewed(1, COUNT_SMALL);
        m->value_bytes =
            (uint32_t)draw_skewed(VALUE_LEAST_BYTES, value_bound(bytes_most, m->count) / 4 + 64);
    }
    uint32_t bound = value_bound(bytes_most, m->count);
    if (m->value_bytes > bound)
        m->value_bytes = bound;
}

void message_draw(struct publisher *publisher, uint32_t bytes_most, struct message *message)
{
    ASSERT(bytes_most >= 2048);
    *message = (struct message){.number = publisher->made++, .compression = draw_compression()};
    sizes_draw(bytes_most, message);
}

/* ---- building -------------------------------------------------------------------------------- */

static void record_add(struct batch_builder *builder, const struct publisher *publisher,
                       const struct message *m, uint32_t index, uint64_t timestamp_ms)
{
    char key[24];
    bool is_large = m->value_bytes > 1024;
    uint32_t least = is_large ? m->value_bytes - m->value_bytes / 8 : VALUE_LEAST_BYTES;
    struct record record = {
        .timestamp_ms = timestamp_ms + index % 3,
        .value = clients.value,
        .value_bytes = (uint32_t)draw_between(least, m->value_bytes),
    };

    history_fill(clients.value, record.value_bytes, publisher->number,
                 (uint64_t)m->number << 16 | index);
    if (m->compression != BATCH_NONE) { /* something that is there again and again */
        record.key = key;
        record.key_bytes = (uint32_t)snprintf(key, sizeof key, "publisher %u", publisher->number);
    }
    bool fits = batch_append(builder, &record);
    ASSERT(fits);
}

static ssize_t batch_build(const struct publisher *publisher, const struct message *m,
                           struct batch_builder *builder, void **bytes)
{
    uint64_t timestamp_ms = env_wall_ms(publisher->client.env) + draw_below(20);

    batch_builder_init(builder, clients.batch, clients.batch_bytes_most);
    for (uint32_t i = 0; i < m->count; i++)
        record_add(builder, publisher, m, i, timestamp_ms);
    return batch_finish(builder, m->session, m->sequence, (enum batch_compression)m->compression, 1,
                        clients.scratch, clients.scratch_bytes, bytes);
}

struct act *message_invoke(const struct publisher *publisher, const struct message *message)
{
    struct batch_builder builder;
    void *bytes;
    ssize_t byte_count = batch_build(publisher, message, &builder, &bytes);

    ASSERT(byte_count > 0);
    const struct act act = {
        .publisher = publisher->number,
        .topic = publisher->topic->id,
        .acks = publisher->acks,
        .state = ACT_INVOKED,
        .straddles = message->straddles,
        .session = message->session,
        .client_sequence = message->sequence,
        .message_count = message->count,
        .max_timestamp_ms = builder.max_timestamp_ms,
        .bytes = bytes,
        .byte_count = (uint32_t)byte_count,
        .invoked_ns = world_now_ns(),
        .after_position = CLIENT_NO_NUMBER,
        .base_offset = CLIENT_NO_NUMBER,
    };
    clients.batches++;
    COVER(BATCH);
    if (act.byte_count >= 16u << 10)
        COVER(BATCH_LARGE);
    TRACE("publish", publisher->number, message->number,
          "publisher %u makes batch %u: topic %u, session %#llx, sequence %lld, %u messages, "
          "%u bytes",
          publisher->number, message->number, act.topic, (unsigned long long)act.session,
          (long long)act.client_sequence, act.message_count, act.byte_count);
    return history_invoke(&act);
}

/* ---- outcomes -------------------------------------------------------------------------------- */

void message_answer(const struct publisher *publisher, struct act *act, uint32_t node, int status,
                    uint64_t base_offset, bool duplicate)
{
    if (status == EMB_OK && publisher->acks == 1)
        COVER(ACK_ORDERED);
    if (status == EMB_OK && publisher->acks == 2)
        COVER(ACK_DURABLE);
    if (status == EMB_OK && duplicate)
        COVER(ACK_DUPLICATE);
    TRACE("answer", act->number, (uint64_t)(int64_t)status,
          "publisher %u: session %#llx, sequence %lld (act %u): node %u says %s%s, offset %lld",
          publisher->number, (unsigned long long)act->session, (long long)act->client_sequence,
          act->number, node, error_name(status), duplicate ? ", a duplicate" : "",
          (long long)base_offset);
    history_answer(act, node, status, base_offset, duplicate);
}

void message_unknown(const struct publisher *publisher, struct act *act)
{
    TRACE("unknown", act->number, publisher->number,
          "publisher %u: session %#llx, sequence %lld (act %u): it will never know",
          publisher->number, (unsigned long long)act->session, (long long)act->client_sequence,
          act->number);
    history_unknown(act);
}

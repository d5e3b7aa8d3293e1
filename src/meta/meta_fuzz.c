/*
 * Fuzz target: the first byte chooses what the rest is. 0: any bytes as a META batch, its length
 * and CRC made right. 1: any bytes as an encoded state; what is accepted must encode to what
 * decodes to the same. 2: a log: entries and records as another host may have written them, judged,
 * decided and applied as a follower and a sequencer do.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"
#include "base/fuzz_input.h"
#include "batch/batch.h"
#include "meta/meta.h"

#define TOPICS     3
#define SESSIONS   4
#define STATE_MOST (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void put_big_endian(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> (24 - 8 * i));
}

static void try_batch(const uint8_t *bytes, size_t count)
{
    struct meta_record record;
    struct error err;
    unsigned char *copy = malloc(count + 1);
    ASSERT(copy);
    memcpy(copy, bytes, count);
    if (count > BATCH_HEADER_BYTES) {
        put_big_endian(copy + 8, (uint32_t)count - 12);
        put_big_endian(copy + 17, crc32c(copy + 21, count - 21));
    }
    (void)meta_batch_read(copy, count, &record, &err);
    free(copy);
}

static size_t encode(const struct meta_state *state, unsigned char *to)
{
    struct meta_cursor cursor = {0};
    size_t used = 0;
    while (!meta_encode_done(&cursor)) {
        int64_t more = meta_encode(state, &cursor, 7, 3, to + used, STATE_MOST - used);
        ASSERT(more >= 0);
        used += (size_t)more;
    }
    return used;
}

/* An encoding says the same of the state that is loaded from it. */
static void encode_again(const struct meta_state *state)
{
    unsigned char *first = malloc(STATE_MOST), *second = malloc(STATE_MOST);
    struct meta_state again;
    ASSERT(first && second && meta_state_init(&again, TOPICS, SESSIONS) == EMB_OK);
    size_t used = encode(state, first);
    ASSERT(meta_decode(&again, first, used, NULL) == EMB_OK);
    ASSERT(encode(&again, second) == used && memcmp(first, second, used) == 0);
    ASSERT(again.topic_count == state->topic_count && again.session_count == state->session_count);
    meta_state_free(&again);
    free(first);
    free(second);
}

static void try_state(const uint8_t *bytes, size_t count)
{
    struct meta_state state;
    struct error err;
    ASSERT(meta_state_init(&state, TOPICS, SESSIONS) == EMB_OK);
    if (meta_decode(&state, bytes, count, &err) == EMB_OK)
        encode_again(&state);
    meta_state_free(&state);
}

/* Small numbers mostly, so that entries and records speak of the same things. */
static void entry_take(struct fuzz_input *in, struct goi_entry_shared *entry)
{
    *entry = (struct goi_entry_shared){0};
    entry->kind = input_u8(in);
    entry->lane = input_u8(in);
    entry->topic = input_u8(in);
    entry->session = (uint64_t)input_u8(in) << 16;
    entry->session |= input_u8(in);
    entry->message_count = input_u16(in);
    entry->client_sequence = input_u16(in);
    entry->base_offset = input_u16(in);
}

static bool record_take(struct fuzz_input *in, struct meta_record *record)
{
    unsigned char batch[META_BATCH_BYTES];
    struct meta_record asked = {.type = input_u8(in), .version = 1};
    size_t count;
    const uint8_t *bytes = input_bytes(in, input_u8(in), &count);
    memcpy(asked.bytes, bytes, count);
    uint32_t batch_bytes = meta_batch_build(batch, &asked, 1);
    if (meta_batch_read(batch, batch_bytes, record, NULL) != EMB_OK)
        return false;
    ASSERT(record->type == asked.type && record->version == asked.version);
    ASSERT(memcmp(record->bytes, asked.bytes, sizeof asked.bytes) == 0);
    return true;
}

static void entry_judge(struct meta_state *state, uint64_t position, struct fuzz_input *in)
{
    struct goi_entry_shared entry;
    struct meta_record record;
    entry_take(in, &entry);
    bool meta = entry.kind == ENTRY_META;
    if (meta && !record_take(in, &record))
        return;
    if (meta && (input_u8(in) & 1) && meta_decide(state, &record, &entry) != EMB_OK)
        return;
    if (meta_entry_holds(state, &entry, meta ? &record : NULL))
        meta_apply(state, position, &entry, meta ? &record : NULL);
}

static void try_log(const uint8_t *bytes, size_t count)
{
    struct fuzz_input in = {bytes, count};
    struct meta_state state;
    ASSERT(meta_state_init(&state, TOPICS, SESSIONS) == EMB_OK);
    state.producer_usable = 200;
    for (uint64_t position = 1; in.left; position += 1 + input_u8(&in))
        entry_judge(&state, position, &in);
    ASSERT(state.topic_count <= TOPICS && state.session_count <= state.session_places);
    encode_again(&state);
    meta_state_free(&state);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0)
        return 0;
    if (bytes[0] == 0)
        try_batch(bytes + 1, count - 1);
    else if (bytes[0] == 1)
        try_state(bytes + 1, count - 1);
    else
        try_log(bytes + 1, count - 1);
    return 0;
}

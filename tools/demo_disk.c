#include "tools/demo_disk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch/batch.h"
#include "meta/meta.h"

#define ull unsigned long long

void disk_check_init(struct disk_check *check, const struct delivered *delivered, const char *topic)
{
    memset(check, 0, sizeof *check);
    check->delivered = delivered;
    check->topic = topic;
}

void disk_check_free(struct disk_check *check)
{
    free(check->batches);
    check->batches = NULL;
}

/* Non-zero, so that it also ends a scan. */
__attribute__((format(printf, 3, 4))) static int
violated(struct disk_check *check, uint64_t position, const char *format, ...)
{
    if (check->why[0])
        return EMB_ERR_CORRUPT;
    int used = snprintf(check->why, WHY_BYTES,
                        "P4 violated at the store of node %u, position %llu: ", check->node,
                        (ull)position);
    va_list args;
    va_start(args, format);
    vsnprintf(check->why + used, WHY_BYTES - (size_t)used, format, args);
    va_end(args);
    return EMB_ERR_CORRUPT;
}

/* ---- META: the topic's id and the chains ----------------------------------------------------- */

static int take_meta(struct disk_check *check, const struct store_frame *frame)
{
    struct meta_record record;
    struct error err;
    if (meta_batch_read(frame->payload, frame->payload_bytes, &record, &err))
        return violated(check, frame->position, "META: %s", err.text);
    if (record.type == META_TOPIC_CREATE && strcmp(record.topic_create.name, check->topic) == 0)
        check->topic_id = frame->entry.topic;
    if (record.type != META_CHAIN)
        return 0;
    if (record.chain.lane > LANE_MAX || record.chain.count > CHAIN_MAX)
        return violated(check, frame->position, "a chain of lane %u with %u members",
                        record.chain.lane, record.chain.count);
    struct disk_chain *chain = &check->chains[record.chain.lane];
    chain->count = record.chain.count;
    memcpy(chain->members, record.chain.members, sizeof chain->members);
    return 0;
}

/* ---- DATA ------------------------------------------------------------------------------------ */

static int compare_message(struct disk_check *check, uint64_t position, uint64_t offset,
                           const struct record *record)
{
    struct bytes key, value;
    char wanted[EXCERPT_BYTES], got[EXCERPT_BYTES];
    struct bytes key_here = {record->key, record->key ? record->key_bytes : 0};
    struct bytes value_here = {record->value, record->value ? record->value_bytes : 0};
    if (offset >= check->delivered->messages)
        return violated(check, position, "offset %llu, key %s was never delivered", (ull)offset,
                        excerpt(key_here, got));
    delivered_message(check->delivered, offset, &key, &value);
    if (!bytes_equal(key, key_here))
        return violated(check, position, "offset %llu: key %s was delivered, the store holds %s",
                        (ull)offset, excerpt(key, wanted), excerpt(key_here, got));
    if (!record->value || !bytes_equal(value, value_here))
        return violated(check, position,
                        "offset %llu: a value of %llu bytes \"%s\" was delivered, the store holds "
                        "%llu bytes \"%s\"",
                        (ull)offset, (ull)value.count, excerpt(value, wanted),
                        (ull)value_here.count, excerpt(value_here, got));
    return 0;
}

static int compare_batch(struct disk_check *check, const struct store_frame *frame)
{
    struct batch_reader reader;
    struct record record;
    struct error err;
    uint64_t in_batch, offset = frame->entry.base_offset;
    if (!frame->payload)
        return violated(check, frame->position,
                        "the node is in the batch's chain, but has only "
                        "its entry");
    if (batch_reader_open(&reader, frame->payload, frame->payload_bytes, BATCH_MAX_BYTES, &err))
        return violated(check, frame->position, "%s", err.text);
    int rc = 0, more = 1;
    while (rc == 0 && (more = batch_reader_next(&reader, &record, &in_batch, &err)) == 1)
        rc = compare_message(check, frame->position, offset++, &record);
    if (rc == 0 && more < 0)
        rc = violated(check, frame->position, "%s", err.text);
    batch_reader_close(&reader);
    if (rc == 0 && offset != frame->entry.base_offset + frame->entry.message_count)
        rc = violated(check, frame->position, "%llu messages in a batch whose entry says %u",
                      (ull)(offset - frame->entry.base_offset), frame->entry.message_count);
    return rc;
}

/* The same batch in the list of all; every store must hold the same list. */
static struct disk_batch *list_batch(struct disk_check *check, const struct store_frame *frame)
{
    const struct goi_entry_shared *entry = &frame->entry;
    uint16_t chain_count = check->chains[entry->lane].count;
    if (check->batch_index == check->batch_capacity) {
        uint64_t capacity = check->batch_capacity ? 2 * check->batch_capacity : 1024;
        struct disk_batch *batches = realloc(check->batches, capacity * sizeof *batches);
        if (!batches) {
            violated(check, frame->position, "no memory left to check with");
            return NULL;
        }
        check->batches = batches;
        check->batch_capacity = capacity;
    }
    struct disk_batch *batch = &check->batches[check->batch_index];
    if (check->batch_index == check->batch_count) {
        *batch = (struct disk_batch){frame->position, entry->base_offset,   entry->message_count,
                                     entry->lane,     (uint8_t)chain_count, 0};
        check->batch_count++;
    }
    check->batch_index++;
    if (batch->position == frame->position && batch->base_offset == entry->base_offset &&
        batch->count == entry->message_count && batch->lane == entry->lane &&
        batch->chain_count == chain_count)
        return batch;
    violated(check, frame->position,
             "offset %llu of lane %u stands here, another store has offset %llu of lane %u at "
             "position %llu",
             (ull)entry->base_offset, entry->lane, (ull)batch->base_offset, batch->lane,
             (ull)batch->position);
    return NULL;
}

static int take_data(struct disk_check *check, const struct store_frame *frame)
{
    const struct goi_entry_shared *entry = &frame->entry;
    if (entry->lane > LANE_MAX || check->chains[entry->lane].count == 0)
        return violated(check, frame->position, "no chain is known for lane %u", entry->lane);
    if (entry->base_offset != check->next_offset)
        return violated(check, frame->position, "offset %llu was expected, got %llu",
                        (ull)check->next_offset, (ull)entry->base_offset);
    check->next_offset += entry->message_count;
    struct disk_batch *batch = list_batch(check, frame);
    if (!batch)
        return EMB_ERR_CORRUPT;
    const struct disk_chain *chain = &check->chains[entry->lane];
    for (unsigned i = 0; i < chain->count; i++) {
        if (chain->members[i] != check->node)
            continue;
        int rc = compare_batch(check, frame);
        if (rc)
            return rc;
        struct disk_member *member = &check->members[entry->lane][i];
        member->node = check->node;
        member->batches++;
        member->bytes += frame->payload_bytes;
        batch->members |= (uint16_t)(1u << i);
        check->last_position = frame->position;
        check->cares = true;
    }
    return 0;
}

/* ---- stores ---------------------------------------------------------------------------------- */

void disk_check_begin(struct disk_check *check, uint32_t node)
{
    check->node = node;
    memset(check->chains, 0, sizeof check->chains);
    check->topic_id = 0;
    check->batch_index = 0;
    check->next_offset = 0;
    check->cares = false;
}

int disk_check_frame(void *arg, const struct store_frame *frame)
{
    struct disk_check *check = arg;
    if (frame->kind != STORE_FRAME_ENTRY)
        return 0;
    if (frame->entry.kind == ENTRY_META)
        return take_meta(check, frame);
    if (frame->entry.kind == ENTRY_DATA && frame->entry.topic == check->topic_id)
        return take_data(check, frame);
    return 0;
}

bool disk_check_end(struct disk_check *check, uint64_t synced_position)
{
    if (check->why[0])
        return false;
    if (check->cares && check->last_position >= synced_position)
        violated(check, check->last_position,
                 "an acknowledged batch stands behind the last sync record, which ends at %llu",
                 (ull)synced_position);
    return !check->why[0];
}

bool disk_check_finish(struct disk_check *check, unsigned replicas)
{
    uint64_t messages = 0;
    for (uint64_t i = 0; i < check->batch_count && !check->why[0]; i++) {
        const struct disk_batch *batch = &check->batches[i];
        messages += batch->count;
        if (batch->chain_count >= replicas && batch->members == (1u << batch->chain_count) - 1)
            continue;
        snprintf(check->why, WHY_BYTES,
                 "P4 violated: the batch with offsets %llu to %llu (lane %u, position %llu) stands "
                 "on %d members of a chain of %u; %u replicas were asked for",
                 (ull)batch->base_offset, (ull)(batch->base_offset + batch->count - 1), batch->lane,
                 (ull)batch->position, __builtin_popcount(batch->members), batch->chain_count,
                 replicas);
    }
    if (!check->why[0] && messages != check->delivered->messages)
        snprintf(check->why, WHY_BYTES,
                 "P4 violated: the stores hold %llu messages, %llu were delivered", (ull)messages,
                 (ull)check->delivered->messages);
    return !check->why[0];
}

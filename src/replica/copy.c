/*
 * How it works: the cursor goes through the GOI in order of position. Each entry is loaded (its
 * payload checked, if this store shall have it) into `item`, then given to the store; when the
 * store's staging is full, the item waits there, still pinned, and is not checked again.
 */
#include "batch/batch.h"
#include "replica/state.h"

#define ENTRIES_PER_TURN 64
#define BYTES_PER_TURN   (8ULL << 20)

static bool asks_sync(const struct goi_entry_shared *entry)
{
    return entry->kind == ENTRY_META || (entry->flags & ENTRY_ASKS_SYNC);
}

static bool asks_copy_only(const struct goi_entry_shared *entry)
{
    return !asks_sync(entry) && (entry->flags & ENTRY_ASKS_COPY);
}

static bool asks_payload(const struct goi_entry_shared *entry)
{
    return entry->kind == ENTRY_META ||
           (entry->kind == ENTRY_DATA && (entry->flags & (ENTRY_ASKS_SYNC | ENTRY_ASKS_COPY)));
}

/* ---- loading --------------------------------------------------------------------------------- */

/* A META entry carries what the sequencer assigned, so its batch is checked by its form. */
static int payload_check(const struct goi_entry_shared *entry, const unsigned char *payload,
                         struct error *err)
{
    uint32_t bytes = payload_bytes(entry->payload);
    if (entry->kind == ENTRY_META) {
        struct meta_record record;
        return meta_batch_read(payload, bytes, &record, err);
    }
    struct batch_identity identity = {.session = entry->session,
                                      .client_sequence = entry->client_sequence,
                                      .message_count = entry->message_count,
                                      .max_timestamp_ms = get_u48(entry->timestamp_ms)};
    return batch_check(payload, bytes, &identity, err);
}

static int payload_load(struct replica *replica, struct replica_item *item)
{
    const struct goi_entry_shared *entry = &item->entry;
    struct error err = {.text = "its place lies outside the segments"};
    item->payload = follower_payload(replica->follower, entry);
    item->payload_bytes = payload_bytes(entry->payload);
    int result = item->payload ? payload_check(entry, item->payload, &err) : EMB_ERR_CORRUPT_BATCH;
    if (result == EMB_OK)
        return EMB_OK;
    return replica_fail(replica, EMB_ERR_CORRUPT_BATCH,
                        "payload of position %llu, lane %u: %.200s; a right copy of the batch is "
                        "needed",
                        (unsigned long long)replica->cursor, entry->lane, err.text);
}

/* The log goes on elsewhere; a place at or behind the cursor would be read for ever. */
static int jump(struct replica *replica, uint64_t next_position)
{
    if (next_position <= replica->cursor)
        return replica_fail(replica, EMB_ERR_CORRUPT,
                            "position %llu: the log goes on at %llu; accepted: higher positions",
                            (unsigned long long)replica->cursor, (unsigned long long)next_position);
    replica->cursor = next_position;
    replica->counters.jumps++;
    return EMB_OK;
}

static int entry_failed(struct replica *replica, int result)
{
    if (result == EMB_ERR_OFFSET_OUT_OF_RANGE)
        return replica_fail(replica, result,
                            "position %llu was overwritten before it was copied; the log stands "
                            "at %llu",
                            (unsigned long long)replica->cursor,
                            (unsigned long long)follower_position(replica->follower));
    return replica_fail(replica, result, "position %llu: %s", (unsigned long long)replica->cursor,
                        error_text(result));
}

/* Loads the item at the cursor, or moves the cursor over a jump (no item is there then). */
static int item_load(struct replica *replica)
{
    struct replica_item *item = &replica->item;
    *item = (struct replica_item){0};
    uint64_t next_position = 0;
    int result = follower_entry(replica->follower, replica->cursor, &item->entry, &next_position);
    if (result == EMB_ERR_NOT_FOUND)
        return jump(replica, next_position);
    if (result != EMB_OK)
        return entry_failed(replica, result);
    if (item->entry.lane > LANE_SEQUENCER)
        return replica_fail(replica, EMB_ERR_CORRUPT,
                            "position %llu: lane %u; accepted: lanes up to %d",
                            (unsigned long long)replica->cursor, item->entry.lane, LANE_SEQUENCER);
    const struct replica_lane *lane = replica_lane_look(replica, item->entry.lane);
    bool wanted = item->entry.kind == ENTRY_META || lane->place >= 0;
    if (wanted && asks_payload(&item->entry))
        result = payload_load(replica, item);
    item->there = result == EMB_OK;
    return result;
}

/* ---- giving it to the store ------------------------------------------------------------------ */

static void note_missing(struct replica *replica, struct replica_lane *lane)
{
    if (lane->missing_end <= follower_durable(replica->follower))
        lane->missing_first = replica->cursor;
    lane->missing_end = replica->cursor + 1;
}

/* The item is in the store: what its entry asks for is now this replica's to do. */
static void note_asks(struct replica *replica, const struct replica_item *item, uint64_t now_ns)
{
    const struct goi_entry_shared *entry = &item->entry;
    struct replica_lane *lane = &replica->lanes[entry->lane];
    uint64_t end = replica->cursor + 1;
    replica->all_covered = false;
    if (asks_payload(entry) && !item->payload)
        note_missing(replica, lane);
    if (asks_sync(entry)) {
        lane->sync_asked_end = end;
        if (lane->place >= 0 || lane->version == 0 || entry->kind == ENTRY_META)
            replica->sync_wanted_end = end;
    } else if (asks_copy_only(entry)) {
        lane->copy_asked_end = end;
        if (lane->place < 0)
            return;
        if (replica->copy_wanted_end <= replica->sync_covers_end)
            replica->copy_wanted_ns = now_ns;
        replica->copy_wanted_end = end;
    }
}

/* true: given, and the cursor is behind it. false: the store is busy, or the replica has failed. */
static bool item_give(struct replica *replica, uint64_t now_ns)
{
    struct replica_item *item = &replica->item;
    int result = store_append(replica->store, replica->cursor, &item->entry, item->payload,
                              item->payload ? item->payload_bytes : 0);
    if (result == EMB_ERR_BUSY) {
        replica->counters.busy++;
        return false;
    }
    if (result != EMB_OK) {
        struct error err = {0};
        store_failure(replica->store, &err);
        replica_fail(replica, result, "%s", err.text[0] ? err.text : error_text(result));
        return false;
    }
    note_asks(replica, item, now_ns);
    replica->counters.entries++;
    replica->counters.payloads += item->payload != NULL;
    replica->counters.payload_bytes += item->payload ? item->payload_bytes : 0;
    replica->cursor++;
    item->there = false;
    return true;
}

int replica_copy(struct replica *replica, uint64_t now_ns)
{
    uint64_t end = follower_position(replica->follower);
    uint64_t bytes_before = replica->counters.payload_bytes;
    int taken = 0;
    while (taken < ENTRIES_PER_TURN && replica->cursor < end &&
           replica->counters.payload_bytes - bytes_before < BYTES_PER_TURN) {
        /* One that waits without payload is looked at again: its lane may have come into care. */
        if (!(replica->item.there && replica->item.payload) && item_load(replica) != EMB_OK)
            break;
        if (replica->item.there && !item_give(replica, now_ns))
            break;
        taken++;
    }
    return taken;
}

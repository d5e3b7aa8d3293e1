#include "replica/rig_test.h"

#include <stdlib.h>
#include <string.h>

#include "batch/batch.h"

/* ---- the follower ---------------------------------------------------------------------------- */

bool follower_is_current(const struct follower *f)
{
    return !f->not_current;
}

uint64_t follower_admitted(const struct follower *f)
{
    return f->admitted;
}

uint64_t follower_position(const struct follower *f)
{
    return f->position;
}

uint64_t follower_durable(const struct follower *f)
{
    return f->durable;
}

const struct meta_state *follower_meta(const struct follower *f)
{
    return &f->meta;
}

int follower_entry(struct follower *f, uint64_t position, struct goi_entry_shared *entry,
                   uint64_t *next_position)
{
    assert_true(position < f->position);
    if (f->overwritten[position])
        return EMB_ERR_OFFSET_OUT_OF_RANGE;
    *next_position = f->jump_to[position];
    if (f->jump_to[position])
        return EMB_ERR_NOT_FOUND;
    *entry = f->entries[position];
    return EMB_OK;
}

const unsigned char *follower_payload(struct follower *f, const struct goi_entry_shared *entry)
{
    f->payload_reads++;
    return f->payload_gone ? NULL : f->payloads[payload_address(entry->payload) / LINE_BYTES];
}

void follower_set_needed(struct follower *f, uint64_t position)
{
    assert_true(position >= f->needed);
    f->needed = position;
}

void follower_set_store_synced(struct follower *f, uint64_t position)
{
    assert_true(position >= f->store_synced);
    f->store_synced = position;
}

struct completion_shared *region_completion(struct region *region, uint32_t lane, uint32_t node)
{
    return &CONTAINER_OF(region, struct world, region)->completions[lane][node];
}

/* ---- the store ------------------------------------------------------------------------------- */

int store_append(struct store *s, uint64_t position, const struct goi_entry_shared *entry,
                 const void *payload, size_t payload_bytes)
{
    assert_true(position >= s->appended);
    if (s->failure)
        return s->failure;
    if (s->busy) {
        s->busy--;
        return EMB_ERR_BUSY;
    }
    assert_true(payload_bytes <= PAYLOAD_CAPACITY && (payload || !payload_bytes));
    s->positions[s->count] = position;
    s->entries[s->count] = *entry;
    s->payload_bytes[s->count] = payload_bytes;
    if (payload)
        memcpy(s->payloads[s->count], payload, payload_bytes);
    s->count++;
    s->appended = position + 1;
    s->unsynced_bytes += 64 + payload_bytes;
    return EMB_OK;
}

int store_sync(struct store *s, uint64_t durable_position)
{
    assert_false(s->syncing);
    if (s->failure)
        return s->failure;
    s->syncing = true;
    s->syncing_to = s->appended;
    s->sync_durable = durable_position;
    s->unsynced_bytes = 0;
    s->syncs++;
    return EMB_OK;
}

int store_flush(struct store *s)
{
    s->flushed_to = s->appended;
    s->flushes++;
    return s->failure;
}

bool store_sync_under_way(const struct store *s)
{
    return s->syncing;
}

uint64_t store_unsynced_bytes(const struct store *s)
{
    return s->unsynced_bytes;
}

int store_do_work(struct store *s, uint64_t now_ns)
{
    s->turns++;
    return 0;
}

uint64_t store_appended(const struct store *s)
{
    return s->appended;
}

uint64_t store_copied(const struct store *s)
{
    return s->copied;
}

int store_begin(struct store *s, uint64_t first_position, struct error *err)
{
    assert_false(s->begun);
    if (s->failure)
        return error_set(err, s->failure, "no file could be made");
    s->begun = true;
    s->appended = s->copied = s->synced = first_position;
    return EMB_OK;
}

uint64_t store_synced(const struct store *s)
{
    return s->synced;
}

int store_failure(const struct store *s, struct error *err)
{
    return s->failure ? error_set(err, s->failure, "sync of 0001.log failed") : EMB_OK;
}

/* ---- the world ------------------------------------------------------------------------------- */

void set_chain(struct world *w, uint32_t lane, uint16_t version, int count, const uint32_t *members)
{
    w->follower.meta.chain_changes++;
    struct meta_chain *chain = &w->follower.meta.lanes[lane].chain;
    *chain = (struct meta_chain){.version = version, .count = (uint16_t)count};
    memcpy(chain->members, members, (size_t)count * sizeof *members);
}

void create_replica(struct world *w)
{
    struct replica_options options = {.follower = &w->follower,
                                      .store = &w->store,
                                      .region = &w->region,
                                      .node = NODE,
                                      .sync_bytes = 100000};
    assert_int_equal(replica_create(&options, &w->replica, NULL), EMB_OK);
}

static int setup_with(void **state, enum mem_coherence coherence)
{
    struct world *w = aligned_alloc(LINE_BYTES, align_up(sizeof *w, LINE_BYTES));
    assert_non_null(w);
    memset(w, 0, sizeof *w);
    *state = w;
    assert_int_equal(mem_init(&w->region.mem, coherence, MEM_WRITEBACK_AUTO, NULL), EMB_OK);
    set_chain(w, LANE, 1, 1, (uint32_t[]){NODE});
    create_replica(w);
    return 0;
}

int setup_hardware(void **state)
{
    return setup_with(state, MEM_HARDWARE);
}

int setup_software(void **state)
{
    return setup_with(state, MEM_SOFTWARE);
}

int teardown(void **state)
{
    struct world *w = *state;
    replica_destroy(w->replica);
    assert_int_equal(w->follower.needed, NO_POSITION);
    free(w);
    return 0;
}

static uint32_t write_batch(unsigned char *to, uint64_t session, uint64_t sequence)
{
    struct batch_builder builder;
    void *finished;
    struct record record = {.timestamp_ms = 1000 + sequence, .value = &sequence, .value_bytes = 8};
    batch_builder_init(&builder, to, PAYLOAD_CAPACITY);
    assert_true(batch_append(&builder, &record));
    ssize_t bytes = batch_finish(&builder, session, sequence, BATCH_NONE, 0, NULL, 0, &finished);
    assert_true(bytes > 0 && finished == to);
    return (uint32_t)bytes;
}

static uint32_t write_meta(unsigned char *to, uint64_t mark)
{
    struct meta_record record = {.type = META_PRODUCER_BLOCK, .version = 1};
    record.producer_block.mark = mark;
    return meta_batch_build(to, &record, 1000);
}

uint64_t add(struct world *w, uint32_t lane, enum entry_kind kind, unsigned flags)
{
    struct follower *f = &w->follower;
    uint64_t position = f->position++;
    struct goi_entry_shared *entry = &f->entries[position];
    uint32_t bytes = 0;
    *entry = (struct goi_entry_shared){.lane = (uint8_t)lane,
                                       .kind = (uint8_t)kind,
                                       .flags = (uint8_t)flags,
                                       .message_count = 1,
                                       .topic = 1,
                                       .session = 7 << 16 | 1,
                                       .client_sequence = position};
    put_u48(entry->timestamp_ms, 1000 + position);
    if (kind == ENTRY_DATA)
        bytes = write_batch(f->payloads[position], entry->session, position);
    if (kind == ENTRY_META)
        bytes = write_meta(f->payloads[position], 100 + position);
    entry->payload = bytes ? payload_word(position * LINE_BYTES, bytes) : 0;
    return position;
}

uint64_t add_data(struct world *w)
{
    return add(w, LANE, ENTRY_DATA, ENTRY_ASKS_SYNC);
}

void turn(struct world *w, uint64_t now_ns)
{
    replica_do_work(w->replica, now_ns);
}

void sync_ends(struct store *store)
{
    assert_true(store->syncing);
    store->syncing = false;
    store->synced = store->copied = store->syncing_to;
}

void turn_and_sync(struct world *w)
{
    turn(w, 0);
    sync_ends(&w->store);
    turn(w, 0);
}

uint64_t synced_word(struct world *w, uint32_t lane, uint32_t node)
{
    return mem_observe_u64(&w->region.mem, &w->completions[lane][node].synced);
}

uint64_t copied_word(struct world *w, uint32_t lane, uint32_t node)
{
    return mem_observe_u64(&w->region.mem, &w->completions[lane][node].copied);
}

void say(struct world *w, uint32_t lane, uint32_t node, uint16_t version, uint64_t position)
{
    uint64_t word = completion_word(version, position);
    mem_publish_u64(&w->region.mem, &w->completions[lane][node].synced, word);
    mem_publish_u64(&w->region.mem, &w->completions[lane][node].copied, word);
    mem_drain(&w->region.mem);
}

void assert_failed_with(struct world *w, int code, const char *part)
{
    struct error err;
    assert_int_equal(replica_failure(w->replica, &err), code);
    assert_int_equal(err.code, code);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
}

#include "sim/check/rig_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "batch/batch.h"
#include "sim/client/clients.h"
#include "sim/env/sim_env.h"
#include "store/frame.h"

#define REGION_BYTES (4u << 20)

/* ---- stand-ins ------------------------------------------------------------------------------- */

unsigned char *region;
static struct geometry geometry;
static struct region_areas areas;
struct memory_watch watch;
static disk_sync_fn *synced;
struct host hosts[2];
struct coverage coverage;
static uint64_t now_ns;
const char *stuck;
char found_by[32], found_text[1600];

struct disk disks[2];

const struct region_areas *memory_areas(void)
{
    return &areas;
}

const struct geometry *memory_geometry(void)
{
    return &geometry;
}

uint64_t memory_bytes(void)
{
    return REGION_BYTES;
}

void memory_line_of_writer(uint64_t offset, unsigned char line[64])
{
    memcpy(line, memory_truth(offset), 64);
}

const unsigned char *memory_truth(uint64_t offset)
{
    return region + offset;
}

uint64_t memory_intended_u64(const struct host *host, uint64_t offset)
{
    uint64_t value;
    memcpy(&value, region + offset, sizeof value);
    return value;
}

void memory_watch(const struct memory_watch *to)
{
    watch = *to;
}

const char *place_text(uint64_t offset)
{
    return "a place";
}

struct place place_of(uint64_t offset)
{
    if (offset >= areas.goi && offset < areas.goi + areas.goi_entries * 64)
        return (struct place){.area = PLACE_GOI, .minor = (uint32_t)((offset - areas.goi) / 64)};
    if (offset == areas.workspaces)
        return (struct place){.area = PLACE_COMMITTED};
    if (offset >= areas.lanes && offset < areas.lanes + geometry.lanes * areas.lane_bytes)
        return (struct place){.area = PLACE_LANE_SLOT,
                              .major = (uint32_t)((offset - areas.lanes) / areas.lane_bytes)};
    if (offset >= areas.nodes && offset < areas.completions)
        return (struct place){.area = PLACE_NODE_READ,
                              .major =
                                  (uint32_t)((offset - areas.nodes) / sizeof(struct node_shared))};
    if (offset >= areas.workspaces && offset < areas.nodes)
        return (struct place){.area = PLACE_CHECKPOINT_HEADER};
    return (struct place){.area = PLACE_NONE};
}

void disk_watch_syncs(disk_sync_fn *fn)
{
    synced = fn;
}

struct env *env_of_host(struct host *host)
{
    return (struct env *)host;
}

int store_scan(struct env *env, const char *path,
               int (*fn)(void *arg, const struct store_frame *frame), void *arg,
               struct store_summary *summary, struct error *err)
{
    const struct disk *disk = &disks[((struct host *)env)->number];
    *summary = (struct store_summary){0};
    for (unsigned i = 0; i < disk->count; i++)
        fn(arg, &disk->frames[i]);
    return EMB_OK;
}

struct host *world_host(uint32_t number)
{
    return &hosts[number];
}

uint32_t world_host_count(void)
{
    return 2;
}

uint64_t world_now_ns(void)
{
    return now_ns += 1000;
}

void finding(const char *checker, const char *format, ...)
{
    va_list args;
    if (found_by[0])
        return;
    snprintf(found_by, sizeof found_by, "%s", checker);
    va_start(args, format);
    vsnprintf(found_text, sizeof found_text, format, args);
    va_end(args);
}

struct coverage *coverage_of_world(void)
{
    return &coverage;
}

void trace_mix(const char *kind, uint64_t a, uint64_t b)
{
}

bool trace_wants(enum trace_level level)
{
    return false;
}

void trace_line(const char *kind, const char *format, ...)
{
}

const char *clients_stuck(void)
{
    return stuck;
}

/* ---- a rack by hand -------------------------------------------------------------------------- */

uint64_t committed_seq, next_slot, next_offset, next_sequence, blog_at;

/* A host stores a line, and it reaches memory. */
static void line_put(uint64_t offset, const void *line)
{
    unsigned char before[64];
    memcpy(before, region + offset, 64);
    watch.stored(&hosts[0], offset, line);
    memcpy(region + offset, line, 64);
    watch.reached(&hosts[0], offset, before, line);
}

void goi_put(uint64_t position, struct goi_entry_shared *entry)
{
    entry->stamp = (uint32_t)position;
    entry->crc = crc32c_extend(crc32c(entry, 60), &position, sizeof position);
    line_put(areas.goi + position % areas.goi_entries * 64, entry);
}

void commit_up_to(uint64_t end)
{
    uint64_t line[8] = {end};
    line_put(areas.workspaces, line);
    committed_seq = end;
}

uint64_t commit(struct goi_entry_shared entry)
{
    if (entry.epoch == 0)
        entry.epoch = 1;
    goi_put(committed_seq, &entry);
    commit_up_to(committed_seq + 1);
    return committed_seq - 1;
}

static uint64_t payload_put(const void *bytes, uint32_t count)
{
    uint64_t at = blog_at;
    blog_at += align_up(count, 64);
    watch.blog_stored(&hosts[0], at, count);
    memcpy(region + at, bytes, count);
    return payload_word(at, count);
}

static void slot_put(uint32_t lane, uint64_t index, struct pbr_entry_shared slot)
{
    slot.index = index;
    slot.lane_generation = 1;
    slot.crc = crc32c(&slot, 60);
    line_put(areas.lanes + lane * areas.lane_bytes + (1 + index % geometry.lane_slots) * 64, &slot);
}

static uint64_t meta_put(const struct meta_record *record, uint32_t lane,
                         struct goi_entry_shared entry)
{
    unsigned char bytes[META_BATCH_BYTES];
    entry.payload = payload_put(bytes, meta_batch_build(bytes, record, 1));
    entry.message_count = 1;
    entry.lane = (uint8_t)lane;
    entry.kind = ENTRY_META;
    entry.flags = ENTRY_ASKS_SYNC;
    if (lane < LANE_MAX) {
        entry.pbr_index = (uint32_t)next_slot;
        slot_put(lane, next_slot++,
                 (struct pbr_entry_shared){
                     .payload = entry.payload, .kind = ENTRY_META, .message_count = 1});
    }
    return commit(entry);
}

struct act *act_new(uint64_t sequence, uint32_t count)
{
    static unsigned char buffer[4096];
    unsigned char value[64];
    struct batch_builder builder;
    void *bytes;
    batch_builder_init(&builder, buffer, sizeof buffer);
    for (uint32_t i = 0; i < count; i++) {
        history_fill(value, sizeof value, 1, sequence + i);
        struct record record = {.timestamp_ms = 5, .value = value, .value_bytes = sizeof value};
        assert_true(batch_append(&builder, &record));
    }
    ssize_t got = batch_finish(&builder, SESSION, sequence, BATCH_NONE, 0, NULL, 0, &bytes);
    assert_true(got > 0);
    return history_invoke(&(struct act){.publisher = 1,
                                        .topic = TOPIC,
                                        .acks = 2,
                                        .session = SESSION,
                                        .client_sequence = sequence,
                                        .message_count = count,
                                        .max_timestamp_ms = 5,
                                        .bytes = bytes,
                                        .byte_count = (uint32_t)got});
}

/* A slot of lane 0 with the act's batch; what an entry about it says. */
struct goi_entry_shared publish(const struct act *act, enum entry_kind kind, int reason)
{
    struct goi_entry_shared entry = {.payload = payload_put(act->bytes, act->byte_count),
                                     .message_count = act->message_count,
                                     .base_offset = NO_OFFSET,
                                     .session = act->session,
                                     .client_sequence = act->client_sequence,
                                     .topic = act->topic,
                                     .pbr_index = (uint32_t)next_slot,
                                     .kind = (uint8_t)kind,
                                     .reason = (uint8_t)-reason,
                                     .flags = ENTRY_ASKS_SYNC};
    struct pbr_entry_shared slot = {.payload = entry.payload,
                                    .session = entry.session,
                                    .client_sequence = entry.client_sequence,
                                    .topic = entry.topic,
                                    .message_count = entry.message_count,
                                    .kind = ENTRY_DATA};
    put_u48(entry.timestamp_ms, act->max_timestamp_ms);
    put_u48(slot.timestamp_ms, act->max_timestamp_ms);
    slot_put(0, next_slot++, slot);
    if (kind == ENTRY_DATA) {
        entry.base_offset = next_offset;
        next_offset += entry.message_count;
    }
    return entry;
}

uint64_t publish_and_commit(const struct act *act, enum entry_kind kind, int reason)
{
    return commit(publish(act, kind, reason));
}

struct act *act_next(uint32_t count)
{
    next_sequence += count;
    return act_new(next_sequence - count, count);
}

/* One that is committed. */
struct act *act_committed(void)
{
    struct act *act = act_next(3);
    publish_and_commit(act, ENTRY_DATA, 0);
    return act;
}

static void frame_add(struct disk *disk, uint64_t position)
{
    const struct committed *committed = log_at(position);
    uint32_t bytes;
    const unsigned char *payload = log_payload(position, &bytes);
    struct frame_entry_head head;
    size_t head_bytes = frame_entry(&head, (struct frame_place){0, disk->bytes}, position,
                                    &committed->entry, payload, bytes);
    unsigned char *at = disk->image + disk->bytes;
    memcpy(at, &head, head_bytes);
    if (payload)
        memcpy(at + sizeof head.frame, payload, bytes);
    disk->bytes += head.frame.header.total_bytes;
    disk->frames[disk->count++] = (struct store_frame){.kind = STORE_FRAME_ENTRY,
                                                       .position = position,
                                                       .entry = committed->entry,
                                                       .payload = payload,
                                                       .payload_bytes = bytes};
}

/* Everything up to there is on the host's disk. */
void sync_host(uint32_t number, uint64_t end)
{
    struct disk *disk = &disks[number];
    if (disk->bytes == 0) {
        frame_file_header((struct store_file_header *)disk->image, (const uint8_t[16]){1}, number,
                          1, 0, 0);
        disk->bytes = STORE_BLOCK_BYTES;
    }
    while (disk->count < end)
        frame_add(disk, disk->count);
    synced(&hosts[number], "00000000000000000000.log", disk->image, disk->bytes);
}

void sync_all(void)
{
    sync_host(0, log_end());
    sync_host(1, log_end());
}

void node_set(uint32_t node, uint64_t needed, uint64_t reading)
{
    struct node_read_shared line = {.needed = {needed}, .reading = {reading}};
    uint64_t offset =
        areas.nodes + node * sizeof(struct node_shared) + offsetof(struct node_shared, read);
    memcpy(region + offset, &line, sizeof line);
    watch.stored(&hosts[node], offset, region + offset);
}

void checkpoint_put(uint64_t covers)
{
    struct checkpoint_shared header = {.sequence = covers, .owner_epoch = 1, .covers = covers};
    header.crc = crc32c(&header, 60);
    line_put(areas.nodes - 2 * 4096, &header);
}

static struct meta_record record_of(enum meta_type type)
{
    return (struct meta_record){.type = (uint8_t)type, .version = 1};
}

static void rack_admit(uint32_t node)
{
    struct meta_record record = record_of(META_NODE_ADMIT);
    record.admit.node = node;
    record.admit.incarnation = 1;
    record.admit.roles = ROLE_BROKER | ROLE_REPLICA;
    record.admit.lane_count = 1;
    record.admit.lanes[0] = node;
    record.admit.lane_generations[0] = 1;
    meta_put(&record, LANE_SEQUENCER, (struct goi_entry_shared){0});
}

static void rack_chain(uint32_t lane)
{
    struct meta_record record = record_of(META_CHAIN);
    record.chain.lane = lane;
    record.chain.version = 1;
    record.chain.count = 2;
    record.chain.members[1] = 1;
    meta_put(&record, LANE_SEQUENCER, (struct goi_entry_shared){0});
}

static void rack_topic(void)
{
    struct meta_record record = record_of(META_TOPIC_CREATE);
    record.topic_create.order = TOPIC_ORDER_CLIENT;
    record.topic_create.replicas = 2;
    record.topic_create.gap = TOPIC_GAP_SKIP;
    record.topic_create.name[0] = 't';
    meta_put(&record, 0, (struct goi_entry_shared){.topic = TOPIC});
    record = record_of(META_SESSION_OPEN);
    record.session_open.topic = TOPIC;
    meta_put(&record, 0, (struct goi_entry_shared){.topic = TOPIC, .session = SESSION});
}

/* Two nodes with stores, a lane each, chains, a topic, a session; all of it durable. */
int rack_begin(void **state)
{
    geometry = (struct geometry){.region_bytes = REGION_BYTES,
                                 .segment_bytes = 64 << 10,
                                 .lanes = 2,
                                 .lane_slots = 8,
                                 .goi_segments = 16,
                                 .goi_segment_entries = 8,
                                 .topics = 4,
                                 .sessions = 16};
    region_areas_compute(&geometry, &areas);
    region = realloc(region, REGION_BYTES);
    memset(region, 0, REGION_BYTES);
    memset(disks, 0, sizeof disks);
    committed_seq = next_slot = next_offset = next_sequence = 0;
    blog_at = areas.blog;
    stuck = NULL;
    found_by[0] = found_text[0] = 0;
    for (uint32_t i = 0; i < 2; i++) {
        hosts[i] = (struct host){.number = i, .in_rack = true, .alive = true};
        snprintf(hosts[i].name, sizeof hosts[i].name, "host%u", i);
    }
    check_begin();
    struct epoch_slot_shared epoch = {.epoch = 1};
    epoch.crc = crc32c(&epoch, 60);
    line_put(areas.epoch_slots, &epoch);
    struct meta_record life = record_of(META_LIFE);
    life.life.life = 1;
    meta_put(&life, LANE_SEQUENCER, (struct goi_entry_shared){0});
    rack_admit(0);
    rack_admit(1);
    rack_chain(0);
    rack_chain(1);
    rack_chain(LANE_SEQUENCER);
    rack_topic();
    sync_all();
    return 0;
}

int rack_end(void **state)
{
    check_end();
    return 0;
}

void deliver(const struct act *act, uint64_t position, uint8_t level)
{
    unsigned char *bytes = malloc(act->byte_count);
    const struct goi_entry_shared *entry = &log_at(position)->entry;
    memcpy(bytes, act->bytes, act->byte_count);
    batch_header_place(bytes, entry->base_offset, 1);
    history_delivered(&(struct delivery_seen){.subscriber = 2,
                                              .topic = TOPIC,
                                              .level = level,
                                              .base_offset = entry->base_offset,
                                              .position = position,
                                              .message_count = act->message_count,
                                              .session = act->session,
                                              .client_sequence = act->client_sequence,
                                              .bytes = bytes,
                                              .byte_count = act->byte_count});
    free(bytes);
}

void range_lost(uint64_t until)
{
    commit((struct goi_entry_shared){.base_offset = until,
                                     .session = SESSION,
                                     .client_sequence = next_sequence,
                                     .topic = TOPIC,
                                     .lane = LANE_SEQUENCER,
                                     .kind = ENTRY_SKIP,
                                     .flags = ENTRY_ASKS_SYNC});
    next_sequence = until;
}

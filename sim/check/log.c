/*
 * The log, as memory shows it: when committed_seq of the sequencer's workspace reaches memory, the
 * entries below it are read from memory itself, past all caches, verified, applied to a META state
 * of its own, and told to the checkers. Nothing is taken from the sequencer or a follower.
 *
 * The first epoch that was ever granted is the log's. A successor's grant ends it where the
 * successor read committed_seq; what the old one commits later is not part of the log.
 */
#include <stdlib.h>

#include "batch/batch.h"
#include "sim/check/internal.h"

#define BLOCK_RECORDS 256
#define BLOCKS_MAX    4096

struct log_record {
    struct committed committed;
    const struct act *about;
    uint64_t about_before; /* older position about the same act */
    unsigned char *meta;   /* copy of a META payload */
    uint32_t meta_bytes;
};

static struct {
    struct log_record *blocks[BLOCKS_MAX];
    uint64_t count; /* the log's end */
    uint64_t noted; /* records in use: more than count when the old end came late */
    uint64_t old_end;
    uint64_t old_epoch;
    uint64_t epoch; /* 0: none yet */
    uint32_t workspace;
    uint32_t sequencer;
    bool broken; /* something below committed_seq is no entry: nothing more is taken */
    bool has_meta;
    struct meta_state meta;
    uint32_t lane_generation[LANE_MAX];
    uint64_t lane_slot[LANE_MAX]; /* highest index that has its entry */
    uint64_t left[NODE_MAX];      /* position of a node's last leave */
} past;

static struct log_record *record_at(uint64_t position)
{
    ASSERT(position < past.noted);
    return &past.blocks[position / BLOCK_RECORDS][position % BLOCK_RECORDS];
}

static struct log_record *record_new(uint64_t position)
{
    uint64_t block = position / BLOCK_RECORDS;
    ASSERT(block < BLOCKS_MAX);
    if (!past.blocks[block])
        past.blocks[block] = malloc(BLOCK_RECORDS * sizeof(struct log_record));
    ASSERT(past.blocks[block]);
    past.noted = position + 1;
    return record_at(position);
}

void log_begin(void)
{
    log_forget();
    past.epoch = 0;
    past.broken = false;
    past.old_end = NO_POSITION;
    past.old_epoch = 0;
    memset(past.lane_generation, 0, sizeof past.lane_generation);
    memset(past.lane_slot, 0, sizeof past.lane_slot);
}

void log_forget(void)
{
    for (uint64_t i = 0; i < past.noted; i++)
        free(record_at(i)->meta);
    past.count = past.noted = 0;
    if (past.has_meta)
        meta_state_free(&past.meta);
    past.has_meta = false;
}

/* ---- whose log ------------------------------------------------------------------------------- */

static bool find_workspace(void)
{
    for (uint32_t slot = 0; slot < EPOCH_SLOT_COUNT; slot++) {
        struct epoch_slot_shared line;
        memcpy(&line, memory_truth(memory_areas()->epoch_slots + (uint64_t)slot * LINE_BYTES),
               sizeof line);
        if (!line_crc_is_right(&line) || line.epoch == 0 ||
            (past.epoch && line.epoch >= past.epoch))
            continue;
        past.epoch = line.epoch;
        past.workspace = line.workspace;
        past.sequencer = line.sequencer;
    }
    return past.epoch != 0;
}

bool log_is_of_workspace(uint32_t workspace)
{
    return past.epoch && past.workspace == workspace;
}

/* A second successor ends an epoch that never began. */
void log_set_old_end(uint64_t epoch, uint64_t end)
{
    if ((!past.epoch && !find_workspace()) || epoch != past.epoch || past.old_end != NO_POSITION)
        return;
    past.old_epoch = epoch;
    past.old_end = end;
    past.count = min_u64(past.count, end);
    TRACE("old-end", epoch, end, "epoch %llu ends at %llu", (ull)epoch, (ull)end);
}

uint64_t log_old_end(uint64_t *epoch)
{
    if (epoch)
        *epoch = past.old_epoch;
    return past.old_end;
}

/* ---- one entry ------------------------------------------------------------------------------- */

bool goi_line_position(const struct goi_entry_shared *entry, uint32_t ring_index,
                       uint64_t *position)
{
    *position = past.count + (uint64_t)(int64_t)(int32_t)(entry->stamp - (uint32_t)past.count);
    return *position % memory_areas()->goi_entries == ring_index &&
           goi_line_is_of(entry, *position);
}

const unsigned char *payload_truth(uint64_t word)
{
    const struct region_areas *areas = memory_areas();
    uint64_t address = payload_address(word), bytes = payload_bytes(word);
    uint64_t end = areas->blog + (uint64_t)areas->segments * memory_geometry()->segment_bytes;
    if (bytes == 0 || address < areas->blog || address >= end || bytes > end - address)
        return NULL;
    return memory_truth(address);
}

/* false: it is no META record. */
static bool read_meta(struct log_record *record)
{
    struct committed *committed = &record->committed;
    uint64_t word = committed->entry.payload;
    const unsigned char *bytes = payload_truth(word);
    struct error err = {.text = "its payload lies nowhere"};
    if (!bytes || meta_batch_read(bytes, payload_bytes(word), &committed->record, &err)) {
        finding("bytes",
                "position %llu is META, but memory does not hold its record when it is "
                "committed: %s",
                (ull)committed->position, err.text);
        return false;
    }
    record->meta_bytes = payload_bytes(word);
    record->meta = malloc(record->meta_bytes);
    ASSERT(record->meta);
    memcpy(record->meta, bytes, record->meta_bytes);
    return true;
}

static bool apply(struct log_record *record)
{
    struct committed *committed = &record->committed;
    const struct goi_entry_shared *entry = &committed->entry;
    const struct meta_record *meta = entry->kind == ENTRY_META ? &committed->record : NULL;
    if (meta && !read_meta(record))
        return false;
    if (!past.has_meta) {
        const struct geometry *geometry = memory_geometry();
        int rc = meta_state_init(&past.meta, geometry->topics, geometry->sessions);
        ASSERT(rc == EMB_OK);
        past.has_meta = true;
    }
    if (!meta_entry_holds(&past.meta, entry, meta)) {
        finding("positions", "%s: such an entry cannot be", entry_text(committed));
        return false;
    }
    meta_apply(&past.meta, committed->position, entry, meta);
    if (meta && meta->type == META_NODE_LEAVE)
        past.left[meta->leave.node] = committed->position;
    return true;
}

/* The entry has the low bits of the index; a lane granted anew goes on where it was left. */
static void find_slot(struct committed *committed)
{
    uint32_t lane = committed->entry.lane;
    if (lane >= LANE_MAX)
        return;
    if (past.lane_generation[lane] != past.meta.lanes[lane].generation) {
        past.lane_generation[lane] = past.meta.lanes[lane].generation;
        past.lane_slot[lane] = past.meta.lanes[lane].start;
    }
    uint64_t near = past.lane_slot[lane];
    committed->slot =
        near + (uint64_t)(int64_t)(int32_t)(committed->entry.pbr_index - (uint32_t)near);
    past.lane_slot[lane] = max_u64(near, committed->slot);
}

static void find_act(struct log_record *record)
{
    const struct goi_entry_shared *entry = &record->committed.entry;
    const unsigned char *bytes =
        is_of_slot(entry) && entry->kind != ENTRY_META ? payload_truth(entry->payload) : NULL;
    struct act *act = bytes ? history_find(bytes, payload_bytes(entry->payload)) : NULL;
    record->about_before = NO_POSITION;
    record->about = act;
    if (!act)
        return;
    if (entry->kind == ENTRY_DATA)
        record->committed.act = act;
    record->about_before = known_act(act)->last_about;
    known_act(act)->last_about = record->committed.position;
}

static void count_coverage(const struct committed *committed)
{
    const struct goi_entry_shared *entry = &committed->entry;
    if (entry->kind == ENTRY_REJECTED)
        COVER(REJECTED);
    else if (entry->kind == ENTRY_RETRY)
        COVER(RETRY);
    else if (entry->kind == ENTRY_SKIP)
        COVER(SKIP);
    else if (entry->kind == ENTRY_META && committed->record.type == META_SESSION_END &&
             committed->record.session_end.reason == META_END_FENCED)
        COVER(FENCE);
    if (committed->position > 0 && committed->position % memory_areas()->goi_entries == 0)
        COVER(GOI_WRAPPED);
}

static bool take_entry(uint64_t position)
{
    const struct region_areas *areas = memory_areas();
    struct goi_entry_shared entry;
    memcpy(&entry, memory_truth(areas->goi + position % areas->goi_entries * LINE_BYTES),
           sizeof entry);
    if (!goi_line_is_of(&entry, position)) {
        finding("positions",
                "committed_seq in memory is above position %llu, but memory does not "
                "hold its entry",
                (ull)position);
        return false;
    }
    struct log_record *record = record_new(position);
    *record = (struct log_record){.committed = {.position = position,
                                                .epoch = past.epoch,
                                                .entry = entry,
                                                .committed_ns = world_now_ns()}};
    struct committed *committed = &record->committed;
    if (!apply(record))
        return false;
    find_slot(committed);
    find_act(record);
    past.count = position + 1;
    count_coverage(committed);
    TRACE("commit", position, (uint64_t)entry.kind << 32 | entry.crc, "%s", entry_text(committed));
    tell_committed(committed);
    return true;
}

void log_committed_reached(const struct place *place, const unsigned char after[64])
{
    uint64_t committed;
    memcpy(&committed, after, sizeof committed);
    if (past.broken || committed == 0 || (!past.epoch && !find_workspace()) ||
        place->major != past.workspace)
        return;
    if (committed < past.count)
        finding("positions", "committed_seq fell from %llu to %llu in memory", (ull)past.count,
                (ull)committed);
    uint64_t end = min_u64(committed, past.old_end);
    while (past.count < end && !past.broken)
        past.broken = !take_entry(past.count);
    disks_advance();
}

/* ---- looking --------------------------------------------------------------------------------- */

uint64_t log_end(void)
{
    return past.count;
}

struct committed *log_at(uint64_t position)
{
    ASSERT(position < past.count);
    return &record_at(position)->committed;
}

const struct meta_state *log_meta(void)
{
    return past.has_meta ? &past.meta : NULL;
}

const struct meta_chain *log_chain(uint32_t lane)
{
    if (!past.has_meta || lane > LANE_SEQUENCER || past.meta.lanes[lane].chain.count == 0)
        return NULL;
    return &past.meta.lanes[lane].chain;
}

const struct topic_settings *log_topic(uint16_t topic)
{
    const struct meta_topic *found = past.has_meta ? meta_topic_by_id(&past.meta, topic) : NULL;
    return found ? &found->settings : NULL;
}

bool log_segment_passes(const struct host *host, uint32_t segment)
{
    struct segment_shared line;
    memcpy(&line, memory_truth(memory_areas()->segment_table + (uint64_t)segment * LINE_BYTES),
           sizeof line);
    if (!past.has_meta || !line_crc_is_right(&line) || line.owner >= NODE_MAX)
        return false;
    const struct meta_node *node = &past.meta.nodes[line.owner];
    if (node->live)
        return host->number == line.owner;
    return node->incarnation && host->number == past.sequencer &&
           past.left[line.owner] < log_kept();
}

static uint64_t below_end(uint64_t position)
{
    while (position != NO_POSITION && position >= past.count)
        position = record_at(position)->about_before;
    return position;
}

uint64_t log_last_about(const struct act *act)
{
    return below_end(known_act(act)->last_about);
}

uint64_t log_next_about(uint64_t position)
{
    return below_end(record_at(position)->about_before);
}

uint64_t log_first_data(const struct act *act)
{
    uint64_t first = NO_POSITION;
    for (uint64_t at = log_last_about(act); at != NO_POSITION; at = log_next_about(at))
        if (log_at(at)->entry.kind == ENTRY_DATA)
            first = at;
    return first;
}

const struct act *log_about(uint64_t position)
{
    return record_at(position)->about;
}

const unsigned char *log_payload(uint64_t position, uint32_t *byte_count)
{
    const struct log_record *record = record_at(position);
    const struct act *act = record->committed.act;
    *byte_count = act ? act->byte_count : record->meta_bytes;
    return act ? act->bytes : record->meta;
}

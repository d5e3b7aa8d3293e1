/*
 * Joining a log that is under way.
 *
 * How it works: the node has asked for its admission; from that entry's position on, A, the
 * sequencer and all owners of segments count it among those whose `needed` gates reuse, and it
 * publishes none above A before it has read so far. So everything from A on stands. The first
 * checkpoint that was begun after the admission is loaded, with D as it was then. (One that was
 * under way may hold it, too; but what was encoded before it is of an earlier moment, and entries
 * below A are not applied.)
 *
 * Below A nothing is certain. Entries from that D on are read for what they ask of their chains, so
 * that this node's D begins with what is durable, not with what it was told. In a log whose GOI has
 * not wrapped yet reading begins at its first entry, for the topics' index: payload of a segment in
 * its first life cannot be of another (generation 1). What cannot be known to stand is not indexed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "follower/state.h"

static int state_reset(struct follower *f)
{
    meta_state_free(&f->meta);
    return meta_state_init(&f->meta, f->region->geometry.topics, f->region->geometry.sessions);
}

/* The META items at the head of a checkpoint's body. */
static int state_load(struct follower *f, const void *body, uint64_t bytes, struct error *err)
{
    uint64_t meta_bytes = 0;
    if (bytes >= sizeof meta_bytes)
        memcpy(&meta_bytes, body, sizeof meta_bytes);
    if (bytes < sizeof meta_bytes || meta_bytes > bytes - sizeof meta_bytes)
        return error_set(err, EMB_ERR_CORRUPT, "checkpoint of %llu bytes: its META has %llu",
                         (unsigned long long)bytes, (unsigned long long)meta_bytes);
    int rc = state_reset(f);
    if (rc)
        return error_set(err, rc, "no memory for the state of a checkpoint");
    return meta_decode(&f->meta, (const unsigned char *)body + sizeof meta_bytes, meta_bytes, err);
}

static bool holds_admission(const struct follower *f)
{
    const struct meta_node *node = &f->meta.nodes[f->node];
    return node->live && node->incarnation == f->incarnation && node->lane_count > 0;
}

static uint64_t admission_position(const struct follower *f)
{
    return f->meta.lanes[f->meta.nodes[f->node].lanes[0]].granted_position;
}

static void begin(struct follower *f, const struct checkpoint_shared *header, uint64_t first)
{
    const struct meta_node *node = &f->meta.nodes[f->node];
    bool young = header->covers - first < f->region->areas.goi_entries;
    f->admitted = admission_position(f);
    f->covers = header->covers;
    uint64_t durable = min_u64(header->durable, f->admitted);
    f->position = young ? first : durable;
    durable_begin(&f->durable, durable);
    for (uint32_t i = 0; i < node->lane_count; i++)
        f->lane_slot[node->lanes[i]] = f->meta.lanes[node->lanes[i]].start;
}

static bool try_checkpoint(struct follower *f, const struct epoch_view *epoch, uint64_t first)
{
    struct checkpoint_shared header;
    void *body;
    if (region_checkpoint_load(f->region, epoch->workspace, epoch->epoch, &header, &body))
        return false;
    f->checkpoint_seen = header.sequence;
    int rc = state_load(f, body, header.bytes, &f->failure);
    free(body);
    if (rc || !region_epoch_is(f->region, epoch->epoch) || !holds_admission(f) ||
        header.covers <= admission_position(f)) {
        state_reset(f);
        return false;
    }
    begin(f, &header, first);
    return true;
}

bool join_begin(struct follower *f, const struct epoch_view *epoch, uint64_t first)
{
    uint64_t newest = region_checkpoint_newest(f->region, epoch->workspace, epoch->epoch);
    return newest > f->checkpoint_seen && try_checkpoint(f, epoch, first);
}

/* From the entry that says so on nothing is held in memory for this node, so that it may be unable
   to read as far: then a checkpoint tells it. */
bool follower_was_let_go(struct follower *f)
{
    struct checkpoint_shared header;
    struct error err;
    void *body;
    ASSERT(f->failure.code && f->incarnation);
    uint64_t newest = region_checkpoint_newest(f->region, f->epoch.workspace, f->epoch.epoch);
    if (newest <= f->checkpoint_seen ||
        region_checkpoint_load(f->region, f->epoch.workspace, f->epoch.epoch, &header, &body))
        return false;
    f->checkpoint_seen = header.sequence;
    int rc = state_load(f, body, header.bytes, &err);
    free(body);
    return rc == EMB_OK && region_epoch_is(f->region, f->epoch.epoch) && !holds_admission(f);
}

bool join_passes_over(struct follower *f)
{
    if (f->position >= f->durable.end)
        return false;
    f->memory_floor = f->position = f->durable.end;
    return true;
}

void join_take(struct follower *f, const struct goi_entry_shared *entry)
{
    ASSERT(f->position < f->admitted);
    if (f->position == f->durable.end)
        durable_note(&f->durable, f->position, entry);
    index_note_early(f, f->position, entry);
    f->position++;
}

/*
 * How it works: a turn has a reading half and an acting half with the epoch check between them.
 * The reading half observes committed_seq, copies entries into `taken` and scans the completion
 * words; nothing of the follower's state changes in it. If the check still finds the epoch that
 * was read, all of it counts: whatever a sequencer of that epoch had committed can never become
 * false. Otherwise it is thrown away and the follower looks where the log goes on.
 */
#include "follower/follower.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "follower/state.h"

#define ENTRIES_PER_TURN 256

int follower_create(const struct follower_options *options, struct follower **out,
                    struct error *err)
{
    struct follower *f = calloc(1, sizeof *f);
    if (!f)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for a follower");
    f->region = options->region;
    f->node = options->node;
    f->incarnation = options->incarnation;
    f->entries_per_turn = options->entries_per_turn ? options->entries_per_turn : ENTRIES_PER_TURN;
    f->taken = calloc(f->entries_per_turn, sizeof *f->taken);
    ring_init(&f->outcomes, sizeof(struct outcome));
    const struct geometry *g = &f->region->geometry;
    int rc = meta_state_init(&f->meta, g->topics, g->sessions);
    if (rc == EMB_OK)
        rc = durable_init(&f->durable, f->region, &f->meta);
    if (rc == EMB_OK)
        rc = index_init(f);
    if (rc != EMB_OK || !f->taken) {
        follower_destroy(f);
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the index of %llu GOI entries",
                         (unsigned long long)options->region->areas.goi_entries);
    }
    pins_init(f);
    *out = f;
    return EMB_OK;
}

void follower_destroy(struct follower *f)
{
    if (!f)
        return;
    index_free(f);
    durable_free(&f->durable);
    meta_state_free(&f->meta);
    ring_free(&f->outcomes);
    free(f->taken);
    free(f);
}

/* ---- the reading half ------------------------------------------------------------------------ */

static void note_live_nodes(struct follower *f)
{
    f->live_nodes = 0;
    for (uint32_t node = 0; node < NODE_MAX; node++)
        if (f->meta.nodes[node].live)
            f->live_nodes |= 1ULL << node;
}

/* Finds the highest epoch and its record; false while there is none to follow. */
static bool find_epoch(struct follower *f)
{
    struct epoch_view view;
    region_epoch_look(f->region, &view);
    if (view.epoch == 0 || view.epoch < f->region->epoch_floor)
        return false;
    struct interval first;
    if (!region_interval_observe(f->region, view.workspace, view.epoch, 0, &first))
        return false; /* an epoch without a record never was */
    if (f->epoch.epoch == 0 && f->incarnation) {
        if (!join_begin(f, &view, first.next_start))
            return false;
        note_live_nodes(f);
    } else if (f->epoch.epoch == 0) {
        f->position = f->admitted = f->covers = first.next_start;
        durable_begin(&f->durable, f->position);
    }
    f->epoch = view;
    f->line = 1;
    f->counters.epoch_changes++;
    return true;
}

/* The record's next line, if it ends the interval at our position: then the log goes on there. */
static bool follow_jump(struct follower *f, uint64_t *position)
{
    struct interval next;
    if (!region_interval_observe(f->region, f->epoch.workspace, f->epoch.epoch, f->line, &next) ||
        next.end != *position || next.next_start < next.end)
        return false; /* not there, elsewhere, or it would lead back */
    durable_note_jump(&f->durable, next.end, next.next_start);
    *position = next.next_start;
    f->line++;
    return true;
}

/* Copies entries below `committed`; their number. */
static uint32_t read_entries(struct follower *f, uint64_t committed)
{
    uint32_t count = 0;
    while (count < f->entries_per_turn && f->position + count < committed &&
           region_goi_observe(f->region, f->position + count, &f->taken[count]) &&
           f->taken[count].epoch == (uint32_t)f->epoch.epoch)
        count++;
    return count;
}

/* ---- the acting half ------------------------------------------------------------------------- */

static int fail(struct follower *f, uint64_t position, const char *what)
{
    return error_set(&f->failure, EMB_ERR_CORRUPT,
                     "node %u: position %llu: %s; this incarnation of the node has ended", f->node,
                     (unsigned long long)position, what);
}

static void note_outcome(struct follower *f, uint64_t position,
                         const struct goi_entry_shared *entry)
{
    if (entry->lane >= LANE_MAX || f->meta.lanes[entry->lane].node != f->node)
        return;
    uint64_t near = f->lane_slot[entry->lane];
    uint64_t slot = near + (uint64_t)(int64_t)(int32_t)(entry->pbr_index - (uint32_t)near);
    f->lane_slot[entry->lane] = max_u64(near, slot);
    struct outcome outcome = {.position = position,
                              .slot = slot,
                              .base_offset = entry->base_offset,
                              .session = entry->session,
                              .client_sequence = entry->client_sequence,
                              .message_count = entry->message_count,
                              .topic = entry->topic,
                              .lane = entry->lane,
                              .kind = entry->kind,
                              .reason = error_from_wire(entry->reason)};
    if (!ring_push(&f->outcomes, &outcome))
        fail(f, position, "no memory for its outcome");
}

static int take_entry(struct follower *f, const struct goi_entry_shared *entry)
{
    uint64_t position = f->position;
    struct meta_record record;
    if (position < f->admitted) {
        join_take(f, entry);
        return EMB_OK;
    }
    if (entry->kind == ENTRY_META) {
        const unsigned char *bytes = follower_payload(f, entry);
        if (!bytes || meta_batch_read(bytes, payload_bytes(entry->payload), &record, NULL))
            return fail(f, position, "its META payload is damaged");
    }
    if (!meta_entry_holds(&f->meta, entry, &record))
        return fail(f, position, "its kind, lane, topic or session cannot be");
    meta_apply(&f->meta, position, entry, entry->kind == ENTRY_META ? &record : NULL);
    if (entry->kind == ENTRY_META)
        note_live_nodes(f);
    durable_note(&f->durable, position, entry);
    index_note(f, position, entry);
    note_outcome(f, position, entry);
    f->position++;
    return EMB_OK;
}

int follower_do_work(struct follower *f, uint64_t now_ns)
{
    f->counters.turns++;
    if (f->failure.code)
        return 0;
    if (f->epoch.epoch == 0 && !find_epoch(f)) {
        pins_beat(f, now_ns);
        return 0;
    }
    uint64_t committed = region_committed_observe(f->region, f->epoch.workspace); /* F1 */
    uint32_t count = read_entries(f, committed);                                  /* F2 */
    durable_scan(&f->durable);                                                    /* F3 */
    f->counters.epoch_checks++;
    if (!region_epoch_is(f->region, f->epoch.epoch)) { /* F4 */
        f->counters.refused++;
        find_epoch(f);
        return 0;
    }
    int work = durable_accept(&f->durable) ? 1 : 0;
    for (uint32_t i = 0; i < count && take_entry(f, &f->taken[i]) == EMB_OK; i++)
        work++;
    if (count == 0 && f->position < committed && !follow_jump(f, &f->position) &&
        !join_passes_over(f))
        fail(f, f->position, "it is below committed_seq but not there: lapped");
    f->counters.entries += count;
    pins_publish(f, now_ns);
    return work;
}

/* ---- what others read ------------------------------------------------------------------------ */

int follower_failure(const struct follower *f, struct error *err)
{
    if (f->failure.code && err)
        *err = f->failure;
    return f->failure.code;
}

uint64_t follower_epoch(const struct follower *f)
{
    return f->epoch.epoch;
}

uint32_t follower_sequencer(const struct follower *f)
{
    return f->epoch.epoch ? f->epoch.sequencer : NODE_MAX;
}

bool follower_is_current(const struct follower *f)
{
    return f->epoch.epoch != 0 && f->position >= f->covers;
}

uint64_t follower_admitted(const struct follower *f)
{
    return f->admitted;
}

uint64_t follower_position(const struct follower *f)
{
    return f->position;
}

uint64_t follower_committed(struct follower *f)
{
    return f->epoch.epoch ? region_committed_observe(f->region, f->epoch.workspace) : 0; /* F1 */
}

uint64_t follower_durable(const struct follower *f)
{
    return f->durable.durable.position;
}

uint64_t follower_kept(const struct follower *f)
{
    return f->durable.kept.position;
}

const struct meta_state *follower_meta(const struct follower *f)
{
    return &f->meta;
}

struct region *follower_region(const struct follower *f)
{
    return f->region;
}

uint32_t follower_node(const struct follower *f)
{
    return f->node;
}

uint64_t follower_live_nodes(const struct follower *f)
{
    return f->live_nodes;
}

int follower_entry(struct follower *f, uint64_t position, struct goi_entry_shared *entry,
                   uint64_t *next_position)
{
    ASSERT(position < f->position);
    for (uint32_t i = 0; i < DURABLE_JUMPS_MAX && i < f->durable.jump_count; i++) {
        const struct durable_jump *jump = &f->durable.jumps[i];
        if (position < jump->end || position >= jump->next_start)
            continue;
        if (next_position)
            *next_position = jump->next_start;
        return EMB_ERR_NOT_FOUND;
    }
    return region_goi_observe(f->region, position, entry) ? EMB_OK : EMB_ERR_OFFSET_OUT_OF_RANGE;
}

const unsigned char *follower_payload(struct follower *f, const struct goi_entry_shared *entry)
{
    const unsigned char *bytes = region_payload(f->region, entry->payload);
    if (bytes)
        mem_observe_range(&f->region->mem, bytes, payload_bytes(entry->payload));
    return bytes;
}

bool follower_outcome_take(struct follower *f, struct outcome *outcome)
{
    const struct outcome *front = ring_front(&f->outcomes);
    if (!front)
        return false;
    *outcome = *front;
    ring_pop(&f->outcomes);
    return true;
}

void follower_counters(const struct follower *f, struct follower_counters *counters)
{
    *counters = f->counters;
}

/*
 * Deciding: each call appends one entry to the pass at the next position and applies it to the
 * state, so that what comes after in the same pass is judged by it.
 */
#include <string.h>

#include "base/assert.h"
#include "sequencer/state.h"

bool decide_room(const struct sequencer *s, bool meta)
{
    uint64_t position = s->counter + s->decided_count;
    return s->decided_count < PASS_ENTRIES && position < (meta ? s->meta_limit : s->data_limit);
}

static void count(struct sequencer *s, uint8_t kind)
{
    uint64_t *counters[] = {
        [ENTRY_DATA] = &s->counters.data,   [ENTRY_META] = &s->counters.meta,
        [ENTRY_NOP] = &s->counters.nop,     [ENTRY_REJECTED] = &s->counters.rejected,
        [ENTRY_RETRY] = &s->counters.retry, [ENTRY_SKIP] = &s->counters.skip};
    (*counters[kind])++;
}

static void append(struct sequencer *s, const struct goi_entry_shared *entry,
                   const struct meta_record *record)
{
    ASSERT(s->decided_count < PASS_ENTRIES);
    uint64_t position = s->counter + s->decided_count;
    s->decided[s->decided_count++].entry = *entry;
    meta_apply(&s->meta, position, entry, record);
    count(s, entry->kind);
}

/* What of the PBR entry stands in every GOI entry about it. */
static struct goi_entry_shared entry_of(const struct sequencer *s, const struct collected *c,
                                        enum entry_kind kind)
{
    struct goi_entry_shared entry = {.message_count = c->entry.message_count,
                                     .base_offset = NO_OFFSET,
                                     .payload = c->entry.payload,
                                     .session = c->entry.session,
                                     .client_sequence = c->entry.client_sequence,
                                     .topic = c->entry.topic,
                                     .pbr_index = (uint32_t)c->entry.index,
                                     .epoch = (uint32_t)s->epoch.epoch,
                                     .lane = (uint8_t)c->lane,
                                     .kind = (uint8_t)kind,
                                     .flags = ENTRY_ASKS_SYNC};
    memcpy(entry.timestamp_ms, c->entry.timestamp_ms, sizeof entry.timestamp_ms);
    return entry;
}

static uint8_t data_asks(const struct meta_topic *topic)
{
    if (topic->settings.replicas == 0)
        return 0;
    return topic->settings.durability == TOPIC_DURABILITY_SYNC ? ENTRY_ASKS_SYNC : ENTRY_ASKS_COPY;
}

/* The one outcome of a slot. */
static void append_slot(struct sequencer *s, const struct collected *c,
                        const struct goi_entry_shared *entry, const struct meta_record *record)
{
    uint8_t *undecided = collect_undecided(s, c->lane, c->entry.index);
    ASSERT(*undecided);
    *undecided = 0;
    append(s, entry, record);
}

void decide_slot(struct sequencer *s, const struct collected *c, enum entry_kind kind, int reason,
                 uint64_t base_offset)
{
    struct goi_entry_shared entry = entry_of(s, c, kind);
    entry.base_offset = base_offset;
    entry.reason = (uint8_t)-reason;
    if (kind == ENTRY_DATA) {
        const struct meta_topic *topic = meta_topic_by_id(&s->meta, c->entry.topic);
        entry.base_offset = topic->next_offset;
        entry.flags = data_asks(topic);
    }
    append_slot(s, c, &entry, NULL);
}

/* META_SESSION_OPEN: whether the place it takes is free of what an ended session left held. */
static bool place_is_free(struct sequencer *s)
{
    uint32_t place = meta_session_next_place(&s->meta);
    const struct session_hold *of = &s->hold.sessions[place];
    if (of->count)
        order_reject_held(s, s->meta.sessions[place].session, EMB_ERR_SESSION_FENCED);
    return of->count == 0 && decide_room(s, true);
}

/* Waiting does not help where there will never be a store. */
static int refusal_of(const struct sequencer *s, const struct meta_record *record, int rc)
{
    bool never = record->type == META_TOPIC_CREATE && s->options.chain_length == 0;
    return rc == EMB_ERR_UNAVAILABLE && never ? EMB_ERR_INVALID_SETTING : rc;
}

/* What a leaving node says of its lanes must be what was collected of them. */
static int judge_leave(const struct sequencer *s, const struct meta_record *record)
{
    const struct meta_node *node = &s->meta.nodes[record->leave.node];
    uint32_t lane = node->lanes[0];
    /* More lanes than one would need to be empty all but the one that carries this. */
    bool ends = node->lane_count == 1 && s->lanes[lane].next == record->leave.lane_ends[0] &&
                collect_lane_undecided(s, lane) == 1; /* this very slot */
    return ends ? EMB_OK : EMB_ERR_INVALID_ARGUMENT;
}

static int judge_request(const struct sequencer *s, const struct meta_record *record,
                         struct goi_entry_shared *entry)
{
    int rc = refusal_of(s, record, meta_decide(&s->meta, record, entry));
    return rc == EMB_OK && record->type == META_NODE_LEAVE ? judge_leave(s, record) : rc;
}

void decide_left(struct sequencer *s, uint32_t node, uint64_t position)
{
    orphans_node_left(s, node, position);
    for (uint32_t i = 0; i < s->meta.nodes[node].lane_count; i++)
        collect_lane_close(s, s->meta.nodes[node].lanes[i]);
    s->checkpoint.wanted = true; /* the node may not be able to read that it is out */
}

bool decide_request(struct sequencer *s, const struct collected *c)
{
    struct goi_entry_shared entry = entry_of(s, c, ENTRY_META);
    struct meta_record record;
    const unsigned char *bytes = region_payload(s->region, c->entry.payload);
    int rc = EMB_ERR_CORRUPT_BATCH;
    if (bytes) {
        mem_observe_range(&s->region->mem, bytes, payload_bytes(c->entry.payload));
        rc = meta_batch_read(bytes, payload_bytes(c->entry.payload), &record, NULL);
    }
    if (rc == EMB_OK)
        rc = judge_request(s, &record, &entry);
    if (rc) {
        decide_slot(s, c, ENTRY_REJECTED, rc, NO_OFFSET);
        return true;
    }
    if (record.type == META_SESSION_OPEN && !place_is_free(s))
        return false;
    uint64_t position = s->counter + s->decided_count;
    append_slot(s, c, &entry, &record);
    if (record.type == META_SESSION_END)
        order_reject_held(s, record.session_end.session, EMB_ERR_SESSION_FENCED);
    else if (record.type == META_NODE_LEAVE)
        decide_left(s, record.leave.node, position);
    return true;
}

bool decide_own_meta(struct sequencer *s, const struct meta_record *record,
                     struct goi_entry_shared *entry)
{
    struct blog_space space;
    if (!decide_room(s, true) || !blog_reserve(&s->blog, META_BATCH_BYTES, &space))
        return false;
    uint64_t now_ms = s->now_ns / 1000000 + s->options.wall_offset_ms;
    uint32_t bytes = meta_batch_build(space.bytes, record, now_ms);
    blog_trim(&s->blog, &space, bytes);
    mem_write_back(&s->region->mem, space.bytes, bytes); /* drained by commit_pass */
    blog_published(&s->blog, &space, s->own_slot++);
    blog_outcome(&s->blog, space.held, s->counter + s->decided_count);
    entry->payload = payload_word(space.address, bytes);
    entry->message_count = 1;
    entry->epoch = (uint32_t)s->epoch.epoch;
    entry->lane = LANE_SEQUENCER;
    entry->kind = ENTRY_META;
    entry->flags = ENTRY_ASKS_SYNC;
    put_u48(entry->timestamp_ms, now_ms);
    if (record->type != META_SESSION_END) {
        entry->session = NO_SESSION;
        entry->client_sequence = NO_SEQUENCE;
    }
    append(s, entry, record);
    return true;
}

void decide_skip(struct sequencer *s, struct meta_session *session, uint64_t until)
{
    struct goi_entry_shared entry = {.base_offset = until,
                                     .session = session->session,
                                     .client_sequence = session->next,
                                     .topic = session->topic,
                                     .epoch = (uint32_t)s->epoch.epoch,
                                     .lane = LANE_SEQUENCER,
                                     .kind = ENTRY_SKIP,
                                     .flags = ENTRY_ASKS_SYNC,
                                     .reason = (uint8_t)-EMB_ERR_LOST};
    append(s, &entry, NULL);
}

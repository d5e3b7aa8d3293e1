/*
 * Admission: a node asks in its own request line; a META entry of the sequencer admits it and
 * grants lanes and a partition of the BLog. Once enough stores are admitted each lane gets its
 * chain: the store of its node and of the next nodes by id that have one.
 */
#include <string.h>

#include "sequencer/state.h"

#define ADMISSION_EVERY_NS 1000000ULL
#define SEQUENCER_SEGMENTS 4

static struct meta_record record_of(enum meta_type type)
{
    return (struct meta_record){.type = (uint8_t)type, .version = 1};
}

static void begin_log(struct sequencer *s)
{
    struct meta_record life = record_of(META_LIFE);
    life.life.life = 1;
    struct meta_record epoch = record_of(META_EPOCH);
    epoch.epoch.epoch = s->epoch.epoch;
    s->begun = decide_own_meta(s, &life, &(struct goi_entry_shared){0}) &&
               decide_own_meta(s, &epoch, &(struct goi_entry_shared){0});
}

static bool grant_lanes(struct sequencer *s, struct meta_record *record, uint32_t wanted)
{
    for (uint32_t lane = 0; lane < s->region->geometry.lanes; lane++) {
        if (record->admit.lane_count == wanted)
            break;
        if (s->meta.lanes[lane].node != NODE_MAX)
            continue;
        record->admit.lanes[record->admit.lane_count] = lane;
        record->admit.lane_generations[record->admit.lane_count++] =
            s->meta.lanes[lane].generation + 1;
    }
    return record->admit.lane_count == wanted;
}

/* false: memory is not coherent and there is no partition for this node. */
static bool grant_partition(struct sequencer *s, struct meta_record *record)
{
    uint32_t nodes = s->options.nodes_expected ? s->options.nodes_expected : 1;
    uint64_t share = (s->region->areas.segments - SEQUENCER_SEGMENTS) / nodes;
    share = min_u64(share, SEGMENT_PARTITION_MAX);
    if (record->admit.node < nodes) {
        record->admit.first_segment = record->admit.node * (uint32_t)share;
        record->admit.segments = (uint32_t)share;
    }
    return s->region->mem.coherence == MEM_HARDWARE || record->admit.segments > 0;
}

static void admit(struct sequencer *s, uint32_t node, const struct node_request_shared *request)
{
    struct meta_record record = record_of(META_NODE_ADMIT);
    record.admit.node = node;
    record.admit.incarnation = request->incarnation;
    record.admit.roles = request->roles;
    record.admit.port = request->port;
    memcpy(record.admit.host, request->host, sizeof record.admit.host);
    memcpy(record.admit.store_uuid, request->store_uuid, sizeof record.admit.store_uuid);
    uint32_t wanted = request->lanes_wanted;
    if (wanted > NODE_LANES_MAX || !grant_lanes(s, &record, wanted))
        return; /* no lane is free: it stays outside, as its status says */
    if (!grant_partition(s, &record) || !decide_own_meta(s, &record, &(struct goi_entry_shared){0}))
        return;
    orphans_node_back(s, node);
    for (uint32_t i = 0; i < record.admit.lane_count; i++)
        collect_lane_open(s, record.admit.lanes[i]);
    s->checkpoint.wanted = true; /* the newcomer begins with one that holds its admission */
}

/* Nobody's line, that of a node which has left, or one that is admitted already; a process that
   was not told that it may leave cannot be followed by another yet: its lanes may still be written.
 */
static bool asks_in_vain(const struct sequencer *s, uint32_t node,
                         const struct node_request_shared *request)
{
    const struct meta_node *known = &s->meta.nodes[node];
    return request->roles == 0 || known->live || request->incarnation <= known->incarnation;
}

/* Whether its heart has beaten since the last look: the request of a process that has died would be
   granted to nobody, and what is live holds memory. */
static bool asker_lives(struct sequencer *s, uint32_t node, uint64_t incarnation)
{
    struct admission_asker *asker = &s->askers[node];
    uint64_t heartbeat =
        mem_observe_u64(&s->region->mem, &region_node_beat(s->region, node)->heartbeat); /* R7 */
    bool lives = asker->incarnation == incarnation && asker->heartbeat != heartbeat;
    *asker = (struct admission_asker){.incarnation = incarnation, .heartbeat = heartbeat};
    return lives;
}

static void admit_nodes(struct sequencer *s)
{
    for (uint32_t node = 0; node < NODE_MAX; node++) {
        struct node_request_shared request;
        if (!s->meta.nodes[node].live &&
            region_node_request_observe(s->region, node, &request) && /* R7 */
            !asks_in_vain(s, node, &request) && asker_lives(s, node, request.incarnation))
            admit(s, node, &request);
    }
}

/* ---- requests that are taken back ------------------------------------------------------------ */

/* It was granted while it was taken back. That process has published its last: it has opened no
   lane, or has no slot without outcome in it. */
static void let_go(struct sequencer *s, uint32_t node)
{
    const struct meta_node *known = &s->meta.nodes[node];
    struct meta_record record = record_of(META_NODE_LEAVE);
    record.leave.node = node;
    record.leave.incarnation = known->incarnation;
    for (uint32_t i = 0; i < known->lane_count; i++) {
        if (collect_lane_undecided(s, known->lanes[i]) > 0)
            return;
        record.leave.lane_ends[i] = s->lanes[known->lanes[i]].next;
    }
    uint64_t position = s->counter + s->decided_count;
    if (decide_own_meta(s, &record, &(struct goi_entry_shared){0}))
        decide_left(s, node, position);
}

/* Of the live nodes one a look. */
static void take_back_requests(struct sequencer *s)
{
    uint32_t node = s->admission_looks++ % NODE_MAX;
    const struct meta_node *known = &s->meta.nodes[node];
    const struct node_beat_shared *beat = region_node_beat(s->region, node);
    if (known->live && !(known->roles & (ROLE_SEQUENCER | ROLE_STANDBY)) &&
        !meta_node_in_chain(&s->meta, node) &&
        mem_observe_u64(&s->region->mem, &beat->withdrawn) >= known->incarnation) /* R7 */
        let_go(s, node);
}

/* ---- chains ---------------------------------------------------------------------------------- */

static uint32_t stores_admitted(const struct sequencer *s)
{
    uint32_t stores = 0;
    for (uint32_t node = 0; node < NODE_MAX; node++)
        stores += s->meta.nodes[node].live && (s->meta.nodes[node].roles & ROLE_REPLICA);
    return stores;
}

static void set_chain(struct sequencer *s, uint32_t lane, uint32_t first, uint32_t length)
{
    struct meta_record record = record_of(META_CHAIN);
    record.chain.lane = lane;
    record.chain.version = 1;
    for (uint32_t i = 0; i < NODE_MAX && record.chain.count < length; i++) {
        uint32_t node = (first + i) % NODE_MAX;
        if (s->meta.nodes[node].live && (s->meta.nodes[node].roles & ROLE_REPLICA))
            record.chain.members[record.chain.count++] = node;
    }
    decide_own_meta(s, &record, &(struct goi_entry_shared){0});
}

static void set_chains(struct sequencer *s)
{
    uint32_t stores = stores_admitted(s);
    uint32_t length = s->options.chain_length < stores ? s->options.chain_length : stores;
    length = length < CHAIN_MAX ? length : CHAIN_MAX;
    if (length == 0 || stores < s->options.stores_expected)
        return;
    for (uint32_t lane = 0; lane < s->region->geometry.lanes; lane++)
        if (s->meta.lanes[lane].node != NODE_MAX && s->meta.lanes[lane].chain.version == 0)
            set_chain(s, lane, s->meta.lanes[lane].node, length);
    if (s->meta.lanes[LANE_SEQUENCER].chain.version == 0)
        set_chain(s, LANE_SEQUENCER, s->options.node, length);
}

/* ---- producer ids ---------------------------------------------------------------------------- */

/* An id may be given once the block it is from is durable, so that none is ever given twice. */
static void reserve_producers(struct sequencer *s)
{
    if (s->durable.durable.position > s->mark_position)
        s->meta.producer_usable = s->meta.producer_mark;
    if (s->meta.next_producer + PRODUCER_BLOCK / 2 < s->meta.producer_mark ||
        s->meta.producer_usable != s->meta.producer_mark)
        return;
    struct meta_record record = record_of(META_PRODUCER_BLOCK);
    record.producer_block.mark = s->meta.next_producer + PRODUCER_BLOCK;
    uint64_t position = s->counter + s->decided_count;
    if (decide_own_meta(s, &record, &(struct goi_entry_shared){0}))
        s->mark_position = position;
}

void admission_pass(struct sequencer *s)
{
    if (!s->begun) {
        begin_log(s);
        s->mark_position = 0;
    }
    if (s->admission_ns && s->now_ns - s->admission_ns < ADMISSION_EVERY_NS)
        return;
    s->admission_ns = s->now_ns;
    take_back_requests(s);
    admit_nodes(s);
    set_chains(s);
    reserve_producers(s);
}

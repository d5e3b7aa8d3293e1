#include "sequencer/rig_test.h"

#include <string.h>

struct geometry geometry_tiny(void)
{
    struct geometry g = geometry_test();
    g.sessions = 16;
    return g;
}

void ask_admission(struct rig *rig, uint32_t node, uint32_t roles)
{
    struct node_request_shared ask = {
        .incarnation = 7, .roles = roles, .lanes_wanted = 1, .port = 1};
    region_node_request_publish(&rig->regions[node], node, &ask);
}

static void begin_nodes(struct rig *rig)
{
    for (uint32_t node = 0; node < rig->nodes; node++) {
        struct follower_options f = {.region = &rig->regions[node], .node = node};
        assert_int_equal(follower_create(&f, &rig->followers[node], NULL), EMB_OK);
        ask_admission(rig, node, ROLE_BROKER);
    }
}

void begin_with(struct rig *rig, const struct geometry *geometry, enum mem_coherence coherence,
                uint32_t nodes, struct sequencer_options options)
{
    *rig = (struct rig){.now_ns = MS, .nodes = nodes};
    rig->memory = aligned_alloc(4096, geometry->region_bytes);
    assert_non_null(rig->memory);
    memset(rig->memory, 0x5a, geometry->region_bytes);
    uint8_t uuid[16] = {1};
    assert_int_equal(region_format(rig->memory, geometry, coherence, uuid, NULL), EMB_OK);
    for (int i = -1; i < (int)nodes; i++)
        assert_int_equal(region_attach(i < 0 ? &rig->seat : &rig->regions[i], rig->memory,
                                       geometry->region_bytes, MEM_WRITEBACK_AUTO, NULL),
                         EMB_OK);
    options.region = &rig->seat;
    options.epoch = (struct epoch_view){.epoch = 1, .slot = 1};
    options.nodes_expected = nodes;
    region_epoch_publish(&rig->seat, &options.epoch);
    assert_int_equal(sequencer_create(&options, &rig->sequencer, NULL), EMB_OK);
    begin_nodes(rig);
}

void begin(struct rig *rig, enum mem_coherence coherence)
{
    struct geometry g = geometry_tiny();
    begin_with(rig, &g, coherence, NODES, (struct sequencer_options){0});
}

uint16_t begin_with_session(struct rig *rig, enum mem_coherence coherence, uint8_t gap,
                            uint64_t *session)
{
    begin(rig, coherence);
    turns(rig, 6);
    uint16_t topic = create_topic(rig, "t", TOPIC_ORDER_CLIENT, gap);
    *session = open_session(rig, topic);
    return topic;
}

void end(struct rig *rig)
{
    for (uint32_t node = 0; node < rig->nodes; node++)
        follower_destroy(rig->followers[node]);
    sequencer_destroy(rig->sequencer);
    free(rig->memory);
}

/* ---- time ------------------------------------------------------------------------------------ */

void note_outcome(struct rig *rig, uint32_t node, const struct outcome *outcome)
{
    assert_true(outcome->slot < rig->published[node]);
    assert_true(outcome->slot >= rig->released[node]);
    assert_false(rig->done[node][outcome->slot % RIG_SLOTS]); /* one entry a slot */
    rig->done[node][outcome->slot % RIG_SLOTS] = true;
    while (rig->released[node] < rig->published[node] &&
           rig->done[node][rig->released[node] % RIG_SLOTS])
        rig->done[node][rig->released[node]++ % RIG_SLOTS] = false;
    rig->last = *outcome;
    rig->outcomes++;
}

void turn_follower(struct rig *rig, uint32_t node)
{
    struct error err;
    follower_do_work(rig->followers[node], rig->now_ns);
    if (follower_failure(rig->followers[node], &err))
        fail_msg("%s", err.text);
}

void turn(struct rig *rig)
{
    struct outcome outcome;
    rig->now_ns += MS;
    sequencer_do_work(rig->sequencer, rig->now_ns);
    for (uint32_t node = 0; node < rig->nodes; node++) {
        turn_follower(rig, node);
        while (follower_outcome_take(rig->followers[node], &outcome))
            note_outcome(rig, node, &outcome);
    }
}

void turns(struct rig *rig, int count)
{
    while (count--)
        turn(rig);
}

/* ---- brokers --------------------------------------------------------------------------------- */

uint32_t lane_of(const struct rig *rig, uint32_t node)
{
    const struct meta_node *meta = &follower_meta(rig->followers[node])->nodes[node];
    assert_int_equal(meta->lane_count, 1);
    return meta->lanes[0];
}

bool has_slot(const struct rig *rig, uint32_t node)
{
    return rig->published[node] - rig->released[node] < rig->seat.geometry.lane_slots;
}

void publish(struct rig *rig, uint32_t node, struct pbr_entry_shared entry)
{
    const struct meta_state *meta = follower_meta(rig->followers[node]);
    uint32_t lane = lane_of(rig, node);
    assert_true(has_slot(rig, node));
    entry.broker = (uint8_t)node;
    region_lane_publish(&rig->regions[node], lane, meta->lanes[lane].generation,
                        rig->published[node]++, &entry);
    mem_drain(&rig->regions[node].mem);
}

void request(struct rig *rig, uint32_t node, const struct meta_record *record)
{
    struct region *region = &rig->regions[node];
    uint32_t segment = region->areas.segments / 4 * 3; /* that quarter is the rig's own */
    uint64_t places = (region->areas.segments - segment) * region->geometry.segment_bytes / 512;
    uint64_t address = region_segment_address(region, segment) + 512 * (rig->payloads++ % places);
    region_segment_publish(region, region_segment_of(region, address), 1, 0, 0);
    uint32_t bytes = meta_batch_build(region->base + address, record, 1);
    mem_write_back(&region->mem, region->base + address, bytes);
    mem_drain(&region->mem);
    publish(rig, node,
            (struct pbr_entry_shared){.kind = ENTRY_META,
                                      .payload = payload_word(address, bytes),
                                      .session = NO_SESSION,
                                      .client_sequence = NO_SEQUENCE,
                                      .message_count = 1});
}

void data(struct rig *rig, uint32_t node, uint16_t topic, uint64_t session, uint64_t sequence,
          uint32_t count)
{
    struct region *region = &rig->regions[node];
    uint32_t segment = region->areas.segments / 2 + NODES_MOST + node;
    publish(rig, node,
            (struct pbr_entry_shared){
                .kind = ENTRY_DATA,
                .payload = payload_word(region_segment_address(region, segment), 100),
                .session = session,
                .client_sequence = sequence,
                .topic = topic,
                .message_count = count});
}

uint16_t create_topic(struct rig *rig, const char *name, uint8_t order, uint8_t gap)
{
    struct meta_record record = {.type = META_TOPIC_CREATE, .version = 1};
    record.topic_create.order = order;
    record.topic_create.gap = gap;
    strncpy(record.topic_create.name, name, TOPIC_NAME_MAX);
    request(rig, 0, &record);
    turns(rig, 3);
    assert_int_equal(rig->last.kind, ENTRY_META);
    return rig->last.topic;
}

uint64_t open_session(struct rig *rig, uint16_t topic)
{
    struct meta_record record = {.type = META_SESSION_OPEN, .version = 1};
    record.session_open.topic = topic;
    request(rig, 1, &record);
    turns(rig, 3);
    assert_int_equal(rig->last.kind, ENTRY_META);
    return rig->last.session;
}

void end_session(struct rig *rig, uint64_t session)
{
    struct meta_record record = {.type = META_SESSION_END, .version = 1};
    record.session_end.session = session;
    record.session_end.reason = META_END_CLOSED;
    request(rig, 1, &record);
    turns(rig, 3);
}

struct sequencer_counters counters_of(const struct rig *rig)
{
    struct sequencer_counters c;
    sequencer_counters(rig->sequencer, &c);
    return c;
}

/*
 * The sequencer against real followers on one region; the brokers are played by the test, which
 * publishes PBR entries and reads every outcome.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "follower/follower.h"
#include "sequencer/sequencer.h"

#define NODES 2
#define MS 1000000ULL

struct rig {
    unsigned char *memory;
    struct region seat;          /* the sequencer's */
    struct region regions[NODES]; /* the nodes' */
    struct sequencer *sequencer;
    struct follower *followers[NODES];
    uint64_t published[NODES]; /* slots of each node's lane */
    uint64_t released[NODES];  /* contiguous outcomes */
    bool done[NODES][64];
    uint64_t now_ns;
    uint64_t payloads;
    struct outcome last; /* the newest outcome of any lane */
    uint64_t outcomes;
};

static struct geometry small(void)
{
    struct geometry g = geometry_test();
    g.sessions = 16;
    return g;
}

static void begin(struct rig *rig, enum mem_coherence coherence)
{
    *rig = (struct rig){.now_ns = MS};
    struct geometry g = small();
    rig->memory = aligned_alloc(4096, g.region_bytes);
    memset(rig->memory, 0x5a, g.region_bytes);
    uint8_t uuid[16] = {1};
    assert_int_equal(region_format(rig->memory, &g, coherence, uuid, NULL), EMB_OK);
    for (int i = -1; i < NODES; i++)
        assert_int_equal(region_attach(i < 0 ? &rig->seat : &rig->regions[i], rig->memory,
                                       g.region_bytes, MEM_WRITEBACK_AUTO, NULL),
                         EMB_OK);
    struct epoch_view epoch = {.epoch = 1, .slot = 1};
    region_epoch_publish(&rig->seat, &epoch);
    struct sequencer_options options = {
        .region = &rig->seat, .epoch = epoch, .nodes_expected = NODES};
    struct error err;
    assert_int_equal(sequencer_create(&options, &rig->sequencer, &err), EMB_OK);
    for (uint32_t node = 0; node < NODES; node++) {
        struct follower_options f = {.region = &rig->regions[node], .node = node};
        assert_int_equal(follower_create(&f, &rig->followers[node], &err), EMB_OK);
        struct node_request_shared request = {
            .incarnation = 7, .roles = ROLE_BROKER, .lanes_wanted = 1, .port = 1};
        region_node_request_publish(&rig->regions[node], node, &request);
    }
}

static void end(struct rig *rig)
{
    for (int node = 0; node < NODES; node++)
        follower_destroy(rig->followers[node]);
    sequencer_destroy(rig->sequencer);
    free(rig->memory);
}

static void take_outcomes(struct rig *rig, uint32_t node)
{
    struct outcome outcome;
    while (follower_outcome_take(rig->followers[node], &outcome)) {
        assert_true(outcome.slot < rig->published[node]);
        assert_true(outcome.slot >= rig->released[node]);
        assert_false(rig->done[node][outcome.slot % 64]); /* one entry a slot */
        rig->done[node][outcome.slot % 64] = true;
        while (rig->released[node] < rig->published[node] &&
               rig->done[node][rig->released[node] % 64])
            rig->done[node][rig->released[node]++ % 64] = false;
        rig->last = outcome;
        rig->outcomes++;
    }
}

static void turn(struct rig *rig)
{
    rig->now_ns += MS;
    sequencer_do_work(rig->sequencer, rig->now_ns);
    for (uint32_t node = 0; node < NODES; node++) {
        follower_do_work(rig->followers[node], rig->now_ns);
        struct error err;
        if (follower_failure(rig->followers[node], &err))
            fail_msg("%s", err.text);
        take_outcomes(rig, node);
    }
}

static void turns(struct rig *rig, int count)
{
    while (count--)
        turn(rig);
}

static bool has_slot(const struct rig *rig, uint32_t node)
{
    return rig->published[node] - rig->released[node] < rig->seat.geometry.lane_slots;
}

static void publish(struct rig *rig, uint32_t node, struct pbr_entry_shared entry)
{
    const struct meta_state *meta = follower_meta(rig->followers[node]);
    assert_int_equal(meta->nodes[node].lane_count, 1);
    uint32_t lane = meta->nodes[node].lanes[0];
    assert_true(has_slot(rig, node));
    entry.broker = (uint8_t)node;
    region_lane_publish(&rig->regions[node], lane, meta->lanes[lane].generation,
                        rig->published[node]++, &entry);
    mem_drain(&rig->regions[node].mem);
}

/* A node's request, with its META batch in a segment that the test takes for itself. */
static void request(struct rig *rig, uint32_t node, const struct meta_record *record)
{
    struct region *region = &rig->regions[node];
    uint32_t segment = region->areas.segments / 2 + node;
    region_segment_publish(region, segment, 1, node, node);
    uint64_t address = region_segment_address(region, segment) + 512 * (rig->payloads++ % 500);
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

static uint16_t create_topic(struct rig *rig, const char *name, uint8_t order, uint8_t gap)
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

static uint64_t open_session(struct rig *rig, uint16_t topic)
{
    struct meta_record record = {.type = META_SESSION_OPEN, .version = 1};
    record.session_open.topic = topic;
    request(rig, 1, &record);
    turns(rig, 3);
    assert_int_equal(rig->last.kind, ENTRY_META);
    return rig->last.session;
}

static void data(struct rig *rig, uint32_t node, uint16_t topic, uint64_t session,
                 uint64_t sequence, uint32_t count)
{
    struct region *region = &rig->regions[node];
    uint64_t address = region_segment_address(region, region->areas.segments / 2 + 2 + node);
    publish(rig, node,
            (struct pbr_entry_shared){.kind = ENTRY_DATA,
                                      .payload = payload_word(address, 100),
                                      .session = session,
                                      .client_sequence = sequence,
                                      .topic = topic,
                                      .message_count = count});
}

static uint16_t begin_with_session(struct rig *rig, enum mem_coherence coherence, uint8_t gap,
                                   uint64_t *session)
{
    begin(rig, coherence);
    turns(rig, 6);
    uint16_t topic = create_topic(rig, "t", TOPIC_ORDER_CLIENT, gap);
    *session = open_session(rig, topic);
    return topic;
}

static struct sequencer_counters counters_of(const struct rig *rig)
{
    struct sequencer_counters c;
    sequencer_counters(rig->sequencer, &c);
    return c;
}

/* ---- ordering ------------------------------------------------------------------------------------ */

static void a_session_over_two_lanes_is_put_in_order(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_FENCE, &session);
    uint64_t from = follower_position(rig.followers[0]);
    data(&rig, 1, topic, session, 5, 5);
    data(&rig, 1, topic, session, 15, 1);
    turns(&rig, 2);
    assert_int_equal(follower_position(rig.followers[0]), from);
    assert_int_equal(counters_of(&rig).held_now, 2);
    data(&rig, 0, topic, session, 10, 5);
    data(&rig, 0, topic, session, 0, 5);
    turns(&rig, 2);
    uint64_t sequence = 0;
    for (uint64_t p = from; p < from + 4; p++) {
        struct goi_entry_shared entry;
        assert_int_equal(follower_entry(rig.followers[1], p, &entry, NULL), EMB_OK);
        assert_int_equal(entry.kind, ENTRY_DATA);
        assert_int_equal(entry.client_sequence, sequence);
        assert_int_equal(entry.base_offset, sequence);
        sequence += entry.message_count;
    }
    assert_int_equal(sequence, 16);
    assert_int_equal(counters_of(&rig).released, 3);
    assert_int_equal(counters_of(&rig).held_now, 0);
    end(&rig);
}

static void what_is_not_next_is_told_so(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_FENCE, &session);
    data(&rig, 0, topic, session, 0, 4);
    data(&rig, 0, topic, session, 4, 4);
    turns(&rig, 2);
    struct {
        uint16_t topic;
        uint64_t session, sequence;
        uint32_t count;
        uint8_t kind;
        int reason;
        uint64_t offset;
    } cases[] = {
        {topic, session, 4, 4, ENTRY_NOP, 0, 4},
        {topic, session, 4, 2, ENTRY_NOP, 0, 4},
        {topic, session, 6, 4, ENTRY_REJECTED, EMB_ERR_SEQUENCE, NO_OFFSET},
        {topic, session + (5 << 16), 8, 1, ENTRY_REJECTED, EMB_ERR_UNKNOWN_SESSION, NO_OFFSET},
        {topic, session + 1, 8, 1, ENTRY_REJECTED, EMB_ERR_UNKNOWN_SESSION, NO_OFFSET},
        {topic, NO_SESSION, NO_SEQUENCE, 1, ENTRY_REJECTED, EMB_ERR_UNKNOWN_SESSION, NO_OFFSET},
        {9, session, 8, 1, ENTRY_REJECTED, EMB_ERR_UNKNOWN_TOPIC, NO_OFFSET},
        {topic, session, NO_SEQUENCE - 1, 5, ENTRY_REJECTED, EMB_ERR_SEQUENCE, NO_OFFSET},
        {topic, session, 8, 0, ENTRY_REJECTED, EMB_ERR_CORRUPT_BATCH, NO_OFFSET},
        {topic, session, 8, 3, ENTRY_DATA, 0, 8},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        data(&rig, 0, cases[i].topic, cases[i].session, cases[i].sequence, cases[i].count);
        turns(&rig, 2);
        assert_int_equal(rig.last.kind, cases[i].kind);
        assert_int_equal(rig.last.reason, cases[i].reason);
        assert_int_equal(rig.last.base_offset, cases[i].offset);
    }
    end(&rig);
}

static void a_held_batch_half_a_ring_behind_is_sent_back(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_FENCE, &session);
    uint16_t other = create_topic(&rig, "o", TOPIC_ORDER_TOTAL, 0);
    data(&rig, 0, topic, session, 50, 1);
    for (int i = 0; i < 3; i++)
        data(&rig, 0, other, NO_SESSION, NO_SEQUENCE, 1);
    turns(&rig, 3);
    assert_int_equal(counters_of(&rig).retry, 0);
    data(&rig, 0, other, NO_SESSION, NO_SEQUENCE, 1);
    turns(&rig, 3);
    assert_int_equal(counters_of(&rig).retry, 1);
    assert_int_equal(rig.last.kind, ENTRY_RETRY);
    assert_int_equal(rig.published[0], rig.released[0]);
    /* The owner asks for a slot back because its segment is needed. */
    data(&rig, 1, topic, session, 60, 1);
    turns(&rig, 3);
    assert_int_equal(counters_of(&rig).held_now, 1);
    uint32_t lane = follower_meta(rig.followers[1])->nodes[1].lanes[0];
    region_retry_below_publish(&rig.regions[1], lane, rig.published[1]);
    turns(&rig, 3);
    assert_int_equal(counters_of(&rig).retry, 2);
    assert_int_equal(counters_of(&rig).held_now, 0);
    end(&rig);
}

/* ---- wrapping -------------------------------------------------------------------------------------- */

struct client {
    uint16_t topic;
    uint64_t session;
    uint64_t sequence;
};

/* Publishes a window of batches in random order over both lanes and waits for all of them. */
static void publish_window(struct rig *rig, struct random_state *random, struct client *client)
{
    uint64_t starts[6];
    for (int i = 0; i < 6; i++)
        starts[i] = client->sequence + 3 * (uint64_t)i;
    client->sequence += 18;
    for (int i = 5; i > 0; i--) {
        int k = (int)random_below(random, (uint64_t)i + 1);
        uint64_t swap = starts[i];
        starts[i] = starts[k];
        starts[k] = swap;
    }
    for (int i = 0; i < 6; i++) {
        uint32_t node = (uint32_t)random_below(random, NODES);
        while (!has_slot(rig, node))
            turn(rig);
        data(rig, node, client->topic, client->session, starts[i], 3);
        if (random_below(random, 2))
            turn(rig);
    }
}

static void check_topic(struct rig *rig, uint64_t from, const struct client *client)
{
    for (uint64_t p = from; p < follower_position(rig->followers[0]); p++) {
        struct goi_entry_shared a, b;
        assert_int_equal(follower_entry(rig->followers[0], p, &a, NULL), EMB_OK);
        assert_int_equal(follower_entry(rig->followers[1], p, &b, NULL), EMB_OK);
        assert_memory_equal(&a, &b, sizeof a);
        if (a.kind == ENTRY_DATA)
            assert_int_equal(a.client_sequence, a.base_offset);
    }
    assert_int_equal(meta_topic_by_id(follower_meta(rig->followers[0]), client->topic)->next_offset,
                     client->sequence);
}

static void everything_wraps(enum mem_coherence coherence)
{
    struct rig rig;
    struct client client = {0};
    client.topic = begin_with_session(&rig, coherence, TOPIC_GAP_FENCE, &client.session);
    struct random_state random;
    random_seed(&random, 42);
    for (int round = 0; round < 400; round++) {
        uint64_t from = follower_position(rig.followers[0]);
        uint64_t retries = counters_of(&rig).retry;
        uint64_t sequence = client.sequence;
        publish_window(&rig, &random, &client);
        for (int i = 0; i < 50 && (rig.published[0] > rig.released[0] ||
                                   rig.published[1] > rig.released[1]); i++)
            turn(&rig);
        /* What was sent back is sent again, unchanged: all of it; duplicates get NOP. */
        while (counters_of(&rig).retry > retries) {
            retries = counters_of(&rig).retry;
            for (uint64_t at = sequence; at < client.sequence; at += 3) {
                data(&rig, 0, client.topic, client.session, at, 3);
                turns(&rig, 3);
            }
        }
        if (follower_position(rig.followers[0]) - from < 60)
            check_topic(&rig, from, &client);
    }
    struct sequencer_counters c = counters_of(&rig);
    assert_true(c.committed > 10 * rig.seat.areas.goi_entries);
    assert_int_equal(c.data, 400 * 6);
    assert_true(c.retry > 0 && c.released > 0 && c.checkpoints > 10);
    assert_int_equal(rig.outcomes, rig.published[0] + rig.published[1]);
    assert_true(c.counter_advances <= c.passes + c.committed / 8 + 1);
    end(&rig);
}

static void everything_wraps_hardware(void **state)
{
    everything_wraps(MEM_HARDWARE);
}

static void everything_wraps_software(void **state)
{
    everything_wraps(MEM_SOFTWARE);
}

/* A node that does not read holds the log up for DATA, not for META. */
static void data_waits_for_room_and_meta_does_not(void **state)
{
    struct rig rig;
    begin(&rig, MEM_HARDWARE);
    turns(&rig, 6);
    uint16_t topic = create_topic(&rig, "t", TOPIC_ORDER_TOTAL, 0);
    uint64_t slots = rig.seat.geometry.lane_slots;
    for (uint64_t i = 0; i < 200; i++) { /* node 1's follower stands still */
        if (has_slot(&rig, 0))
            data(&rig, 0, topic, NO_SESSION, NO_SEQUENCE, 1);
        rig.now_ns += MS;
        sequencer_do_work(rig.sequencer, rig.now_ns);
        follower_do_work(rig.followers[0], rig.now_ns);
        take_outcomes(&rig, 0);
    }
    struct sequencer_counters c = counters_of(&rig);
    assert_true(c.waited > 0 && c.waited <= slots);
    assert_int_equal(c.committed, rig.seat.areas.goi_entries - 6 * 8);
    rig.done[0][0] = rig.done[0][0];
    struct meta_record record = {.type = META_TOPIC_CREATE, .version = 1};
    strncpy(record.topic_create.name, "cure", TOPIC_NAME_MAX);
    request(&rig, 1, &record);
    for (int i = 0; i < 3; i++)
        sequencer_do_work(rig.sequencer, rig.now_ns += MS);
    assert_int_equal(counters_of(&rig).committed, c.committed + 1);
    turns(&rig, 100); /* node 1 reads again, and all goes on */
    assert_int_equal(rig.published[0], rig.released[0]);
    end(&rig);
}

/* ---- gaps ---------------------------------------------------------------------------------------- */

static void an_old_gap_fences_the_session(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_FENCE, &session);
    data(&rig, 0, topic, session, 0, 2);
    data(&rig, 0, topic, session, 5, 2);
    turns(&rig, 100);
    assert_int_equal(counters_of(&rig).fences, 0);
    rig.now_ns += 15000 * MS;
    turns(&rig, 3);
    assert_int_equal(counters_of(&rig).fences, 1);
    assert_int_equal(rig.last.kind, ENTRY_REJECTED);
    assert_int_equal(rig.last.reason, EMB_ERR_SESSION_FENCED);
    assert_true(meta_session_find(follower_meta(rig.followers[0]), session)->ended);
    data(&rig, 1, topic, session, 2, 3);
    turns(&rig, 3);
    assert_int_equal(rig.last.reason, EMB_ERR_SESSION_FENCED);
    assert_int_equal(meta_topic_by_id(follower_meta(rig.followers[0]), topic)->next_offset, 2);
    end(&rig);
}

static void an_old_gap_is_skipped_where_the_topic_says_so(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_SKIP, &session);
    data(&rig, 0, topic, session, 0, 2);
    data(&rig, 0, topic, session, 5, 2);
    turns(&rig, 6);
    struct sequencer_counters c = counters_of(&rig);
    assert_int_equal(c.skip, 1);
    assert_int_equal(c.data, 2);
    assert_int_equal(rig.last.base_offset, 2); /* offsets stay dense */
    data(&rig, 1, topic, session, 2, 3);       /* late: lost, not a duplicate */
    turns(&rig, 3);
    assert_int_equal(rig.last.kind, ENTRY_REJECTED);
    assert_int_equal(rig.last.reason, EMB_ERR_LOST);
    data(&rig, 1, topic, session, 5, 2);
    turns(&rig, 3);
    assert_int_equal(rig.last.kind, ENTRY_NOP);
    assert_int_equal(rig.last.base_offset, 2);
    end(&rig);
}

/* ---- epochs ---------------------------------------------------------------------------------------- */

static void a_higher_epoch_stops_every_act(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_FENCE, &session);
    for (uint64_t i = 0; i < 3; i++)
        data(&rig, 0, topic, session, i, 1);
    sequencer_do_work(rig.sequencer, rig.now_ns += MS); /* committed, not yet followed */
    uint64_t before = follower_position(rig.followers[0]);
    uint64_t outcomes = rig.outcomes;
    struct epoch_view higher = {.epoch = 2, .slot = 2, .workspace = 1};
    region_epoch_publish(&rig.regions[1], &higher);
    turns(&rig, 5);
    assert_int_equal(follower_position(rig.followers[0]), before);
    assert_int_equal(rig.outcomes, outcomes);
    struct follower_counters f;
    follower_counters(rig.followers[0], &f);
    assert_true(f.refused > 0);
    /* The zombie goes on in its own workspace until it looks, and then stops for good. */
    for (uint64_t i = 0; i < 5; i++)
        data(&rig, 1, topic, session, 3 + i, 1);
    for (uint64_t i = 0; i < 4; i++)
        data(&rig, 0, topic, session, 8 + i, 1);
    turns(&rig, 5);
    struct error err;
    assert_int_equal(sequencer_failure(rig.sequencer, &err), EMB_ERR_STALE_EPOCH);
    assert_non_null(strstr(err.text, "epoch 1 is over: epoch 2"));
    uint64_t stopped = counters_of(&rig).committed;
    turns(&rig, 5);
    assert_int_equal(counters_of(&rig).committed, stopped);
    assert_int_equal(follower_position(rig.followers[0]), before);
    end(&rig);
}

static void an_overtaken_sequencer_never_begins(void **state)
{
    struct rig rig;
    begin(&rig, MEM_HARDWARE);
    struct error err;
    struct sequencer *late = NULL;
    struct sequencer_options options = {.region = &rig.seat, .epoch = {.epoch = 1}};
    turns(&rig, 3);
    assert_int_equal(sequencer_create(&options, &late, &err), EMB_ERR_NOT_SUPPORTED);
    end(&rig);
}

static void the_checkpoint_holds_the_state(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_FENCE, &session);
    data(&rig, 0, topic, session, 0, 7);
    data(&rig, 0, topic, session, 9, 1); /* held */
    rig.now_ns += 2000 * MS;
    turns(&rig, 200);
    struct checkpoint_shared header;
    void *bytes;
    assert_int_equal(region_checkpoint_load(&rig.regions[0], 0, 1, &header, &bytes), EMB_OK);
    uint64_t meta_bytes;
    memcpy(&meta_bytes, bytes, 8);
    struct meta_state loaded;
    assert_int_equal(meta_state_init(&loaded, 16, 16), EMB_OK);
    struct error err;
    assert_int_equal(meta_decode(&loaded, (char *)bytes + 8, meta_bytes, &err), EMB_OK);
    assert_int_equal(meta_session_find(&loaded, session)->next, 7);
    assert_int_equal(meta_topic_by_name(&loaded, "t")->next_offset, 7);
    unsigned char *lane = (unsigned char *)bytes + 8 + meta_bytes;
    uint64_t collected;
    memcpy(&collected, lane + 8, 8);
    assert_int_equal(collected, rig.published[0]);
    assert_int_equal(lane[16], 1); /* the newest slot has no outcome */
    free(bytes);
    meta_state_free(&loaded);
    end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_over_two_lanes_is_put_in_order),
        cmocka_unit_test(what_is_not_next_is_told_so),
        cmocka_unit_test(a_held_batch_half_a_ring_behind_is_sent_back),
        cmocka_unit_test(everything_wraps_hardware),
        cmocka_unit_test(everything_wraps_software),
        cmocka_unit_test(data_waits_for_room_and_meta_does_not),
        cmocka_unit_test(an_old_gap_fences_the_session),
        cmocka_unit_test(an_old_gap_is_skipped_where_the_topic_says_so),
        cmocka_unit_test(a_higher_epoch_stops_every_act),
        cmocka_unit_test(an_overtaken_sequencer_never_begins),
        cmocka_unit_test(the_checkpoint_holds_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Ordering, wrapping, gaps, epochs and checkpoints, one case each. */
#include <string.h>

#include "base/random.h"
#include "sequencer/rig_test.h"

/* ---- ordering -------------------------------------------------------------------------------- */

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

/* ---- wrapping -------------------------------------------------------------------------------- */

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
        for (int i = 0;
             i < 50 && (rig.published[0] > rig.released[0] || rig.published[1] > rig.released[1]);
             i++)
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
        struct outcome outcome;
        while (follower_outcome_take(rig.followers[0], &outcome))
            note_outcome(&rig, 0, &outcome);
    }
    struct sequencer_counters c = counters_of(&rig);
    assert_true(c.waited > 0 && c.waited <= slots);
    assert_int_equal(c.committed, rig.seat.areas.goi_entries - 6 * 8);
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

/* ---- gaps ------------------------------------------------------------------------------------ */

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

/* ---- epochs ---------------------------------------------------------------------------------- */

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

/* Before anything is committed, too: somebody works here, or did. */
static void no_sequencer_begins_where_an_epoch_was_granted(void **state)
{
    struct rig rig;
    begin(&rig, MEM_HARDWARE);
    struct error err;
    assert_int_equal(region_committed_observe(&rig.regions[1], 0), 0);
    assert_int_equal(sequencer_check_region(&rig.regions[1], &err), EMB_ERR_NOT_SUPPORTED);
    assert_non_null(strstr(err.text, "epoch 1 was granted to node 0"));
    end(&rig);
}

/* Two were granted one number, with one slot: whoever does not stand there has no workspace. */
static void anothers_name_at_its_own_epoch_stops_it(void **state)
{
    struct rig rig;
    struct error err;
    begin(&rig, MEM_HARDWARE);
    struct epoch_view other = {.epoch = 1, .slot = 1, .sequencer = 5};
    region_epoch_publish(&rig.regions[1], &other);
    turns(&rig, 3);
    assert_int_equal(sequencer_failure(rig.sequencer, &err), EMB_ERR_STALE_EPOCH);
    assert_non_null(strstr(err.text, "epoch 1 was granted to node 5"));
    assert_int_equal(counters_of(&rig).committed, 0);
    end(&rig);
}

static void anothers_name_at_its_own_epoch_lets_none_begin(void **state)
{
    struct rig rig;
    struct error err;
    struct sequencer *late = NULL;
    begin(&rig, MEM_HARDWARE);
    struct sequencer_options options = {.region = &rig.regions[1], .node = 5};
    options.epoch = (struct epoch_view){.epoch = 1, .slot = 1, .sequencer = 5};
    assert_int_equal(sequencer_create(&options, &late, &err), EMB_ERR_STALE_EPOCH);
    assert_non_null(strstr(err.text, "epoch 1 was granted to node 0"));
    turns(&rig, 3);
    assert_int_equal(sequencer_failure(rig.sequencer, NULL), EMB_OK);
    assert_true(counters_of(&rig).committed > 0);
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

/* Its runner sleeps after turns without work; the log may be full until the checkpoint is whole. */
static void writing_a_checkpoint_is_work(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_FENCE, &session);
    turns(&rig, 200);
    assert_int_equal(sequencer_do_work(rig.sequencer, rig.now_ns), 0);
    data(&rig, 0, topic, session, 0, 1);
    turns(&rig, 2);
    uint64_t before = counters_of(&rig).checkpoints;
    rig.now_ns += 2000 * MS;
    for (int i = 0; i < 1000 && counters_of(&rig).checkpoints == before; i++)
        assert_true(sequencer_do_work(rig.sequencer, rig.now_ns) > 0);
    assert_int_equal(counters_of(&rig).checkpoints, before + 1);
    end(&rig);
}

/* Every place of every table is used: what is written must fit, whatever the geometry. */
static void a_full_state_fits_its_checkpoint(void **state)
{
    for (uint32_t sessions = 1; sessions < 300; sessions += sessions < 70 ? 1 : 13) {
        struct geometry g = geometry_tiny();
        g.sessions = sessions;
        g.topics = 1 + sessions % 4;
        g.lanes = 1 + sessions % 64;
        struct region_areas areas;
        region_areas_compute(&g, &areas);
        struct meta_state full;
        assert_int_equal(meta_state_init(&full, g.topics, sessions), EMB_OK);
        for (uint32_t i = 0; i < g.topics; i++)
            full.topics[i].id = (uint16_t)(i + 1);
        for (uint32_t i = 0; i < full.session_places; i++)
            full.sessions[i].session = i + 1;
        for (uint32_t i = 0; i < NODE_MAX; i++)
            full.nodes[i].incarnation = 1;
        for (uint32_t i = 0; i < g.lanes; i++)
            full.lanes[i].generation = 1;
        full.lanes[LANE_SEQUENCER].chain.version = 1;
        uint64_t room = areas.checkpoint_bytes - LINE_BYTES - sizeof(uint64_t) -
                        g.lanes * (16 + g.lane_slots / 8);
        unsigned char *bytes = malloc(room);
        struct meta_cursor cursor = {0};
        uint64_t used = 0;
        while (!meta_encode_done(&cursor)) {
            int64_t more = meta_encode(&full, &cursor, 1, 16, bytes + used, room - used);
            assert_true(more >= 0);
            used += (uint64_t)more;
        }
        free(bytes);
        meta_state_free(&full);
    }
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
        cmocka_unit_test(no_sequencer_begins_where_an_epoch_was_granted),
        cmocka_unit_test(anothers_name_at_its_own_epoch_stops_it),
        cmocka_unit_test(anothers_name_at_its_own_epoch_lets_none_begin),
        cmocka_unit_test(the_checkpoint_holds_the_state),
        cmocka_unit_test(writing_a_checkpoint_is_work),
        cmocka_unit_test(a_full_state_fits_its_checkpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What is held, and gaps: batches that overlap what was committed, places of sessions that are used
 * again, gaps while the log has no room, META while DATA waits.
 */
#include <string.h>

#include "sequencer/rig_test.h"

static const struct meta_session *session_of(const struct rig *rig, uint64_t session)
{
    return meta_session_find(follower_meta(rig->followers[0]), session);
}

static bool all_decided(const struct rig *rig)
{
    for (uint32_t node = 0; node < rig->nodes; node++)
        if (rig->published[node] != rig->released[node])
            return false;
    return true;
}

/* ---- overlaps -------------------------------------------------------------------------------- */

/* A client that cuts its batches anew does not move the session back, nor is anything held on. */
static void what_was_overtaken_while_held_is_decided(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_SKIP, &session);
    data(&rig, 1, topic, session, 5, 5);
    data(&rig, 1, topic, session, 2, 2);
    turn(&rig);
    data(&rig, 0, topic, session, 0, 7);
    turns(&rig, 10);
    assert_int_equal(session_of(&rig, session)->next, 7);
    assert_int_equal(counters_of(&rig).skip, 0);
    assert_int_equal(counters_of(&rig).rejected, 1); /* 5 to 9 straddles */
    assert_int_equal(counters_of(&rig).nop, 1);      /* 2 to 3 are there */
    assert_true(all_decided(&rig));
    data(&rig, 0, topic, session, 7, 1);
    turns(&rig, 3);
    assert_int_equal(rig.last.kind, ENTRY_DATA);
    assert_int_equal(rig.last.base_offset, 7);
    end(&rig);
}

static void an_overtaken_batch_fences_nobody(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_FENCE, &session);
    data(&rig, 1, topic, session, 5, 2);
    turn(&rig);
    data(&rig, 0, topic, session, 0, 10);
    turns(&rig, 3);
    rig.now_ns += 16000 * MS;
    turns(&rig, 3);
    assert_int_equal(counters_of(&rig).fences, 0);
    assert_int_equal(rig.last.kind, ENTRY_NOP);
    assert_true(all_decided(&rig));
    end(&rig);
}

/* ---- places ---------------------------------------------------------------------------------- */

/* Opens and ends sessions until the next one that is opened gets the place of an earlier one. */
static void turn_places_round(struct rig *rig, uint16_t topic)
{
    uint32_t places = follower_meta(rig->followers[0])->session_places;
    for (uint32_t i = 1; i < places; i++)
        end_session(rig, open_session(rig, topic));
}

static void a_gap_is_forgotten_with_its_session(void **state)
{
    struct rig rig;
    uint64_t first;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_FENCE, &first);
    data(&rig, 1, topic, first, 5, 5); /* a gap at 0, as of now */
    turns(&rig, 3);
    end_session(&rig, first);
    turn_places_round(&rig, topic);
    rig.now_ns += 16000 * MS;
    uint64_t second = open_session(&rig, topic);
    data(&rig, 1, topic, second, 5, 5);
    turns(&rig, 3);
    assert_int_equal(counters_of(&rig).fences, 0);
    data(&rig, 0, topic, second, 0, 5);
    turns(&rig, 3);
    assert_int_equal(session_of(&rig, second)->next, 10);
    end(&rig);
}

static struct geometry geometry_wide(void)
{
    struct geometry g = geometry_tiny();
    g.lane_slots = 4096;
    g.goi_segment_entries = 1024;
    return g;
}

/* More held batches than a pass has entries: while they are rejected their place stays theirs. */
static void a_place_is_kept_until_all_held_in_it_are_decided(void **state)
{
    struct rig rig;
    struct geometry g = geometry_wide();
    begin_with(&rig, &g, MEM_HARDWARE, NODES, (struct sequencer_options){0});
    turns(&rig, 6);
    uint16_t topic = create_topic(&rig, "t", TOPIC_ORDER_CLIENT, TOPIC_GAP_FENCE);
    uint64_t first = open_session(&rig, topic);
    turn_places_round(&rig, topic);
    for (uint64_t i = 0; i < 2000; i++) {
        data(&rig, 0, topic, first, 10 + i, 1);
        data(&rig, 1, topic, first, 5000 + i, 1);
    }
    turns(&rig, 20);
    assert_int_equal(counters_of(&rig).held_now, 4000);
    struct meta_record record = {.type = META_SESSION_END, .version = 1};
    record.session_end.session = first;
    request(&rig, 1, &record);
    record = (struct meta_record){.type = META_SESSION_OPEN, .version = 1};
    record.session_open.topic = topic;
    request(&rig, 1, &record);
    turns(&rig, 30);
    assert_int_equal(rig.last.kind, ENTRY_META);
    assert_true(all_decided(&rig));
    assert_int_equal(counters_of(&rig).rejected, 4000);
    uint64_t second = rig.last.session;
    data(&rig, 0, topic, second, 1, 1);
    data(&rig, 1, topic, second, 0, 1);
    turns(&rig, 20);
    assert_int_equal(session_of(&rig, second)->next, 2);
    end(&rig);
}

/* ---- no room --------------------------------------------------------------------------------- */

/* Everything but the last node's follower, which stands still. */
static void turn_without_last(struct rig *rig, uint64_t step_ns)
{
    struct outcome outcome;
    rig->now_ns += step_ns;
    sequencer_do_work(rig->sequencer, rig->now_ns);
    for (uint32_t node = 0; node + 1 < rig->nodes; node++) {
        turn_follower(rig, node);
        while (follower_outcome_take(rig->followers[node], &outcome))
            note_outcome(rig, node, &outcome);
    }
}

/* Node 1 writes to a topic until the log has no room for its DATA; in no time. */
static void fill(struct rig *rig, uint16_t topic)
{
    for (int i = 0; i < 60; i++) {
        while (has_slot(rig, 1))
            data(rig, 1, topic, NO_SESSION, NO_SEQUENCE, 1);
        turn_without_last(rig, 0);
    }
    assert_true(counters_of(rig).waited > 0);
}

static uint16_t begin_three(struct rig *rig, uint8_t gap, uint16_t *filler)
{
    struct geometry g = geometry_tiny();
    begin_with(rig, &g, MEM_HARDWARE, 3, (struct sequencer_options){0});
    turns(rig, 6);
    *filler = create_topic(rig, "filler", TOPIC_ORDER_TOTAL, TOPIC_GAP_FENCE);
    return create_topic(rig, "t", TOPIC_ORDER_CLIENT, gap);
}

/* 3 is held, the room ends, 0 to 2 arrive: they are not missing, however long they wait. */
static void waiting_for_room_is_no_gap(uint8_t gap)
{
    struct rig rig;
    uint16_t filler;
    uint16_t topic = begin_three(&rig, gap, &filler);
    uint64_t session = open_session(&rig, topic);
    data(&rig, 0, topic, session, 3, 1);
    turn_without_last(&rig, 0);
    fill(&rig, filler);
    for (uint64_t i = 0; i < 3; i++)
        data(&rig, 0, topic, session, i, 1);
    turn_without_last(&rig, 0);
    assert_int_equal(counters_of(&rig).held_now, 1);
    for (int i = 0; i < 50; i++)
        turn_without_last(&rig, i == 1 ? 16000 * MS : MS);
    turns(&rig, 100);
    assert_int_equal(counters_of(&rig).fences, 0);
    assert_int_equal(counters_of(&rig).skip, 0);
    assert_int_equal(session_of(&rig, session)->next, 4);
    assert_true(all_decided(&rig));
    end(&rig);
}

/* Begins as a committed batch does, and reaches into what was declared lost: not a duplicate. */
static void what_reaches_into_a_lost_range_is_no_duplicate(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_SKIP, &session);
    data(&rig, 0, topic, session, 0, 5);
    data(&rig, 0, topic, session, 8, 2); /* 5 to 7 never come */
    turns(&rig, 10);
    assert_int_equal(counters_of(&rig).skip, 1);
    assert_int_equal(session_of(&rig, session)->next, 10);
    data(&rig, 0, topic, session, 0, 5);
    turns(&rig, 3);
    assert_int_equal(rig.last.kind, ENTRY_NOP);
    assert_int_equal(rig.last.base_offset, 0);
    data(&rig, 0, topic, session, 0, 8);
    turns(&rig, 3);
    assert_int_equal(rig.last.kind, ENTRY_REJECTED);
    assert_int_equal(rig.last.reason, EMB_ERR_LOST);
    end(&rig);
}

static void waiting_for_room_is_no_gap_to_fence(void **state)
{
    waiting_for_room_is_no_gap(TOPIC_GAP_FENCE);
}

static void waiting_for_room_is_no_gap_to_skip(void **state)
{
    waiting_for_room_is_no_gap(TOPIC_GAP_SKIP);
}

/* A follower that takes a GOI segment a turn. */
static void read_in_eights(struct rig *rig, uint32_t node)
{
    follower_destroy(rig->followers[node]);
    struct follower_options few = {
        .region = &rig->regions[node], .node = node, .entries_per_turn = 8};
    assert_int_equal(follower_create(&few, &rig->followers[node], NULL), EMB_OK);
    while (follower_position(rig->followers[node]) < follower_position(rig->followers[0]))
        turn_follower(rig, node);
}

/* Room for one segment, with a checkpoint that allows it; node 1 always has more to write. */
static void eight_more(struct rig *rig, uint16_t filler, bool busy)
{
    turn_follower(rig, 2);
    for (int i = 0; i < 40; i++) {
        turn_without_last(rig, 0);
        while (busy && has_slot(rig, 1))
            data(rig, 1, filler, NO_SESSION, NO_SEQUENCE, 1);
    }
}

/* 0 takes the last place; 1 to 3 were held for it and come before all that still waits. */
static void what_is_due_comes_before_what_waits(void **state)
{
    struct rig rig;
    uint16_t filler;
    uint16_t topic = begin_three(&rig, TOPIC_GAP_FENCE, &filler);
    uint64_t session = open_session(&rig, topic);
    read_in_eights(&rig, 2);
    for (uint64_t i = 1; i < 4; i++)
        data(&rig, 0, topic, session, i, 1);
    turn_without_last(&rig, 0);
    fill(&rig, filler);
    eight_more(&rig, filler, false);
    while (counters_of(&rig).committed % 8 != 0 || rig.published[1] > rig.released[1])
        eight_more(&rig, filler, false);
    fill(&rig, filler);
    eight_more(&rig, filler, false); /* exactly what waited */
    assert_int_equal(rig.published[1], rig.released[1]);
    for (int i = 0; i < 7; i++)
        data(&rig, 1, filler, NO_SESSION, NO_SEQUENCE, 1);
    turn_without_last(&rig, 0);
    data(&rig, 0, topic, session, 0, 1);
    turn_without_last(&rig, 0);
    eight_more(&rig, filler, true);
    assert_int_equal(session_of(&rig, session)->next, 1);
    eight_more(&rig, filler, true);
    assert_int_equal(session_of(&rig, session)->next, 4);
    end(&rig);
}

/* The reserve of META is used up; what is freed first goes to META, though DATA came before. */
static void meta_never_waits_behind_data(void **state)
{
    struct rig rig;
    uint16_t filler;
    begin_three(&rig, TOPIC_GAP_FENCE, &filler);
    read_in_eights(&rig, 2);
    fill(&rig, filler);
    struct meta_record record = {.type = META_TOPIC_DELETE, .version = 1};
    record.topic_delete.topic = 9; /* refused each time */
    for (int i = 0; i < 100; i++) {
        if (has_slot(&rig, 0))
            request(&rig, 0, &record);
        turn_without_last(&rig, MS);
    }
    uint64_t full = counters_of(&rig).committed, filled = counters_of(&rig).data;
    uint64_t ring = rig.seat.areas.goi_entries;
    assert_true(full % ring < 8 || full >= ring); /* nothing of the ring is left */
    for (int i = 0; i < 3; i++) {
        turn_follower(&rig, 2);
        for (int k = 0; k < 10; k++)
            turn_without_last(&rig, MS);
    }
    assert_true(counters_of(&rig).committed > full);
    assert_int_equal(counters_of(&rig).data, filled);
    turns(&rig, 100);
    assert_true(all_decided(&rig));
    end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_overtaken_while_held_is_decided),
        cmocka_unit_test(an_overtaken_batch_fences_nobody),
        cmocka_unit_test(a_gap_is_forgotten_with_its_session),
        cmocka_unit_test(a_place_is_kept_until_all_held_in_it_are_decided),
        cmocka_unit_test(waiting_for_room_is_no_gap_to_fence),
        cmocka_unit_test(waiting_for_room_is_no_gap_to_skip),
        cmocka_unit_test(what_reaches_into_a_lost_range_is_no_duplicate),
        cmocka_unit_test(what_is_due_comes_before_what_waits),
        cmocka_unit_test(meta_never_waits_behind_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is stored, when it is synced, and what ends a replica. */
#include <string.h>

#include "replica/rig_test.h"

/* ---- what is stored -------------------------------------------------------------------------- */

struct stored_case {
    uint32_t lane;
    enum entry_kind kind;
    unsigned flags;
    bool payload;
};

static const struct stored_case stored_cases[] = {
    {LANE, ENTRY_DATA, ENTRY_ASKS_SYNC, true},
    {LANE, ENTRY_DATA, ENTRY_ASKS_COPY, true},
    {LANE, ENTRY_DATA, 0, false},                   /* a topic without replicas */
    {LANE + 1, ENTRY_DATA, ENTRY_ASKS_SYNC, false}, /* in the care of others */
    {LANE + 2, ENTRY_DATA, ENTRY_ASKS_SYNC, false}, /* no chain yet */
    {LANE + 1, ENTRY_META, ENTRY_ASKS_SYNC, true},
    {LANE_SEQUENCER, ENTRY_META, ENTRY_ASKS_SYNC, true},
    {LANE, ENTRY_NOP, ENTRY_ASKS_SYNC, false},
    {LANE, ENTRY_REJECTED, ENTRY_ASKS_SYNC, false},
    {LANE, ENTRY_RETRY, 0, false},
    {LANE_SEQUENCER, ENTRY_SKIP, ENTRY_ASKS_SYNC, false},
};

static void every_entry_is_stored_and_payload_as_asked(void **state)
{
    struct world *w = *state;
    set_chain(w, LANE + 1, 1, 2, (uint32_t[]){0, 2});
    for (size_t i = 0; i < COUNT_OF(stored_cases); i++)
        add(w, stored_cases[i].lane, stored_cases[i].kind, stored_cases[i].flags);
    turn(w, 0);
    assert_int_equal(w->store.count, COUNT_OF(stored_cases));
    for (size_t i = 0; i < COUNT_OF(stored_cases); i++) {
        const struct goi_entry_shared *entry = &w->follower.entries[i];
        assert_int_equal(w->store.positions[i], i);
        assert_memory_equal(&w->store.entries[i], entry, sizeof *entry);
        assert_int_equal(w->store.payload_bytes[i],
                         stored_cases[i].payload ? payload_bytes(entry->payload) : 0);
        assert_memory_equal(w->store.payloads[i], w->follower.payloads[i],
                            w->store.payload_bytes[i]);
    }
    struct replica_counters counters;
    replica_counters(w->replica, &counters);
    assert_int_equal(counters.entries, COUNT_OF(stored_cases));
    assert_int_equal(counters.payloads, 4);
}

static void the_pin_stands_at_the_start_and_follows_the_cursor(void **state)
{
    struct world *w = *state;
    replica_destroy(w->replica);
    w->follower.needed = 0;
    w->follower.admitted = 5;
    w->follower.not_current = true;
    for (int i = 0; i < 9; i++)
        add_data(w);
    create_replica(w);
    turn(w, 0);
    assert_int_equal(w->follower.needed, 0); /* all, until it is known where the log begins */
    assert_false(w->store.begun);
    w->follower.not_current = false;
    turn(w, 0);
    assert_int_equal(w->store.positions[0], 5);
    assert_int_equal(w->follower.needed, 9);
    assert_int_equal(w->follower.store_synced, 5);
    sync_ends(&w->store);
    turn(w, 0);
    assert_int_equal(w->follower.store_synced, 9);
}

static void a_log_that_cannot_be_begun_ends_the_replica(void **state)
{
    struct world *w = *state;
    struct error err;
    add_data(w);
    w->store.failure = EMB_ERR_NO_SPACE;
    turn(w, 0);
    assert_int_equal(replica_failure(w->replica, &err), EMB_ERR_NO_SPACE);
    assert_non_null(strstr(err.text, "no file could be made"));
    assert_int_equal(w->follower.needed, NO_POSITION);
    assert_int_equal(replica_do_work(w->replica, 1), 0);
    assert_int_equal(w->store.count, 0);
}

static void a_turn_is_bounded(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 150; i++)
        add_data(w);
    assert_true(replica_do_work(w->replica, 0) >= 64);
    assert_int_equal(w->store.count, 64);
    turn(w, 0);
    assert_int_equal(replica_position(w->replica), 128);
    turn(w, 0);
    assert_int_equal(w->store.count, 150);
    sync_ends(&w->store);
    turn_and_sync(w);
    assert_int_equal(replica_do_work(w->replica, 0), 0);
}

static void jumps_between_intervals_are_followed(void **state)
{
    struct world *w = *state;
    add_data(w);
    add_data(w);
    w->follower.jump_to[2] = 100;
    w->follower.position = 100;
    turn(w, 0);
    assert_int_equal(w->follower.needed, 100);
    add_data(w);
    turn(w, 0);
    assert_int_equal(w->store.count, 3);
    assert_int_equal(w->store.positions[2], 100);
    sync_ends(&w->store);
    turn(w, 0);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(1, 2));
    sync_ends(&w->store);
    turn(w, 0);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(1, 101));
}

static void a_full_store_is_asked_again_with_the_same_entry(void **state)
{
    struct world *w = *state;
    add_data(w);
    add_data(w);
    w->store.busy = 3;
    for (int i = 0; i < 3; i++) {
        turn(w, 0);
        assert_int_equal(w->store.count, 0);
        assert_int_equal(w->follower.needed, 0);
        assert_int_equal(w->store.syncs, 0);
    }
    assert_int_equal(w->follower.payload_reads, 1);
    turn(w, 0);
    assert_int_equal(w->store.count, 2);
    assert_int_equal(w->follower.payload_reads, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(w->store.positions[i], i);
        assert_memory_equal(w->store.payloads[i], w->follower.payloads[i],
                            w->store.payload_bytes[i]);
    }
    struct replica_counters counters;
    replica_counters(w->replica, &counters);
    assert_int_equal(counters.busy, 3);
    assert_int_equal(replica_failure(w->replica, NULL), EMB_OK);
}

static void payload_left_out_while_the_store_was_full_is_not_forgotten(void **state)
{
    struct world *w = *state;
    set_chain(w, LANE, 1, 1, (uint32_t[]){2});
    add_data(w);
    w->store.busy = 1;
    turn(w, 0);
    set_chain(w, LANE, 2, 1, (uint32_t[]){NODE});
    turn_and_sync(w);
    assert_int_equal(w->store.payload_bytes[0], payload_bytes(w->follower.entries[0].payload));
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(2, 1));
}

/* ---- when it syncs --------------------------------------------------------------------------- */

static void the_next_group_collects_while_a_sync_runs(void **state)
{
    struct world *w = *state;
    add_data(w);
    turn(w, 0);
    assert_int_equal(w->store.syncs, 1);
    for (int i = 0; i < 5; i++) {
        add_data(w);
        turn(w, 0);
    }
    assert_int_equal(w->store.syncs, 1);
    assert_int_equal(synced_word(w, LANE, NODE), 0);
    sync_ends(&w->store);
    w->follower.durable = 1;
    turn(w, 0);
    assert_int_equal(w->store.syncs, 2);
    assert_int_equal(w->store.syncing_to, 6);
    assert_int_equal(w->store.sync_durable, 1);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(1, 1));
    sync_ends(&w->store);
    turn(w, 0);
    assert_int_equal(w->store.syncs, 2);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(1, 6));
}

static void only_what_asks_in_its_care_makes_it_sync(void **state)
{
    struct world *w = *state;
    set_chain(w, LANE + 1, 1, 2, (uint32_t[]){0, 2});
    add(w, LANE + 1, ENTRY_DATA, ENTRY_ASKS_SYNC);
    add(w, LANE + 1, ENTRY_DATA, ENTRY_ASKS_COPY);
    add(w, LANE + 1, ENTRY_NOP, ENTRY_ASKS_SYNC);
    add(w, LANE, ENTRY_DATA, 0);
    add(w, LANE, ENTRY_RETRY, 0);
    turn(w, 0);
    turn(w, 10000 * MS);
    assert_int_equal(w->store.syncs, 0);
    add(w, LANE, ENTRY_NOP, ENTRY_ASKS_SYNC);
    turn_and_sync(w);
    assert_int_equal(w->store.syncs, 1);
    assert_int_equal(synced_word(w, LANE + 1, NODE), 0);
    add(w, LANE + 1, ENTRY_META, 0);
    turn(w, 10000 * MS);
    assert_int_equal(w->store.syncs, 2);
}

static void much_unsynced_makes_it_sync(void **state)
{
    struct world *w = *state;
    add(w, LANE, ENTRY_DATA, 0);
    w->store.unsynced_bytes = 100000 - 65;
    turn(w, 0);
    assert_int_equal(w->store.syncs, 0);
    w->store.unsynced_bytes = 100000;
    turn(w, 0);
    assert_int_equal(w->store.syncs, 1);
}

static void periodic_entries_are_said_to_be_copied_before_they_are_synced(void **state)
{
    struct world *w = *state;
    add(w, LANE, ENTRY_DATA, ENTRY_ASKS_COPY);
    turn(w, 1000 * MS);
    assert_int_equal(w->store.flushed_to, 1);
    add(w, LANE, ENTRY_DATA, ENTRY_ASKS_COPY);
    turn(w, 1100 * MS);
    assert_int_equal(w->store.flushes, 1); /* one at a time */
    assert_int_equal(copied_word(w, LANE, NODE), 0);
    w->store.copied = 1;
    turn(w, 1249 * MS);
    assert_int_equal(copied_word(w, LANE, NODE), completion_word(1, 1));
    assert_int_equal(w->store.flushes, 2);
    assert_int_equal(w->store.flushed_to, 2);
    assert_int_equal(synced_word(w, LANE, NODE), 0);
    assert_int_equal(w->store.syncs, 0);
    turn(w, 1250 * MS);
    assert_int_equal(w->store.syncs, 1);
    sync_ends(&w->store);
    turn(w, 1251 * MS);
    assert_int_equal(copied_word(w, LANE, NODE), completion_word(1, 2));
    turn(w, 9000 * MS);
    assert_int_equal(w->store.syncs, 1);
}

static void the_period_begins_with_the_first_entry_that_waits(void **state)
{
    struct world *w = *state;
    add(w, LANE, ENTRY_DATA, ENTRY_ASKS_COPY);
    turn(w, 1000 * MS);
    turn(w, 1250 * MS);
    sync_ends(&w->store);
    add(w, LANE, ENTRY_DATA, ENTRY_ASKS_COPY);
    turn(w, 9000 * MS);
    add(w, LANE, ENTRY_DATA, ENTRY_ASKS_COPY);
    turn(w, 9249 * MS);
    assert_int_equal(w->store.syncs, 1);
    turn(w, 9250 * MS);
    assert_int_equal(w->store.syncs, 2);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* Position 4 was spoiled: nothing from it on is ever counted. */
static void assert_spoiled_is_not_counted(struct world *w, const char *part)
{
    for (int i = 0; i < 10; i++) {
        turn(w, 0);
        if (w->store.syncing)
            sync_ends(&w->store);
    }
    assert_failed_with(w, EMB_ERR_CORRUPT_BATCH, part);
    assert_failed_with(w, EMB_ERR_CORRUPT_BATCH, "position 4, lane 3");
    assert_int_equal(w->store.count, 4);
    assert_true(completion_position(synced_word(w, LANE, NODE)) <= 4);
    assert_int_equal(w->follower.needed, NO_POSITION);
    unsigned turns = w->store.turns; /* what it has under way is still taken */
    assert_int_equal(replica_do_work(w->replica, 0), 0);
    assert_int_equal(w->store.turns, turns + 1);
}

static void a_corrupted_payload_is_never_counted(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 10; i++)
        add_data(w);
    w->follower.payloads[4][65] ^= 1;
    assert_spoiled_is_not_counted(w, "node 1");
}

static void a_right_batch_in_the_wrong_place_is_never_counted(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 10; i++)
        add_data(w);
    memcpy(w->follower.payloads[4], w->follower.payloads[5], PAYLOAD_CAPACITY);
    assert_spoiled_is_not_counted(w, "payload");
}

static void a_corrupted_meta_batch_is_never_counted(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 4; i++)
        add_data(w);
    add(w, LANE, ENTRY_META, ENTRY_ASKS_SYNC);
    w->follower.payloads[4][200] ^= 1;
    assert_spoiled_is_not_counted(w, "payload");
}

static void a_payload_word_that_leads_nowhere_is_a_failure(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 4; i++)
        add_data(w);
    turn(w, 0);
    add_data(w);
    w->follower.payload_gone = true;
    assert_spoiled_is_not_counted(w, "outside");
}

static void an_overwritten_entry_is_a_failure(void **state)
{
    struct world *w = *state;
    add_data(w);
    add_data(w);
    w->follower.overwritten[1] = true;
    turn(w, 0);
    assert_failed_with(w, EMB_ERR_OFFSET_OUT_OF_RANGE, "position 1");
    assert_int_equal(w->store.count, 1);
}

static void a_jump_that_does_not_rise_is_a_failure(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 8; i++)
        add_data(w);
    w->follower.jump_to[6] = 6;
    turn(w, 0);
    assert_failed_with(w, EMB_ERR_CORRUPT, "position 6");
    assert_int_equal(w->store.count, 6);
}

static void an_impossible_lane_is_a_failure(void **state)
{
    struct world *w = *state;
    add(w, LANE_SEQUENCER + 1, ENTRY_NOP, 0);
    turn(w, 0);
    assert_failed_with(w, EMB_ERR_CORRUPT, "lane 65");
}

static void a_failed_sync_stops_progress_for_good(void **state)
{
    struct world *w = *state;
    add_data(w);
    turn_and_sync(w);
    add_data(w);
    turn(w, 0);
    w->store.failure = EMB_ERR_IO;
    w->store.syncing = false;
    w->store.synced = w->store.copied = 2; /* whatever it says now */
    turn(w, 0);
    assert_failed_with(w, EMB_ERR_IO, "0001.log");
    w->store.failure = EMB_OK;
    add_data(w);
    turn(w, 0);
    assert_int_equal(w->store.count, 2);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(1, 1));
    assert_int_equal(w->follower.needed, NO_POSITION);
}

#define TESTS(IN)                                                                                  \
    {                                                                                              \
        IN(every_entry_is_stored_and_payload_as_asked),                                            \
            IN(a_log_that_cannot_be_begun_ends_the_replica),                                       \
            IN(the_pin_stands_at_the_start_and_follows_the_cursor), IN(a_turn_is_bounded),         \
            IN(jumps_between_intervals_are_followed),                                              \
            IN(a_full_store_is_asked_again_with_the_same_entry),                                   \
            IN(payload_left_out_while_the_store_was_full_is_not_forgotten),                        \
            IN(the_next_group_collects_while_a_sync_runs),                                         \
            IN(only_what_asks_in_its_care_makes_it_sync), IN(much_unsynced_makes_it_sync),         \
            IN(periodic_entries_are_said_to_be_copied_before_they_are_synced),                     \
            IN(the_period_begins_with_the_first_entry_that_waits),                                 \
            IN(a_corrupted_payload_is_never_counted),                                              \
            IN(a_right_batch_in_the_wrong_place_is_never_counted),                                 \
            IN(a_corrupted_meta_batch_is_never_counted),                                           \
            IN(a_payload_word_that_leads_nowhere_is_a_failure),                                    \
            IN(an_overwritten_entry_is_a_failure), IN(a_jump_that_does_not_rise_is_a_failure),     \
            IN(an_impossible_lane_is_a_failure), IN(a_failed_sync_stops_progress_for_good),        \
    }

int main(void)
{
    const struct CMUnitTest hardware[] = TESTS(IN_HARDWARE);
    const struct CMUnitTest software[] = TESTS(IN_SOFTWARE);
    int failed = cmocka_run_group_tests_name("hardware", hardware, NULL, NULL);
    if (mem_writeback_available(MEM_WRITEBACK_AUTO))
        failed += cmocka_run_group_tests_name("software", software, NULL, NULL);
    return failed;
}

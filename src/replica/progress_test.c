/* What a replica says of itself, and that it is never too early. */
#include "base/random.h"
#include "replica/rig_test.h"

static void progress_is_never_ahead_of_the_predecessor(void **state)
{
    struct world *w = *state;
    set_chain(w, LANE, 4, 3, (uint32_t[]){2, NODE, 5});
    for (int i = 0; i < 10; i++)
        add_data(w);
    turn(w, 0);
    sync_ends(&w->store);
    say(w, LANE, 5, 4, 10); /* the successor's word is nobody's business here */
    turn(w, 0);
    assert_int_equal(synced_word(w, LANE, NODE), 0);
    for (uint64_t position = 1; position <= 12; position++) {
        say(w, LANE, 2, 4, position);
        turn(w, 0);
        assert_int_equal(synced_word(w, LANE, NODE), completion_word(4, min_u64(position, 10)));
    }
    assert_int_equal(copied_word(w, LANE, NODE), 0);
}

static void a_word_of_another_version_counts_for_nothing(void **state)
{
    struct world *w = *state;
    set_chain(w, LANE, 4, 2, (uint32_t[]){2, NODE});
    add_data(w);
    add_data(w);
    turn(w, 0);
    sync_ends(&w->store);
    say(w, LANE, 2, 3, 1000);
    turn(w, 0);
    assert_int_equal(synced_word(w, LANE, NODE), 0);
    say(w, LANE, 2, 5, 1000);
    turn(w, 0);
    assert_int_equal(synced_word(w, LANE, NODE), 0);
    say(w, LANE, 2, 4, 1);
    turn(w, 0);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(4, 1));
}

static void a_new_version_starts_from_what_its_own_chain_has_said(void **state)
{
    struct world *w = *state;
    add_data(w);
    add_data(w);
    turn_and_sync(w);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(1, 2));
    set_chain(w, LANE, 2, 2, (uint32_t[]){6, NODE});
    say(w, LANE, 6, 1, 2);
    turn(w, 0);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(1, 2));
    say(w, LANE, 6, 2, 1);
    turn(w, 0);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(2, 1));
    set_chain(w, LANE, 3, 1, (uint32_t[]){6});
    add_data(w);
    turn(w, 0);
    turn(w, 0);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(2, 1));
}

static void nothing_is_said_before_the_sync_has_finished(void **state)
{
    struct world *w = *state;
    add_data(w);
    for (int i = 0; i < 5; i++) {
        turn(w, (uint64_t)i * 1000 * MS);
        assert_true(w->store.syncing);
        assert_int_equal(synced_word(w, LANE, NODE), 0);
        assert_int_equal(w->follower.store_synced, 0);
    }
    sync_ends(&w->store);
    turn(w, 0);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(1, 1));
}

static void words_in_the_region_never_fall(void **state)
{
    struct world *w = *state;
    replica_destroy(w->replica);
    w->follower.needed = 0;
    say(w, LANE, NODE, 1, 3);
    say(w, LANE + 1, NODE, 9, 1);
    set_chain(w, LANE + 1, 8, 1, (uint32_t[]){NODE});
    create_replica(w);
    for (uint64_t end = 1; end <= 5; end++) {
        add_data(w);
        turn_and_sync(w);
        assert_int_equal(synced_word(w, LANE, NODE), completion_word(1, max_u64(end, 3)));
    }
    add(w, LANE + 1, ENTRY_DATA, ENTRY_ASKS_SYNC);
    turn_and_sync(w);
    assert_int_equal(synced_word(w, LANE + 1, NODE), completion_word(9, 1));
}

static void nothing_is_published_that_nobody_waits_for(void **state)
{
    struct world *w = *state;
    struct replica_counters counters;
    set_chain(w, LANE + 1, 1, 1, (uint32_t[]){NODE});
    add_data(w);
    turn_and_sync(w);
    for (int i = 0; i < 20; i++) {
        add(w, LANE + 1, ENTRY_DATA, ENTRY_ASKS_SYNC);
        turn_and_sync(w);
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(replica_do_work(w->replica, 0), 0);
    /* One for this lane, one for each sync of the other; and the other's first entry finds that
       the store had come further than its lane has said. */
    replica_counters(w->replica, &counters);
    assert_int_equal(counters.publishes, 1 + 20 + 1);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(1, 1));
    assert_int_equal(synced_word(w, LANE + 1, NODE), completion_word(1, 21));
}

static void a_newcomer_counts_nothing_that_it_does_not_hold(void **state)
{
    struct world *w = *state;
    set_chain(w, LANE, 1, 1, (uint32_t[]){2});
    for (int i = 0; i < 3; i++)
        add_data(w);
    turn(w, 0);
    w->follower.durable = 1; /* position 0 stands on the old chain */
    set_chain(w, LANE, 2, 2, (uint32_t[]){2, NODE});
    say(w, LANE, 2, 2, 3);
    turn(w, 0);
    turn_and_sync(w);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(2, 1));
    add_data(w);
    say(w, LANE, 2, 2, 4);
    turn_and_sync(w);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(2, 1));
    w->follower.durable = 3; /* what it lacks became durable without it */
    turn(w, 0);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(2, 4));
}

static void a_newcomer_syncs_what_it_had_left_to_others(void **state)
{
    struct world *w = *state;
    set_chain(w, LANE, 1, 1, (uint32_t[]){2});
    add(w, LANE, ENTRY_NOP, ENTRY_ASKS_SYNC);
    turn(w, 0);
    assert_int_equal(w->store.syncs, 0);
    set_chain(w, LANE, 2, 1, (uint32_t[]){NODE});
    turn(w, 0);
    turn_and_sync(w);
    assert_int_equal(synced_word(w, LANE, NODE), completion_word(2, 1));
}

/* ---- all of it at random --------------------------------------------------------------------- */

static void add_random(struct world *w, struct random_state *r)
{
    static const uint32_t lanes[] = {LANE, LANE, LANE + 1, LANE_SEQUENCER};
    static const enum entry_kind kinds[] = {ENTRY_DATA, ENTRY_DATA, ENTRY_META, ENTRY_NOP};
    if (w->follower.position < POSITIONS - 1)
        add(w, lanes[random_below(r, 4)], kinds[random_below(r, 4)], (unsigned)random_below(r, 3));
}

static void random_step(struct world *w, struct random_state *r, uint64_t *said)
{
    switch (random_below(r, 6)) {
    case 0:
        add_random(w, r);
        break;
    case 1:
        if (w->store.syncing)
            sync_ends(&w->store);
        break;
    case 2:
        *said = max_u64(*said, random_below(r, w->follower.position + 1));
        say(w, LANE, 2, 1, *said);
        break;
    case 3:
        w->store.busy = (unsigned)random_below(r, 3);
        break;
    default:
        turn(w, 0);
    }
}

static void assert_all_is_said(struct world *w)
{
    assert_int_equal(w->store.count, w->follower.position);
    for (uint64_t at = 0; at < w->follower.position; at++) {
        const struct goi_entry_shared *entry = &w->follower.entries[at];
        if (entry->lane != LANE)
            continue;
        if (entry->flags & ENTRY_ASKS_SYNC)
            assert_true(completion_position(synced_word(w, LANE, NODE)) > at);
        else if ((entry->flags & ENTRY_ASKS_COPY) && entry->kind != ENTRY_META)
            assert_true(completion_position(copied_word(w, LANE, NODE)) > at);
    }
}

static void nothing_is_said_too_early_and_all_in_the_end(void **state)
{
    struct world *w = *state;
    struct random_state r;
    uint64_t said = 0, before = 0;
    random_seed(&r, 20240607);
    set_chain(w, LANE, 1, 2, (uint32_t[]){2, NODE});
    set_chain(w, LANE + 1, 1, 1, (uint32_t[]){4});
    set_chain(w, LANE_SEQUENCER, 1, 1, (uint32_t[]){NODE});
    for (int i = 0; i < 9000; i++) {
        random_step(w, &r, &said);
        uint64_t word = synced_word(w, LANE, NODE);
        uint64_t copied = completion_position(copied_word(w, LANE, NODE));
        assert_true(word >= before);
        assert_true(completion_position(word) <= min_u64(said, w->store.synced));
        assert_true(copied <= min_u64(said, w->store.copied));
        assert_true(completion_position(synced_word(w, LANE_SEQUENCER, NODE)) <= w->store.synced);
        before = word;
    }
    assert_true(w->follower.position > 1000);
    say(w, LANE, 2, 1, w->follower.position);
    for (int i = 0; i < 200; i++) {
        turn(w, (uint64_t)i * 1000 * MS);
        if (w->store.syncing)
            sync_ends(&w->store);
    }
    assert_all_is_said(w);
}

#define TESTS(IN)                                                                                  \
    {                                                                                              \
        IN(progress_is_never_ahead_of_the_predecessor),                                            \
            IN(a_word_of_another_version_counts_for_nothing),                                      \
            IN(a_new_version_starts_from_what_its_own_chain_has_said),                             \
            IN(nothing_is_said_before_the_sync_has_finished), IN(words_in_the_region_never_fall),  \
            IN(nothing_is_published_that_nobody_waits_for),                                        \
            IN(a_newcomer_counts_nothing_that_it_does_not_hold),                                   \
            IN(a_newcomer_syncs_what_it_had_left_to_others),                                       \
            IN(nothing_is_said_too_early_and_all_in_the_end),                                      \
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

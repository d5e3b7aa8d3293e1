/*
 * The checkers, fed by hand: first what is right, without a finding; then, for each checker, what
 * it must find.
 */
#include <stdlib.h>

#include "sim/check/rig_test.h"

static void nothing_found(void)
{
    if (found_by[0])
        fail_msg("%s: %s", found_by, found_text);
}

static void is_found_by(const char *checker)
{
    if (strcmp(found_by, checker))
        fail_msg("expected of %s, but %s: %s", checker,
                 found_by[0] ? found_by : "nothing was found", found_text);
}

/* ---- what is right --------------------------------------------------------------------------- */

static void test_right(void **state)
{
    assert_int_equal(log_durable(), log_end());
    history_subscribed(2, TOPIC, 1);
    struct act *first = act_committed();
    deliver(first, log_end() - 1, 1);
    sync_host(0, log_end());
    assert_int_equal(log_durable(), log_end() - 1);
    sync_host(1, log_end());
    history_answer(first, 0, EMB_OK, 0, false);
    history_subscribed(2, TOPIC, 0);
    deliver(first, log_end() - 1, 0);
    publish_and_commit(first, ENTRY_RETRY, EMB_ERR_RETRY);
    struct goi_entry_shared nop = publish(first, ENTRY_NOP, 0);
    nop.base_offset = 0;
    commit(nop);
    sync_all();
    history_answer(first, 0, EMB_OK, 0, true);
    struct act *lost = act_new(next_sequence, 2);
    range_lost(next_sequence + 2);
    struct act *second = act_committed();
    publish_and_commit(lost, ENTRY_REJECTED, EMB_ERR_LOST);
    sync_all();
    history_answer(lost, 0, EMB_ERR_LOST, NO_OFFSET, false);
    history_answer(second, 0, EMB_OK, NO_OFFSET, false);
    nothing_found();
    check_quiet(true);
    check_power_lost();
    nothing_found();
    assert_int_equal(coverage.counts[COVER_RETRY] > 0, 1);
}

/* The GOI and the lane come round; a batch's bytes are used again. */
static void test_right_reuse(void **state)
{
    uint64_t first_batch = blog_at;
    for (unsigned i = 0; i < 140; i++) {
        act_committed();
        sync_all();
        node_set(0, log_end(), NO_POSITION);
        node_set(1, log_end(), NO_POSITION);
        checkpoint_put(log_end());
    }
    watch.blog_stored(&hosts[0], first_batch, 64);
    nothing_found();
    assert_true(coverage.counts[COVER_GOI_WRAPPED] > 0);
    assert_true(coverage.counts[COVER_LANE_WRAPPED] > 0);
}

/* A zombie goes on behind the old end, and nobody believes it. */
static void test_right_old_end(void **state)
{
    struct act *first = act_committed();
    uint64_t end = log_end();
    sync_all();
    log_set_old_end(1, end);
    act_committed();
    assert_int_equal(log_end(), end);
    history_answer(first, 0, EMB_OK, 0, false);
    nothing_found();
}

/* ---- what must be found ---------------------------------------------------------------------- */

static void bad_position(void)
{
    act_committed();
    struct goi_entry_shared entry = log_at(log_end() - 1)->entry;
    entry.base_offset++;
    goi_put(log_end() - 1, &entry);
}

static void bad_no_entry(void)
{
    commit_up_to(committed_seq + 1);
}

static void bad_slot_twice(void)
{
    struct act *act = act_next(3);
    struct goi_entry_shared entry = publish(act, ENTRY_RETRY, EMB_ERR_RETRY);
    commit(entry);
    commit(entry);
}

static void bad_slot_never(void)
{
    publish(act_next(3), ENTRY_DATA, 0);
    check_quiet(true);
}

static void bad_offset(void)
{
    next_offset++;
    act_committed();
}

static void bad_sequence(void)
{
    next_sequence++;
    act_committed();
}

static void bad_twice(void)
{
    publish_and_commit(act_committed(), ENTRY_DATA, 0);
}

static void bad_duplicate(void)
{
    publish_and_commit(act_next(3), ENTRY_NOP, 0);
}

static void bad_ack_uncommitted(void)
{
    history_answer(act_next(3), 0, EMB_OK, 0, false);
}

static void bad_ack_not_durable(void)
{
    struct act *act = act_committed();
    sync_host(0, log_end());
    history_answer(act, 0, EMB_OK, 0, false);
}

static void bad_ack_behind_old_end(void)
{
    log_set_old_end(1, log_end());
    history_answer(act_committed(), 0, EMB_OK, 0, false);
}

static void bad_lost_not_durable(void)
{
    struct act *lost = act_new(next_sequence, 2);
    range_lost(next_sequence + 2);
    publish_and_commit(lost, ENTRY_REJECTED, EMB_ERR_LOST);
    history_answer(lost, 0, EMB_ERR_LOST, NO_OFFSET, false);
}

static void bad_real_time(void)
{
    struct act *act = act_next(3);
    act->after_position = log_end();
    publish_and_commit(act, ENTRY_DATA, 0);
}

static void bad_reader_hole(void)
{
    struct act *first = act_committed(), *third;
    history_subscribed(2, TOPIC, 0);
    deliver(first, log_end() - 1, 1);
    act_committed();
    third = act_committed();
    deliver(third, log_end() - 1, 1);
}

static void bad_reader_not_durable(void)
{
    struct act *act = act_committed();
    history_subscribed(2, TOPIC, 0);
    deliver(act, log_end() - 1, 0);
}

static void bad_rejected_then_committed(void)
{
    struct act *act = act_next(3);
    publish_and_commit(act, ENTRY_REJECTED, EMB_ERR_SEQUENCE);
    publish_and_commit(act, ENTRY_DATA, 0);
}

static void bad_committed_then_rejected(void)
{
    publish_and_commit(act_committed(), ENTRY_REJECTED, EMB_ERR_SESSION_FENCED);
}

static void bad_slot_reused(void)
{
    struct act *held = act_new(100, 1);
    publish(held, ENTRY_DATA, 0);
    next_offset = 0;
    for (unsigned i = 0; i < 8; i++)
        act_committed();
}

static void bad_goi_reused(void)
{
    for (unsigned i = 0; i < 140; i++) {
        act_committed();
        node_set(0, log_end(), NO_POSITION);
        node_set(1, log_end(), NO_POSITION);
        checkpoint_put(log_end());
    }
}

static void bad_blog_needed(void)
{
    uint64_t at = blog_at;
    act_committed();
    sync_all();
    node_set(0, log_end(), NO_POSITION);
    node_set(1, log_end() - 1, NO_POSITION);
    watch.blog_stored(&hosts[0], at, 64);
}

static void bad_blog_read(void)
{
    uint64_t at = blog_at;
    act_committed();
    sync_all();
    node_set(0, log_end(), NO_POSITION);
    node_set(1, log_end(), log_end() - 1);
    reuse_validated(&hosts[1], log_end() - 1);
    watch.blog_stored(&hosts[0], at, 64);
}

static void bad_bytes_in_memory(void)
{
    uint64_t at = blog_at;
    struct goi_entry_shared entry = publish(act_next(3), ENTRY_DATA, 0);
    region[at + 100] ^= 1;
    commit(entry);
}

static void bad_bytes_delivered(void)
{
    struct act *act = act_committed();
    history_subscribed(2, TOPIC, 0);
    act->bytes[80] ^= 1;
    deliver(act, log_end() - 1, 1);
    found_by[0] = 0; /* the act itself was changed: as good as a delivery of other bytes */
    unsigned char other[4096];
    memcpy(other, act->bytes, act->byte_count);
    other[90] ^= 1;
    history_subscribed(3, TOPIC, 0);
    history_delivered(&(struct delivery_seen){.subscriber = 3,
                                              .topic = TOPIC,
                                              .level = 1,
                                              .base_offset = 0,
                                              .position = NO_POSITION,
                                              .message_count = act->message_count,
                                              .session = act->session,
                                              .client_sequence = act->client_sequence,
                                              .bytes = other,
                                              .byte_count = act->byte_count});
}

static void bad_stuck(void)
{
    stuck = "publisher 1 waits";
    check_quiet(true);
}

static void bad_no_outcome(void)
{
    act_committed();
    sync_all();
    check_quiet(true);
}

static void bad_store_lacks(void)
{
    struct act *act = act_committed();
    sync_all();
    history_answer(act, 0, EMB_OK, 0, false);
    disks[1].count--;
    check_power_lost();
}

static void bad_store_bytes(void)
{
    static unsigned char other[4096];
    struct act *act = act_committed();
    sync_all();
    stores_expect_damage(&hosts[1]);
    memcpy(other, act->bytes, act->byte_count);
    other[90] ^= 1;
    disks[1].frames[disks[1].count - 1].payload = other;
    check_power_lost();
}

struct bad {
    void (*act)(void);
    const char *checker;
    const char *name;
};

#define BAD(function, checker_name)                                                                \
    {                                                                                              \
        function, checker_name, #function                                                          \
    }

static const struct bad bads[] = {
    BAD(bad_position, "positions"),
    BAD(bad_no_entry, "positions"),
    BAD(bad_slot_twice, "slots"),
    BAD(bad_slot_never, "slots"),
    BAD(bad_offset, "offsets"),
    BAD(bad_sequence, "sessions"),
    BAD(bad_twice, "sessions"),
    BAD(bad_duplicate, "sessions"),
    BAD(bad_ack_uncommitted, "acks"),
    BAD(bad_ack_not_durable, "acks"),
    BAD(bad_ack_behind_old_end, "acks"),
    BAD(bad_lost_not_durable, "acks"),
    BAD(bad_real_time, "realtime"),
    BAD(bad_reader_hole, "readers"),
    BAD(bad_reader_not_durable, "readers"),
    BAD(bad_rejected_then_committed, "refused"),
    BAD(bad_committed_then_rejected, "refused"),
    BAD(bad_slot_reused, "reuse"),
    BAD(bad_goi_reused, "reuse"),
    BAD(bad_blog_needed, "reuse"),
    BAD(bad_blog_read, "reuse"),
    BAD(bad_bytes_in_memory, "bytes"),
    BAD(bad_bytes_delivered, "bytes"),
    BAD(bad_stuck, "progress"),
    BAD(bad_no_outcome, "progress"),
    BAD(bad_store_lacks, "stores"),
    BAD(bad_store_bytes, "stores"),
};

static void test_bad(void **state)
{
    for (unsigned i = 0; i < COUNT_OF(bads); i++) {
        rack_begin(NULL);
        nothing_found();
        bads[i].act();
        if (strcmp(found_by, bads[i].checker))
            print_message("%s\n", bads[i].name);
        is_found_by(bads[i].checker);
        if (getenv("SHOW"))
            print_message("%s\n", found_text);
        rack_end(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_right, rack_begin, rack_end),
        cmocka_unit_test_setup_teardown(test_right_reuse, rack_begin, rack_end),
        cmocka_unit_test_setup_teardown(test_right_old_end, rack_begin, rack_end),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}

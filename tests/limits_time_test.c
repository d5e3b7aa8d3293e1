/*
 * What a broker does about clients that take too long, on a scripted network and clock: so times
 * are exact, and a test takes none.
 */
#include "tests/limits_rig.h"

/* ---- frames that take their time ------------------------------------------------------------- */

static void nothing_is_said_at_first(void **state)
{
    struct test t;
    begin_timed(&t);
    struct env_socket *peer = connect_peer(&t);
    scripted_turns(&t.world, 99, 10 * MS);
    assert_false(script_is_closed(peer));
    scripted_turns(&t.world, 11, 10 * MS);
    assert_ended(&t, peer, EMB_ERR_TIMEOUT, "no frame came within 1000 ms");
    assert_int_equal(counters(&t).frame_timeouts, 1);
    scripted_end(&t.world);
}

static void a_request_stops_after_any_byte(void **state)
{
    struct test t;
    for (size_t count = 1; count < FRAME_HEADER_BYTES + 10; count++) {
        begin_timed(&t);
        struct env_socket *peer = greeted(&t);
        scripted_turns(&t.world, 30, 100 * MS); /* to be silent between frames is allowed */
        send_hello(&t, peer, count);
        scripted_turns(&t.world, 99, 10 * MS);
        assert_false(script_is_closed(peer));
        scripted_turns(&t.world, 11, 10 * MS);
        assert_ended(&t, peer, EMB_ERR_TIMEOUT, "frame-timeout");
        assert_int_equal(counters(&t).frame_timeouts, 1);
        scripted_end(&t.world);
    }
}

static void assert_ring_is_free(struct test *t)
{
    struct env_socket *peer = publisher(t);
    for (int i = 0; i < 40; i++) {
        size_t bytes = produce_make(t, 3000);
        script_feed(peer, t->body, bytes);
        expect(t, peer, FRAME_ACK);
    }
}

/* The space that was given to it is used again: the partition is small. */
static void a_batch_stops_within(void **state)
{
    struct test t;
    for (size_t cut = 1; cut < 3000; cut += cut < 200 ? 13 : 400) {
        begin_timed(&t);
        struct env_socket *peer = publisher(&t);
        size_t bytes = produce_make(&t, 3000);
        assert_true(cut < bytes);
        script_feed(peer, t.body, cut);
        scripted_turns(&t.world, 99, 10 * MS);
        assert_false(script_is_closed(peer));
        scripted_turns(&t.world, 11, 10 * MS);
        assert_ended(&t, peer, EMB_ERR_TIMEOUT, "frame-timeout");
        scripted_end(&t.world);
    }
    begin_timed(&t);
    assert_ring_is_free(&t);
    scripted_end(&t.world);
}

/* Sends a batch in pieces, one every millisecond; how many ms it was let to. */
static unsigned trickle(struct test *t, struct env_socket *peer, size_t piece)
{
    unsigned ms = 0;
    size_t bytes = produce_make(t, 3000);
    for (size_t at = 0; at < bytes && !script_is_closed(peer); at += piece, ms++) {
        script_feed(peer, t->body + at, min_u64(piece, bytes - at));
        scripted_turn(&t->world, MS);
    }
    return ms;
}

static void a_byte_now_and_then_is_too_slow(void **state)
{
    struct test t;
    begin_timed(&t);
    struct env_socket *peer = publisher(&t);
    unsigned ms = trickle(&t, peer, 1);
    assert_true(ms >= TIMEOUT_MS && ms < 1500); /* 200 ms of it to read the error */
    expect_error(&t, peer, EMB_ERR_TIMEOUT, "frame-timeout");
    assert_int_equal(counters(&t).frame_timeouts, 1);
    scripted_end(&t.world);
}

/* 64 KiB/s: the batch takes longer than a frame may pause, and comes. */
static void a_slow_link_is_no_fault(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){.frame_timeout_ms = 20});
    struct env_socket *peer = publisher(&t);
    for (int i = 0; i < 20; i++) {
        assert_true(trickle(&t, peer, 66) > 40);
        expect(&t, peer, FRAME_ACK);
    }
    assert_int_equal(counters(&t).frame_timeouts, 0);
    trickle(&t, peer, 30);
    assert_int_equal(counters(&t).frame_timeouts, 1);
    scripted_end(&t.world);
}

/* A quick beginning does not buy a long pause. */
static void time_is_not_saved_up(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){.frame_timeout_ms = 100});
    struct env_socket *peer = publisher(&t);
    size_t bytes = produce_make(&t, 3400);
    script_feed(peer, t.body, bytes - 1);
    scripted_turns(&t.world, 16, 10 * MS);
    assert_int_equal(counters(&t).frame_timeouts, 1);
    scripted_end(&t.world);
}

/* As many as there is memory for have begun a batch and send a byte of it now and then, in time for
   their frame; but somebody else is waiting for room. */
static void trickling_batches_give_way_when_room_is_short(void **state)
{
    struct test t;
    struct env_socket *peers[120];
    struct broker_options options = {.limits.backpressure_ms = 1000};
    scripted_begin(&t.world, options, false);
    struct env_socket *honest = publisher(&t);
    for (size_t i = 0; i < COUNT_OF(peers); i++)
        peers[i] = publisher_join(&t);
    size_t bytes = produce_make(&t, 3400), sent = 100;
    for (size_t i = 0; i < COUNT_OF(peers); i++)
        script_feed(peers[i], t.body, sent);
    scripted_turns(&t.world, 2, MS);
    script_feed(honest, t.body, bytes);
    for (int ms = 0; ms < 900; ms += 5, sent++) {
        for (size_t i = 0; i < COUNT_OF(peers); i++)
            script_feed(peers[i], t.body + sent, 1);
        scripted_turn(&t.world, 5 * MS);
    }
    assert_true(counters(&t).pauses > 0);
    const unsigned char *ack = expect(&t, honest, FRAME_ACK);
    assert_int_equal(ack[16] | ack[17] << 8, EMB_OK);
    assert_int_equal(counters(&t).frame_timeouts, 0);
    assert_true(counters(&t).stalled > 0);
    scripted_end(&t.world);
}

/* Frames one behind the other, so that the broker always finds one begun. */
static void one_frame_after_the_other_may_go_on_for_ever(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){.frame_timeout_ms = 100});
    struct env_socket *peer = greeted(&t);
    unsigned char bytes[2 * FRAME_HEADER_BYTES];
    struct frame_header header = {.type = FRAME_UNSUBSCRIBE, .correlation = 7};
    frame_header_write(bytes, &header);
    frame_header_write(bytes + FRAME_HEADER_BYTES, &header);
    script_feed(peer, bytes, 10);
    for (int i = 0; i < 300; i++) {
        script_feed(peer, bytes + 10, FRAME_HEADER_BYTES);
        scripted_turn(&t.world, 10 * MS);
        assert_int_equal(counters(&t).frame_timeouts, 0);
    }
    scripted_end(&t.world);
}

/* What the broker itself waits for is not the client's delay. */
static void a_request_that_waits_owes_nothing(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){.frame_timeout_ms = 100, .request_wait_ms = 3000});
    struct env_socket *peer = greeted(&t);
    body_begin(&t);
    wire_put_u16(&t.w, 1);
    wire_put_u64(&t.w, 1000000); /* a position that nobody has read */
    send_part(&t, peer, FRAME_SESSION_OPEN, WHOLE);
    scripted_turns(&t.world, 290, 10 * MS);
    assert_false(script_is_closed(peer));
    scripted_turns(&t.world, 20, 10 * MS);
    expect_error(&t, peer, EMB_ERR_UNAVAILABLE, "1000000");
    send_hello(&t, peer, WHOLE);
    expect(&t, peer, FRAME_HELLO_OK);
    assert_int_equal(counters(&t).frame_timeouts, 0);
    scripted_end(&t.world);
}

/* ---- nothing said ---------------------------------------------------------------------------- */

static void idle_clients_stay_by_default(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){0});
    struct env_socket *peer = greeted(&t);
    scripted_turns(&t.world, 3600, 1000 * MS);
    send_hello(&t, peer, WHOLE);
    expect(&t, peer, FRAME_HELLO_OK);
    scripted_end(&t.world);
}

static void idle_clients_are_ended_if_that_is_wanted(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){.idle_timeout_ms = 500});
    struct env_socket *idle = greeted(&t);
    struct env_socket *busy = greeted(&t);
    struct env_socket *writer = publisher(&t);
    struct env_socket *reader = greeted(&t);
    struct subscribe subscribe = {.topic = "t", .after_position = UINT64_MAX};
    body_begin(&t);
    subscribe_put(&t.w, &subscribe);
    send_part(&t, reader, FRAME_SUBSCRIBE, WHOLE);
    expect(&t, reader, FRAME_SUBSCRIBE_OK);
    for (int i = 0; i < 14; i++) {
        send_hello(&t, busy, WHOLE);
        scripted_turns(&t.world, 4, 10 * MS);
        expect(&t, busy, FRAME_HELLO_OK);
    }
    expect_error(&t, idle, EMB_ERR_TIMEOUT, "idle-timeout");
    scripted_turns(&t.world, 25, 10 * MS);
    assert_true(script_is_closed(idle));
    assert_false(script_is_closed(busy));
    assert_false(script_is_closed(reader));
    assert_false(script_is_closed(writer));
    assert_int_equal(counters(&t).idle_timeouts, 2); /* the topic's creator, too */
    scripted_end(&t.world);
}

/* ---- answers that nobody reads --------------------------------------------------------------- */

static void answers_must_be_read(void **state)
{
    struct test t;
    begin_timed(&t);
    struct env_socket *peer = greeted(&t);
    script_window(peer, 100);
    for (int i = 0; i < 100; i++)
        send_plain(&t, peer, FRAME_STATUS);
    scripted_turns(&t.world, 99, 10 * MS);
    assert_false(script_is_closed(peer));
    scripted_turns(&t.world, 11, 10 * MS);
    assert_true(script_is_closed(peer));
    assert_int_equal(counters(&t).unread_timeouts, 1);
    scripted_end(&t.world);
}

static void slow_readers_are_let_to(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){.frame_timeout_ms = 50});
    struct env_socket *peer = greeted(&t);
    script_window(peer, 0);
    for (int i = 0; i < 10; i++)
        send_plain(&t, peer, FRAME_STATUS);
    for (int i = 0; i < 100; i++) {
        script_window(peer, 70);
        scripted_turn(&t.world, MS);
    }
    assert_int_equal(counters(&t).unread_timeouts, 0);
    for (int i = 0; i < 200 && !script_is_closed(peer); i++) {
        script_window(peer, 10);
        scripted_turn(&t.world, MS);
    }
    assert_int_equal(counters(&t).unread_timeouts, 1);
    scripted_end(&t.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_said_at_first),
        cmocka_unit_test(a_request_stops_after_any_byte),
        cmocka_unit_test(a_batch_stops_within),
        cmocka_unit_test(a_byte_now_and_then_is_too_slow),
        cmocka_unit_test(a_slow_link_is_no_fault),
        cmocka_unit_test(time_is_not_saved_up),
        cmocka_unit_test(trickling_batches_give_way_when_room_is_short),
        cmocka_unit_test(one_frame_after_the_other_may_go_on_for_ever),
        cmocka_unit_test(a_request_that_waits_owes_nothing),
        cmocka_unit_test(idle_clients_stay_by_default),
        cmocka_unit_test(idle_clients_are_ended_if_that_is_wanted),
        cmocka_unit_test(answers_must_be_read),
        cmocka_unit_test(slow_readers_are_let_to),
    };
    return cmocka_run_group_tests_name("limits-time", tests, NULL, NULL);
}

/* What peers leave behind: sessions that nobody publishes, memory that the kernel still sends,
   connections that nobody takes. */
#include <stdlib.h>

#include "tests/limits_rig.h"

#define SESSIONS   8 /* of the small region */
#define WIDE_BYTES (8u << 20)

/* ---- sessions -------------------------------------------------------------------------------- */

/* Topic 1 has no sessions, topic 2 has. */
static void begin_with_topics(struct test *t)
{
    begin(t, (struct broker_limits){0});
    topic_create(t, greeted(t), "without", 0);
    topic_create(t, greeted(t), "with", 5);
}

static void send_session_open(struct test *t, struct env_socket *peer)
{
    body_begin(t);
    wire_put_u16(&t->w, 2);
    wire_put_u64(&t->w, UINT64_MAX);
    send_part(t, peer, FRAME_SESSION_OPEN, WHOLE);
}

static uint64_t session_open(struct test *t, struct env_socket *peer)
{
    struct wire_reader r;
    send_session_open(t, peer);
    wire_reader_init(&r, expect(t, peer, FRAME_SESSION_OK), 16, NULL);
    return wire_get_u64(&r, "session");
}

static void send_publish_open(struct test *t, struct env_socket *peer, uint16_t topic,
                              uint64_t session)
{
    struct publish_open open = {
        .topic = topic, .session = session, .acks = 1, .after_position = UINT64_MAX};
    body_begin(t);
    publish_open_put(&t->w, &open);
    send_part(t, peer, FRAME_PUBLISH_OPEN, WHOLE);
}

static void session_close(struct test *t, struct env_socket *peer, uint64_t session)
{
    body_begin(t);
    wire_put_u64(&t->w, session);
    send_part(t, peer, FRAME_SESSION_CLOSE, WHOLE);
    expect(t, peer, FRAME_OK);
}

/* All places for sessions are free: as many can be opened as there are, each by a connection of its
   own. */
static void assert_no_session_is_left(struct test *t)
{
    scripted_turns(&t->world, 50, MS);
    for (int i = 0; i < SESSIONS; i++)
        session_open(t, greeted(t));
}

static void who_publishes_opens_no_other_session(void **state)
{
    struct test t;
    begin_with_topics(&t);
    struct env_socket *peer = greeted(&t);
    send_publish_open(&t, peer, 1, UINT64_MAX);
    expect(&t, peer, FRAME_OK);
    for (int i = 0; i < 2 * SESSIONS; i++) {
        send_session_open(&t, peer);
        scripted_turns(&t.world, 10, MS);
        expect_error(&t, peer, EMB_ERR_INVALID_ARGUMENT, "publishes to topic 1 already");
    }
    script_end(peer, SCRIPT_RST);
    assert_no_session_is_left(&t);
    scripted_end(&t.world);
}

/* All that a connection may ask for at once is asked, and then it begins to publish. */
static void sessions_under_way_when_publishing_begins_end(void **state)
{
    struct test t;
    begin_with_topics(&t);
    for (int round = 0; round < 2; round++) {
        struct env_socket *peer = greeted(&t);
        uint64_t own = round ? session_open(&t, peer) : UINT64_MAX;
        for (int i = 0; i < SESSIONS - round; i++)
            send_session_open(&t, peer);
        send_publish_open(&t, peer, round ? 2 : 1, own);
        expect(&t, peer, FRAME_OK);
        for (int i = 0; i < SESSIONS - round; i++) {
            scripted_turns(&t.world, 10, MS);
            expect_error(&t, peer, EMB_ERR_INVALID_ARGUMENT, "already");
        }
        script_end(peer, SCRIPT_RST);
        assert_no_session_is_left(&t);
        script_reset_all(t.world.env);
        scripted_turns(&t.world, 50, MS);
    }
    scripted_end(&t.world);
}

/* Its session was ended, it opens another, and goes before it publishes. */
static void a_session_opened_after_another_ended_is_lost_with_its_connection(void **state)
{
    struct test t;
    begin_with_topics(&t);
    for (int i = 0; i < 2 * SESSIONS; i++) {
        struct env_socket *peer = greeted(&t);
        uint64_t session = session_open(&t, peer);
        send_publish_open(&t, peer, 2, session);
        expect(&t, peer, FRAME_OK);
        session_close(&t, greeted(&t), session);
        session = session_open(&t, peer);
        if (i % 2) {
            send_publish_open(&t, peer, 2, session);
            expect(&t, peer, FRAME_OK);
        }
        script_end(peer, SCRIPT_RST);
        scripted_turns(&t.world, 20, MS);
    }
    assert_no_session_is_left(&t);
    scripted_end(&t.world);
}

/* ---- memory that the kernel still sends ------------------------------------------------------ */

/* A region whose segments hold batches that are sent by sendfile. */
static void begin_wide(struct test *t)
{
    static const uint8_t uuid[16] = {1};
    struct geometry geometry = geometry_test();
    geometry.region_bytes = WIDE_BYTES;
    geometry.topics = 4;
    geometry.sessions = SESSIONS;
    unsigned char *memory = aligned_alloc(4096, WIDE_BYTES);
    assert_non_null(memory);
    memset(memory, 0, WIDE_BYTES);
    assert_int_equal(region_format(memory, &geometry, MEM_HARDWARE, uuid, NULL), EMB_OK);
    scripted_begin_in(&t->world, memory, WIDE_BYTES, (struct broker_options){0}, true);
}

static void end_wide(struct test *t)
{
    unsigned char *memory = t->world.memory;
    scripted_end(&t->world);
    free(memory);
}

static void produce_large(struct test *t, struct env_socket *peer)
{
    static unsigned char room[48000];
    script_feed(peer, room, produce_build(room, sizeof room, 20000));
    expect(t, peer, FRAME_ACK);
}

/* A subscriber whose TCP acknowledges nothing of a large batch, of which it takes `window` bytes.
 */
static struct env_socket *pinning_subscriber(struct test *t, size_t window)
{
    struct env_socket *writer = publisher(t);
    struct env_socket *reader = greeted(t);
    struct subscribe subscribe = {.topic = "t", .level = 1, .after_position = UINT64_MAX};
    body_begin(t);
    subscribe_put(&t->w, &subscribe);
    send_part(t, reader, FRAME_SUBSCRIBE, WHOLE);
    expect(t, reader, FRAME_SUBSCRIBE_OK);
    script_hold_acks(reader, true);
    script_window(reader, window);
    produce_large(t, writer);
    scripted_turns(&t->world, 5, MS);
    assert_int_equal(counters(t).batches_out, window == WHOLE);
    assert_true(counters(t).sendfile_bytes > 0);
    return reader;
}

static void who_acknowledged_nothing_is_reset(void **state)
{
    struct test t;
    const size_t windows[] = {WHOLE, 10000};
    for (size_t i = 0; i < COUNT_OF(windows); i++) {
        begin_wide(&t);
        struct env_socket *reader = pinning_subscriber(&t, windows[i]);
        script_end(reader, SCRIPT_FIN); /* it says that it will send nothing more, but stays */
        scripted_turns(&t.world, 2, MS);
        assert_true(script_is_closed(reader) && script_is_reset(reader));
        end_wide(&t);
    }
}

static void who_acknowledged_all_is_closed_in_order(void **state)
{
    struct test t;
    begin_wide(&t);
    struct env_socket *reader = pinning_subscriber(&t, WHOLE);
    script_hold_acks(reader, false);
    script_end(reader, SCRIPT_FIN);
    scripted_turns(&t.world, 2, MS);
    assert_true(script_is_closed(reader) && !script_is_reset(reader));
    end_wide(&t);
}

/* It is told why it is ended, behind what it does not read. */
static void who_is_refused_and_acknowledged_nothing_is_reset(void **state)
{
    struct test t;
    for (int acked = 0; acked < 2; acked++) {
        begin_wide(&t);
        struct env_socket *reader = pinning_subscriber(&t, WHOLE);
        static const unsigned char nonsense[FRAME_HEADER_BYTES];
        script_feed(reader, nonsense, sizeof nonsense);
        scripted_turns(&t.world, 10, 10 * MS);
        assert_false(script_is_closed(reader));
        if (acked)
            script_hold_acks(reader, false);
        scripted_turns(&t.world, 20, 10 * MS);
        assert_true(script_is_closed(reader));
        assert_int_equal(script_is_reset(reader), !acked);
        end_wide(&t);
    }
}

/* A node that leaves waits for the peers' TCP as it does for their answers, and begins no batch. */
static void a_node_that_leaves_waits_for_what_is_under_way(void **state)
{
    struct test t;
    int reason;
    for (int acked = 0; acked < 2; acked++) {
        begin_wide(&t);
        struct env_socket *reader = pinning_subscriber(&t, WHOLE);
        broker_leave(t.world.broker);
        scripted_turns(&t.world, 150, 10 * MS);
        assert_false(script_is_closed(reader));
        assert_int_equal(broker_leave_state(t.world.broker, &reason), BROKER_LEAVING);
        if (acked)
            script_hold_acks(reader, false);
        scripted_turns(&t.world, acked ? 5 : 60, 10 * MS);
        assert_true(script_is_closed(reader));
        assert_int_equal(script_is_reset(reader), !acked);
        end_wide(&t);
    }
}

/* ---- who still wants in ---------------------------------------------------------------------- */

/* Nobody takes it in any more: that it waits must not keep the node's thread awake. */
static void who_connects_to_a_node_that_leaves_costs_nothing(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){0});
    broker_leave(t.world.broker);
    assert_non_null(script_connect(t.world.env));
    scripted_turns(&t.world, 2, MS);
    unsigned calls = script_calls(t.world.env);
    scripted_turns(&t.world, 50, MS);
    assert_int_equal(script_calls(t.world.env), calls);
    scripted_end(&t.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_publishes_opens_no_other_session),
        cmocka_unit_test(sessions_under_way_when_publishing_begins_end),
        cmocka_unit_test(a_session_opened_after_another_ended_is_lost_with_its_connection),
        cmocka_unit_test(who_acknowledged_nothing_is_reset),
        cmocka_unit_test(who_acknowledged_all_is_closed_in_order),
        cmocka_unit_test(who_is_refused_and_acknowledged_nothing_is_reset),
        cmocka_unit_test(a_node_that_leaves_waits_for_what_is_under_way),
        cmocka_unit_test(who_connects_to_a_node_that_leaves_costs_nothing),
    };
    return cmocka_run_group_tests_name("limits-left", tests, NULL, NULL);
}

/* What peers leave behind: sessions that nobody publishes. */
#include "tests/limits_rig.h"

#define SESSIONS 8 /* of the small region */

/* ---- sessions -------------------------------------------------------------------------------- */

static void topic_make(struct test *t, const char *name, uint8_t order)
{
    struct topic_settings settings = {.order = order};
    struct env_socket *peer = greeted(t);
    body_begin(t);
    wire_put_text(&t->w, name);
    topic_settings_put(&t->w, &settings);
    send_part(t, peer, FRAME_TOPIC_CREATE, WHOLE);
    expect(t, peer, FRAME_TOPIC_OK);
}

/* Topic 1 has no sessions, topic 2 has. */
static void begin_with_topics(struct test *t)
{
    begin(t, (struct broker_limits){0});
    topic_make(t, "without", 0);
    topic_make(t, "with", 5);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_publishes_opens_no_other_session),
        cmocka_unit_test(sessions_under_way_when_publishing_begins_end),
        cmocka_unit_test(a_session_opened_after_another_ended_is_lost_with_its_connection),
    };
    return cmocka_run_group_tests_name("limits-left", tests, NULL, NULL);
}

/* A node that has not read the whole log yet: what it must not say. */
#include "tests/limits_rig.h"

static void subscribe_at(struct test *t, struct env_socket *reader, uint64_t offset)
{
    struct subscribe subscribe = {.topic = "t",
                                  .start = START_OFFSET,
                                  .value = offset,
                                  .level = READ_LATEST,
                                  .after_position = UINT64_MAX};
    body_begin(t);
    subscribe_put(&t->w, &subscribe);
    send_part(t, reader, FRAME_SUBSCRIBE, WHOLE);
}

/* Time passes for all but the follower. */
static void turns_without_follower(struct test *t, int turns)
{
    while (turns--) {
        script_pass(t->world.env, MS);
        script_poll(t->world.env);
        sequencer_do_work(t->world.sequencer, script_now_ns(t->world.env));
        broker_do_work(t->world.broker, script_now_ns(t->world.env));
    }
}

static bool answered(struct env_socket *peer)
{
    struct frame_header header;
    const unsigned char *body;
    return scripted_receive(peer, &header, &body);
}

/* One message is committed, which the node has not read; its publisher may have told somebody.
   Whoever asks for an offset behind it is not answered yet. */
static struct env_socket *reader_ahead(struct test *t, uint64_t offset)
{
    begin(t, (struct broker_limits){0});
    struct env_socket *writer = publisher(t);
    struct env_socket *reader = greeted(t);
    script_feed(writer, t->body, produce_make(t, 10));
    turns_without_follower(t, 5);
    subscribe_at(t, reader, offset);
    turns_without_follower(t, 5);
    assert_false(answered(reader));
    scripted_turns(&t->world, 5, MS);
    return reader;
}

static void an_offset_that_is_committed_is_not_refused(void **state)
{
    struct test t;
    struct env_socket *reader = reader_ahead(&t, 1);
    expect(&t, reader, FRAME_SUBSCRIBE_OK);
    scripted_end(&t.world);
}

static void what_nobody_was_told_is_refused(void **state)
{
    struct test t;
    struct env_socket *reader = reader_ahead(&t, 2);
    expect_error(&t, reader, EMB_ERR_OFFSET_OUT_OF_RANGE, "the next one will be 1");
    subscribe_at(&t, reader, 1);
    expect(&t, reader, FRAME_SUBSCRIBE_OK);
    scripted_end(&t.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offset_that_is_committed_is_not_refused),
        cmocka_unit_test(what_nobody_was_told_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What very many subscribers that have all there is cost when somebody else publishes. */
#include <stdio.h>

#include "meta/meta.h"
#include "tests/limits_rig.h"

#define CROWD 300 /* more than have their turn in one cycle */

static unsigned topics_looked_at; /* the linker wraps it */

const struct meta_topic *__real_meta_topic_by_id(const struct meta_state *state, uint32_t id);
const struct meta_topic *__wrap_meta_topic_by_id(const struct meta_state *state, uint32_t id);

const struct meta_topic *__wrap_meta_topic_by_id(const struct meta_state *state, uint32_t id)
{
    topics_looked_at++;
    return __real_meta_topic_by_id(state, id);
}

static struct env_socket *subscriber(struct test *t, const char *topic)
{
    struct env_socket *peer = connect_peer(t);
    struct subscribe subscribe = {
        .start = START_EARLIEST, .level = READ_LATEST, .after_position = UINT64_MAX};
    snprintf(subscribe.topic, sizeof subscribe.topic, "%s", topic);
    body_begin(t);
    subscribe_put(&t->w, &subscribe);
    send_part(t, peer, FRAME_SUBSCRIBE, WHOLE);
    expect(t, peer, FRAME_SUBSCRIBE_OK);
    return peer;
}

static void publish(struct test *t, struct env_socket *writer)
{
    script_feed(writer, t->body, produce_make(t, 10));
    expect(t, writer, FRAME_ACK);
}

/* The broker looks at none of those who wait for another topic. */
static void who_waits_for_another_topic_costs_nothing(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){0});
    topic_create(&t, greeted(&t), "t", TOPIC_ORDER_TOTAL);
    topic_create(&t, greeted(&t), "another", TOPIC_ORDER_TOTAL);
    struct env_socket *writer = publisher_join(&t);
    for (int i = 0; i < CROWD; i++)
        subscriber(&t, "another");
    struct env_socket *reader = subscriber(&t, "t");
    scripted_turns(&t.world, 10, MS);
    topics_looked_at = 0;
    for (int i = 0; i < 10; i++) {
        publish(&t, writer);
        expect(&t, reader, FRAME_DELIVER);
    }
    assert_true(topics_looked_at < CROWD);
    scripted_end(&t.world);
}

/* They are more than are looked at in one turn, and the next ones get theirs in the next. */
static void who_waits_has_a_turn_among_many(void **state)
{
    struct test t;
    struct env_socket *readers[CROWD];
    struct frame_header header;
    const unsigned char *body;
    size_t all = 0;
    begin(&t, (struct broker_limits){0});
    topic_create(&t, greeted(&t), "t", TOPIC_ORDER_TOTAL);
    struct env_socket *writer = publisher_join(&t);
    for (size_t i = 0; i < CROWD; i++)
        readers[i] = subscriber(&t, "t");
    script_feed(writer, t.body, produce_make(&t, 10));
    for (int turn = 0; turn < 20; turn++) {
        size_t now = 0;
        scripted_turn(&t.world, MS);
        for (size_t i = 0; i < CROWD; i++)
            now += scripted_receive(readers[i], &header, &body);
        assert_true(now < CROWD);
        all += now;
    }
    assert_int_equal(all, CROWD);
    scripted_end(&t.world);
}

static void all_that_wait_for_a_batch_get_it(void **state)
{
    struct test t;
    struct env_socket *readers[CROWD];
    begin(&t, (struct broker_limits){0});
    topic_create(&t, greeted(&t), "t", TOPIC_ORDER_TOTAL);
    struct env_socket *writer = publisher_join(&t);
    for (size_t i = 0; i < CROWD; i++)
        readers[i] = subscriber(&t, "t");
    for (size_t batch = 0; batch < 5; batch++) {
        publish(&t, writer);
        for (size_t i = 0; i < CROWD; i++)
            expect(&t, readers[i], FRAME_DELIVER);
    }
    scripted_end(&t.world);
}

/* A topic that is deleted ends the subscriptions that wait for it. */
static void all_that_wait_for_a_topic_learn_of_its_end(void **state)
{
    struct test t;
    struct env_socket *readers[CROWD];
    begin(&t, (struct broker_limits){0});
    topic_create(&t, greeted(&t), "t", TOPIC_ORDER_TOTAL);
    for (size_t i = 0; i < CROWD; i++)
        readers[i] = subscriber(&t, "t");
    struct env_socket *owner = greeted(&t);
    body_begin(&t);
    wire_put_text(&t.w, "t");
    send_part(&t, owner, FRAME_TOPIC_DELETE, WHOLE);
    expect(&t, owner, FRAME_OK);
    for (size_t i = 0; i < CROWD; i++)
        expect(&t, readers[i], FRAME_ERROR);
    scripted_end(&t.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_for_another_topic_costs_nothing),
        cmocka_unit_test(who_waits_has_a_turn_among_many),
        cmocka_unit_test(all_that_wait_for_a_batch_get_it),
        cmocka_unit_test(all_that_wait_for_a_topic_learn_of_its_end),
    };
    return cmocka_run_group_tests_name("limits-crowd", tests, NULL, NULL);
}

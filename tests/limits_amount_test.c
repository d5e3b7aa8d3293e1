/* What a broker does about clients that take too much: memory, turns, connections. */
#include "tests/limits_rig.h"

/* ---- memory ---------------------------------------------------------------------------------- */

/* However many requests it sends: they wait, once half of what it may have is full of answers. */
static void unread_answers_are_bounded(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){.client_memory_bytes = 64 << 10, .frame_timeout_ms = 60000});
    struct env_socket *peer = greeted(&t);
    script_window(peer, 0);
    for (int i = 0; i < 400; i++)
        send_plain(&t, peer, FRAME_STATUS);
    scripted_turns(&t.world, 100, MS);
    assert_true(counters(&t).frames_in < 100);
    script_window(peer, SIZE_MAX / 2);
    scripted_turns(&t.world, 100, MS);
    for (int i = 0; i < 400; i++)
        expect(&t, peer, FRAME_STATUS_OK);
    assert_int_equal(counters(&t).over_memory, 0);
    scripted_end(&t.world);
}

static void a_request_larger_than_the_limit_is_refused(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){.client_memory_bytes = 64 << 10});
    struct env_socket *peer = greeted(&t);
    unsigned char bytes[FRAME_HEADER_BYTES];
    struct frame_header header = {.type = FRAME_HELLO, .body_bytes = 64 << 10};
    frame_header_write(bytes, &header);
    script_feed(peer, bytes, sizeof bytes);
    scripted_turn(&t.world, MS);
    assert_ended(&t, peer, EMB_ERR_LIMIT, "client-memory is 65536");
    assert_int_equal(counters(&t).over_memory, 1);
    scripted_end(&t.world);
}

/* They announce the largest requests there are and send nothing of them; others are served. */
static void announced_requests_take_nothing_from_others(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){0});
    unsigned char bytes[FRAME_HEADER_BYTES];
    struct frame_header header = {.type = FRAME_TOPIC_CREATE, .body_bytes = 256 << 10};
    frame_header_write(bytes, &header);
    for (int i = 0; i < 300; i++)
        script_feed(connect_peer(&t), bytes, sizeof bytes);
    topic_create(&t, greeted(&t), "t", TOPIC_ORDER_TOTAL);
    scripted_end(&t.world);
}

/* So many that they do not all have their turn in one cycle. */
static void many_may_wait_for_the_same_position(void **state)
{
    struct test t;
    struct env_socket *peers[400];
    begin(&t, (struct broker_limits){.request_wait_ms = 60000});
    struct env_socket *creator = greeted(&t);
    struct subscribe subscribe = {.topic = "t", .after_position = 0};
    struct broker_counters before = counters(&t);
    for (size_t i = 0; i < COUNT_OF(peers); i++) {
        subscribe.after_position = 40; /* far beyond what has happened */
        body_begin(&t);
        subscribe_put(&t.w, &subscribe);
        peers[i] = connect_peer(&t);
        send_part(&t, peers[i], FRAME_SUBSCRIBE, WHOLE);
    }
    scripted_turns(&t.world, 5, MS);
    assert_int_equal(counters(&t).connections, before.connections + COUNT_OF(peers));
    topic_create(&t, creator, "t", TOPIC_ORDER_TOTAL);
    for (int i = 0; i < 60; i++) { /* each takes a position */
        body_begin(&t);
        wire_put_u64(&t.w, 0x50000u + (unsigned)i);
        send_part(&t, creator, FRAME_SESSION_CLOSE, WHOLE);
        expect(&t, creator, FRAME_ERROR);
    }
    for (size_t i = 0; i < COUNT_OF(peers); i++)
        expect(&t, peers[i], FRAME_SUBSCRIBE_OK);
    scripted_end(&t.world);
}

/* A flood of requests with large answers gets its share of a cycle, not all of it. */
static void a_flood_of_requests_has_its_share(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){0});
    struct env_socket *peer = greeted(&t);
    for (int i = 0; i < 1000; i++)
        send_plain(&t, peer, FRAME_STATUS);
    size_t before, after, most = 0;
    do {
        script_sent(peer, &before);
        scripted_turn(&t.world, MS);
        script_sent(peer, &after);
        most = max_u64(most, after - before);
    } while (after > before);
    assert_true(after > 1000 * 1000 && most < 128 << 10);
    scripted_end(&t.world);
}

/* ---- how many -------------------------------------------------------------------------------- */

static void connections_are_limited_in_all(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){.max_connections = 3});
    struct env_socket *peers[3];
    for (int i = 0; i < 3; i++)
        peers[i] = greeted(&t);
    struct env_socket *refused = connect_peer(&t);
    send_hello(&t, refused, WHOLE);
    assert_ended(&t, refused, EMB_ERR_LIMIT, "max-connections 3");
    assert_int_equal(counters(&t).refused, 1);
    assert_int_equal(counters(&t).connections, 3);
    script_end(peers[1], SCRIPT_FIN);
    scripted_turns(&t.world, 2, MS);
    greeted(&t);
    scripted_end(&t.world);
}

/* The script's peers have addresses 0, 1, 2, 3, 0, ... */
static void connections_are_limited_per_client(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){.max_connections_per_client = 2});
    struct env_socket *peers[12];
    for (int i = 0; i < 8; i++)
        peers[i] = greeted(&t);
    struct env_socket *refused = connect_peer(&t);
    assert_ended(&t, refused, EMB_ERR_LIMIT, "max-connections-per-client");
    assert_int_equal(counters(&t).refused_client, 1);
    assert_int_equal(counters(&t).connections, 8);
    for (int i = 0; i < 8; i++)
        script_end(peers[i], SCRIPT_RST);
    scripted_turns(&t.world, 2, MS);
    assert_int_equal(counters(&t).connections, 0);
    for (int i = 0; i < 8; i++)
        greeted(&t);
    scripted_end(&t.world);
}

/* So many that only some can be told why; none of them stays. */
static void a_crowd_that_is_refused_leaves_nothing(void **state)
{
    struct test t;
    begin(&t, (struct broker_limits){.max_connections = 1});
    greeted(&t);
    for (int i = 0; i < 200; i++)
        assert_non_null(script_connect(t.world.env));
    scripted_turns(&t.world, 100, 10 * MS);
    assert_int_equal(counters(&t).refused, 200);
    assert_int_equal(counters(&t).connections, 1);
    scripted_end(&t.world);
}

static void limits_can_be_changed(void **state)
{
    struct test t;
    struct error err;
    begin(&t, (struct broker_limits){.max_connections = 1});
    struct env_socket *first = greeted(&t);
    struct broker_limits more = {.max_connections = 200, .idle_timeout_ms = 300};
    struct broker_limits wrong = {.max_connections = 2000000};
    struct broker_limits small = {.client_memory_bytes = 1};
    assert_int_equal(broker_set_limits(t.world.broker, &wrong, &err), EMB_ERR_INVALID_SETTING);
    assert_non_null(strstr(err.text, "max_connections is 2000000; 1 to 1000000"));
    assert_int_equal(broker_set_limits(t.world.broker, &small, &err), EMB_ERR_INVALID_SETTING);
    assert_non_null(strstr(err.text, "client_memory_bytes is 1"));
    struct env_socket *refused = connect_peer(&t);
    expect_error(&t, refused, EMB_ERR_LIMIT, "max-connections 1");
    assert_int_equal(broker_set_limits(t.world.broker, &more, NULL), EMB_OK);
    for (int i = 0; i < 20; i++)
        greeted(&t);
    assert_int_equal(counters(&t).connections, 21);
    scripted_turns(&t.world, 50, 10 * MS);
    assert_true(script_is_closed(first));
    scripted_end(&t.world);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void name_note(void *arg, const struct status_item *item)
{
    if (strcmp(item->table, "client") == 0 && strcmp(item->name, "name") == 0)
        memcpy(arg, item->text, sizeof item->text);
}

/* A client may call itself anything; an operator's terminal is sent what can be printed. */
static void names_are_shown_in_printable_characters(void **state)
{
    struct test t;
    char name[256] = "";
    struct hello hello = {.client_name = "one\n\033[31mtwo\377"};
    begin(&t, (struct broker_limits){0});
    struct env_socket *peer = connect_peer(&t);
    body_begin(&t);
    hello_put(&t.w, &hello);
    send_part(&t, peer, FRAME_HELLO, WHOLE);
    expect(&t, peer, FRAME_HELLO_OK);
    broker_status(t.world.broker, name_note, name);
    assert_string_equal(name, "one??[31mtwo?");
    scripted_end(&t.world);
}

/* ---- status ---------------------------------------------------------------------------------- */

/* Each time it is asked there is an item more. */
static void more_each_time(void *arg, broker_status_fn *fn, void *fn_arg)
{
    uint32_t *asked = arg;
    const struct status_item item = {.table = "more", .name = "item"};
    for (uint32_t i = 0; i < *asked; i++)
        fn(fn_arg, &item);
    *asked += 1;
}

/* As when another node writes its line while this one is at it. */
static void what_comes_amid_a_status_is_left_out(void **state)
{
    struct test t;
    uint32_t asked = 0;
    scripted_begin(&t.world,
                   (struct broker_options){.more_status = more_each_time, .more_arg = &asked},
                   false);
    struct env_socket *peer = greeted(&t);
    send_plain(&t, peer, FRAME_STATUS);
    expect(&t, peer, FRAME_STATUS_OK);
    assert_int_equal(asked, 2);
    scripted_end(&t.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unread_answers_are_bounded),
        cmocka_unit_test(a_request_larger_than_the_limit_is_refused),
        cmocka_unit_test(announced_requests_take_nothing_from_others),
        cmocka_unit_test(many_may_wait_for_the_same_position),
        cmocka_unit_test(a_flood_of_requests_has_its_share),
        cmocka_unit_test(connections_are_limited_in_all),
        cmocka_unit_test(connections_are_limited_per_client),
        cmocka_unit_test(a_crowd_that_is_refused_leaves_nothing),
        cmocka_unit_test(limits_can_be_changed),
        cmocka_unit_test(names_are_shown_in_printable_characters),
        cmocka_unit_test(what_comes_amid_a_status_is_left_out),
    };
    return cmocka_run_group_tests_name("limits-amount", tests, NULL, NULL);
}

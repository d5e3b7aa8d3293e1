/*
 * What the tests of limits share: a broker on a scripted network and clock, and peers that say what
 * a test wants. Included by the test programs alone; one thread.
 */
#ifndef TESTS_LIMITS_RIG_H
#define TESTS_LIMITS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "batch/batch.h"
#include "tests/fuzz/scripted_broker.h"

#define TIMEOUT_MS 1000
#define WHOLE      SIZE_MAX

struct test {
    struct scripted world;
    unsigned char body[8192];
    struct wire_writer w;
};

static inline void begin(struct test *t, struct broker_limits limits)
{
    scripted_begin(&t->world, (struct broker_options){.limits = limits}, false);
}

static inline void begin_timed(struct test *t)
{
    begin(t, (struct broker_limits){.frame_timeout_ms = TIMEOUT_MS});
}

static inline struct broker_counters counters(struct test *t)
{
    struct broker_counters now;
    broker_counters(t->world.broker, &now);
    return now;
}

/* ---- peers ----------------------------------------------------------------------------------- */

static inline struct env_socket *connect_peer(struct test *t)
{
    struct env_socket *peer = script_connect(t->world.env);
    assert_non_null(peer);
    scripted_turn(&t->world, MS);
    return peer;
}

static inline void body_begin(struct test *t)
{
    wire_writer_init(&t->w, t->body, sizeof t->body);
}

/* The first `count` bytes of a frame around the body that was begun. */
static inline void send_part(struct test *t, struct env_socket *peer, uint8_t type, size_t count)
{
    unsigned char bytes[FRAME_HEADER_BYTES + sizeof t->body];
    struct frame_header header = {
        .type = type, .body_bytes = (uint32_t)t->w.used, .correlation = 7};
    frame_header_write(bytes, &header);
    memcpy(bytes + FRAME_HEADER_BYTES, t->body, t->w.used);
    script_feed(peer, bytes, min_u64(count, FRAME_HEADER_BYTES + t->w.used));
}

static inline void send_hello(struct test *t, struct env_socket *peer, size_t count)
{
    struct hello hello = {.client_name = "somebody"};
    body_begin(t);
    hello_put(&t->w, &hello);
    send_part(t, peer, FRAME_HELLO, count);
}

static inline void send_plain(struct test *t, struct env_socket *peer, uint8_t type)
{
    body_begin(t);
    send_part(t, peer, type, WHOLE);
}

static const unsigned char *expect(struct test *t, struct env_socket *peer, uint8_t type)
{
    struct frame_header header;
    const unsigned char *body;
    for (int i = 0; i < 50; i++, scripted_turn(&t->world, MS)) {
        if (!scripted_receive(peer, &header, &body))
            continue;
        assert_string_equal(frame_type_name(header.type), frame_type_name(type));
        return body;
    }
    fail_msg("no %s frame came", frame_type_name(type));
    return NULL;
}

static inline void expect_error(struct test *t, struct env_socket *peer, int code, const char *text)
{
    struct frame_header header;
    const unsigned char *body;
    struct wire_reader r;
    struct error err = {0};
    assert_true(scripted_receive(peer, &header, &body));
    assert_string_equal(frame_type_name(header.type), "ERROR");
    wire_reader_init(&r, body, header.body_bytes, NULL);
    error_get(&r, &err);
    assert_string_equal(error_name(err.code), error_name(code));
    if (!strstr(err.text, text))
        fail_msg("\"%s\" does not name \"%s\"", err.text, text);
}

/* It was told why, and closed when it had had the time to read that. */
static inline void assert_ended(struct test *t, struct env_socket *peer, int code, const char *text)
{
    expect_error(t, peer, code, text);
    scripted_turns(&t->world, 30, 10 * MS);
    assert_true(script_is_closed(peer));
}

static inline struct env_socket *greeted(struct test *t)
{
    struct env_socket *peer = connect_peer(t);
    send_hello(t, peer, WHOLE);
    expect(t, peer, FRAME_HELLO_OK);
    return peer;
}

static inline void topic_create(struct test *t, struct env_socket *peer, const char *name,
                                uint8_t order)
{
    struct topic_settings settings = {.order = order};
    body_begin(t);
    wire_put_text(&t->w, name);
    topic_settings_put(&t->w, &settings);
    send_part(t, peer, FRAME_TOPIC_CREATE, WHOLE);
    expect(t, peer, FRAME_TOPIC_OK);
}

static inline struct env_socket *publisher_join(struct test *t)
{
    struct env_socket *peer = greeted(t);
    struct publish_open open = {
        .topic = 1, .session = UINT64_MAX, .acks = 1, .after_position = UINT64_MAX};
    body_begin(t);
    publish_open_put(&t->w, &open);
    send_part(t, peer, FRAME_PUBLISH_OPEN, WHOLE);
    expect(t, peer, FRAME_OK);
    return peer;
}

static inline struct env_socket *publisher(struct test *t)
{
    topic_create(t, greeted(t), "t", TOPIC_ORDER_TOTAL);
    return publisher_join(t);
}

/* A PRODUCE frame with one message of so many zero bytes, in `room`, of which half is needed for
   the making; its bytes. */
static inline size_t produce_build(unsigned char *room, size_t room_bytes, size_t value_bytes)
{
    static const char value[20000];
    unsigned char *batch = room + room_bytes / 2;
    struct batch_builder builder;
    struct record record = {.value = value, .value_bytes = (uint32_t)value_bytes};
    void *finished;
    assert_true(value_bytes <= sizeof value);
    batch_builder_init(&builder, batch, room_bytes / 2);
    assert_true(batch_append(&builder, &record));
    ssize_t bytes =
        batch_finish(&builder, UINT64_MAX, UINT64_MAX, BATCH_NONE, 0, NULL, 0, &finished);
    assert_true(bytes > 0 && FRAME_HEADER_BYTES + (size_t)bytes <= room_bytes / 2);
    struct frame_header header = {.type = FRAME_PRODUCE,
                                  .body_bytes = (uint32_t)bytes,
                                  .session = UINT64_MAX,
                                  .client_sequence = UINT64_MAX,
                                  .topic = 1,
                                  .acks = 1,
                                  .message_count = 1};
    frame_header_write(room, &header);
    memcpy(room + FRAME_HEADER_BYTES, finished, (size_t)bytes);
    return FRAME_HEADER_BYTES + (size_t)bytes;
}

/* The same in t->body. */
static inline size_t produce_make(struct test *t, size_t value_bytes)
{
    return produce_build(t->body, sizeof t->body, value_bytes);
}

#endif

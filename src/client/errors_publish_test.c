/* Each error of publishers: errors_rig.h. */
#include "client/errors_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct emb_message one = {.value = "x", .value_bytes = 1};

/* ---- opening a publisher --------------------------------------------------------------------- */

static int publisher_try(struct scene *s, const char *topic,
                         const struct emb_publisher_options *options)
{
    struct emb_publisher *publisher = (struct emb_publisher *)s; /* must become NULL */

    int code = emb_publisher_open(s->client, topic, options, &publisher, &s->err);
    if (code != EMB_OK)
        assert_null(publisher);
    return code;
}

static void publisher_argument(void **state)
{
    struct emb_publisher_options o;
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
#define OPTION(member, given, words, accepted)                                                     \
    do {                                                                                           \
        emb_publisher_options_init(&o);                                                            \
        o.member = given;                                                                          \
        EXPECT(&s.err, publisher_try(&s, "orders", &o), EMB_ERR_INVALID_ARGUMENT, words,           \
               accepted);                                                                          \
    } while (0)
    OPTION(struct_bytes, 0, "struct_bytes is 0", "emb_publisher_options_init");
    OPTION(acks, -1, "acks is -1", "0 to 2");
    OPTION(acks, 3, "acks is 3", "0 to 2");
    OPTION(linger_us, 60000001, "linger_us is 60000001", "0 to 60000000");
    OPTION(batch_bytes_max, 100, "batch_bytes_max is 100", "4096 to 16777215");
    OPTION(batch_bytes_min, 0, "batch_bytes_min is 0", "1 to 1114112");
    OPTION(max_buffered_bytes, 1, "max_buffered_bytes is 1", "1114112 to");
    OPTION(max_in_flight, 17, "max_in_flight is 17", "1 to 16");
    OPTION(compression, 2, "compression is 2", "3 (lz4)");
    OPTION(compression_level, 101, "compression_level is 101", "-100 to 100");
#undef OPTION
    scene_end(&s);
}

static void publisher_topic(void **state)
{
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
    EXPECT(&s.err, publisher_try(&s, "or ders", NULL), EMB_ERR_INVALID_TOPIC, "0x20 at 2");
    scene_end(&s);
}

static void publisher_unknown(void **state)
{
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
    EXPECT(&s.err, publisher_try(&s, "missing", NULL), EMB_ERR_UNKNOWN_TOPIC, "missing");
    scene_end(&s);
}

/* The session, which is asked for on an open connection, is answered oddly. */
static void session_odd(enum fake_odd odd, int said, int code, const char *words)
{
    struct scene s;

    scene_init(&s);
    s.rack.odd = odd;
    s.rack.odd_type = FRAME_SESSION_OPEN;
    s.rack.odd_code = said;
    s.rack.odd_text = "all 16 sessions are open";
    scene_start(&s, odd == FAKE_ODD_SILENT ? SHORT_MS : LONG_MS);
    EXPECT(&s.err, publisher_try(&s, "orders", NULL), code, "topic orders", words);
    scene_end(&s);
}

static void publisher_limit(void **state)
{
    (void)state;
    session_odd(FAKE_ODD_ERROR, EMB_ERR_LIMIT, EMB_ERR_LIMIT, "all 16 sessions are open");
}

static void publisher_timeout(void **state)
{
    (void)state;
    session_odd(FAKE_ODD_SILENT, 0, EMB_ERR_TIMEOUT, "did not answer in time");
}

static void publisher_closed(void **state)
{
    (void)state;
    session_odd(FAKE_ODD_CLOSE, 0, EMB_ERR_CLOSED, "127.0.0.1:");
}

static void publisher_protocol(void **state)
{
    (void)state;
    session_odd(FAKE_ODD_WRONG, 0, EMB_ERR_PROTOCOL, "SESSION_CLOSE");
}

static void publisher_unavailable(void **state)
{
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
    scene_leave(&s);
    EXPECT(&s.err, publisher_try(&s, "orders", NULL), EMB_ERR_UNAVAILABLE, "127.0.0.1:", "refused");
    scene_end(&s);
}

/* ---- publishing ------------------------------------------------------------------------------ */

struct stage {
    struct scene scene;
    struct emb_publisher *publisher;
    struct emb_publisher_options options;
};

static void stage_init(struct stage *g)
{
    scene_init(&g->scene);
    emb_publisher_options_init(&g->options);
    g->options.batch_bytes_min = g->options.batch_bytes_max = 8192;
}

static void stage_start(struct stage *g)
{
    scene_start(&g->scene, LONG_MS);
    if (emb_publisher_open(g->scene.client, "orders", &g->options, &g->publisher, &g->scene.err))
        fail_msg("%s", g->scene.err.text);
}

static void stage_end(struct stage *g)
{
    emb_publisher_close(g->publisher, LONG_MS, NULL);
    scene_end(&g->scene);
}

/* How a call publishes one message. */
typedef int publish_call(struct emb_publisher *publisher, const struct emb_message *message,
                         struct emb_error *err);

static int call_publish(struct emb_publisher *publisher, const struct emb_message *message,
                        struct emb_error *err)
{
    return emb_publish(publisher, message, 0, 0, err);
}

static int call_wait(struct emb_publisher *publisher, const struct emb_message *message,
                     struct emb_error *err)
{
    return emb_publish_wait(publisher, message, 0, NULL, err);
}

struct way {
    publish_call *call;
};
static const struct way publish = {call_publish};
static const struct way publish_wait = {call_wait};

/* What no memory can hold, and what every broker would refuse, with the session. */
static void message_argument(void **state)
{
    const struct way *way = *state;
    const struct emb_header no_key = {.value = "v", .value_bytes = 1};
    const struct emb_header no_value = {.key = "trace", .value_bytes = 1};
    struct stage g;
    struct emb_error *e = &g.scene.err;

    stage_init(&g);
    stage_start(&g);
#define MESSAGE(words, accepted, ...)                                                              \
    do {                                                                                           \
        const struct emb_message message = {__VA_ARGS__};                                          \
        EXPECT(e, way->call(g.publisher, &message, e), EMB_ERR_INVALID_ARGUMENT, words, accepted); \
    } while (0)
    MESSAGE("value is NULL", "value_bytes is 5", .value_bytes = 5);
    MESSAGE("key is NULL", "key_bytes is 3", .key_bytes = 3);
    MESSAGE("headers is NULL", "header_count is 2", .header_count = 2);
    MESSAGE("header 0", "key is NULL", .headers = &no_key, .header_count = 1);
    MESSAGE("header 0 (trace)", "value_bytes is 1", .headers = &no_value, .header_count = 1);
    MESSAGE("timestamp_ms is 281474976710656", "281474976710655", .timestamp_ms = 1ull << 48);
#undef MESSAGE
    const struct emb_message latest = {.timestamp_ms = (1ull << 48) - 1};
    assert_int_equal(emb_publish_wait(g.publisher, &latest, LONG_MS, NULL, e), EMB_OK);
    stage_end(&g);
}

static void message_too_large(void **state)
{
    const struct way *way = *state;
    static char value[(1 << 20) + 1];
    struct emb_message message = {.value = value, .value_bytes = sizeof value};
    struct stage g;
    struct emb_error *e = &g.scene.err;

    stage_init(&g);
    stage_start(&g);
    EXPECT(e, way->call(g.publisher, &message, e), EMB_ERR_BATCH_TOO_LARGE, "1048577 bytes",
           "at most 1048576");
    message.value_bytes = 8192;
    EXPECT(e, way->call(g.publisher, &message, e), EMB_ERR_BATCH_TOO_LARGE, "8192 bytes",
           "batch_bytes_max");
    stage_end(&g);
}

static void message_without_room(void **state)
{
    const struct way *way = *state;
    static const char value[4000];
    struct stage g;
    struct emb_error *e = &g.scene.err;
    const struct emb_message message = {.value = value, .value_bytes = sizeof value};

    stage_init(&g);
    g.scene.rack.silent = true;
    g.options.max_buffered_bytes = 16384;
    stage_start(&g);
    while (emb_publish(g.publisher, &message, 0, 0, e) == EMB_OK)
        ;
    EXPECT(e, way->call(g.publisher, &message, e), EMB_ERR_TIMEOUT, "of 16384 bytes",
           "max_buffered_bytes");
    EXPECT(e, emb_publisher_close(g.publisher, 0, e), EMB_ERR_TIMEOUT, "without outcome");
    g.publisher = NULL;
    stage_end(&g);
}

static void wait_timeout(void **state)
{
    struct stage g;
    struct emb_error *e = &g.scene.err;

    message_without_room(state);
    stage_init(&g);
    g.scene.rack.silent = true;
    stage_start(&g);
    EXPECT(e, emb_publish_wait(g.publisher, &one, 20, NULL, e), EMB_ERR_TIMEOUT, "20 ms",
           "may still be published");
    emb_publisher_close(g.publisher, 0, NULL);
    g.publisher = NULL;
    stage_end(&g);
}

/* The publisher has ended: in a session, and without one. */
static void publisher_has_ended(const struct way *way, uint8_t order, int code)
{
    struct stage g;
    struct emb_error *e = &g.scene.err;

    stage_init(&g);
    g.scene.rack.broker_count = 1;
    g.scene.rack.settings.order = order;
    g.scene.rack.close_at = 0;
    stage_start(&g);
    EXPECT(e, emb_publish_wait(g.publisher, &one, LONG_MS, NULL, e), EMB_ERR_CLOSED, "127.0.0.1:");
    EXPECT(e, way->call(g.publisher, &one, e), code, "has ended", "open another", "127.0.0.1:");
    stage_end(&g);
}

static void ended_with_a_session(void **state)
{
    publisher_has_ended(*state, EMB_ORDER_CLIENT, EMB_ERR_SESSION_FENCED);
}

static void ended_without_session(void **state)
{
    publisher_has_ended(*state, EMB_ORDER_TOTAL, EMB_ERR_CLOSED);
}

/* ---- outcomes: by waiting, flushing and closing ---------------------------------------------- */

struct outcome {
    int (*call)(struct stage *g, struct emb_error *err);
    int code;
};

static int outcome_by_wait(struct stage *g, struct emb_error *err)
{
    return emb_publish_wait(g->publisher, &one, LONG_MS, NULL, err);
}

static int outcome_by_flush(struct stage *g, struct emb_error *err)
{
    assert_int_equal(emb_publish(g->publisher, &one, 0, LONG_MS, err), EMB_OK);
    return emb_publisher_flush(g->publisher, LONG_MS, err);
}

static int outcome_by_close(struct stage *g, struct emb_error *err)
{
    assert_int_equal(emb_publish(g->publisher, &one, 0, LONG_MS, err), EMB_OK);
    int code = emb_publisher_close(g->publisher, LONG_MS, err);
    g->publisher = NULL;
    return code;
}

#define OUTCOME(by, name) (&(const struct outcome){.call = outcome_by_##by, .code = EMB_ERR_##name})

/* A broker refuses the batch. */
static void outcome_refused(void **state)
{
    const struct outcome *outcome = *state;
    struct stage g;

    stage_init(&g);
    g.scene.rack.refuse_at = 0;
    g.scene.rack.refuse_status = outcome->code;
    stage_start(&g);
    EXPECT(&g.scene.err, outcome->call(&g, &g.scene.err), outcome->code,
           "127.0.0.1:", "refused the batch", emb_error_text(outcome->code));
    stage_end(&g);
}

static void outcome_closed(void **state)
{
    const struct outcome *outcome = *state;
    struct stage g;

    stage_init(&g);
    g.scene.rack.close_at = 0;
    stage_start(&g);
    EXPECT(&g.scene.err, outcome->call(&g, &g.scene.err), EMB_ERR_CLOSED, "127.0.0.1:", "closed");
    stage_end(&g);
}

static void outcome_protocol(void **state)
{
    const struct outcome *outcome = *state;
    struct stage g;

    stage_init(&g);
    g.scene.rack.odd = FAKE_ODD_WRONG;
    g.scene.rack.odd_type = FRAME_PRODUCE;
    stage_start(&g);
    EXPECT(&g.scene.err, outcome->call(&g, &g.scene.err), EMB_ERR_PROTOCOL,
           "127.0.0.1:", "SESSION_CLOSE");
    stage_end(&g);
}

static void flush_timeout(void **state)
{
    struct stage g;
    struct emb_error *e = &g.scene.err;
    (void)state;

    stage_init(&g);
    g.scene.rack.silent = true;
    stage_start(&g);
    assert_int_equal(emb_publish(g.publisher, &one, 0, 0, e), EMB_OK);
    assert_int_equal(emb_publish(g.publisher, &one, 0, 0, e), EMB_OK);
    EXPECT(e, emb_publisher_flush(g.publisher, 30, e), EMB_ERR_TIMEOUT, "2 messages", "30 ms");
    EXPECT(e, emb_publisher_close(g.publisher, 10, e), EMB_ERR_TIMEOUT, "2 messages", "10 ms");
    g.publisher = NULL;
    stage_end(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(emb_publisher_open, INVALID_ARGUMENT, publisher_argument),
        ROW(emb_publisher_open, INVALID_TOPIC, publisher_topic),
        ROW(emb_publisher_open, UNKNOWN_TOPIC, publisher_unknown),
        ROW(emb_publisher_open, LIMIT, publisher_limit),
        ROW(emb_publisher_open, UNAVAILABLE, publisher_unavailable),
        ROW(emb_publisher_open, TIMEOUT, publisher_timeout),
        ROW(emb_publisher_open, CLOSED, publisher_closed),
        ROW(emb_publisher_open, PROTOCOL, publisher_protocol),
        ROW_OF(emb_publish, INVALID_ARGUMENT, message_argument, &publish),
        ROW_OF(emb_publish, TIMEOUT, message_without_room, &publish),
        ROW_OF(emb_publish, BATCH_TOO_LARGE, message_too_large, &publish),
        ROW_OF(emb_publish, SESSION_FENCED, ended_with_a_session, &publish),
        ROW_OF(emb_publish, CLOSED, ended_without_session, &publish),
        ROW_OF(emb_publish_wait, INVALID_ARGUMENT, message_argument, &publish_wait),
        ROW_OF(emb_publish_wait, BATCH_TOO_LARGE, message_too_large, &publish_wait),
        ROW_OF(emb_publish_wait, TIMEOUT, wait_timeout, &publish_wait),
        ROW_OF(emb_publish_wait, SESSION_FENCED, ended_with_a_session, &publish_wait),
        ROW_OF(emb_publish_wait, SESSION_FENCED, outcome_refused, OUTCOME(wait, SESSION_FENCED)),
        ROW_OF(emb_publish_wait, CLOSED, ended_without_session, &publish_wait),
        ROW_OF(emb_publish_wait, CLOSED, outcome_closed, OUTCOME(wait, CLOSED)),
        ROW_OF(emb_publish_wait, LOST, outcome_refused, OUTCOME(wait, LOST)),
        ROW_OF(emb_publish_wait, SEQUENCE, outcome_refused, OUTCOME(wait, SEQUENCE)),
        ROW_OF(emb_publish_wait, UNKNOWN_TOPIC, outcome_refused, OUTCOME(wait, UNKNOWN_TOPIC)),
        ROW_OF(emb_publish_wait, CORRUPT_BATCH, outcome_refused, OUTCOME(wait, CORRUPT_BATCH)),
        ROW_OF(emb_publish_wait, PROTOCOL, outcome_protocol, OUTCOME(wait, PROTOCOL)),
        ROW(emb_publisher_flush, TIMEOUT, flush_timeout),
        ROW_OF(emb_publisher_flush, SESSION_FENCED, outcome_refused,
               OUTCOME(flush, SESSION_FENCED)),
        ROW_OF(emb_publisher_flush, CLOSED, outcome_closed, OUTCOME(flush, CLOSED)),
        ROW_OF(emb_publisher_flush, LOST, outcome_refused, OUTCOME(flush, LOST)),
        ROW_OF(emb_publisher_flush, SEQUENCE, outcome_refused, OUTCOME(flush, SEQUENCE)),
        ROW_OF(emb_publisher_flush, UNKNOWN_TOPIC, outcome_refused, OUTCOME(flush, UNKNOWN_TOPIC)),
        ROW_OF(emb_publisher_flush, CORRUPT_BATCH, outcome_refused, OUTCOME(flush, CORRUPT_BATCH)),
        ROW_OF(emb_publisher_flush, PROTOCOL, outcome_protocol, OUTCOME(flush, PROTOCOL)),
        ROW(emb_publisher_close, TIMEOUT, flush_timeout),
        ROW_OF(emb_publisher_close, SESSION_FENCED, outcome_refused,
               OUTCOME(close, SESSION_FENCED)),
        ROW_OF(emb_publisher_close, CLOSED, outcome_closed, OUTCOME(close, CLOSED)),
        ROW_OF(emb_publisher_close, LOST, outcome_refused, OUTCOME(close, LOST)),
        ROW_OF(emb_publisher_close, SEQUENCE, outcome_refused, OUTCOME(close, SEQUENCE)),
        ROW_OF(emb_publisher_close, UNKNOWN_TOPIC, outcome_refused, OUTCOME(close, UNKNOWN_TOPIC)),
        ROW_OF(emb_publisher_close, CORRUPT_BATCH, outcome_refused, OUTCOME(close, CORRUPT_BATCH)),
        ROW_OF(emb_publisher_close, PROTOCOL, outcome_protocol, OUTCOME(close, PROTOCOL)),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

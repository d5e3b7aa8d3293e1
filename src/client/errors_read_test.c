/* Each error of subscribers: errors_rig.h. */
#include "client/errors_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "batch/batch.h"

#define BATCHES  10u
#define MESSAGES 10u /* in each */

/* ---- opening --------------------------------------------------------------------------------- */

static int subscriber_try(struct scene *s, const char *topic,
                          const struct emb_subscriber_options *options)
{
    struct emb_subscriber *subscriber = (struct emb_subscriber *)s; /* must become NULL */

    int code = emb_subscriber_open(s->client, topic, options, &subscriber, &s->err);
    if (code != EMB_OK)
        assert_null(subscriber);
    return code;
}

static void open_argument(void **state)
{
    struct emb_subscriber_options o;
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
#define OPTION(member, given, words, accepted)                                                     \
    do {                                                                                           \
        emb_subscriber_options_init(&o);                                                           \
        o.member = given;                                                                          \
        EXPECT(&s.err, subscriber_try(&s, "orders", &o), EMB_ERR_INVALID_ARGUMENT, words,          \
               accepted);                                                                          \
    } while (0)
    OPTION(struct_bytes, 1 << 20, "struct_bytes is 1048576", "emb_subscriber_options_init");
    OPTION(start, 4, "start is 4", "0 to 3");
    OPTION(start, -1, "start is -1", "0 to 3");
    OPTION(level, 2, "level is 2", "0 to 1");
    OPTION(broker, 2, "broker 2", "0 to 1");
    OPTION(broker, -2, "broker -2", "0 to 1");
    OPTION(max_buffered_bytes, 0, "max_buffered_bytes is 0", "1 to");
#undef OPTION
    scene_end(&s);
}

static void open_topic(void **state)
{
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
    EXPECT(&s.err, subscriber_try(&s, "bad!", NULL), EMB_ERR_INVALID_TOPIC, "0x21 at 3");
    EXPECT(&s.err, subscriber_try(&s, "", NULL), EMB_ERR_INVALID_TOPIC, "0 bytes", "1 to 249");
    scene_end(&s);
}

static void open_unknown(void **state)
{
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
    EXPECT(&s.err, subscriber_try(&s, "missing", NULL), EMB_ERR_UNKNOWN_TOPIC,
           "127.0.0.1:", "missing");
    scene_end(&s);
}

static void open_range(void **state)
{
    struct emb_subscriber_options options;
    struct scene s;
    (void)state;

    scene_init(&s);
    s.rack.first_offset = 10;
    scene_start(&s, LONG_MS);
    emb_subscriber_options_init(&options);
    options.start = EMB_START_OFFSET;
    options.start_value = 9;
    EXPECT(&s.err, subscriber_try(&s, "orders", &options), EMB_ERR_OFFSET_OUT_OF_RANGE,
           "127.0.0.1:", "oldest is 10");
    scene_end(&s);
}

/* An offset that is asked for is offered, or nothing: messages would be missing. */
static void open_corrupt(void **state)
{
    struct emb_subscriber_options options;
    struct scene s;
    (void)state;

    scene_init(&s);
    fake_rack_append(&s.rack, MESSAGES, 0);
    s.rack.offer_more = 2;
    scene_start(&s, LONG_MS);
    emb_subscriber_options_init(&options);
    options.start = EMB_START_OFFSET;
    options.start_value = 5;
    EXPECT(&s.err, subscriber_try(&s, "orders", &options), EMB_ERR_CORRUPT, "topic orders",
           "offset 5 was asked for", "7 is offered");
    scene_end(&s);
}

static void open_limit(void **state)
{
    struct scene s;
    (void)state;

    scene_init(&s);
    s.rack.odd = FAKE_ODD_ERROR;
    s.rack.odd_type = FRAME_HELLO;
    s.rack.odd_after = 1;
    s.rack.odd_code = EMB_ERR_LIMIT;
    s.rack.odd_text = "1000 connections are the limit";
    scene_start(&s, LONG_MS);
    EXPECT(&s.err, subscriber_try(&s, "orders", NULL), EMB_ERR_LIMIT,
           "127.0.0.1:", "1000 connections");
    scene_end(&s);
}

static void open_odd(enum fake_odd odd, int code, const char *words)
{
    struct scene s;

    scene_init(&s);
    s.rack.odd = odd;
    s.rack.odd_type = FRAME_SUBSCRIBE;
    scene_start(&s, odd == FAKE_ODD_SILENT ? SHORT_MS : LONG_MS);
    EXPECT(&s.err, subscriber_try(&s, "orders", NULL), code, words);
    scene_end(&s);
}

static void open_closed(void **state)
{
    (void)state;
    open_odd(FAKE_ODD_CLOSE, EMB_ERR_CLOSED, "127.0.0.1:");
}

static void open_protocol(void **state)
{
    (void)state;
    open_odd(FAKE_ODD_WRONG, EMB_ERR_PROTOCOL, "SESSION_CLOSE");
}

static void open_unavailable(void **state)
{
    struct scene s;
    (void)state;

    open_odd(FAKE_ODD_SILENT, EMB_ERR_UNAVAILABLE,
             "topic orders: no broker delivers it within 150");
    scene_init(&s);
    scene_start(&s, LONG_MS);
    scene_leave(&s);
    EXPECT(&s.err, subscriber_try(&s, "orders", NULL), EMB_ERR_UNAVAILABLE,
           "127.0.0.1:", "refused");
    scene_end(&s);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct stage {
    struct scene scene;
    struct emb_subscriber *subscriber;
};

static void stage_init(struct stage *g)
{
    scene_init(&g->scene);
    for (uint32_t i = 0; i < BATCHES; i++)
        fake_rack_append(&g->scene.rack, MESSAGES, 0);
}

static void stage_start(struct stage *g, uint32_t timeout_ms)
{
    struct emb_subscriber_options options;

    scene_start(&g->scene, timeout_ms);
    emb_subscriber_options_init(&options);
    options.broker = 0;
    if (emb_subscriber_open(g->scene.client, "orders", &options, &g->subscriber, &g->scene.err))
        fail_msg("%s", g->scene.err.text);
}

static void stage_end(struct stage *g)
{
    emb_subscriber_close(g->subscriber);
    scene_end(&g->scene);
}

/* Messages until something else comes, which is returned; or batches. */
struct way {
    int (*read)(struct stage *g, uint64_t *messages);
};

static int read_messages(struct stage *g, uint64_t *messages)
{
    struct emb_message message;
    int got;

    for (*messages = 0;; ++*messages) {
        got = emb_subscriber_next(g->subscriber, &message, LONG_MS, &g->scene.err);
        if (got != 1)
            return got;
    }
}

static int read_batches(struct stage *g, uint64_t *messages)
{
    struct emb_batch batch;
    int got;

    for (*messages = 0;; *messages += batch.message_count) {
        got = emb_subscriber_next_batch(g->subscriber, &batch, LONG_MS, &g->scene.err);
        if (got != 1)
            return got;
    }
}

static const struct way next = {read_messages};
static const struct way next_batch = {read_batches};

/* All before the fault comes, then the error, again and again, and a seek goes on. */
static void read_fails(const struct way *way, struct stage *g, uint64_t good, int code,
                       const char *words, const char *more)
{
    struct emb_error *e = &g->scene.err;
    uint64_t messages;

    stage_start(g, LONG_MS);
    EXPECT(e, way->read(g, &messages), code, words, more);
    assert_int_equal(messages, good);
    EXPECT(e, way->read(g, &messages), code, words, more);
    assert_int_equal(messages, 0);
    stage_end(g);
}

static void read_corrupt(void **state)
{
    struct stage g;

    stage_init(&g);
    g.scene.rack.gap_at = 2;
    read_fails(*state, &g, 20, EMB_ERR_CORRUPT, "offset 20 was expected", "offset 30");
}

static void read_corrupt_batch(void **state)
{
    struct stage g;

    stage_init(&g);
    g.scene.rack.corrupt_at = 3;
    read_fails(*state, &g, 30, EMB_ERR_CORRUPT_BATCH, "topic orders, offset 30", "127.0.0.1:");
}

static void read_range(void **state)
{
    struct stage g;

    stage_init(&g);
    g.scene.rack.end_at = 4;
    g.scene.rack.odd_code = EMB_ERR_OFFSET_OUT_OF_RANGE;
    g.scene.rack.odd_text = "offset 40; the oldest is 70";
    read_fails(*state, &g, 40, EMB_ERR_OFFSET_OUT_OF_RANGE, "127.0.0.1:", "the oldest is 70");
}

static void read_deleted(void **state)
{
    struct stage g;

    stage_init(&g);
    g.scene.rack.end_at = 4;
    g.scene.rack.odd_code = EMB_ERR_UNKNOWN_TOPIC;
    g.scene.rack.odd_text = "topic 7 was deleted";
    read_fails(*state, &g, 40, EMB_ERR_UNKNOWN_TOPIC, "127.0.0.1:", "was deleted");
}

static void read_unavailable(void **state)
{
    const struct way *way = *state;
    struct stage g;
    struct emb_message message;
    uint64_t messages;

    stage_init(&g);
    stage_start(&g, SHORT_MS * 10);
    assert_int_equal(emb_subscriber_next(g.subscriber, &message, LONG_MS, &g.scene.err), 1);
    for (uint64_t i = 1; i < (uint64_t)BATCHES * MESSAGES; i++)
        assert_int_equal(emb_subscriber_next(g.subscriber, &message, LONG_MS, NULL), 1);
    scene_leave(&g.scene);
    EXPECT(&g.scene.err, way->read(&g, &messages), EMB_ERR_UNAVAILABLE, "topic orders",
           "within 1500 ms", "127.0.0.1:");
    stage_end(&g);
}

static void next_batch_busy(void **state)
{
    struct stage g;
    struct emb_message message;
    struct emb_batch batch;
    struct emb_error *e = &g.scene.err;
    (void)state;

    stage_init(&g);
    stage_start(&g, LONG_MS);
    for (int i = 0; i < 13; i++)
        assert_int_equal(emb_subscriber_next(g.subscriber, &message, LONG_MS, e), 1);
    EXPECT(e, emb_subscriber_next_batch(g.subscriber, &batch, 0, e), EMB_ERR_BUSY, "offset 10",
           "up to offset 13", "emb_subscriber_next");
    stage_end(&g);
}

/* The third record of the second batch says that it is longer than the batch; the CRC is right. */
static void record_spoil(struct fake_rack *rack)
{
    struct fake_batch *batch = &rack->batches[1];
    unsigned char *at = batch->bytes + BATCH_HEADER_BYTES;

    for (int i = 0; i < 2; i++)
        at += 1 + at[0] / 2; /* a length of one byte, as the zigzag varint of a small number */
    assert_true(at[0] < 128);
    at[0] = 126;
    at[1] = 0xff;
    uint32_t crc = crc32c(batch->bytes + 21, batch->byte_count - 21);
    for (int i = 0; i < 4; i++)
        batch->bytes[17 + i] = (unsigned char)(crc >> (24 - 8 * i));
}

static void batch_message_corrupt(void **state)
{
    struct stage g;
    struct emb_message message;
    struct emb_batch batch;
    struct emb_error *e = &g.scene.err;
    int got = 1;
    (void)state;

    stage_init(&g);
    record_spoil(&g.scene.rack);
    stage_start(&g, LONG_MS);
    for (int i = 0; i < 2; i++)
        assert_int_equal(emb_subscriber_next_batch(g.subscriber, &batch, LONG_MS, e), 1);
    for (int i = 0; i < 3 && got == 1; i++)
        got = emb_subscriber_batch_message(g.subscriber, &message, e);
    EXPECT(e, got, EMB_ERR_CORRUPT_BATCH, "topic orders, offset 10", "127.0.0.1:");
    EXPECT(e, emb_subscriber_batch_message(g.subscriber, &message, e), EMB_ERR_CORRUPT_BATCH,
           "topic orders, offset 10");
    stage_end(&g);
}

/* ---- elsewhere ------------------------------------------------------------------------------- */

static void seek_argument(void **state)
{
    struct stage g;
    struct emb_error *e = &g.scene.err;
    (void)state;

    stage_init(&g);
    stage_start(&g, LONG_MS);
    EXPECT(e, emb_subscriber_seek(g.subscriber, 4, 0, e), EMB_ERR_INVALID_ARGUMENT, "start is 4",
           "0 to 3");
    EXPECT(e, emb_subscriber_seek(g.subscriber, -1, 0, e), EMB_ERR_INVALID_ARGUMENT, "start is -1",
           "0 to 3");
    stage_end(&g);
}

/* A seek whose SUBSCRIBE, the second one, is answered oddly; then another mends it. */
static void seek_fails(struct stage *g, enum fake_odd odd, int said, int code, const char *words)
{
    struct emb_error *e = &g->scene.err;
    struct emb_message message;

    stage_init(g);
    g->scene.rack.odd = odd;
    g->scene.rack.odd_type = FRAME_SUBSCRIBE;
    g->scene.rack.odd_after = 1;
    g->scene.rack.odd_code = said;
    g->scene.rack.odd_text = "topic orders is no more";
    stage_start(g, odd == FAKE_ODD_ERROR ? LONG_MS : SHORT_MS);
    EXPECT(e, emb_subscriber_seek(g->subscriber, EMB_START_LATEST, 0, e), code, "orders", words);
    EXPECT(e, emb_subscriber_next(g->subscriber, &message, 0, e), code, "orders", words);
    stage_end(g);
}

static void seek_unknown(void **state)
{
    struct stage g;
    (void)state;
    seek_fails(&g, FAKE_ODD_ERROR, EMB_ERR_UNKNOWN_TOPIC, EMB_ERR_UNKNOWN_TOPIC, "is no more");
}

static void seek_unavailable(void **state)
{
    struct stage g;
    (void)state;
    seek_fails(&g, FAKE_ODD_SILENT, 0, EMB_ERR_UNAVAILABLE, "no answer in time");
    seek_fails(&g, FAKE_ODD_CLOSE, 0, EMB_ERR_UNAVAILABLE, "127.0.0.1:");
    seek_fails(&g, FAKE_ODD_WRONG, 0, EMB_ERR_UNAVAILABLE, "SESSION_CLOSE");
}

static void seek_corrupt(void **state)
{
    struct stage g;
    struct emb_error *e = &g.scene.err;
    (void)state;

    stage_init(&g);
    g.scene.rack.odd_after = 1;
    g.scene.rack.offer_more = 2;
    stage_start(&g, LONG_MS);
    EXPECT(e, emb_subscriber_seek(g.subscriber, EMB_START_OFFSET, 5, e), EMB_ERR_CORRUPT,
           "offset 5 was asked for", "7 is offered");
    stage_end(&g);
}

static void seek_range(void **state)
{
    struct stage g;
    struct emb_error *e = &g.scene.err;
    struct emb_message message;
    (void)state;

    stage_init(&g);
    g.scene.rack.first_offset = 10;
    stage_start(&g, LONG_MS);
    EXPECT(e, emb_subscriber_seek(g.subscriber, EMB_START_OFFSET, 3, e),
           EMB_ERR_OFFSET_OUT_OF_RANGE, "oldest is 10");
    assert_int_equal(emb_subscriber_seek(g.subscriber, EMB_START_OFFSET, 15, e), EMB_OK);
    assert_int_equal(emb_subscriber_next(g.subscriber, &message, LONG_MS, e), 1);
    assert_int_equal(message.offset, 15);
    stage_end(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(emb_subscriber_open, INVALID_ARGUMENT, open_argument),
        ROW(emb_subscriber_open, INVALID_TOPIC, open_topic),
        ROW(emb_subscriber_open, UNKNOWN_TOPIC, open_unknown),
        ROW(emb_subscriber_open, OFFSET_OUT_OF_RANGE, open_range),
        ROW(emb_subscriber_open, CORRUPT, open_corrupt),
        ROW(emb_subscriber_open, LIMIT, open_limit),
        ROW(emb_subscriber_open, UNAVAILABLE, open_unavailable),
        ROW(emb_subscriber_open, CLOSED, open_closed),
        ROW(emb_subscriber_open, PROTOCOL, open_protocol),
        ROW_OF(emb_subscriber_next, UNAVAILABLE, read_unavailable, &next),
        ROW_OF(emb_subscriber_next, CORRUPT, read_corrupt, &next),
        ROW_OF(emb_subscriber_next, CORRUPT_BATCH, read_corrupt_batch, &next),
        ROW_OF(emb_subscriber_next, OFFSET_OUT_OF_RANGE, read_range, &next),
        ROW_OF(emb_subscriber_next, UNKNOWN_TOPIC, read_deleted, &next),
        ROW(emb_subscriber_next_batch, BUSY, next_batch_busy),
        ROW_OF(emb_subscriber_next_batch, UNAVAILABLE, read_unavailable, &next_batch),
        ROW_OF(emb_subscriber_next_batch, CORRUPT, read_corrupt, &next_batch),
        ROW_OF(emb_subscriber_next_batch, CORRUPT_BATCH, read_corrupt_batch, &next_batch),
        ROW_OF(emb_subscriber_next_batch, OFFSET_OUT_OF_RANGE, read_range, &next_batch),
        ROW_OF(emb_subscriber_next_batch, UNKNOWN_TOPIC, read_deleted, &next_batch),
        ROW(emb_subscriber_batch_message, CORRUPT_BATCH, batch_message_corrupt),
        ROW(emb_subscriber_seek, INVALID_ARGUMENT, seek_argument),
        ROW(emb_subscriber_seek, OFFSET_OUT_OF_RANGE, seek_range),
        ROW(emb_subscriber_seek, CORRUPT, seek_corrupt),
        ROW(emb_subscriber_seek, UNKNOWN_TOPIC, seek_unknown),
        ROW(emb_subscriber_seek, UNAVAILABLE, seek_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

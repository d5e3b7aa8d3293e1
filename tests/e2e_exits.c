/*
 * Clients that go, orderly or with a reset, after every frame of a conversation, at every byte of a
 * header and within a batch; and batches at and just over every limit. What others publish and read
 * meanwhile is all there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "batch/batch.h"
#include "batch/field.h"
#include "tests/raw.h"
#include "tests/traffic.h"

#define TOPIC "hostile"

/* ---- going ----------------------------------------------------------------------------------- */

/* One request after another, none of whose answers is read; the last one is `last`. */
static void converse(struct raw *raw, int last)
{
    unsigned char body[300];
    struct wire_writer w;
    for (int step = 0; step <= last; step++) {
        static const uint8_t types[] = {
            FRAME_HELLO,        FRAME_TOPIC_DESCRIBE, FRAME_TOPIC_LIST,
            FRAME_SESSION_OPEN, FRAME_SUBSCRIBE,      FRAME_STATUS,
            FRAME_UNSUBSCRIBE,  FRAME_SESSION_OPEN,   FRAME_TOPIC_CREATE};
        struct subscribe subscribe = {.topic = TRAFFIC_TOPIC, .after_position = UINT64_MAX};
        struct topic_settings settings = {.order = 0};
        wire_writer_init(&w, body, sizeof body);
        if (types[step] == FRAME_HELLO)
            hello_put(&w, &(struct hello){.client_name = "hasty"});
        if (types[step] == FRAME_TOPIC_DESCRIBE || types[step] == FRAME_TOPIC_CREATE)
            wire_put_text(&w, TOPIC);
        if (types[step] == FRAME_TOPIC_CREATE)
            topic_settings_put(&w, &settings);
        if (types[step] == FRAME_SESSION_OPEN)
            wire_put_u16(&w, raw->topic), wire_put_u64(&w, UINT64_MAX);
        if (types[step] == FRAME_SUBSCRIBE)
            subscribe_put(&w, &subscribe);
        raw_frame(raw, types[step], body, (uint32_t)w.used);
    }
}

/* All sessions that were left behind end: their places are free again. */
static bool gets_a_session(void *arg)
{
    struct raw *raw = arg;
    unsigned char body[16];
    struct wire_writer w;
    wire_writer_init(&w, body, sizeof body);
    wire_put_u16(&w, raw->topic);
    wire_put_u64(&w, UINT64_MAX);
    raw_frame(raw, FRAME_SESSION_OPEN, body, (uint32_t)w.used);
    assert_true(raw_receive(raw));
    return raw->header.type == FRAME_SESSION_OK;
}

static void assert_sessions_are_free(struct rig *rig)
{
    struct raw *raw = raw_open(rig, 3);
    raw->topic = raw_describe(raw, TOPIC).id;
    for (int i = 0; i < 8; i++)
        rig_wait_until(gets_a_session, raw, "there was room for a session");
    raw_close(raw, false);
}

static void after_every_frame(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    struct raw *asks = raw_open(rig, 0);
    uint16_t topic = raw_describe(asks, TOPIC).id;
    raw_close(asks, false);
    for (int last = 0; last < 9; last++) {
        for (uint32_t node = 0; node < 4; node++) {
            struct raw *raw = raw_open(rig, node);
            raw->topic = topic;
            converse(raw, last);
            raw_close(raw, node % 2);
        }
    }
    assert_sessions_are_free(rig);
    traffic_must_flow(&traffic);
    traffic_end(&traffic);
    rig_stop(rig);
}

/* One session, so that the last broker to lose a connection is not asked to end so many. */
static void at_every_byte_of_a_batch(void **state)
{
    struct rig *rig = *state;
    struct raw_batch batch;
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_TOTAL, 2);
    struct traffic traffic = traffic_start(rig);
    for (size_t cut = 1; cut < FRAME_HEADER_BYTES + 100; cut += cut < 66 ? 1 : 17) {
        struct raw *raw = raw_open(rig, (uint32_t)cut % 4);
        raw_publish_open(raw, TOPIC, 1);
        raw_batch_make(raw, UINT64_MAX, 3, &batch);
        if (cut % 3 == 0)
            assert_int_equal(raw_ack(raw, raw_produce(raw, &batch)).status, EMB_OK);
        raw_produce_part(raw, &batch, cut);
        raw_close(raw, cut % 2);
    }
    traffic_must_flow(&traffic);
    traffic_end(&traffic);
    rig_stop(rig);
}

/* ---- limits of batches ----------------------------------------------------------------------- */

/* A batch of exactly so many bytes, in `messages` messages. */
static unsigned char *batch_of(const struct raw *raw, uint64_t sequence, uint32_t bytes,
                               uint32_t messages, struct frame_header *frame)
{
    unsigned char *batch = malloc(bytes);
    unsigned char *value = calloc(1, bytes);
    struct batch_builder builder;
    void *finished;
    assert_true(batch && value);
    batch_builder_init(&builder, batch, bytes);
    for (uint32_t i = 0; i < messages; i++) {
        struct record record = {.value = value};
        uint32_t left = bytes - (uint32_t)builder.used;
        if (i + 1 == messages && messages < 100)
            for (record.value_bytes = left; !batch_append(&builder, &record);)
                record.value_bytes--;
        else
            assert_true(batch_append(&builder, &record));
    }
    ssize_t made =
        batch_finish(&builder, raw->session, sequence, BATCH_NONE, 0, NULL, 0, &finished);
    free(value);
    *frame = (struct frame_header){.type = FRAME_PRODUCE,
                                   .body_bytes = (uint32_t)made,
                                   .session = raw->session,
                                   .client_sequence = sequence,
                                   .max_timestamp_ms = builder.max_timestamp_ms,
                                   .topic = raw->topic,
                                   .acks = raw->acks,
                                   .message_count = messages};
    assert_ptr_equal(finished, batch);
    return batch;
}

static int produce(struct raw *raw, struct frame_header *frame, const unsigned char *batch)
{
    unsigned char header[FRAME_HEADER_BYTES];
    struct ack_item item;
    do {
        frame->correlation = raw->next_correlation++;
        frame_header_write(header, frame);
        raw_send(raw, header, sizeof header);
        raw_send(raw, batch, frame->body_bytes);
        item = raw_ack(raw, frame->correlation);
    } while (item.status == EMB_ERR_RETRY || item.status == EMB_ERR_BACKPRESSURE);
    return item.status;
}

static int produce_of(struct raw *raw, uint64_t sequence, uint32_t bytes, uint32_t messages)
{
    struct frame_header frame;
    unsigned char *batch = batch_of(raw, sequence, bytes, messages, &frame);
    if (messages == 1)
        assert_int_equal(frame.body_bytes, bytes);
    int status = produce(raw, &frame, batch);
    free(batch);
    return status;
}

/* The largest that is told, which here is a segment; one byte more; and on with the next. */
static void sizes_at_their_limits(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    struct raw *raw = raw_open(rig, 1);
    uint32_t most = rig->options.geometry.segment_bytes;
    assert_int_equal(most, rig->options.max_batch_bytes);
    raw_publish_open(raw, TOPIC, 2);
    ASSERT_CODE(produce_of(raw, 0, most, 1), EMB_OK);
    ASSERT_CODE(produce_of(raw, 1, most + 1, 1), EMB_ERR_BATCH_TOO_LARGE);
    ASSERT_CODE(produce_of(raw, 1, most - 1, 1), EMB_OK);
    ASSERT_CODE(produce_of(raw, 2, BATCH_HEADER_BYTES + 7, 1), EMB_OK);
    ASSERT_CODE(produce_of(raw, 3, BATCH_MAX_BYTES, 1), EMB_ERR_BATCH_TOO_LARGE);
    ASSERT_CODE(produce_of(raw, 3, most, 20000), EMB_OK);
    raw_close(raw, false);
    traffic_must_flow(&traffic);
    traffic_end(&traffic);
    rig_stop(rig);
}

/* As many messages as fit in so few bytes; and one more is claimed. */
static void counts_at_their_limits(void **state)
{
    struct rig *rig = *state;
    struct frame_header frame;
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    struct raw *raw = raw_open(rig, 2);
    raw_publish_open(raw, TOPIC, 2);
    unsigned char *batch = batch_of(raw, 0, BATCH_HEADER_BYTES + 60 * 7, 60, &frame);
    struct raw_batch bent = {.byte_count = frame.body_bytes};
    memcpy(bent.bytes, batch, frame.body_bytes);
    put_be32(bent.bytes + FIELD_RECORD_COUNT, 61);
    put_be32(bent.bytes + FIELD_LAST_OFFSET_DELTA, 60);
    raw_batch_seal(&bent);
    frame.message_count = 61;
    ASSERT_CODE(produce(raw, &frame, bent.bytes), EMB_ERR_CORRUPT_BATCH);
    frame.message_count = UINT32_MAX;
    ASSERT_CODE(produce(raw, &frame, batch), EMB_ERR_CORRUPT_BATCH);
    frame.message_count = 60;
    ASSERT_CODE(produce(raw, &frame, batch), EMB_OK);
    free(batch);
    raw_close(raw, false);
    traffic_must_flow(&traffic);
    traffic_end(&traffic);
    rig_stop(rig);
}

/* What the library takes, and what it says of a byte more. */
static void messages_at_their_limit(void **state)
{
    struct rig *rig = *state;
    struct emb_publisher *publisher;
    struct emb_error err = {0};
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    uint32_t most = rig->options.max_message_bytes;
    struct emb_message message = {.value = calloc(1, most + 1), .value_bytes = most};
    if (emb_publisher_open(rig->client, TOPIC, NULL, &publisher, &err))
        fail_msg("%s", err.text);
    ASSERT_CODE(emb_publish(publisher, &message, 0, rig_patience_ms(), &err), EMB_OK);
    message.value_bytes = most + 1;
    ASSERT_CODE(emb_publish(publisher, &message, 0, rig_patience_ms(), &err),
                EMB_ERR_BATCH_TOO_LARGE);
    message.value_bytes = 1;
    ASSERT_CODE(emb_publish(publisher, &message, 0, rig_patience_ms(), &err), EMB_OK);
    ASSERT_CODE(emb_publisher_flush(publisher, rig_patience_ms(), &err), EMB_OK);
    ASSERT_CODE(emb_publisher_close(publisher, rig_patience_ms(), &err), EMB_OK);
    free((void *)message.value);
    traffic_must_flow(&traffic);
    traffic_end(&traffic);
    rig_stop(rig);
}

int main(void)
{
    const struct rig_case cases[] = {
        {"after_every_frame", after_every_frame, RIG_EVERYWHERE},
        {"at_every_byte_of_a_batch", at_every_byte_of_a_batch, RIG_EVERYWHERE},
        {"sizes_at_their_limits", sizes_at_their_limits, RIG_EVERYWHERE},
        {"counts_at_their_limits", counts_at_their_limits, RIG_EVERYWHERE},
        {"messages_at_their_limit", messages_at_their_limit, RIG_EVERYWHERE},
    };
    return rig_run("e2e-exits", cases, COUNT_OF(cases));
}

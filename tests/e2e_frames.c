/*
 * Malformed input on the wire: each gets the error that names it, the connection goes on or ends as
 * the kind of input says, and nobody else notices.
 */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/checksum.h"
#include "base/random.h"
#include "batch/field.h"
#include "tests/raw.h"
#include "tests/traffic.h"

#define TOPIC "hostile"

struct stage {
    struct rig *rig;
    struct traffic traffic;
};

static struct stage stage_open(void **state)
{
    struct stage stage = {.rig = *state};
    rig_start(stage.rig);
    rig_topic(stage.rig, TOPIC, EMB_ORDER_CLIENT, 2);
    rig_topic(stage.rig, "unordered", EMB_ORDER_TOTAL, 2);
    stage.traffic = traffic_start(stage.rig);
    return stage;
}

static void stage_close(struct stage *stage)
{
    traffic_must_flow(&stage->traffic);
    traffic_end(&stage->traffic);
    rig_stop(stage->rig);
}

/* ---- headers --------------------------------------------------------------------------------- */

struct bent {
    size_t at; /* byte of the header */
    unsigned char bytes[8];
    size_t count;
    bool sealed; /* with a right CRC */
    int code;
    const char *text;
};

static const struct bent bent_headers[] = {
    {0, {'G', 'E', 'T', ' '}, 4, false, EMB_ERR_PROTOCOL, "0x20544547"},
    {0, {'E', 'M', 'B', '2'}, 4, true, EMB_ERR_PROTOCOL, "magic"},
    {12, {1, 2, 3, 4}, 4, false, EMB_ERR_PROTOCOL, "0x04030201"},
    {16, {9}, 1, false, EMB_ERR_PROTOCOL, "CRC32C"}, /* a flipped bit that no field shows */
    {9, {2}, 1, true, EMB_ERR_VERSION, "version is 2"},
    {9, {0}, 1, true, EMB_ERR_VERSION, "version is 0"},
    {8, {0}, 1, true, EMB_ERR_PROTOCOL, "type is 0"},
    {8, {99}, 1, true, EMB_ERR_PROTOCOL, "type is 99"},
    {10, {1}, 1, true, EMB_ERR_PROTOCOL, "byte 10"},
    {63, {1}, 1, true, EMB_ERR_PROTOCOL, "byte 63"},
    {4, {0xff, 0xff, 0xff, 0xff}, 4, true, EMB_ERR_PROTOCOL, "4294967295"},
    {4, {1, 0, 4, 0}, 4, true, EMB_ERR_PROTOCOL, "262145"},
};

static void header_seal(unsigned char *header)
{
    memset(header + 12, 0, 4);
    uint32_t crc = crc32c(header, FRAME_HEADER_BYTES);
    memcpy(header + 12, &crc, 4);
}

static void bent_headers_end_their_connection(void **state)
{
    struct stage stage = stage_open(state);
    for (size_t i = 0; i < COUNT_OF(bent_headers); i++) {
        const struct bent *bent = &bent_headers[i];
        unsigned char header[FRAME_HEADER_BYTES];
        struct raw *raw = raw_open(stage.rig, (uint32_t)i % 4);
        frame_header_write(header, &(struct frame_header){.type = FRAME_TOPIC_LIST});
        memcpy(header + bent->at, bent->bytes, bent->count);
        if (bent->sealed)
            header_seal(header);
        raw_send(raw, header, sizeof header);
        raw_expect_error(raw, bent->code, bent->text);
        raw_expect_end(raw);
        raw_close(raw, false);
    }
    stage_close(&stage);
}

/* A PRODUCE of more than any broker takes, and acks that do not exist: refused by the header. */
static void impossible_produce_headers_end_their_connection(void **state)
{
    struct stage stage = stage_open(state);
    const struct bent bents[] = {
        {4, {1, 0, 0, 1}, 4, true, EMB_ERR_PROTOCOL, "16777217"},
        {50, {3}, 1, true, EMB_ERR_PROTOCOL, "acks 3"},
        {51, {1}, 1, true, EMB_ERR_PROTOCOL, "byte 51"},
        {56, {1}, 1, true, EMB_ERR_PROTOCOL, "byte 56"},
    };
    for (size_t i = 0; i < COUNT_OF(bents); i++) {
        unsigned char header[FRAME_HEADER_BYTES];
        struct raw *raw = raw_open(stage.rig, 0);
        frame_header_write(header, &(struct frame_header){.type = FRAME_PRODUCE});
        memcpy(header + bents[i].at, bents[i].bytes, bents[i].count);
        header_seal(header);
        raw_send(raw, header, sizeof header);
        raw_expect_error(raw, bents[i].code, bents[i].text);
        raw_expect_end(raw);
        raw_close(raw, false);
    }
    stage_close(&stage);
}

static void noise_is_survived(void **state)
{
    struct stage stage = stage_open(state);
    struct random_state random;
    random_seed(&random, 20);
    for (int i = 0; i < 100; i++) {
        unsigned char bytes[FRAME_HEADER_BYTES + 200];
        struct raw *raw = raw_open(stage.rig, (uint32_t)i % 4);
        for (size_t at = 0; at < sizeof bytes; at++)
            bytes[at] = (unsigned char)random_next(&random);
        if (i % 2) { /* noise in the body of a right header, shorter than it says */
            uint8_t type = (uint8_t)(1 + random_below(&random, FRAME_TYPE_END - 1));
            frame_header_write(bytes, &(struct frame_header){.type = type, .body_bytes = 201});
        }
        raw_send(raw, bytes, sizeof bytes - random_below(&random, 200));
        raw_close(raw, i % 3 == 0);
    }
    stage_close(&stage);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

/* Every kind of request, each cut off at every length and with a byte too many: the error is the
   answer to it, and the connection goes on. */
static void bent_bodies_are_answered(void **state)
{
    struct stage stage = stage_open(state);
    const uint8_t types[] = {FRAME_HELLO,        FRAME_TOPIC_CREATE, FRAME_TOPIC_DESCRIBE,
                             FRAME_TOPIC_DELETE, FRAME_SESSION_OPEN, FRAME_SESSION_CLOSE,
                             FRAME_PUBLISH_OPEN, FRAME_SUBSCRIBE,    FRAME_UNSUBSCRIBE,
                             FRAME_TOPIC_LIST,   FRAME_STATUS};
    struct raw *raw = raw_open(stage.rig, 1);
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        unsigned char body[] = {0xff, 0xff, 'a', 'b', 'c'}; /* a text that overflows it, or so */
        for (uint32_t bytes = types[i] >= FRAME_UNSUBSCRIBE || types[i] == FRAME_TOPIC_LIST;
             bytes <= 5; bytes++) {
            uint64_t correlation = raw_frame(raw, types[i], body, bytes);
            raw_expect_error(raw, EMB_ERR_PROTOCOL, NULL);
            assert_int_equal(raw->header.correlation, correlation);
        }
    }
    raw_hello(raw);
    raw_close(raw, false);
    stage_close(&stage);
}

static void texts_are_looked_into(void **state)
{
    struct stage stage = stage_open(state);
    struct raw *raw = raw_open(stage.rig, 1);
    const unsigned char with_zero[] = {3, 0, 'a', 0, 'b'};
    const unsigned char trailing[] = {1, 0, 'a', 'b'};
    raw_frame(raw, FRAME_TOPIC_DESCRIBE, with_zero, sizeof with_zero);
    raw_expect_error(raw, EMB_ERR_PROTOCOL, "topic name");
    raw_frame(raw, FRAME_TOPIC_DESCRIBE, trailing, sizeof trailing);
    raw_expect_error(raw, EMB_ERR_PROTOCOL, NULL);
    raw_frame(raw, FRAME_TOPIC_DESCRIBE, trailing, 3);
    raw_expect_error(raw, EMB_ERR_UNKNOWN_TOPIC, "\"a\"");
    raw_frame(raw, FRAME_HELLO_OK, NULL, 0);
    raw_expect_error(raw, EMB_ERR_PROTOCOL, "HELLO_OK");
    raw_frame(raw, FRAME_DELIVER, NULL, 0);
    raw_expect_error(raw, EMB_ERR_PROTOCOL, "DELIVER");
    raw_hello(raw);
    raw_close(raw, false);
    stage_close(&stage);
}

static void subscribe_raw(struct raw *raw, uint8_t start, uint64_t value, uint8_t level)
{
    unsigned char body[300];
    struct wire_writer w;
    struct subscribe subscribe = {.topic = TOPIC,
                                  .start = start,
                                  .value = value,
                                  .level = level,
                                  .subscription = 1,
                                  .after_position = UINT64_MAX};
    wire_writer_init(&w, body, sizeof body);
    subscribe_put(&w, &subscribe);
    raw_frame(raw, FRAME_SUBSCRIBE, body, (uint32_t)w.used);
}

static void publish_open_raw(struct raw *raw, uint16_t topic, uint64_t session, uint8_t acks)
{
    unsigned char body[32];
    struct wire_writer w;
    struct publish_open open = {topic, session, acks, UINT64_MAX};
    wire_writer_init(&w, body, sizeof body);
    publish_open_put(&w, &open);
    raw_frame(raw, FRAME_PUBLISH_OPEN, body, (uint32_t)w.used);
}

static void impossible_requests_are_named(void **state)
{
    struct stage stage = stage_open(state);
    struct raw *raw = raw_open(stage.rig, 2);
    struct raw *owner = raw_open(stage.rig, 2);
    unsigned char body[16];
    struct wire_writer w;
    raw_publish_open(owner, TOPIC, 2);
    uint16_t unordered = raw_describe(raw, "unordered").id;
    subscribe_raw(raw, 9, 0, 0);
    raw_expect_error(raw, EMB_ERR_PROTOCOL, "9");
    subscribe_raw(raw, START_EARLIEST, 0, 7);
    raw_expect_error(raw, EMB_ERR_PROTOCOL, "7");
    publish_open_raw(raw, 999, UINT64_MAX, 1);
    raw_expect_error(raw, EMB_ERR_UNKNOWN_TOPIC, "999");
    publish_open_raw(raw, owner->topic, 0x123450000, 2);
    raw_expect_error(raw, EMB_ERR_UNKNOWN_SESSION, "0x123450000");
    publish_open_raw(raw, owner->topic, UINT64_MAX, 2);
    raw_expect_error(raw, EMB_ERR_UNKNOWN_SESSION, NULL);
    publish_open_raw(raw, unordered, owner->session, 2);
    raw_expect_error(raw, EMB_ERR_MISMATCH, "unordered");
    publish_open_raw(owner, owner->topic, owner->session, 2);
    raw_expect_error(owner, EMB_ERR_INVALID_ARGUMENT, "publishes");
    wire_writer_init(&w, body, sizeof body);
    wire_put_u16(&w, unordered);
    wire_put_u64(&w, UINT64_MAX);
    raw_frame(raw, FRAME_SESSION_OPEN, body, (uint32_t)w.used);
    raw_expect_error(raw, EMB_ERR_INVALID_ARGUMENT, "order 2");
    wire_writer_init(&w, body, sizeof body);
    wire_put_u64(&w, 0x777770001);
    raw_frame(raw, FRAME_SESSION_CLOSE, body, (uint32_t)w.used);
    raw_expect_error(raw, EMB_ERR_UNKNOWN_SESSION, "0x777770001");
    raw_close(raw, false);
    raw_close(owner, false);
    stage_close(&stage);
}

/* ---- batches --------------------------------------------------------------------------------- */

typedef void bend_fn(struct raw_batch *batch);

static void bend_crc(struct raw_batch *b)
{
    b->bytes[FIELD_CRC] ^= 1;
}

static void bend_record(struct raw_batch *b)
{
    b->bytes[b->byte_count - 3] ^= 0x40;
}

static void bend_magic(struct raw_batch *b)
{
    b->bytes[FIELD_MAGIC] = 1;
}

static void bend_length(struct raw_batch *b)
{
    put_be32(b->bytes + FIELD_LENGTH, b->byte_count);
}

static void bend_length_to_overflow(struct raw_batch *b)
{
    put_be32(b->bytes + FIELD_LENGTH, UINT32_MAX);
}

static void bend_count(struct raw_batch *b)
{
    put_be32(b->bytes + FIELD_RECORD_COUNT, 3);
    put_be32(b->bytes + FIELD_LAST_OFFSET_DELTA, 2);
    raw_batch_seal(b);
}

static void bend_count_to_overflow(struct raw_batch *b)
{
    put_be32(b->bytes + FIELD_RECORD_COUNT, UINT32_MAX);
    raw_batch_seal(b);
}

static void bend_attributes(struct raw_batch *b)
{
    b->bytes[FIELD_ATTRIBUTES + 1] = 0x20; /* a control batch */
    raw_batch_seal(b);
}

static void bend_producer(struct raw_batch *b)
{
    b->bytes[FIELD_PRODUCER_ID + 7] ^= 1;
    raw_batch_seal(b);
}

static void bend_producer_epoch(struct raw_batch *b)
{
    b->bytes[FIELD_PRODUCER_EPOCH + 1] ^= 1;
    raw_batch_seal(b);
}

static void bend_sequence(struct raw_batch *b)
{
    b->bytes[FIELD_BASE_SEQUENCE + 3] ^= 1;
    raw_batch_seal(b);
}

static void bend_timestamp(struct raw_batch *b)
{
    b->bytes[FIELD_MAX_TIMESTAMP + 7] ^= 1;
    raw_batch_seal(b);
}

static void bend_frame_count(struct raw_batch *b)
{
    b->frame.message_count++;
}

static void bend_frame_count_to_zero(struct raw_batch *b)
{
    b->frame.message_count = 0;
}

static void bend_frame_timestamp(struct raw_batch *b)
{
    b->frame.max_timestamp_ms = UINT64_MAX;
}

static void bend_to_nothing(struct raw_batch *b)
{
    b->byte_count = b->frame.body_bytes = 0;
}

static void bend_to_a_header(struct raw_batch *b)
{
    b->byte_count = b->frame.body_bytes = 60;
}

static void bend_frame_topic(struct raw_batch *b)
{
    b->frame.topic++;
}

static void bend_frame_session(struct raw_batch *b)
{
    b->frame.session ^= 1;
}

static void bend_frame_acks(struct raw_batch *b)
{
    b->frame.acks = 1;
}

static void bend_frame_sequence(struct raw_batch *b)
{
    b->frame.client_sequence = 1ull << 63;
}

static const struct {
    const char *what;
    bend_fn *bend;
    int code;
} bends[] = {
    {"CRC", bend_crc, EMB_ERR_CORRUPT_BATCH},
    {"a record's byte", bend_record, EMB_ERR_CORRUPT_BATCH},
    {"magic", bend_magic, EMB_ERR_CORRUPT_BATCH},
    {"length", bend_length, EMB_ERR_CORRUPT_BATCH},
    {"length that overflows", bend_length_to_overflow, EMB_ERR_CORRUPT_BATCH},
    {"count", bend_count, EMB_ERR_CORRUPT_BATCH},
    {"count that overflows", bend_count_to_overflow, EMB_ERR_CORRUPT_BATCH},
    {"attributes", bend_attributes, EMB_ERR_CORRUPT_BATCH},
    {"producer id", bend_producer, EMB_ERR_CORRUPT_BATCH},
    {"producer epoch", bend_producer_epoch, EMB_ERR_CORRUPT_BATCH},
    {"base sequence", bend_sequence, EMB_ERR_CORRUPT_BATCH},
    {"timestamp", bend_timestamp, EMB_ERR_CORRUPT_BATCH},
    {"count of the frame", bend_frame_count, EMB_ERR_CORRUPT_BATCH},
    {"no messages in the frame", bend_frame_count_to_zero, EMB_ERR_CORRUPT_BATCH},
    {"timestamp of the frame", bend_frame_timestamp, EMB_ERR_CORRUPT_BATCH},
    {"no batch", bend_to_nothing, EMB_ERR_CORRUPT_BATCH},
    {"half a batch header", bend_to_a_header, EMB_ERR_CORRUPT_BATCH},
    {"topic", bend_frame_topic, EMB_ERR_MISMATCH},
    {"session", bend_frame_session, EMB_ERR_MISMATCH},
    {"acks", bend_frame_acks, EMB_ERR_MISMATCH},
    {"sequence", bend_frame_sequence, EMB_ERR_INVALID_ARGUMENT},
};

static void expect_status(struct raw *raw, struct raw_batch *batch, int code, const char *what)
{
    struct ack_item item = raw_ack(raw, raw_produce(raw, batch));
    if (item.status != code)
        fail_msg("%s: %s was expected, not %s", what, emb_error_name(code),
                 emb_error_name(item.status));
}

/* Each is refused by itself; the batch unbent is then taken as if nothing had been. */
static void bent_batches_are_refused(void **state)
{
    struct stage stage = stage_open(state);
    struct raw *raw = raw_open(stage.rig, 3);
    struct raw_batch batch;
    raw_publish_open(raw, TOPIC, 2);
    for (uint64_t i = 0; i < COUNT_OF(bends); i++) {
        raw_batch_make(raw, 2 * i, 2, &batch);
        bends[i].bend(&batch);
        expect_status(raw, &batch, bends[i].code, bends[i].what);
        raw_batch_make(raw, 2 * i, 2, &batch);
        struct ack_item item = raw_ack(raw, raw_produce(raw, &batch));
        assert_int_equal(item.status, EMB_OK);
        assert_int_equal(item.base_offset, 2 * i);
    }
    raw_close(raw, false);
    stage_close(&stage);
}

static void produce_needs_publish_open(void **state)
{
    struct stage stage = stage_open(state);
    struct raw *raw = raw_open(stage.rig, 0);
    struct raw_batch batch;
    raw->topic = raw_describe(raw, TOPIC).id;
    raw->acks = 2;
    raw->session = 0x10001;
    raw_batch_make(raw, 0, 1, &batch);
    expect_status(raw, &batch, EMB_ERR_PROTOCOL, "without PUBLISH_OPEN");
    raw_hello(raw);
    raw_close(raw, false);
    stage_close(&stage);
}

static void too_large_a_batch_is_read_away(void **state)
{
    struct stage stage = stage_open(state);
    static unsigned char large[300 << 10];
    unsigned char header[FRAME_HEADER_BYTES];
    struct raw *raw = raw_open(stage.rig, 0);
    struct raw_batch batch;
    raw_publish_open(raw, TOPIC, 2);
    raw_batch_make(raw, 0, 1, &batch);
    struct frame_header frame = batch.frame;
    frame.body_bytes = sizeof large;
    frame.correlation = 7;
    frame_header_write(header, &frame);
    raw_send(raw, header, sizeof header);
    raw_send(raw, large, sizeof large);
    assert_string_equal(emb_error_name(raw_ack(raw, 7).status), "BATCH_TOO_LARGE");
    expect_status(raw, &batch, EMB_OK, "the next one");
    raw_close(raw, false);
    stage_close(&stage);
}

static void sequences_are_kept(void **state)
{
    struct stage stage = stage_open(state);
    struct raw *raw = raw_open(stage.rig, 1);
    struct raw_batch batch;
    raw_publish_open(raw, TOPIC, 2);
    raw_batch_make(raw, 0, 3, &batch);
    expect_status(raw, &batch, EMB_OK, "0 to 2");
    struct ack_item again = raw_ack(raw, raw_produce(raw, &batch));
    assert_int_equal(again.status, EMB_OK);
    assert_true(again.duplicate);
    assert_int_equal(again.base_offset, 0);
    raw_batch_make(raw, 2, 3, &batch);
    expect_status(raw, &batch, EMB_ERR_SEQUENCE, "2 to 4 after 0 to 2");
    raw_batch_make(raw, 3, 1, &batch);
    struct ack_item next = raw_ack(raw, raw_produce(raw, &batch));
    assert_int_equal(next.status, EMB_OK);
    assert_int_equal(next.base_offset, 3);
    raw_close(raw, false);
    stage_close(&stage);
}

int main(void)
{
    const struct rig_case cases[] = {
        {"bent_headers_end_their_connection", bent_headers_end_their_connection, RIG_EVERYWHERE},
        {"impossible_produce_headers_end_their_connection",
         impossible_produce_headers_end_their_connection, RIG_EVERYWHERE},
        {"noise_is_survived", noise_is_survived, RIG_EVERYWHERE},
        {"bent_bodies_are_answered", bent_bodies_are_answered, RIG_EVERYWHERE},
        {"texts_are_looked_into", texts_are_looked_into, RIG_EVERYWHERE},
        {"impossible_requests_are_named", impossible_requests_are_named, RIG_EVERYWHERE},
        {"bent_batches_are_refused", bent_batches_are_refused, RIG_EVERYWHERE},
        {"produce_needs_publish_open", produce_needs_publish_open, RIG_EVERYWHERE},
        {"too_large_a_batch_is_read_away", too_large_a_batch_is_read_away, RIG_EVERYWHERE},
        {"sequences_are_kept", sequences_are_kept, RIG_EVERYWHERE},
    };
    return rig_run("e2e-frames", cases, COUNT_OF(cases));
}

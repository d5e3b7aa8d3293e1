/* Where a subscriber begins, goes on and may not go any more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "tests/flow.h"

#define TOPIC "read"
#define COUNT 200u

/* All that is published stays in the GOI, whatever the sizes of batches: memory wraps by volume. */
static void start(struct rig *rig)
{
    rig->options.geometry.goi_segment_entries = 128;
    rig_start(rig);
}

/* Messages 0..count-1 of publisher 0, acknowledged; message i has the timestamp FLOW_TIME_MS + i.
 */
static void publish(struct rig *rig, const char *topic, uint64_t count)
{
    struct flow *flow = flow_publisher(rig, topic, 0, count);
    flow->publishing.batch_bytes_min = 16 << 10;
    flow_start(flow);
    flow_join(flow);
}

static struct emb_subscriber *open_at(struct rig *rig, const char *topic, int start, uint64_t value)
{
    struct emb_subscriber_options options;
    struct emb_subscriber *subscriber;
    struct emb_error err = {0};
    emb_subscriber_options_init(&options);
    options.start = start;
    options.start_value = value;
    if (emb_subscriber_open(rig->client, topic, &options, &subscriber, &err))
        fail_msg("start %d, %llu: %s", start, (unsigned long long)value, err.text);
    return subscriber;
}

static void expect_at(struct emb_subscriber *subscriber, uint64_t offset)
{
    struct emb_message message;
    struct emb_error err = {0};
    uint64_t index = 0;
    assert_int_equal(emb_subscriber_position(subscriber), offset);
    if (emb_subscriber_next(subscriber, &message, rig_patience_ms(), &err) != 1)
        fail_msg("offset %llu: %s", (unsigned long long)offset, err.text);
    assert_int_equal(message.offset, offset);
    assert_int_equal(message.key_bytes, FLOW_KEY_BYTES);
    memcpy(&index, (const char *)message.key + 8, 8);
    assert_int_equal(index, offset);
    assert_int_equal(emb_subscriber_position(subscriber), offset + 1);
}

static void expect_nothing(struct emb_subscriber *subscriber)
{
    struct emb_message message;
    struct emb_error err = {0};
    assert_int_equal(emb_subscriber_next(subscriber, &message, 0, &err), 0);
}

static void starts(void **state)
{
    struct rig *rig = *state;
    const uint64_t offsets[] = {0, 1, 17, COUNT / 2, COUNT - 1};
    start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    publish(rig, TOPIC, COUNT);
    struct emb_subscriber *subscriber = open_at(rig, TOPIC, EMB_START_EARLIEST, 0);
    expect_at(subscriber, 0);
    emb_subscriber_close(subscriber);
    for (size_t i = 0; i < COUNT_OF(offsets); i++) {
        subscriber = open_at(rig, TOPIC, EMB_START_OFFSET, offsets[i]);
        expect_at(subscriber, offsets[i]);
        emb_subscriber_close(subscriber);
    }
    subscriber = open_at(rig, TOPIC, EMB_START_TIMESTAMP, 0);
    expect_at(subscriber, 0);
    emb_subscriber_close(subscriber);
    subscriber = open_at(rig, TOPIC, EMB_START_LATEST, 0);
    assert_int_equal(emb_subscriber_position(subscriber), COUNT);
    expect_nothing(subscriber);
    emb_subscriber_close(subscriber);
    rig_stop(rig);
}

/* The first message not before the time, though it lies in the middle of a batch. */
static void timestamp_finds_the_message(void **state)
{
    struct rig *rig = *state;
    const uint64_t offsets[] = {0, 1, 17, COUNT / 2, COUNT - 1};
    start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    publish(rig, TOPIC, COUNT);
    for (size_t i = 0; i < COUNT_OF(offsets); i++) {
        struct emb_subscriber *subscriber =
            open_at(rig, TOPIC, EMB_START_TIMESTAMP, FLOW_TIME_MS + offsets[i]);
        struct emb_message message;
        struct emb_error err = {0};
        assert_int_equal(emb_subscriber_next(subscriber, &message, rig_patience_ms(), &err), 1);
        assert_int_equal(message.offset, offsets[i]);
        assert_int_equal(message.timestamp_ms, FLOW_TIME_MS + offsets[i]);
        emb_subscriber_close(subscriber);
    }
    struct emb_subscriber *late =
        open_at(rig, TOPIC, EMB_START_TIMESTAMP, FLOW_TIME_MS + COUNT + 1000);
    expect_nothing(late);
    emb_subscriber_close(late);
    rig_stop(rig);
}

static void latest_reads_what_comes_after(void **state)
{
    struct rig *rig = *state;
    struct emb_publisher *publisher;
    struct emb_message message = {.value = "after", .value_bytes = 5};
    struct emb_error err = {0};
    uint64_t offset = 0;
    start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    publish(rig, TOPIC, COUNT);
    struct emb_subscriber *subscriber = open_at(rig, TOPIC, EMB_START_LATEST, 0);
    assert_int_equal(emb_publisher_open(rig->client, TOPIC, NULL, &publisher, &err), EMB_OK);
    if (emb_publish_wait(publisher, &message, rig_patience_ms(), &offset, &err))
        fail_msg("%s", err.text);
    assert_int_equal(offset, COUNT);
    if (emb_subscriber_next(subscriber, &message, rig_patience_ms(), &err) != 1)
        fail_msg("nothing came: %s", err.text);
    assert_int_equal(message.offset, COUNT);
    assert_memory_equal(message.value, "after", 5);
    emb_subscriber_close(subscriber);
    assert_int_equal(emb_publisher_close(publisher, 0, NULL), EMB_OK);
    rig_stop(rig);
}

static void seek_goes_anywhere(void **state)
{
    struct rig *rig = *state;
    struct emb_error err = {0};
    start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    publish(rig, TOPIC, COUNT);
    struct emb_subscriber *subscriber = open_at(rig, TOPIC, EMB_START_EARLIEST, 0);
    for (uint64_t i = 0; i < 50; i++) {
        uint64_t offset = hash_u64(i + 1) % COUNT;
        if (emb_subscriber_seek(subscriber, EMB_START_OFFSET, offset, &err))
            fail_msg("seek to %llu: %s", (unsigned long long)offset, err.text);
        for (uint64_t at = offset; at < COUNT && at < offset + i % 7; at++)
            expect_at(subscriber, at);
    }
    assert_int_equal(emb_subscriber_seek(subscriber, EMB_START_LATEST, 0, &err), EMB_OK);
    expect_nothing(subscriber);
    assert_int_equal(emb_subscriber_seek(subscriber, EMB_START_EARLIEST, 0, &err), EMB_OK);
    for (uint64_t at = 0; at < COUNT; at++)
        expect_at(subscriber, at);
    emb_subscriber_close(subscriber);
    rig_stop(rig);
}

static void each_broker_serves_each_topic(void **state)
{
    struct rig *rig = *state;
    struct flow *readers[4];
    start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    publish(rig, TOPIC, COUNT);
    for (uint32_t i = 0; i < 4; i++) {
        readers[i] = flow_reader(rig, TOPIC, COUNT);
        readers[i]->first_broker = i;
        readers[i]->reading.level = i % 2 ? EMB_LEVEL_LATEST : EMB_LEVEL_DURABLE;
        flow_start(readers[i]);
    }
    flows_join(rig);
    for (uint32_t i = 1; i < 4; i++)
        flow_assert_same(readers[0], readers[i]);
    rig_stop(rig);
}

static void a_subscriber_can_be_woken(void **state)
{
    struct rig *rig = *state;
    struct emb_message message;
    struct emb_error err = {0};
    start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct emb_subscriber *subscriber = open_at(rig, TOPIC, EMB_START_EARLIEST, 0);
    emb_subscriber_wake(subscriber);
    assert_int_equal(emb_subscriber_next(subscriber, &message, EMB_FOREVER, &err), 0);
    publish(rig, TOPIC, 1);
    expect_at(subscriber, 0);
    emb_subscriber_close(subscriber);
    rig_stop(rig);
}

/* ---- what has left memory -------------------------------------------------------------------- */

static uint64_t first_offset(struct rig *rig)
{
    struct emb_topic_info info;
    struct emb_error err = {0};
    if (emb_topic_describe(rig->client, TOPIC, &info, &err))
        fail_msg("%s", err.text);
    return info.first_offset;
}

static void assert_names_the_oldest(struct rig *rig, const struct emb_error *err)
{
    char oldest[32];
    snprintf(oldest, sizeof oldest, "%llu", (unsigned long long)first_offset(rig));
    ASSERT_CODE(err->code, EMB_ERR_OFFSET_OUT_OF_RANGE);
    if (!strstr(err->text, oldest))
        fail_msg("\"%s\" does not name the oldest offset, %s", err->text, oldest);
}

static void what_left_memory_is_out_of_range(void **state)
{
    struct rig *rig = *state;
    const uint64_t count = 2 * rig->options.geometry.region_bytes / (200 << 10);
    struct emb_subscriber_options options;
    struct emb_subscriber *subscriber = NULL;
    struct emb_message message;
    struct emb_error err = {0};
    start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct emb_subscriber *early = open_at(rig, TOPIC, EMB_START_EARLIEST, 0);
    struct flow *flow = flow_publisher(rig, TOPIC, 0, count);
    flow->content = (struct content){200 << 10, 200 << 10, true};
    flow_start(flow);
    flow_join(flow);
    assert_true(first_offset(rig) > 0);
    emb_subscriber_options_init(&options);
    options.start = EMB_START_OFFSET;
    assert_int_not_equal(emb_subscriber_open(rig->client, TOPIC, &options, &subscriber, &err),
                         EMB_OK);
    assert_null(subscriber);
    assert_names_the_oldest(rig, &err);
    assert_int_not_equal(emb_subscriber_seek(early, EMB_START_OFFSET, 1, &err), EMB_OK);
    assert_names_the_oldest(rig, &err);
    assert_int_equal(emb_subscriber_next(early, &message, 0, &err), EMB_ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(emb_subscriber_seek(early, EMB_START_EARLIEST, 0, &err), EMB_OK);
    for (uint64_t at = first_offset(rig); at < count; at++)
        expect_at(early, at);
    emb_subscriber_close(early);
    rig_stop(rig);
}

static void assert_is_not_there_yet(struct rig *rig, uint64_t offset, const char *next)
{
    struct emb_subscriber_options options;
    struct emb_subscriber *subscriber;
    struct emb_error err = {0};
    emb_subscriber_options_init(&options);
    options.start = EMB_START_OFFSET;
    options.start_value = offset;
    for (options.broker = 0; options.broker < 4; options.broker++) {
        assert_int_equal(emb_subscriber_open(rig->client, TOPIC, &options, &subscriber, &err),
                         EMB_ERR_OFFSET_OUT_OF_RANGE);
        if (!strstr(err.text, next))
            fail_msg("\"%s\" does not say \"%s\"", err.text, next);
    }
}

/* The end itself is in range, at every broker and at once, also for who has not seen the log. */
static void what_is_not_there_yet_is_out_of_range(void **state)
{
    struct rig *rig = *state;
    struct emb_error err = {0};
    struct emb_publisher_options publishing;
    struct emb_publisher *publisher;
    uint64_t offset;
    start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    assert_is_not_there_yet(rig, 1, "the next one will be 0");
    emb_publisher_options_init(&publishing);
    publishing.acks = EMB_ACKS_ORDERED; /* told before the other nodes have read it */
    if (emb_publisher_open(rig->client, TOPIC, &publishing, &publisher, &err))
        fail_msg("%s", err.text);
    const struct emb_message message = {.value = "x", .value_bytes = 1};
    for (int i = 0; i < 20; i++) {
        struct emb_client *other = rig_client(rig, (uint32_t)i % 4);
        struct emb_subscriber_options options;
        struct emb_subscriber *subscriber;
        emb_subscriber_options_init(&options);
        options.broker = i % 4;
        options.start = EMB_START_OFFSET;
        assert_int_equal(emb_publish_wait(publisher, &message, rig_patience_ms(), &offset, &err),
                         EMB_OK);
        options.start_value = offset + 1;
        if (emb_subscriber_open(other, TOPIC, &options, &subscriber, &err))
            fail_msg("%s", err.text);
        emb_subscriber_close(subscriber);
        assert_int_equal(emb_client_close(other, &err), EMB_OK);
    }
    assert_is_not_there_yet(rig, 21, "the next one will be 20");
    struct emb_subscriber *reader = open_at(rig, TOPIC, EMB_START_OFFSET, 20);
    assert_int_equal(emb_subscriber_seek(reader, EMB_START_OFFSET, 1ull << 63, &err),
                     EMB_ERR_OFFSET_OUT_OF_RANGE);
    emb_subscriber_close(reader);
    assert_int_equal(emb_publisher_close(publisher, rig_patience_ms(), &err), EMB_OK);
    rig_stop(rig);
}

/* It read nothing while memory was used again: it is told so, and held nobody up. */
static void a_subscriber_left_behind_is_told(void **state)
{
    struct rig *rig = *state;
    const uint64_t count = 3 * rig->options.geometry.region_bytes / (200 << 10);
    struct emb_subscriber_options options;
    struct emb_subscriber *subscriber;
    struct emb_message message;
    struct emb_error err = {0};
    int got;
    start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    emb_subscriber_options_init(&options);
    options.max_buffered_bytes = 1;
    if (emb_subscriber_open(rig->client, TOPIC, &options, &subscriber, &err))
        fail_msg("%s", err.text);
    struct flow *flow = flow_publisher(rig, TOPIC, 0, count);
    flow->content = (struct content){200 << 10, 200 << 10, true};
    flow_start(flow);
    flow_join(flow);
    uint64_t read = 0;
    while ((got = emb_subscriber_next(subscriber, &message, rig_patience_ms(), &err)) == 1)
        assert_int_equal(message.offset, read++);
    ASSERT_CODE(got, EMB_ERR_OFFSET_OUT_OF_RANGE);
    assert_names_the_oldest(rig, &err);
    assert_true(read < count);
    emb_subscriber_close(subscriber);
    rig_stop(rig);
}

int main(void)
{
    const struct rig_case cases[] = {
        {"starts", starts, RIG_EVERYWHERE},
        {"timestamp_finds_the_message", timestamp_finds_the_message, RIG_EVERYWHERE},
        {"latest_reads_what_comes_after", latest_reads_what_comes_after, RIG_EVERYWHERE},
        {"seek_goes_anywhere", seek_goes_anywhere, RIG_EVERYWHERE},
        {"each_broker_serves_each_topic", each_broker_serves_each_topic, RIG_EVERYWHERE},
        {"a_subscriber_can_be_woken", a_subscriber_can_be_woken, RIG_EVERYWHERE},
        {"what_left_memory_is_out_of_range", what_left_memory_is_out_of_range, RIG_EVERYWHERE},
        {"what_is_not_there_yet_is_out_of_range", what_is_not_there_yet_is_out_of_range,
         RIG_EVERYWHERE},
        {"a_subscriber_left_behind_is_told", a_subscriber_left_behind_is_told, RIG_EVERYWHERE},
    };
    return rig_run("e2e-read", cases, COUNT_OF(cases));
}

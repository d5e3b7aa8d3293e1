/* The main job through the library: orders, ack levels and compressions, and what of it is read. */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "tests/flow.h"

/* ---- every order, ack level and compression, in pairs ---------------------------------------- */

struct pair {
    int order;
    int acks;
    int compression;
};

static void one_pair(struct rig *rig, const struct pair *pair)
{
    const uint64_t each = 300;
    char name[64];
    struct flow *publishers[2];
    bool replicated = pair->acks == EMB_ACKS_DURABLE || pair->order % 2;
    snprintf(name, sizeof name, "order%d-acks%d-compression%d", pair->order, pair->acks,
             pair->compression);
    rig_topic(rig, name, pair->order, replicated ? 2 : 0);
    struct flow *reader = flow_reader(rig, name, 2 * each);
    reader->by_publisher = pair->order == EMB_ORDER_CLIENT;
    reader->first_broker = (uint32_t)pair->acks + 1;
    reader->reading.level = pair->acks == EMB_ACKS_DURABLE ? EMB_LEVEL_DURABLE : EMB_LEVEL_LATEST;
    flow_start(reader);
    for (uint32_t i = 0; i < 2; i++) {
        publishers[i] = flow_publisher(rig, name, i, each);
        publishers[i]->publishing.acks = pair->acks;
        publishers[i]->publishing.compression = pair->compression;
        publishers[i]->publishing.batch_bytes_min = 8 << 10;
        if (pair->order != EMB_ORDER_CLIENT) /* a session is closed behind its last batch */
            publishers[i]->until_read = reader;
        publishers[i]->paced_by[0] = reader;
        flow_start(publishers[i]);
    }
    flows_join(rig);
    flow_assert_complete(reader, 2, each);
    bool offsets_known = pair->acks == EMB_ACKS_DURABLE || pair->order == EMB_ORDER_CLIENT ||
                         (pair->acks == EMB_ACKS_ORDERED && pair->order != EMB_ORDER_NONE);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(flag_load_acquire(&publishers[i]->done), each);
        if (offsets_known)
            flow_assert_offsets(publishers[i], reader);
        else
            assert_true(publishers[i]->offsets[0] == EMB_OFFSET_UNKNOWN);
    }
    flows_free(rig);
}

static void orders_acks_and_compressions(void **state)
{
    struct rig *rig = *state;
    const int orders[] = {EMB_ORDER_NONE, EMB_ORDER_BROKER, EMB_ORDER_TOTAL, EMB_ORDER_CLIENT};
    const int compressions[] = {EMB_COMPRESSION_NONE, EMB_COMPRESSION_LZ4, EMB_COMPRESSION_ZSTD};
    rig_start(rig);
    for (size_t o = 0; o < COUNT_OF(orders); o++)
        for (size_t a = 0; a < 3; a++)
            one_pair(rig, &(struct pair){orders[o], (int)a, compressions[(o + a) % 3]});
    rig_stop(rig);
}

/* ---- order ----------------------------------------------------------------------------------- */

static void subscribers_agree(void **state)
{
    struct rig *rig = *state;
    const uint64_t each = 2000;
    struct flow *publishers[3];
    rig_start(rig);
    rig_topic(rig, "agree", EMB_ORDER_CLIENT, 2);
    struct flow *first = flow_reader(rig, "agree", 3 * each);
    struct flow *second = flow_reader(rig, "agree", 3 * each);
    first->first_broker = 1;
    second->first_broker = 3;
    second->reading.level = EMB_LEVEL_LATEST;
    flow_start(first);
    flow_start(second);
    for (uint32_t i = 0; i < 3; i++) {
        publishers[i] = flow_publisher(rig, "agree", i, each);
        publishers[i]->publishing.batch_bytes_min = 4 << 10;
        publishers[i]->paced_by[0] = first;
        publishers[i]->paced_by[1] = second;
        flow_start(publishers[i]);
    }
    flows_join(rig);
    flow_assert_same(first, second);
    flow_assert_complete(first, 3, each);
    for (uint32_t i = 0; i < 3; i++)
        flow_assert_offsets(publishers[i], second);
    rig_stop(rig);
}

#define MARKERS 40u

struct markers {
    struct emb_client *clients[3];
    struct emb_publisher *publishers[3];
};

static void open_markers(struct rig *rig, struct markers *m, const char *topic, int acks)
{
    struct emb_publisher_options options;
    struct emb_error err = {0};
    emb_publisher_options_init(&options);
    options.acks = acks;
    for (uint32_t i = 0; i < 3; i++) {
        m->clients[i] = rig_client(rig, i + 1);
        if (emb_publisher_open(m->clients[i], topic, &options, &m->publishers[i], &err))
            fail_msg("%s", err.text);
    }
}

/* Each is published by another publisher, once the one before it is acknowledged (P1). */
static void publish_markers(struct markers *m)
{
    struct emb_error err = {0};
    uint64_t last = 0;
    for (uint32_t i = 0; i < MARKERS; i++) {
        uint64_t offset = 0;
        struct emb_message message = {.value = &i, .value_bytes = sizeof i};
        if (emb_publish_wait(m->publishers[i % 3], &message, rig_patience_ms(), &offset, &err))
            fail_msg("marker %u: %s", i, err.text);
        assert_true(i == 0 || offset > last);
        last = offset;
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(emb_publisher_close(m->publishers[i], rig_patience_ms(), NULL), EMB_OK);
        assert_int_equal(emb_client_close(m->clients[i], NULL), EMB_OK);
    }
}

static void read_markers(struct rig *rig, const char *topic, int level)
{
    struct emb_subscriber_options options;
    struct emb_subscriber *subscriber;
    struct emb_message message;
    struct emb_error err = {0};
    emb_subscriber_options_init(&options);
    options.level = level;
    if (emb_subscriber_open(rig->client, topic, &options, &subscriber, &err))
        fail_msg("%s", err.text);
    for (uint32_t i = 0; i < MARKERS; i++) {
        if (emb_subscriber_next(subscriber, &message, rig_patience_ms(), &err) != 1)
            fail_msg("marker %u does not come: %s", i, err.text);
        assert_int_equal(message.value_bytes, sizeof i);
        assert_memory_equal(message.value, &i, sizeof i);
    }
    emb_subscriber_close(subscriber);
}

static void acknowledged_comes_before_what_follows(void **state)
{
    struct rig *rig = *state;
    struct markers markers;
    rig_start(rig);
    rig_topic(rig, "durable", EMB_ORDER_CLIENT, 2);
    open_markers(rig, &markers, "durable", EMB_ACKS_DURABLE);
    publish_markers(&markers);
    read_markers(rig, "durable", EMB_LEVEL_DURABLE);
    rig_topic(rig, "ordered", EMB_ORDER_TOTAL, 0);
    open_markers(rig, &markers, "ordered", EMB_ACKS_ORDERED);
    publish_markers(&markers);
    read_markers(rig, "ordered", EMB_LEVEL_LATEST);
    rig_stop(rig);
}

/* ---- single messages ------------------------------------------------------------------------- */

static char big_key[5000];
static char big_value[150 << 10];

static const struct emb_header odd_headers[] = {
    {"plain", "value", 5}, {"", "no key", 6}, {"no value", NULL, 0}, {"empty", "", 0}};

static const struct emb_message odd_messages[] = {
    {.key = "k", .key_bytes = 1, .value = "v", .value_bytes = 1, .timestamp_ms = FLOW_TIME_MS},
    {.value = "without a key", .value_bytes = 13, .timestamp_ms = FLOW_TIME_MS - 5},
    {.key = "", .value = "with an empty one", .value_bytes = 17, .timestamp_ms = FLOW_TIME_MS},
    {.key = "without a value", .key_bytes = 15, .timestamp_ms = FLOW_TIME_MS + 1},
    {.key = "with an empty one", .key_bytes = 17, .value = "", .timestamp_ms = FLOW_TIME_MS + 2},
    {.timestamp_ms = FLOW_TIME_MS + 3}, /* nothing at all */
    {.key = big_key,
     .key_bytes = sizeof big_key,
     .value = big_value,
     .value_bytes = sizeof big_value,
     .timestamp_ms = FLOW_TIME_MS + 100000000},
    {.value = "h", .value_bytes = 1, .headers = odd_headers, .header_count = 4, .timestamp_ms = 1},
};

static void assert_same_text(const void *a, uint32_t a_bytes, const void *b, uint32_t b_bytes)
{
    assert_int_equal(!a, !b);
    assert_int_equal(a_bytes, b_bytes);
    if (a_bytes)
        assert_memory_equal(a, b, a_bytes);
}

static void assert_same_message(const struct emb_message *read, const struct emb_message *sent)
{
    assert_same_text(read->key, read->key_bytes, sent->key, sent->key_bytes);
    assert_same_text(read->value, read->value_bytes, sent->value, sent->value_bytes);
    assert_int_equal(read->timestamp_ms, sent->timestamp_ms);
    assert_int_equal(read->header_count, sent->header_count);
    for (uint32_t i = 0; i < read->header_count; i++) {
        assert_string_equal(read->headers[i].key, sent->headers[i].key);
        assert_same_text(read->headers[i].value, read->headers[i].value_bytes,
                         sent->headers[i].value, sent->headers[i].value_bytes);
    }
}

static void publish_odd(struct rig *rig, const char *topic, int compression)
{
    struct emb_publisher_options options;
    struct emb_publisher *publisher;
    struct emb_error err = {0};
    emb_publisher_options_init(&options);
    options.compression = compression;
    options.linger_us = 1000000; /* several in a batch */
    if (emb_publisher_open(rig->client, topic, &options, &publisher, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < COUNT_OF(odd_messages); i++)
        if (emb_publish(publisher, &odd_messages[i], i, rig_patience_ms(), &err))
            fail_msg("message %zu: %s", i, err.text);
    if (emb_publisher_close(publisher, rig_patience_ms(), &err))
        fail_msg("%s", err.text);
}

static void read_odd_singly(struct emb_subscriber *subscriber)
{
    struct emb_message message;
    struct emb_error err = {0};
    for (size_t i = 0; i < COUNT_OF(odd_messages); i++) {
        if (emb_subscriber_next(subscriber, &message, rig_patience_ms(), &err) != 1)
            fail_msg("message %zu: %s", i, err.text);
        assert_int_equal(message.offset, i);
        assert_same_message(&message, &odd_messages[i]);
        assert_int_equal(emb_subscriber_position(subscriber), i + 1);
    }
    assert_int_equal(emb_subscriber_next(subscriber, &message, 0, &err), 0);
}

static void read_odd_by_batch(struct emb_subscriber *subscriber)
{
    struct emb_message message;
    struct emb_batch batch;
    struct emb_error err = {0};
    uint64_t offset = 0;
    while (offset < COUNT_OF(odd_messages)) {
        if (emb_subscriber_next_batch(subscriber, &batch, rig_patience_ms(), &err) != 1)
            fail_msg("a batch at %llu: %s", (unsigned long long)offset, err.text);
        assert_int_equal(batch.base_offset, offset);
        assert_int_equal(batch.skip, 0);
        assert_int_equal((uintptr_t)batch.bytes % 64, 0);
        for (uint32_t i = 0; i < batch.message_count; i++, offset++) {
            assert_int_equal(emb_subscriber_batch_message(subscriber, &message, &err), 1);
            assert_int_equal(message.offset, offset);
            assert_same_message(&message, &odd_messages[offset]);
        }
        assert_int_equal(emb_subscriber_batch_message(subscriber, &message, &err), 0);
    }
}

static void odd_messages_survive(void **state)
{
    struct rig *rig = *state;
    const int compressions[] = {EMB_COMPRESSION_NONE, EMB_COMPRESSION_LZ4, EMB_COMPRESSION_ZSTD};
    const char *const topics[] = {"plain", "lz4", "zstd"};
    struct emb_subscriber *subscriber;
    struct emb_error err = {0};
    memset(big_key, 'k', sizeof big_key);
    memset(big_value, 'v', sizeof big_value);
    rig_start(rig);
    for (size_t i = 0; i < 3; i++) {
        rig_topic(rig, topics[i], EMB_ORDER_CLIENT, 2);
        publish_odd(rig, topics[i], compressions[i]);
        if (emb_subscriber_open(rig->client, topics[i], NULL, &subscriber, &err))
            fail_msg("%s", err.text);
        read_odd_singly(subscriber);
        if (emb_subscriber_seek(subscriber, EMB_START_EARLIEST, 0, &err))
            fail_msg("%s", err.text);
        read_odd_by_batch(subscriber);
        emb_subscriber_close(subscriber);
    }
    rig_stop(rig);
}

static void a_message_without_time_gets_the_present(void **state)
{
    struct rig *rig = *state;
    struct emb_subscriber *subscriber;
    struct emb_publisher *publisher;
    struct emb_message message = {.value = "now", .value_bytes = 3};
    struct emb_error err = {0};
    rig_start(rig);
    rig_topic(rig, "time", EMB_ORDER_CLIENT, 2);
    assert_int_equal(emb_publisher_open(rig->client, "time", NULL, &publisher, &err), EMB_OK);
    uint64_t before_ms = env_wall_ms(rig->env);
    if (emb_publish_wait(publisher, &message, rig_patience_ms(), NULL, &err))
        fail_msg("%s", err.text);
    uint64_t after_ms = env_wall_ms(rig->env);
    assert_int_equal(emb_publisher_close(publisher, 0, NULL), EMB_OK);
    assert_int_equal(emb_subscriber_open(rig->client, "time", NULL, &subscriber, &err), EMB_OK);
    assert_int_equal(emb_subscriber_next(subscriber, &message, rig_patience_ms(), &err), 1);
    assert_in_range(message.timestamp_ms, before_ms, after_ms);
    emb_subscriber_close(subscriber);
    rig_stop(rig);
}

static void too_large_is_refused_with_the_limit(void **state)
{
    struct rig *rig = *state;
    struct emb_publisher *publisher;
    struct emb_error err = {0};
    static char huge[300 << 10];
    struct emb_message message = {.value = huge, .value_bytes = sizeof huge};
    rig_start(rig);
    rig_topic(rig, "large", EMB_ORDER_CLIENT, 2);
    assert_int_equal(emb_publisher_open(rig->client, "large", NULL, &publisher, &err), EMB_OK);
    ASSERT_CODE(emb_publish(publisher, &message, 0, 0, &err), EMB_ERR_BATCH_TOO_LARGE);
    assert_non_null(strstr(err.text, "307200"));
    assert_non_null(strstr(err.text, "261120"));
    message.value_bytes = 255 << 10;
    if (emb_publish_wait(publisher, &message, rig_patience_ms(), NULL, &err))
        fail_msg("the largest message: %s", err.text);
    assert_int_equal(emb_publisher_close(publisher, 0, NULL), EMB_OK);
    rig_stop(rig);
}

int main(void)
{
    const struct rig_case cases[] = {
        {"orders_acks_and_compressions", orders_acks_and_compressions, RIG_EVERYWHERE},
        {"subscribers_agree", subscribers_agree, RIG_EVERYWHERE},
        {"acknowledged_comes_before_what_follows", acknowledged_comes_before_what_follows,
         RIG_EVERYWHERE},
        {"odd_messages_survive", odd_messages_survive, RIG_EVERYWHERE},
        {"a_message_without_time_gets_the_present", a_message_without_time_gets_the_present,
         RIG_EVERYWHERE},
        {"too_large_is_refused_with_the_limit", too_large_is_refused_with_the_limit,
         RIG_EVERYWHERE},
    };
    return rig_run("e2e-main", cases, COUNT_OF(cases));
}

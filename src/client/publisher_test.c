/* The publisher through its public interface, against a rack that misbehaves on request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "batch/batch.h"
#include "client/fake_rack.h"
#include "embarcadero/embarcadero.h"

#define MESSAGES 20000u

/* What callbacks told, by cookie. Written by the client's thread, read after a flush. */
struct told {
    uint32_t count[MESSAGES];
    uint64_t offset[MESSAGES];
    int code[MESSAGES];
    uint64_t total;
    uint64_t results;
    uint64_t result_messages;
    char text[EMB_ERROR_TEXT_BYTES];
};

struct fixture {
    struct fake_rack rack;
    struct emb_client *client;
    struct emb_publisher *publisher;
    struct emb_publisher_options options;
    struct emb_error err;
    struct told *told;
};

static void on_message(void *arg, uint64_t cookie, uint64_t offset, int code)
{
    struct told *told = ((struct fixture *)arg)->told;
    told->count[cookie]++;
    told->offset[cookie] = offset;
    told->code[cookie] = code;
    told->total++;
}

static void on_result(void *arg, const struct emb_result *result)
{
    struct told *told = ((struct fixture *)arg)->told;
    told->results++;
    told->result_messages += result->count;
    if (result->code != EMB_OK)
        snprintf(told->text, sizeof told->text, "%s", result->text);
}

static void fixture_init(struct fixture *f, uint32_t brokers)
{
    memset(f, 0, sizeof *f);
    fake_rack_init(&f->rack, brokers);
    f->told = calloc(1, sizeof *f->told);
    emb_publisher_options_init(&f->options);
    f->options.on_message = on_message;
    f->options.on_result = on_result;
    f->options.arg = f;
    f->options.batch_bytes_max = 64 * 1024;
    f->options.batch_bytes_min = 4096;
}

static void fixture_start(struct fixture *f)
{
    struct emb_client_options options;

    fake_rack_start(&f->rack);
    emb_client_options_init(&options);
    options.brokers = f->rack.address;
    options.timeout_ms = 3000;
    assert_int_equal(emb_client_open(&options, &f->client, &f->err), EMB_OK);
}

static void publisher_begin(struct fixture *f)
{
    if (emb_publisher_open(f->client, "orders", &f->options, &f->publisher, &f->err) != EMB_OK)
        fail_msg("%s", f->err.text);
}

static void fixture_open(struct fixture *f)
{
    fixture_start(f);
    publisher_begin(f);
}

static void fixture_end(struct fixture *f)
{
    emb_publisher_close(f->publisher, 3000, NULL);
    assert_int_equal(emb_client_close(f->client, &f->err), EMB_OK);
    fake_rack_stop(&f->rack);
}

static void fixture_free(struct fixture *f)
{
    fake_rack_free(&f->rack);
    free(f->told);
}

static int publish_one(struct fixture *f, uint64_t cookie, uint32_t timeout_ms)
{
    char value[64];
    int bytes = snprintf(value, sizeof value, "message %llu", (unsigned long long)cookie);
    const struct emb_message message = {
        .key = &cookie, .key_bytes = 8, .value = value, .value_bytes = (uint32_t)bytes};
    return emb_publish(f->publisher, &message, cookie, timeout_ms, &f->err);
}

static void publish_many(struct fixture *f, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (publish_one(f, i, 10000) != EMB_OK)
            fail_msg("message %u: %s", i, f->err.text);
}

/* The rack's log holds the cookies 0, 1, ... in order, at the offsets that were told. */
static void log_check(const struct fixture *f, uint32_t count)
{
    uint64_t next = 0;

    for (uint32_t at = 0; at < f->rack.log_count; at++) {
        const struct fake_batch *batch = &f->rack.batches[f->rack.log[at]];
        struct batch_reader reader;
        struct record record;
        uint64_t offset;
        assert_int_equal(batch_reader_open(&reader, batch->bytes, batch->byte_count, 1 << 24, NULL),
                         EMB_OK);
        while (batch_reader_next(&reader, &record, &offset, NULL) == 1) {
            uint64_t cookie;
            char value[64];
            assert_int_equal(record.key_bytes, 8);
            memcpy(&cookie, record.key, 8);
            assert_int_equal(cookie, next);
            int bytes = snprintf(value, sizeof value, "message %llu", (unsigned long long)cookie);
            assert_int_equal(record.value_bytes, bytes);
            assert_memory_equal(record.value, value, (size_t)bytes);
            assert_int_equal(f->told->count[cookie], 1);
            assert_int_equal(f->told->code[cookie], EMB_OK);
            assert_int_equal(f->told->offset[cookie], next);
            next++;
        }
        batch_reader_close(&reader);
    }
    assert_int_equal(next, count);
}

static void test_stripes_and_order(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 4);
    fixture_open(&f);
    publish_many(&f, MESSAGES);
    assert_int_equal(emb_publisher_flush(f.publisher, 5000, &f.err), EMB_OK);
    assert_int_equal(f.told->total, MESSAGES);
    assert_int_equal(f.told->result_messages, MESSAGES);
    struct emb_publisher_stats stats;
    emb_publisher_stats(f.publisher, &stats);
    assert_int_equal(stats.acked_messages, MESSAGES);
    assert_int_equal(stats.accepted_messages, MESSAGES);
    assert_int_equal(stats.failed_messages, 0);
    assert_int_equal(stats.buffered_bytes, 0);
    assert_int_equal(stats.batches, f.told->results);
    assert_int_equal(stats.brokers, 4);
    assert_true(stats.latency_p50_ns > 0 && stats.latency_p50_ns <= stats.latency_p99_ns);
    assert_true(stats.latency_p99_ns <= stats.latency_max_ns);
    fixture_end(&f);
    log_check(&f, MESSAGES);
    assert_int_equal(f.rack.sessions_opened, 1);
    assert_int_equal(f.rack.sessions_closed, 1);
    assert_true(f.rack.most_in_flight <= 16);
    for (int i = 0; i < 4; i++)
        assert_true(f.rack.produced_by[i] > 0);
    fixture_free(&f);
}

static void test_retry_backpressure_reverse(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 3);
    f.rack.retry_every = 3;
    f.rack.backpressure_first = 5;
    f.rack.reverse_acks = 4;
    f.options.batch_bytes_min = f.options.batch_bytes_max = 4096; /* many, however fast they go */
    fixture_open(&f);
    publish_many(&f, MESSAGES);
    if (emb_publisher_flush(f.publisher, 5000, &f.err) != EMB_OK)
        fail_msg("%s", f.err.text);
    struct emb_publisher_stats stats;
    emb_publisher_stats(f.publisher, &stats);
    assert_int_equal(stats.acked_messages, MESSAGES);
    assert_true(stats.retries > 3);
    assert_true(stats.backpressure >= 5);
    fixture_end(&f);
    log_check(&f, MESSAGES);
    assert_int_equal(f.rack.not_identical, 0);
    fixture_free(&f);
}

static void test_compression(void **state)
{
    static const int methods[] = {EMB_COMPRESSION_LZ4, EMB_COMPRESSION_ZSTD};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        struct fixture f;
        struct emb_publisher_stats stats;
        fixture_init(&f, 2);
        f.options.compression = methods[i];
        fixture_open(&f);
        publish_many(&f, MESSAGES);
        assert_int_equal(emb_publisher_flush(f.publisher, 5000, &f.err), EMB_OK);
        emb_publisher_stats(f.publisher, &stats);
        assert_true(stats.acked_bytes < stats.accepted_bytes * 9 / 10);
        fixture_end(&f);
        log_check(&f, MESSAGES);
        fixture_free(&f);
    }
}

/* Everything that was accepted fails, once; later messages are refused with what to do. */
static void test_connection_lost(void **state)
{
    struct fixture f;
    uint32_t accepted = 0;
    (void)state;

    fixture_init(&f, 3);
    f.rack.close_at = 5;
    fixture_open(&f);
    while (accepted < MESSAGES && publish_one(&f, accepted, 5000) == EMB_OK)
        accepted++;
    int code = emb_publisher_flush(f.publisher, 5000, &f.err);
    assert_int_equal(code, EMB_ERR_CLOSED);
    assert_non_null(strstr(f.err.text, "broker 127.0.0.1:"));
    assert_int_equal(publish_one(&f, 0, 1000), EMB_ERR_SESSION_FENCED);
    assert_non_null(strstr(f.err.text, "open another"));
    assert_int_equal(f.told->total, accepted);
    uint32_t failed = 0;
    for (uint32_t i = 0; i < accepted; i++) {
        assert_int_equal(f.told->count[i], 1);
        failed += f.told->code[i] == EMB_ERR_CLOSED;
        assert_true(f.told->code[i] == EMB_OK || f.told->code[i] == EMB_ERR_CLOSED);
    }
    assert_true(failed > 0);
    assert_non_null(strstr(f.told->text, "broker 127.0.0.1:"));
    fake_rack_await_close(&f.rack); /* closing with acks unread would reset it away */
    fixture_end(&f);
    assert_int_equal(f.rack.sessions_closed, 1); /* told to another broker */
    fixture_free(&f);
}

static void test_refused(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 1);
    f.rack.refuse_at = 2;
    f.rack.refuse_status = EMB_ERR_SEQUENCE;
    f.options.linger_us = 0;
    fixture_open(&f);
    const struct emb_message message = {.value = "x", .value_bytes = 1};
    uint64_t offset;
    f.told->total = 0;
    assert_int_equal(emb_publish_wait(f.publisher, &message, 3000, &offset, &f.err), EMB_OK);
    assert_int_equal(offset, 0);
    assert_int_equal(emb_publish_wait(f.publisher, &message, 3000, &offset, &f.err), EMB_OK);
    assert_int_equal(offset, 1);
    assert_int_equal(emb_publish_wait(f.publisher, &message, 3000, &offset, &f.err),
                     EMB_ERR_SEQUENCE);
    assert_int_equal(emb_publish_wait(f.publisher, &message, 3000, &offset, &f.err),
                     EMB_ERR_SESSION_FENCED);
    assert_int_equal(emb_publisher_flush(f.publisher, 3000, &f.err), EMB_ERR_SEQUENCE);
    fixture_end(&f);
    fixture_free(&f);
}

/* Under the policy "skip" a lost batch fails alone. */
static void test_lost_goes_on(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 1);
    f.rack.settings = (struct topic_settings){.order = 2};
    f.rack.refuse_at = 1;
    f.rack.refuse_status = EMB_ERR_LOST;
    fixture_open(&f);
    const struct emb_message message = {.value = "x", .value_bytes = 1};
    assert_int_equal(emb_publish_wait(f.publisher, &message, 3000, NULL, &f.err), EMB_OK);
    assert_int_equal(emb_publish_wait(f.publisher, &message, 3000, NULL, &f.err), EMB_ERR_LOST);
    assert_int_equal(emb_publish_wait(f.publisher, &message, 3000, NULL, &f.err), EMB_OK);
    fixture_end(&f);
    assert_int_equal(f.rack.sessions_opened, 0);
    fixture_free(&f);
}

/* Without a session the other connections go on. */
static void test_no_session_loss(void **state)
{
    struct fixture f;
    uint32_t failed = 0;
    (void)state;

    fixture_init(&f, 2);
    f.rack.settings = (struct topic_settings){.order = 2};
    f.rack.close_at = 7;
    fixture_open(&f);
    publish_many(&f, MESSAGES);
    assert_int_equal(emb_publisher_flush(f.publisher, 5000, &f.err), EMB_ERR_CLOSED);
    for (uint32_t i = 0; i < MESSAGES; i++) {
        assert_int_equal(f.told->count[i], 1);
        failed += f.told->code[i] != EMB_OK;
    }
    assert_true(failed > 0 && failed < MESSAGES / 2);
    assert_int_equal(publish_one(&f, 0, 1000), EMB_OK);
    assert_int_equal(emb_publisher_flush(f.publisher, 5000, &f.err), EMB_OK);
    struct emb_publisher_stats stats;
    emb_publisher_stats(f.publisher, &stats);
    assert_int_equal(stats.brokers, 1);
    fixture_end(&f);
    fixture_free(&f);
}

static void test_acks_none(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 2);
    f.rack.silent = true;
    f.rack.settings = (struct topic_settings){.order = 2};
    f.options.acks = EMB_ACKS_NONE;
    fixture_open(&f);
    publish_many(&f, 1000);
    assert_int_equal(emb_publisher_flush(f.publisher, 3000, &f.err), EMB_OK);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(f.told->count[i], 1);
        assert_true(f.told->offset[i] == EMB_OFFSET_UNKNOWN);
    }
    fixture_end(&f);
    assert_true(f.rack.produced > 0);
    fixture_free(&f);
}

/* A session needs answers, to send again and to be closed in order: so they come, with offsets. */
static void test_acks_none_in_a_session(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 2);
    f.options.acks = EMB_ACKS_NONE;
    fixture_open(&f);
    publish_many(&f, 1000);
    assert_int_equal(emb_publisher_flush(f.publisher, 3000, &f.err), EMB_OK);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(f.told->offset[i], i);
    fixture_end(&f);
    fixture_free(&f);
}

/* Nothing is acknowledged: publishing stops at the limit, and closing fails what is left. */
static void test_backpressure_limit(void **state)
{
    struct fixture f;
    uint32_t accepted = 0;
    (void)state;

    fixture_init(&f, 2);
    f.rack.silent = true;
    f.options.max_buffered_bytes = 128 * 1024;
    fixture_open(&f);
    while (publish_one(&f, accepted, 0) == EMB_OK)
        accepted++;
    assert_int_equal(f.err.code, EMB_ERR_TIMEOUT);
    struct emb_publisher_stats stats;
    emb_publisher_stats(f.publisher, &stats);
    assert_in_range(stats.buffered_bytes, 100 * 1024, 128 * 1024);
    assert_int_equal(publish_one(&f, accepted, 30), EMB_ERR_TIMEOUT);
    emb_publisher_stats(f.publisher, &stats);
    assert_true(stats.blocked_ns >= 25000000);
    assert_int_equal(emb_publisher_flush(f.publisher, 50, &f.err), EMB_ERR_TIMEOUT);
    const struct emb_message message = {.value = "x", .value_bytes = 1};
    assert_int_equal(emb_publish_wait(f.publisher, &message, 20, NULL, &f.err), EMB_ERR_TIMEOUT);
    assert_int_equal(emb_publisher_close(f.publisher, 50, &f.err), EMB_ERR_TIMEOUT);
    f.publisher = NULL;
    assert_true(f.told->total >= accepted);
    for (uint32_t i = 1; i < accepted; i++) {
        assert_int_equal(f.told->count[i], 1);
        assert_int_equal(f.told->code[i], EMB_ERR_CLOSED);
    }
    fixture_end(&f);
    fixture_free(&f);
}

static void test_too_large(void **state)
{
    struct fixture f;
    char *value = calloc(1, 2 << 20);
    (void)state;

    fixture_init(&f, 1);
    fixture_open(&f);
    struct emb_message message = {.value = value, .value_bytes = 64 * 1024};
    assert_int_equal(emb_publish(f.publisher, &message, 0, 0, &f.err), EMB_ERR_BATCH_TOO_LARGE);
    assert_non_null(strstr(f.err.text, "65536"));
    message.value_bytes = (1 << 20) + 1; /* the brokers' own limit */
    assert_int_equal(emb_publish(f.publisher, &message, 0, 0, &f.err), EMB_ERR_BATCH_TOO_LARGE);
    assert_non_null(strstr(f.err.text, "1048576"));
    message.value_bytes = 65000; /* fills a batch alone */
    for (int i = 0; i < 10; i++)
        assert_int_equal(emb_publish_wait(f.publisher, &message, 3000, NULL, &f.err), EMB_OK);
    message = (struct emb_message){0}; /* nothing in it is allowed */
    assert_int_equal(emb_publish_wait(f.publisher, &message, 3000, NULL, &f.err), EMB_OK);
    fixture_end(&f);
    assert_int_equal(f.rack.next_offset, 11);
    fixture_free(&f);
    free(value);
}

static void leave_out(uint32_t dead, uint32_t mute)
{
    struct fixture f;

    fixture_init(&f, 3);
    f.rack.dead_brokers = dead;
    f.rack.mute_brokers = mute;
    fixture_start(&f);
    uint64_t start_ns = env_now_ns(f.rack.env);
    publisher_begin(&f);
    assert_in_range(env_now_ns(f.rack.env) - start_ns, 1, 2500000000);
    publish_many(&f, 5000);
    assert_int_equal(emb_publisher_flush(f.publisher, 3000, &f.err), EMB_OK);
    fixture_end(&f);
    log_check(&f, 5000);
    fixture_free(&f);
}

static void test_dead_broker_left_out(void **state)
{
    leave_out(2, 0);
}

/* One that is connected to and does not answer: well before the time is up. */
static void test_silent_broker_left_out(void **state)
{
    leave_out(0, 2);
}

/* What the brokers take goes with the defaults. */
static void test_largest_message(void **state)
{
    struct fixture f;
    const uint32_t bytes = 1 << 20;
    char *value = calloc(1, bytes);
    const struct emb_message message = {.value = value, .value_bytes = bytes};
    (void)state;

    fixture_init(&f, 1);
    emb_publisher_options_init(&f.options);
    fixture_open(&f);
    assert_int_equal(emb_publish_wait(f.publisher, &message, 3000, NULL, &f.err), EMB_OK);
    fixture_end(&f);
    fixture_free(&f);
    free(value);
}

struct publishing {
    struct fixture *f;
    uint32_t from;
    uint32_t to;
};

static void *publish_range(void *arg)
{
    const struct publishing *range = arg;
    struct emb_error err;

    for (uint64_t cookie = range->from; cookie < range->to; cookie++) {
        char value[64];
        int bytes = snprintf(value, sizeof value, "message %llu", (unsigned long long)cookie);
        const struct emb_message message = {
            .key = &cookie, .key_bytes = 8, .value = value, .value_bytes = (uint32_t)bytes};
        if (emb_publish(range->f->publisher, &message, cookie, 10000, &err) != EMB_OK)
            return NULL;
    }
    return arg;
}

/* Each thread's messages keep their order, each offset is told once. */
static void two_threads_check(struct fixture *f, uint32_t half)
{
    uint32_t next[2] = {0, half};
    uint64_t offset = 0;

    for (uint32_t at = 0; at < f->rack.log_count; at++) {
        const struct fake_batch *batch = &f->rack.batches[f->rack.log[at]];
        struct batch_reader reader;
        struct record record;
        uint64_t unused;
        uint64_t cookie;
        batch_reader_open(&reader, batch->bytes, batch->byte_count, 1 << 24, NULL);
        while (batch_reader_next(&reader, &record, &unused, NULL) == 1) {
            memcpy(&cookie, record.key, 8);
            assert_int_equal(cookie, next[cookie >= half]);
            next[cookie >= half]++;
            assert_int_equal(f->told->offset[cookie], offset++);
            assert_int_equal(f->told->count[cookie], 1);
        }
        batch_reader_close(&reader);
    }
    assert_int_equal(offset, 2 * half);
}

static void test_two_threads(void **state)
{
    struct fixture f;
    pthread_t threads[2];
    const uint32_t half = MESSAGES / 2;
    (void)state;

    fixture_init(&f, 4);
    f.rack.retry_every = 5;
    f.options.max_buffered_bytes = 128 * 1024; /* both run into back-pressure */
    fixture_open(&f);
    struct publishing ranges[2] = {{&f, 0, half}, {&f, half, 2 * half}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, publish_range, &ranges[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
    assert_int_equal(emb_publisher_flush(f.publisher, 5000, &f.err), EMB_OK);
    fixture_end(&f);
    two_threads_check(&f, half);
    fixture_free(&f);
}

static void test_bad_options(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 1);
    fixture_start(&f);
    f.options.acks = 3;
    assert_int_equal(emb_publisher_open(f.client, "orders", &f.options, &f.publisher, &f.err),
                     EMB_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(f.err.text, "acks is 3"));
    f.options.acks = 2;
    assert_int_equal(emb_publisher_open(f.client, "no such", &f.options, &f.publisher, &f.err),
                     EMB_ERR_INVALID_TOPIC);
    assert_int_equal(emb_publisher_open(f.client, "missing", &f.options, &f.publisher, &f.err),
                     EMB_ERR_UNKNOWN_TOPIC);
    assert_null(f.publisher);
    f.options.struct_bytes = 0;
    assert_int_equal(emb_publisher_open(f.client, "orders", &f.options, &f.publisher, &f.err),
                     EMB_ERR_INVALID_ARGUMENT);
    assert_int_equal(emb_publisher_open(f.client, "orders", NULL, &f.publisher, &f.err), EMB_OK);
    assert_int_equal(emb_client_close(f.client, &f.err), EMB_ERR_BUSY);
    fixture_end(&f);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stripes_and_order),
        cmocka_unit_test(test_retry_backpressure_reverse),
        cmocka_unit_test(test_compression),
        cmocka_unit_test(test_connection_lost),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lost_goes_on),
        cmocka_unit_test(test_no_session_loss),
        cmocka_unit_test(test_acks_none),
        cmocka_unit_test(test_acks_none_in_a_session),
        cmocka_unit_test(test_backpressure_limit),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_dead_broker_left_out),
        cmocka_unit_test(test_silent_broker_left_out),
        cmocka_unit_test(test_largest_message),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The subscriber through its public interface, against a rack that misbehaves on request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "client/fake_rack.h"
#include "client/tcp/subscribe.h"
#include "embarcadero/embarcadero.h"

struct fixture {
    struct fake_rack rack;
    struct emb_client *client;
    struct emb_subscriber *subscriber;
    struct emb_subscriber_options options;
    struct emb_error err;
};

static void fixture_init(struct fixture *f, uint32_t batches, uint32_t count, int compression)
{
    memset(f, 0, sizeof *f);
    fake_rack_init(&f->rack, 2);
    for (uint32_t i = 0; i < batches; i++)
        fake_rack_append(&f->rack, count, compression);
    emb_subscriber_options_init(&f->options);
    f->options.broker = 1;
}

static int fixture_open(struct fixture *f, uint32_t timeout_ms)
{
    struct emb_client_options options;

    fake_rack_start(&f->rack);
    emb_client_options_init(&options);
    options.brokers = f->rack.address;
    options.timeout_ms = timeout_ms;
    assert_int_equal(emb_client_open(&options, &f->client, &f->err), EMB_OK);
    return emb_subscriber_open(f->client, "orders", &f->options, &f->subscriber, &f->err);
}

static void fixture_end(struct fixture *f)
{
    emb_subscriber_close(f->subscriber);
    assert_int_equal(emb_client_close(f->client, &f->err), EMB_OK);
    fake_rack_stop(&f->rack);
    fake_rack_free(&f->rack);
}

static void message_check(const struct emb_message *message, uint64_t offset)
{
    char value[32];
    int bytes = snprintf(value, sizeof value, "m-%llu", (unsigned long long)offset);

    assert_int_equal(message->offset, offset);
    assert_int_equal(message->timestamp_ms, 1000 + offset);
    assert_int_equal(message->value_bytes, bytes);
    assert_memory_equal(message->value, value, (size_t)bytes);
    assert_int_equal(message->key_bytes, offset % 3 == 0 ? 3 : 0);
    assert_int_equal(message->key == NULL, offset % 3 != 0);
    assert_int_equal(message->header_count, offset % 5 == 0 ? 2 : 0);
    if (offset % 5 != 0)
        return;
    assert_string_equal(message->headers[0].key, "origin");
    assert_int_equal(message->headers[0].value_bytes, 4);
    assert_memory_equal(message->headers[0].value, "test", 4);
    assert_string_equal(message->headers[1].key, "empty");
    assert_int_equal(message->headers[1].value_bytes, 0);
}

static void read_range(struct fixture *f, uint64_t from, uint64_t to)
{
    struct emb_message message;

    for (uint64_t offset = from; offset < to; offset++) {
        int got = emb_subscriber_next(f->subscriber, &message, 5000, &f->err);
        if (got != 1)
            fail_msg("offset %llu: %d %s", (unsigned long long)offset, got, f->err.text);
        message_check(&message, offset);
        assert_int_equal(emb_subscriber_position(f->subscriber), offset + 1);
    }
}

static void nothing_more(struct fixture *f)
{
    struct emb_message message;
    assert_int_equal(emb_subscriber_next(f->subscriber, &message, 20, &f->err), 0);
    assert_int_equal(emb_subscriber_next(f->subscriber, &message, 0, &f->err), 0);
}

static void test_all(void **state)
{
    static const int methods[] = {0, EMB_COMPRESSION_LZ4, EMB_COMPRESSION_ZSTD};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        struct fixture f;
        fixture_init(&f, 200, 50, methods[i]);
        f.options.max_buffered_bytes = 8192; /* a few batches: it must stop and resume */
        assert_int_equal(fixture_open(&f, 3000), EMB_OK);
        assert_int_equal(emb_subscriber_position(f.subscriber), 0);
        read_range(&f, 0, 10000);
        nothing_more(&f);
        fixture_end(&f);
    }
}

/* Whatever the pieces are in which frames arrive. */
static void test_split_at_every_byte(void **state)
{
    static const uint32_t pieces[] = {1, 3, 63, 64, 65, 127, 1000};
    (void)state;

    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        struct fixture f;
        fixture_init(&f, 5, 3, 0);
        fake_rack_append(&f.rack, 1, 0);
        f.rack.send_bytes = pieces[i];
        assert_int_equal(fixture_open(&f, 20000), EMB_OK);
        read_range(&f, 0, 16);
        fixture_end(&f);
    }
}

/* Bodies received straight into their memory, then many small ones, in turn. */
static void test_large_and_small(void **state)
{
    struct fixture f;
    uint64_t count = 0;
    (void)state;

    fixture_init(&f, 0, 0, 0);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++)
            fake_rack_append(&f.rack, 3000, 0);
        for (int i = 0; i < 300; i++)
            fake_rack_append(&f.rack, 1, 0);
        count += 8 * 3000 + 300;
    }
    assert_int_equal(fixture_open(&f, 3000), EMB_OK);
    read_range(&f, 0, count);
    fixture_end(&f);
}

static void test_batches(void **state)
{
    struct fixture f;
    struct emb_batch batch;
    struct emb_message message;
    (void)state;

    fixture_init(&f, 4, 10, 0);
    f.options.start = EMB_START_OFFSET;
    f.options.start_value = 13;
    assert_int_equal(fixture_open(&f, 3000), EMB_OK);
    assert_int_equal(emb_subscriber_next_batch(f.subscriber, &batch, 3000, &f.err), 1);
    assert_int_equal(batch.base_offset, 10);
    assert_int_equal(batch.message_count, 10);
    assert_int_equal(batch.skip, 3);
    assert_int_equal((uintptr_t)batch.bytes % 64, 0);
    assert_int_equal(batch.byte_count, f.rack.batches[1].byte_count);
    assert_memory_equal(batch.bytes, f.rack.batches[1].bytes, batch.byte_count);
    assert_int_equal(batch.client_sequence, 10);
    for (uint64_t offset = 13; offset < 20; offset++) {
        assert_int_equal(emb_subscriber_batch_message(f.subscriber, &message, &f.err), 1);
        message_check(&message, offset);
    }
    assert_int_equal(emb_subscriber_batch_message(f.subscriber, &message, &f.err), 0);
    assert_int_equal(emb_subscriber_position(f.subscriber), 20);
    read_range(&f, 20, 25);
    assert_int_equal(emb_subscriber_next_batch(f.subscriber, &batch, 3000, &f.err), EMB_ERR_BUSY);
    read_range(&f, 25, 30);
    assert_int_equal(emb_subscriber_next_batch(f.subscriber, &batch, 3000, &f.err), 1);
    assert_int_equal(batch.base_offset, 30);
    assert_int_equal(batch.skip, 0);
    assert_int_equal(emb_subscriber_next_batch(f.subscriber, &batch, 10, &f.err), 0);
    fixture_end(&f);
}

static void test_seek(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 40, 10, 0);
    f.rack.first_offset = 10;
    assert_int_equal(fixture_open(&f, 3000), EMB_OK);
    read_range(&f, 10, 33);
    assert_int_equal(emb_subscriber_seek(f.subscriber, EMB_START_OFFSET, 205, &f.err), EMB_OK);
    assert_int_equal(emb_subscriber_position(f.subscriber), 205);
    read_range(&f, 205, 400);
    nothing_more(&f);
    assert_int_equal(emb_subscriber_seek(f.subscriber, EMB_START_TIMESTAMP, 1000 + 77, &f.err),
                     EMB_OK);
    read_range(&f, 77, 130);
    struct emb_batch batch;
    assert_int_equal(emb_subscriber_seek(f.subscriber, EMB_START_TIMESTAMP, 1000 + 78, &f.err),
                     EMB_OK);
    assert_int_equal(emb_subscriber_next_batch(f.subscriber, &batch, 3000, &f.err), 1);
    assert_int_equal(batch.base_offset, 70);
    assert_int_equal(batch.skip, 8);
    assert_int_equal(emb_subscriber_seek(f.subscriber, EMB_START_LATEST, 0, &f.err), EMB_OK);
    assert_int_equal(emb_subscriber_position(f.subscriber), 400);
    nothing_more(&f);
    assert_int_equal(emb_subscriber_seek(f.subscriber, EMB_START_OFFSET, 5, &f.err),
                     EMB_ERR_OFFSET_OUT_OF_RANGE);
    assert_non_null(strstr(f.err.text, "oldest is 10"));
    struct emb_message message;
    assert_int_equal(emb_subscriber_next(f.subscriber, &message, 0, &f.err),
                     EMB_ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(emb_subscriber_seek(f.subscriber, EMB_START_EARLIEST, 0, &f.err), EMB_OK);
    read_range(&f, 10, 400);
    fixture_end(&f);
}

/* Reads up to `good` messages, then the error, again and again; a seek mends it. */
static void error_after(struct fixture *f, uint64_t good, int code, const char *text)
{
    struct emb_message message;

    assert_int_equal(fixture_open(f, 1000), EMB_OK);
    read_range(f, 0, good);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(emb_subscriber_next(f->subscriber, &message, 3000, &f->err), code);
        if (strstr(f->err.text, text) == NULL)
            fail_msg("\"%s\" is not in: %s", text, f->err.text);
    }
    assert_int_equal(emb_subscriber_seek(f->subscriber, EMB_START_OFFSET, good + 10, &f->err),
                     EMB_OK);
    read_range(f, good + 10, 100);
    fixture_end(f);
}

static void test_corrupt(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 10, 10, 0);
    f.rack.corrupt_at = 3;
    error_after(&f, 30, EMB_ERR_CORRUPT_BATCH, "offset 30");
}

static void test_foreign_identity(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 10, 10, 0);
    f.rack.identity_at = 0;
    error_after(&f, 0, EMB_ERR_CORRUPT_BATCH, "offset 0");
}

static void test_gap(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 10, 10, 0);
    f.rack.gap_at = 2;
    error_after(&f, 20, EMB_ERR_CORRUPT,
                "offset 20 was expected, a batch of 10 messages at "
                "offset 30");
}

/* The connection breaks amid a batch: it goes on at the position, at the same or the next broker.
 */
static void test_reconnect(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 50, 100, 0);
    f.rack.cut_at = 20;
    assert_int_equal(fixture_open(&f, 3000), EMB_OK);
    read_range(&f, 0, 5000);
    fixture_end(&f);
    assert_int_equal(f.rack.subscribed, 2);
}

/* Noise ends the connection each time: within the timeout it becomes an error that says what. */
static void test_garbage(void **state)
{
    struct fixture f;
    struct emb_message message;
    (void)state;

    fixture_init(&f, 10, 10, 0);
    f.rack.garbage_at = 4;
    assert_int_equal(fixture_open(&f, 300), EMB_OK);
    read_range(&f, 0, 40);
    int got = 0;
    for (int i = 0; i < 100 && got == 0; i++)
        got = emb_subscriber_next(f.subscriber, &message, 100, &f.err);
    assert_true(got == EMB_ERR_UNAVAILABLE || got == EMB_ERR_PROTOCOL);
    fixture_end(&f);
}

static void test_open_errors(void **state)
{
    struct fixture f;
    struct emb_subscriber *other;
    (void)state;

    fixture_init(&f, 2, 10, 0);
    f.rack.dead_brokers = 2; /* broker 1, which is asked first: the next one serves */
    assert_int_equal(fixture_open(&f, 1000), EMB_OK);
    read_range(&f, 0, 20);
    assert_int_equal(emb_subscriber_open(f.client, "missing", NULL, &other, &f.err),
                     EMB_ERR_UNKNOWN_TOPIC);
    assert_null(other);
    assert_int_equal(emb_subscriber_open(f.client, "bad name", NULL, &other, &f.err),
                     EMB_ERR_INVALID_TOPIC);
    f.options.broker = 2;
    assert_int_equal(emb_subscriber_open(f.client, "orders", &f.options, &other, &f.err),
                     EMB_ERR_INVALID_ARGUMENT);
    f.options.broker = 0;
    f.options.level = 2;
    assert_int_equal(emb_subscriber_open(f.client, "orders", &f.options, &other, &f.err),
                     EMB_ERR_INVALID_ARGUMENT);
    fixture_end(&f);
}

/* The broker that is asked first is connected to and does not answer: the next one serves. */
static void test_open_at_a_silent_broker(void **state)
{
    struct fixture f;
    (void)state;

    fixture_init(&f, 2, 10, 0);
    f.rack.mute_brokers = 2;
    assert_int_equal(fixture_open(&f, 600), EMB_OK);
    read_range(&f, 0, 20);
    fixture_end(&f);
}

static void *wake_soon(void *subscriber)
{
    struct timespec moment = {.tv_nsec = 20000000};
    nanosleep(&moment, NULL);
    emb_subscriber_wake(subscriber);
    return NULL;
}

/* A core alone, whose time the test tells. */
struct core_rig {
    struct fixture f;
    struct subscribe_core core;
    struct env *env;
    struct env_poller *poller;
    struct address addresses[2];
    uint64_t skew_ns;
    uint64_t taken; /* messages */
};

static void core_work(struct core_rig *g)
{
    struct incoming *incoming;

    if (subscribe_work(&g->core, env_now_ns(g->env) + g->skew_ns) == 0)
        env_poller_wait(g->poller, 1000000);
    while ((incoming = subscribe_take(&g->core)) != NULL) {
        assert_int_equal(incoming->header.base_offset, g->taken);
        g->taken += incoming->header.message_count;
        subscribe_give(&g->core, incoming);
    }
}

static void core_take(struct core_rig *g, uint64_t count)
{
    while (g->taken < count && g->core.state != SUBSCRIBE_FAILED)
        core_work(g);
    assert_int_equal(g->taken, count);
}

/* Broker 1 delivers 10 batches, or as many as it is told to. */
static void core_begin(struct core_rig *g, uint32_t mute_at)
{
    memset(g, 0, sizeof *g);
    fixture_init(&g->f, 10, 10, 0);
    g->f.rack.mute_at = mute_at;
    fake_rack_start(&g->f.rack);
    g->env = env_create();
    assert_int_equal(env_poller_create(g->env, &g->poller), EMB_OK);
    for (uint32_t i = 0; i < 2; i++)
        g->addresses[i] = (struct address){.host = "127.0.0.1", .port = g->f.rack.ports[i]};
    struct subscribe_options options = {.poller = g->poller,
                                        .client_name = "test",
                                        .addresses = g->addresses,
                                        .address_count = 2,
                                        .first = 1,
                                        .topic = "orders",
                                        .after_position = UINT64_MAX,
                                        .timeout_ns = 30000000000u,
                                        .max_buffered_bytes = 1 << 20};
    subscribe_start(&g->core, &options, env_now_ns(g->env));
}

static void core_end(struct core_rig *g)
{
    subscribe_stop(&g->core);
    env_poller_destroy(g->poller);
    env_destroy(g->env);
    fake_rack_stop(&g->f.rack);
    fake_rack_free(&g->f.rack);
}

/* It is passed over: the next broker goes on where it stopped. */
static void test_a_broker_that_falls_silent(void **state)
{
    struct core_rig g;
    (void)state;

    core_begin(&g, 4);
    core_take(&g, 50);
    for (; g.core.reconnects == 0 && g.skew_ns < 8000000000u; g.skew_ns += 100000000u)
        core_work(&g);
    assert_in_range(g.skew_ns, 6500000000u, 7500000000u);
    assert_non_null(strstr(g.core.error.text, "also when pinged"));
    core_take(&g, 100);
    assert_int_equal(g.core.at, 0);
    assert_int_equal(g.core.reconnects, 1);
    core_end(&g);
    assert_int_equal(g.f.rack.subscribed, 2);
}

/* It is pinged, not left: also when the thread that would have heard it was away for long. */
static void test_a_broker_with_nothing_to_deliver(void **state)
{
    struct core_rig g;
    int pings = 0;
    (void)state;

    core_begin(&g, FAKE_NEVER);
    core_take(&g, 100);
    while (g.skew_ns < 60000000000u) {
        bool was_pinged = g.core.pinged_ns != 0;
        core_work(&g);
        if (g.core.pinged_ns == 0)
            g.skew_ns += 100000000u;
        else
            pings += !was_pinged;
    }
    g.skew_ns += 60000000000u;
    core_work(&g);
    assert_int_equal(g.core.pinged_ns, 0);
    assert_int_equal(g.core.state, SUBSCRIBE_UP);
    assert_int_equal(g.core.reconnects, 0);
    assert_in_range(pings, 11, 12);
    core_end(&g);
}

/* Its reader is what is slow. */
static void test_a_broker_that_is_not_read_from(void **state)
{
    struct core_rig g;
    (void)state;

    core_begin(&g, FAKE_NEVER);
    g.core.options.max_buffered_bytes = 1;
    while (!g.core.connection.stalled) {
        subscribe_work(&g.core, env_now_ns(g.env));
        env_poller_wait(g.poller, 1000000);
    }
    for (; g.skew_ns < 20000000000u; g.skew_ns += 100000000u) {
        subscribe_work(&g.core, env_now_ns(g.env) + g.skew_ns);
        assert_int_equal(g.core.pinged_ns, 0);
    }
    core_take(&g, 100);
    assert_int_equal(g.core.reconnects, 0);
    core_end(&g);
}

static void core_up(struct subscribe_core *core, struct env *env, struct env_poller *poller)
{
    while (core->state != SUBSCRIBE_UP && core->state != SUBSCRIBE_FAILED) {
        if (subscribe_work(core, env_now_ns(env)) == 0)
            env_poller_wait(poller, 1000000);
    }
    assert_int_equal(core->state, SUBSCRIBE_UP);
}

/* The answer to the seek before is not taken for that of the newest one. */
static void test_seek_before_the_answer(void **state)
{
    struct fixture f;
    struct subscribe_core core;
    struct env_poller *poller;
    struct address address = {.host = "127.0.0.1"};
    struct env *env = env_create();
    (void)state;

    fixture_init(&f, 10, 10, 0);
    fake_rack_start(&f.rack);
    address.port = f.rack.ports[0];
    assert_int_equal(env_poller_create(env, &poller), EMB_OK);
    struct subscribe_options options = {.poller = poller,
                                        .client_name = "test",
                                        .addresses = &address,
                                        .address_count = 1,
                                        .topic = "orders",
                                        .after_position = UINT64_MAX,
                                        .timeout_ns = 3000000000u,
                                        .max_buffered_bytes = 1 << 20};
    subscribe_start(&core, &options, env_now_ns(env));
    core_up(&core, env, poller);
    subscribe_seek(&core, START_LATEST, 0, env_now_ns(env));
    subscribe_seek(&core, START_OFFSET, 5, env_now_ns(env));
    core_up(&core, env, poller);
    assert_int_equal(core.first_offset, 5);
    subscribe_stop(&core);
    env_poller_destroy(poller);
    env_destroy(env);
    fake_rack_stop(&f.rack);
    fake_rack_free(&f.rack);
}

static void test_wake(void **state)
{
    struct fixture f;
    struct emb_message message;
    pthread_t thread;
    (void)state;

    fixture_init(&f, 0, 0, 0);
    assert_int_equal(fixture_open(&f, 1000), EMB_OK);
    pthread_create(&thread, NULL, wake_soon, f.subscriber);
    assert_int_equal(emb_subscriber_next(f.subscriber, &message, EMB_FOREVER, &f.err), 0);
    pthread_join(thread, NULL);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_split_at_every_byte),
        cmocka_unit_test(test_large_and_small),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_seek),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_foreign_identity),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_open_errors),
        cmocka_unit_test(test_open_at_a_silent_broker),
        cmocka_unit_test(test_a_broker_that_falls_silent),
        cmocka_unit_test(test_a_broker_with_nothing_to_deliver),
        cmocka_unit_test(test_a_broker_that_is_not_read_from),
        cmocka_unit_test(test_seek_before_the_answer),
        cmocka_unit_test(test_wake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

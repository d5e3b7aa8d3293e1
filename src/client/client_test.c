/* Addresses, options, the histogram, and requests against a small rack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "client/address.h"
#include "client/fake_rack.h"
#include "client/histogram.h"
#include "client/options.h"

static void test_addresses(void **state)
{
    struct address addresses[ADDRESSES_MAX];
    struct error err;
    uint32_t count;
    (void)state;

    assert_int_equal(addresses_read("tcp://10.0.0.1:9650,[::1]:80,node-3", addresses, &count, &err),
                     EMB_OK);
    assert_int_equal(count, 3);
    assert_string_equal(addresses[0].host, "10.0.0.1");
    assert_int_equal(addresses[0].port, 9650);
    assert_string_equal(addresses[1].host, "::1");
    assert_int_equal(addresses[1].port, 80);
    assert_string_equal(addresses[2].host, "node-3");
    assert_int_equal(addresses[2].port, 9650);
    assert_int_equal(addresses_read("tcp://a:1,tcp://b:2,c", addresses, &count, &err), EMB_OK);
    assert_int_equal(count, 3);
    assert_string_equal(addresses[1].host, "b");
    assert_int_equal(addresses[1].port, 2);
    assert_int_equal(addresses_read("host:65535", addresses, &count, &err), EMB_OK);
    assert_int_equal(addresses[0].port, 65535);
}

static void test_addresses_bad(void **state)
{
    static const char *const bad[] = {
        "",
        "tcp://",
        "a,,b",
        "a,",
        ":9650",
        "host:",
        "host:0",
        "host:65536",
        "host:99999999",
        "host:1x",
        "[::1",
        "[::1]80",
        "map:shm:x://",
        "http://host:80",
        "tcp://a,http://b",
        "tcp://tcp://a",
    };
    struct address addresses[ADDRESSES_MAX];
    struct error err;
    uint32_t count;
    char many[ADDRESSES_MAX * 2 + 4];
    char longest[300];
    (void)state;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (addresses_read(bad[i], addresses, &count, &err) != EMB_ERR_INVALID_ARGUMENT)
            fail_msg("\"%s\" was accepted", bad[i]);
    for (size_t i = 0; i < ADDRESSES_MAX + 1; i++)
        memcpy(many + 2 * i, "h,", 2);
    many[2 * ADDRESSES_MAX + 1] = '\0';
    assert_int_equal(addresses_read(many, addresses, &count, &err), EMB_ERR_INVALID_ARGUMENT);
    many[2 * ADDRESSES_MAX - 1] = '\0';
    assert_int_equal(addresses_read(many, addresses, &count, &err), EMB_OK);
    assert_int_equal(count, ADDRESSES_MAX);
    memset(longest, 'h', sizeof longest);
    longest[254] = '\0';
    assert_int_equal(addresses_read(longest, addresses, &count, &err), EMB_ERR_INVALID_ARGUMENT);
    longest[253] = '\0';
    assert_int_equal(addresses_read(longest, addresses, &count, &err), EMB_OK);
}

static void test_histogram(void **state)
{
    static struct histogram h;
    (void)state;

    assert_int_equal(histogram_at(&h, 500), 0);
    for (uint64_t value = 1; value <= 100000; value++)
        histogram_add(&h, value, 1);
    const unsigned marks[] = {100, 500, 900, 990, 999};
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        uint64_t exact = 100 * (uint64_t)marks[i];
        uint64_t got = histogram_at(&h, marks[i]);
        assert_true(got >= exact && got <= exact + exact / 15 + 1);
    }
    assert_int_equal(histogram_at(&h, 1000), 100000);
    histogram_add(&h, UINT64_MAX, 1);
    assert_true(histogram_at(&h, 1000) == UINT64_MAX);
    memset(&h, 0, sizeof h);
    histogram_add(&h, 15, 999);
    histogram_add(&h, 16, 1);
    assert_int_equal(histogram_at(&h, 999), 15);
    assert_int_equal(histogram_at(&h, 1000), 16);
}

/* A caller compiled against a shorter struct gets defaults for what he does not know. */
static void test_options_of_an_older_caller(void **state)
{
    struct emb_publisher_options given;
    struct emb_publisher_options options;
    const size_t old = offsetof(struct emb_publisher_options, compression);
    (void)state;

    memset(&given, 0xff, sizeof given);
    emb_publisher_options_init_sized(&given, old);
    assert_int_equal(given.struct_bytes, old);
    assert_int_equal(given.compression, -1); /* not touched */
    given.linger_us = 5;
    assert_int_equal(publisher_options_read(&given, &options, NULL), EMB_OK);
    assert_int_equal(options.linger_us, 5);
    assert_int_equal(options.compression, 0);
    assert_int_equal(options.max_in_flight, 16);
    assert_null(options.on_message);
}

static void test_options_bad(void **state)
{
    struct emb_publisher_options given;
    struct emb_publisher_options options;
    struct emb_topic_settings settings;
    struct topic_settings read;
    struct error err;
    (void)state;

    emb_publisher_options_init(&given);
    given.batch_bytes_min = given.batch_bytes_max + 1;
    assert_int_equal(publisher_options_read(&given, &options, &err), EMB_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, "batch_bytes_min is 1114113"));
    emb_publisher_options_init(&given);
    given.max_in_flight = 17;
    assert_int_equal(publisher_options_read(&given, &options, &err), EMB_ERR_INVALID_ARGUMENT);
    emb_publisher_options_init(&given);
    given.compression = 2;
    assert_int_equal(publisher_options_read(&given, &options, &err), EMB_ERR_INVALID_ARGUMENT);
    emb_topic_settings_init(&settings);
    settings.order = -1;
    assert_int_equal(topic_settings_read(&settings, &read, &err), EMB_ERR_INVALID_SETTING);
    settings.order = 5;
    settings.replicas = 300; /* not 44 */
    assert_int_equal(topic_settings_read(&settings, &read, &err), EMB_ERR_INVALID_SETTING);
    settings.replicas = 1;
    settings.min_insync = 2;
    assert_int_equal(topic_settings_read(&settings, &read, &err), EMB_ERR_INVALID_SETTING);
    assert_int_equal(topic_settings_read(NULL, &read, &err), EMB_OK);
    assert_int_equal(read.order, 5);
    assert_int_equal(read.replicas, 2);
}

static struct emb_client *client_connect(const char *brokers)
{
    struct emb_client_options options;
    struct emb_client *client;
    struct emb_error err;

    emb_client_options_init(&options);
    options.brokers = brokers;
    options.name = "test";
    options.timeout_ms = 2000;
    if (emb_client_open(&options, &client, &err) != EMB_OK)
        fail_msg("%s", err.text);
    return client;
}

static void test_topics(void **state)
{
    struct fake_rack rack;
    struct emb_topic_settings settings;
    struct emb_topic_info info;
    struct emb_topic_info *topics;
    struct emb_error err;
    size_t count;
    (void)state;

    fake_rack_init(&rack, 2);
    fake_rack_start(&rack);
    struct emb_client *client = client_connect(rack.address);
    emb_topic_settings_init(&settings);
    settings.order = EMB_ORDER_CLIENT_BROKER;
    settings.replicas = 1;
    settings.gap = EMB_GAP_SKIP;
    settings.gap_timeout_us = 1234;
    assert_int_equal(emb_topic_create(client, "new", &settings, &info, &err), EMB_OK);
    assert_string_equal(info.name, "new");
    assert_int_equal(info.settings.order, 4);
    assert_int_equal(info.settings.gap, 1);
    assert_int_equal(info.settings.gap_timeout_us, 1234);
    assert_int_equal(emb_topic_create(client, "orders", NULL, NULL, &err), EMB_ERR_TOPIC_EXISTS);
    assert_int_equal(emb_topic_create(client, "bad/name", NULL, NULL, &err), EMB_ERR_INVALID_TOPIC);
    assert_int_equal(emb_topic_create(client, NULL, NULL, NULL, &err), EMB_ERR_INVALID_TOPIC);
    assert_int_equal(emb_topic_describe(client, "orders", &info, &err), EMB_OK);
    assert_int_equal(info.id, 7);
    assert_int_equal(emb_topic_describe(client, "missing", &info, NULL), EMB_ERR_UNKNOWN_TOPIC);
    assert_int_equal(emb_topic_delete(client, "orders", &err), EMB_OK);
    assert_int_equal(emb_topic_delete(client, "missing", &err), EMB_ERR_UNKNOWN_TOPIC);
    assert_int_equal(emb_topic_list(client, &topics, &count, &err), EMB_OK);
    assert_int_equal(count, 2);
    assert_string_equal(topics[0].name, "orders");
    assert_string_equal(topics[1].name, "second");
    emb_topic_list_free(topics);
    assert_int_equal(emb_client_close(client, &err), EMB_OK);
    fake_rack_stop(&rack);
    fake_rack_free(&rack);
}

static void item_note(void *arg, const struct emb_status_item *item)
{
    char *text = arg;
    size_t at = strlen(text);
    snprintf(text + at, 256 - at, "%s[%u].%s=%s%llu;", item->table, item->row, item->name,
             item->text, (unsigned long long)item->number);
}

static void test_status_and_brokers(void **state)
{
    struct fake_rack rack;
    struct emb_rack seen;
    struct emb_broker brokers[3];
    struct emb_error err;
    char text[256] = "";
    (void)state;

    fake_rack_init(&rack, 2);
    fake_rack_start(&rack);
    struct emb_client *client = client_connect(rack.address);
    assert_int_equal(emb_client_brokers(client, brokers, 1), 2);
    assert_int_equal(brokers[0].port, rack.ports[0]);
    emb_client_rack(client, &seen);
    assert_int_equal(seen.broker_count, 2);
    assert_int_equal(seen.brokers[1].port, rack.ports[1]);
    assert_int_equal(seen.max_batch_bytes, 4 << 20);
    assert_int_equal(emb_status(client, 1, item_note, text, &err), EMB_OK);
    assert_string_equal(text, "lane[1].slots=42;lane[1].chain=0,10;");
    assert_int_equal(emb_status(client, 2, item_note, text, &err), EMB_ERR_INVALID_ARGUMENT);
    assert_int_equal(emb_client_close(client, &err), EMB_OK);
    fake_rack_stop(&rack);
    fake_rack_free(&rack);
}

/* The second address answers; nobody does; a port that says nothing. */
static void test_open(void **state)
{
    struct fake_rack rack;
    struct emb_client_options options;
    struct emb_client *client;
    struct emb_error err;
    char brokers[128];
    (void)state;

    fake_rack_init(&rack, 2);
    rack.dead_brokers = 2;
    fake_rack_start(&rack);
    snprintf(brokers, sizeof brokers, "tcp://127.0.0.1:%u,127.0.0.1:%u", rack.ports[1],
             rack.ports[0]);
    assert_int_equal(emb_client_close(client_connect(brokers), &err), EMB_OK);
    setenv("EMBARCADERO_BROKERS", brokers, 1);
    assert_int_equal(emb_client_close(client_connect(NULL), &err), EMB_OK);
    assert_int_equal(emb_client_close(client_connect(""), &err), EMB_OK);
    unsetenv("EMBARCADERO_BROKERS");
    emb_client_options_init(&options);
    options.timeout_ms = 300;
    snprintf(brokers, sizeof brokers, "tcp://127.0.0.1:%u", rack.ports[1]);
    options.brokers = brokers;
    assert_int_equal(emb_client_open(&options, &client, &err), EMB_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, brokers + 6));
    assert_null(client);
    options.brokers = "tcp://:1";
    assert_int_equal(emb_client_open(&options, &client, &err), EMB_ERR_INVALID_ARGUMENT);
    fake_rack_stop(&rack);
    fake_rack_free(&rack);
    assert_int_equal(emb_client_close(NULL, &err), EMB_OK);
}

/* A server of something else: it accepts, and does not speak. */
static void test_silent_server(void **state)
{
    struct env *env = env_create();
    struct env_poller *poller;
    struct env_socket *listener;
    struct emb_client_options options;
    struct emb_client *client;
    struct emb_error err;
    char brokers[64];
    (void)state;

    assert_int_equal(env_poller_create(env, &poller), EMB_OK);
    assert_int_equal(env_listen(poller, "127.0.0.1", 0, &listener, NULL), EMB_OK);
    emb_client_options_init(&options);
    options.timeout_ms = 100;
    snprintf(brokers, sizeof brokers, "127.0.0.1:%u", env_local_port(listener));
    options.brokers = brokers;
    assert_int_equal(emb_client_open(&options, &client, &err), EMB_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, brokers));
    env_close(listener);
    env_poller_destroy(poller);
    env_destroy(env);
}

/* What does not answer is passed over, and asked last from then on. */
static void test_silent_broker_is_passed_over(void **state)
{
    struct fake_rack rack;
    struct emb_topic_info info;
    struct emb_error err;
    char brokers[128];
    (void)state;

    fake_rack_init(&rack, 3);
    rack.mute_brokers = 3;
    fake_rack_start(&rack);
    snprintf(brokers, sizeof brokers, "tcp://127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u", rack.ports[0],
             rack.ports[1], rack.ports[2]);
    struct emb_client *client = client_connect(brokers);
    uint64_t start_ns = env_now_ns(rack.env);
    assert_int_equal(emb_topic_describe(client, "orders", &info, &err), EMB_OK);
    assert_in_range(env_now_ns(rack.env) - start_ns, 1, 300000000);
    assert_int_equal(emb_client_close(client, &err), EMB_OK);
    fake_rack_stop(&rack);
    fake_rack_free(&rack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_addresses_bad),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_options_of_an_older_caller),
        cmocka_unit_test(test_options_bad),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_status_and_brokers),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_silent_server),
        cmocka_unit_test(test_silent_broker_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

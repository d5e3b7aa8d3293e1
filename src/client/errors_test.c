/* Each error of the client, of topics and of status: errors_rig.h. */
#include "client/errors_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- opening and closing --------------------------------------------------------------------- */

static int client_try(const struct emb_client_options *options, struct emb_error *err)
{
    struct emb_client *client = (struct emb_client *)err; /* must become NULL */

    int code = emb_client_open(options, &client, err);
    if (code != EMB_OK)
        assert_null(client);
    return code;
}

static void open_argument(void **state)
{
    struct emb_client_options options;
    struct emb_error err;
    char name[65];
    (void)state;

    memset(name, 'n', 64);
    name[64] = '\0';
    emb_client_options_init(&options);
    options.brokers = "tcp://good:1,bad:99999";
    EXPECT(&err, client_try(&options, &err), EMB_ERR_INVALID_ARGUMENT, "\"bad:99999\"",
           "1 to 65535", "tcp://host:port");
    options.brokers = "http://h:1";
    EXPECT(&err, client_try(&options, &err), EMB_ERR_INVALID_ARGUMENT, "http://h:1", "only tcp://");
    options.brokers = "h:1";
    options.name = name;
    EXPECT(&err, client_try(&options, &err), EMB_ERR_INVALID_ARGUMENT, "name has 64", "at most 63");
    options.name = NULL;
    options.timeout_ms = 0;
    EXPECT(&err, client_try(&options, &err), EMB_ERR_INVALID_ARGUMENT, "timeout_ms is 0", "1 to");
    memset(&options, 0, sizeof options);
    EXPECT(&err, client_try(&options, &err), EMB_ERR_INVALID_ARGUMENT, "struct_bytes is 0",
           "emb_client_options_init");
    setenv("EMBARCADERO_BROKERS", "tcp://from-env:x", 1);
    EXPECT(&err, client_try(NULL, &err), EMB_ERR_INVALID_ARGUMENT, "from-env:x");
    unsetenv("EMBARCADERO_BROKERS");
}

static void open_unavailable(void **state)
{
    struct emb_client_options options;
    struct emb_error err;
    (void)state;

    emb_client_options_init(&options);
    options.brokers = "127.0.0.1:1,127.0.0.1:2";
    options.timeout_ms = LONG_MS;
    EXPECT(&err, client_try(&options, &err), EMB_ERR_UNAVAILABLE, "127.0.0.1:2", "refused");
    options.brokers = "no-such-host.invalid:7";
    EXPECT(&err, client_try(&options, &err), EMB_ERR_UNAVAILABLE, "no-such-host.invalid");
}

/* The greeting is answered by something odd. */
static int open_odd(enum fake_odd odd, int code, struct emb_error *err)
{
    struct emb_client_options options;
    struct scene s;

    scene_init(&s);
    s.rack.odd = odd;
    s.rack.odd_type = FRAME_HELLO;
    s.rack.odd_code = code;
    s.rack.odd_text = "1000 connections are the limit";
    fake_rack_start(&s.rack);
    emb_client_options_init(&options);
    options.brokers = s.rack.address;
    options.timeout_ms = odd == FAKE_ODD_SILENT ? SHORT_MS : LONG_MS;
    int got = client_try(&options, err);
    fake_rack_stop(&s.rack);
    fake_rack_free(&s.rack);
    return got;
}

static void open_unanswered(void **state)
{
    struct emb_error err;
    (void)state;

    EXPECT(&err, open_odd(FAKE_ODD_SILENT, 0, &err), EMB_ERR_UNAVAILABLE, "127.0.0.1:", "in time");
    EXPECT(&err, open_odd(FAKE_ODD_CLOSE, 0, &err), EMB_ERR_UNAVAILABLE, "127.0.0.1:", "closed");
}

static void open_protocol(void **state)
{
    struct emb_error err;
    (void)state;

    EXPECT(&err, open_odd(FAKE_ODD_WRONG, 0, &err), EMB_ERR_PROTOCOL, "127.0.0.1:", "SESSION_CLOSE",
           "HELLO_OK");
}

static void open_version(void **state)
{
    struct emb_error err;
    (void)state;

    EXPECT(&err, open_odd(FAKE_ODD_ERROR, EMB_ERR_VERSION, &err), EMB_ERR_VERSION, "127.0.0.1:");
}

/* Of the broker's connections, and of this process' descriptors. */
static void open_limit(void **state)
{
    struct rlimit before, few;
    struct emb_error err;
    (void)state;

    EXPECT(&err, open_odd(FAKE_ODD_ERROR, EMB_ERR_LIMIT, &err), EMB_ERR_LIMIT,
           "127.0.0.1:", "1000 connections");
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(next);
    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    int code = client_try(NULL, &err);
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT(&err, code, EMB_ERR_LIMIT, "raise the limit of open files");
}

static void close_busy(void **state)
{
    struct emb_subscriber *subscriber;
    struct emb_publisher *publisher;
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
    assert_int_equal(emb_publisher_open(s.client, "orders", NULL, &publisher, &s.err), EMB_OK);
    assert_int_equal(emb_subscriber_open(s.client, "orders", NULL, &subscriber, &s.err), EMB_OK);
    EXPECT(&s.err, emb_client_close(s.client, &s.err), EMB_ERR_BUSY, "2 publishers and subs");
    emb_subscriber_close(subscriber);
    EXPECT(&s.err, emb_client_close(s.client, &s.err), EMB_ERR_BUSY, "1 publishers and subs");
    assert_int_equal(emb_publisher_close(publisher, LONG_MS, &s.err), EMB_OK);
    scene_end(&s);
}

/* ---- questions: each function, and what can become of its frame ------------------------------ */

struct question {
    uint8_t frame;
    const char *frame_name;
    int (*call)(struct emb_client *client, const char *topic, struct emb_error *err);
};

static int call_create(struct emb_client *client, const char *topic, struct emb_error *err)
{
    struct emb_topic_info info;
    return emb_topic_create(client, topic, NULL, &info, err);
}

static int call_describe(struct emb_client *client, const char *topic, struct emb_error *err)
{
    struct emb_topic_info info;
    return emb_topic_describe(client, topic, &info, err);
}

static int call_list(struct emb_client *client, const char *topic, struct emb_error *err)
{
    struct emb_topic_info *topics = (struct emb_topic_info *)err;
    size_t count = 7;
    (void)topic;

    int code = emb_topic_list(client, &topics, &count, err);
    assert_null(topics);
    assert_int_equal(count, 0);
    return code;
}

static void item_refuse(void *arg, const struct emb_status_item *item)
{
    (void)arg;
    fail_msg("the item %s of no answer", item->name);
}

static int call_status(struct emb_client *client, const char *topic, struct emb_error *err)
{
    (void)topic;
    return emb_status(client, EMB_BROKER_ANY, item_refuse, NULL, err);
}

static const struct question create = {FRAME_TOPIC_CREATE, "TOPIC_CREATE", call_create};
static const struct question describe = {FRAME_TOPIC_DESCRIBE, "TOPIC_DESCRIBE", call_describe};
static const struct question delete = {FRAME_TOPIC_DELETE, "TOPIC_DELETE", emb_topic_delete};
static const struct question list = {FRAME_TOPIC_LIST, "TOPIC_LIST", call_list};
static const struct question status = {FRAME_STATUS, "STATUS", call_status};

static void ask_odd(const struct question *question, enum fake_odd odd, int said, int code,
                    const char *words, const char *more)
{
    struct scene s;

    scene_init(&s);
    s.rack.odd = odd;
    s.rack.odd_type = question->frame;
    s.rack.odd_code = said;
    s.rack.odd_text = "the broker's own words";
    scene_start(&s, odd == FAKE_ODD_SILENT ? SHORT_MS : LONG_MS);
    EXPECT(&s.err, question->call(s.client, "new", &s.err), code, "127.0.0.1:", words, more);
    assert_int_equal(question->call(s.client, "new", NULL), code); /* and without a place for it */
    scene_end(&s);
}

static void asked_in_silence(void **state)
{
    const struct question *question = *state;
    ask_odd(question, FAKE_ODD_SILENT, 0, EMB_ERR_TIMEOUT, question->frame_name, "no answer");
}

static void asked_and_closed(void **state)
{
    ask_odd(*state, FAKE_ODD_CLOSE, 0, EMB_ERR_CLOSED, "the broker closed", "connection");
}

static void asked_and_answered_wrong(void **state)
{
    const struct question *question = *state;
    ask_odd(question, FAKE_ODD_WRONG, 0, EMB_ERR_PROTOCOL, "SESSION_CLOSE", question->frame_name);
}

static void asked_and_limited(void **state)
{
    ask_odd(*state, FAKE_ODD_ERROR, EMB_ERR_LIMIT, EMB_ERR_LIMIT, "the broker's own", "words");
}

static void asked_for_what_is_not_there(void **state)
{
    ask_odd(*state, FAKE_ODD_ERROR, EMB_ERR_NOT_SUPPORTED, EMB_ERR_NOT_SUPPORTED,
            "the broker's own", "words");
}

/* Each question makes a connection; the client's own was the last that the broker took. */
static void asked_at_a_full_broker(void **state)
{
    const struct question *question = *state;
    struct scene s;

    scene_init(&s);
    s.rack.odd = FAKE_ODD_ERROR;
    s.rack.odd_type = FRAME_HELLO;
    s.rack.odd_after = 1;
    s.rack.odd_code = EMB_ERR_LIMIT;
    s.rack.odd_text = "1000 connections are the limit";
    scene_start(&s, LONG_MS);
    EXPECT(&s.err, question->call(s.client, "orders", &s.err), EMB_ERR_LIMIT,
           "127.0.0.1:", "1000 connections");
    scene_end(&s);
}

static void asked_nobody(void **state)
{
    const struct question *question = *state;
    struct scene s;

    scene_init(&s);
    scene_start(&s, LONG_MS);
    scene_leave(&s);
    EXPECT(&s.err, question->call(s.client, "new", &s.err), EMB_ERR_UNAVAILABLE,
           s.rack.address + strlen("tcp://"), "refused");
    scene_end(&s);
    ask_odd(question, FAKE_ODD_ERROR, EMB_ERR_UNAVAILABLE, EMB_ERR_UNAVAILABLE, "the broker's own",
            "words");
}

static void asked_of_a_bad_name(void **state)
{
    const struct question *question = *state;
    char name[251];
    struct scene s;

    memset(name, 'n', 250);
    name[250] = '\0';
    scene_init(&s);
    scene_start(&s, LONG_MS);
    EXPECT(&s.err, question->call(s.client, "or/ders", &s.err), EMB_ERR_INVALID_TOPIC, "0x2f at 2",
           "letters, digits");
    EXPECT(&s.err, question->call(s.client, "", &s.err), EMB_ERR_INVALID_TOPIC, "0 bytes", "1 to");
    EXPECT(&s.err, question->call(s.client, name, &s.err), EMB_ERR_INVALID_TOPIC, "250 bytes",
           "249");
    EXPECT(&s.err, question->call(s.client, "..", &s.err), EMB_ERR_INVALID_TOPIC, "\"..\"");
    scene_end(&s);
}

static void asked_of_an_unknown_topic(void **state)
{
    const struct question *question = *state;
    struct scene s;

    scene_init(&s);
    scene_start(&s, LONG_MS);
    EXPECT(&s.err, question->call(s.client, "missing", &s.err), EMB_ERR_UNKNOWN_TOPIC,
           "127.0.0.1:", "missing");
    scene_end(&s);
}

/* ---- what only some ask ---------------------------------------------------------------------- */

static void create_exists(void **state)
{
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
    EXPECT(&s.err, call_create(s.client, "orders", &s.err), EMB_ERR_TOPIC_EXISTS, "orders");
    scene_end(&s);
}

static void create_argument(void **state)
{
    const struct emb_topic_settings none = {0};
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
    EXPECT(&s.err, emb_topic_create(s.client, "new", &none, NULL, &s.err), EMB_ERR_INVALID_ARGUMENT,
           "struct_bytes is 0", "emb_topic_settings_init");
    scene_end(&s);
}

static void create_setting(void **state)
{
    struct emb_topic_settings t;
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
#define SETTING(member, value, words, accepted)                                                    \
    do {                                                                                           \
        emb_topic_settings_init(&t);                                                               \
        t.member = value;                                                                          \
        EXPECT(&s.err, emb_topic_create(s.client, "new", &t, NULL, &s.err),                        \
               EMB_ERR_INVALID_SETTING, words, accepted);                                          \
    } while (0)
    SETTING(order, -1, "order is -1", "0 to 5");
    SETTING(order, 6, "order is 6", "0 to 5");
    SETTING(gap, 2, "gap is 2", "0 to 1");
    SETTING(durability, 7, "durability is 7", "0 to 1");
    SETTING(replicas, 9, "replicas is 9", "0 to 8");
    SETTING(min_insync, 3, "min_insync is 3", "number of replicas, 2");
    t.min_insync = 0;
    t.order = EMB_ORDER_TOTAL;
    t.gap = EMB_GAP_SKIP;
    EXPECT(&s.err, emb_topic_create(s.client, "new", &t, NULL, &s.err), EMB_ERR_INVALID_SETTING,
           "skip with order 2", "choose fence");
    scene_end(&s);
}

static void status_argument(void **state)
{
    struct scene s;
    (void)state;

    scene_init(&s);
    scene_start(&s, LONG_MS);
    EXPECT(&s.err, emb_status(s.client, 2, item_refuse, NULL, &s.err), EMB_ERR_INVALID_ARGUMENT,
           "broker 2", "0 to 1");
    EXPECT(&s.err, emb_status(s.client, -2, item_refuse, NULL, &s.err), EMB_ERR_INVALID_ARGUMENT,
           "broker -2", "0 to 1");
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(emb_client_open, INVALID_ARGUMENT, open_argument),
        ROW(emb_client_open, UNAVAILABLE, open_unavailable),
        ROW(emb_client_open, UNAVAILABLE, open_unanswered),
        ROW(emb_client_open, PROTOCOL, open_protocol),
        ROW(emb_client_open, VERSION, open_version),
        ROW(emb_client_open, LIMIT, open_limit),
        ROW(emb_client_close, BUSY, close_busy),
        ROW(emb_topic_create, INVALID_ARGUMENT, create_argument),
        ROW_OF(emb_topic_create, INVALID_TOPIC, asked_of_a_bad_name, &create),
        ROW(emb_topic_create, INVALID_SETTING, create_setting),
        ROW(emb_topic_create, TOPIC_EXISTS, create_exists),
        ROW_OF(emb_topic_create, NOT_SUPPORTED, asked_for_what_is_not_there, &create),
        ROW_OF(emb_topic_create, LIMIT, asked_and_limited, &create),
        ROW_OF(emb_topic_create, LIMIT, asked_at_a_full_broker, &create),
        ROW_OF(emb_topic_create, UNAVAILABLE, asked_nobody, &create),
        ROW_OF(emb_topic_create, TIMEOUT, asked_in_silence, &create),
        ROW_OF(emb_topic_create, CLOSED, asked_and_closed, &create),
        ROW_OF(emb_topic_create, PROTOCOL, asked_and_answered_wrong, &create),
        ROW_OF(emb_topic_describe, INVALID_TOPIC, asked_of_a_bad_name, &describe),
        ROW_OF(emb_topic_describe, UNKNOWN_TOPIC, asked_of_an_unknown_topic, &describe),
        ROW_OF(emb_topic_describe, LIMIT, asked_at_a_full_broker, &describe),
        ROW_OF(emb_topic_describe, UNAVAILABLE, asked_nobody, &describe),
        ROW_OF(emb_topic_describe, TIMEOUT, asked_in_silence, &describe),
        ROW_OF(emb_topic_describe, CLOSED, asked_and_closed, &describe),
        ROW_OF(emb_topic_describe, PROTOCOL, asked_and_answered_wrong, &describe),
        ROW_OF(emb_topic_delete, INVALID_TOPIC, asked_of_a_bad_name, &delete),
        ROW_OF(emb_topic_delete, UNKNOWN_TOPIC, asked_of_an_unknown_topic, &delete),
        ROW_OF(emb_topic_delete, LIMIT, asked_at_a_full_broker, &delete),
        ROW_OF(emb_topic_delete, UNAVAILABLE, asked_nobody, &delete),
        ROW_OF(emb_topic_delete, TIMEOUT, asked_in_silence, &delete),
        ROW_OF(emb_topic_delete, CLOSED, asked_and_closed, &delete),
        ROW_OF(emb_topic_delete, PROTOCOL, asked_and_answered_wrong, &delete),
        ROW_OF(emb_topic_list, LIMIT, asked_at_a_full_broker, &list),
        ROW_OF(emb_topic_list, UNAVAILABLE, asked_nobody, &list),
        ROW_OF(emb_topic_list, TIMEOUT, asked_in_silence, &list),
        ROW_OF(emb_topic_list, CLOSED, asked_and_closed, &list),
        ROW_OF(emb_topic_list, PROTOCOL, asked_and_answered_wrong, &list),
        ROW(emb_status, INVALID_ARGUMENT, status_argument),
        ROW_OF(emb_status, LIMIT, asked_at_a_full_broker, &status),
        ROW_OF(emb_status, UNAVAILABLE, asked_nobody, &status),
        ROW_OF(emb_status, TIMEOUT, asked_in_silence, &status),
        ROW_OF(emb_status, CLOSED, asked_and_closed, &status),
        ROW_OF(emb_status, PROTOCOL, asked_and_answered_wrong, &status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

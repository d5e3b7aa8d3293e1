/* Topics from creation to deletion, and everything that is refused on the way, with its reason. */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "tests/flow.h"

static void assert_error(int got, int code, const struct emb_error *err, const char *text)
{
    if (got != code || err->code != code)
        fail_msg("%s was expected, not %s: \"%s\"", emb_error_name(code), emb_error_name(got),
                 err->text);
    if (!strstr(err->text, text))
        fail_msg("\"%s\" does not name \"%s\"", err->text, text);
}

static void settings_survive(void **state)
{
    struct rig *rig = *state;
    struct emb_topic_settings settings;
    struct emb_topic_info made, read;
    struct emb_error err = {0};
    rig_start(rig);
    emb_topic_settings_init(&settings);
    settings.replicas = 2;
    settings.min_insync = 1;
    settings.gap = EMB_GAP_SKIP;
    settings.durability = EMB_DURABILITY_PERIODIC;
    settings.gap_timeout_us = 12345;
    if (emb_topic_create(rig->client, "A.b_c-9", &settings, &made, &err))
        fail_msg("%s", err.text);
    struct emb_client *other = rig_client(rig, 3);
    if (emb_topic_describe(rig->client, "A.b_c-9", &read, &err))
        fail_msg("%s", err.text);
    assert_string_equal(read.name, "A.b_c-9");
    assert_int_equal(read.id, made.id);
    assert_int_equal(read.settings.order, EMB_ORDER_CLIENT);
    assert_int_equal(read.settings.replicas, 2);
    assert_int_equal(read.settings.min_insync, 1);
    assert_int_equal(read.settings.gap, EMB_GAP_SKIP);
    assert_int_equal(read.settings.durability, EMB_DURABILITY_PERIODIC);
    assert_int_equal(read.settings.gap_timeout_us, 12345);
    assert_int_equal(read.first_offset, 0);
    assert_int_equal(read.next_offset, 0);
    assert_int_equal(read.durable_offset, 0);
    assert_int_equal(emb_client_close(other, NULL), EMB_OK);
    rig_stop(rig);
}

static void list_shows_what_is_there(void **state)
{
    struct rig *rig = *state;
    const char *const names[] = {"one", "two", "three"};
    struct emb_topic_info *topics;
    struct emb_error err = {0};
    size_t count = 99;
    rig_start(rig);
    assert_int_equal(emb_topic_list(rig->client, &topics, &count, &err), EMB_OK);
    assert_int_equal(count, 0);
    emb_topic_list_free(topics);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        rig_topic(rig, names[i], EMB_ORDER_CLIENT, 2);
    assert_int_equal(emb_topic_delete(rig->client, "two", &err), EMB_OK);
    assert_int_equal(emb_topic_list(rig->client, &topics, &count, &err), EMB_OK);
    assert_int_equal(count, 2);
    assert_string_equal(topics[0].name, "one");
    assert_string_equal(topics[1].name, "three");
    emb_topic_list_free(topics);
    rig_stop(rig);
}

struct refusal {
    const char *name;
    struct emb_topic_settings settings;
    int code;
    const char *text;
};

static void impossible_topics_are_refused(void **state)
{
    struct rig *rig = *state;
    char long_name[EMB_TOPIC_NAME_BYTES + 8];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    const size_t bytes = sizeof(struct emb_topic_settings);
    const struct refusal refusals[] = {
        {"", {bytes, 5, 2, 0, 0, 0, 0}, EMB_ERR_INVALID_TOPIC, "249"},
        {long_name, {bytes, 5, 2, 0, 0, 0, 0}, EMB_ERR_INVALID_TOPIC, "249"},
        {"a b", {bytes, 5, 2, 0, 0, 0, 0}, EMB_ERR_INVALID_TOPIC, "0x20"},
        {"a/b", {bytes, 5, 2, 0, 0, 0, 0}, EMB_ERR_INVALID_TOPIC, "0x2f"},
        {"..", {bytes, 5, 2, 0, 0, 0, 0}, EMB_ERR_INVALID_TOPIC, ".."},
        {"t", {bytes, 6, 2, 0, 0, 0, 0}, EMB_ERR_INVALID_SETTING, "order is 6"},
        {"t", {bytes, -1, 2, 0, 0, 0, 0}, EMB_ERR_INVALID_SETTING, "order"},
        {"t", {bytes, 5, 9, 0, 0, 0, 0}, EMB_ERR_INVALID_SETTING, "replicas is 9"},
        {"t", {bytes, 5, 2, 3, 0, 0, 0}, EMB_ERR_INVALID_SETTING, "min_insync is 3"},
        {"t", {bytes, 5, 2, 0, 2, 0, 0}, EMB_ERR_INVALID_SETTING, "gap"},
        {"t", {bytes, 5, 2, 0, 0, 2, 0}, EMB_ERR_INVALID_SETTING, "durability"},
        {"t", {bytes, 0, 2, 0, EMB_GAP_SKIP, 0, 0}, EMB_ERR_INVALID_SETTING, "skip"},
        {"t", {bytes, 2, 2, 0, EMB_GAP_SKIP, 0, 0}, EMB_ERR_INVALID_SETTING, "order 2"},
        {"t", {bytes, 5, 8, 0, 0, 0, 0}, EMB_ERR_INVALID_SETTING, "8 replicas"},
    };
    struct emb_error err;
    size_t count = 99;
    struct emb_topic_info *topics;
    rig_start(rig);
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        const struct refusal *r = &refusals[i];
        err = (struct emb_error){0};
        int got = emb_topic_create(rig->client, r->name, &r->settings, NULL, &err);
        assert_error(got, r->code, &err, r->text);
    }
    assert_int_equal(emb_topic_list(rig->client, &topics, &count, &err), EMB_OK);
    assert_int_equal(count, 0);
    emb_topic_list_free(topics);
    rig_stop(rig);
}

static void a_name_is_taken_once(void **state)
{
    struct rig *rig = *state;
    struct emb_error err = {0};
    rig_start(rig);
    rig_topic(rig, "taken", EMB_ORDER_CLIENT, 2);
    struct emb_client *other = rig_client(rig, 2);
    assert_error(emb_topic_create(other, "taken", NULL, NULL, &err), EMB_ERR_TOPIC_EXISTS, &err,
                 "taken");
    assert_int_equal(emb_topic_delete(other, "taken", &err), EMB_OK);
    if (emb_topic_create(rig->client, "taken", NULL, NULL, &err))
        fail_msg("a deleted topic's name is not free: %s", err.text);
    assert_int_equal(emb_client_close(other, NULL), EMB_OK);
    rig_stop(rig);
}

static void unknown_topics_are_named(void **state)
{
    struct rig *rig = *state;
    struct emb_publisher *publisher = NULL;
    struct emb_subscriber *subscriber = NULL;
    struct emb_topic_info info;
    struct emb_error err = {0};
    rig_start(rig);
    assert_error(emb_topic_describe(rig->client, "nowhere", &info, &err), EMB_ERR_UNKNOWN_TOPIC,
                 &err, "nowhere");
    assert_error(emb_topic_delete(rig->client, "nowhere", &err), EMB_ERR_UNKNOWN_TOPIC, &err,
                 "nowhere");
    assert_error(emb_publisher_open(rig->client, "nowhere", NULL, &publisher, &err),
                 EMB_ERR_UNKNOWN_TOPIC, &err, "nowhere");
    assert_null(publisher);
    assert_error(emb_subscriber_open(rig->client, "nowhere", NULL, &subscriber, &err),
                 EMB_ERR_UNKNOWN_TOPIC, &err, "nowhere");
    assert_null(subscriber);
    rig_stop(rig);
}

static void topics_are_limited_by_the_region(void **state)
{
    struct rig *rig = *state;
    char name[16];
    struct emb_error err = {0};
    rig_start(rig);
    for (uint32_t i = 0; i < rig->options.geometry.topics; i++) {
        snprintf(name, sizeof name, "t%u", i);
        rig_topic(rig, name, EMB_ORDER_TOTAL, 0);
    }
    assert_error(emb_topic_create(rig->client, "more", NULL, NULL, &err), EMB_ERR_LIMIT, &err,
                 "16 topics");
    rig_stop(rig);
}

static void acks_need_what_the_topic_has(void **state)
{
    struct rig *rig = *state;
    struct emb_publisher_options options;
    struct emb_publisher *publisher = NULL;
    struct emb_error err = {0};
    rig_start(rig);
    rig_topic(rig, "memory", EMB_ORDER_CLIENT, 0);
    emb_publisher_options_init(&options);
    assert_error(emb_publisher_open(rig->client, "memory", &options, &publisher, &err),
                 EMB_ERR_INVALID_SETTING, &err, "acks is 2");
    assert_null(publisher);
    options.acks = EMB_ACKS_ORDERED;
    if (emb_publisher_open(rig->client, "memory", &options, &publisher, &err))
        fail_msg("%s", err.text);
    assert_int_equal(emb_publisher_close(publisher, 0, NULL), EMB_OK);
    options.acks = 3;
    assert_error(emb_publisher_open(rig->client, "memory", &options, &publisher, &err),
                 EMB_ERR_INVALID_ARGUMENT, &err, "acks is 3");
    rig_stop(rig);
}

static void a_deleted_topic_takes_no_more(void **state)
{
    struct rig *rig = *state;
    struct emb_publisher *publisher;
    struct emb_subscriber *subscriber;
    struct emb_message message = {.value = "v", .value_bytes = 1};
    struct emb_error err = {0};
    rig_start(rig);
    rig_topic(rig, "gone", EMB_ORDER_CLIENT, 2);
    assert_int_equal(emb_publisher_open(rig->client, "gone", NULL, &publisher, &err), EMB_OK);
    assert_int_equal(emb_subscriber_open(rig->client, "gone", NULL, &subscriber, &err), EMB_OK);
    if (emb_publish_wait(publisher, &message, rig_patience_ms(), NULL, &err))
        fail_msg("%s", err.text);
    assert_int_equal(emb_subscriber_next(subscriber, &message, rig_patience_ms(), &err), 1);
    assert_int_equal(emb_topic_delete(rig->client, "gone", &err), EMB_OK);
    ASSERT_CODE(emb_publish_wait(publisher, &message, rig_patience_ms(), NULL, &err),
                EMB_ERR_UNKNOWN_TOPIC);
    ASSERT_CODE(emb_subscriber_next(subscriber, &message, rig_patience_ms(), &err),
                EMB_ERR_UNKNOWN_TOPIC);
    emb_subscriber_close(subscriber);
    emb_publisher_close(publisher, 0, NULL);
    rig_topic(rig, "gone", EMB_ORDER_CLIENT, 2);
    struct emb_topic_info info;
    assert_int_equal(emb_topic_describe(rig->client, "gone", &info, &err), EMB_OK);
    assert_int_equal(info.next_offset, 0);
    rig_stop(rig);
}

struct status_seen {
    uint32_t items;
    bool has_topic;
};

static void see_status(void *arg, const struct emb_status_item *item)
{
    struct status_seen *seen = arg;
    seen->items++;
    seen->has_topic |= strcmp(item->table, "topic") == 0 && strcmp(item->text, "seen") == 0;
}

static void status_shows_every_node(void **state)
{
    struct rig *rig = *state;
    struct emb_error err = {0};
    rig_start(rig);
    rig_topic(rig, "seen", EMB_ORDER_CLIENT, 2);
    for (int broker = 0; broker < (int)rig->options.nodes; broker++) {
        struct status_seen seen = {0};
        if (emb_status(rig->client, broker, see_status, &seen, &err))
            fail_msg("broker %d: %s", broker, err.text);
        assert_true(seen.items > 0);
    }
    assert_error(emb_status(rig->client, 4, see_status, NULL, &err), EMB_ERR_INVALID_ARGUMENT, &err,
                 "broker 4");
    rig_stop(rig);
}

int main(void)
{
    const struct rig_case cases[] = {
        {"settings_survive", settings_survive, RIG_EVERYWHERE},
        {"list_shows_what_is_there", list_shows_what_is_there, RIG_EVERYWHERE},
        {"impossible_topics_are_refused", impossible_topics_are_refused, RIG_EVERYWHERE},
        {"a_name_is_taken_once", a_name_is_taken_once, RIG_EVERYWHERE},
        {"unknown_topics_are_named", unknown_topics_are_named, RIG_EVERYWHERE},
        {"topics_are_limited_by_the_region", topics_are_limited_by_the_region, RIG_EVERYWHERE},
        {"acks_need_what_the_topic_has", acks_need_what_the_topic_has, RIG_EVERYWHERE},
        {"a_deleted_topic_takes_no_more", a_deleted_topic_takes_no_more, RIG_EVERYWHERE},
        {"status_shows_every_node", status_shows_every_node, RIG_EVERYWHERE},
    };
    return rig_run("e2e-topic", cases, COUNT_OF(cases));
}

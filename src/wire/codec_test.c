#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/random.h"
#include "wire/bodies.h"

/* A structure and its golden bytes, written down from the tables of docs/formats.md. */
struct sample {
    const char *name;
    enum body_kind kind;
    union body body;
    size_t bytes;
    unsigned char golden[80];
};

/* clang-format off */
#define GOLDEN(...) .bytes = sizeof((unsigned char[]){__VA_ARGS__}), .golden = {__VA_ARGS__}
#define SETTINGS {.order = 5, .replicas = 2, .min_insync = 1, .gap = 1, .durability = 1, \
                  .gap_timeout_us = 0x01020304}
#define SETTINGS_BYTES 5, 2, 1, 1, 1, 4, 3, 2, 1
#define INFO {.name = "t.1", .id = 0x0203, .settings = SETTINGS, .position = 0x11, \
              .first_offset = 0x22, .next_offset = 0x3344, .durable_offset = 0x33}
#define INFO_BYTES 3, 0, 't', '.', '1', 3, 2, SETTINGS_BYTES, \
    0x11, 0, 0, 0, 0, 0, 0, 0, 0x22, 0, 0, 0, 0, 0, 0, 0, \
    0x44, 0x33, 0, 0, 0, 0, 0, 0, 0x33, 0, 0, 0, 0, 0, 0, 0
static const struct sample samples[] = {
    {"hello", BODY_hello, {.hello = {"abc"}}, GOLDEN(3, 0, 'a', 'b', 'c')},
    {"hello-ok", BODY_hello_ok,
     {.hello_ok = {.node = 1, .life = 2, .max_batch_bytes = 4 << 20, .max_message_bytes = 1 << 20,
                   .broker_count = 2, .brokers = {{1, "h1", 9650}, {31, "::1", 65535}}}},
     GOLDEN(1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0x10, 0, 2, 0, 0, 0,
            1, 0, 0, 0, 2, 0, 'h', '1', 0xb2, 0x25,
            31, 0, 0, 0, 3, 0, ':', ':', '1', 0xff, 0xff)},
    {"topic-settings", BODY_topic_settings, {.topic_settings = SETTINGS}, GOLDEN(SETTINGS_BYTES)},
    {"topic-info", BODY_topic_info, {.topic_info = INFO}, GOLDEN(INFO_BYTES)},
    {"publish-open", BODY_publish_open,
     {.publish_open = {0x0203, 0x123456789abc0007ULL, 2, 0x1122}},
     GOLDEN(3, 2, 7, 0, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12, 2, 0x22, 0x11, 0, 0, 0, 0, 0, 0)},
    {"subscribe", BODY_subscribe,
     {.subscribe = {"t.1", START_TIMESTAMP, 1700000000000ULL, READ_LATEST, 0x51525354, 0x1122}},
     GOLDEN(3, 0, 't', '.', '1', 3, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 1, 0, 0, 1,
            0x54, 0x53, 0x52, 0x51, 0x22, 0x11, 0, 0, 0, 0, 0, 0)},
    {"ack-duplicate", BODY_ack_item, {.ack_item = {0x1718, 0x2728, EMB_OK, true}},
     GOLDEN(0x18, 0x17, 0, 0, 0, 0, 0, 0, 0x28, 0x27, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0)},
    {"ack-retry", BODY_ack_item, {.ack_item = {0x1718, UINT64_MAX, EMB_ERR_RETRY, false}},
     GOLDEN(0x18, 0x17, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            26, 0, 0, 0, 0, 0, 0, 0)},
    {"status-number", BODY_status_item,
     {.status_item = {.table = "lane", .row = 3, .name = "tail", .number = 0x0102}},
     GOLDEN(4, 0, 'l', 'a', 'n', 'e', 3, 0, 0, 0, 4, 0, 't', 'a', 'i', 'l', 0,
            2, 1, 0, 0, 0, 0, 0, 0)},
    {"status-text", BODY_status_item,
     {.status_item = {.table = "lane", .row = 3, .name = "chain", .is_text = true, .text = "0,1"}},
     GOLDEN(4, 0, 'l', 'a', 'n', 'e', 3, 0, 0, 0, 5, 0, 'c', 'h', 'a', 'i', 'n', 1,
            3, 0, '0', ',', '1')},
    {"error", BODY_error, {.error = {EMB_ERR_UNKNOWN_TOPIC, "no"}}, GOLDEN(16, 0, 2, 0, 'n', 'o')},
};
/* clang-format on */

/* Reads exactly these bytes, from a copy of their size so that an overrun is seen. */
static int get_body(enum body_kind kind, const unsigned char *bytes, size_t count, union body *body,
                    struct error *err)
{
    unsigned char *copy = malloc(count ? count : 1);
    memcpy(copy, bytes, count);
    struct wire_reader r;
    wire_reader_init(&r, copy, count, err);
    memset(body, 0xee, sizeof *body);
    body_get(kind, &r, body);
    int result = wire_reader_end(&r);
    free(copy);
    return result;
}

static void assert_bytes(const struct sample *sample, const union body *body)
{
    unsigned char bytes[128];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    body_put(sample->kind, &w, body);
    assert_false(w.overflow);
    assert_int_equal(w.used, sample->bytes);
    assert_memory_equal(bytes, sample->golden, sample->bytes);
}

static void bodies_have_their_golden_bytes(void **state)
{
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        union body body;
        assert_bytes(&samples[i], &samples[i].body);
        assert_int_equal(
            get_body(samples[i].kind, samples[i].golden, samples[i].bytes, &body, NULL), EMB_OK);
        assert_bytes(&samples[i], &body);
    }
    assert_int_equal(samples[6].bytes, ACK_ITEM_BYTES);
}

static void every_truncation_and_every_byte_more_is_refused(void **state)
{
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        const struct sample *sample = &samples[i];
        for (size_t count = 0; count <= sample->bytes + 1; count++) {
            union body body;
            struct error err = {0};
            int result = get_body(sample->kind, sample->golden, count, &body, &err);
            assert_int_equal(result, count == sample->bytes ? EMB_OK : EMB_ERR_PROTOCOL);
            assert_true(result == EMB_OK || (err.code == result && err.text[0]));
        }
    }
}

static void every_lack_of_room_is_told(void **state)
{
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        for (size_t capacity = 0; capacity < samples[i].bytes; capacity++) {
            unsigned char *bytes = malloc(capacity ? capacity : 1);
            struct wire_writer w;
            wire_writer_init(&w, bytes, capacity);
            body_put(samples[i].kind, &w, &samples[i].body);
            assert_true(w.overflow && w.used <= capacity);
            free(bytes);
        }
    }
}

/* Expects a refusal of the sample with one byte changed, and a text that has `word`. */
static void refuse_byte(size_t sample, size_t at, unsigned char value, const char *word)
{
    unsigned char bytes[80];
    union body body;
    struct error err = {0};
    memcpy(bytes, samples[sample].golden, samples[sample].bytes);
    bytes[at] = value;
    assert_int_equal(get_body(samples[sample].kind, bytes, samples[sample].bytes, &body, &err),
                     EMB_ERR_PROTOCOL);
    if (!strstr(err.text, word))
        fail_msg("\"%s\" does not name \"%s\"", err.text, word);
}

static void values_out_of_range_are_refused_by_name(void **state)
{
    refuse_byte(1, 16, 33, "broker count");
    refuse_byte(1, 19, 0xff, "broker count");
    refuse_byte(3, 1, 1, "topic name"); /* 259 bytes */
    refuse_byte(4, 10, 3, "acks");
    refuse_byte(5, 5, 4, "start");
    refuse_byte(5, 14, 2, "read level");
    refuse_byte(6, 18, 2, "duplicate");
    for (size_t at = 19; at < 24; at++)
        refuse_byte(6, at, 0x80, "reserved");
    refuse_byte(8, 16, 2, "status kind");
    refuse_byte(8, 2, 0, "status table");
    refuse_byte(10, 0, 0, "status");
}

static void the_longest_of_everything_fits(void **state)
{
    static struct hello_ok most, read;
    static unsigned char bytes[32 * 261 + 20];
    most.broker_count = 32;
    for (int i = 0; i < 32; i++) {
        most.brokers[i].node = (uint32_t)i;
        memset(most.brokers[i].host, 'a' + i % 26, HOST_NAME_MAX_BYTES);
    }
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    hello_ok_put(&w, &most);
    assert_false(w.overflow);
    assert_int_equal(w.used, 20 + 32 * (4 + 2 + 253 + 2));
    struct wire_reader r;
    wire_reader_init(&r, bytes, w.used, NULL);
    hello_ok_get(&r, &read);
    assert_int_equal(wire_reader_end(&r), EMB_OK);
    assert_memory_equal(&read, &most, sizeof most);
    most.broker_count = 33;
    wire_writer_init(&w, bytes, sizeof bytes);
    hello_ok_put(&w, &most);
    assert_true(w.overflow);
}

static void errors_are_cut_and_unknown_ones_kept_apart(void **state)
{
    char text[1000];
    unsigned char bytes[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct wire_writer w;
    struct wire_reader r;
    struct error error;
    wire_writer_init(&w, bytes, sizeof bytes);
    error_put(&w, EMB_ERR_BACKPRESSURE, text);
    assert_int_equal(w.used, 4 + ERROR_TEXT_BYTES - 1);
    wire_reader_init(&r, bytes, w.used, NULL);
    error_get(&r, &error);
    assert_int_equal(wire_reader_end(&r), EMB_OK);
    assert_int_equal(error.code, EMB_ERR_BACKPRESSURE);
    assert_int_equal(strlen(error.text), ERROR_TEXT_BYTES - 1);
    wire_reader_init(&r, "\xff\xff\0\0", 4, NULL);
    error_get(&r, &error);
    assert_int_equal(wire_reader_end(&r), EMB_OK);
    assert_int_equal(error.code, EMB_ERR_PROTOCOL);
}

/* Frames whose body is a list of fields, put together as their senders do it. */
static void bodies_of_several_parts_have_their_golden_bytes(void **state)
{
    static const struct topic_info info = INFO;
    unsigned char bytes[256];
    struct wire_writer w;
    wire_writer_init(&w, bytes, sizeof bytes);
    wire_put_text(&w, info.name); /* TOPIC_CREATE */
    topic_settings_put(&w, &info.settings);
    static const unsigned char create[] = {3, 0, 't', '.', '1', SETTINGS_BYTES};
    assert_int_equal(w.used, sizeof create);
    assert_memory_equal(bytes, create, sizeof create);

    wire_writer_init(&w, bytes, sizeof bytes);
    wire_put_u32(&w, 2); /* TOPIC_LIST_OK */
    topic_info_put(&w, &info);
    topic_info_put(&w, &info);
    static const unsigned char list[] = {2, 0, 0, 0, INFO_BYTES, INFO_BYTES};
    assert_int_equal(w.used, sizeof list);
    assert_memory_equal(bytes, list, sizeof list);

    wire_writer_init(&w, bytes, sizeof bytes);
    topic_info_put(&w, &info); /* SUBSCRIBE_OK */
    wire_put_u64(&w, 0x61);
    static const unsigned char subscribed[] = {INFO_BYTES, 0x61, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(w.used, sizeof subscribed);
    assert_memory_equal(bytes, subscribed, sizeof subscribed);

    wire_writer_init(&w, bytes, sizeof bytes);
    wire_put_u16(&w, 0x0203); /* SESSION_OPEN */
    wire_put_u64(&w, 0x1122);
    static const unsigned char open[] = {3, 2, 0x22, 0x11, 0, 0, 0, 0, 0, 0};
    assert_int_equal(w.used, sizeof open);
    assert_memory_equal(bytes, open, sizeof open);
}

static void mutations_never_crash(void **state)
{
    struct random_state random;
    struct error err;
    union body body;
    random_seed(&random, 3);
    for (int i = 0; i < 50000; i++) {
        const struct sample *sample = &samples[random_below(&random, COUNT_OF(samples))];
        unsigned char bytes[80];
        memcpy(bytes, sample->golden, sizeof bytes);
        for (uint64_t k = random_below(&random, 4); k; k--)
            bytes[random_below(&random, sample->bytes)] = (unsigned char)random_next(&random);
        int result =
            get_body(sample->kind, bytes, random_below(&random, sizeof bytes + 1), &body, &err);
        assert_true(result == EMB_OK || result == EMB_ERR_PROTOCOL);
    }
}

/* Writes seeds of the fuzz target: a byte that chooses the structure, and its bytes. */
static int write_corpus(const char *directory)
{
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/body-%s", directory, samples[i].name);
        FILE *file = fopen(path, "wb");
        if (!file || fputc((int)samples[i].kind + 1, file) == EOF ||
            fwrite(samples[i].golden, 1, samples[i].bytes, file) != samples[i].bytes ||
            fclose(file))
            abort();
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--corpus"))
        return write_corpus(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_have_their_golden_bytes),
        cmocka_unit_test(every_truncation_and_every_byte_more_is_refused),
        cmocka_unit_test(every_lack_of_room_is_told),
        cmocka_unit_test(values_out_of_range_are_refused_by_name),
        cmocka_unit_test(the_longest_of_everything_fits),
        cmocka_unit_test(errors_are_cut_and_unknown_ones_kept_apart),
        cmocka_unit_test(bodies_of_several_parts_have_their_golden_bytes),
        cmocka_unit_test(mutations_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

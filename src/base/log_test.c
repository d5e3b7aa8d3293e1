#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/bits.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

/* 2026-03-01 12:00:00.000250 UTC */
#define SOME_TIME 1772366400000250000ULL

static const struct log_field some_fields[] = {
    {"node", NULL, 3}, {"region", "shm:rack 1", 0}, {"brokers", "tcp://[::1]:9650", 0}};
static const struct log_line some_line = {LOG_LEVEL_INFO, SOME_TIME, "ready to \"serve\"",
                                          some_fields, COUNT_OF(some_fields)};

static char line_text[LOG_LINE_BYTES];

static void assert_line(enum log_form form, const struct log_line *line, const char *wanted)
{
    size_t bytes = log_format(line_text, sizeof line_text, form, line);
    assert_string_equal(line_text, wanted);
    assert_int_equal(bytes, strlen(wanted));
}

static void each_form_has_level_time_message_and_fields(void **state)
{
    assert_line(LOG_FORM_TEXT, &some_line,
                "2026-03-01T12:00:00.000250Z info ready to \"serve\" node=3 "
                "region=\"shm:rack 1\" brokers=\"tcp://[::1]:9650\"\n");
    assert_line(LOG_FORM_JSON, &some_line,
                "{\"time\":\"2026-03-01T12:00:00.000250Z\",\"level\":\"info\","
                "\"message\":\"ready to \\\"serve\\\"\",\"node\":3,\"region\":\"shm:rack 1\","
                "\"brokers\":\"tcp://[::1]:9650\"}\n");
    assert_line(LOG_FORM_JOURNAL, &some_line,
                "<6>ready to \"serve\" node=3 region=\"shm:rack 1\" "
                "brokers=\"tcp://[::1]:9650\"\n");
}

static void levels_are_the_journals_priorities(void **state)
{
    static const char *const wanted[] = {"<3>x\n", "<4>x\n", "<6>x\n", "<7>x\n"};
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        struct log_line line = {.level = (enum log_level)level, .message = "x"};
        assert_line(LOG_FORM_JOURNAL, &line, wanted[level]);
    }
    struct log_line line = {.level = LOG_LEVEL_WARNING, .message = "x"};
    assert_line(LOG_FORM_TEXT, &line, "warning x\n");
    assert_line(LOG_FORM_JSON, &line, "{\"level\":\"warning\",\"message\":\"x\"}\n");
}

static void a_line_stays_one_line(void **state)
{
    struct log_field field = {"value", "two\nlines \x1b[31m", 0};
    struct log_line line = {LOG_LEVEL_ERROR, 0, "a\nb\xFF\r", &field, 1};
    assert_line(LOG_FORM_JOURNAL, &line,
                "<3>a\\nb\xEF\xBF\xBD\\r value=\"two\\nlines \\u001b[31m\"\n");
    assert_line(LOG_FORM_JSON, &line,
                "{\"level\":\"error\",\"message\":\"a\\nb\xEF\xBF\xBD\\r\","
                "\"value\":\"two\\nlines \\u001b[31m\"}\n");
}

static void empty_values_are_seen(void **state)
{
    struct log_field fields[] = {{"a", "", 0}, {"b", NULL, UINT64_MAX}, {"c", "x=y", 0}};
    struct log_line line = {LOG_LEVEL_ERROR, 0, "", fields, COUNT_OF(fields)};
    assert_line(LOG_FORM_JSON, &line,
                "{\"level\":\"error\",\"message\":\"\",\"a\":\"\",\"b\":null,"
                "\"c\":\"x=y\"}\n");
    assert_line(LOG_FORM_TEXT, &line, "error  a=\"\" b=none c=\"x=y\"\n");
}

static void what_does_not_fit_is_left_out_and_said(void **state)
{
    char text[300];
    memset(text, 'm', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct log_field fields[] = {{"a", NULL, 1}, {"long", text, 0}, {"b", NULL, 2}};
    struct log_line line = {LOG_LEVEL_INFO, 0, "short", fields, COUNT_OF(fields)};
    log_format(line_text, LOG_LINE_BYTES_LEAST, LOG_FORM_JSON, &line);
    assert_string_equal(line_text, "{\"level\":\"info\",\"message\":\"short\",\"a\":1,"
                                   "\"truncated\":true}\n");
    line.message = text;
    line.field_count = 1;
    log_format(line_text, LOG_LINE_BYTES_LEAST, LOG_FORM_TEXT, &line);
    assert_non_null(strstr(line_text, "mmm a=1 truncated=true\n"));
    assert_ptr_equal(strchr(line_text, '\n'), line_text + strlen(line_text) - 1);
}

/* Half of the bytes are what makes trouble, so that escapes fall on every limit. */
static void random_text(struct random_state *random, char *text, size_t bytes)
{
    static const char trouble[] = "\"\\\n\x01\x7f\xC3\xB6\xE2\x82\xAC\xFF\xF0\x9F\x98\x80";
    for (size_t i = 0; i + 1 < bytes; i++) {
        uint64_t draw = random_next(random);
        text[i] =
            draw & 1 ? trouble[(draw >> 8) % (sizeof trouble - 1)] : (char)(1 + (draw >> 8) % 255);
    }
    text[bytes - 1] = '\0';
}

static void assert_is_utf8(const char *text, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        uint32_t code;
        size_t step = text_code_point(text + at, bytes - at, &code);
        assert_true(step > 0);
        at += step;
    }
}

static void any_bytes_give_one_valid_line(void **state)
{
    struct random_state random;
    random_seed(&random, 7);
    for (int round = 0; round < 4000; round++) {
        char message[200], value[200];
        random_text(&random, message, 1 + random_next(&random) % sizeof message);
        random_text(&random, value, 1 + random_next(&random) % sizeof value);
        struct log_field fields[] = {{"value", value, 0},
                                     {"number", NULL, random_next(&random) >> 1}};
        struct log_line line = {LOG_LEVEL_INFO, SOME_TIME, message, fields, 2};
        size_t capacity = LOG_LINE_BYTES_LEAST + random_next(&random) % 400;
        line_text[capacity] = 'x';
        enum log_form form = (enum log_form)(round % 3);
        size_t bytes = log_format(line_text, capacity, form, &line);
        assert_int_equal(line_text[capacity], 'x');
        assert_true(bytes < capacity && line_text[bytes] == '\0');
        assert_ptr_equal(strchr(line_text, '\n'), line_text + bytes - 1);
        assert_is_utf8(line_text, bytes);
        if (form == LOG_FORM_JSON) {
            json_t *json = json_loads(line_text, JSON_REJECT_DUPLICATES, NULL);
            assert_non_null(json);
            json_decref(json);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_has_level_time_message_and_fields),
        cmocka_unit_test(levels_are_the_journals_priorities),
        cmocka_unit_test(a_line_stays_one_line),
        cmocka_unit_test(empty_values_are_seen),
        cmocka_unit_test(what_does_not_fit_is_left_out_and_said),
        cmocka_unit_test(any_bytes_give_one_valid_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

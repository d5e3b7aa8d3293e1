#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/format.h"
#include "cli/lines.h"

/* A file that is gone when the test ends. */
struct place {
    char path[64];
};

static int place_make(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    snprintf(place->path, sizeof place->path, "/tmp/embarcadero-cli-XXXXXX");
    close(mkstemp(place->path));
    *state = place;
    return 0;
}

static int place_remove(void **state)
{
    struct place *place = *state;
    unlink(place->path);
    free(place);
    return 0;
}

static size_t contents(const char *path, char *bytes, size_t room)
{
    FILE *file = fopen(path, "r");
    size_t got = fread(bytes, 1, room, file);
    fclose(file);
    return got;
}

/* ---- forms ----------------------------------------------------------------------------------- */

static const struct emb_header headers[] = {{"h", "1", 1}, {"g", "\xff", 1}};

static const struct emb_message message = {.key = "ke\"y",
                                           .key_bytes = 4,
                                           .value = "v\0w",
                                           .value_bytes = 3,
                                           .headers = headers,
                                           .header_count = 2,
                                           .timestamp_ms = 1700000000123,
                                           .offset = 42};

static void assert_written(struct place *place, const char *form, const struct emb_message *m,
                           const char *expected, size_t bytes)
{
    struct format format;
    struct sink sink;
    char got[512];
    assert_int_equal(format_read(&format, form, NULL), EMB_OK);
    assert_int_equal(sink_open(&sink, place->path, NULL), EMB_OK);
    format_put(&format, &sink, m);
    assert_int_equal(sink_close(&sink, NULL), EMB_OK);
    assert_int_equal(contents(place->path, got, sizeof got), bytes);
    assert_memory_equal(got, expected, bytes);
}

#define WRITTEN(form, text) assert_written(*state, form, &message, text, sizeof(text) - 1)

static void test_forms(void **state)
{
    WRITTEN("value", "v\0w\n");
    WRITTEN("%o %k %v\\n", "42 ke\"y v\0w\n");
    WRITTEN("%t\\t%h%%\\0\\\\", "1700000000123\th=1,g=\xff%\0\\");
    WRITTEN("plain", "plain");
    WRITTEN("", "");
}

static void test_json(void **state)
{
    static const struct emb_message odd = {.value = "\xff\x00\x01\x02", .value_bytes = 4};
    WRITTEN("json", "{\"offset\":42,\"timestamp\":1700000000123,\"key\":\"ke\\\"y\",\"value\":"
                    "\"v\\u0000w\",\"headers\":[{\"key\":\"h\",\"value\":\"1\"},{\"key\":\"g\","
                    "\"value_base64\":\"/w==\"}]}\n");
    static const char expected[] =
        "{\"offset\":0,\"timestamp\":0,\"key\":null,\"value_base64\":\"/wABAg==\"}\n";
    assert_written(*state, "json", &odd, expected, sizeof expected - 1);
}

static void test_bad_forms(void **state)
{
    struct format format;
    struct error err;
    char longest[600];
    assert_int_equal(format_read(&format, "%q", &err), EMB_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, "%q"));
    assert_int_equal(format_read(&format, "x%", &err), EMB_ERR_INVALID_ARGUMENT);
    assert_int_equal(format_read(&format, "\\x", &err), EMB_ERR_INVALID_ARGUMENT);
    assert_int_equal(format_read(&format, "x\\", &err), EMB_ERR_INVALID_ARGUMENT);
    memset(longest, 'x', sizeof longest);
    longest[257] = '\0';
    assert_int_equal(format_read(&format, longest, &err), EMB_ERR_INVALID_ARGUMENT);
    longest[256] = '\0';
    assert_int_equal(format_read(&format, longest, &err), EMB_OK);
    for (int i = 0; i < 65; i++)
        memcpy(longest + 2 * i, "%o", 3);
    assert_int_equal(format_read(&format, longest, &err), EMB_ERR_INVALID_ARGUMENT);
    longest[128] = '\0';
    assert_int_equal(format_read(&format, longest, &err), EMB_OK);
}

static void assert_start(const char *text, int start, uint64_t value)
{
    int got;
    uint64_t got_value;
    assert_int_equal(format_start_read(text, &got, &got_value, NULL), EMB_OK);
    assert_int_equal(got, start);
    assert_true(got_value == value);
}

static void test_starts(void **state)
{
    assert_start("earliest", EMB_START_EARLIEST, 0);
    assert_start("latest", EMB_START_LATEST, 0);
    assert_start("17", EMB_START_OFFSET, 17);
    assert_start("timestamp:1700000000123", EMB_START_TIMESTAMP, 1700000000123);
    assert_start("@2023-11-14T22:13:20.123Z", EMB_START_TIMESTAMP, 1700000000123);
    assert_start("@2023-11-14 22:13:20", EMB_START_TIMESTAMP, 1700000000000);
    assert_start("@1970-01-02", EMB_START_TIMESTAMP, 86400000);
    const char *const bad[] = {
        "",      "-1",          "soon",           "timestamp:",   "@",
        "@2023", "@1960-01-01", "@2023-11-14T22", "@2023-11-14x", "timestamp:x",
        "1.5"};
    int start;
    uint64_t value;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(format_start_read(bad[i], &start, &value, NULL), EMB_ERR_INVALID_ARGUMENT);
    assert_start("@2024-02-29", EMB_START_TIMESTAMP, 1709164800000);
    assert_int_equal(format_start_read("@2024-02-30", &start, &value, NULL),
                     EMB_ERR_INVALID_ARGUMENT);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void fill(const char *path, const void *bytes, size_t count)
{
    FILE *file = fopen(path, "w");
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static void assert_line(struct lines *lines, const char *text, size_t bytes)
{
    const char *line;
    size_t got;
    assert_int_equal(lines_next(lines, &line, &got, NULL), 1);
    assert_int_equal(got, bytes);
    assert_memory_equal(line, text, bytes);
}

static void test_lines(void **state)
{
    struct place *place = *state;
    struct lines lines;
    const char *line;
    size_t bytes;
    fill(place->path, "one\n\nx\0y\r\nlast", 14);
    assert_int_equal(lines_open(&lines, place->path, '\n', NULL), EMB_OK);
    assert_line(&lines, "one", 3);
    assert_line(&lines, "", 0);
    assert_line(&lines, "x\0y\r", 4);
    assert_line(&lines, "last", 4);
    assert_int_equal(lines_next(&lines, &line, &bytes, NULL), 0);
    assert_int_equal(lines.number, 4);
    lines_close(&lines);
    assert_int_equal(lines_open(&lines, place->path, '\0', NULL), EMB_OK);
    assert_line(&lines, "one\n\nx", 6);
    assert_line(&lines, "y\r\nlast", 7);
    assert_int_equal(lines_next(&lines, &line, &bytes, NULL), 0);
    lines_close(&lines);
}

/* Lines around the size of the buffer, and of several of it. */
static void test_long_lines(void **state)
{
    struct place *place = *state;
    struct lines lines;
    size_t sizes[] = {(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20, 3};
    char *text = malloc(6 << 20);
    FILE *file = fopen(place->path, "w");
    for (size_t i = 0; i < 5; i++) {
        memset(text, 'a' + (int)i, sizes[i]);
        text[sizes[i]] = '\n';
        assert_int_equal(fwrite(text, 1, sizes[i] + 1, file), sizes[i] + 1);
    }
    fclose(file);
    assert_int_equal(lines_open(&lines, place->path, '\n', NULL), EMB_OK);
    for (size_t i = 0; i < 5; i++) {
        memset(text, 'a' + (int)i, sizes[i]);
        assert_line(&lines, text, sizes[i]);
    }
    lines_close(&lines);
    free(text);
}

static void test_lines_refused(void **state)
{
    struct place *place = *state;
    struct lines lines;
    struct error err;
    const char *line;
    size_t bytes;
    assert_int_equal(lines_open(&lines, "/nonexistent/file", '\n', &err), EMB_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/file"));
    assert_int_equal(lines_open(&lines, "/", '\n', &err), EMB_OK);
    assert_int_equal(lines_next(&lines, &line, &bytes, &err), EMB_ERR_IO);
    lines_close(&lines);
    assert_int_equal(truncate(place->path, 40 << 20), 0);
    assert_int_equal(lines_open(&lines, place->path, '\n', &err), EMB_OK);
    assert_int_equal(lines_next(&lines, &line, &bytes, &err), EMB_ERR_BATCH_TOO_LARGE);
    assert_non_null(strstr(err.text, "line 1"));
    lines_close(&lines);
}

/* ---- the sink -------------------------------------------------------------------------------- */

static void test_sink_keeps_order(void **state)
{
    struct place *place = *state;
    struct sink sink;
    size_t bytes = (3 << 20) + 7;
    char *large = malloc(bytes), *got = malloc(4 << 20);
    memset(large, 'l', bytes);
    assert_int_equal(sink_open(&sink, place->path, NULL), EMB_OK);
    sink_put(&sink, "first", 5);
    sink_put(&sink, large, bytes);
    sink_number(&sink, UINT64_MAX);
    assert_int_equal(sink_close(&sink, NULL), EMB_OK);
    assert_int_equal(contents(place->path, got, 4 << 20), bytes + 25);
    assert_memory_equal(got, "first", 5);
    assert_memory_equal(got + 5, large, bytes);
    assert_memory_equal(got + 5 + bytes, "18446744073709551615", 20);
    free(large);
    free(got);
}

static void test_sink_tells_failure(void **state)
{
    struct sink sink;
    struct error err;
    assert_int_equal(sink_open(&sink, "/dev/full", NULL), EMB_OK);
    sink_put(&sink, "x", 1);
    assert_int_equal(sink_flush(&sink, &err), EMB_ERR_IO);
    assert_non_null(strstr(err.text, "/dev/full"));
    assert_int_equal(sink_close(&sink, &err), EMB_ERR_IO);
    assert_int_equal(sink_open(&sink, "/nonexistent/file", &err), EMB_ERR_IO);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_forms),
        IN_PLACE(test_json),
        cmocka_unit_test(test_bad_forms),
        cmocka_unit_test(test_starts),
        IN_PLACE(test_lines),
        IN_PLACE(test_long_lines),
        IN_PLACE(test_lines_refused),
        IN_PLACE(test_sink_keeps_order),
        cmocka_unit_test(test_sink_tells_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/print.h"

/* ---- tables ---------------------------------------------------------------------------------- */

static void assert_table(const char *json, size_t width, const char *expected)
{
    char *text = NULL;
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);
    json_t *value = json_loads(json, 0, NULL);
    assert_non_null(value);
    print_table(to, value, width);
    fclose(to);
    assert_string_equal(text, expected);
    json_decref(value);
    free(text);
}

static void test_table(void **state)
{
    assert_table("[{\"name\":\"a\",\"n\":5},{\"name\":\"long\",\"n\":1234}]", 80,
                 "name     n\n"
                 "a        5\n"
                 "long  1234\n");
    assert_table("[]", 80, "");
}

static void test_table_gaps_and_kinds(void **state)
{
    assert_table("[{\"a\":null,\"b\":true},{\"b\":false,\"c\":[1,\"x\"]}]", 80,
                 "a  b    c\n"
                 "-  yes  -\n"
                 "-  no   1,x\n");
    assert_table("[{\"t\":\"gr\\u00fcn\",\"u\":1},{\"t\":\"blau\",\"u\":2}]", 80,
                 "t     u\n"
                 "gr\xc3\xbcn  1\n"
                 "blau  2\n");
}

static void test_table_turns(void **state)
{
    assert_table("[{\"first\":1,\"second\":22,\"third\":3},{\"first\":4,\"second\":5}]", 10,
                 "first    1  4\n"
                 "second  22  5\n"
                 "third    3  -\n");
    assert_table("{\"name\":\"x\",\"count\":7}", 80,
                 "name   x\n"
                 "count  7\n");
}

static void test_numbers_and_texts(void **state)
{
    json_t *value = print_number(UINT64_MAX);
    assert_true(json_is_null(value));
    json_decref(value);
    value = print_number(INT64_MAX);
    assert_true(json_integer_value(value) == INT64_MAX);
    json_decref(value);
    value = print_text("a\xff\"b");
    assert_string_equal(json_string_value(value), "a?\"b");
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    assert_string_equal(text, "\"a?\\\"b\"");
    free(text);
    json_decref(value);
}

/* ---- figures --------------------------------------------------------------------------------- */

static void test_median(void **state)
{
    const double values[] = {5, 1, 9, 3};
    assert_true(bench_median(values, 0) == 0);
    assert_true(bench_median(values, 1) == 5);
    assert_true(bench_median(values, 3) == 5);
    assert_true(bench_median(values, 4) == 4);
    assert_true(values[0] == 5);
}

static void test_percentiles(void **state)
{
    struct bench_sample samples[100] = {{0, 0}};
    assert_int_equal(bench_percentile(samples, 0, 500), 0);
    for (int i = 0; i < 100; i++)
        samples[i] = (struct bench_sample){(uint64_t)(100 - i), 1};
    bench_samples_sort(samples, 100);
    assert_int_equal(bench_percentile(samples, 100, 0), 1);
    assert_int_equal(bench_percentile(samples, 100, 500), 50);
    assert_int_equal(bench_percentile(samples, 100, 990), 99);
    assert_int_equal(bench_percentile(samples, 100, 999), 100);
    assert_int_equal(bench_percentile(samples, 100, 1000), 100);
    /* Weights count like as many samples. */
    struct bench_sample weighted[] = {{7, 1}, {3, 98}, {1000, 1}};
    bench_samples_sort(weighted, 3);
    assert_int_equal(bench_percentile(weighted, 3, 980), 3);
    assert_int_equal(bench_percentile(weighted, 3, 981), 7);
    assert_int_equal(bench_percentile(weighted, 3, 991), 1000);
}

static void test_figure(void **state)
{
    double own[] = {10, 30, 20}, tcp[] = {100, 100, 100}, disk[] = {40, 50, 30};
    struct bench_side own_side = {.name = "publish", .values = own, .count = 3};
    struct bench_side limits[] = {{.name = "tcp", .values = tcp, .count = 3},
                                  {.name = "disk", .values = disk, .count = 3}};
    struct bench_sample samples[] = {{20, 1}, {10, 3}};
    struct bench_figure figure = {.measure = "publish",
                                  .own = &own_side,
                                  .limits = limits,
                                  .limit_count = 2,
                                  .settings = json_pack("{s:i}", "acks", 2),
                                  .samples = samples,
                                  .sample_count = 2,
                                  .foreign_cpu = -1};
    json_t *value = bench_figure_value(&figure);
    char *text = json_dumps(value, JSON_COMPACT);
    assert_string_equal(
        text, "{\"measure\":\"publish\",\"value\":20.0,\"unit\":\"bytes/s\",\"limit\":40.0,"
              "\"ratio\":0.5,\"min\":10.0,\"max\":30.0,\"rounds\":[10.0,30.0,20.0],"
              "\"percentiles\":{\"unit\":\"ns\",\"p50\":10,\"p90\":20,\"p99\":20,\"p999\":20,"
              "\"max\":20},\"settings\":{\"acks\":2,\"limit\":\"disk\",\"limits\":{\"tcp\":100.0,"
              "\"disk\":40.0}},\"foreign_cpu\":null}");
    free(text);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),       cmocka_unit_test(test_table_gaps_and_kinds),
        cmocka_unit_test(test_table_turns), cmocka_unit_test(test_numbers_and_texts),
        cmocka_unit_test(test_median),      cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_figure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "cli/bench.h"
#include "cli/bench_lists.h"

/* ---- medians and percentiles ----------------------------------------------------------------- */

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
    struct bench_histogram h = {0};
    assert_int_equal(bench_histogram_at(&h, 500), 0);
    for (uint64_t i = 1; i <= 100; i++)
        bench_histogram_add(&h, 101 - i);
    assert_int_equal(bench_histogram_at(&h, 0), 1);
    assert_int_equal(bench_histogram_at(&h, 500), 50);
    assert_int_equal(bench_histogram_at(&h, 501), 51);
    assert_int_equal(bench_histogram_at(&h, 990), 99);
    assert_int_equal(bench_histogram_at(&h, 999), 100);
    assert_int_equal(bench_histogram_at(&h, 1000), 100);
}

/* Of a single value every percentile is that value, below what a step is wide. */
static void test_steps_are_narrow(void **state)
{
    for (unsigned bit = 0; bit < 64; bit++)
        for (int64_t around = -1; around <= 1; around++) {
            struct bench_histogram h = {0};
            uint64_t value = (1ULL << bit) + (uint64_t)around;
            bench_histogram_add(&h, value);
            assert_true(bench_histogram_at(&h, 500) == value);
            bench_histogram_add(&h, UINT64_MAX);
            uint64_t seen = bench_histogram_at(&h, 500);
            assert_true(seen >= value && seen - value <= value / 64);
            assert_true(bench_histogram_at(&h, 1000) == UINT64_MAX);
        }
}

static void test_merge_and_clear(void **state)
{
    struct bench_histogram a = {0}, b = {0};
    for (int i = 0; i < 9; i++)
        bench_histogram_add(&a, 10);
    bench_histogram_add(&b, 5000);
    bench_histogram_merge(&a, &b);
    assert_int_equal(a.total, 10);
    assert_int_equal(bench_histogram_at(&a, 900), 10);
    assert_int_equal(bench_histogram_at(&a, 901), 5000);
    bench_histogram_clear(&a);
    assert_int_equal(bench_histogram_at(&a, 1000), 0);
    assert_int_equal(b.total, 1);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static const char *const words[] = {"none", "one", NULL};

static void assert_list(const struct bench_list_rules *rules, const char *text, int count,
                        const uint64_t *items)
{
    struct bench_list list;
    struct error err;
    assert_int_equal(bench_list_read(rules, text, &list, &err), EMB_OK);
    assert_int_equal(list.count, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(list.items[i], items[i]);
}

static void assert_no_list(const struct bench_list_rules *rules, const char *text,
                           const char *named, const char *accepted)
{
    struct bench_list list;
    struct error err;
    assert_int_equal(bench_list_read(rules, text, &list, &err), EMB_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, rules->option));
    assert_non_null(strstr(err.text, named));
    assert_non_null(strstr(err.text, accepted));
}

static void test_lists(void **state)
{
    const struct bench_list_rules orders = {.option = "order", .max = 5, .words = words};
    const struct bench_list_rules loads = {
        .option = "load", .min = 1, .max = 95, .words = words, .words_from = 100};
    const struct bench_list_rules sizes = {
        .option = "size", .sizes = true, .min = 4096, .max = 1 << 20};
    assert_list(&orders, "5", 1, (const uint64_t[]){5});
    assert_list(&orders, "5,none,1", 3, (const uint64_t[]){5, 0, 1});
    assert_list(&loads, "one,10,95", 3, (const uint64_t[]){101, 10, 95});
    assert_list(&sizes, "4096,1MiB", 2, (const uint64_t[]){4096, 1 << 20});
    assert_list(&orders, "0,1,2,3,4,5", 6, (const uint64_t[]){0, 1, 2, 3, 4, 5});
}

static void test_lists_that_are_none(void **state)
{
    const struct bench_list_rules orders = {.option = "order", .max = 5, .words = words};
    const struct bench_list_rules sizes = {
        .option = "size", .sizes = true, .min = 4096, .max = 1 << 20};
    const struct bench_list_rules wide = {.option = "n", .max = 100};
    assert_no_list(&orders, "6", "\"6\"", "0 to 5, or none, one");
    assert_no_list(&orders, "", "\"\"", "0 to 5");
    assert_no_list(&orders, "1,", "\"\"", "0 to 5");
    assert_no_list(&orders, "1,,2", "\"\"", "0 to 5");
    assert_no_list(&orders, "1,two", "\"two\"", "none twice");
    assert_no_list(&orders, "none,0", "\"0\"", "none twice");
    assert_no_list(&orders, "1,-1", "\"-1\"", "0 to 5");
    assert_no_list(&sizes, "4095", "\"4095\"", "4KiB to 1MiB");
    assert_no_list(&wide, "1,2,3,4,5,6,7,8,9", "\"9\"", "up to 8");
    assert_no_list(&wide, "00000000000000000000000000000000000000000000000001", "0000", "0 to 100");
}

/* ---- figures --------------------------------------------------------------------------------- */

static struct bench_side side(const char *name, double a, double b, double c)
{
    return (struct bench_side){.name = name, .values = {a, b, c}, .count = 3};
}

static void assert_figure(const struct bench_figure *figure, const char *expected)
{
    json_t *value = bench_figure_value(figure);
    char *text = json_dumps(value, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(value);
}

static void test_figure_of_a_rate(void **state)
{
    struct bench_side own = side("publish", 10, 30, 20), tcp = side("tcp", 100, 100, 100),
                      disk = side("disk", 40, 50, 30);
    assert_figure(&(struct bench_figure){.measure = "publish",
                                         .unit = BENCH_BYTES_PER_S,
                                         .own = &own,
                                         .limits = {&tcp, &disk},
                                         .settings = json_pack("{s:i}", "acks", 2),
                                         .foreign_cpu = -1},
                  "{\"measure\":\"publish\",\"value\":20.0,\"unit\":\"bytes/s\",\"limit\":40.0,"
                  "\"ratio\":0.5,\"min\":10.0,\"max\":30.0,\"rounds\":[10.0,30.0,20.0],"
                  "\"settings\":{\"acks\":2,\"limit\":\"disk\","
                  "\"limits\":{\"tcp\":100.0,\"disk\":40.0}},\"foreign_cpu\":null}");
}

static void test_figure_of_a_latency(void **state)
{
    struct bench_side own = side("latency", 60, 80, 70), fast = side("trip", 10, 10, 10),
                      slow = side("sync", 20, 21, 19);
    struct bench_histogram latency = {0};
    bench_histogram_add(&latency, 70);
    assert_figure(&(struct bench_figure){.measure = "latency",
                                         .unit = BENCH_NS,
                                         .own = &own,
                                         .limits = {&fast, &slow},
                                         .latency = &latency,
                                         .settings = json_object(),
                                         .foreign_cpu = 0.25},
                  "{\"measure\":\"latency\",\"value\":70.0,\"unit\":\"ns\",\"limit\":20.0,"
                  "\"ratio\":3.5,\"min\":60.0,\"max\":80.0,\"rounds\":[60.0,80.0,70.0],"
                  "\"percentiles\":{\"unit\":\"ns\",\"p50\":70,\"p90\":70,\"p99\":70,\"p999\":70,"
                  "\"max\":70},\"settings\":{\"limit\":\"sync\",\"limits\":{\"trip\":10.0,"
                  "\"sync\":20.0}},\"foreign_cpu\":0.25}");
}

static void test_figure_without_a_limit(void **state)
{
    struct bench_side own = side("idle CPU", 0.5, 0.5, 0.5);
    assert_figure(&(struct bench_figure){.measure = "idle CPU",
                                         .unit = BENCH_CPUS,
                                         .own = &own,
                                         .settings = json_object(),
                                         .foreign_cpu = 0},
                  "{\"measure\":\"idle CPU\",\"value\":0.5,\"unit\":\"cpus\",\"limit\":null,"
                  "\"ratio\":null,\"min\":0.5,\"max\":0.5,\"rounds\":[0.5,0.5,0.5],"
                  "\"settings\":{},\"foreign_cpu\":0.0}");
}

/* ---- for people ------------------------------------------------------------------------------ */

static void assert_printed(const char *figures, bool as_json, const char *expected)
{
    json_t *value = json_loads(figures, 0, NULL);
    char *text = NULL;
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);
    assert_non_null(value);
    bench_figures_print(to, value, as_json);
    fclose(to);
    assert_string_equal(text, expected);
    free(text);
    json_decref(value);
}

#define RATE                                                                                       \
    "{\"measure\":\"publish\",\"value\":2e9,\"unit\":\"bytes/s\",\"limit\":4e9,\"ratio\":0.5,"     \
    "\"min\":1e9,\"max\":3e9,\"rounds\":[2e9],\"foreign_cpu\":0.125,\"settings\":{\"order\":5,"    \
    "\"message_bytes\":100,\"limit\":\"tcp\",\"rounds\":5}}"
#define TIME                                                                                       \
    "{\"measure\":\"latency\",\"value\":82000,\"unit\":\"ns\",\"limit\":8000,\"ratio\":10.25,"     \
    "\"min\":80000,\"max\":90000,\"rounds\":[82000],\"foreign_cpu\":null,\"percentiles\":"         \
    "{\"unit\":\"ns\",\"p50\":82000,\"p90\":90000,\"p99\":100000,\"p999\":200000,\"max\":300000}," \
    "\"settings\":{\"load\":\"closed\",\"limit\":\"trip\",\"rounds\":5}}"

static void test_table(void **state)
{
    assert_printed(
        "[" RATE "," TIME "]", false,
        "measure  of             value      limit            ratio  min        max        "
        "foreign  p90      p99     p99.9   longest\n"
        "publish  order 5, 100B  2000 MB/s  4000 MB/s (tcp)  0.500  1000 MB/s  3000 MB/s  "
        "12.5 %   -        -       -       -\n"
        "latency  closed         82.0 us    8.00 us (trip)   10.2   80.0 us    90.0 us    "
        "-        90.0 us  100 us  200 us  300 us\n"
        "settings {\"rounds\":5}\n"
        "  of row 1 {\"order\":5,\"message_bytes\":100,\"limit\":\"tcp\"}\n"
        "  of row 2 {\"load\":\"closed\",\"limit\":\"trip\"}\n");
}

static void test_json_lines(void **state)
{
    assert_printed("[{\"measure\":\"a\"},{\"measure\":\"b\"}]", true,
                   "{\"measure\":\"a\"}\n{\"measure\":\"b\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_steps_are_narrow),
        cmocka_unit_test(test_merge_and_clear),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_lists_that_are_none),
        cmocka_unit_test(test_figure_of_a_rate),
        cmocka_unit_test(test_figure_of_a_latency),
        cmocka_unit_test(test_figure_without_a_limit),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_json_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

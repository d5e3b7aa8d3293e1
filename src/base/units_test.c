#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/units.h"
#include "base/words.h"

static void test_sizes(void **state)
{
    uint64_t n;
    assert_true(units_size_read("4096", &n) && n == 4096);
    assert_true(units_size_read("64KiB", &n) && n == 65536);
    assert_true(units_size_read("16777215TiB", &n) && n == 16777215ULL << 40);
    const char *const bad[] = {"",
                               "KiB",
                               "1.5MiB",
                               "-1",
                               " 1",
                               "1 KiB",
                               "1KB",
                               "16777216TiB",
                               "1kib",
                               "1KiBx",
                               "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(units_size_read(bad[i], &n));
}

static void test_durations(void **state)
{
    uint64_t n;
    assert_true(units_duration_read("0", &n) && n == 0);
    assert_true(units_duration_read("1500us", &n) && n == 1500000);
    assert_true(units_duration_read("2min", &n) && n == 120000000000);
    assert_false(units_duration_read("500", &n));
    assert_false(units_duration_read("5m", &n));
    assert_false(units_duration_read("", &n));
    assert_false(units_duration_read("18446744074s", &n));
    assert_true(units_number_read("18446744073709551615", &n) && n == UINT64_MAX);
    assert_false(units_number_read("18446744073709551616", &n));
    assert_false(units_number_read("12x", &n));
}

static void assert_text_round_trip(uint64_t number, const char *size, const char *duration)
{
    char text[UNITS_TEXT_BYTES];
    uint64_t back;
    units_size_text(number, text);
    assert_string_equal(text, size);
    assert_true(units_size_read(text, &back) && back == number);
    units_duration_text(number, text);
    assert_string_equal(text, duration);
    assert_true(units_duration_read(text, &back) && back == number);
}

static void test_text_reads_back(void **state)
{
    assert_text_round_trip(0, "0", "0");
    assert_text_round_trip(1000, "1000", "1us");
    assert_text_round_trip(1024, "1KiB", "1024ns");
    assert_text_round_trip(UINT64_MAX, "18446744073709551615", "18446744073709551615ns");
}

static void test_round(void **state)
{
    char text[UNITS_TEXT_BYTES];
    units_size_round(1.25 * (1 << 30), text);
    assert_string_equal(text, "1.25 GiB");
    units_size_round(0, text);
    assert_string_equal(text, "0 B");
    units_duration_round(340123, text);
    assert_string_equal(text, "340 us");
    units_duration_round(12345678, text);
    assert_string_equal(text, "12.3 ms");
}

static void test_words(void **state)
{
    assert_int_equal(words_distance("replicas", 8, "replicas", 8), 0);
    assert_int_equal(words_distance("repilcas", 8, "replicas", 8), 2);
    assert_int_equal(words_distance("replica", 7, "replicas", 8), 1);
    assert_int_equal(words_distance("order", 5, "replicas", 8), WORDS_FAR);
    assert_int_equal(words_distance("ab", 2, "cd", 2), WORDS_FAR);
    assert_int_equal(words_distance("", 0, "cd", 2), WORDS_FAR);
    char longest[100];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(words_distance(longest, 100, longest, 100), WORDS_FAR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),           cmocka_unit_test(test_durations),
        cmocka_unit_test(test_text_reads_back), cmocka_unit_test(test_round),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

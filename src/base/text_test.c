#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/text.h"

struct sample {
    const char *bytes;
    size_t count;
    size_t taken;
    uint32_t code;
};

static void code_points_are_those_of_rfc3629(void **state)
{
    static const struct sample samples[] = {
        {"A", 1, 1, 'A'},
        {"\0", 1, 1, 0},
        {"\xC2\xA2", 2, 2, 0xA2},
        {"\xE2\x82\xAC", 3, 3, 0x20AC},
        {"\xF0\x9F\x98\x80", 4, 4, 0x1F600},
        {"\xF4\x8F\xBF\xBF", 4, 4, 0x10FFFF},
        {"\xED\x9F\xBF", 3, 3, 0xD7FF},
        {"\xEE\x80\x80", 3, 3, 0xE000},
    };
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        uint32_t code = 1;
        assert_int_equal(text_code_point(samples[i].bytes, samples[i].count, &code),
                         samples[i].taken);
        assert_int_equal(code, samples[i].code);
    }
}

static void what_is_no_utf8_is_not_taken(void **state)
{
    static const struct sample samples[] = {
        {"\x80", 1, 0, 0},             /* begins nothing */
        {"\xC0\x80", 2, 0, 0},         /* overlong */
        {"\xC1\xBF", 2, 0, 0},         /* overlong */
        {"\xE0\x9F\xBF", 3, 0, 0},     /* overlong */
        {"\xF0\x8F\xBF\xBF", 4, 0, 0}, /* overlong */
        {"\xED\xA0\x80", 3, 0, 0},     /* surrogate */
        {"\xED\xBF\xBF", 3, 0, 0},     /* surrogate */
        {"\xF4\x90\x80\x80", 4, 0, 0}, /* beyond */
        {"\xF5\x80\x80\x80", 4, 0, 0}, /* beyond */
        {"\xFF", 1, 0, 0},
        {"\xC2", 1, 0, 0},     /* cut off */
        {"\xE2\x82", 2, 0, 0}, /* cut off */
        {"\xE2\x82"
         "A",
         3, 0, 0}, /* another begins too early */
    };
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        uint32_t code;
        assert_int_equal(text_code_point(samples[i].bytes, samples[i].count, &code), 0);
    }
}

static void quote_and_compare(const char *text, size_t bytes, size_t capacity, const char *wanted)
{
    char to[64];
    memset(to, 'x', sizeof to);
    assert_int_equal(text_quote(to, capacity, text, bytes), strlen(wanted));
    assert_string_equal(to, wanted);
    for (size_t i = capacity; i < sizeof to; i++)
        assert_int_equal(to[i], 'x');
}

static void quotes_hold_whatever_the_text_is(void **state)
{
    quote_and_compare("", 0, 6, "\"\"");
    quote_and_compare("plain", 5, 64, "\"plain\"");
    quote_and_compare("a\"b\\c", 5, 64, "\"a\\\"b\\\\c\"");
    quote_and_compare("a\nb\r\tc", 6, 64, "\"a\\nb\\r\\tc\"");
    quote_and_compare("\0\x1b\x7f", 3, 64, "\"\\u0000\\u001b\\u007f\"");
    quote_and_compare("\xC2\x85\xE2\x80\xA8\xEF\xBB\xBF", 8, 64, "\"\\u0085\\u2028\\ufeff\"");
    quote_and_compare("Gr\xC3\xB6\xC3\x9F"
                      "e",
                      7, 64,
                      "\"Gr\xC3\xB6\xC3\x9F"
                      "e\"");
    quote_and_compare("\xFF"
                      "a",
                      2, 64,
                      "\"\xEF\xBF\xBD"
                      "a\"");
    quote_and_compare("\xEF\xBF\xBE", 3, 64, "\"\\ufffe\"");
    quote_and_compare("\xF0\x9F\xBF\xBE", 4, 64, "\"\xF0\x9F\xBF\xBE\"");
}

static void what_does_not_fit_is_cut_between_characters(void **state)
{
    quote_and_compare("abcdef", 6, 9, "\"abcdef\"");
    quote_and_compare("abcdefg", 7, 9, "\"abc...\"");
    quote_and_compare("abcdefg", 7, 6, "\"...\"");
    quote_and_compare("ab\xE2\x82\xAC\xE2\x82\xAC", 8, 10, "\"ab...\"");
    quote_and_compare("ab\xE2\x82\xAC\xE2\x82\xAC", 8, 11, "\"ab\xE2\x82\xAC\xE2\x82\xAC\"");
    quote_and_compare("a\n\n\n", 4, 9, "\"a\\n...\"");
}

static void bare_text_keeps_its_quotes(void **state)
{
    char to[32];
    size_t taken;
    static const char text[] = "a \"b\" c:\\\n";
    assert_int_equal(text_escape(to, sizeof to, TEXT_BARE, text, 10, &taken), 11);
    assert_string_equal(to, "a \"b\" c:\\\\n");
    assert_int_equal(taken, 10);
    assert_int_equal(text_escape(to, 1, TEXT_BARE, text, 10, &taken), 0);
    assert_int_equal(taken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_points_are_those_of_rfc3629),
        cmocka_unit_test(what_is_no_utf8_is_not_taken),
        cmocka_unit_test(quotes_hold_whatever_the_text_is),
        cmocka_unit_test(what_does_not_fit_is_cut_between_characters),
        cmocka_unit_test(bare_text_keeps_its_quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_table_gaps_and_kinds),
        cmocka_unit_test(test_table_turns),
        cmocka_unit_test(test_numbers_and_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

struct values {
    bool loud;
    uint64_t count;
    uint64_t bytes;
    uint64_t wait_ns;
    int color;
    const char *name;
    struct cli_list tags;
    uint64_t limit;
};

static const char *const colors[] = {"red", "green", "blue", NULL};

#define FIELD(name) .field = offsetof(struct values, name)

static const struct cli_option rows[] = {
    {.name = "loud", .type = CLI_FLAG, FIELD(loud), .text = "t"},
    {.name = "count",
     .type = CLI_NUMBER,
     FIELD(count),
     .value = "3",
     .argument = "N",
     .min = 1,
     .max = 9,
     .text = "how many"},
    {.name = "bytes",
     .type = CLI_SIZE,
     FIELD(bytes),
     .argument = "SIZE",
     .rules = CLI_POWER_OF_TWO,
     .min = 4096,
     .text = "how large"},
    {.name = "wait", .type = CLI_DURATION, FIELD(wait_ns), .value = "2ms", .argument = "D"},
    {.name = "color",
     .type = CLI_CHOICE,
     FIELD(color),
     .value = "green",
     .words = colors,
     .rules = CLI_BY_NUMBER,
     .text = "which"},
    {.name = "name", .type = CLI_TEXT, FIELD(name), .argument = "TEXT"},
    {.name = "tag", .type = CLI_LIST, FIELD(tags), .argument = "TAG"},
    {.name = "limit", .type = CLI_NUMBER, FIELD(limit), .argument = "N"},
};

#define ROWS       ((int)(sizeof rows / sizeof rows[0]))
#define MOST       24
#define WORDS(...) ((char *const[]){__VA_ARGS__})

struct parsed {
    struct values values;
    const char *arguments[MOST];
    int argument_count;
    int used;
    struct error err;
};

static struct parsed parse(int argc, char *const *argv, bool stop)
{
    struct parsed p = {.used = 0};
    struct cli_options table = {rows, ROWS, &p.values};
    cli_options_default(&table);
    p.used = cli_options_parse(&table, 1, argc, argv, stop, p.arguments, &p.argument_count, &p.err);
    return p;
}

static void test_defaults(void **state)
{
    struct parsed p = parse(0, NULL, false);
    assert_int_equal(p.used, 0);
    assert_false(p.values.loud);
    assert_int_equal(p.values.count, 3);
    assert_true(p.values.bytes == CLI_NOT_GIVEN);
    assert_int_equal(p.values.wait_ns, 2000000);
    assert_int_equal(p.values.color, 1);
    assert_null(p.values.name);
    assert_int_equal(p.values.tags.count, 0);
}

static void test_values(void **state)
{
    struct parsed p = parse(14,
                            WORDS("--loud", "a", "--count", "9", "--bytes=64KiB", "--wait", "1s",
                                  "--color", "2", "-", "--tag=x", "--tag", "y=z", "b"),
                            false);
    assert_int_equal(p.used, 14);
    assert_true(p.values.loud);
    assert_int_equal(p.values.count, 9);
    assert_int_equal(p.values.bytes, 65536);
    assert_int_equal(p.values.wait_ns, 1000000000);
    assert_int_equal(p.values.color, 2);
    assert_int_equal(p.values.tags.count, 2);
    assert_string_equal(p.values.tags.items[1], "y=z");
    assert_int_equal(p.argument_count, 3);
    assert_string_equal(p.arguments[0], "a");
    assert_string_equal(p.arguments[1], "-");
    assert_string_equal(p.arguments[2], "b");
}

static void test_end_of_options(void **state)
{
    struct parsed p = parse(4, WORDS("--loud", "--", "--count", "--"), false);
    assert_int_equal(p.used, 4);
    assert_int_equal(p.argument_count, 2);
    assert_string_equal(p.arguments[0], "--count");
    assert_string_equal(p.arguments[1], "--");
    p = parse(3, WORDS("--count", "4", "topic"), true);
    assert_int_equal(p.used, 2);
    assert_int_equal(p.values.count, 4);
    p = parse(2, WORDS("--name", "-x"), false);
    assert_string_equal(p.values.name, "-x");
    p = parse(1, WORDS("--name=--odd"), false);
    assert_string_equal(p.values.name, "--odd");
    p = parse(1, WORDS("--name="), false);
    assert_string_equal(p.values.name, "");
}

static void refused(int argc, char *const *argv, const char *said)
{
    struct parsed p = parse(argc, argv, false);
    assert_int_equal(p.used, EMB_ERR_INVALID_ARGUMENT);
    if (!strstr(p.err.text, said))
        fail_msg("\"%s\" does not say \"%s\"", p.err.text, said);
}

static void test_refused(void **state)
{
    refused(2, WORDS("--count", "0"), "--count: bad value \"0\"; accepted: a whole number, 1 to 9");
    refused(2, WORDS("--count", "10"), "1 to 9");
    refused(2, WORDS("--count", "-1"), "bad value \"-1\"");
    refused(2, WORDS("--limit", "18446744073709551615"), "bad value");
    refused(2, WORDS("--bytes", "4097"), "at least 4KiB, a power of two");
    refused(2, WORDS("--bytes", "2048"), "bad value \"2048\"");
    refused(2, WORDS("--wait", "5"), "with us, ms, s, min or h");
    refused(2, WORDS("--color", "3"), "red, green or blue, or 0 to 2");
    refused(1, WORDS("--name"), "--name: its value is missing; accepted: TEXT");
    refused(2, WORDS("--name", "--loud"), "its value is missing");
    refused(1, WORDS("--loud=1"), "takes no value, but got \"1\"");
    refused(1, WORDS("--cuont"), "did you mean --count?");
    refused(1, WORDS("--zebra"), "unknown option --zebra; --help lists all");
    refused(1, WORDS("-l"), "options begin with two dashes");
}

static void test_list_is_bounded(void **state)
{
    char *words[CLI_LIST_MAX + 1];
    for (int i = 0; i <= CLI_LIST_MAX; i++)
        words[i] = "--tag=a";
    assert_int_equal(parse(CLI_LIST_MAX, words, false).values.tags.count, CLI_LIST_MAX);
    refused(CLI_LIST_MAX + 1, words, "at most 16 times");
}

static void test_first_table_wins(void **state)
{
    struct values first = {0}, second = {0};
    struct cli_options tables[] = {{rows, ROWS, &first}, {rows, ROWS, &second}};
    int count;
    assert_int_equal(cli_options_parse(tables, 2, 1, WORDS("--loud"), false, NULL, &count, NULL),
                     1);
    assert_true(first.loud);
    assert_false(second.loud);
}

static void test_help_names_every_row(void **state)
{
    char *text = NULL;
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);
    cli_options_help(to, rows, 3);
    fclose(to);
    assert_non_null(
        strstr(text, "  --count N               how many (a whole number, 1 to 9) [3]\n"));
    assert_non_null(strstr(text, "--loud"));
    assert_non_null(strstr(text, "--bytes SIZE"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_end_of_options),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_list_is_bounded),
        cmocka_unit_test(test_first_table_wins),
        cmocka_unit_test(test_help_names_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

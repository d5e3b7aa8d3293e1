/* What is printed can be read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/option.h"
#include "config/rig_test.h"

static struct rig rig;
static char *text;

static int empty(void **state)
{
    memset(&rig, 0, sizeof rig);
    return 0;
}

static int done(void **state)
{
    free(text);
    text = NULL;
    return 0;
}

/* Sets `text` to what the function prints. */
static void print(void (*print_fn)(FILE *to))
{
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);
    assert_non_null(to);
    print_fn(to);
    assert_int_equal(fclose(to), 0);
}

static void print_effective(FILE *to)
{
    config_print_effective(to, &rig.config);
}

static void assert_prints(const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void assert_same(const struct config *a, const struct config *b)
{
    for (int i = 0; i < option_count; i++)
        if (!(option_table[i].rules & OPTION_NOT_IN_FILE) && !option_same(&option_table[i], a, b))
            fail_msg("%s differs", option_table[i].name);
}

static void what_is_in_force_is_printed_with_who_said_it(void **state)
{
    static const char *const variables[] = {"EMBARCADERO_PORT=7000", NULL};
    rig.variables = variables;
    rig.file = "# first\nroles: [sequencer, broker]\nmax-message: 1MiB\n";
    rig_accepts(&rig, "--config rack.yaml --node-id 3 --region shm:rack --segment-size 256KiB "
                      "--max-message 1KiB");
    print(print_effective);
    assert_string_equal(text, "node-id: 3                              # --node-id\n"
                              "roles: [broker, sequencer]              # rack.yaml:2\n"
                              "port: 7000                              # EMBARCADERO_PORT\n"
                              "region: \"shm:rack\"                      # --region\n"
                              "segment-size: 256KiB                    # --segment-size\n"
                              "max-batch: 256KiB                       # default, made to fit\n"
                              "max-message: 1KiB                       # --max-message\n"
                              "# all others have their default\n");
}

static void defaults_alone_are_no_lines(void **state)
{
    rig.file = "";
    rig_set_sources(&rig, "");
    assert_int_equal(config_parse_file(RIG_FILE, rig.sources.read_fn, &rig, &rig.config, NULL),
                     EMB_OK);
    print(print_effective);
    assert_string_equal(text, "# all options have their default\n");
}

static void what_is_printed_gives_the_same_values_again(void **state)
{
    static const char *const lines[] = {
        "--dev",
        "--dev --nodes 1 --topics 4096 --keep",
        "--node-id 2 --region file:/mnt/a\"b\\c --data Gr\xC3\xB6\xC3\x9F"
        "e --roles replica",
        "--node-id 0 --region shm:a --segment-size 4KiB --idle-timeout 7s --region-size 1048577",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct rig again = {0};
        rig_accepts(&rig, lines[i]);
        print(print_effective);
        again.file = text;
        rig_accepts(&again, "--config rack.yaml");
        assert_same(&rig.config, &again.config);
        done(state);
    }
}

static void the_example_is_a_file_that_changes_nothing(void **state)
{
    print(config_print_example);
    struct rig defaults = {0};
    assert_int_equal(rig_parse_file(&defaults, ""), EMB_OK);
    assert_int_equal(rig_parse_file(&rig, text), EMB_OK);
    assert_same(&rig.config, &defaults.config);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
        assert_true(end - line <= 100 && (end == line || *line == '#'));
}

/* A line of the example without its '#': taken, with the value that the default is. */
static void check_uncommented(const char *line, const struct config *defaults)
{
    struct config config;
    rig.file = line;
    rig_set_sources(&rig, "");
    int result = config_parse_file(RIG_FILE, rig.sources.read_fn, &rig, &config, &rig.error);
    if (result != EMB_OK) {
        rig_says(&rig, "keep: accepted with --dev only");
        return;
    }
    config.node_id = defaults->node_id;
    assert_same(&config, defaults);
}

static void each_line_of_the_example_is_right_if_uncommented(void **state)
{
    struct config defaults;
    rig.file = "";
    rig_set_sources(&rig, "");
    assert_int_equal(config_parse_file(RIG_FILE, rig.sources.read_fn, &rig, &defaults, NULL),
                     EMB_OK);
    print(config_print_example);
    int options = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
        if (line[0] == '#' && line[1] != ' ' && line[1]) {
            check_uncommented(line + 1, &defaults);
            options++;
        }
    assert_int_equal(options, option_count - 2);
}

static void the_page_has_a_row_for_each_option(void **state)
{
    print(config_print_docs);
    for (int i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        char row[120], variable[OPTION_VARIABLE_BYTES], accepts[OPTION_ACCEPTS_BYTES];
        snprintf(row, sizeof row, "\n| `%s` | ", option->name);
        assert_prints(row);
        option_variable(option, variable);
        snprintf(row, sizeof row, " | `%s` |\n", variable);
        assert_prints(row);
        option_accepts(option, accepts);
        assert_prints(accepts);
        assert_prints(option->text);
        if (option->group)
            assert_prints(option->group);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_in_force_is_printed_with_who_said_it, empty, done),
        cmocka_unit_test_setup_teardown(defaults_alone_are_no_lines, empty, done),
        cmocka_unit_test_setup_teardown(what_is_printed_gives_the_same_values_again, empty, done),
        cmocka_unit_test_setup_teardown(the_example_is_a_file_that_changes_nothing, empty, done),
        cmocka_unit_test_setup_teardown(each_line_of_the_example_is_right_if_uncommented, empty,
                                        done),
        cmocka_unit_test_setup_teardown(the_page_has_a_row_for_each_option, empty, done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/option.h"

#define MIB (1ULL << 20)
#define MS  1000000ULL

static struct config config;
static struct error error;

/* An environment as "NAME=value" strings, ended by NULL. */
static const char *environment(void *arg, const char *name)
{
    for (const char *const *at = arg; at && *at; at++)
        if (!strncmp(*at, name, strlen(name)) && (*at)[strlen(name)] == '=')
            return *at + strlen(name) + 1;
    return NULL;
}

/* Parses the words of `line`, parted by one blank each. */
static int parse_with(const char *const *variables, const char *line)
{
    char words[400];
    char *argv[20] = {(char[]){"embarcaderod"}};
    int argc = 1;
    snprintf(words, sizeof words, "%s", line);
    for (char *rest = words, *word; (word = strsep(&rest, " "));)
        if (*word)
            argv[argc++] = word;
    memset(&error, 0, sizeof error);
    return config_parse(argc, argv, environment, (void *)variables, &config, &error);
}

static int parse(const char *line)
{
    return parse_with(NULL, line);
}

static void assert_says(const char *part)
{
    if (!strstr(error.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, error.text);
}

/* The line is refused, and the message holds each of the parts. */
static void assert_refused(const char *line, const char *a, const char *b, const char *c)
{
    int result = parse(line);
    if (result != EMB_ERR_INVALID_ARGUMENT)
        fail_msg("\"%s\" gave %d", line, result);
    assert_int_equal(error.code, EMB_ERR_INVALID_ARGUMENT);
    assert_says(a);
    assert_says(b);
    assert_says(c);
}

static void defaults_are_those_of_the_design(void **state)
{
    assert_int_equal(parse(""), EMB_OK);
    assert_false(config.dev || config.keep || config.quiet || config.verbose || config.help);
    assert_int_equal(config.nodes, 1);
    assert_string_equal(config.host, "127.0.0.1");
    assert_int_equal(config.port, 9650);
    assert_string_equal(config.data, "./embarcadero-data");
    assert_string_equal(config.region, "");
    assert_string_equal(config.ports_file, "");
    assert_int_equal(config.region_bytes, 16384 * MIB);
    assert_int_equal(config.coherence, CONFIG_COHERENCE_AUTO);
    assert_int_equal(config.segment_bytes, 16 * MIB);
    assert_int_equal(config.lane_slots, 8192);
    assert_int_equal(config.goi_segments, 64);
    assert_int_equal(config.goi_segment_entries, 16384);
    assert_int_equal(config.topics, 4096);
    assert_int_equal(config.sessions, 100000);
    assert_int_equal(config.writeback, CONFIG_WRITEBACK_AUTO);
    assert_int_equal(config.threads, CONFIG_THREADS_AUTO);
    assert_int_equal(config.max_batch_bytes, 4 * MIB);
    assert_int_equal(config.max_message_bytes, 1 * MIB);
    assert_int_equal(config.backpressure_high_percent, 80);
    assert_int_equal(config.backpressure_low_percent, 50);
    assert_int_equal(config.backpressure_time_ns, 10000 * MS);
    assert_int_equal(config.gap_fence_timeout_ns, 15000 * MS);
    assert_int_equal(config.gap_skip_timeout_ns, 1500000);
    assert_int_equal(config.pass_time_ns, 500000);
    assert_int_equal(config.sync_bytes, 64 * MIB);
}

static void dev_has_defaults_of_its_own_unless_told(void **state)
{
    assert_int_equal(parse("--dev"), EMB_OK);
    assert_int_equal(config.nodes, 4);
    assert_int_equal(config.topics, 256);
    assert_int_equal(config.region_bytes, 1024 * MIB);
    assert_int_equal(config.sessions, 4096);
    assert_int_equal(parse("--nodes 2 --topics 4096 --dev"), EMB_OK);
    assert_int_equal(config.nodes, 2);
    assert_int_equal(config.topics, 4096);
}

static void both_forms_of_flags_are_read(void **state)
{
    assert_int_equal(parse("--port 7000 --host=10.0.0.7 --region file:/tmp/a=b --keep"), EMB_OK);
    assert_int_equal(config.port, 7000);
    assert_string_equal(config.host, "10.0.0.7");
    assert_string_equal(config.region, "file:/tmp/a=b");
    assert_true(config.keep);
    assert_int_equal(parse("--keep=no --dev=1 --ports-file= --port=1 --port=2"), EMB_OK);
    assert_false(config.keep);
    assert_true(config.dev);
    assert_int_equal(config.port, 2);
    assert_int_equal(parse("--mem.writeback clwb --coherence software --threads=dedicated"),
                     EMB_OK);
    assert_int_equal(config.writeback, CONFIG_WRITEBACK_CLWB);
    assert_int_equal(config.coherence, CONFIG_COHERENCE_SOFTWARE);
    assert_int_equal(config.threads, CONFIG_THREADS_DEDICATED);
}

static void sizes_and_durations_have_units(void **state)
{
    assert_int_equal(parse("--segment-size 256KiB --region-size 67108864 --sync-bytes 1GiB"),
                     EMB_OK);
    assert_int_equal(config.segment_bytes, 256 << 10);
    assert_int_equal(config.region_bytes, 64 * MIB);
    assert_int_equal(config.sync_bytes, 1024 * MIB);
    assert_int_equal(parse("--pass-time 20us --gap-fence-timeout 900ms --backpressure-time 899ms"),
                     EMB_OK);
    assert_int_equal(config.pass_time_ns, 20000);
    assert_int_equal(config.gap_fence_timeout_ns, 900 * MS);
    assert_int_equal(config.backpressure_time_ns, 899 * MS);
}

static void limits_are_accepted_and_what_is_beyond_refused(void **state)
{
    assert_int_equal(parse("--nodes 8 --port 65528"), EMB_OK);
    assert_int_equal(parse("--nodes 1 --port 0"), EMB_OK);
    assert_refused("--nodes 0", "--nodes", "\"0\"", "1 to 8");
    assert_refused("--nodes 9", "--nodes", "\"9\"", "1 to 8");
    assert_refused("--port 65536", "--port", "\"65536\"", "0 to 65535");
    assert_int_equal(parse("--segment-size 4KiB --max-batch 4096"), EMB_OK);
    assert_refused("--segment-size 2KiB", "--segment-size", "2KiB", "4KiB to 1GiB");
    assert_refused("--segment-size 2GiB", "--segment-size", "2GiB", "4KiB to 1GiB");
    assert_refused("--segment-size 5MiB", "--segment-size", "5MiB", "a power of two");
    assert_int_equal(parse("--lane-slots 8 --pass-time 1s"), EMB_OK);
    assert_refused("--lane-slots 12", "--lane-slots", "\"12\"", "a power of two");
    assert_refused("--pass-time 1001ms", "--pass-time", "1001ms", "1us to 1s");
}

static void bad_values_name_option_value_and_range(void **state)
{
    assert_refused("--port x", "--port", "\"x\"", "0 to 65535");
    assert_refused("--port=", "--port", "\"\"", "a whole number");
    assert_refused("--port=-1", "--port", "\"-1\"", "0 to 65535");
    assert_refused("--port 80x", "--port", "\"80x\"", "0 to 65535");
    assert_refused("--port 1KiB", "--port", "\"1KiB\"", "0 to 65535");
    assert_refused("--port 18446744073709551617", "--port", "18446744073709551617", "65535");
    assert_refused("--region-size 17179869185GiB", "--region-size", "17179869185GiB", "GiB");
    assert_refused("--region-size 1.5GiB", "--region-size", "1.5GiB", "whole number");
    assert_refused("--region-size 1GB", "--region-size", "1GB", "KiB, MiB, GiB or TiB");
    assert_refused("--pass-time 500", "--pass-time", "\"500\"", "us, ms, s, min or h");
    assert_refused("--pass-time 0", "--pass-time", "\"0\"", "1us");
    assert_refused("--keep=maybe", "--keep", "\"maybe\"", "true or false");
    assert_refused("--threads many", "--threads", "\"many\"", "auto, shared or dedicated");
    assert_refused("--mem.writeback clflush", "--mem.writeback", "\"clflush\"",
                   "auto, movdir64b, clwb or clflushopt");
    assert_refused("--host=", "--host", "\"\"", "1 to 21 bytes");
    assert_refused("--host a.very.long.host.names", "--host", "a.very", "1 to 21 bytes");
    assert_int_equal(parse("--host a.very.long.host.name"), EMB_OK);
    assert_int_equal(parse("--host 255.255.255.255"), EMB_OK);
}

static void unknown_words_are_refused_with_the_nearest_option(void **state)
{
    assert_refused("--prot 1", "--prot", "did you mean --port?", "unknown option");
    assert_refused("--segmentsize=1MiB", "--segmentsize", "did you mean --segment-size?", "unk");
    assert_refused("--gap-fence-time 1s", "--gap-fence-time", "--gap-fence-timeout", "unknown");
    assert_refused("--zzzzzzzzzzzz", "--zzzzzzzzzzzz", "--help", "unknown option");
    assert_refused("--=1", "unknown option", "--", "");
    assert_refused("--"
                   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                   "unknown option", "--help", "");
    assert_refused("start", "unexpected argument", "\"start\"", "--name value");
    assert_refused("-p", "unexpected argument", "\"-p\"", "");
    assert_refused("--", "unexpected argument", "\"--\"", "");
    assert_refused("--keep true", "unexpected argument", "\"true\"", "");
}

static void a_forgotten_value_is_not_taken_from_the_next_option(void **state)
{
    assert_refused("--port", "--port needs a value", "0 to 65535", "");
    assert_refused("--port --dev", "--port needs a value", "0 to 65535", "");
    assert_refused("--data --keep", "--data needs a value", "bytes", "");
}

static void values_have_to_fit_together(void **state)
{
    assert_refused("--port 65533 --dev", "--port", "65533", "at most 65532");
    assert_refused("--max-batch 8MiB --segment-size 4MiB", "--max-batch", "8388608", "4194304");
    assert_refused("--max-message 2MiB --max-batch 1MiB", "--max-message", "2097152", "1048576");
    assert_refused("--backpressure-low 80", "--backpressure-low", "80", "--backpressure-high");
    assert_refused("--backpressure-time 15s", "--backpressure-time", "15000ms", "15000ms");
    assert_refused("--quiet --verbose", "--quiet", "--verbose", "one of them");
    assert_refused("--region tcp://x", "--region", "tcp://x", "shm:NAME");
    assert_refused("--region shm:", "--region", "\"shm:\"", "shm:NAME");
    assert_refused("--nodes 4 --lanes 3", "--lanes", "3", "4 nodes");
}

static void small_segments_bring_small_batches(void **state)
{
    assert_int_equal(parse("--segment-size 256KiB"), EMB_OK);
    assert_int_equal(config.max_batch_bytes, 256 << 10);
    assert_int_equal(config.max_message_bytes, 256 << 10);
    assert_int_equal(parse("--max-batch 512KiB"), EMB_OK);
    assert_int_equal(config.max_message_bytes, 512 << 10);
}

static void the_environment_is_weaker_than_the_command_line(void **state)
{
    const char *const variables[] = {
        "EMBARCADERO_PORT=7000", "EMBARCADERO_MEM_WRITEBACK=clwb", "EMBARCADERO_SEGMENT_SIZE=1MiB",
        "EMBARCADERO_DEV=1",     "EMBARCADERO_TOPICS=77",          NULL};
    assert_int_equal(parse_with(variables, "--segment-size 2MiB"), EMB_OK);
    assert_int_equal(config.port, 7000);
    assert_int_equal(config.writeback, CONFIG_WRITEBACK_CLWB);
    assert_int_equal(config.segment_bytes, 2 * MIB);
    assert_int_equal(config.nodes, 4);
    assert_int_equal(config.topics, 77);
}

static void bad_variables_are_named_as_such(void **state)
{
    const char *const variables[] = {"EMBARCADERO_GAP_SKIP_TIMEOUT=soon", NULL};
    assert_int_equal(parse_with(variables, ""), EMB_ERR_INVALID_ARGUMENT);
    assert_says("EMBARCADERO_GAP_SKIP_TIMEOUT");
    assert_says("\"soon\"");
    assert_says("1us to 1h");
    char *argv[] = {(char[]){"embarcaderod"}, NULL};
    assert_int_equal(config_parse(1, argv, NULL, NULL, &config, NULL), EMB_OK);
}

static void help_and_version_are_reported(void **state)
{
    assert_int_equal(parse("--help --port 65533 --nodes 8"), EMB_OK);
    assert_true(config.help);
    assert_int_equal(parse("-h"), EMB_OK);
    assert_true(config.help);
    assert_int_equal(parse("--version"), EMB_OK);
    assert_true(config.version && !config.help);
    assert_int_equal(parse("--help --port x"), EMB_ERR_INVALID_ARGUMENT);
}

static void help_shows_each_row_of_the_table(void **state)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&text, &bytes);
    assert_non_null(to);
    config_print_help(to, "embarcaderod");
    assert_int_equal(fclose(to), 0);
    for (int i = 0; i < option_count; i++) {
        char accepts[OPTION_ACCEPTS_BYTES], flag[64];
        option_accepts(&option_table[i], accepts);
        snprintf(flag, sizeof flag, "\n  --%s ", option_table[i].name);
        assert_non_null(strstr(text, flag));
        assert_non_null(strstr(text, accepts));
        assert_non_null(strstr(text, option_table[i].text));
        assert_non_null(strstr(text, option_table[i].value));
    }
    assert_non_null(strstr(text, "[1 to 8; default 1, with --dev 4]"));
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
        assert_true(strlen(line) <= 120);
    free(text);
}

static void rows_of_the_table_are_sound(void **state)
{
    for (int i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        assert_ptr_equal(option_find(option->name, strlen(option->name)), option);
        assert_true(option->field < sizeof(struct config));
        if (option->type != OPTION_ENUM && option->type != OPTION_BOOL)
            assert_true(option->max > option->min);
        for (int j = 0; j < i; j++)
            assert_int_not_equal(option->field, option_table[j].field);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_design),
        cmocka_unit_test(dev_has_defaults_of_its_own_unless_told),
        cmocka_unit_test(both_forms_of_flags_are_read),
        cmocka_unit_test(sizes_and_durations_have_units),
        cmocka_unit_test(limits_are_accepted_and_what_is_beyond_refused),
        cmocka_unit_test(bad_values_name_option_value_and_range),
        cmocka_unit_test(unknown_words_are_refused_with_the_nearest_option),
        cmocka_unit_test(a_forgotten_value_is_not_taken_from_the_next_option),
        cmocka_unit_test(values_have_to_fit_together),
        cmocka_unit_test(small_segments_bring_small_batches),
        cmocka_unit_test(the_environment_is_weaker_than_the_command_line),
        cmocka_unit_test(bad_variables_are_named_as_such),
        cmocka_unit_test(help_and_version_are_reported),
        cmocka_unit_test(help_shows_each_row_of_the_table),
        cmocka_unit_test(rows_of_the_table_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

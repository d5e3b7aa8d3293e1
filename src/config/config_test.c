#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "config/option.h"
#include "config/rig_test.h"

#define MIB (1ULL << 20)
#define MS  1000000ULL

static struct rig rig;

static int empty(void **state)
{
    memset(&rig, 0, sizeof rig);
    return 0;
}

/* With what a node needs, if it does not say --dev. */
static int parse(const char *line)
{
    char whole[400];
    const char *needed = strstr(line, "--dev") ? "" : "--node-id 0 --region shm:rack ";
    snprintf(whole, sizeof whole, "%s%s", needed, line);
    return rig_parse(&rig, whole);
}

static int parse_with(const char *const *variables, const char *line)
{
    rig.variables = variables;
    return rig_parse(&rig, line);
}

static void assert_says(const char *part)
{
    rig_says(&rig, part);
}

static void assert_refused(const char *line, const char *a, const char *b, const char *c)
{
    char whole[400];
    const char *needed = strstr(line, "--dev") ? "" : "--node-id 0 --region shm:rack ";
    snprintf(whole, sizeof whole, "%s%s", needed, line);
    rig_refuses(&rig, whole, a, b, c);
}

static void defaults_are_those_of_the_design(void **state)
{
    assert_int_equal(parse(""), EMB_OK);
    assert_false(rig.config.dev || rig.config.keep || rig.config.check || rig.config.help);
    assert_int_equal(rig.config.node_id, 0);
    assert_int_equal(rig.config.roles, CONFIG_ROLE_BROKER | CONFIG_ROLE_REPLICA);
    assert_int_equal(rig.config.nodes, 4);
    assert_int_equal(rig.config.replicas, 2);
    assert_string_equal(rig.config.file, "");
    assert_string_equal(rig.config.host, "127.0.0.1");
    assert_string_equal(rig.config.advertise_host, "");
    assert_int_equal(rig.config.port, 9650);
    assert_string_equal(rig.config.data, "./embarcadero-data");
    assert_string_equal(rig.config.ports_file, "");
    assert_int_equal(rig.config.region_bytes, 16384 * MIB);
    assert_int_equal(rig.config.coherence, CONFIG_COHERENCE_AUTO);
    assert_int_equal(rig.config.segment_bytes, 16 * MIB);
    assert_int_equal(rig.config.lane_slots, 8192);
    assert_int_equal(rig.config.goi_segments, 64);
    assert_int_equal(rig.config.goi_segment_entries, 16384);
    assert_int_equal(rig.config.topics, 4096);
    assert_int_equal(rig.config.sessions, 100000);
    assert_int_equal(rig.config.writeback, CONFIG_WRITEBACK_AUTO);
    assert_int_equal(rig.config.threads, CONFIG_THREADS_AUTO);
    assert_int_equal(rig.config.max_batch_bytes, 4 * MIB);
    assert_int_equal(rig.config.max_message_bytes, 1 * MIB);
    assert_int_equal(rig.config.log_format, CONFIG_LOG_AUTO);
    assert_int_equal(rig.config.log_level, LOG_LEVEL_INFO);
    assert_int_equal(rig.config.max_connections, 10000);
    assert_int_equal(rig.config.max_connections_per_client, 0);
    assert_int_equal(rig.config.client_memory_bytes, 64 * MIB);
    assert_int_equal(rig.config.idle_timeout_ns, 0);
    assert_int_equal(rig.config.frame_timeout_ns, 10000 * MS);
    assert_int_equal(rig.config.request_wait_ns, 10000 * MS);
    assert_int_equal(rig.config.deliver_stall_ns, 500 * MS);
    assert_int_equal(rig.config.backpressure_high_percent, 80);
    assert_int_equal(rig.config.backpressure_low_percent, 50);
    assert_int_equal(rig.config.backpressure_time_ns, 10000 * MS);
    assert_int_equal(rig.config.gap_fence_timeout_ns, 15000 * MS);
    assert_int_equal(rig.config.gap_skip_timeout_ns, 1500000);
    assert_int_equal(rig.config.pass_time_ns, 500000);
    assert_int_equal(rig.config.sync_bytes, 64 * MIB);
}

static void dev_has_defaults_of_its_own_unless_told(void **state)
{
    assert_int_equal(parse("--dev"), EMB_OK);
    assert_int_equal(rig.config.nodes, 4);
    assert_int_equal(rig.config.topics, 256);
    assert_int_equal(rig.config.region_bytes, 1024 * MIB);
    assert_int_equal(rig.config.sessions, 4096);
    assert_int_equal(parse("--nodes 2 --topics 4096 --dev"), EMB_OK);
    assert_int_equal(rig.config.nodes, 2);
    assert_int_equal(rig.config.topics, 4096);
}

static void both_forms_of_flags_are_read(void **state)
{
    assert_int_equal(parse("--port 7000 --host=10.0.0.7 --region file:/tmp/a=b --dev --keep"),
                     EMB_OK);
    assert_int_equal(rig.config.port, 7000);
    assert_string_equal(rig.config.host, "10.0.0.7");
    assert_string_equal(rig.config.region, "file:/tmp/a=b");
    assert_true(rig.config.keep);
    assert_int_equal(parse("--dev=1 --keep=no --ports-file= --port=1 --port=2"), EMB_OK);
    assert_false(rig.config.keep);
    assert_true(rig.config.dev);
    assert_int_equal(rig.config.port, 2);
    assert_int_equal(parse("--mem.writeback clwb --coherence software --threads=dedicated"),
                     EMB_OK);
    assert_int_equal(rig.config.writeback, CONFIG_WRITEBACK_CLWB);
    assert_int_equal(rig.config.coherence, CONFIG_COHERENCE_SOFTWARE);
    assert_int_equal(rig.config.threads, CONFIG_THREADS_DEDICATED);
}

static void sizes_and_durations_have_units(void **state)
{
    assert_int_equal(parse("--segment-size 256KiB --region-size 67108864 --sync-bytes 1GiB"),
                     EMB_OK);
    assert_int_equal(rig.config.segment_bytes, 256 << 10);
    assert_int_equal(rig.config.region_bytes, 64 * MIB);
    assert_int_equal(rig.config.sync_bytes, 1024 * MIB);
    assert_int_equal(parse("--pass-time 20us --gap-fence-timeout 900ms --backpressure-time 899ms"),
                     EMB_OK);
    assert_int_equal(rig.config.pass_time_ns, 20000);
    assert_int_equal(rig.config.gap_fence_timeout_ns, 900 * MS);
    assert_int_equal(rig.config.backpressure_time_ns, 899 * MS);
}

static void limits_are_accepted_and_what_is_beyond_refused(void **state)
{
    assert_int_equal(parse("--dev --nodes 8 --port 65528"), EMB_OK);
    assert_int_equal(parse("--nodes 1 --port 0"), EMB_OK);
    assert_int_equal(parse("--nodes 32 --lanes 32 --node-id 31 --port 65535"), EMB_OK);
    assert_refused("--nodes 0", "--nodes", "\"0\"", "1 to 32");
    assert_refused("--nodes 33", "--nodes", "\"33\"", "1 to 32");
    assert_refused("--nodes 9 --dev", "--nodes", "9", "1 to 8");
    assert_refused("--node-id 32", "--node-id", "\"32\"", "0 to 31");
    assert_refused("--replicas 9", "--replicas", "\"9\"", "0 to 8");
    assert_refused("--port 65536", "--port", "\"65536\"", "0 to 65535");
    assert_int_equal(parse("--segment-size 4KiB --max-batch 4096"), EMB_OK);
    assert_refused("--segment-size 2KiB", "--segment-size", "2KiB", "4KiB to 1GiB");
    assert_refused("--segment-size 2GiB", "--segment-size", "2GiB", "4KiB to 1GiB");
    assert_refused("--segment-size 5MiB", "--segment-size", "5MiB", "a power of two");
    assert_int_equal(parse("--lane-slots 8 --pass-time 1s"), EMB_OK);
    assert_refused("--lane-slots 12", "--lane-slots", "\"12\"", "a power of two");
    assert_int_equal(parse("--idle-timeout 0 --frame-timeout 10ms"), EMB_OK);
    assert_refused("--idle-timeout 999ms", "--idle-timeout", "999ms", "0, or 1s to 168h");
    assert_refused("--frame-timeout 0", "--frame-timeout", "\"0\"", "10ms to 1h");
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
    assert_refused("--host 0.0.0.0", "--host", "0.0.0.0", "advertise-host");
    assert_int_equal(parse("--host 0.0.0.0 --advertise-host rack1.example"), EMB_OK);
    assert_string_equal(rig.config.advertise_host, "rack1.example");
    assert_refused("--port 65533 --dev", "--port", "65533", "at most 65532");
    assert_refused("--max-batch 8MiB --segment-size 4MiB", "--max-batch", "8388608", "4194304");
    assert_refused("--max-message 2MiB --max-batch 1MiB", "--max-message", "2097152", "1048576");
    assert_refused("--backpressure-low 80", "--backpressure-low: 80", "below",
                   "backpressure-high, 80");
    assert_refused("--backpressure-time 15s", "--backpressure-time", "15000ms", "15000ms");
    assert_refused("--max-batch 1MiB --client-memory 1048575", "--client-memory", "1048575",
                   "at least max-batch, 1048576");
    assert_refused("--nodes 2 --replicas 3", "--replicas: 3", "at most", "2 nodes");
    assert_refused("--nodes 2 --node-id 2", "--node-id: 2", "2 nodes", "below nodes");
    assert_refused("--region tcp://x", "--region", "tcp://x", "shm:NAME");
    assert_refused("--region shm:", "--region", "\"shm:\"", "shm:NAME");
    assert_refused("--nodes 4 --lanes 3", "--lanes", "3", "4 nodes");
}

static void small_segments_bring_small_batches(void **state)
{
    assert_int_equal(parse("--segment-size 256KiB"), EMB_OK);
    assert_int_equal(rig.config.max_batch_bytes, 256 << 10);
    assert_int_equal(rig.config.max_message_bytes, 256 << 10);
    assert_int_equal(parse("--max-batch 512KiB"), EMB_OK);
    assert_int_equal(rig.config.max_message_bytes, 512 << 10);
}

static void the_environment_is_weaker_than_the_command_line(void **state)
{
    const char *const variables[] = {"EMBARCADERO_PORT=7000",
                                     "EMBARCADERO_MEM_WRITEBACK=clwb",
                                     "EMBARCADERO_SEGMENT_SIZE=1MiB",
                                     "EMBARCADERO_DEV=1",
                                     "EMBARCADERO_TOPICS=77",
                                     "EMBARCADEROX=1",
                                     "PATH=/bin",
                                     "EMBARCADERO_BROKERS=tcp://x",
                                     "EMBARCADERO_IO=thread",
                                     "EMBARCADERO",
                                     NULL};
    assert_int_equal(parse_with(variables, "--segment-size 2MiB"), EMB_OK);
    assert_int_equal(rig.config.port, 7000);
    assert_int_equal(rig.config.writeback, CONFIG_WRITEBACK_CLWB);
    assert_int_equal(rig.config.segment_bytes, 2 * MIB);
    assert_int_equal(rig.config.nodes, 4);
    assert_int_equal(rig.config.topics, 77);
}

static void bad_variables_are_named_as_such(void **state)
{
    const char *const variables[] = {"EMBARCADERO_GAP_SKIP_TIMEOUT=soon", NULL};
    assert_int_equal(parse_with(variables, "--dev"), EMB_ERR_INVALID_ARGUMENT);
    assert_says("EMBARCADERO_GAP_SKIP_TIMEOUT");
    assert_says("\"soon\"");
    assert_says("1us to 1h");
    const char *const together[] = {"EMBARCADERO_MAX_MESSAGE=5MiB", NULL};
    assert_int_equal(parse_with(together, "--dev"), EMB_ERR_INVALID_ARGUMENT);
    assert_says("EMBARCADERO_MAX_MESSAGE: 5242880");
    rig.sources.environment = NULL;
    assert_int_equal(config_parse(&rig.sources, &rig.config, NULL), EMB_OK);
}

static void unknown_variables_are_refused_with_the_nearest_one(void **state)
{
    const char *const near[] = {"EMBARCADERO_SEGMENTS_SIZE=1MiB", NULL};
    assert_int_equal(parse_with(near, "--dev"), EMB_ERR_INVALID_ARGUMENT);
    assert_says(
        "unknown variable EMBARCADERO_SEGMENTS_SIZE; did you mean EMBARCADERO_SEGMENT_SIZE?");
    const char *const far[] = {"EMBARCADERO_=1", NULL};
    assert_int_equal(parse_with(far, "--dev"), EMB_ERR_INVALID_ARGUMENT);
    assert_says("unknown variable EMBARCADERO_;");
    assert_says("--help");
}

static void a_node_needs_an_id_and_a_region_and_a_rack_has_none(void **state)
{
    rig_refuses(&rig, "", "--node-id is missing", "0 to 31", "--dev");
    rig_refuses(&rig, "--node-id 1", "--region is missing", "shm:NAME", "");
    rig_accepts(&rig, "--node-id 1 --region shm:r");
    assert_int_equal(rig.config.node_id, 1);
    rig_accepts(&rig, "--dev");
    assert_int_equal(rig.config.node_id, CONFIG_NOT_GIVEN);
    assert_string_equal(rig.config.region, "");
    rig_refuses(&rig, "--dev --node-id 0", "--node-id", "without --dev only", "");
    rig_refuses(&rig, "--dev --roles broker", "--roles", "without --dev only", "");
    rig_refuses(&rig, "--node-id 0 --region shm:r --keep", "--keep", "with --dev only", "");
}

static void roles_are_a_list_of_words(void **state)
{
    assert_int_equal(parse("--roles sequencer"), EMB_OK);
    assert_int_equal(rig.config.roles, CONFIG_ROLE_SEQUENCER);
    assert_int_equal(parse("--roles=sequencer,broker,replica"), EMB_OK);
    assert_int_equal(rig.config.roles, 7);
    const char *const variables[] = {"EMBARCADERO_ROLES= replica , broker ", NULL};
    assert_int_equal(parse_with(variables, "--node-id 0 --region shm:r"), EMB_OK);
    assert_int_equal(rig.config.roles, CONFIG_ROLE_BROKER | CONFIG_ROLE_REPLICA);
    rig.variables = NULL;
    assert_refused("--roles broker,standby", "--roles", "\"standby\" is not built yet",
                   "broker, replica and sequencer");
    assert_refused("--roles broker,broker", "--roles", "\"broker,broker\"", "one or more");
    assert_refused("--roles broker,", "--roles", "\"broker,\"", "");
    assert_refused("--roles ,", "--roles", "\",\"", "");
    assert_refused("--roles=", "--roles", "\"\"", "");
    assert_refused("--roles brokers", "--roles", "\"brokers\"", "");
    assert_refused("--roles all", "--roles", "\"all\"", "broker, replica and sequencer");
}

static void chains_are_no_longer_than_there_are_nodes(void **state)
{
    assert_int_equal(parse("--dev --nodes 1"), EMB_OK);
    assert_int_equal(rig.config.replicas, 1);
    assert_int_equal(parse("--nodes 8 --replicas 8"), EMB_OK);
    assert_int_equal(rig.config.replicas, 8);
    assert_int_equal(parse("--replicas 0"), EMB_OK);
    assert_int_equal(rig.config.replicas, 0);
}

static void texts_have_no_control_characters(void **state)
{
    const char *const variables[] = {"EMBARCADERO_DATA=a\nb", NULL};
    assert_int_equal(parse_with(variables, "--dev"), EMB_ERR_INVALID_ARGUMENT);
    assert_says("\"a\\nb\"");
    assert_says("without control characters");
}

static void help_and_version_are_reported(void **state)
{
    rig_accepts(&rig, "--help --port 65533 --nodes 8 --dev --config nowhere");
    assert_true(rig.config.help);
    assert_int_equal(parse("-h"), EMB_OK);
    assert_true(rig.config.help);
    assert_int_equal(parse("--version"), EMB_OK);
    assert_true(rig.config.version && !rig.config.help);
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
    assert_non_null(strstr(text, "[16 to 65536; default 64]"));
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
        if (!option->choices[0] && option->type != OPTION_BOOL)
            assert_true(option->max > option->min);
        for (int j = 0; j < i; j++)
            assert_int_not_equal(option->field, option_table[j].field);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defaults_are_those_of_the_design, empty),
        cmocka_unit_test_setup(dev_has_defaults_of_its_own_unless_told, empty),
        cmocka_unit_test_setup(both_forms_of_flags_are_read, empty),
        cmocka_unit_test_setup(sizes_and_durations_have_units, empty),
        cmocka_unit_test_setup(limits_are_accepted_and_what_is_beyond_refused, empty),
        cmocka_unit_test_setup(bad_values_name_option_value_and_range, empty),
        cmocka_unit_test_setup(unknown_words_are_refused_with_the_nearest_option, empty),
        cmocka_unit_test_setup(a_forgotten_value_is_not_taken_from_the_next_option, empty),
        cmocka_unit_test_setup(values_have_to_fit_together, empty),
        cmocka_unit_test_setup(small_segments_bring_small_batches, empty),
        cmocka_unit_test_setup(the_environment_is_weaker_than_the_command_line, empty),
        cmocka_unit_test_setup(bad_variables_are_named_as_such, empty),
        cmocka_unit_test_setup(unknown_variables_are_refused_with_the_nearest_one, empty),
        cmocka_unit_test_setup(a_node_needs_an_id_and_a_region_and_a_rack_has_none, empty),
        cmocka_unit_test_setup(roles_are_a_list_of_words, empty),
        cmocka_unit_test_setup(chains_are_no_longer_than_there_are_nodes, empty),
        cmocka_unit_test_setup(texts_have_no_control_characters, empty),
        cmocka_unit_test_setup(help_and_version_are_reported, empty),
        cmocka_unit_test_setup(help_shows_each_row_of_the_table, empty),
        cmocka_unit_test_setup(rows_of_the_table_are_sound, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

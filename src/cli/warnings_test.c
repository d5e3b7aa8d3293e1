/* Each warning appears for what it is about, and for nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cli/warnings.h"

/* A rack that is well: two nodes with stores, one without. */
static json_t *well(void)
{
    json_error_t why;
    json_t *tables = json_loads(
        "{\"broker\": ["
        "{\"row\": 0, \"epoch\": 3, \"sequencer\": 0, \"durable_waits_ms\": 5, \"committed\": 90,"
        " \"durable\": 80, \"lane_open\": 1, \"paused\": 0, \"refusing\": 0, \"slots\": 8,"
        " \"slots_used\": 2, \"blog_bytes\": 1000, \"blog_free_bytes\": 500},"
        "{\"row\": 1, \"epoch\": 3, \"sequencer\": 0, \"durable_waits_ms\": 0, \"committed\": 90,"
        " \"durable\": 80, \"lane_open\": 1, \"paused\": 0, \"refusing\": 0, \"slots\": 8,"
        " \"slots_used\": 2, \"blog_bytes\": 1000, \"blog_free_bytes\": 500}],"
        "\"node\": ["
        "{\"row\": 0, \"state\": \"live\", \"silent_ms\": 1, \"roles\": \"broker replica\","
        " \"store_synced\": 80},"
        "{\"row\": 1, \"state\": \"live\", \"silent_ms\": 2, \"roles\": \"broker replica\","
        " \"store_synced\": 70},"
        "{\"row\": 12, \"state\": \"left\", \"roles\": \"broker\"}],"
        "\"lane\": ["
        "{\"row\": 0, \"node\": 0, \"chain\": \"0,1\", \"chain_version\": 1},"
        "{\"row\": 64, \"chain\": \"0,1\", \"chain_version\": 1}],"
        "\"replica\": [{\"row\": 0, \"failure\": \"none\"}]}",
        0, &why);
    assert_non_null(tables);
    return tables;
}

static void change(json_t *tables, const char *table, size_t at, const char *name, json_t *value)
{
    json_object_set_new(json_array_get(json_object_get(tables, table), at), name, value);
}

/* Takes the tables over. */
static void assert_warns(json_t *tables, const char *part)
{
    json_t *warnings = warnings_of(tables);
    if (!part) {
        assert_int_equal(json_array_size(warnings), 0);
    } else {
        assert_int_equal(json_array_size(warnings), 1);
        const char *text = json_string_value(json_array_get(warnings, 0));
        if (!strstr(text, part))
            fail_msg("\"%s\" is not in \"%s\"", part, text);
    }
    json_decref(warnings);
    json_decref(tables);
}

static void a_rack_that_is_well_warns_of_nothing(void **state)
{
    assert_warns(well(), NULL);
    assert_warns(json_object(), NULL);
}

static void silent_nodes_are_told_by_what_waits_for_them(void **state)
{
    json_t *tables = well();
    change(tables, "node", 0, "state", json_string("silent"));
    change(tables, "node", 0, "silent_ms", json_integer(2500));
    assert_warns(tables, "node 0, the sequencer, has been silent for 2.5 s");
    tables = well();
    change(tables, "node", 1, "state", json_string("silent"));
    assert_warns(tables, "in the chains of lanes 0,64, ");
    tables = well();
    change(tables, "node", 2, "state", json_string("silent"));
    assert_warns(tables, "memory is held for it"); /* 12 is not member 1 */
    tables = well();
    change(tables, "node", 2, "state", json_string("asks"));
    assert_warns(tables, "node 12 asks to be admitted");
}

static void what_is_not_durable_is_told_with_who_is_slow(void **state)
{
    json_t *tables = well();
    change(tables, "broker", 1, "durable_waits_ms", json_integer(999));
    assert_warns(tables, NULL);
    tables = well();
    change(tables, "broker", 0, "durable_waits_ms", json_integer(1500));
    change(tables, "broker", 1, "durable_waits_ms", json_integer(1600));
    assert_warns(tables, "position 80 for 1.5 s, 10 behind what is committed; the slowest store is "
                         "that of node 1");
    tables = well();
    change(tables, "replica", 0, "failure", json_string("disk full"));
    assert_warns(tables, "the store of node 0 has failed: disk full");
    tables = well();
    change(tables, "lane", 0, "chain_version", json_integer(0));
    change(tables, "lane", 1, "chain_version", json_integer(0));
    assert_warns(tables, "lanes have no chains yet");
    change(tables = well(), "broker", 1, "epoch", json_integer(4));
    assert_warns(tables, "broker 0 follows epoch 3, broker 1 epoch 4");
}

static void brokers_that_hold_back_say_why(void **state)
{
    json_t *tables = well();
    change(tables, "broker", 1, "paused", json_integer(1));
    change(tables, "broker", 1, "slots_used", json_integer(7));
    assert_warns(tables, "broker 1 pauses its publishers: its ring is 87 % and its memory 50 %");
    tables = well();
    change(tables, "broker", 1, "paused", json_integer(1));
    change(tables, "broker", 1, "refusing", json_integer(1));
    assert_warns(tables, "broker 1 refuses batches");
    tables = well();
    change(tables, "broker", 0, "lane_open", json_integer(0));
    assert_warns(tables, "broker 0 serves nobody: it is not admitted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rack_that_is_well_warns_of_nothing),
        cmocka_unit_test(silent_nodes_are_told_by_what_waits_for_them),
        cmocka_unit_test(what_is_not_durable_is_told_with_who_is_slow),
        cmocka_unit_test(brokers_that_hold_back_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

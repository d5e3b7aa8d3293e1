/* Reading all sources again while a daemon runs. */
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

#define LINE "--config " RIG_FILE " --node-id 0 --region shm:rack --max-connections 77"

static struct rig rig;
static struct config now;
static char told[2000];

static int empty(void **state)
{
    memset(&rig, 0, sizeof rig);
    memset(&now, 0xFF, sizeof now);
    told[0] = '\0';
    return 0;
}

static void tell(void *arg, const char *name, bool applied, const char *before, const char *after)
{
    assert_ptr_equal(arg, told);
    size_t used = strlen(told);
    snprintf(told + used, sizeof told - used, "%s %s->%s%s;", name, before, after,
             applied ? "" : " restart");
}

/* From one file to another. */
static int reload(const char *first, const char *second)
{
    rig.file = first;
    rig_accepts(&rig, LINE);
    rig.file = second;
    rig_set_sources(&rig, LINE);
    memset(&rig.error, 0, sizeof rig.error);
    told[0] = '\0';
    return config_reload(&rig.sources, &rig.config, &now, tell, told, &rig.error);
}

static void what_is_reloadable_is_applied(void **state)
{
    assert_int_equal(reload("log-level: info\nbackpressure-low: 40\n",
                            "log-level: debug\nidle-timeout: 1min\nclient-memory: 8MiB\n"),
                     EMB_OK);
    assert_string_equal(told,
                        "log-level info->debug;client-memory 64MiB->8MiB;idle-timeout 0->1min;"
                        "backpressure-low 40->50;");
    assert_int_equal(now.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(now.idle_timeout_ns, 60000000000);
    assert_int_equal(now.client_memory_bytes, 8 << 20);
    assert_int_equal(now.backpressure_low_percent, 50);
    assert_int_equal(now.max_connections, 77);
    assert_int_equal(rig.config.log_level, LOG_LEVEL_INFO);
}

static void what_needs_a_restart_stays_and_is_told(void **state)
{
    assert_int_equal(reload("port: 7000\nroles: replica\ndata: a\n",
                            "port: 7001\nlog-level: error\nroles: [broker, replica]\ndata: b\n"),
                     EMB_OK);
    assert_string_equal(told, "roles replica->broker,replica restart;port 7000->7001 restart;"
                              "data a->b restart;log-level info->error;");
    assert_int_equal(now.port, 7000);
    assert_int_equal(now.roles, CONFIG_ROLE_REPLICA);
    assert_string_equal(now.data, "a");
    assert_int_equal(now.log_level, LOG_LEVEL_ERROR);
    /* Again from what is in force: still to be told. */
    struct config running = now;
    told[0] = '\0';
    assert_int_equal(config_reload(&rig.sources, &running, &now, tell, told, &rig.error), EMB_OK);
    assert_string_equal(told, "roles replica->broker,replica restart;port 7000->7001 restart;"
                              "data a->b restart;");
}

static void nothing_changed_is_nothing_told(void **state)
{
    assert_int_equal(reload("port: 7000\n", "# the same\nport: 7000\nlog-level: info\n"), EMB_OK);
    assert_string_equal(told, "");
    for (int i = 0; i < option_count; i++)
        assert_true(option_same(&option_table[i], &rig.config, &now));
}

static void stronger_sources_still_win(void **state)
{
    assert_int_equal(reload("", "max-connections: 5\n"), EMB_OK);
    assert_string_equal(told, "");
    assert_int_equal(now.max_connections, 77);
}

static void a_bad_file_changes_nothing(void **state)
{
    assert_int_equal(reload("", "log-level: debug\nidle-timeout: soon\n"),
                     EMB_ERR_INVALID_ARGUMENT);
    rig_says(&rig, "rack.yaml:2:1: idle-timeout");
    assert_string_equal(told, "");
    rig.file = NULL;
    assert_int_equal(config_reload(&rig.sources, &rig.config, &now, tell, told, &rig.error),
                     EMB_ERR_NOT_FOUND);
    assert_string_equal(told, "");
}

/* The new time goes with the new timeout, which a reload does not bring. */
static void new_values_have_to_go_with_old_ones(void **state)
{
    assert_int_equal(reload("", "backpressure-time: 20s\ngap-fence-timeout: 30s\n"),
                     EMB_ERR_INVALID_ARGUMENT);
    rig_says(&rig, "backpressure-time: 20000ms");
    rig_says(&rig, "gap-fence-timeout, 15000ms");
    rig_says(&rig, "only a restart");
    assert_string_equal(told, "");
}

static void what_is_told_where_it_means_nothing_is_refused(void **state)
{
    assert_int_equal(reload("", "keep: true\n"), EMB_ERR_INVALID_ARGUMENT);
    rig_says(&rig, "rack.yaml:1:1: keep");
}

static void only_what_is_safe_is_reloadable(void **state)
{
    static const char wanted[] =
        "log-level max-connections max-connections-per-client client-memory idle-timeout "
        "frame-timeout request-wait deliver-stall backpressure-high backpressure-low "
        "backpressure-time ";
    for (int i = 0; i < option_count; i++)
        if (option_table[i].reloadable) {
            size_t used = strlen(told);
            snprintf(told + used, sizeof told - used, "%s ", option_table[i].name);
        }
    assert_string_equal(told, wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_reloadable_is_applied, empty),
        cmocka_unit_test_setup(what_needs_a_restart_stays_and_is_told, empty),
        cmocka_unit_test_setup(nothing_changed_is_nothing_told, empty),
        cmocka_unit_test_setup(stronger_sources_still_win, empty),
        cmocka_unit_test_setup(a_bad_file_changes_nothing, empty),
        cmocka_unit_test_setup(new_values_have_to_go_with_old_ones, empty),
        cmocka_unit_test_setup(what_is_told_where_it_means_nothing_is_refused, empty),
        cmocka_unit_test_setup(only_what_is_safe_is_reloadable, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

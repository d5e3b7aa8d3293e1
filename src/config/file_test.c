/* The file: what it may look like, and where an error says that it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "config/rig_test.h"

static struct rig rig;

static int empty(void **state)
{
    memset(&rig, 0, sizeof rig);
    return 0;
}

static void accepts(const char *text)
{
    if (rig_parse_file(&rig, text) != EMB_OK)
        fail_msg("\"%s\" is refused: %s", text, rig.error.text);
}

static void values_of_every_type_are_read(void **state)
{
    accepts("# a comment\n"
            "port: 7000\n"
            "region-size: 64MiB   # another\n"
            "pass-time: 20us\n"
            "ports-file: '/run/a: b'\n"
            "mem.writeback: clwb\n"
            "roles: [ broker, sequencer ]\n"
            "host: \"10.0.0.7\"\n"
            "data: /var/lib/embarcadero/Gr\xC3\xB6\xC3\x9F"
            "e\n"
            "log-level: debug\n");
    assert_int_equal(rig.config.port, 7000);
    assert_int_equal(rig.config.region_bytes, 64 << 20);
    assert_int_equal(rig.config.pass_time_ns, 20000);
    assert_string_equal(rig.config.ports_file, "/run/a: b");
    assert_int_equal(rig.config.writeback, CONFIG_WRITEBACK_CLWB);
    assert_int_equal(rig.config.roles, CONFIG_ROLE_BROKER | CONFIG_ROLE_SEQUENCER);
    assert_string_equal(rig.config.host, "10.0.0.7");
    assert_string_equal(rig.config.data, "/var/lib/embarcadero/Gr\xC3\xB6\xC3\x9F"
                                         "e");
    assert_int_equal(rig.config.log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(rig.config.file, RIG_FILE);
}

static void every_form_of_a_flat_map_is_taken(void **state)
{
    accepts("{port: 1, roles: replica}");
    assert_int_equal(rig.config.port, 1);
    assert_int_equal(rig.config.roles, CONFIG_ROLE_REPLICA);
    accepts("---\r\nport: 2\r\n...\r\n");
    assert_int_equal(rig.config.port, 2);
    accepts("\xEF\xBB\xBFport: 3");
    assert_int_equal(rig.config.port, 3);
    accepts("roles:\n- replica\n- broker\nports-file: \"\"\n");
    assert_int_equal(rig.config.roles, CONFIG_ROLE_BROKER | CONFIG_ROLE_REPLICA);
    assert_string_equal(rig.config.ports_file, "");
    accepts("%YAML 1.1\n---\nport: \"4\"\nroles: broker, replica\n");
    assert_int_equal(rig.config.port, 4);
}

static void a_file_that_says_nothing_leaves_the_defaults(void **state)
{
    static const char *const nothing[] = {"", "\n\n", "# port: 1\n", "---\n", "{}", "--- ~\n"};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        accepts(nothing[i]);
        assert_int_equal(rig.config.port, 9650);
    }
}

static void it_is_stronger_than_defaults_and_weaker_than_the_rest(void **state)
{
    static const char *const variables[] = {"EMBARCADERO_TOPICS=33", "EMBARCADERO_CONFIG=rack.yaml",
                                            NULL};
    rig.file = "dev: true\nport: 7000\ntopics: 22\nsessions: 11\nsegment-size: 1MiB\n";
    rig.variables = variables;
    rig_accepts(&rig, "--port 7001");
    assert_int_equal(rig.config.port, 7001);
    assert_int_equal(rig.config.topics, 33);
    assert_int_equal(rig.config.sessions, 11);
    assert_int_equal(rig.config.region_bytes, 1 << 30);
    assert_int_equal(rig.config.max_batch_bytes, 1 << 20);
}

static void the_command_line_chooses_the_file(void **state)
{
    static const char *const variables[] = {"EMBARCADERO_CONFIG=elsewhere.yaml", NULL};
    rig.variables = variables;
    rig.file = "port: 7000\n";
    rig_accepts(&rig, "--config rack.yaml --dev");
    assert_int_equal(rig.config.port, 7000);
    assert_int_equal(rig_parse(&rig, "--dev"), EMB_ERR_NOT_FOUND);
    rig_says(&rig, "elsewhere.yaml");
    rig_accepts(&rig, "--dev --config=");
    assert_int_equal(rig.config.port, 9650);
    rig.sources.read_fn = NULL;
    rig_set_sources(&rig, "--dev --config rack.yaml");
    rig.sources.read_fn = NULL;
    assert_int_equal(config_parse(&rig.sources, &rig.config, NULL), EMB_ERR_NOT_SUPPORTED);
}

static void names_are_spelled_as_in_the_table(void **state)
{
    rig_refuses_file(&rig, "port: 1\nregion_size: 1GiB\n", "rack.yaml:2:1: ", "\"region_size\"",
                     "did you mean region-size?");
    rig_refuses_file(&rig, "prot: 1\n", "rack.yaml:1:1: ", "unknown option \"prot\"",
                     "did you mean port?");
    rig_refuses_file(&rig, "PORT: 1\n", "rack.yaml:1:1: ", "unknown option \"PORT\"", "example");
    rig_refuses_file(&rig, "  <<: 1\n", "rack.yaml:1:3: ", "unknown option \"<<\"", "example");
    rig_refuses_file(&rig, "\"po\\nrt\": 1\n", "rack.yaml:1:1: ", "\"po\\nrt\"", "");
    rig_refuses_file(&rig, "\"\": 1\n", "rack.yaml:1:1: ", "unknown option \"\"", "");
    rig_refuses_file(&rig, "config: a.yaml\n", "rack.yaml:1:1: ", "config", "--config");
    rig_refuses_file(&rig, "check-config: true\n", "rack.yaml:1:1: ", "check-config", "--check");
    rig_refuses_file(&rig, "help: true\n", "rack.yaml:1:1: ", "unknown option \"help\"", "");
}

static void a_name_is_there_once(void **state)
{
    rig_refuses_file(&rig, "port: 1\nhost: a\nport: 1\n", "rack.yaml:3:1: ", "port", "line 1");
    rig_refuses_file(&rig, "{port: 1,\n  port: 2}", "rack.yaml:2:3: ", "a second time", "line 1");
}

static void bad_values_are_told_with_their_place(void **state)
{
    rig_refuses_file(&rig, "\nport: many\n", "rack.yaml:2:1: port: ", "\"many\"", "0 to 65535");
    rig_refuses_file(&rig, "roles: [broker, brker]\n", "rack.yaml:1:1: roles: ", "brker",
                     "replica");
    rig_refuses_file(&rig, "roles: [broker, broker]\n", "rack.yaml:1:1: roles: ", "broker,broker",
                     "");
    rig_refuses_file(&rig, "roles: []\n", "rack.yaml:1:1: roles: ", "\"\"", "one or more");
    rig_refuses_file(&rig, "roles: ['', broker]\n", "rack.yaml:1:1: roles: ", "\",broker\"", "");
    rig_refuses_file(&rig, "roles: [broker, '']\n", "rack.yaml:1:1: roles: ", "\"broker,\"", "");
    rig_refuses_file(&rig, "roles: ['']\n", "rack.yaml:1:1: roles: ", "\"\"", "one or more");
    rig_refuses_file(&rig, "roles: standby\n", "rack.yaml:1:1: roles: ", "not built yet", "");
    rig_refuses_file(&rig, "data: \"a\\x07\"\n", "rack.yaml:1:1: data: ", "\\u0007", "control");
    rig_refuses_file(&rig, "host: |\n  a\n", "rack.yaml:1:1: host: ", "\"a\\n\"", "control");
    rig_refuses_file(&rig, "max-message: 5MiB\nport: 1\n",
                     "rack.yaml:1:1: max-message: ", "5242880", "4194304");
    rig_refuses_file(&rig, "keep: true\n", "rack.yaml:1:1: keep: ", "with --dev only", "");
}

static void other_shapes_are_refused(void **state)
{
    static const struct {
        const char *text, *place, *says, *accepted;
    } shapes[] = {
        {"mem:\n  writeback: clwb\n", "rack.yaml:1:1: ", "\"mem\" has a map",
         "mem.writeback: clwb"},
        {"port: {a: 1}\n", "rack.yaml:1:1: ", "\"port\" has a map", "flat"},
        {"host: x\nport: [1]\n", "rack.yaml:2:7: ", "port is a list", "0 to 65535"},
        {"roles: [broker, [replica]]\n", "rack.yaml:1:17: ", "inside a list", "one word each"},
        {"roles: [broker, {a: b}]\n", "rack.yaml:1:17: ", "inside a list", "one word each"},
        {"roles: [\"broker,replica\"]\n", "rack.yaml:1:9: ", "a comma", "one word each"},
        {"roles: [~]\n", "rack.yaml:1:9: ", "without a value", ""},
        {"- port\n", "rack.yaml:1:1: ", "no map", "name: value"},
        {"port\n", "rack.yaml:1:1: ", "no map", "name: value"},
        {"port=1\n", "rack.yaml:1:1: ", "no map", "name: value"},
        {"[a]: 1\n", "rack.yaml:1:1: ", "as a name", "option's name"},
        {"port: &a 1\n", "rack.yaml:1:7: ", "an anchor", "plain values"},
        {"&a port: 1\n", "rack.yaml:1:1: ", "an anchor", "plain values"},
        {"roles: &a [broker]\n", "rack.yaml:1:8: ", "an anchor", ""},
        {"&a {port: 1}\n", "rack.yaml:1:1: ", "an anchor", ""},
        {"port: *a\n", "rack.yaml:1:7: ", "an alias", "plain values"},
        {"*a : 1\n", "rack.yaml:1:1: ", "an alias", ""},
        {"port: !!int 1\n", "rack.yaml:1:7: ", "a tag", "plain values"},
        {"roles: !x [broker]\n", "rack.yaml:1:8: ", "a tag", ""},
        {"port: 1\n---\nport: 2\n", "rack.yaml:2:1: ", "a second document", "one"},
        {"---\n---\n", "rack.yaml:2:1: ", "a second document", "one"},
        {"ports-file:\nport: 1\n", "rack.yaml:1:12: ", "without a value", "\"\" for an empty text"},
        {"ports-file: ~\n", "rack.yaml:1:13: ", "without a value", ""},
        {"ports-file: null\n", "rack.yaml:1:13: ", "without a value", ""},
        {"port: 1\n? host\n", "rack.yaml:3:1: ", "without a value", ""},
        {"port: \"1\\0\"\n", "rack.yaml:1:7: ", "a NUL", ""},
        {"\"port\\0\": 1\n", "rack.yaml:1:1: ", "a NUL", ""},
        {"port: [1\n", "rack.yaml:2:1: ", "not YAML", "name: value"},
        {"port: \"1\n", "rack.yaml:2:1: ", "not YAML", ""},
        {"port: 1\n\thost: x\n", "rack.yaml:2:1: ", "not YAML", ""},
        {"port: @1\n", "rack.yaml:1:7: ", "not YAML", ""},
        {"%YAML 3.0\n---\nport: 1\n", "rack.yaml:1:1: ", "not YAML", ""},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        rig_refuses_file(&rig, shapes[i].text, shapes[i].place, shapes[i].says, shapes[i].accepted);
}

static void what_is_no_utf8_is_refused(void **state)
{
    rig_refuses_file(&rig, "port: 1\nhost: \xFF\n", "rack.yaml:2:7: ", "UTF-8", "");
    rig_refuses_file(&rig, "host: a\xC3\n", "rack.yaml:1:9: ", "UTF-8", "");
    rig_refuses_file(&rig, "host: \x01\n", "rack.yaml:1:7: ", "control characters", "");
    rig_refuses_file(&rig, "\xFF\xFEp", "rack.yaml:1:1: ", "UTF-8", "");
}

static void long_things_are_refused_whole(void **state)
{
    char text[2000];
    int used = snprintf(text, sizeof text, "roles: [");
    for (int i = 0; i < 60; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "broker, ");
    snprintf(text + used, sizeof text - (size_t)used, "broker]\n");
    rig_refuses_file(&rig, text, "rack.yaml:1:", "list that is too long", "");
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "data: ", 6);
    text[sizeof text - 1] = '\0';
    rig_refuses_file(&rig, text, "rack.yaml:1:1: data: ", "aaa...\"", "1 to 1023 bytes");
    memcpy(text, "daaaaa", 6);
    memcpy(text + 100, ": 1\n", 5);
    rig_refuses_file(&rig, text, "rack.yaml:1:1: ", "unknown option \"daaa", "...\"");
}

static int read_a_word(void *arg, const char *path, char *bytes, size_t capacity, size_t *count,
                       struct error *err)
{
    (void)arg, (void)path, (void)capacity, (void)err;
    memcpy(bytes, "prot: 1", 7);
    *count = 7;
    return EMB_OK;
}

/* The end of a path is what tells files apart, and the message must have room. */
static void long_paths_are_shown_by_their_end(void **state)
{
    char path[CONFIG_PATH_BYTES + 1];
    memset(path, 'p', sizeof path);
    memcpy(path + CONFIG_PATH_BYTES - 11, "/rack.yaml", 11);
    assert_int_equal(config_parse_file(path, read_a_word, NULL, &rig.config, &rig.error),
                     EMB_ERR_INVALID_ARGUMENT);
    rig_says(&rig, "pppp/rack.yaml:1:1: unknown option \"prot\"; did you mean port?");
    assert_true(strlen(rig.error.text) < 160);
    memset(path, 'p', sizeof path);
    path[CONFIG_PATH_BYTES] = '\0';
    assert_int_equal(config_parse_file(path, read_a_word, NULL, &rig.config, &rig.error),
                     EMB_ERR_INVALID_ARGUMENT);
    rig_says(&rig, "1 to 1023");
    assert_int_equal(config_parse_file("", read_a_word, NULL, &rig.config, &rig.error),
                     EMB_ERR_INVALID_ARGUMENT);
}

static void a_file_alone_needs_no_id_and_no_region(void **state)
{
    rig.file = "port: 7000\n";
    rig_set_sources(&rig, "");
    assert_int_equal(
        config_parse_file(RIG_FILE, rig.sources.read_fn, &rig, &rig.config, &rig.error), EMB_OK);
    assert_int_equal(rig.config.port, 7000);
    assert_int_equal(rig.config.node_id, CONFIG_NOT_GIVEN);
    rig.file = "max-message: 5MiB\n";
    assert_int_equal(
        config_parse_file(RIG_FILE, rig.sources.read_fn, &rig, &rig.config, &rig.error),
        EMB_ERR_INVALID_ARGUMENT);
    rig_says(&rig, "rack.yaml:1:1: max-message");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(values_of_every_type_are_read, empty),
        cmocka_unit_test_setup(every_form_of_a_flat_map_is_taken, empty),
        cmocka_unit_test_setup(a_file_that_says_nothing_leaves_the_defaults, empty),
        cmocka_unit_test_setup(it_is_stronger_than_defaults_and_weaker_than_the_rest, empty),
        cmocka_unit_test_setup(the_command_line_chooses_the_file, empty),
        cmocka_unit_test_setup(names_are_spelled_as_in_the_table, empty),
        cmocka_unit_test_setup(a_name_is_there_once, empty),
        cmocka_unit_test_setup(bad_values_are_told_with_their_place, empty),
        cmocka_unit_test_setup(other_shapes_are_refused, empty),
        cmocka_unit_test_setup(what_is_no_utf8_is_refused, empty),
        cmocka_unit_test_setup(long_things_are_refused_whole, empty),
        cmocka_unit_test_setup(long_paths_are_shown_by_their_end, empty),
        cmocka_unit_test_setup(a_file_alone_needs_no_id_and_no_region, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

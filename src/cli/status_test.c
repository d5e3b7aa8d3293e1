/* What several brokers answer, put together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/status.h"

#define MANY 20000u /* rows: a search through all of them for each item would take minutes */

static void take(json_t *tables, const char *table, uint32_t row, const char *name, uint64_t number)
{
    const struct emb_status_item item = {
        .table = table, .row = row, .name = name, .number = number, .text = ""};
    status_take(tables, &item);
}

static void answers_are_merged_in_order_of_rows(void **state)
{
    json_t *tables = json_object();
    (void)state;

    take(tables, "topic", 3, "messages", 30);
    take(tables, "topic", 5, "messages", 50);
    take(tables, "broker", 0, "committed", 9);
    take(tables, "topic", 4, "messages", 40);
    take(tables, "topic", 0, "messages", 1);
    take(tables, "topic", 5, "messages", 51);
    take(tables, "topic", 5, "bytes", 500);
    char *text = json_dumps(tables, JSON_COMPACT);
    assert_string_equal(text, "{\"topic\":[{\"row\":0,\"messages\":1},"
                              "{\"row\":3,\"messages\":30},{\"row\":4,\"messages\":40},"
                              "{\"row\":5,\"messages\":50,\"bytes\":500}],"
                              "\"broker\":[{\"row\":0,\"committed\":9}]}");
    free(text);
    json_decref(tables);
}

static void many_rows_take_no_time_to_speak_of(void **state)
{
    json_t *tables = json_object();
    char name[16];
    (void)state;

    for (uint32_t row = 0; row < MANY; row++)
        for (int i = 0; i < 10; i++) {
            snprintf(name, sizeof name, "value%d", i);
            take(tables, "topic", row, name, row);
        }
    assert_int_equal(json_array_size(json_object_get(tables, "topic")), MANY);
    json_decref(tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_merged_in_order_of_rows),
        cmocka_unit_test(many_rows_take_no_time_to_speak_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * status: what the brokers say of themselves and of the rack. Their answers are generic items
 * (table, row, name, value); those of several brokers are merged, the first answer to an item
 * counts.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/status.h"
#include "cli/warnings.h"

struct status_values {
    bool json;
    uint64_t broker;
    uint64_t timeout_ns;
    bool watch;
    uint64_t interval_ns;
};

#define FIELD(name) .field = offsetof(struct status_values, name)

static const struct cli_option status_rows[] = {
    {.name = "broker",
     .type = CLI_NUMBER,
     FIELD(broker),
     .argument = "I",
     .max = 31,
     .text = "ask only this one, counted from 0 in the rack's list; default: all"},
    {.name = "json",
     .type = CLI_FLAG,
     FIELD(json),
     .text = "print JSON: an object with an array of rows for each table, and one of warnings"},
    {.name = "timeout",
     .type = CLI_DURATION,
     FIELD(timeout_ns),
     .value = "2s",
     .argument = "D",
     .min = 1000000,
     .max = 3600000000000,
     .text = "how long a broker may take to answer"},
    {.name = "watch",
     .type = CLI_FLAG,
     FIELD(watch),
     .text = "print again and again, until interrupted"},
    {.name = "interval",
     .type = CLI_DURATION,
     FIELD(interval_ns),
     .value = "1s",
     .argument = "D",
     .min = 10000000,
     .text = "pause between two prints with --watch"},
};

static json_t *rows_of(json_t *tables, const char *table)
{
    json_t *rows = json_object_get(tables, table);
    if (!rows) {
        rows = json_array();
        print_set(tables, table, rows);
    }
    return rows;
}

static json_int_t number_of(const json_t *row)
{
    return json_integer_value(json_object_get(row, "row"));
}

/* The row of this number among `rows`, which ascend; made if it is not there. */
static json_t *row_of(json_t *rows, uint32_t number)
{
    size_t from = 0, to = json_array_size(rows);
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (number_of(json_array_get(rows, middle)) < number)
            from = middle + 1;
        else
            to = middle;
    }
    json_t *row = json_array_get(rows, from);
    if (row && number_of(row) == number)
        return row;
    row = json_object();
    print_set(row, "row", json_integer(number));
    json_array_insert_new(rows, from, row);
    return row;
}

void status_take(void *tables, const struct emb_status_item *item)
{
    json_t *row = row_of(rows_of(tables, item->table), item->row);
    if (!json_object_get(row, item->name))
        print_set(row, item->name,
                  item->is_text ? print_text(item->text) : print_number(item->number));
}

json_t *status_ask(struct emb_client *client, int broker, int *result)
{
    json_t *tables = json_object();
    struct emb_error err = {0};
    size_t count = emb_client_brokers(client, NULL, 0);

    *result = CLI_DONE;
    for (size_t i = 0; i < count; i++)
        if (broker == EMB_BROKER_ANY || broker == (int)i)
            if (emb_status(client, (int)i, status_take, tables, &err) != EMB_OK)
                *result = cli_refused(&err);
    return tables;
}

static void warnings_print(const json_t *warnings)
{
    size_t i;
    json_t *warning;
    json_array_foreach(warnings, i, warning)
    {
        printf("warning: %s\n", json_string_value(warning));
    }
    if (i)
        printf("\n");
}

static void tables_print(const json_t *tables)
{
    const char *name;
    json_t *rows;
    const char *between = "";
    warnings_print(json_object_get(tables, "warnings"));
    json_object_foreach((json_t *)tables, name, rows)
    {
        if (!strcmp(name, "warnings"))
            continue;
        printf("%s%s\n", between, name);
        print_table(stdout, rows, print_width());
        between = "\n";
    }
}

static int status_once(struct emb_client *client, const struct status_values *v)
{
    int broker = v->broker == CLI_NOT_GIVEN ? EMB_BROKER_ANY : (int)v->broker;
    int result;
    json_t *tables = status_ask(client, broker, &result);
    print_set(tables, "warnings", warnings_of(tables));
    if (v->watch && !v->json && isatty(STDOUT_FILENO))
        printf("\033[H\033[2J");
    if (v->json)
        print_json(stdout, tables);
    else
        tables_print(tables);
    json_decref(tables);
    return result;
}

static void pause_ns(uint64_t ns)
{
    struct timespec pause = {.tv_sec = (time_t)(ns / 1000000000),
                             .tv_nsec = (long)(ns % 1000000000)};
    nanosleep(&pause, NULL);
}

static int status_run(struct cli *cli, const void *values)
{
    const struct status_values *v = values;
    int result;

    cli->timeout_ms = (uint32_t)(v->timeout_ns / 1000000);
    struct emb_client *client = cli_connect(cli, &result);
    if (!client)
        return result;
    size_t count = emb_client_brokers(client, NULL, 0);
    if (v->broker != CLI_NOT_GIVEN && v->broker >= count)
        return cli_disconnect(client, cli_usage("status: --broker is %llu; the rack has %zu, "
                                                "counted from 0",
                                                (unsigned long long)v->broker, count));
    do {
        result = status_once(client, v);
        if (v->watch && (fflush(stdout) != 0))
            break;
        if (v->watch)
            pause_ns(v->interval_ns);
    } while (v->watch);
    return cli_disconnect(client, result);
}

const struct cli_command status_commands[] = {
    {.noun = "status",
     .arguments = "",
     .text = "Shows the state of brokers, nodes, lanes and topics",
     .more =
         "All brokers are asked; one that does not answer makes the exit status 1. What is not as\n"
         "it should be is said first, in words: docs/operations.md has what each warning means.",
     .example = "embarcadero status --json | jq '.broker[] | {row, committed, durable}'",
     .options = status_rows,
     .option_count = COUNT_OF(status_rows),
     .value_bytes = sizeof(struct status_values),
     .run = status_run},
    {0},
};

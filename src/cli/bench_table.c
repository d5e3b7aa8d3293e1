/*
 * Figures for people: one table of all measures, then the settings, those first that all have in
 * common. `bench table` draws it from the JSON that the other benches printed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/units.h"
#include "cli/bench.h"
#include "cli/bench_commands.h"
#include "cli/print.h"

#define CELL_BYTES  160
#define NEVER_TURN  SIZE_MAX / 2 /* rows stay rows, however narrow the terminal */
#define DIGITS      JSON_REAL_PRECISION(6)
#define SLOW_FACTOR 10 /* a ratio from here on needs no digits behind its point */

/* ---- cells ----------------------------------------------------------------------------------- */

static void amount_text(double value, const char *unit, char text[CELL_BYTES])
{
    if (strcmp(unit, BENCH_BYTES_PER_S) == 0)
        snprintf(text, CELL_BYTES, "%.*f MB/s", value < 10e6 ? 2 : 0, value / 1e6);
    else if (strcmp(unit, BENCH_BATCHES_PER_S) == 0)
        snprintf(text, CELL_BYTES, "%.2f M/s", value / 1e6);
    else if (strcmp(unit, BENCH_NS) == 0)
        units_duration_round(value, text);
    else if (strcmp(unit, BENCH_BYTES) == 0)
        units_size_round(value, text);
    else if (strcmp(unit, BENCH_RATIO) == 0)
        snprintf(text, CELL_BYTES, "%.3f", value);
    else
        snprintf(text, CELL_BYTES, "%.4g %.32s", value, unit);
}

static json_t *amount_cell(const json_t *figure, const char *name)
{
    const json_t *value = json_object_get(figure, name);
    const char *unit = json_string_value(json_object_get(figure, "unit"));
    char text[CELL_BYTES];
    if (!json_is_number(value))
        return json_null();
    amount_text(json_number_value(value), unit ? unit : "", text);
    return json_string(text);
}

static json_t *limit_cell(const json_t *figure)
{
    const json_t *settings = json_object_get(figure, "settings");
    const char *name = json_string_value(json_object_get(settings, "limit"));
    const char *unit = json_string_value(json_object_get(figure, "unit"));
    const json_t *limit = json_object_get(figure, "limit");
    char amount[CELL_BYTES], text[CELL_BYTES + 64];
    if (!json_is_number(limit))
        return json_null();
    amount_text(json_number_value(limit), unit ? unit : "", amount);
    snprintf(text, sizeof text, "%s (%.32s)", amount, name ? name : "?");
    return json_string(text);
}

static json_t *ratio_cell(const json_t *figure)
{
    const json_t *ratio = json_object_get(figure, "ratio");
    double value = json_number_value(ratio);
    char text[CELL_BYTES];
    if (!json_is_number(ratio))
        return json_null();
    snprintf(text, sizeof text, "%.*f", value < SLOW_FACTOR ? 3 : 1, value);
    return json_string(text);
}

static json_t *share_cell(const json_t *figure)
{
    const json_t *share = json_object_get(figure, "foreign_cpu");
    char text[CELL_BYTES];
    if (!json_is_number(share))
        return json_null();
    snprintf(text, sizeof text, "%.1f %%", 100 * json_number_value(share));
    return json_string(text);
}

/* ---- what a row is of ------------------------------------------------------------------------ */

enum part_kind { PART_NUMBER, PART_SIZE, PART_WORD };

static const struct part {
    const char *setting;
    enum part_kind kind;
    const char *before;
} parts[] = {
    {"load", PART_WORD, ""},
    {"order", PART_NUMBER, "order "},
    {"acks", PART_NUMBER, "acks "},
    {"level", PART_WORD, ""},
    {"brokers", PART_NUMBER, "brokers "},
    {"message_bytes", PART_SIZE, ""},
    {"batch_bytes_max", PART_SIZE, "in "},
};

static bool part_text(const struct part *part, const json_t *value, char text[CELL_BYTES])
{
    char number[UNITS_TEXT_BYTES];
    const char *word = json_string_value(value);
    if (part->kind == PART_WORD ? !word : !json_is_integer(value))
        return false;
    uint64_t amount = (uint64_t)json_integer_value(value);
    if (part->kind == PART_SIZE && amount % 1024 == 0)
        units_size_text(amount, number);
    else
        snprintf(number, sizeof number, "%llu%s", (unsigned long long)amount,
                 part->kind == PART_SIZE ? "B" : "");
    snprintf(text, CELL_BYTES, "%s%.60s", part->before, part->kind == PART_WORD ? word : number);
    return true;
}

static json_t *of_cell(const json_t *figure)
{
    const json_t *settings = json_object_get(figure, "settings");
    char all[CELL_BYTES] = "", text[CELL_BYTES], joined[CELL_BYTES];
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        const json_t *value = json_object_get(settings, parts[i].setting);
        if (!part_text(&parts[i], value, text))
            continue;
        snprintf(joined, sizeof joined, "%.90s%s%.60s", all, *all ? ", " : "", text);
        memcpy(all, joined, sizeof all);
    }
    return json_string(all);
}

/* ---- the table ------------------------------------------------------------------------------- */

static void percentile_cells(json_t *row, const json_t *figure)
{
    static const char *const names[][2] = {
        {"p90", "p90"}, {"p99", "p99"}, {"p999", "p99.9"}, {"max", "longest"}};
    const json_t *percentiles = json_object_get(figure, "percentiles");
    for (size_t i = 0; percentiles && i < COUNT_OF(names); i++) {
        char text[UNITS_TEXT_BYTES];
        units_duration_round(json_number_value(json_object_get(percentiles, names[i][0])), text);
        print_set(row, names[i][1], json_string(text));
    }
}

static json_t *row_of(const json_t *figure)
{
    json_t *row = json_object();
    print_set(row, "measure", json_incref(json_object_get(figure, "measure")));
    print_set(row, "of", of_cell(figure));
    print_set(row, "value", amount_cell(figure, "value"));
    print_set(row, "limit", limit_cell(figure));
    print_set(row, "ratio", ratio_cell(figure));
    print_set(row, "min", amount_cell(figure, "min"));
    print_set(row, "max", amount_cell(figure, "max"));
    print_set(row, "foreign", share_cell(figure));
    percentile_cells(row, figure);
    return row;
}

/* ---- settings -------------------------------------------------------------------------------- */

/* What all figures have, with the same value. */
static json_t *settings_common(const json_t *figures)
{
    json_t *common = json_copy(json_object_get(json_array_get(figures, 0), "settings"));
    json_t *figure, *value;
    const char *name;
    void *next;
    size_t i;
    json_array_foreach(figures, i, figure)
    {
        const json_t *settings = json_object_get(figure, "settings");
        json_object_foreach_safe(common, next, name, value)
        {
            if (!json_equal(value, json_object_get(settings, name)))
                json_object_del(common, name);
        }
    }
    return common;
}

static void settings_line(FILE *to, const char *of, const json_t *settings)
{
    char *told = json_dumps(settings, JSON_COMPACT | DIGITS);
    if (json_object_size(settings) > 0)
        fprintf(to, "%s %s\n", of, told ? told : "");
    free(told);
}

static void settings_print(FILE *to, const json_t *figures)
{
    json_t *common = settings_common(figures);
    json_t *figure, *value;
    const char *name;
    char of[32];
    size_t i;
    settings_line(to, "settings", common);
    json_array_foreach(figures, i, figure)
    {
        json_t *own = json_copy(json_object_get(figure, "settings"));
        json_object_foreach(common, name, value)
        {
            json_object_del(own, name);
        }
        snprintf(of, sizeof of, "  of row %zu", i + 1);
        settings_line(to, of, own);
        json_decref(own);
    }
    json_decref(common);
}

static void figures_dump(FILE *to, const json_t *figures)
{
    json_t *figure;
    size_t i;
    json_array_foreach(figures, i, figure)
    {
        json_dumpf(figure, to, JSON_COMPACT);
        fputc('\n', to);
    }
}

static void figures_table(FILE *to, const json_t *figures)
{
    json_t *rows = json_array(), *figure;
    size_t i;
    json_array_foreach(figures, i, figure)
    {
        json_array_append_new(rows, row_of(figure));
    }
    print_table(to, rows, NEVER_TURN);
    json_decref(rows);
    settings_print(to, figures);
}

void bench_figures_print(FILE *to, const json_t *figures, bool as_json)
{
    if (as_json)
        figures_dump(to, figures);
    else
        figures_table(to, figures);
}

/* ---- bench table ----------------------------------------------------------------------------- */

const struct cli_option bench_table_rows[BENCH_TABLE_ROWS] = {
    {.name = "json",
     .type = CLI_FLAG,
     .field = offsetof(struct bench_table_values, json),
     .text = "print the objects again, one a line, once all have been read"},
};

static bool is_figure(const json_t *value)
{
    return json_is_string(json_object_get(value, "measure")) &&
           json_is_string(json_object_get(value, "unit")) &&
           json_is_number(json_object_get(value, "value")) &&
           json_is_object(json_object_get(value, "settings"));
}

static int figures_read(FILE *from, const char *name, json_t *figures)
{
    for (;;) {
        json_error_t err;
        int c = getc(from);
        if (c == EOF)
            return ferror(from) ? cli_fail("bench table: reading %s failed", name) : CLI_DONE;
        if (c == '\n' || c == ' ')
            continue;
        ungetc(c, from);
        json_t *figure = json_loadf(from, JSON_DISABLE_EOF_CHECK, &err);
        if (!figure)
            return cli_fail("bench table: %s: %s; JSON objects of bench are expected", name,
                            err.text);
        json_array_append_new(figures, figure);
        if (!is_figure(figure))
            return cli_fail("bench table: %s: object %zu is no measure of bench", name,
                            json_array_size(figures));
    }
}

static int file_read(const char *name, json_t *figures)
{
    if (strcmp(name, "-") == 0)
        return figures_read(stdin, "standard input", figures);
    FILE *file = fopen(name, "re");
    if (!file)
        return cli_fail("bench table: %s: %s", name, strerror(errno));
    int result = figures_read(file, name, figures);
    fclose(file);
    return result;
}

int bench_table_run(struct cli *cli, const void *values)
{
    const struct bench_table_values *v = values;
    json_t *figures = json_array();
    int result = CLI_DONE;
    for (int i = 0; i < cli->argument_count && result == CLI_DONE; i++)
        result = file_read(cli->arguments[i], figures);
    if (cli->argument_count == 0)
        result = file_read("-", figures);
    if (result == CLI_DONE)
        bench_figures_print(stdout, figures, v->json);
    json_decref(figures);
    return result;
}

/* Figures: medians, percentiles, and how they are told. */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/units.h"
#include "cli/bench.h"
#include "cli/print.h"

/* ---- computing ------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double bench_median(const double *values, int count)
{
    double sorted[BENCH_ROUNDS_MAX];
    if (count <= 0 || count > BENCH_ROUNDS_MAX)
        return 0;
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_doubles);
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

static int compare_samples(const void *a, const void *b)
{
    const struct bench_sample *left = a, *right = b;
    return (left->value > right->value) - (left->value < right->value);
}

void bench_samples_sort(struct bench_sample *samples, size_t count)
{
    if (count)
        qsort(samples, count, sizeof *samples, compare_samples);
}

uint64_t bench_percentile(const struct bench_sample *samples, size_t count, unsigned per_mille)
{
    uint64_t total = 0, seen = 0;
    for (size_t i = 0; i < count; i++)
        total += samples[i].weight;
    uint64_t wanted = (total * per_mille + 999) / 1000;
    for (size_t i = 0; i < count; i++) {
        seen += samples[i].weight;
        if (seen >= wanted && seen > 0)
            return samples[i].value;
    }
    return 0;
}

static double side_median(const struct bench_side *side)
{
    return bench_median(side->values, side->count);
}

static const struct bench_side *lowest_limit(const struct bench_figure *figure)
{
    const struct bench_side *lowest = &figure->limits[0];
    for (int i = 1; i < figure->limit_count; i++)
        if (side_median(&figure->limits[i]) < side_median(lowest))
            lowest = &figure->limits[i];
    return lowest;
}

static void range_of(const struct bench_side *side, double *min, double *max)
{
    *min = *max = side->count ? side->values[0] : 0;
    for (int i = 1; i < side->count; i++) {
        *min = side->values[i] < *min ? side->values[i] : *min;
        *max = side->values[i] > *max ? side->values[i] : *max;
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    unsigned per_mille;
} percentiles[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p999", 999}, {"max", 1000}};

static json_t *percentiles_value(const struct bench_figure *figure)
{
    json_t *value = json_pack("{s:s}", "unit", "ns");
    for (size_t i = 0; i < COUNT_OF(percentiles); i++)
        print_set(value, percentiles[i].name,
                  print_number(bench_percentile(figure->samples, figure->sample_count,
                                                percentiles[i].per_mille)));
    return value;
}

json_t *bench_figure_value(struct bench_figure *figure)
{
    const struct bench_side *limit = lowest_limit(figure);
    double median = side_median(figure->own), bound = side_median(limit), min, max;
    json_t *value = json_object(), *rounds = json_array(), *limits = json_object();

    range_of(figure->own, &min, &max);
    for (int i = 0; i < figure->own->count; i++)
        json_array_append_new(rounds, json_real(figure->own->values[i]));
    for (int i = 0; i < figure->limit_count; i++)
        print_set(limits, figure->limits[i].name, json_real(side_median(&figure->limits[i])));
    print_set(value, "measure", json_string(figure->measure));
    print_set(value, "value", json_real(median));
    print_set(value, "unit", json_string("bytes/s"));
    print_set(value, "limit", json_real(bound));
    print_set(value, "ratio", bound > 0 ? json_real(median / bound) : json_null());
    print_set(value, "min", json_real(min));
    print_set(value, "max", json_real(max));
    print_set(value, "rounds", rounds);
    bench_samples_sort(figure->samples, figure->sample_count);
    if (figure->sample_count)
        print_set(value, "percentiles", percentiles_value(figure));
    print_set(figure->settings, "limit", json_string(limit->name));
    print_set(figure->settings, "limits", limits);
    print_set(value, "settings", figure->settings);
    print_set(value, "foreign_cpu",
              figure->foreign_cpu < 0 ? json_null() : json_real(figure->foreign_cpu));
    return value;
}

/* ---- for people ------------------------------------------------------------------------------ */

static json_t *rate_text(const json_t *value, const char *name)
{
    char text[UNITS_TEXT_BYTES + 4];
    snprintf(text, sizeof text, "%.3f GB/s", json_number_value(json_object_get(value, name)) / 1e9);
    return json_string(text);
}

static void print_people(const json_t *value)
{
    const json_t *settings = json_object_get(value, "settings");
    const json_t *latency = json_object_get(value, "percentiles");
    json_t *row = json_object();
    char text[64];

    print_set(row, "measure", json_incref(json_object_get(value, "measure")));
    print_set(row, "value", rate_text(value, "value"));
    snprintf(text, sizeof text, "%.3f GB/s (%s)",
             json_number_value(json_object_get(value, "limit")) / 1e9,
             json_string_value(json_object_get(settings, "limit")));
    print_set(row, "limit", json_string(text));
    snprintf(text, sizeof text, "%.3f", json_number_value(json_object_get(value, "ratio")));
    print_set(row, "ratio", json_string(text));
    print_set(row, "min", rate_text(value, "min"));
    print_set(row, "max", rate_text(value, "max"));
    if (latency) {
        units_duration_round(json_number_value(json_object_get(latency, "p50")), text);
        print_set(row, "latency p50", json_string(text));
        units_duration_round(json_number_value(json_object_get(latency, "p99")), text);
        print_set(row, "p99", json_string(text));
    }
    print_set(row, "foreign cpu", json_incref(json_object_get(value, "foreign_cpu")));
    json_t *rows = json_pack("[o]", row);
    print_table(stdout, rows, 200);
    json_decref(rows);
    char *told = json_dumps(settings, JSON_COMPACT);
    printf("settings %s\n", told ? told : "");
    free(told);
}

void bench_report(struct bench_figure *figure, bool as_json)
{
    json_t *value = bench_figure_value(figure);
    if (as_json) {
        json_dumpf(value, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        print_people(value);
    }
    json_decref(value);
}

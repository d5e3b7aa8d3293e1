/* Figures: medians, the limit that counts, and the object that is told of them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
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

static double side_median(const struct bench_side *side)
{
    return bench_median(side->values, side->count);
}

/* NULL: there is none. */
static const struct bench_side *nearest_limit(const struct bench_figure *figure)
{
    bool is_time = strcmp(figure->unit, BENCH_NS) == 0;
    const struct bench_side *nearest = NULL;
    for (int i = 0; i < BENCH_LIMITS_MAX; i++) {
        const struct bench_side *limit = figure->limits[i];
        if (limit && (!nearest || is_time == (side_median(limit) > side_median(nearest))))
            nearest = limit;
    }
    return nearest;
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

json_t *bench_percentiles_value(const struct bench_histogram *histogram)
{
    static const struct {
        const char *name;
        unsigned per_mille;
    } rows[] = {{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p999", 999}, {"max", 1000}};
    json_t *value = json_pack("{s:s}", "unit", BENCH_NS);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        print_set(value, rows[i].name,
                  print_number(bench_histogram_at(histogram, rows[i].per_mille)));
    return value;
}

static json_t *rounds_value(const struct bench_side *side)
{
    json_t *rounds = json_array();
    for (int i = 0; i < side->count; i++)
        json_array_append_new(rounds, json_real(side->values[i]));
    return rounds;
}

/* Which limit the ratio is to, and what all of them came to. */
static void settings_limits(const struct bench_figure *figure, const struct bench_side *nearest)
{
    json_t *limits = json_object();
    print_set(figure->settings, "limit", json_string(nearest->name));
    for (int i = 0; i < BENCH_LIMITS_MAX; i++)
        if (figure->limits[i])
            print_set(limits, figure->limits[i]->name, json_real(side_median(figure->limits[i])));
    print_set(figure->settings, "limits", limits);
    if (figure->limit_latency)
        print_set(figure->settings, "limit_percentiles",
                  bench_percentiles_value(figure->limit_latency));
}

json_t *bench_figure_value(const struct bench_figure *figure)
{
    const struct bench_side *limit = nearest_limit(figure);
    double median = side_median(figure->own), bound = limit ? side_median(limit) : 0, min, max;
    json_t *value = json_object();

    range_of(figure->own, &min, &max);
    print_set(value, "measure", json_string(figure->measure));
    print_set(value, "value", json_real(median));
    print_set(value, "unit", json_string(figure->unit));
    print_set(value, "limit", limit ? json_real(bound) : json_null());
    print_set(value, "ratio", bound > 0 ? json_real(median / bound) : json_null());
    print_set(value, "min", json_real(min));
    print_set(value, "max", json_real(max));
    print_set(value, "rounds", rounds_value(figure->own));
    if (figure->latency && figure->latency->total)
        print_set(value, "percentiles", bench_percentiles_value(figure->latency));
    if (limit)
        settings_limits(figure, limit);
    print_set(value, "settings", figure->settings);
    print_set(value, "foreign_cpu",
              figure->foreign_cpu < 0 ? json_null() : json_real(figure->foreign_cpu));
    return value;
}

void bench_report(struct bench_run *run, struct bench_figure figure)
{
    figure.foreign_cpu = run->foreign_cpu;
    if (run->common->round_ns)
        print_set(figure.settings, "round_ns", print_number(run->common->round_ns));
    print_set(figure.settings, "rounds", print_number(run->common->rounds));
    print_set(figure.settings, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
    json_array_append_new(run->figures, bench_figure_value(&figure));
}

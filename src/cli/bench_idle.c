/*
 * bench idle: what a rack costs that nobody uses: the CPU and the resident memory of its processes.
 * There is no limit to divide them by but nothing at all, so `limit` and `ratio` are null.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "cli/bench_commands.h"
#include "cli/print.h"
#include "cli/progress.h"

const struct cli_option bench_idle_rows[BENCH_IDLE_ROWS] = {
    BENCH_RACK_ROWS(struct bench_idle_values, "1s"),
};

static double seconds_used(const struct bench_rack *rack)
{
    double sum = 0;
    for (int i = 0; i < rack->daemon_count; i++)
        sum += bench_process_seconds(rack->daemons[i]);
    return sum;
}

static int cpu_round(void *arg, bool keep, double *cpus)
{
    struct bench_run *run = arg;
    uint64_t begin_ns = progress_now_ns();
    double begin = seconds_used(&run->rack);
    (void)keep;
    bench_sleep(run, run->common->round_ns);
    *cpus = (seconds_used(&run->rack) - begin) * 1e9 / (double)(progress_now_ns() - begin_ns);
    return CLI_DONE;
}

/* "Rss" of what is the process' alone or shared, in bytes; 0: it cannot be read. */
static double resident_bytes(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %llu kB", &kib) == 1)
            break;
    fclose(file);
    return (double)kib * 1024;
}

static int memory_round(void *arg, bool keep, double *bytes)
{
    struct bench_run *run = arg;
    (void)keep;
    *bytes = 0;
    for (int i = 0; i < run->rack.daemon_count; i++)
        *bytes += resident_bytes(run->rack.daemons[i]);
    return *bytes > 0 ? CLI_DONE
                      : cli_fail("bench idle: the memory of process %d cannot be read",
                                 (int)run->rack.daemons[0]);
}

static json_t *settings_value(const struct bench_run *run)
{
    json_t *s = json_object();
    print_set(s, "processes", json_integer(run->rack.daemon_count));
    print_set(s, "brokers", print_number(run->rack.brokers));
    print_set(s, "stores", print_number(run->rack.stores));
    print_set(s, "region_bytes", print_number(run->rack.blog_bytes));
    return s;
}

static int measure(struct bench_run *run)
{
    struct bench_side sides[] = {
        {.name = "idle CPU", .round = cpu_round, .arg = run},
        {.name = "resident memory", .round = memory_round, .arg = run},
    };
    static const char *const units[] = {BENCH_CPUS, BENCH_BYTES};
    if (!run->rack.daemons_known)
        return cli_fail("bench idle: not every process of the rack is known here; name its one "
                        "process with --pid");
    int result = bench_alternate(run, sides, COUNT_OF(sides));
    for (size_t i = 0; result == CLI_DONE && i < COUNT_OF(sides); i++)
        bench_report(run, (struct bench_figure){.measure = sides[i].name,
                                                .unit = units[i],
                                                .own = &sides[i],
                                                .settings = settings_value(run)});
    return result;
}

int bench_idle_run(struct cli *cli, const void *values)
{
    const struct bench_idle_values *v = values;
    struct bench_run run;
    int result = bench_begin(&run, cli, &v->common);
    return result == CLI_DONE ? bench_end(&run, measure(&run)) : result;
}

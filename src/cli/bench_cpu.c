/*
 * How much of the CPUs somebody else used: what /proc/stat says was spent in processes, without
 * this process, its helper and the rack's daemon. Interrupts belong to nobody and do not count.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/bench.h"

/* Seconds of all CPUs since the start, and those spent in processes. */
static bool machine_read(double *all, double *busy)
{
    unsigned long long n[8] = {0}; /* user nice system idle iowait irq softirq steal */
    FILE *file = fopen("/proc/stat", "re");
    if (!file)
        return false;
    int got = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &n[0], &n[1], &n[2],
                     &n[3], &n[4], &n[5], &n[6], &n[7]);
    fclose(file);
    double tick = (double)sysconf(_SC_CLK_TCK);
    *all = 0;
    for (int i = 0; i < 8; i++)
        *all += (double)n[i] / tick;
    *busy = (double)(n[0] + n[1] + n[2]) / tick;
    return got == 8;
}

static double process_read(pid_t pid)
{
    char path[64], line[1024];
    unsigned long long user = 0, system = 0;
    if (pid == 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    /* The name may hold anything; what counts stands behind its last bracket. */
    const char *rest = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (rest)
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system);
    fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double self_read(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void sample(struct bench_cpu *cpu)
{
    if (!machine_read(&cpu->all_seconds, &cpu->busy_seconds))
        cpu->all_seconds = cpu->busy_seconds = 0;
    cpu->our_seconds = self_read() + process_read(cpu->ours[0]) + process_read(cpu->ours[1]);
}

void bench_cpu_begin(struct bench_cpu *cpu, pid_t helper, pid_t daemon)
{
    *cpu = (struct bench_cpu){.ours = {helper, daemon}};
    sample(cpu);
}

double bench_cpu_end(struct bench_cpu *cpu)
{
    struct bench_cpu before = *cpu;
    if (cpu->ours[1] == 0)
        return -1;
    sample(cpu);
    double all = cpu->all_seconds - before.all_seconds;
    double foreign =
        (cpu->busy_seconds - before.busy_seconds) - (cpu->our_seconds - before.our_seconds);
    if (all <= 0)
        return -1;
    return foreign > 0 ? foreign / all : 0;
}

/*
 * How much of the CPUs somebody else used: what /proc/stat says was spent in processes, without
 * this process, its helpers and the rack's daemons, and what the hypervisor gave to others.
 * Interrupts belong to nobody and do not count.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cli/bench.h"

/* Seconds of all CPUs since the start, and those spent in processes or stolen. */
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
    *busy = (double)(n[0] + n[1] + n[2] + n[7]) / tick;
    return got == 8;
}

double bench_process_seconds(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* Of those that have ended. */
static double children_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void sample(struct bench_cpu *cpu)
{
    if (!machine_read(&cpu->all_seconds, &cpu->busy_seconds))
        cpu->all_seconds = cpu->busy_seconds = 0;
    cpu->our_seconds = bench_process_seconds(getpid()) + children_seconds();
    for (int i = 0; i < cpu->run->helper_count; i++)
        cpu->our_seconds += bench_process_seconds(cpu->run->helpers[i]);
    for (int i = 0; i < cpu->run->rack.daemon_count; i++)
        cpu->our_seconds += bench_process_seconds(cpu->run->rack.daemons[i]);
}

void bench_cpu_begin(struct bench_cpu *cpu, const struct bench_run *run)
{
    *cpu = (struct bench_cpu){.run = run};
    sample(cpu);
}

double bench_cpu_end(const struct bench_cpu *cpu)
{
    struct bench_cpu now = {.run = cpu->run};
    if (!cpu->run->rack.daemons_known)
        return -1;
    sample(&now);
    double all = now.all_seconds - cpu->all_seconds;
    double foreign = (now.busy_seconds - cpu->busy_seconds) - (now.our_seconds - cpu->our_seconds);
    if (all <= 0)
        return -1;
    return foreign > 0 ? foreign / all : 0;
}

#include "cli/bench_limit_pair.h"

bool limit_pair_begin(struct limit_pair *pair)
{
    int found = 0;
    pair->two = false;
    if (sched_getaffinity(0, sizeof pair->before, &pair->before) != 0)
        return false;
    for (int i = 0; i < CPU_SETSIZE && found < 2; i++)
        if (CPU_ISSET(i, &pair->before))
            pair->cpus[found++] = i;
    pair->two = found == 2;
    return pair->two;
}

void limit_pair_pin(const struct limit_pair *pair, int end)
{
    cpu_set_t set;
    if (!pair->two)
        return;
    CPU_ZERO(&set);
    CPU_SET(pair->cpus[end], &set);
    sched_setaffinity(0, sizeof set, &set);
}

void limit_pair_end(const struct limit_pair *pair)
{
    if (pair->two)
        sched_setaffinity(0, sizeof pair->before, &pair->before);
}

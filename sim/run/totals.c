#include "sim/run/totals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void totals_add(struct totals *totals, const struct run_result *result)
{
    totals->seeds++;
    totals->batches += result->batches;
    totals->simulated_ns += result->simulated_ns;
    for (int i = 0; i < COVER_COUNT; i++) {
        totals->counts[i] += result->coverage.counts[i];
        totals->in_seeds[i] += result->coverage.counts[i] != 0;
    }
}

void faults_text(uint64_t keep_faults, char text[FAULTS_TEXT_BYTES])
{
    size_t used = 0;
    snprintf(text, FAULTS_TEXT_BYTES, "%s", keep_faults == 0 ? "none" : "all");
    if (keep_faults == RUN_ALL_FAULTS)
        return;
    for (int i = 0; i < RUN_FAULTS_MAX; i++)
        if (keep_faults >> i & 1)
            used +=
                (size_t)snprintf(text + used, FAULTS_TEXT_BYTES - used, "%s%d", used ? "," : "", i);
}

bool faults_read(const char *text, uint64_t *keep_faults)
{
    *keep_faults = strcmp(text, "all") == 0 ? RUN_ALL_FAULTS : 0;
    if (strcmp(text, "all") == 0 || strcmp(text, "none") == 0)
        return true;
    for (const char *at = text;; at++) {
        char *end;
        if (*at < '0' || *at > '9')
            return false;
        unsigned long number = strtoul(at, &end, 10);
        if (number >= RUN_FAULTS_MAX)
            return false;
        *keep_faults |= UINT64_C(1) << number;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
        at = end;
    }
}

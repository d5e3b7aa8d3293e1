/*
 * How it works
 *
 * First the same once more: a seed that does not fail again is not deterministic, which is the
 * worse finding. Then rounds: candidates are no fault at all, each half of the present plan
 * dropped, each single fault dropped. The first of a round that fails with the same checker is the
 * next plan; when none does, no single fault can be dropped any more. The candidates of a round are
 * one hunt.
 */
#include "sim/run/shrink.h"

#define CANDIDATES_MAX (RUN_FAULTS_MAX + 3)

struct deadline {
    uint64_t at_ns;
};

static bool deadline_ahead(void *context)
{
    const struct deadline *deadline = context;
    return clock_now_ns() < deadline->at_ns;
}

/* The lowest `count` of the faults in a plan. */
static uint64_t faults_lowest(uint64_t plan, int count)
{
    uint64_t lowest = 0;
    for (int i = 0; i < RUN_FAULTS_MAX && count > 0; i++)
        if (plan >> i & 1) {
            lowest |= UINT64_C(1) << i;
            count--;
        }
    return lowest;
}

static int candidates_make(uint64_t seed, uint64_t plan, struct hunt_pick *picks)
{
    int faults = __builtin_popcountll(plan);
    uint64_t half = faults_lowest(plan, faults / 2);
    int count = 0;
    picks[count++].keep_faults = 0;
    if (faults > 3) {
        picks[count++].keep_faults = half;
        picks[count++].keep_faults = plan & ~half;
    }
    for (int i = RUN_FAULTS_MAX - 1; i >= 0 && faults > 1; i--)
        if (plan >> i & 1)
            picks[count++].keep_faults = plan & ~(UINT64_C(1) << i);
    for (int i = 0; i < count; i++)
        picks[i].seed = seed;
    return count;
}

/* The index of the first pick that fails as the failure did; HUNT_NONE if none did, or *over. */
static uint64_t picks_try(struct crew *crew, struct failure *failure, struct deadline *deadline,
                          const struct hunt_pick *picks, int count, struct run_result *result)
{
    struct hunt hunt = {.picks = picks,
                        .count = (uint64_t)count,
                        .bug = failure->bug,
                        .checker = failure->result.checker,
                        .chunk_max = 1};
    struct error ignored;
    crew_run(crew, &hunt, 1, deadline_ahead, deadline, &ignored);
    failure->shrunk.trials += hunt.merged_count;
    *result = hunt.failure;
    return hunt.failed_index;
}

static uint64_t plan_whole(const struct failure *failure)
{
    uint32_t count = failure->result.fault_count;
    return failure->asked_faults & ((UINT64_C(1) << count) - 1);
}

void failure_shrink(struct crew *crew, struct failure *failure, uint64_t budget_ns)
{
    struct deadline deadline = {.at_ns = clock_now_ns() + budget_ns};
    struct hunt_pick picks[CANDIDATES_MAX] = {{failure->seed, failure->asked_faults}};
    struct shrunk *shrunk = &failure->shrunk;
    struct run_result result;
    uint64_t plan = plan_whole(failure), found;

    *shrunk = (struct shrunk){.keep_faults = plan};
    shrunk->again = picks_try(crew, failure, &deadline, picks, 1, &result) == 0;
    shrunk->same_hash = shrunk->again && result.hash == failure->result.hash;
    while (shrunk->again && plan) {
        int count = candidates_make(failure->seed, plan, picks);
        found = picks_try(crew, failure, &deadline, picks, count, &result);
        if (found == HUNT_NONE)
            break;
        plan = picks[found].keep_faults;
    }
    shrunk->shorter = plan != plan_whole(failure);
    shrunk->keep_faults = plan;
}

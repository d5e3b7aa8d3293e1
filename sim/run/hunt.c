#include "sim/run/hunt.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "sim/run/worker.h"

#define CHUNK_FIRST 4
#define CHUNK_NS    500000000u /* what one child is given should take about that long */

bool hunt_begin(struct hunt *hunt, int jobs)
{
    if (hunt->chunk_max > WORKER_RUNS_MAX || hunt->chunk_max == 0)
        hunt->chunk_max = WORKER_RUNS_MAX;
    hunt->merged_count = 0;
    hunt->failed_index = HUNT_NONE;
    hunt->begun_ns = hunt->ended_ns = 0;
    hunt->started_count = 0;
    hunt->window = (uint32_t)jobs * hunt->chunk_max * 2;
    hunt->workers = 0;
    hunt->run_ns = hunt->run_count = 0;
    hunt->results = calloc(hunt->window, sizeof *hunt->results);
    hunt->here = calloc(hunt->window, sizeof *hunt->here);
    return hunt->results && hunt->here;
}

void hunt_free(struct hunt *hunt)
{
    free(hunt->results);
    free(hunt->here);
    hunt->results = NULL;
    hunt->here = NULL;
}

struct run_options hunt_run(const struct hunt *hunt, uint64_t index)
{
    struct run_options run = {.bug = hunt->bug, .trace = TRACE_NOTHING};
    run.seed = hunt->picks ? hunt->picks[index].seed : hunt->first + index;
    run.keep_faults = hunt->picks ? hunt->picks[index].keep_faults : RUN_ALL_FAULTS;
    return run;
}

bool hunt_over(const struct hunt *hunt)
{
    return hunt->merged_count == hunt->count ||
           (hunt->failed_index != HUNT_NONE && hunt->merged_count > hunt->failed_index);
}

/* Small while little is known, and near the end, where all workers should have something. */
uint32_t hunt_chunk(const struct hunt *hunt)
{
    uint64_t left = hunt->count - hunt->started_count;
    uint64_t room = hunt->merged_count + hunt->window - hunt->started_count;
    uint64_t chunk = CHUNK_FIRST;
    if (hunt->failed_index != HUNT_NONE)
        return 0;
    if (hunt->run_count > 0)
        chunk = max_u64(1, CHUNK_NS / max_u64(1, hunt->run_ns / hunt->run_count));
    chunk = min_u64(chunk, max_u64(1, left * hunt->chunk_max / hunt->window));
    return (uint32_t)min_u64(min_u64(left, room), min_u64(chunk, hunt->chunk_max));
}

static void hunt_merge(struct hunt *hunt)
{
    while (!hunt_over(hunt) && hunt->here[hunt->merged_count % hunt->window]) {
        uint64_t slot = hunt->merged_count % hunt->window;
        uint64_t seed = hunt_run(hunt, hunt->merged_count).seed;
        hunt->here[slot] = false;
        hunt->merged_count++;
        if (hunt->merged)
            hunt->merged(hunt->context, seed, &hunt->results[slot]);
    }
    if (hunt_over(hunt) && hunt->ended_ns == 0)
        hunt->ended_ns = clock_now_ns();
}

void hunt_result(struct hunt *hunt, uint64_t index, const struct run_result *result,
                 uint64_t run_ns)
{
    bool failed = result->failed && (!hunt->checker || !strcmp(hunt->checker, result->checker));
    hunt->results[index % hunt->window] = *result;
    hunt->here[index % hunt->window] = true;
    hunt->run_ns += run_ns;
    hunt->run_count++;
    if (failed && index < hunt->failed_index) {
        hunt->failed_index = index;
        hunt->failure = *result;
    }
    hunt_merge(hunt);
}

void hunt_close(struct hunt *hunt)
{
    if (hunt->failed_index != HUNT_NONE && !hunt_over(hunt) && hunt->merged)
        hunt->merged(hunt->context, hunt_run(hunt, hunt->failed_index).seed, &hunt->failure);
    if (hunt->ended_ns == 0)
        hunt->ended_ns = clock_now_ns();
}

#include "sim/run/many.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "sim/run/commands.h"
#include "sim/run/shrink.h"

#define SECOND_NS         UINT64_C(1000000000)
#define PROGRESS_AFTER_NS (2 * SECOND_NS)
#define STATE_EVERY_NS    (5 * SECOND_NS)
#define SHRINK_S          60

/* ---- while it runs --------------------------------------------------------------------------- */

static void seed_merged(void *context, uint64_t seed, const struct run_result *result)
{
    struct many *many = context;
    totals_add(&many->report.totals, result);
    many->report.run_seeds++;
    /* A failure that stands behind runs that were given up is told, but not counted as reached. */
    if (seed == many->state.next) {
        many->state.next++;
        totals_add(&many->state.totals, result);
        many->report.last = many->hunt.picks ? 0 : seed;
    }
    if (result->failed)
        state_fail(&many->state, seed, result);
    if (many->options->hashes)
        fprintf(many->out, "%" PRIu64 " %016" PRIx64 "\n", seed, result->hash);
}

static void many_clock(struct many *many)
{
    many->report.run_ns = clock_now_ns() - many->begun_ns;
    many->report.totals.elapsed_ns = many->carried_ns + many->report.run_ns;
    many->state.totals.elapsed_ns = many->report.totals.elapsed_ns;
}

static void state_keep(struct many *many)
{
    struct error error;
    many_clock(many);
    many->state_ns = clock_now_ns();
    if (!many->options->state || many->state_bad)
        return;
    if (state_write(many->options->state, &many->state, &error)) {
        many->state_bad = true;
        command_failed(many->err, &error, SIM_FAILED);
    }
}

static void progress_show(struct many *many, uint64_t now_ns)
{
    double seconds = (double)(now_ns - many->begun_ns) / (double)SECOND_NS;
    many->progress_ns = now_ns;
    many->progress_shown = true;
    fprintf(many->err, "\r%" PRIu64 " of %" PRIu64 " seeds, %.1f/s, %.0f s\033[K",
            many->report.run_seeds, many->hunt.count, (double)many->report.run_seeds / seconds,
            seconds);
    fflush(many->err);
}

static bool many_tick(void *context)
{
    struct many *many = context;
    uint64_t now_ns = clock_now_ns();
    uint64_t time_s = many->options->time_s;

    if (now_ns - many->begun_ns >= PROGRESS_AFTER_NS && now_ns - many->progress_ns >= SECOND_NS &&
        isatty(fileno(many->err)))
        progress_show(many, now_ns);
    if (now_ns - many->state_ns >= STATE_EVERY_NS)
        state_keep(many);
    many->time_over = time_s != CLI_NOT_GIVEN && now_ns - many->begun_ns >= time_s * SECOND_NS;
    return !many->time_over;
}

/* ---- when it is over ------------------------------------------------------------------------- */

static void end_tell(struct many *many, enum crew_end end)
{
    if (end != CREW_STOPPED && end != CREW_INTERRUPTED)
        return;
    snprintf(many->end, sizeof many->end, "%s: %" PRIu64 " of %" PRIu64 " seeds were run",
             end == CREW_STOPPED ? "the time is over" : "interrupted", many->report.run_seeds,
             many->hunt.count);
    many->report.end = many->end;
}

static void failure_take(struct many *many, struct crew *crew)
{
    struct failure *failure = &many->report.failure;
    uint64_t index = many->hunt.failed_index;
    if (index == HUNT_NONE)
        return;
    struct run_options run = hunt_run(&many->hunt, index);
    failure->here = true;
    failure->seed = run.seed;
    failure->asked_faults = run.keep_faults;
    failure->bug = run.bug;
    failure->what = many->what ? many->what[index] : NULL;
    failure->result = many->hunt.failure;
    if (isatty(fileno(many->err)))
        fprintf(many->err, "\rseed %" PRIu64 " failed; looking for fewer faults\033[K\r", run.seed);
    failure_shrink(crew, failure, SHRINK_S * many->options->factor * SECOND_NS);
}

static void many_report(struct many *many)
{
    if (many->progress_shown)
        fprintf(many->err, "\r\033[K");
    if (many->options->hashes) {
        if (many->report.failure.here)
            report_failure(many->err, &many->report);
        if (many->report.end)
            fprintf(many->err, "%s\n", many->report.end);
    } else if (many->options->json)
        report_json(many->out, &many->report);
    else
        report_print(many->out, &many->report);
}

static void many_begin(struct many *many)
{
    struct report *report = &many->report;
    if (many->state.failed_seed) {
        snprintf(many->earlier, sizeof many->earlier, "seed %" PRIu64 ": %s",
                 many->state.failed_seed, many->state.failure);
        report->earlier = many->earlier;
    }
    many->begun_ns = many->state_ns = clock_now_ns();
    many->carried_ns = many->state.totals.elapsed_ns;
    many->hunt.merged = seed_merged;
    many->hunt.context = many;
    report->commit = many->options->commit && *many->options->commit ? many->options->commit : NULL;
    report->bug = many->options->bug;
    report->first = many->state.first;
    report->last = many->state.totals.seeds ? many->state.next - 1 : 0;
    report->totals = many->state.totals;
}

int many_run(struct many *many)
{
    const struct sim_options *options = many->options;
    struct crew crew;
    struct error error;

    many_begin(many);
    if (crew_open(&crew, (int)options->jobs, options->limit_ns, &error))
        return command_failed(many->err, &error, SIM_FAILED);
    state_keep(many);
    enum crew_end end = CREW_BROKEN;
    if (!many->state_bad)
        end = crew_run(&crew, &many->hunt, 1, many_tick, many, &error);
    state_keep(many);
    end_tell(many, end);
    failure_take(many, &crew);
    many_report(many);
    crew_close(&crew);
    if (end == CREW_BROKEN && !many->state_bad)
        command_failed(many->err, &error, SIM_FAILED);
    bool bad = end == CREW_BROKEN || end == CREW_INTERRUPTED || many->state_bad ||
               many->report.failure.here || many->report.earlier;
    return bad ? SIM_FAILED : SIM_DONE;
}

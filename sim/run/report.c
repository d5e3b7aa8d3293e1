#include "sim/run/report.h"

#include <inttypes.h>
#include <string.h>

#include "base/units.h"
#include "cli/print.h"

#define NAME_WIDTH 22
#define INDENT     13 /* of what is said of a seed */

static double rate_of(const struct report *report)
{
    return report->run_ns ? (double)report->run_seeds * 1e9 / (double)report->run_ns : 0;
}

/* The faults that a keep_faults lets happen. */
static uint64_t plan_of(const struct run_result *result, uint64_t keep_faults)
{
    return keep_faults & ((UINT64_C(1) << result->fault_count) - 1);
}

static const char *shape_of(const struct run_result *result)
{
    return *result->shape ? result->shape : "not known";
}

/* ---- a failure ------------------------------------------------------------------------------- */

static void plan_print(FILE *to, const char *title, const struct run_result *result, uint64_t plan)
{
    fprintf(to, "  %-11s%s", title, plan ? "" : "no fault\n");
    for (uint32_t i = 0, shown = 0; i < result->fault_count; i++)
        if (plan >> i & 1)
            fprintf(to, "%*s%2u: %s\n", shown++ ? INDENT : 0, "", i, result->faults[i]);
}

/* Every line under the first. */
static void finding_print(FILE *to, const char *finding)
{
    while (*finding) {
        size_t bytes = strcspn(finding, "\n");
        fprintf(to, "%.*s\n", (int)bytes, finding);
        finding += bytes + (finding[bytes] == '\n');
        if (*finding)
            fprintf(to, "%*s", INDENT, "");
    }
}

static void replay_print(FILE *to, const struct report *report, uint64_t keep_faults)
{
    const struct failure *failure = &report->failure;
    char faults[FAULTS_TEXT_BYTES];
    fprintf(to, "make sim SEED=%" PRIu64, failure->seed);
    faults_text(keep_faults, faults);
    if (keep_faults != RUN_ALL_FAULTS)
        fprintf(to, " FAULTS=%s", faults);
    if (failure->bug)
        fprintf(to, " BUG=%s", failure->bug);
    fprintf(to, "\n");
}

static void again_print(FILE *to, const struct shrunk *shrunk)
{
    if (shrunk->trials == 0)
        return;
    if (!shrunk->again)
        fprintf(to, "  again      run once more it did not fail so: the seed is NOT "
                    "deterministic\n");
    else if (!shrunk->same_hash)
        fprintf(to, "  again      run once more it failed with another hash: the seed is NOT "
                    "deterministic\n");
}

void report_failure(FILE *to, const struct report *report)
{
    const struct failure *failure = &report->failure;
    const struct run_result *result = &failure->result;
    const struct shrunk *shrunk = &failure->shrunk;

    fprintf(to, "seed %" PRIu64 " FAILED\n", failure->seed);
    if (failure->what)
        fprintf(to, "  listed in  %s\n", failure->what);
    fprintf(to, "  commit     %s\n", report->commit ? report->commit : "not known");
    if (failure->bug)
        fprintf(to, "  planted    %s\n", failure->bug);
    fprintf(to, "  checker    %s\n  finding    ", result->checker);
    finding_print(to, *result->finding ? result->finding : "(nothing said)");
    fprintf(to, "  rack       %s\n", shape_of(result));
    plan_print(to, "faults", result, plan_of(result, failure->asked_faults));
    again_print(to, shrunk);
    if (shrunk->shorter)
        plan_print(to, "shortest", result, shrunk->keep_faults);
    fprintf(to, "  replay     ");
    replay_print(to, report, failure->asked_faults);
    if (shrunk->shorter) {
        fprintf(to, "  shorter    ");
        replay_print(to, report, shrunk->keep_faults);
    }
}

/* ---- a run for people ------------------------------------------------------------------------ */

static void coverage_print(FILE *to, const struct totals *totals)
{
    fprintf(to, "\n%-*s %14s %10s\n", NAME_WIDTH, "counter", "total", "in seeds");
    for (int i = 0; i < COVER_COUNT; i++)
        fprintf(to, "%-*s %14" PRIu64 " %10" PRIu64 "  %s\n", NAME_WIDTH,
                coverage_name((enum coverage_counter)i), totals->counts[i], totals->in_seeds[i],
                coverage_text((enum coverage_counter)i));
}

static void never_print(FILE *to, const struct totals *totals)
{
    int never = 0;
    for (int i = 0; i < COVER_COUNT; i++)
        if (totals->counts[i] == 0)
            fprintf(to, "%s%s",
                    never++ ? ", " : "never exercised: ", coverage_name((enum coverage_counter)i));
    if (never)
        fprintf(to, "\n");
}

static const char *verdict_of(const struct report *report)
{
    if (report->failure.here || report->earlier)
        return "FAILED";
    return report->totals.seeds ? "clean" : "none was run";
}

void report_print(FILE *to, const struct report *report)
{
    const struct totals *totals = &report->totals;
    char simulated[UNITS_TEXT_BYTES], elapsed[UNITS_TEXT_BYTES];

    units_duration_round((double)totals->simulated_ns, simulated);
    units_duration_round((double)totals->elapsed_ns, elapsed);
    if (totals->seeds && report->last && !report->failure.here) { /* not of single seeds */
        coverage_print(to, totals);
        never_print(to, totals);
        fprintf(to, "\n");
    }
    if (report->failure.here)
        report_failure(to, report);
    fprintf(to, "%" PRIu64 " seeds", totals->seeds);
    if (report->last)
        fprintf(to, " (%" PRIu64 " to %" PRIu64 ")", report->first, report->last);
    fprintf(to, " in %s, %.1f seeds/s, %" PRIu64 " batches, %s simulated: %s\n", elapsed,
            rate_of(report), totals->batches, simulated, verdict_of(report));
    if (report->earlier)
        fprintf(to, "FAILED in an earlier part of this run: %s\n", report->earlier);
    if (report->end)
        fprintf(to, "%s\n", report->end);
}

/* ---- a run as JSON --------------------------------------------------------------------------- */

static json_t *plan_value(const struct run_result *result, uint64_t plan)
{
    json_t *faults = json_array();
    for (uint32_t i = 0; i < result->fault_count; i++)
        if (plan >> i & 1) {
            json_t *fault = json_object();
            print_set(fault, "fault", print_number(i));
            print_set(fault, "text", print_text(result->faults[i]));
            json_array_append_new(faults, fault);
        }
    return faults;
}

static json_t *failure_value(const struct failure *failure)
{
    const struct run_result *result = &failure->result;
    json_t *value = json_object();
    char faults[FAULTS_TEXT_BYTES], hash[20];

    snprintf(hash, sizeof hash, "%016" PRIx64, result->hash);
    faults_text(failure->shrunk.shorter ? failure->shrunk.keep_faults : failure->asked_faults,
                faults);
    print_set(value, "seed", print_number(failure->seed));
    print_set(value, "listed", failure->what ? print_text(failure->what) : json_null());
    print_set(value, "checker", print_text(result->checker));
    print_set(value, "finding", print_text(result->finding));
    print_set(value, "rack", print_text(shape_of(result)));
    print_set(value, "hash", print_text(hash));
    print_set(value, "faults", plan_value(result, plan_of(result, failure->asked_faults)));
    print_set(value, "shortest",
              failure->shrunk.again ? plan_value(result, failure->shrunk.keep_faults)
                                    : json_null());
    print_set(value, "replay_faults", print_text(faults));
    print_set(value, "deterministic",
              failure->shrunk.trials ? json_boolean(failure->shrunk.same_hash) : json_null());
    return value;
}

static json_t *coverage_value(const struct totals *totals)
{
    json_t *rows = json_array();
    for (int i = 0; i < COVER_COUNT; i++) {
        json_t *row = json_object();
        print_set(row, "counter", print_text(coverage_name((enum coverage_counter)i)));
        print_set(row, "text", print_text(coverage_text((enum coverage_counter)i)));
        print_set(row, "total", print_number(totals->counts[i]));
        print_set(row, "in_seeds", print_number(totals->in_seeds[i]));
        json_array_append_new(rows, row);
    }
    return rows;
}

void report_json(FILE *to, const struct report *report)
{
    const struct totals *totals = &report->totals;
    json_t *value = json_object();

    print_set(value, "commit", report->commit ? print_text(report->commit) : json_null());
    print_set(value, "bug", report->bug ? print_text(report->bug) : json_null());
    print_set(value, "first", report->last ? print_number(report->first) : json_null());
    print_set(value, "last", report->last ? print_number(report->last) : json_null());
    print_set(value, "seeds", print_number(totals->seeds));
    print_set(value, "seeds_per_s", json_real(rate_of(report)));
    print_set(value, "elapsed_ns", print_number(totals->elapsed_ns));
    print_set(value, "batches", print_number(totals->batches));
    print_set(value, "simulated_ns", print_number(totals->simulated_ns));
    print_set(value, "ended", report->end ? print_text(report->end) : json_null());
    print_set(value, "failure",
              report->failure.here ? failure_value(&report->failure) : json_null());
    print_set(value, "earlier_failure",
              report->earlier ? print_text(report->earlier) : json_null());
    print_set(value, "coverage", coverage_value(totals));
    print_json(to, value);
    json_decref(value);
}

/* ---- one seed -------------------------------------------------------------------------------- */

void report_seed(FILE *to, const struct run_options *run, const struct run_result *result)
{
    char simulated[UNITS_TEXT_BYTES];

    units_duration_round((double)result->simulated_ns, simulated);
    fprintf(to, "seed %" PRIu64 ": %s\n", run->seed, result->failed ? "FAILED" : "clean");
    if (run->bug)
        fprintf(to, "  planted    %s\n", run->bug);
    if (result->failed) {
        fprintf(to, "  checker    %s\n  finding    ", result->checker);
        finding_print(to, *result->finding ? result->finding : "(nothing said)");
    }
    fprintf(to, "  rack       %s\n", shape_of(result));
    plan_print(to, "faults", result, plan_of(result, run->keep_faults));
    fprintf(to, "  ran        %" PRIu64 " batches, %s simulated\n  hash       %016" PRIx64 "\n",
            result->batches, simulated, result->hash);
}

#include <stdlib.h>

#include "sim/rack/run.h"
#include "sim/run/commands.h"
#include "sim/run/report.h"

int command_failed(FILE *err, const struct error *error, int status)
{
    fprintf(err, SIM_PROGRAM ": %s\n", error->text);
    return status;
}

/* How many faults a seed has is known only when its plan is drawn. */
static int check_faults(const struct run_options *run, const struct run_result *result, FILE *err)
{
    struct error error;
    uint64_t plan = result->fault_count ? UINT64_MAX >> (64 - result->fault_count) : 0;
    if (run->keep_faults == RUN_ALL_FAULTS || !(run->keep_faults & ~plan))
        return SIM_DONE;
    error_set(&error, EMB_ERR_INVALID_ARGUMENT,
              "--faults names fault %d, but the plan of seed %llu has %u, from 0 on",
              63 - __builtin_clzll(run->keep_faults), (unsigned long long)run->seed,
              result->fault_count);
    return command_failed(err, &error, SIM_USAGE);
}

/* In this process, so that a debugger sees it; a crash is one. */
static int command_one(const struct sim_options *options, FILE *out, FILE *err)
{
    struct run_options run = {.seed = options->seed,
                              .keep_faults = options->keep_faults,
                              .bug = options->bug,
                              .trace = options->trace_level};
    struct run_result *result = calloc(1, sizeof *result);
    if (!result)
        return SIM_FAILED;
    fflush(out);
    run_seed(&run, result);
    report_seed(out, &run, result);
    int status = check_faults(&run, result, err);
    if (status == SIM_DONE && result->failed)
        status = SIM_FAILED;
    free(result);
    return status;
}

static int command_choose(const struct sim_options *options, FILE *out, FILE *err)
{
    switch (options->mode) {
    case SIM_RUN:
        return command_run(options, out, err);
    case SIM_ONE:
        return command_one(options, out, err);
    case SIM_BUGS:
        return command_bugs(out);
    case SIM_BUGS_TEST:
        return command_bugs_test(options, out, err);
    case SIM_REGRESSIONS:
        return command_regressions(options, out, err);
    }
    return SIM_USAGE;
}

int sim_main(int argc, char **argv, FILE *out, FILE *err)
{
    struct sim_options options;
    struct error error;
    int status = SIM_DONE;

    if (sim_options_read(&options, argc, argv, &error))
        status = command_failed(err, &error, SIM_USAGE);
    else if (options.help)
        sim_options_help(out);
    else
        status = command_choose(&options, out, err);
    sim_options_free(&options);
    if (fflush(out) != 0 && status == SIM_DONE)
        status = SIM_FAILED;
    return status;
}

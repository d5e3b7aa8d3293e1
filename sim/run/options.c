#include "sim/run/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "cli/options.h"
#include "sim/bugs/planted.h"
#include "sim/run/totals.h"

#define SEEDS_DEFAULT   120
#define SEEDS_MAX       1000000000u
#define FIRST_MAX       (UINT64_C(1) << 62)
#define JOBS_MAX        256
#define LIMIT_S_DEFAULT 20

#define FIELD(name) offsetof(struct sim_options, name)

static const struct cli_option rows[] = {
    {"seeds", CLI_NUMBER, FIELD(seeds), NULL, "N", NULL, 0, 1, SEEDS_MAX,
     "run so many seeds, 120 if it is not said"},
    {"first", CLI_NUMBER, FIELD(first), NULL, "N", NULL, 0, 1, FIRST_MAX,
     "from this seed on, else from 1"},
    {"jobs", CLI_NUMBER, FIELD(jobs), NULL, "N", NULL, 0, 1, JOBS_MAX,
     "so many at a time, else one a core"},
    {"time", CLI_NUMBER, FIELD(time_s), NULL, "SECONDS", NULL, 0, 1, SEEDS_MAX,
     "stop after that long"},
    {"limit", CLI_NUMBER, FIELD(limit_s), NULL, "SECONDS", NULL, 0, 1, SEEDS_MAX,
     "a seed that takes longer hangs; else 20 * EMB_TEST_TIME_FACTOR"},
    {"json", CLI_FLAG, FIELD(json), .text = "print one JSON object"},
    {"hashes", CLI_FLAG, FIELD(hashes),
     .text = "print `seed hash` of each, to compare two builds by diff"},
    {"state", CLI_TEXT, FIELD(state), .argument = "FILE",
     .text = "keep there how far it came; go on from there"},
    {"seed", CLI_NUMBER, FIELD(seed), NULL, "N", NULL, 0, 1, FIRST_MAX + SEEDS_MAX,
     "this seed alone, in this process, with its trace"},
    {"faults", CLI_TEXT, FIELD(faults), .argument = "LIST",
     .text = "with --seed: of its faults only these, \"2,5\" or \"none\""},
    {"trace", CLI_TEXT, FIELD(trace), .argument = "none|events|all",
     .text = "with --seed: what is traced, else events; all: memory too"},
    {"bug", CLI_TEXT, FIELD(bug), .argument = "NAME", .text = "plant this bug in every seed"},
    {"bugs", CLI_FLAG, FIELD(bugs), .text = "list the bugs that can be planted"},
    {"bugs-test", CLI_FLAG, FIELD(bugs_test),
     .text = "each bug (or those named) must be found by its checker in time"},
    {"regressions", CLI_TEXT, FIELD(regressions), .argument = "DIR",
     .text = "the seeds listed in DIR/*.seed, each must be clean"},
    {"commit", CLI_TEXT, FIELD(commit), .argument = "TEXT",
     .text = "what this was built from, for reports and --state"},
    {"help", CLI_FLAG, FIELD(help), .text = "this text"},
};

void sim_options_help(FILE *to)
{
    fprintf(to, "usage: " SIM_PROGRAM " [OPTIONS]\n\n"
                "Runs whole racks in simulated time, one from each seed, and checks every "
                "promise.\n\n");
    cli_options_help(to, rows, COUNT_OF(rows));
    fprintf(to, "\nexit status: 0 all clean, 1 a seed failed or not all were run, 2 the command "
                "line was wrong\n"
                "\nexamples:\n"
                "  " SIM_PROGRAM " --seeds 5000 --time 600\n"
                "  " SIM_PROGRAM " --seed 17 --faults 2,5 --trace all\n"
                "  " SIM_PROGRAM " --seeds 1000000 --state soak.txt\n"
                "  " SIM_PROGRAM " --bugs-test ack-before-sync\n"
                "  " SIM_PROGRAM " --regressions sim/regressions\n");
}

/* ---- what goes with what --------------------------------------------------------------------- */

struct partner {
    const char *name;
    bool given;
    unsigned modes;
};

static const char *mode_text(enum sim_mode mode)
{
    switch (mode) {
    case SIM_ONE:
        return "--seed";
    case SIM_BUGS:
        return "--bugs";
    case SIM_BUGS_TEST:
        return "--bugs-test";
    case SIM_REGRESSIONS:
        return "--regressions";
    case SIM_RUN:
        break;
    }
    return "a run of many seeds";
}

static int mode_choose(struct sim_options *o, struct error *err)
{
    const struct {
        bool given;
        enum sim_mode mode;
    } modes[] = {{o->seed != CLI_NOT_GIVEN, SIM_ONE},
                 {o->bugs, SIM_BUGS},
                 {o->bugs_test, SIM_BUGS_TEST},
                 {o->regressions != NULL, SIM_REGRESSIONS}};
    o->mode = SIM_RUN;
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        if (!modes[i].given)
            continue;
        if (o->mode != SIM_RUN)
            return error_set(err, EMB_ERR_INVALID_ARGUMENT, "%s and %s: only one of them",
                             mode_text(o->mode), mode_text(modes[i].mode));
        o->mode = modes[i].mode;
    }
    return EMB_OK;
}

static int partners_check(const struct sim_options *o, struct error *err)
{
    const unsigned many = SIM_RUN | SIM_REGRESSIONS;
    const struct partner partners[] = {
        {"--seeds", o->seeds != CLI_NOT_GIVEN, SIM_RUN},
        {"--first", o->first != CLI_NOT_GIVEN, SIM_RUN},
        {"--jobs", o->jobs != CLI_NOT_GIVEN, many | SIM_BUGS_TEST},
        {"--time", o->time_s != CLI_NOT_GIVEN, SIM_RUN},
        {"--limit", o->limit_s != CLI_NOT_GIVEN, many | SIM_BUGS_TEST},
        {"--json", o->json, many},
        {"--hashes", o->hashes, SIM_RUN},
        {"--state", o->state != NULL, SIM_RUN},
        {"--faults", o->faults != NULL, SIM_ONE},
        {"--trace", o->trace != NULL, SIM_ONE},
        {"--bug", o->bug != NULL, SIM_RUN | SIM_ONE},
    };
    for (size_t i = 0; i < COUNT_OF(partners); i++)
        if (partners[i].given && !(partners[i].modes & o->mode))
            return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                             "%s does not go with %s; it does with %s", partners[i].name,
                             mode_text(o->mode),
                             partners[i].modes & SIM_RUN ? mode_text(SIM_RUN) : mode_text(SIM_ONE));
    if (o->hashes && (o->json || o->state))
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "--hashes does not go with %s",
                         o->json ? "--json" : "--state");
    return EMB_OK;
}

/* ---- values ---------------------------------------------------------------------------------- */

static int trace_set(struct sim_options *o, struct error *err)
{
    static const char *const words[] = {"none", "events", "all"}; /* by enum trace_level */
    o->trace_level = TRACE_EVENTS;
    if (!o->trace)
        return EMB_OK;
    for (int i = 0; i < (int)COUNT_OF(words); i++)
        if (strcmp(words[i], o->trace) == 0) {
            o->trace_level = (enum trace_level)i;
            return EMB_OK;
        }
    return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                     "--trace: bad value \"%.60s\"; accepted: none, events or all", o->trace);
}

static int bug_check(const char *option, const char *name, struct error *err)
{
    if (!name || planted_find(name) != BUG_NONE)
        return EMB_OK;
    return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                     "%s: no bug is named \"%.60s\"; accepted: those that --bugs lists", option,
                     name);
}

static int values_check(struct sim_options *o, struct error *err)
{
    o->keep_faults = RUN_ALL_FAULTS;
    if (o->faults && !faults_read(o->faults, &o->keep_faults))
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "--faults: bad value \"%.60s\"; accepted: none, all, or numbers from 0 to "
                         "%d with commas between them",
                         o->faults, RUN_FAULTS_MAX - 1);
    if (o->name_count && o->mode != SIM_BUGS_TEST)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "unexpected argument \"%.60s\"; accepted: options, --help lists all",
                         o->names[0]);
    for (int i = 0; i < o->name_count; i++)
        if (bug_check("--bugs-test", o->names[i], err))
            return EMB_ERR_INVALID_ARGUMENT;
    if (bug_check("--bug", o->bug, err))
        return EMB_ERR_INVALID_ARGUMENT;
    return trace_set(o, err);
}

static uint64_t time_factor(void)
{
    const char *text = getenv("EMB_TEST_TIME_FACTOR");
    long factor = text ? strtol(text, NULL, 10) : 1;
    return factor > 0 && factor <= 1000 ? (uint64_t)factor : 1;
}

static uint64_t given_or(uint64_t value, uint64_t otherwise)
{
    return value == CLI_NOT_GIVEN ? otherwise : value;
}

/* `first` stays as it is: a state file may know better. */
static void defaults_set(struct sim_options *o)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    o->factor = time_factor();
    o->seeds = given_or(o->seeds, SEEDS_DEFAULT);
    o->jobs = given_or(o->jobs, min_u64(JOBS_MAX, cores > 0 ? (uint64_t)cores : 1));
    o->limit_ns = given_or(o->limit_s, LIMIT_S_DEFAULT * o->factor) * 1000000000u;
}

int sim_options_read(struct sim_options *options, int argc, char **argv, struct error *err)
{
    const struct cli_options table = {rows, COUNT_OF(rows), options};

    *options = (struct sim_options){0};
    cli_options_default(&table);
    options->names = calloc((size_t)argc + 1, sizeof *options->names);
    if (!options->names)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the command line");
    int result = cli_options_parse(&table, 1, argc - 1, argv + 1, false, options->names,
                                   &options->name_count, err);
    if (result < 0)
        return result;
    if (options->help)
        return EMB_OK;
    result = mode_choose(options, err);
    if (!result)
        result = partners_check(options, err);
    if (!result)
        result = values_check(options, err);
    defaults_set(options);
    return result;
}

void sim_options_free(struct sim_options *options)
{
    free(options->names);
    options->names = NULL;
}

/*
 * The command line around a stand-in for the simulation, whose seeds fail, crash and hang as the
 * tests need it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "sim/bugs/planted.h"
#include "sim/core/coverage.h"
#include "sim/rack/run.h"
#include "sim/run/commands.h"
#include "sim/run/totals.h"

#define SEED_FAULTS 7  /* fails when its faults 2 and 4 happen */
#define SEED_CRASH  9  /* dies of SIGSEGV */
#define SEED_HANG   11 /* never ends */
#define SEED_LEAVES 13 /* calls exit */
#define SEED_FIRST  20 /* up to here seeds are of that kind, behind it they are clean */
#define SEED_CHANCE 5  /* fails only the first time: not deterministic */

/* ---- the stand-ins --------------------------------------------------------------------------- */

static const struct planted_bug bugs[] = {
    [BUG_PAYLOAD_NOT_WRITTEN_BACK] = {"early", "found at seed 3", "other|acks", 10},
    [BUG_PBR_NOT_WRITTEN_BACK] = {"late", "found at seed 40", "acks", 50},
    [BUG_GOI_NOT_WRITTEN_BACK] = {"wrong", "found by another", "order", 10},
    [BUG_COMMITTED_NOT_WRITTEN_BACK] = {"never", "not found in time", "acks", 8},
    [BUG_LINE_NOT_INVALIDATED] = {"crashing", "crashes", "crash", 10},
};

static const struct planted_bug none = {"none", "not used here", "acks", 1};

const struct planted_bug *planted_bug(enum bug bug)
{
    return bug < COUNT_OF(bugs) && bugs[bug].name ? &bugs[bug] : &none;
}

enum bug planted_find(const char *name)
{
    for (size_t i = 1; i < COUNT_OF(bugs); i++)
        if (strcmp(bugs[i].name, name) == 0)
            return (enum bug)i;
    return BUG_NONE;
}

static void seed_fail(struct run_result *result, const char *checker, const char *finding)
{
    result->failed = true;
    snprintf(result->checker, sizeof result->checker, "%s", checker);
    snprintf(result->finding, sizeof result->finding, "%s", finding);
}

static void bug_run(const struct run_options *options, struct run_result *result)
{
    const char *bug = options->bug;
    if ((strcmp(bug, "early") == 0 && options->seed >= 3) ||
        (strcmp(bug, "late") == 0 && options->seed == 40) ||
        (strcmp(bug, "wrong") == 0 && options->seed == 2))
        seed_fail(result, "acks", "planted");
    if (strcmp(bug, "crashing") == 0 && options->seed == 4)
        abort();
}

static _Noreturn void seed_crash(void)
{
    fprintf(stderr, "the last words\n");
    fflush(stderr);
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    abort();
}

static void seed_run(const struct run_options *options, struct run_result *result)
{
    bool both = (options->keep_faults & 0x14) == 0x14;
    if (options->seed == SEED_FAULTS && both)
        seed_fail(result, "acks", "batch 3 was acknowledged\nand is not there");
    else if (options->seed == SEED_FAULTS && options->keep_faults & 0x10)
        seed_fail(result, "order", "something else");
    else if (options->seed == SEED_CRASH)
        seed_crash();
    else if (options->seed == SEED_LEAVES)
        exit(0);
    while (options->seed == SEED_HANG)
        pause();
    if (options->seed == SEED_CHANCE && access(getenv("SIM_TEST_ONCE"), F_OK) != 0) {
        fclose(fopen(getenv("SIM_TEST_ONCE"), "w"));
        seed_fail(result, "chance", "only once");
    }
}

/* Seeds take long enough that all workers get some. */
void run_seed(const struct run_options *options, struct run_result *result)
{
    snprintf(result->shape, sizeof result->shape, "a rack of %" PRIu64, options->seed);
    result->fault_count = 6;
    for (int i = 0; i < 6; i++)
        snprintf(result->faults[i], RUN_FAULT_BYTES, "sentence %d", i);
    result->hash = options->seed * 0x10001;
    result->batches = options->seed;
    result->simulated_ns = 1000;
    result->coverage.counts[COVER_BATCH] = options->seed;
    result->coverage.counts[COVER_SKIP] = options->seed % 2;
    usleep((useconds_t)(options->seed % 3) * 1000);
    if (options->bug)
        bug_run(options, result);
    else if (options->seed <= SEED_FIRST)
        seed_run(options, result);
}

/* ---- the rig --------------------------------------------------------------------------------- */

/* A folder of the test's own, and what the program printed last. */
struct rig {
    char dir[64];
    char *out;
    char *err;
};

static int rig_set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    char once[96];
    snprintf(rig->dir, sizeof rig->dir, "/tmp/sim-run-test.XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    snprintf(once, sizeof once, "%s/once", rig->dir);
    setenv("SIM_TEST_ONCE", once, 1);
    *state = rig;
    return 0;
}

static int rig_tear_down(void **state)
{
    struct rig *rig = *state;
    const char *const names[] = {"once", "state", "a.seed", "b.seed", "c.txt"};
    char path[96];
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", rig->dir, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(rig->dir), 0);
    free(rig->out);
    free(rig->err);
    free(rig);
    return 0;
}

static void file_put(struct rig *rig, const char *name, const char *text)
{
    char path[96];
    snprintf(path, sizeof path, "%s/%s", rig->dir, name);
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    fputs(text, to);
    fclose(to);
}

static char *file_get(struct rig *rig, const char *name)
{
    char path[96];
    static char text[16384];
    snprintf(path, sizeof path, "%s/%s", rig->dir, name);
    FILE *from = fopen(path, "r");
    assert_non_null(from);
    text[fread(text, 1, sizeof text - 1, from)] = '\0';
    fclose(from);
    return text;
}

/* Runs the program with the words of `line`, in which @ stands for the folder. */
static int run(struct rig *rig, const char *line)
{
    char words[512] = "", *argv[32] = {0}, *rest = NULL;
    size_t bytes;
    int argc = 0;
    const char *at = strchr(line, '@');
    if (at)
        snprintf(words, sizeof words, "sim %.*s%s%s", (int)(at - line), line, rig->dir, at + 1);
    else
        snprintf(words, sizeof words, "sim %s", line);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    free(rig->out);
    free(rig->err);
    FILE *out = open_memstream(&rig->out, &bytes);
    FILE *err = open_memstream(&rig->err, &bytes);
    int status = sim_main(argc, argv, out, err);
    fclose(out);
    fclose(err);
    return status;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" is in:\n%s", part, text);
}

/* ---- runs of many seeds ---------------------------------------------------------------------- */

static void coverage_is_summed_over_seeds(void **state)
{
    struct rig *rig = *state;
    /* 21 + ... + 120 batches; half of the seeds are odd. */
    assert_int_equal(run(rig, "--first 21 --seeds 100 --jobs 3"), 0);
    assert_has(rig->out, "100 seeds (21 to 120) in ");
    assert_has(rig->out, "7050 batches, 100 us simulated: clean");
    assert_has(rig->out, "BATCH                            7050        100  batches published");
    assert_has(rig->out, "SKIP                               50         50  ranges declared lost");
    assert_has(rig->out, "never exercised: RACK_SOFTWARE, ");
    assert_string_equal(rig->err, "");
}

static void json_says_the_same(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--first 21 --seeds 100 --json --commit abc"), 0);
    json_t *value = json_loads(rig->out, 0, NULL);
    assert_non_null(value);
    assert_int_equal(json_integer_value(json_object_get(value, "batches")), 7050);
    assert_string_equal(json_string_value(json_object_get(value, "commit")), "abc");
    assert_true(json_is_null(json_object_get(value, "failure")));
    assert_int_equal(json_array_size(json_object_get(value, "coverage")), COVER_COUNT);
    json_decref(value);

    assert_int_equal(run(rig, "--first 6 --seeds 3 --json"), 1);
    value = json_loads(rig->out, 0, NULL);
    json_t *failure = json_object_get(value, "failure");
    assert_int_equal(json_integer_value(json_object_get(failure, "seed")), 7);
    assert_string_equal(json_string_value(json_object_get(failure, "replay_faults")), "2,4");
    assert_int_equal(json_array_size(json_object_get(failure, "shortest")), 2);
    assert_true(json_is_true(json_object_get(failure, "deterministic")));
    json_decref(value);
}

static void hashes_come_in_order(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--hashes --first 21 --seeds 200 --jobs 4"), 0);
    const char *at = rig->out;
    for (uint64_t seed = 21; seed <= 220; seed++) {
        char line[64];
        int bytes =
            snprintf(line, sizeof line, "%" PRIu64 " %016" PRIx64 "\n", seed, seed * 0x10001);
        assert_memory_equal(at, line, (size_t)bytes);
        at += bytes;
    }
    assert_string_equal(at, "");
}

static void time_ends_a_run(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--first 21 --seeds 1000000000 --time 1"), 0);
    assert_has(rig->out, "the time is over: ");
    assert_has(rig->out, " of 1000000000 seeds were run");
}

static void interrupt_ends_a_run(void **state)
{
    struct rig *rig = *state;
    pid_t program = getpid();
    pid_t killer = fork();
    if (killer == 0) {
        usleep(300000);
        kill(program, SIGTERM);
        _exit(0);
    }
    assert_int_equal(run(rig, "--first 21 --seeds 1000000000 --state @/state --commit c"), 1);
    assert_int_equal(waitpid(killer, NULL, 0), killer);
    assert_has(rig->out, "interrupted: ");
    assert_has(file_get(rig, "state"), "\nend\n");
    /* All children are gone. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void lowest_failure_is_told_and_shrunk(void **state)
{
    struct rig *rig = *state;
    for (int jobs = 1; jobs <= 8; jobs *= 2) {
        char line[96];
        snprintf(line, sizeof line, "--first 6 --seeds 100 --jobs %d --commit abc1234", jobs);
        assert_int_equal(run(rig, line), 1);
        assert_has(rig->out, "seed 7 FAILED\n  commit     abc1234\n  checker    acks\n"
                             "  finding    batch 3 was acknowledged\n"
                             "             and is not there\n  rack       a rack of 7\n");
        assert_has(rig->out, "  faults      0: sentence 0\n              1: sentence 1\n");
        assert_has(rig->out, "  shortest    2: sentence 2\n              4: sentence 4\n");
        assert_has(rig->out, "  replay     make sim SEED=7\n"
                             "  shorter    make sim SEED=7 FAULTS=2,4\n");
        assert_has(rig->out, "2 seeds (6 to 7) in ");
        assert_has(rig->out, "13 batches, 2.00 us simulated: FAILED");
        assert_has_not(rig->out, "deterministic");
    }
}

static void crash_is_attributed(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--first 8 --seeds 10 --jobs 2 --limit 5"), 1);
    assert_has(rig->out, "seed 9 FAILED");
    assert_has(rig->out, "  checker    crash\n  finding    the process ended with SIGSEGV");
    assert_has(rig->out, "it wrote:\n             the last words\n");
    assert_has(rig->out, "  rack       a rack of 9\n");
    assert_has(rig->out, "  shortest   no fault\n");
    assert_has(rig->out, "make sim SEED=9 FAULTS=none\n");
}

static void leaving_is_a_crash(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--first 12 --seeds 10"), 1);
    assert_has(rig->out, "seed 13 FAILED");
    assert_has(rig->out, "the process ended itself with exit status 0");
}

static void hang_is_attributed(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--first 10 --seeds 2 --limit 1"), 1);
    assert_has(rig->out, "seed 11 FAILED");
    assert_has(rig->out, "  checker    hang\n  finding    the seed took longer than 1 s");
    assert_has(rig->out, "  rack       a rack of 11\n");
    assert_has(rig->out, "make sim SEED=11 FAULTS=none\n");
}

static void chance_is_told(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--first 5 --seeds 1"), 1);
    assert_has(rig->out, "seed 5 FAILED");
    assert_has(rig->out, "the seed is NOT deterministic");
    assert_int_equal(run(rig, "--first 5 --seeds 1"), 0);
}

/* ---- one seed -------------------------------------------------------------------------------- */

static void one_seed_runs_here(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--seed 7"), 1);
    assert_has(rig->out, "seed 7: FAILED\n  checker    acks\n");
    assert_has(rig->out, "  hash       0000000000070007\n");
    assert_int_equal(run(rig, "--seed 7 --faults 2,4 --trace none"), 1);
    assert_has(rig->out, "  faults      2: sentence 2\n              4: sentence 4\n  ran ");
    assert_int_equal(run(rig, "--seed 7 --faults 2"), 0);
    assert_has(rig->out, "seed 7: clean\n  rack       a rack of 7\n  faults      2: sentence 2\n");
    assert_int_equal(run(rig, "--seed 7 --faults none --trace all"), 0);
    assert_int_equal(run(rig, "--seed 7 --faults 6"), 2);
    assert_has(rig->err, "--faults names fault 6, but the plan of seed 7 has 6, from 0 on");
    assert_int_equal(run(rig, "--seed 30 --bug early"), 1);
    assert_has(rig->out, "  planted    early\n");
}

static void faults_are_lists_of_numbers(void **state)
{
    static const char *const bad[] = {"", ",", "2,", ",2", "2,,4", "32", "-1", "2;4", "x", "2,x"};
    char text[FAULTS_TEXT_BYTES];
    uint64_t faults;
    assert_true(faults_read("2,5", &faults));
    assert_int_equal(faults, 0x24);
    faults_text(faults, text);
    assert_string_equal(text, "2,5");
    assert_true(faults_read("none", &faults));
    assert_int_equal(faults, 0);
    assert_true(faults_read("all", &faults));
    assert_int_equal(faults, RUN_ALL_FAULTS);
    faults_text(UINT32_MAX, text);
    assert_has(text, ",30,31");
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(faults_read(bad[i], &faults));
}

/* ---- planted bugs ---------------------------------------------------------------------------- */

static void bugs_are_found_or_not(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--bugs-test early late crashing --jobs 4"), 0);
    assert_has(rig->out, "ok     early                              seed 3      acks ");
    assert_has(rig->out, "ok     late                               seed 40     acks ");
    assert_has(rig->out, "ok     crashing                           seed 4      crash ");
    assert_has(rig->out, "3 of 3 planted bugs found by their checker\n");

    assert_int_equal(run(rig, "--bugs-test early wrong"), 1);
    assert_has(rig->out, "FAILED wrong                              seed 2      acks ");
    assert_has(rig->out, "should be found by order; found was: planted\n");
    assert_int_equal(run(rig, "--bugs-test never"), 1);
    assert_has(rig->out, "FAILED never                              not found in 8 seeds");
    assert_int_equal(run(rig, "--bugs"), 0);
    assert_has(rig->out, "late                                   50  acks ");
}

static void bug_is_planted_in_a_run(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--bug late --first 21"), 1);
    assert_has(rig->out, "seed 40 FAILED");
    assert_has(rig->out, "  planted    late\n");
    assert_has(rig->out, "make sim SEED=40 FAULTS=none BUG=late\n");
}

/* ---- state ----------------------------------------------------------------------------------- */

static void state_goes_on_where_it_was(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--first 21 --seeds 60 --commit a --state @/state"), 0);
    assert_has(file_get(rig, "state"), "build a\nbug -\nfirst 21\nnext 81\nseeds 60\n");
    assert_int_equal(run(rig, "--seeds 100 --commit a --state @/state"), 0);
    assert_has(rig->out, "100 seeds (21 to 120) in ");
    assert_has(rig->out, "7050 batches");
    assert_has(rig->out, "SKIP                               50         50 ");
    assert_has(file_get(rig, "state"), "\nBATCH 7050 100\n");
    /* Nothing left. */
    assert_int_equal(run(rig, "--seeds 100 --commit a --state @/state"), 0);
    assert_has(rig->out, "100 seeds (21 to 120) in ");
}

static void state_of_others_is_refused(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--first 21 --seeds 5 --commit a --state @/state"), 0);
    assert_int_equal(run(rig, "--commit b --state @/state"), 2);
    assert_has(rig->err, "holds the counts of build a, this is b");
    assert_int_equal(run(rig, "--state @/state"), 2);
    assert_has(rig->err, "this is exe-");
    assert_int_equal(run(rig, "--commit a --first 22 --state @/state"), 2);
    assert_has(rig->err, "--first 22: ");
    assert_int_equal(run(rig, "--commit a --bug late --state @/state"), 2);
    assert_has(rig->err, "with bug -, this run is with late");
    file_put(rig, "state",
             "embarcadero-sim state 1\nbuild a\nbug -\nfirst 1\nnext 5\nMIRACLES 1\n");
    assert_int_equal(run(rig, "--commit a --state @/state"), 2);
    assert_has(rig->err, "line 6 is not of a state file");
    file_put(rig, "state", "embarcadero-sim state 1\nbuild a\nbug -\nfirst 1\nnext 5\n");
    assert_int_equal(run(rig, "--commit a --state @/state"), 2);
    assert_int_equal(run(rig, "--commit a --state @/no/state"), 1);
}

static void state_keeps_the_first_failure(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--first 6 --seeds 3 --commit a --state @/state"), 1);
    assert_has(file_get(rig, "state"), "\nfirst 6\nnext 8\nseeds 2\n");
    assert_has(file_get(rig, "state"), "\nfailed 7 acks: batch 3 was acknowledged and is not");
    assert_int_equal(run(rig, "--seeds 3 --commit a --state @/state"), 1);
    assert_has(rig->out, "FAILED in an earlier part of this run: seed 7: acks: batch 3");
    assert_has(rig->out, "3 seeds (6 to 8) in ");
    assert_int_equal(run(rig, "--seeds 20 --commit a --state @/state"), 1);
    assert_has(rig->out, "seed 9 FAILED");
    assert_has(file_get(rig, "state"), "\nfailed 7 acks: ");
}

/* ---- regressions ----------------------------------------------------------------------------- */

static void regressions_must_be_clean(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(run(rig, "--regressions @"), 0);
    file_put(rig, "a.seed", "# nothing yet\n\nseed 30 # once\nseed 7 faults 2 # not enough\n");
    file_put(rig, "c.txt", "no seed\n");
    assert_int_equal(run(rig, "--regressions @"), 0);
    assert_has(rig->out, "2 seeds in ");
    file_put(rig, "b.seed", "seed 31\nseed 7 faults 1,2,4 # lost a batch\n");
    assert_int_equal(run(rig, "--regressions @"), 1);
    assert_has(rig->out, "seed 7 FAILED\n  listed in  b.seed:2: lost a batch\n");
    assert_has(rig->out, "make sim SEED=7 FAULTS=1,2,4\n");
    assert_has(rig->out, "make sim SEED=7 FAULTS=2,4\n");
    file_put(rig, "b.seed", "seed 31\nsed 7\n");
    assert_int_equal(run(rig, "--regressions @"), 2);
    assert_has(rig->err, "b.seed:2 is no seed; accepted: seed N [faults LIST]");
    assert_int_equal(run(rig, "--regressions @/none"), 2);
}

/* ---- usage ----------------------------------------------------------------------------------- */

static void usage_names_what_is_accepted(void **state)
{
    static const struct {
        const char *line;
        const char *says;
    } cases[] = {
        {"--seeds 0", "--seeds: bad value \"0\"; accepted: "},
        {"--seeds 1000000001", "1 to 1000000000"},
        {"--sed 4", "did you mean --seed?"},
        {"--seed 7 --faults 2;4", "--faults: bad value \"2;4\"; accepted: none, all, or numbers"},
        {"--seed 7 --trace much", "--trace: bad value \"much\"; accepted: none, events or all"},
        {"--faults 2", "--faults does not go with a run of many seeds; it does with --seed"},
        {"--seed 7 --bugs", "--seed and --bugs: only one of them"},
        {"--seed 7 --seeds 9", "--seeds does not go with --seed; it does with a run of many"},
        {"--bug nobody", "--bug: no bug is named \"nobody\""},
        {"--bugs-test early nobody", "--bugs-test: no bug is named \"nobody\""},
        {"seven", "unexpected argument \"seven\""},
        {"--json --hashes", "--hashes does not go with --json"},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(run(rig, cases[i].line), 2);
        assert_has(rig->err, cases[i].says);
        assert_string_equal(rig->out, "");
    }
    assert_int_equal(run(rig, "--help"), 0);
    assert_has(rig->out, "examples:\n");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(coverage_is_summed_over_seeds),
        CASE(json_says_the_same),
        CASE(hashes_come_in_order),
        CASE(time_ends_a_run),
        CASE(interrupt_ends_a_run),
        CASE(lowest_failure_is_told_and_shrunk),
        CASE(crash_is_attributed),
        CASE(leaving_is_a_crash),
        CASE(hang_is_attributed),
        CASE(chance_is_told),
        CASE(one_seed_runs_here),
        CASE(faults_are_lists_of_numbers),
        CASE(bugs_are_found_or_not),
        CASE(bug_is_planted_in_a_run),
        CASE(state_goes_on_where_it_was),
        CASE(state_of_others_is_refused),
        CASE(state_keeps_the_first_failure),
        CASE(regressions_must_be_clean),
        CASE(usage_names_what_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/bugs/planted.h"
#include "sim/run/commands.h"
#include "sim/run/crew.h"

#define NAME_WIDTH 34

int command_bugs(FILE *out)
{
    fprintf(out, "%-*s %6s  %-24s %s\n", NAME_WIDTH, "bug", "seeds", "found by", "what is wrong");
    for (int bug = BUG_NONE + 1; bug < BUG_COUNT; bug++) {
        const struct planted_bug *row = planted_bug((enum bug)bug);
        fprintf(out, "%-*s %6" PRIu32 "  %-24s %s\n", NAME_WIDTH, row->name, row->seeds,
                row->checker, row->text);
    }
    return SIM_DONE;
}

/* ---- the test -------------------------------------------------------------------------------- */

/* The bugs under test, each with its hunt. */
struct bugs_test {
    FILE *out;
    int count;
    const struct planted_bug *bugs[BUG_COUNT];
    struct hunt hunts[BUG_COUNT];
    bool told[BUG_COUNT];
    int failed;
};

/* Whether a row's "a|b" names the checker. */
static bool checker_listed(const char *list, const char *checker)
{
    size_t bytes = strlen(checker);
    while (*list) {
        size_t word = strcspn(list, "|");
        if (word == bytes && strncmp(list, checker, word) == 0)
            return true;
        list += word + (list[word] == '|');
    }
    return false;
}

static void bug_found_tell(struct bugs_test *test, int i)
{
    const struct planted_bug *bug = test->bugs[i];
    const struct hunt *hunt = &test->hunts[i];
    double seconds = (double)(hunt->ended_ns - hunt->begun_ns) / 1e9;
    bool right = checker_listed(bug->checker, hunt->failure.checker);

    fprintf(test->out, "%-6s %-*s seed %-6" PRIu64 " %-20s %6.1f s\n", right ? "ok" : "FAILED",
            NAME_WIDTH, bug->name, hunt_run(hunt, hunt->failed_index).seed, hunt->failure.checker,
            seconds);
    if (right)
        return;
    test->failed++;
    fprintf(test->out, "       should be found by %s; found was: %.*s\n", bug->checker,
            (int)strcspn(hunt->failure.finding, "\n"), hunt->failure.finding);
}

static void bug_tell(struct bugs_test *test, int i)
{
    const struct hunt *hunt = &test->hunts[i];
    test->told[i] = true;
    if (hunt->failed_index != HUNT_NONE) {
        bug_found_tell(test, i);
    } else {
        test->failed++;
        fprintf(test->out, "%-6s %-*s %s %" PRIu64 " seeds, should be found by %s\n", "FAILED",
                NAME_WIDTH, test->bugs[i]->name,
                hunt->merged_count < hunt->count ? "not ended after" : "not found in",
                hunt->merged_count, test->bugs[i]->checker);
    }
    fflush(test->out);
}

/* As soon as they are over, so that a person sees it go on. */
static bool bugs_tick(void *context)
{
    struct bugs_test *test = context;
    for (int i = 0; i < test->count; i++)
        if (!test->told[i] && hunt_over(&test->hunts[i]))
            bug_tell(test, i);
    return true;
}

static void bug_add(struct bugs_test *test, enum bug bug)
{
    const struct planted_bug *row = planted_bug(bug);
    for (int i = 0; i < test->count; i++)
        if (test->bugs[i] == row)
            return;
    test->bugs[test->count] = row;
    test->hunts[test->count] =
        (struct hunt){.first = 1, .count = row->seeds, .bug = row->name, .failed_index = HUNT_NONE};
    test->count++;
}

static void bugs_run(struct bugs_test *test, const struct sim_options *options, FILE *err)
{
    struct crew crew;
    struct error error;
    if (crew_open(&crew, (int)options->jobs, options->limit_ns, &error)) {
        test->failed++;
        command_failed(err, &error, SIM_FAILED);
        return;
    }
    enum crew_end end = crew_run(&crew, test->hunts, test->count, bugs_tick, test, &error);
    for (int i = 0; i < test->count; i++)
        if (!test->told[i])
            bug_tell(test, i);
    crew_close(&crew);
    if (end == CREW_BROKEN)
        command_failed(err, &error, SIM_FAILED);
    if (end == CREW_INTERRUPTED)
        fprintf(err, SIM_PROGRAM ": interrupted\n");
}

int command_bugs_test(const struct sim_options *options, FILE *out, FILE *err)
{
    struct bugs_test *test = calloc(1, sizeof *test);
    if (!test)
        return SIM_FAILED;
    test->out = out;
    for (int i = 0; i < options->name_count; i++)
        bug_add(test, planted_find(options->names[i]));
    for (int bug = BUG_NONE + 1; bug < BUG_COUNT && options->name_count == 0; bug++)
        bug_add(test, (enum bug)bug);
    bugs_run(test, options, err);
    fprintf(out, "%d of %d planted bugs found by their checker\n", test->count - test->failed,
            test->count);
    int status = test->failed ? SIM_FAILED : SIM_DONE;
    free(test);
    return status;
}

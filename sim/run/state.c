#include "sim/run/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TITLE      "embarcadero-sim state 1"
#define LINE_BYTES 512
#define NAME_BYTES 64

void state_build(const char *commit, char build[STATE_BUILD_BYTES])
{
    struct stat file = {0};
    if (commit && *commit) {
        snprintf(build, STATE_BUILD_BYTES, "%s", commit);
        for (char *at = build; *at; at++)
            if (*at <= ' ')
                *at = '_'; /* one word in the file */
        return;
    }
    if (stat("/proc/self/exe", &file) != 0)
        file.st_size = 0; /* then all builds without a commit are taken for one */
    snprintf(build, STATE_BUILD_BYTES, "exe-%jx-%jx.%jx", (uintmax_t)file.st_size,
             (uintmax_t)file.st_mtim.tv_sec, (uintmax_t)file.st_mtim.tv_nsec);
}

void state_fail(struct state *state, uint64_t seed, const struct run_result *result)
{
    if (state->failed_seed)
        return;
    state->failed_seed = seed;
    snprintf(state->failure, sizeof state->failure, "%s: %.300s", result->checker, result->finding);
    for (char *at = state->failure; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
}

/* ---- writing --------------------------------------------------------------------------------- */

static void state_print(FILE *to, const struct state *state)
{
    const struct totals *totals = &state->totals;
    fprintf(to, TITLE "\nbuild %s\nbug %s\n", state->build, state->bug);
    fprintf(to, "first %" PRIu64 "\nnext %" PRIu64 "\n", state->first, state->next);
    fprintf(to, "seeds %" PRIu64 "\nbatches %" PRIu64 "\n", totals->seeds, totals->batches);
    fprintf(to, "simulated_ns %" PRIu64 "\nelapsed_ns %" PRIu64 "\n", totals->simulated_ns,
            totals->elapsed_ns);
    if (state->failed_seed)
        fprintf(to, "failed %" PRIu64 " %s\n", state->failed_seed, state->failure);
    for (int i = 0; i < COVER_COUNT; i++)
        fprintf(to, "%s %" PRIu64 " %" PRIu64 "\n", coverage_name((enum coverage_counter)i),
                totals->counts[i], totals->in_seeds[i]);
    fprintf(to, "end\n");
}

int state_write(const char *path, const struct state *state, struct error *err)
{
    char *beside = NULL;
    int failed = 1;
    if (asprintf(&beside, "%s.new", path) < 0)
        return error_set(err, EMB_ERR_NO_MEMORY, "%s: no memory", path);
    FILE *to = fopen(beside, "we");
    if (to) {
        state_print(to, state);
        failed = ferror(to);
        failed |= fclose(to);
    }
    if (!failed)
        failed = rename(beside, path);
    if (failed)
        error_set(err, EMB_ERR_IO, "--state %.200s: %s", path, strerror(errno));
    free(beside);
    return failed ? EMB_ERR_IO : EMB_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The coverage counter of a name, or -1. */
static int counter_find(const char *name)
{
    for (int i = 0; i < COVER_COUNT; i++)
        if (strcmp(coverage_name((enum coverage_counter)i), name) == 0)
            return i;
    return -1;
}

static uint64_t *field_find(struct state *state, const char *name)
{
    const struct {
        const char *name;
        uint64_t *field;
    } fields[] = {
        {"first", &state->first},
        {"next", &state->next},
        {"seeds", &state->totals.seeds},
        {"batches", &state->totals.batches},
        {"simulated_ns", &state->totals.simulated_ns},
        {"elapsed_ns", &state->totals.elapsed_ns},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (strcmp(fields[i].name, name) == 0)
            return fields[i].field;
    return NULL;
}

/* What one line says; false: nothing that is known. */
static bool line_read(struct state *state, const char *line, char bug[NAME_BYTES])
{
    char name[NAME_BYTES];
    uint64_t a = 0, b = 0;
    int text = 0;
    if (sscanf(line, "build %63s", state->build) == 1 || sscanf(line, "bug %63s", bug) == 1)
        return true;
    if (sscanf(line, "failed %" SCNu64 " %n", &a, &text) == 1 && text > 0) {
        state->failed_seed = a;
        snprintf(state->failure, sizeof state->failure, "%s", line + text);
        return true;
    }
    int numbers = sscanf(line, "%63s %" SCNu64 " %" SCNu64, name, &a, &b) - 1;
    uint64_t *field = numbers == 1 ? field_find(state, name) : NULL;
    if (field)
        *field = a;
    int counter = numbers == 2 ? counter_find(name) : -1;
    if (counter >= 0) {
        state->totals.counts[counter] = a;
        state->totals.in_seeds[counter] = b;
    }
    return field || counter >= 0;
}

/* false: not as state_print writes it; *number is the line then. */
static bool lines_read(FILE *from, struct state *state, char bug[NAME_BYTES], int *number)
{
    char line[LINE_BYTES];
    for (*number = 1; fgets(line, sizeof line, from); (*number)++) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "end") == 0)
            return state->next >= state->first && state->first > 0;
        if (*number == 1 ? strcmp(line, TITLE) != 0 : !line_read(state, line, bug))
            return false;
    }
    return false;
}

static int state_match(const char *path, const struct state *wanted, const struct state *read,
                       const char *bug, struct error *err)
{
    if (strcmp(wanted->build, read->build) != 0)
        return error_set(err, EMB_ERR_MISMATCH,
                         "--state %.100s holds the counts of build %s, this is %s; name another "
                         "file, or remove this one",
                         path, read->build, wanted->build);
    if (strcmp(wanted->bug, bug) != 0)
        return error_set(err, EMB_ERR_MISMATCH,
                         "--state %.100s holds the counts with bug %s, this run is with %s", path,
                         bug, wanted->bug);
    if (wanted->first && wanted->first != read->first)
        return error_set(err, EMB_ERR_MISMATCH,
                         "--first %" PRIu64 ": --state %.100s began at seed %" PRIu64,
                         wanted->first, path, read->first);
    return EMB_OK;
}

int state_read(const char *path, struct state *state, struct error *err)
{
    struct state read = {0};
    char bug[NAME_BYTES] = "";
    int line = 0;
    FILE *from = fopen(path, "re");
    if (!from && errno == ENOENT)
        return EMB_OK;
    if (!from)
        return error_set(err, EMB_ERR_IO, "--state %.200s: %s", path, strerror(errno));
    bool good = lines_read(from, &read, bug, &line);
    fclose(from);
    /* The build first: another build may well have other lines. */
    int result = *read.build ? state_match(path, state, &read, bug, err) : EMB_OK;
    if (result)
        return result;
    if (!good)
        return error_set(err, EMB_ERR_CORRUPT,
                         "--state %.200s: line %d is not of a state file; name another file", path,
                         line);
    read.bug = state->bug;
    *state = read;
    return EMB_OK;
}

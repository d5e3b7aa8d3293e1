/* Seeds that once failed, a line each in *.seed; the format is in sim/regressions/README.md. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "sim/run/commands.h"
#include "sim/run/many.h"

#define LINE_BYTES 512
#define ACCEPTED   "accepted: seed N [faults LIST]  # what it was"

struct listed {
    struct hunt_pick *picks;
    char **what;
    size_t count;
};

static void listed_free(struct listed *listed)
{
    for (size_t i = 0; i < listed->count; i++)
        free(listed->what[i]);
    free(listed->what);
    free(listed->picks);
}

static bool listed_add(struct listed *listed, struct hunt_pick pick, char *what)
{
    size_t count = listed->count + 1;
    void *picks = realloc(listed->picks, count * sizeof *listed->picks);
    if (picks)
        listed->picks = picks;
    void *whats = realloc(listed->what, count * sizeof *listed->what);
    if (whats)
        listed->what = whats;
    if (!picks || !whats || !what) {
        free(what);
        return false;
    }
    listed->picks[listed->count] = pick;
    listed->what[listed->count] = what;
    listed->count = count;
    return true;
}

/* 1: a seed; 0: nothing in the line; -1: something else. */
static int line_read(char *line, struct hunt_pick *pick)
{
    char *rest = NULL;
    char *words[5] = {0};
    int count = 0;
    line[strcspn(line, "#\n")] = '\0';
    for (char *word = strtok_r(line, " \t\r", &rest); word && count < 5;
         word = strtok_r(NULL, " \t\r", &rest))
        words[count++] = word;
    *pick = (struct hunt_pick){.keep_faults = RUN_ALL_FAULTS};
    if (count == 0)
        return 0;
    if ((count != 2 && count != 4) || strcmp(words[0], "seed") != 0 ||
        !units_number_read(words[1], &pick->seed))
        return -1;
    if (count == 4 &&
        (strcmp(words[2], "faults") != 0 || !faults_read(words[3], &pick->keep_faults)))
        return -1;
    return 1;
}

/* "name:line: what it was" */
static char *what_text(const char *name, int number, const char *line)
{
    const char *comment = strchr(line, '#');
    char *text = NULL;
    if (comment)
        comment += 1 + strspn(comment + 1, " ");
    if (asprintf(&text, "%s:%d%s%.*s", name, number, comment ? ": " : "",
                 comment ? (int)strcspn(comment, "\n") : 0, comment ? comment : "") < 0)
        return NULL;
    return text;
}

static int lines_read(struct listed *listed, FILE *from, const char *name, struct error *err)
{
    char line[LINE_BYTES];
    struct hunt_pick pick;
    for (int number = 1; fgets(line, sizeof line, from); number++) {
        char *what = what_text(name, number, line);
        int found = line_read(line, &pick);
        if (found == 1 && !listed_add(listed, pick, what))
            return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the regressions");
        if (found != 1)
            free(what);
        if (found < 0)
            return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                             "--regressions: %.100s:%d is no seed; " ACCEPTED, name, number);
    }
    return EMB_OK;
}

static int file_read(struct listed *listed, const char *dir, const char *name, struct error *err)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the regressions");
    FILE *from = fopen(path, "re");
    int result =
        from ? lines_read(listed, from, name, err)
             : error_set(err, EMB_ERR_IO, "--regressions: %.200s: %s", path, strerror(errno));
    if (from)
        fclose(from);
    free(path);
    return result;
}

static int is_seed_file(const struct dirent *entry)
{
    return fnmatch("*.seed", entry->d_name, FNM_PERIOD) == 0;
}

static int dir_read(struct listed *listed, const char *dir, struct error *err)
{
    struct dirent **entries = NULL;
    int result = EMB_OK;
    int count = scandir(dir, &entries, is_seed_file, alphasort);
    if (count < 0)
        return error_set(err, EMB_ERR_IO, "--regressions %.200s: %s; accepted: a folder", dir,
                         strerror(errno));
    for (int i = 0; i < count; i++) {
        if (!result)
            result = file_read(listed, dir, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    return result;
}

int command_regressions(const struct sim_options *options, FILE *out, FILE *err)
{
    struct many *many = calloc(1, sizeof *many);
    struct listed listed = {0};
    struct error error;
    int status = SIM_FAILED;

    if (many && dir_read(&listed, options->regressions, &error))
        status = command_failed(err, &error, SIM_USAGE);
    else if (many) {
        *many = (struct many){.options = options, .out = out, .err = err};
        many->hunt.picks = listed.picks;
        many->hunt.count = listed.count;
        many->what = (const char *const *)listed.what;
        status = many_run(many);
    }
    listed_free(&listed);
    free(many);
    return status;
}

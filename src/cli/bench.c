/* The rack and the run of a bench, and its rounds. */
#include "cli/bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/random.h"
#include "cli/progress.h"
#include "cli/status.h"

#define SLICE_NS 20000000ULL
#define SETTLE_NS                                                                                  \
    20000000ULL /* between two sides: the scheduler forgets who has just been busy                 \
                 */
#define DAEMON_NAME "embarcaderod"

/* ---- the rack -------------------------------------------------------------------------------- */

static uint64_t member(const json_t *row, const char *name)
{
    json_int_t number = json_integer_value(json_object_get(row, name));
    return number > 0 ? (uint64_t)number : 0;
}

/* The rack may be elsewhere, where the same number is another process. */
static bool is_daemon_here(pid_t pid)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool got = fgets(name, sizeof name, file) != NULL;
    fclose(file);
    return got && strncmp(name, DAEMON_NAME, strlen(DAEMON_NAME)) == 0;
}

static void daemon_add(struct bench_rack *rack, pid_t pid)
{
    for (int i = 0; i < rack->daemon_count; i++)
        if (rack->daemons[i] == pid)
            return;
    if (rack->daemon_count < BENCH_PROCESSES_MAX)
        rack->daemons[rack->daemon_count++] = pid;
}

/* The processes as each broker tells its own; known only if every node has one here. */
static void daemons_find(struct bench_rack *rack, const json_t *tables, uint64_t given)
{
    const json_t *processes = json_object_get(tables, "process");
    size_t i, nodes = json_array_size(json_object_get(tables, "node"));
    json_t *row;
    rack->daemons_known = given != CLI_NOT_GIVEN || json_array_size(processes) >= nodes;
    if (given != CLI_NOT_GIVEN) {
        daemon_add(rack, (pid_t)given);
        return;
    }
    json_array_foreach(processes, i, row)
    {
        pid_t pid = (pid_t)member(row, "pid");
        if (is_daemon_here(pid))
            daemon_add(rack, pid);
        else
            rack->daemons_known = false;
    }
    rack->daemons_known = rack->daemons_known && rack->daemon_count > 0;
}

static int rack_look(struct bench_run *run)
{
    int result;
    json_t *tables = status_ask(run->client, EMB_BROKER_ANY, &result);
    json_t *row;
    size_t i;
    json_array_foreach(json_object_get(tables, "broker"), i, row)
    {
        run->rack.blog_bytes += member(row, "blog_bytes");
    }
    json_array_foreach(json_object_get(tables, "node"), i, row)
    {
        const char *roles = json_string_value(json_object_get(row, "roles"));
        run->rack.stores += roles && strstr(roles, "replica");
    }
    run->rack.brokers = (uint32_t)emb_client_brokers(run->client, NULL, 0);
    daemons_find(&run->rack, tables, run->common->pid);
    json_decref(tables);
    if (result == CLI_DONE && run->rack.blog_bytes == 0)
        return cli_fail("bench: the brokers' status names no blog_bytes");
    return result;
}

/* ---- the run --------------------------------------------------------------------------------- */

static bool run_start(struct bench_run *run, const struct cli *cli,
                      const struct bench_common *common)
{
    *run = (struct bench_run){
        .cli = cli, .common = common, .foreign_cpu = -1, .figures = json_array()};
    if (interrupt_start(&run->interrupt))
        return true;
    json_decref(run->figures);
    return false;
}

static int run_stop(struct bench_run *run, int result)
{
    if (interrupt_asked(&run->interrupt))
        result = cli_fail("bench: interrupted");
    interrupt_stop(&run->interrupt);
    json_decref(run->figures);
    return result;
}

int bench_begin(struct bench_run *run, const struct cli *cli, const struct bench_common *common)
{
    int result = CLI_DONE;
    if (!run_start(run, cli, common))
        return cli_fail("bench: no thread could be started");
    run->client = cli_connect(cli, &result);
    if (run->client) {
        result = rack_look(run);
        if (result != CLI_DONE)
            cli_disconnect(run->client, result);
    }
    return result == CLI_DONE ? CLI_DONE : run_stop(run, result);
}

int bench_begin_alone(struct bench_run *run, const struct cli *cli,
                      const struct bench_common *common)
{
    if (!run_start(run, cli, common))
        return cli_fail("bench: no thread could be started");
    run->rack.daemons_known = true; /* no rack takes part: whatever runs is foreign */
    return CLI_DONE;
}

int bench_topic(struct bench_run *run, const struct emb_topic_settings *settings, const char **name)
{
    struct emb_error err = {0};
    char *text = run->topics[run->topic_count];
    ASSERT(run->topic_count < BENCH_TOPICS_MAX);
    snprintf(text, sizeof run->topics[0], "bench-%d-%llx-%d", (int)getpid(),
             (unsigned long long)hash_u64(progress_now_ns()), run->topic_count);
    if (emb_topic_create(run->client, text, settings, NULL, &err) != EMB_OK)
        return cli_refused(&err);
    run->topic_count++;
    *name = text;
    return CLI_DONE;
}

int bench_end(struct bench_run *run, int result)
{
    struct emb_error err = {0};
    if (result == CLI_DONE && !interrupt_asked(&run->interrupt))
        bench_figures_print(stdout, run->figures, run->common->json);
    for (int i = 0; i < run->topic_count; i++)
        if (emb_topic_delete(run->client, run->topics[i], &err) != EMB_OK)
            result = cli_refused(&err);
    if (run->client)
        result = cli_disconnect(run->client, result);
    return run_stop(run, result);
}

void bench_helper_add(struct bench_run *run, pid_t pid)
{
    ASSERT(run->helper_count < (int)COUNT_OF(run->helpers));
    run->helpers[run->helper_count++] = pid;
}

bool bench_sleep(struct bench_run *run, uint64_t ns)
{
    uint64_t end_ns = progress_now_ns() + ns;
    for (;;) {
        uint64_t now_ns = progress_now_ns();
        if (interrupt_asked(&run->interrupt))
            return false;
        if (now_ns >= end_ns)
            return true;
        struct timespec pause = {.tv_nsec = (long)min_u64(SLICE_NS, end_ns - now_ns)};
        nanosleep(&pause, NULL);
    }
}

unsigned char *bench_payload(uint64_t bytes, uint64_t seed)
{
    struct random_state random;
    unsigned char *value = malloc(bytes);
    random_seed(&random, seed);
    for (uint64_t i = 0; value && i < bytes; i++)
        value[i] = (unsigned char)random_next(&random);
    return value;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static int side_run(struct bench_side *side, uint64_t round)
{
    double value = 0;
    int result = side->round(side->arg, round > 0, &value);
    if (result == CLI_DONE && round > 0)
        side->values[side->count++] = value;
    return result;
}

int bench_alternate(struct bench_run *run, struct bench_side *sides, int count)
{
    uint64_t rounds = run->common->rounds;
    struct progress progress;
    struct bench_cpu cpu;
    int result = CLI_DONE;

    progress_start(&progress, false, true);
    bench_cpu_begin(&cpu, run);
    for (uint64_t round = 0; round <= rounds; round++)
        for (int i = 0; i < count && result == CLI_DONE; i++) {
            if (progress.on)
                progress_show(&progress, "round %d of %d: %s", (int)round, (int)rounds,
                              sides[i].name);
            result = side_run(&sides[i], round);
            if (interrupt_asked(&run->interrupt))
                result = CLI_FAILED;
        }
    run->foreign_cpu = bench_cpu_end(&cpu);
    progress_end(&progress);
    return result;
}

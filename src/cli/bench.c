/* bench publish, consume: the rack, measured against what this machine can do. */
#include "cli/bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "cli/bench_commands.h"
#include "cli/progress.h"
#include "cli/status.h"

#define SLICE_NS 20000000ULL

/* ---- the rack -------------------------------------------------------------------------------- */

static uint64_t member(const json_t *row, const char *name)
{
    json_int_t number = json_integer_value(json_object_get(row, name));
    return number > 0 ? (uint64_t)number : 0;
}

/* A process id in any table is the daemon's. */
static pid_t pid_find(const json_t *tables)
{
    const char *name;
    json_t *rows, *row;
    size_t i;
    json_object_foreach((json_t *)tables, name, rows)
    {
        json_array_foreach(rows, i, row)
        {
            if (member(row, "pid"))
                return (pid_t)member(row, "pid");
        }
    }
    return 0;
}

static int rack_look(struct bench_run *run, pid_t daemon)
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
    run->rack.daemon = daemon ? daemon : pid_find(tables);
    json_decref(tables);
    if (result == CLI_DONE && run->rack.blog_bytes == 0)
        return cli_fail("bench: the brokers' status names no blog_bytes");
    return result;
}

int bench_begin(struct bench_run *run, const struct cli *cli, pid_t daemon,
                const struct emb_topic_settings *settings)
{
    struct emb_error err = {0};
    int result;

    *run = (struct bench_run){.client = NULL};
    if (!interrupt_start(&run->interrupt))
        return cli_fail("bench: no thread could be started");
    run->client = cli_connect(cli, &result);
    if (run->client) {
        result = rack_look(run, daemon);
        snprintf(run->topic, sizeof run->topic, "bench-%d-%llx", (int)getpid(),
                 (unsigned long long)hash_u64(progress_now_ns()));
        if (result == CLI_DONE &&
            emb_topic_create(run->client, run->topic, settings, NULL, &err) != EMB_OK)
            result = cli_refused(&err);
        if (result != CLI_DONE)
            cli_disconnect(run->client, result);
    }
    if (result != CLI_DONE)
        interrupt_stop(&run->interrupt);
    return result;
}

int bench_end(struct bench_run *run, int result)
{
    struct emb_error err = {0};
    if (emb_topic_delete(run->client, run->topic, &err) != EMB_OK)
        result = cli_refused(&err);
    result = cli_disconnect(run->client, result);
    if (interrupt_asked(&run->interrupt))
        result = cli_fail("bench: interrupted");
    interrupt_stop(&run->interrupt);
    return result;
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

/* ---- rounds ---------------------------------------------------------------------------------- */

static int side_run(struct bench_side *side, int round)
{
    double value = 0;
    int result = side->round(side->arg, round > 0, &value);
    if (result == CLI_DONE && round > 0)
        side->values[side->count++] = value;
    return result;
}

int bench_alternate(struct bench_run *run, struct bench_side *sides, int count, int rounds)
{
    struct progress progress;
    int result = CLI_DONE;
    progress_start(&progress, false, true);
    for (int round = 0; round <= rounds; round++)
        for (int i = 0; i < count && result == CLI_DONE; i++) {
            if (progress.on)
                progress_show(&progress, "round %d of %d: %s", round, rounds, sides[i].name);
            result = side_run(&sides[i], round);
            if (interrupt_asked(&run->interrupt))
                result = CLI_FAILED;
        }
    progress_end(&progress);
    return result;
}

/* ---- commands -------------------------------------------------------------------------------- */

const struct cli_command bench_commands[] = {
    {.noun = "bench",
     .verb = "publish",
     .arguments = "",
     .text = "Measures publishing, against raw loopback TCP and, at acks 2, raw disk writes",
     .more = "Makes a topic of its own and deletes it. Bytes of messages count when acknowledged.\n"
             "The limits are measured in the same run, in turn with the rounds: TCP into a region\n"
             "of the same size, and at acks 2 synced writes divided by the replicas; the ratio is\n"
             "to the lower one. latency: from the first message of a batch to its\n"
             "acknowledgement, at full load. With --json: one object.",
     .example = "embarcadero bench publish --acks 2 --limit-dir /var/lib/embarcadero --json",
     .options = bench_publish_rows,
     .option_count = BENCH_PUBLISH_ROWS,
     .value_bytes = sizeof(struct bench_publish_values),
     .run = bench_publish_run},
    {.noun = "bench",
     .verb = "consume",
     .arguments = "",
     .text = "Measures reading a backlog, against raw sendfile from a region",
     .more = "Publishes the backlog to a topic of its own, reads it again and again, and deletes\n"
             "the topic. With --json: one object.",
     .example = "embarcadero bench consume --backlog-bytes 512MiB",
     .options = bench_consume_rows,
     .option_count = BENCH_CONSUME_ROWS,
     .value_bytes = sizeof(struct bench_consume_values),
     .run = bench_consume_run},
    {0},
};

/*
 * How much hostile peers hold up a well-behaved client:
 *   hostile_bench MOB DAEMON-PID ROUNDS ACKS PORT...
 * Publishes messages at a fixed rate to a running rack and takes the time from when each was due to
 * its acknowledgement, in alternating rounds without and with all of mob.c at work. Prints the 50th
 * and 99th percentile of each round, the ratio, and the rack's resident memory. Not a test: nothing
 * is asserted of times. tools/hostile.sh runs it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "embarcadero/embarcadero.h"

#define ROUNDS_MAX  100  /* of each kind; the first is dropped */
#define LEAD_MS     7000 /* the mob is at work before a round, so that timeouts fall into it */
#define ROUND_MS    5000
#define PER_SECOND  500
#define VALUE_BYTES 1024
#define MESSAGES    (ROUND_MS / 1000 * PER_SECOND)
#define MOB_TOPIC   "mob"

struct bench {
    const char *mob;
    const char *pid;
    char **ports;
    struct emb_client *client;
    uint64_t due_ns[MESSAGES];
    uint64_t took_ns[MESSAGES]; /* written by the client's thread, read after a flush */
    uint64_t failed;
    int rounds, acks;
    double p99_ms[2][ROUNDS_MAX];
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void wait_until(uint64_t ns)
{
    struct timespec at = {.tv_sec = (time_t)(ns / 1000000000u),
                          .tv_nsec = (long)(ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL))
        continue;
}

static void die(const char *what, const struct emb_error *err)
{
    fprintf(stderr, "hostile_bench: %s: %s\n", what, err ? err->text : "failed");
    exit(1);
}

static void on_message(void *arg, uint64_t cookie, uint64_t offset, int code)
{
    struct bench *bench = arg;
    bench->took_ns[cookie] = now_ns() - bench->due_ns[cookie];
    bench->failed += code != EMB_OK;
}

static int compare(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

static double percentile_ms(struct bench *bench, unsigned per_mille)
{
    qsort(bench->took_ns, MESSAGES, sizeof *bench->took_ns, compare);
    return (double)bench->took_ns[(uint64_t)MESSAGES * per_mille / 1000] / 1e6;
}

/* ---- a round --------------------------------------------------------------------------------- */

/* Open loop: a message is due whether or not those before it were answered. */
static void publish_round(struct bench *bench, struct emb_publisher *publisher)
{
    static const char value[VALUE_BYTES];
    struct emb_error err = {0};
    uint64_t start_ns = now_ns();
    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct emb_message message = {.value = value, .value_bytes = VALUE_BYTES};
        bench->due_ns[i] = start_ns + i * (1000000000u / PER_SECOND);
        wait_until(bench->due_ns[i]);
        if (emb_publish(publisher, &message, i, 10000, &err))
            die("publishing", &err);
    }
    if (emb_publisher_flush(publisher, 10000, &err))
        die("flushing", &err);
}

static unsigned long resident_kib(const char *pid)
{
    char path[64], line[128];
    unsigned long kib = 0;
    snprintf(path, sizeof path, "/proc/%s/status", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "RssAnon: %lu kB", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib;
}

struct mob {
    pid_t pid;
    int to, from;
};

static struct mob mob_start(const struct bench *bench)
{
    int to[2], from[2];
    char text[16] = "";
    char *arguments[40] = {(char *)bench->mob, MOB_TOPIC};
    for (int i = 0; i < 32 && bench->ports[i]; i++)
        arguments[2 + i] = bench->ports[i];
    if (pipe(to) || pipe(from))
        die("pipe", NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        close(to[1]);
        execv(bench->mob, arguments);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    if (pid < 0 || read(from[0], text, sizeof text - 1) <= 0)
        die("starting the mob", NULL);
    return (struct mob){pid, to[1], from[0]};
}

static void mob_end(const struct mob *mob)
{
    close(mob->to);
    waitpid(mob->pid, NULL, 0);
    close(mob->from);
}

static void round_run(struct bench *bench, int round, bool hostile)
{
    struct emb_publisher_options options;
    struct emb_publisher *publisher;
    struct emb_error err = {0};
    struct mob mob = {0};
    emb_publisher_options_init(&options);
    options.acks = bench->acks;
    options.on_message = on_message;
    options.arg = bench;
    if (hostile) {
        mob = mob_start(bench);
        wait_until(now_ns() + LEAD_MS * 1000000ull);
    }
    if (emb_publisher_open(bench->client, "measured", &options, &publisher, &err))
        die("opening", &err);
    publish_round(bench, publisher);
    unsigned long kib = resident_kib(bench->pid);
    if (emb_publisher_close(publisher, 10000, &err))
        die("closing", &err);
    if (hostile)
        mob_end(&mob);
    bench->p99_ms[hostile][round] = percentile_ms(bench, 990);
    printf("%-8s round %d: p50 %7.3f ms, p99 %7.3f ms, private memory of the rack %6lu MiB%s\n",
           hostile ? "hostile" : "quiet", round, percentile_ms(bench, 500),
           bench->p99_ms[hostile][round], kib / 1024, round ? "" : " (dropped)");
    fflush(stdout);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int compare_double(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static double median(double *values, int rounds)
{
    qsort(values + 1, (size_t)rounds - 1, sizeof *values, compare_double);
    return values[1 + (rounds - 1) / 2];
}

static void topics_make(struct bench *bench)
{
    struct emb_topic_settings settings;
    struct emb_error err = {0};
    emb_topic_settings_init(&settings);
    settings.replicas = bench->acks == EMB_ACKS_DURABLE ? 2 : 0;
    if (emb_topic_create(bench->client, "measured", &settings, NULL, &err))
        die("creating a topic", &err);
    settings.order = EMB_ORDER_TOTAL;
    if (emb_topic_create(bench->client, MOB_TOPIC, &settings, NULL, &err))
        die("creating a topic", &err);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct emb_error err = {0};
    if (argc < 6 || atoi(argv[3]) < 2 || atoi(argv[3]) > ROUNDS_MAX || !strchr("12", argv[4][0])) {
        fprintf(stderr,
                "usage: hostile_bench MOB DAEMON-PID ROUNDS ACKS PORT...; ROUNDS 2 to %d, "
                "ACKS 1 or 2\n",
                ROUNDS_MAX);
        return 2;
    }
    bench.mob = argv[1];
    bench.pid = argv[2];
    bench.rounds = atoi(argv[3]);
    bench.acks = atoi(argv[4]);
    bench.ports = argv + 5;
    if (emb_client_open(NULL, &bench.client, &err))
        die("connecting", &err);
    topics_make(&bench);
    for (int round = 0; round < bench.rounds; round++)
        for (int hostile = 0; hostile < 2; hostile++)
            round_run(&bench, round, hostile);
    double quiet = median(bench.p99_ms[0], bench.rounds);
    double hostile = median(bench.p99_ms[1], bench.rounds);
    printf("ack p99, median of %d rounds of %d s at %d messages/s of %d bytes, acks %d: "
           "quiet %.3f ms (%.3f to %.3f), hostile %.3f ms (%.3f to %.3f), ratio %.2f; "
           "%llu messages failed\n",
           bench.rounds - 1, ROUND_MS / 1000, PER_SECOND, VALUE_BYTES, bench.acks, quiet,
           bench.p99_ms[0][1], bench.p99_ms[0][bench.rounds - 1], hostile, bench.p99_ms[1][1],
           bench.p99_ms[1][bench.rounds - 1], hostile / quiet, (unsigned long long)bench.failed);
    emb_client_close(bench.client, NULL);
    return bench.failed != 0;
}

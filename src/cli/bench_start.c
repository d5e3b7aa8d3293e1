/*
 * bench start: from starting a rack's one process to its first durable acknowledgement. The command
 * behind "--" is run once a round; that it is ready is told by the file that it writes its ports
 * to, as embarcaderod does with --ports-file. It is ended by SIGTERM and must end well, so that the
 * next round begins as this one did.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "cli/bench_commands.h"
#include "cli/print.h"
#include "cli/progress.h"

#define PAUSE_NS   1000000
#define WAIT_NS    60000000000ULL
#define ACK_MS     60000
#define URL_BYTES  1024
#define PORTS_MOST 32

extern char **environ;

#define FIELD(name) .field = offsetof(struct bench_start_values, name)

const struct cli_option bench_start_rows[BENCH_START_ROWS] = {
    {.name = "ports-file",
     .type = CLI_TEXT,
     FIELD(ports_file),
     .argument = "FILE",
     .text = "that the command writes its ports to when it is ready; needed"},
    {.name = "rounds",
     .type = CLI_NUMBER,
     FIELD(common.rounds),
     .value = "5",
     .argument = "N",
     .min = BENCH_ROUNDS_MIN,
     .max = BENCH_ROUNDS_MAX,
     .text = "that count, after one that is dropped"},
    {.name = "json", .type = CLI_FLAG, FIELD(common.json), .text = "print one JSON object"},
};

struct starting {
    const struct bench_start_values *values;
    struct bench_run run;
    char **words; /* the command, as execvp takes it */
    uint32_t brokers;
};

/* ---- the process ----------------------------------------------------------------------------- */

/* 0 or errno. What it says goes nowhere, what it complains of to stderr. */
static int spawn(struct starting *s, pid_t *pid)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &s->run.interrupt.before);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(pid, s->words[0], &actions, &attributes, s->words, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

static int ready_wait(struct starting *s, pid_t pid)
{
    uint64_t end_ns = progress_now_ns() + WAIT_NS;
    while (access(s->values->ports_file, R_OK) != 0) {
        if (has_ended(pid))
            return cli_fail("bench start: %s ended before it wrote %s", s->words[0],
                            s->values->ports_file);
        if (interrupt_asked(&s->run.interrupt))
            return CLI_FAILED; /* bench_end says why */
        if (progress_now_ns() > end_ns)
            return cli_fail("bench start: %s was not written in %d s", s->values->ports_file,
                            (int)(WAIT_NS / 1000000000));
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    return CLI_DONE;
}

/* By SIGTERM; SIGKILL when it takes too long or the run is interrupted. */
static int stop(struct starting *s, pid_t pid, int result)
{
    uint64_t end_ns = progress_now_ns() + WAIT_NS;
    int status = 0;
    kill(pid, SIGTERM);
    while (!has_ended(pid)) {
        if (progress_now_ns() > end_ns)
            kill(pid, SIGKILL);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    waitpid(pid, &status, 0);
    if (result == CLI_DONE && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        return cli_fail("bench start: %s did not end well after SIGTERM", s->words[0]);
    return result;
}

/* ---- the first message ----------------------------------------------------------------------- */

static int url_read(struct starting *s, char url[URL_BYTES])
{
    FILE *file = fopen(s->values->ports_file, "re");
    unsigned port;
    size_t used = (size_t)snprintf(url, URL_BYTES, "tcp://");
    s->brokers = 0;
    while (file && s->brokers < PORTS_MOST && fscanf(file, "%u", &port) == 1)
        used += (size_t)snprintf(url + used, URL_BYTES - used, "%s127.0.0.1:%u",
                                 s->brokers++ ? "," : "", port);
    if (file)
        fclose(file);
    return s->brokers ? CLI_DONE : cli_fail("bench start: no port in %s", s->values->ports_file);
}

static int message_send(struct emb_client *client, const char *topic)
{
    const struct emb_message message = {.value = "first", .value_bytes = 5};
    struct emb_publisher *publisher;
    struct emb_error err = {0};
    if (emb_topic_create(client, topic, NULL, NULL, &err) != EMB_OK ||
        emb_publisher_open(client, topic, NULL, &publisher, &err) != EMB_OK)
        return cli_refused(&err);
    int rc = emb_publish_wait(publisher, &message, ACK_MS, NULL, &err);
    int result = rc == EMB_OK ? CLI_DONE : cli_refused(&err);
    emb_publisher_close(publisher, 0, NULL);
    return result;
}

/* A topic of the library's defaults: two replicas, and an acknowledgement that is durable. */
static int first_ack(struct starting *s, uint64_t *acked_ns)
{
    char url[URL_BYTES];
    struct cli cli = {.brokers = url};
    int result = url_read(s, url);
    struct emb_client *client = result == CLI_DONE ? cli_connect(&cli, &result) : NULL;
    if (!client)
        return result;
    result = message_send(client, "bench-start");
    *acked_ns = progress_now_ns();
    return cli_disconnect(client, result);
}

static int start_round(void *arg, bool keep, double *ns)
{
    struct starting *s = arg;
    uint64_t begin_ns = progress_now_ns(), acked_ns = begin_ns;
    pid_t pid;
    (void)keep;
    if (access(s->values->ports_file, F_OK) == 0)
        return cli_fail("bench start: --ports-file %s is there already; name one that is not",
                        s->values->ports_file);
    int failed = spawn(s, &pid);
    if (failed)
        return cli_fail("bench start: %s: %s", s->words[0], strerror(failed));
    int result = ready_wait(s, pid);
    if (result == CLI_DONE)
        result = first_ack(s, &acked_ns);
    *ns = (double)(acked_ns - begin_ns);
    return stop(s, pid, result);
}

/* ---- the whole run --------------------------------------------------------------------------- */

static json_t *settings_value(const struct starting *s, const struct cli *cli)
{
    json_t *settings = json_object(), *command = json_array();
    for (int i = 0; i < cli->argument_count; i++)
        json_array_append_new(command, print_text(cli->arguments[i]));
    print_set(settings, "command", command);
    print_set(settings, "brokers", print_number(s->brokers));
    print_set(settings, "acks", json_integer(EMB_ACKS_DURABLE));
    return settings;
}

static int measure(struct starting *s, const struct cli *cli)
{
    struct bench_side side = {.name = "start", .round = start_round, .arg = s};
    int result = bench_alternate(&s->run, &side, 1);
    if (result == CLI_DONE)
        bench_report(&s->run, (struct bench_figure){.measure = "start to first ack",
                                                    .unit = BENCH_NS,
                                                    .own = &side,
                                                    .settings = settings_value(s, cli)});
    return result;
}

int bench_start_run(struct cli *cli, const void *values)
{
    struct starting s = {.values = values};
    if (!s.values->ports_file)
        return cli_usage("bench start: --ports-file is missing; accepted: FILE");
    s.words = calloc((size_t)cli->argument_count + 1, sizeof *s.words);
    if (!s.words)
        return cli_fail("bench: out of memory");
    for (int i = 0; i < cli->argument_count; i++)
        s.words[i] = (char *)cli->arguments[i];
    int result = bench_begin_alone(&s.run, cli, &s.values->common);
    if (result == CLI_DONE)
        result = bench_end(&s.run, measure(&s, cli));
    free(s.words);
    return result;
}

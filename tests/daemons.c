#include "tests/daemons.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "tests/rig.h"

#define PATH_BYTES (RIG_PATH + 32)
#define ARGS_MOST  80
#define ARG_BYTES  96

struct arguments {
    char text[ARGS_MOST][ARG_BYTES + RIG_PATH];
    char *list[ARGS_MOST + 1];
    int count;
};

static void add(struct arguments *to, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(struct arguments *to, const char *name, const char *format, ...)
{
    va_list values;
    char *text = to->text[to->count];
    assert_true(to->count < ARGS_MOST);
    int used = snprintf(text, sizeof to->text[0], "--%s=", name);
    va_start(values, format);
    vsnprintf(text + used, sizeof to->text[0] - (size_t)used, format, values);
    va_end(values);
    to->list[to->count++] = text;
}

static void path_of(const struct daemons *d, uint32_t node, const char *what, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s%u", d->directory, what, node);
}

/* ---- the command line ------------------------------------------------------------------------ */

static void add_region(struct arguments *to, const struct rack_options *o)
{
    static const char *const coherences[] = {"auto", "hardware", "software"};
    static const char *const writebacks[] = {"auto", "movdir64b", "clwb", "clflushopt"};
    const struct geometry *g = &o->geometry;
    add(to, "region", "%s", o->region_url);
    add(to, "region-size", "%llu", (unsigned long long)g->region_bytes);
    add(to, "coherence", "%s", coherences[o->coherence]);
    add(to, "mem.writeback", "%s", writebacks[o->writeback]);
    add(to, "segment-size", "%u", g->segment_bytes);
    add(to, "lanes", "%u", g->lanes);
    add(to, "lane-slots", "%u", g->lane_slots);
    add(to, "goi-segments", "%u", g->goi_segments);
    add(to, "goi-segment-entries", "%u", g->goi_segment_entries);
    add(to, "topics", "%u", g->topics);
    add(to, "sessions", "%u", g->sessions);
}

static void add_node(struct arguments *to, const struct daemons *d, uint32_t node)
{
    const struct rack_options *o = d->options;
    char path[PATH_BYTES];
    add(to, "node-id", "%u", node);
    add(to, "roles", "broker%s%s", o->replicas ? ",replica" : "", node == 0 ? ",sequencer" : "");
    add(to, "nodes", "%u", o->nodes);
    add(to, "replicas", "%u", o->replicas);
    add(to, "host", "%s", o->host);
    add(to, "port", "0");
    add(to, "threads", "%s", o->dedicated ? "dedicated" : "shared");
    path_of(d, node, "data", path);
    add(to, "data", "%s", path);
    path_of(d, node, "port", path);
    add(to, "ports-file", "%s", path);
}

static void add_order(struct arguments *to, const struct rack_options *o)
{
    add(to, "gap-fence-timeout", "%lluns", (unsigned long long)o->fence_timeout_ns);
    if (o->skip_timeout_ns)
        add(to, "gap-skip-timeout", "%lluns", (unsigned long long)o->skip_timeout_ns);
}

/* Those that the test sets; the others have the same defaults in both forms. */
static void add_limits(struct arguments *to, const struct rack_options *o)
{
    const struct broker_limits *l = &o->limits;
    const struct {
        const char *name, *unit;
        uint64_t value;
    } rows[] = {
        {"max-batch", "", o->max_batch_bytes},
        {"max-message", "", o->max_message_bytes},
        {"max-connections", "", l->max_connections},
        {"max-connections-per-client", "", l->max_connections_per_client},
        {"client-memory", "", l->client_memory_bytes},
        {"idle-timeout", "ms", l->idle_timeout_ms},
        {"frame-timeout", "ms", l->frame_timeout_ms},
        {"request-wait", "ms", l->request_wait_ms},
        {"deliver-stall", "ms", l->deliver_stall_ms},
        {"backpressure-high", "", l->high_percent},
        {"backpressure-low", "", l->low_percent},
        /* it must stay below the fence timeout, which tests shorten */
        {"backpressure-time", "ms",
         l->backpressure_ms ? l->backpressure_ms : min_u64(10000, o->fence_timeout_ns / 2000000)},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].value)
            add(to, rows[i].name, "%llu%s", (unsigned long long)rows[i].value, rows[i].unit);
}

/* ---- processes ------------------------------------------------------------------------------- */

static void run(struct daemons *d, uint32_t node, const char *program)
{
    struct arguments *arguments = calloc(1, sizeof *arguments);
    char log[PATH_BYTES];
    assert_non_null(arguments);
    arguments->list[arguments->count++] = (char *)program;
    add_region(arguments, d->options);
    add_node(arguments, d, node);
    add_order(arguments, d->options);
    add_limits(arguments, d->options);
    path_of(d, node, "log", log);
    d->pids[node] = fork();
    assert_true(d->pids[node] >= 0);
    if (d->pids[node] == 0) {
        int to = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (to >= 0 && dup2(to, STDOUT_FILENO) >= 0 && dup2(to, STDERR_FILENO) >= 0)
            execv(program, arguments->list);
        _exit(127);
    }
    free(arguments);
}

static void fail_with_log(const struct daemons *d, uint32_t node, const char *what)
{
    char path[PATH_BYTES], text[1024] = "";
    path_of(d, node, "log", path);
    FILE *file = fopen(path, "r");
    if (file && fread(text, 1, sizeof text - 1, file) == 0)
        text[0] = '\0';
    if (file)
        fclose(file);
    fail_msg("daemon %u %s; it said:\n%s", node, what, text);
}

static void assert_runs(struct daemons *d, uint32_t node)
{
    if (waitpid(d->pids[node], NULL, WNOHANG) == 0)
        return;
    d->pids[node] = 0;
    fail_with_log(d, node, "has ended");
}

static bool has_ports(void *arg)
{
    struct daemons *d = arg;
    for (uint32_t node = 0; node < d->options->nodes; node++) {
        char path[PATH_BYTES];
        assert_runs(d, node);
        path_of(d, node, "port", path);
        FILE *file = fopen(path, "r");
        unsigned port = 0;
        bool there = file && fscanf(file, "%u", &port) == 1;
        if (file)
            fclose(file);
        if (!there)
            return false;
        d->ports[node] = (uint16_t)port;
    }
    return true;
}

void daemons_start(struct daemons *d, const struct rack_options *options, const char *directory)
{
    const char *program = getenv("EMB_TEST_DAEMON");
    *d = (struct daemons){.options = options, .directory = directory};
    if (!program)
        fail_msg("EMB_TEST_DAEMON does not name the daemon");
    for (uint32_t i = 0; i < options->nodes; i++)
        run(d, (i + 2) % options->nodes, program); /* the others wait for the sequencer's region */
    rig_wait_until(has_ports, d, "every daemon listened");
}

/* ---- how they are ---------------------------------------------------------------------------- */

static void assert_said_nothing_bad(struct daemons *d, uint32_t node)
{
    char path[PATH_BYTES], line[1024];
    path_of(d, node, "log", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (strstr(line, "Z error ") || strstr(line, "ERROR: ")) /* its own, a sanitizer's */
            fail_with_log(d, node, "complains");
    fclose(file);
}

void daemons_assert_well(struct daemons *d)
{
    for (uint32_t node = 0; node < d->options->nodes; node++) {
        assert_runs(d, node);
        assert_said_nothing_bad(d, node);
    }
}

void daemons_stop(struct daemons *d)
{
    for (uint32_t node = 0; node < d->options->nodes; node++)
        if (d->pids[node])
            kill(d->pids[node], SIGTERM);
    for (uint32_t node = 0; node < d->options->nodes; node++) {
        int status = 0;
        if (!d->pids[node])
            continue;
        assert_int_equal(waitpid(d->pids[node], &status, 0), d->pids[node]);
        d->pids[node] = 0;
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            fail_with_log(d, node, "did not stop cleanly");
        assert_said_nothing_bad(d, node);
    }
    struct error err;
    if (env_map_remove(d->options->env, d->options->region_url, &err))
        fail_msg("%s", err.text);
}

void daemons_kill(struct daemons *d)
{
    bool any = false;
    for (uint32_t node = 0; node < RACK_NODES_MAX; node++) {
        if (!d->pids[node])
            continue;
        any = true;
        kill(d->pids[node], SIGKILL);
        waitpid(d->pids[node], NULL, 0);
        d->pids[node] = 0;
    }
    if (any)
        env_map_remove(d->options->env, d->options->region_url, NULL);
}

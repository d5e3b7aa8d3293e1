/*
 * bench limits: what this machine does without a log, so that a ratio can be told from a slow
 * machine. No rack takes part. The same rounds stand behind the limits of the other benches.
 */
#include <stdlib.h>

#include "base/bits.h"
#include "cli/bench_commands.h"
#include "cli/bench_limits.h"
#include "cli/print.h"

#define MIB (1ULL << 20)

#define FIELD(name) .field = offsetof(struct bench_limits_values, name)

const struct cli_option bench_limits_rows[BENCH_LIMITS_ROWS] = {
    {.name = "region-size",
     .type = CLI_SIZE,
     FIELD(region_bytes),
     .value = "768MiB",
     .argument = "SIZE",
     .min = 64 << 20,
     .text = "memory that TCP receives into and sends from: as a rack's payload memory"},
    {.name = "publishers",
     .type = CLI_NUMBER,
     FIELD(publishers),
     .value = "2",
     .argument = "N",
     .min = 1,
     .max = 8,
     .text = "threads that send"},
    {.name = "streams",
     .type = CLI_NUMBER,
     FIELD(streams),
     .value = "4",
     .argument = "N",
     .min = 1,
     .max = 32,
     .text = "of each of them: as a rack has brokers"},
    {.name = "stores",
     .type = CLI_NUMBER,
     FIELD(stores),
     .value = "4",
     .argument = "N",
     .min = 1,
     .max = 32,
     .text = "files that are written at once"},
    {.name = "message-bytes",
     .type = CLI_SIZE,
     FIELD(message_bytes),
     .value = "1KiB",
     .argument = "SIZE",
     .min = 1,
     .max = 1 << 20,
     .text = "request of a TCP round trip"},
    {.name = "limit-dir",
     .type = CLI_TEXT,
     FIELD(limit_dir),
     .value = ".",
     .argument = "DIR",
     .text = "where raw writes are measured: the stores' disk"},
    BENCH_COMMON_ROWS(struct bench_limits_values, "500ms"),
};

#define SIDES_MAX 8

struct limits {
    const struct bench_limits_values *values;
    struct bench_run run;
    struct limit_tcp receive, sendfile;
    struct limit_memory memory;
    struct limit_trip trip;
    struct limit_disk disk;
    struct limit_sync sync;
    struct bench_side sides[SIDES_MAX];
    struct {
        const char *unit;
        const struct bench_histogram *latency;
        json_t *settings; /* NULL: told or not yet set */
    } told[SIDES_MAX];
    int count;
};

/* ---- which there are ------------------------------------------------------------------------- */

struct kind {
    const char *name;
    const char *unit;
    int (*round)(void *arg, bool keep, double *value);
};

static void limit_add(struct limits *l, const struct kind *kind, void *arg,
                      const struct bench_histogram *latency, json_t *settings)
{
    l->sides[l->count] = (struct bench_side){.name = kind->name, .round = kind->round, .arg = arg};
    l->told[l->count].unit = kind->unit;
    l->told[l->count].latency = latency;
    l->told[l->count].settings = settings;
    l->count++;
}

static json_t *streams_value(const struct limits *l, const struct limit_tcp *tcp)
{
    json_t *s = json_object();
    print_set(s, "streams", json_integer(tcp->threads * tcp->streams));
    print_set(s, "region_bytes", print_number(l->values->region_bytes));
    return s;
}

static json_t *disk_value(const struct limits *l, uint64_t files)
{
    json_t *s = json_object();
    print_set(s, "files", print_number(files));
    print_set(s, "limit_dir", print_text(l->values->limit_dir));
    return s;
}

static json_t *one_value(const char *name, uint64_t number)
{
    json_t *s = json_object();
    print_set(s, name, print_number(number));
    return s;
}

static void limits_add(struct limits *l)
{
    const struct bench_limits_values *v = l->values;
    const struct kind tcp = {"limit tcp", BENCH_BYTES_PER_S, limit_tcp_round};
    const struct kind sendfile = {"limit sendfile", BENCH_BYTES_PER_S, limit_tcp_round};
    const struct kind copy = {"limit memcpy", BENCH_BYTES_PER_S, limit_copy_round};
    const struct kind entry = {"limit 64+64 bytes", BENCH_BATCHES_PER_S, limit_entry_round};
    const struct kind line = {"limit cache line", BENCH_NS, limit_line_round};
    const struct kind trip = {"limit TCP round trip", BENCH_NS, limit_trip_round};
    const struct kind disk = {"limit disk", BENCH_BYTES_PER_S, limit_disk_round};
    const struct kind sync = {"limit synced write", BENCH_NS, limit_sync_round};

    limit_add(l, &tcp, &l->receive, NULL, streams_value(l, &l->receive));
    limit_add(l, &sendfile, &l->sendfile, NULL, streams_value(l, &l->sendfile));
    limit_add(l, &copy, &l->memory, NULL, one_value("region_bytes", v->region_bytes));
    limit_add(l, &entry, &l->memory, NULL, json_object());
    if (limit_line_possible())
        limit_add(l, &line, &l->memory, &l->memory.latency, json_object());
    else
        cli_note("bench limits: skipped: a cache line between CPUs needs two of them");
    limit_add(l, &trip, &l->trip, &l->trip.latency, one_value("message_bytes", v->message_bytes));
    limit_add(l, &disk, &l->disk, NULL, disk_value(l, v->stores));
    limit_add(l, &sync, &l->sync, &l->sync.latency, disk_value(l, 1));
}

/* A limit has none itself: `limit` and `ratio` are null. */
static void report(struct limits *l)
{
    for (int i = 0; i < l->count; i++)
        bench_report(&l->run, (struct bench_figure){.measure = l->sides[i].name,
                                                    .unit = l->told[i].unit,
                                                    .own = &l->sides[i],
                                                    .latency = l->told[i].latency,
                                                    .settings = json_incref(l->told[i].settings)});
}

/* ---- the whole run --------------------------------------------------------------------------- */

static int helpers_start(struct limits *l)
{
    const struct bench_limits_values *v = l->values;
    l->receive.threads = (uint32_t)v->publishers;
    l->receive.streams = (uint32_t)v->streams;
    l->sendfile.threads = 1;
    l->sendfile.streams = 1;
    int result = limit_tcp_start(&l->receive, &l->run, v->region_bytes);
    return result == CLI_DONE ? limit_tcp_start(&l->sendfile, &l->run, v->region_bytes) : result;
}

static void limits_fill(struct limits *l)
{
    const struct bench_limits_values *v = l->values;
    struct bench_run *run = &l->run;
    l->memory = (struct limit_memory){
        .run = run, .region_bytes = v->region_bytes, .round_ns = v->common.round_ns};
    l->trip = (struct limit_trip){
        .run = run, .message_bytes = v->message_bytes, .round_ns = v->common.round_ns};
    l->disk = (struct limit_disk){.run = run,
                                  .dir = v->limit_dir,
                                  .files = (uint32_t)v->stores,
                                  .replicas = 1,
                                  .round_ns = v->common.round_ns};
    l->sync = (struct limit_sync){
        .run = run, .dir = v->limit_dir, .round_ns = v->common.round_ns, .fd = -1};
}

static int measure(struct limits *l)
{
    limits_fill(l);
    int result = helpers_start(l);
    if (result == CLI_DONE)
        result = limit_sync_open(&l->sync);
    if (result == CLI_DONE)
        result = limit_memory_open(&l->memory);
    if (result == CLI_DONE) {
        limits_add(l);
        result = bench_alternate(&l->run, l->sides, l->count);
    }
    if (result == CLI_DONE)
        report(l);
    for (int i = 0; i < l->count; i++)
        json_decref(l->told[i].settings);
    limit_memory_close(&l->memory);
    limit_sync_close(&l->sync);
    return result;
}

int bench_limits_run(struct cli *cli, const void *values)
{
    struct limits *l = calloc(1, sizeof *l);
    if (!l)
        return cli_fail("bench: out of memory");
    l->values = values;
    l->sendfile.control = -1;
    int result = limit_tcp_fork(&l->receive, LIMIT_RECEIVE);
    if (result == CLI_DONE)
        result = limit_tcp_fork(&l->sendfile, LIMIT_SENDFILE);
    if (result == CLI_DONE)
        result = bench_begin_alone(&l->run, cli, &l->values->common);
    if (result == CLI_DONE)
        result = bench_end(&l->run, measure(l));
    limit_tcp_end(&l->receive);
    limit_tcp_end(&l->sendfile);
    free(l);
    return result;
}

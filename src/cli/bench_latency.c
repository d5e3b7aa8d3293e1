/*
 * bench latency: publish to acknowledgement. First the peak, by rounds at full load. Then rounds of
 * every load at every ack level and of the limits take turns.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "cli/bench_commands.h"
#include "cli/bench_limits.h"
#include "cli/bench_lists.h"
#include "cli/bench_probe.h"
#include "cli/print.h"
#include "cli/words.h"

#define SECOND_NS 1000000000ULL
#define ACKS_MAX  2
#define LOADS_MAX BENCH_LIST_MAX
#define SIDES_MAX (ACKS_MAX * LOADS_MAX + 2)

static const char *const load_words[] = {"closed", NULL};

#define FIELD(name) .field = offsetof(struct bench_latency_values, name)

const struct cli_option bench_latency_rows[BENCH_LATENCY_ROWS] = {
    {.name = "acks",
     .type = CLI_TEXT,
     FIELD(acks),
     .value = "1,2",
     .argument = "LIST",
     .text = "what is waited for: 1 ordered, 2 durable"},
    {.name = "load",
     .type = CLI_TEXT,
     FIELD(load),
     .value = "closed,10,50,80",
     .argument = "LIST",
     .text = "closed: one message at a time; a number: open, so many percent of the peak"},
    {.name = "order",
     .type = CLI_CHOICE,
     FIELD(order),
     .value = "client",
     .words = cli_order_words,
     .rules = CLI_BY_NUMBER,
     .text = "of the topics, also as 0 to 5"},
    {.name = "replicas",
     .type = CLI_NUMBER,
     FIELD(replicas),
     .argument = "N",
     .max = 8,
     .text = "of the topics; default: 2 at acks 2, else 0"},
    {.name = "message-bytes",
     .type = CLI_SIZE,
     FIELD(message_bytes),
     .value = "1KiB",
     .argument = "SIZE",
     .min = 1,
     .max = 1 << 20,
     .text = "value of each message"},
    {.name = "batch-bytes",
     .type = CLI_SIZE,
     FIELD(batch_bytes),
     .value = "1MiB",
     .argument = "SIZE",
     .min = 4096,
     .max = (16u << 20) - 1,
     .text = "largest batch"},
    {.name = "linger",
     .type = CLI_DURATION,
     FIELD(linger_ns),
     .value = "1ms",
     .argument = "D",
     .max = SECOND_NS,
     .text = "the longest that a message waits for others while some are under way"},
    {.name = "limit-dir",
     .type = CLI_TEXT,
     FIELD(limit_dir),
     .value = ".",
     .argument = "DIR",
     .text = "where a raw synced write is measured at acks 2: the stores' disk"},
    BENCH_RACK_ROWS(struct bench_latency_values, "1s"),
};

struct measuring {
    const struct bench_latency_values *values;
    struct bench_run run;
    struct bench_list acks, loads;
    struct probe probes[ACKS_MAX];
    struct probe_load load[ACKS_MAX * LOADS_MAX];
    struct bench_side sides[SIDES_MAX];
    int probe_count, load_count, side_count;
    struct limit_trip trip;
    struct limit_sync sync;
    struct bench_side *trip_side, *sync_side; /* NULL: not needed */
};

/* ---- measuring ------------------------------------------------------------------------------- */

static int probe_add(struct measuring *m, int acks)
{
    const struct bench_latency_values *v = m->values;
    struct probe *probe = &m->probes[m->probe_count++];
    uint32_t replicas = acks == EMB_ACKS_DURABLE ? 2 : 0;
    if (v->replicas != CLI_NOT_GIVEN)
        replicas = (uint32_t)v->replicas;
    *probe = (struct probe){
        .run = &m->run,
        .acks = acks,
        .order = v->order,
        .replicas = replicas,
        .message_bytes = v->message_bytes,
        .batch_bytes = v->batch_bytes,
        .linger_us = (uint32_t)(v->linger_ns / 1000),
    };
    return probe_open(probe);
}

/* What it waits for is a disk. */
static bool is_durable(const struct probe *probe)
{
    return probe->acks == EMB_ACKS_DURABLE && probe->replicas > 0;
}

static bool has_probe(const struct measuring *m, bool durable)
{
    for (int i = 0; i < m->probe_count; i++)
        if (is_durable(&m->probes[i]) == durable)
            return true;
    return false;
}

static int peaks_measure(struct measuring *m)
{
    struct bench_side sides[ACKS_MAX];
    for (int i = 0; i < m->probe_count; i++)
        sides[i] = (struct bench_side){
            .name = "peak", .round = bench_load_round, .arg = &m->probes[i].peak_load};
    int result = bench_alternate(&m->run, sides, m->probe_count);
    for (int i = 0; i < m->probe_count; i++)
        m->probes[i].peak = bench_median(sides[i].values, sides[i].count);
    return result;
}

static struct bench_side *side_add(struct measuring *m, const char *name,
                                   int (*round)(void *arg, bool keep, double *value), void *arg)
{
    struct bench_side *side = &m->sides[m->side_count++];
    *side = (struct bench_side){.name = name, .round = round, .arg = arg};
    return side;
}

static void loads_add(struct measuring *m, struct probe *probe)
{
    for (int i = 0; i < m->loads.count; i++) {
        struct probe_load *load = &m->load[m->load_count++];
        *load = (struct probe_load){.probe = probe, .percent = m->loads.items[i], .sent_share = 1};
        load->side =
            side_add(m, "latency",
                     load->percent == PROBE_CLOSED ? probe_closed_round : probe_open_round, load);
    }
}

/* What writes comes first and the synced write last: a disk that has just been written to at full
   speed answers later, which neither the closed load nor its limit shall pay for. */
static void sides_make(struct measuring *m)
{
    for (int i = 0; i < m->probe_count; i++)
        if (m->probes[i].replicas > 0)
            loads_add(m, &m->probes[i]);
    for (int i = 0; i < m->probe_count; i++)
        if (m->probes[i].replicas == 0)
            loads_add(m, &m->probes[i]);
    if (has_probe(m, false))
        m->trip_side = side_add(m, "TCP round trip", limit_trip_round, &m->trip);
    if (has_probe(m, true))
        m->sync_side = side_add(m, "synced write", limit_sync_round, &m->sync);
}

static int limits_open(struct measuring *m)
{
    const struct bench_latency_values *v = m->values;
    m->trip = (struct limit_trip){
        .run = &m->run, .message_bytes = v->message_bytes, .round_ns = v->common.round_ns};
    m->sync = (struct limit_sync){
        .run = &m->run, .dir = v->limit_dir, .round_ns = v->common.round_ns, .fd = -1};
    return has_probe(m, true) ? limit_sync_open(&m->sync) : CLI_DONE;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static void settings_open(json_t *s, const struct probe_load *load)
{
    print_set(s, "peak_bytes_per_s", json_real(load->probe->peak));
    print_set(s, "bytes_per_s", json_real(load->probe->peak * (double)load->percent / 100));
    print_set(s, "sent_share", json_real(load->sent_share));
    print_set(s, "late_p50_ns", print_number(bench_histogram_at(&load->late, 500)));
    print_set(s, "late_p99_ns", print_number(bench_histogram_at(&load->late, 990)));
}

static json_t *settings_value(const struct measuring *m, const struct probe_load *load)
{
    const struct bench_latency_values *v = m->values;
    char text[32] = "closed";
    json_t *s = json_object();
    if (load->percent != PROBE_CLOSED)
        snprintf(text, sizeof text, "open %d %%", (int)load->percent);
    print_set(s, "load", json_string(text));
    print_set(s, "order", json_integer(v->order));
    print_set(s, "acks", json_integer(load->probe->acks));
    print_set(s, "replicas", json_integer(load->probe->replicas));
    print_set(s, "message_bytes", print_number(v->message_bytes));
    print_set(s, "batch_bytes_max", print_number(v->batch_bytes));
    print_set(s, "linger_us", print_number(v->linger_ns / 1000));
    print_set(s, "publishers", json_integer(1));
    print_set(s, "brokers", print_number(m->run.rack.brokers));
    print_set(s, "stores", print_number(m->run.rack.stores));
    print_set(s, "region_bytes", print_number(m->run.rack.blog_bytes));
    if (load->percent != PROBE_CLOSED)
        settings_open(s, load);
    return s;
}

/* What was not sent has no latency: without a word that would be the omission. */
static void note_unsent(const struct probe_load *load)
{
    if (load->sent_share < 1)
        cli_note("bench latency: at acks %d and %d percent of the peak only %.1f %% of the "
                 "messages could be sent in twice their time",
                 load->probe->acks, (int)load->percent, 100 * load->sent_share);
}

static void load_report(struct measuring *m, const struct probe_load *load)
{
    bool durable = is_durable(load->probe);
    note_unsent(load);
    bench_report(&m->run, (struct bench_figure){.measure = "latency",
                                                .unit = BENCH_NS,
                                                .own = load->side,
                                                .limits = {durable ? m->sync_side : m->trip_side},
                                                .latency = &load->latency,
                                                .limit_latency =
                                                    durable ? &m->sync.latency : &m->trip.latency,
                                                .settings = settings_value(m, load)});
}

/* In the order in which they were asked for. */
static void report(struct measuring *m)
{
    for (int i = 0; i < m->probe_count; i++)
        for (int j = 0; j < m->load_count; j++)
            if (m->load[j].probe == &m->probes[i])
                load_report(m, &m->load[j]);
}

/* ---- the whole run --------------------------------------------------------------------------- */

static int measure(struct measuring *m)
{
    int result = CLI_DONE;
    m->sync.fd = -1;
    for (int i = 0; i < m->acks.count && result == CLI_DONE; i++)
        result = probe_add(m, (int)m->acks.items[i]);
    if (result == CLI_DONE)
        result = peaks_measure(m);
    if (result == CLI_DONE)
        result = limits_open(m);
    if (result == CLI_DONE) {
        sides_make(m);
        result = bench_alternate(&m->run, m->sides, m->side_count);
    }
    if (result == CLI_DONE)
        report(m);
    limit_sync_close(&m->sync);
    for (int i = 0; i < m->probe_count; i++)
        result = probe_close(&m->probes[i], result);
    return result;
}

static int lists_read(struct measuring *m)
{
    const struct bench_list_rules acks = {
        .option = "acks", .min = EMB_ACKS_ORDERED, .max = EMB_ACKS_DURABLE};
    const struct bench_list_rules loads = {
        .option = "load", .min = 1, .max = 95, .words = load_words, .words_from = PROBE_CLOSED};
    struct error err;
    if (bench_list_read(&acks, m->values->acks, &m->acks, &err) != EMB_OK ||
        bench_list_read(&loads, m->values->load, &m->loads, &err) != EMB_OK)
        return cli_usage("bench latency: %s", err.text);
    return CLI_DONE;
}

int bench_latency_run(struct cli *cli, const void *values)
{
    struct measuring *m = calloc(1, sizeof *m);
    if (!m)
        return cli_fail("bench: out of memory");
    m->values = values;
    int result = lists_read(m);
    if (result == CLI_DONE)
        result = bench_begin(&m->run, cli, &m->values->common);
    if (result == CLI_DONE)
        result = bench_end(&m->run, measure(m));
    free(m);
    return result;
}

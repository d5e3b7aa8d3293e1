/*
 * bench publish: throughput by order, ack level, sizes of messages and batches. Every combination
 * of the lists is a load with a topic of its own; all of them and the limits take turns in one run,
 * so that any two can be compared. With orders 0 and 5 among them, their rounds are also compared
 * pair by pair: what order costs.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "cli/bench_commands.h"
#include "cli/bench_limits.h"
#include "cli/bench_lists.h"
#include "cli/bench_load.h"
#include "cli/print.h"
#include "cli/words.h"

#define MIXES_MAX   16
#define MIB         (1u << 20)
#define FIELD(name) .field = offsetof(struct bench_publish_values, name)

const struct cli_option bench_publish_rows[BENCH_PUBLISH_ROWS] = {
    {.name = "order",
     .type = CLI_TEXT,
     FIELD(order),
     .value = "5",
     .argument = "LIST",
     .text = "of the topics, from none to client or 0 to 5; with 0,5 also what order costs"},
    {.name = "acks",
     .type = CLI_TEXT,
     FIELD(acks),
     .value = "1",
     .argument = "LIST",
     .text = "when a message counts: 0 sent, 1 ordered, 2 durable"},
    {.name = "message-bytes",
     .type = CLI_TEXT,
     FIELD(message_bytes),
     .value = "1KiB",
     .argument = "LIST",
     .text = "value of each message"},
    {.name = "batch-bytes",
     .type = CLI_TEXT,
     FIELD(batch_bytes),
     .value = "1MiB",
     .argument = "LIST",
     .text = "largest batch"},
    {.name = "replicas",
     .type = CLI_NUMBER,
     FIELD(replicas),
     .argument = "N",
     .max = 8,
     .text = "of the topics; default: 2 at acks 2, else 0"},
    {.name = "publishers",
     .type = CLI_NUMBER,
     FIELD(publishers),
     .value = "2",
     .argument = "N",
     .min = 1,
     .max = 64,
     .text = "each with a thread that publishes"},
    {.name = "shared-client",
     .type = CLI_FLAG,
     FIELD(shared_client),
     .text = "one client for all publishers, with one thread for input and output"},
    {.name = "limit-dir",
     .type = CLI_TEXT,
     FIELD(limit_dir),
     .value = ".",
     .argument = "DIR",
     .text = "where raw writes are measured if there are replicas: the stores' disk"},
    BENCH_RACK_ROWS(struct bench_publish_values, "1s"),
};

/* One combination. */
struct mix {
    int order;
    uint32_t replicas;
    struct bench_load load;
    struct limit_disk disk;
    struct bench_side *own;
    struct bench_side *disk_side; /* NULL: nothing is written */
};

struct publishing {
    const struct bench_publish_values *values;
    struct bench_run run;
    struct limit_tcp tcp;
    struct mix mixes[MIXES_MAX];
    int count;
    struct bench_side sides[2 * MIXES_MAX + 1];
    int side_count;
    struct bench_side *tcp_side;
};

/* ---- combinations ---------------------------------------------------------------------------- */

static uint32_t replicas_of(const struct bench_publish_values *v, int acks)
{
    if (v->replicas != CLI_NOT_GIVEN)
        return (uint32_t)v->replicas;
    return acks == EMB_ACKS_DURABLE ? 2 : 0;
}

enum { LIST_MESSAGE, LIST_BATCH, LIST_ACKS, LIST_ORDER, LISTS }; /* the last changes fastest */

static void mix_set(struct publishing *p, const struct bench_list lists[LISTS], const int at[LISTS])
{
    const struct bench_publish_values *v = p->values;
    int acks = (int)lists[LIST_ACKS].items[at[LIST_ACKS]];
    p->mixes[p->count++] = (struct mix){
        .order = (int)lists[LIST_ORDER].items[at[LIST_ORDER]],
        .replicas = replicas_of(v, acks),
        .load = {.run = &p->run,
                 .acks = acks,
                 .message_bytes = lists[LIST_MESSAGE].items[at[LIST_MESSAGE]],
                 .batch_bytes = lists[LIST_BATCH].items[at[LIST_BATCH]],
                 .publishers = (uint32_t)v->publishers,
                 .shared_client = v->shared_client},
    };
}

static int mixes_set(struct publishing *p, const struct bench_list lists[LISTS])
{
    int at[LISTS] = {0}, total = 1;
    for (int i = 0; i < LISTS; i++)
        total *= lists[i].count;
    if (total > MIXES_MAX)
        return cli_usage("bench publish: the lists make %d combinations; at most %d are taken",
                         total, MIXES_MAX);
    while (p->count < total) {
        mix_set(p, lists, at);
        for (int i = LISTS - 1; i >= 0; i--) {
            at[i] = (at[i] + 1) % lists[i].count;
            if (at[i] > 0)
                break;
        }
    }
    return CLI_DONE;
}

static int mixes_read(struct publishing *p)
{
    const struct bench_publish_values *v = p->values;
    const struct bench_list_rules rules[LISTS] = {
        [LIST_MESSAGE] = {.option = "message-bytes", .sizes = true, .min = 1, .max = MIB},
        [LIST_BATCH] = {.option = "batch-bytes", .sizes = true, .min = 4096, .max = 16 * MIB - 1},
        [LIST_ACKS] = {.option = "acks", .max = EMB_ACKS_DURABLE},
        [LIST_ORDER] = {.option = "order", .max = EMB_ORDER_CLIENT, .words = cli_order_words},
    };
    const char *texts[LISTS] = {[LIST_MESSAGE] = v->message_bytes,
                                [LIST_BATCH] = v->batch_bytes,
                                [LIST_ACKS] = v->acks,
                                [LIST_ORDER] = v->order};
    struct bench_list lists[LISTS];
    struct error err;
    for (int i = 0; i < LISTS; i++)
        if (bench_list_read(&rules[i], texts[i], &lists[i], &err) != EMB_OK)
            return cli_usage("bench publish: %s", err.text);
    return mixes_set(p, lists);
}

/* ---- sides ----------------------------------------------------------------------------------- */

static struct bench_side *side_add(struct publishing *p, const char *name,
                                   int (*round)(void *arg, bool keep, double *value), void *arg)
{
    struct bench_side *side = &p->sides[p->side_count++];
    *side = (struct bench_side){.name = name, .round = round, .arg = arg};
    return side;
}

/* One limit of the disk for all that write as many copies. */
static struct bench_side *disk_side(struct publishing *p, int index)
{
    struct mix *mix = &p->mixes[index];
    if (mix->replicas == 0)
        return NULL;
    for (int i = 0; i < index; i++)
        if (p->mixes[i].replicas == mix->replicas)
            return p->mixes[i].disk_side;
    mix->disk = (struct limit_disk){.run = &p->run,
                                    .dir = p->values->limit_dir,
                                    .files = (uint32_t)max_u64(p->run.rack.stores, 1),
                                    .replicas = mix->replicas,
                                    .round_ns = p->values->common.round_ns};
    return side_add(p, "disk", limit_disk_round, &mix->disk);
}

static int mix_open(struct publishing *p, struct mix *mix)
{
    struct emb_topic_settings settings;
    emb_topic_settings_init(&settings);
    settings.order = mix->order;
    settings.replicas = mix->replicas;
    int result = bench_topic(&p->run, &settings, &mix->load.topic);
    return result == CLI_DONE ? bench_load_open(&mix->load) : result;
}

static int sides_open(struct publishing *p)
{
    int result = CLI_DONE;
    for (int i = 0; i < p->count && result == CLI_DONE; i++) {
        result = mix_open(p, &p->mixes[i]);
        p->mixes[i].own = side_add(p, "publish", bench_load_round, &p->mixes[i].load);
    }
    for (int i = 0; i < p->count; i++)
        p->mixes[i].disk_side = disk_side(p, i);
    p->tcp_side = side_add(p, "tcp", limit_tcp_round, &p->tcp);
    p->tcp.threads = (uint32_t)p->values->publishers;
    p->tcp.streams = p->run.rack.brokers;
    if (result == CLI_DONE)
        result = limit_tcp_start(&p->tcp, &p->run, p->run.rack.blog_bytes);
    return result;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static json_t *settings_value(const struct publishing *p, const struct mix *mix)
{
    const struct bench_publish_values *v = p->values;
    json_t *s = json_object();
    print_set(s, "order", json_integer(mix->order));
    print_set(s, "acks", json_integer(mix->load.acks));
    print_set(s, "replicas", json_integer(mix->replicas));
    print_set(s, "message_bytes", print_number(mix->load.message_bytes));
    print_set(s, "batch_bytes_max", print_number(mix->load.batch_bytes));
    print_set(s, "publishers", print_number(v->publishers));
    print_set(s, "clients", print_number(v->shared_client ? 1 : v->publishers));
    print_set(s, "brokers", print_number(p->run.rack.brokers));
    print_set(s, "stores", print_number(p->run.rack.stores));
    print_set(s, "region_bytes", print_number(p->run.rack.blog_bytes));
    print_set(s, "limit_dir", mix->replicas ? print_text(v->limit_dir) : json_null());
    return s;
}

static void publish_report(struct publishing *p, const struct mix *mix)
{
    bench_report(&p->run, (struct bench_figure){.measure = "publish",
                                                .unit = BENCH_BYTES_PER_S,
                                                .own = mix->own,
                                                .limits = {p->tcp_side, mix->disk_side},
                                                .settings = settings_value(p, mix)});
}

/* Order 5 against order 0, round by round; the limit is that it costs nothing. */
static void cost_report(struct publishing *p, const struct mix *ordered, const struct mix *plain)
{
    struct bench_side ratio = {.name = "cost of order", .count = ordered->own->count};
    const struct bench_side one = {.name = "order 0", .values = {1}, .count = 1};
    json_t *settings = settings_value(p, ordered);
    for (int i = 0; i < ratio.count; i++)
        ratio.values[i] =
            plain->own->values[i] > 0 ? ordered->own->values[i] / plain->own->values[i] : 0;
    print_set(settings, "against_order", json_integer(plain->order));
    bench_report(&p->run, (struct bench_figure){.measure = "cost of order",
                                                .unit = BENCH_RATIO,
                                                .own = &ratio,
                                                .limits = {&one},
                                                .settings = settings});
}

static bool differ_in_order(const struct mix *a, const struct mix *b)
{
    return a->order == EMB_ORDER_CLIENT && b->order == EMB_ORDER_NONE &&
           a->load.acks == b->load.acks && a->load.message_bytes == b->load.message_bytes &&
           a->load.batch_bytes == b->load.batch_bytes;
}

static void report(struct publishing *p)
{
    for (int i = 0; i < p->count; i++)
        publish_report(p, &p->mixes[i]);
    for (int i = 0; i < p->count; i++)
        for (int j = 0; j < p->count; j++)
            if (differ_in_order(&p->mixes[i], &p->mixes[j]))
                cost_report(p, &p->mixes[i], &p->mixes[j]);
}

/* ---- the whole run --------------------------------------------------------------------------- */

static int measure(struct publishing *p)
{
    int result = sides_open(p);
    if (result == CLI_DONE)
        result = bench_alternate(&p->run, p->sides, p->side_count);
    if (result == CLI_DONE)
        report(p);
    for (int i = 0; i < p->count; i++)
        result = bench_load_close(&p->mixes[i].load, result);
    return result;
}

static int publishing_run(struct publishing *p, const struct cli *cli)
{
    int result = limit_tcp_fork(&p->tcp, LIMIT_RECEIVE);
    if (result == CLI_DONE)
        result = bench_begin(&p->run, cli, &p->values->common);
    if (result == CLI_DONE)
        result = bench_end(&p->run, measure(p));
    limit_tcp_end(&p->tcp);
    return result;
}

int bench_publish_run(struct cli *cli, const void *values)
{
    struct publishing *p = calloc(1, sizeof *p);
    if (!p)
        return cli_fail("bench: out of memory");
    p->values = values;
    int result = mixes_read(p);
    if (result == CLI_DONE)
        result = publishing_run(p, cli);
    free(p);
    return result;
}

/*
 * Publishing at full load. Each publisher has a thread that calls emb_publish with one prepared
 * value; the library blocks it when its buffer is full. Each also has a client of its own, as
 * publishers in different processes would: with two of them that is up to a half faster. A round
 * counts what was acknowledged between two looks, with everything running before and after.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/random.h"
#include "cli/bench.h"
#include "cli/bench_commands.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/words.h"

#define WARM_DIVISOR 10 /* of a round, before it counts */
#define LOOK_MS      100
#define SECOND_NS    1000000000ULL

#define FIELD(name) .field = offsetof(struct bench_publish_values, name)

const struct cli_option bench_publish_rows[BENCH_PUBLISH_ROWS] = {
    {.name = "acks",
     .type = CLI_CHOICE,
     FIELD(acks),
     .value = "1",
     .words = cli_acks_words,
     .text = "when a message counts: sent, ordered, or durable"},
    {.name = "order",
     .type = CLI_CHOICE,
     FIELD(order),
     .value = "client",
     .words = cli_order_words,
     .rules = CLI_BY_NUMBER,
     .text = "of the topic, also as 0 to 5"},
    {.name = "replicas",
     .type = CLI_NUMBER,
     FIELD(replicas),
     .argument = "N",
     .max = 8,
     .text = "of the topic; default: 2 at acks 2, else 0"},
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
    {.name = "seconds",
     .type = CLI_NUMBER,
     FIELD(seconds),
     .value = "2",
     .argument = "N",
     .min = 1,
     .max = 3600,
     .text = "length of a round"},
    {.name = "rounds",
     .type = CLI_NUMBER,
     FIELD(rounds),
     .value = "5",
     .argument = "N",
     .min = 1,
     .max = BENCH_ROUNDS_MAX,
     .text = "that count, after one that is dropped"},
    {.name = "limit-dir",
     .type = CLI_TEXT,
     FIELD(limit_dir),
     .value = ".",
     .argument = "DIR",
     .text = "where raw writes are measured at acks 2: the stores' disk"},
    {.name = "sync-bytes",
     .type = CLI_SIZE,
     FIELD(sync_bytes),
     .value = "8MiB",
     .argument = "SIZE",
     .rules = CLI_POWER_OF_TWO,
     .min = 4096,
     .max = 64 << 20,
     .text = "raw write between two syncs"},
    {.name = "pid",
     .type = CLI_NUMBER,
     FIELD(pid),
     .argument = "PID",
     .min = 1,
     .text = "the rack's process on this host, for foreign_cpu; default: as its status says"},
    {.name = "json", .type = CLI_FLAG, FIELD(json), .text = "print one JSON object"},
};

struct load;

struct loader {
    struct load *load;
    struct emb_client *client; /* its own, or NULL */
    struct emb_publisher *publisher;
    pthread_t thread;
    unsigned char *value;
    int failed; /* of emb_publish; read when joined */
    struct emb_error err;
    /* Written by the library's thread, read when nothing is under way. */
    struct bench_sample *samples;
    size_t sample_count, sample_room;
    uint64_t failed_messages;
    struct emb_error failure;
};

struct load {
    struct bench_run *run;
    const struct bench_publish_values *values;
    struct loader *loaders;
    uint32_t count; /* opened */
    struct flag stop;
    struct flag keep; /* this round's latencies count */
};

/* ---- one publisher --------------------------------------------------------------------------- */

static void sample_add(struct loader *l, uint64_t value, uint64_t weight)
{
    if (l->sample_count == l->sample_room) {
        size_t room = l->sample_room ? 2 * l->sample_room : 1 << 16;
        void *grown = realloc(l->samples, room * sizeof *l->samples);
        if (!grown)
            return;
        l->samples = grown;
        l->sample_room = room;
    }
    l->samples[l->sample_count++] = (struct bench_sample){value, weight};
}

static void result_take(void *arg, const struct emb_result *result)
{
    struct loader *l = arg;
    if (result->code != EMB_OK) {
        if (l->failed_messages == 0) {
            l->failure.code = result->code;
            snprintf(l->failure.text, sizeof l->failure.text, "%s",
                     result->text ? result->text : emb_error_text(result->code));
        }
        l->failed_messages += result->count;
    } else if (flag_load_relaxed(&l->load->keep)) {
        sample_add(l, result->latency_ns, result->count);
    }
}

static void *loader_run(void *arg)
{
    struct loader *l = arg;
    struct emb_message message = {.value = l->value,
                                  .value_bytes = (uint32_t)l->load->values->message_bytes};
    while (!flag_load_acquire(&l->load->stop)) {
        int rc = emb_publish(l->publisher, &message, 0, LOOK_MS, &l->err);
        if (rc != EMB_OK && rc != EMB_ERR_TIMEOUT) {
            l->failed = rc;
            break;
        }
    }
    return NULL;
}

static int loader_open(struct loader *l, struct load *load, const struct cli *cli, uint64_t seed)
{
    const struct bench_publish_values *v = load->values;
    struct emb_publisher_options options;
    struct emb_error err = {0};
    struct random_state random;
    int result;

    *l = (struct loader){.load = load, .value = malloc(v->message_bytes)};
    if (!l->value)
        return cli_fail("bench: out of memory");
    random_seed(&random, seed);
    for (uint64_t i = 0; i < v->message_bytes; i++)
        l->value[i] = (unsigned char)random_next(&random);
    if (!v->shared_client && !(l->client = cli_connect(cli, &result)))
        return result;
    emb_publisher_options_init(&options);
    options.acks = v->acks;
    options.batch_bytes_max = (uint32_t)v->batch_bytes;
    options.batch_bytes_min = (uint32_t)min_u64(options.batch_bytes_min, v->batch_bytes);
    options.on_result = result_take;
    options.arg = l;
    if (emb_publisher_open(l->client ? l->client : load->run->client, load->run->topic, &options,
                           &l->publisher, &err) != EMB_OK)
        return cli_refused(&err);
    return CLI_DONE;
}

static int loader_close(struct loader *l, int result)
{
    struct emb_error err = {0};
    if (l->publisher && emb_publisher_close(l->publisher, 10000, &err) != EMB_OK &&
        result == CLI_DONE)
        result = cli_refused(&err);
    if (l->client)
        result = cli_disconnect(l->client, result);
    free(l->value);
    free(l->samples);
    return result;
}

/* ---- a round --------------------------------------------------------------------------------- */

static uint64_t acked_bytes(const struct load *load)
{
    struct emb_publisher_stats stats;
    uint64_t messages = 0;
    for (uint32_t i = 0; i < load->count; i++) {
        emb_publisher_stats(load->loaders[i].publisher, &stats);
        messages += stats.acked_messages;
    }
    return messages * load->values->message_bytes;
}

/* Ends the threads and waits until nothing is under way. */
static int loaders_stop(struct load *load, uint32_t started)
{
    int result = CLI_DONE;
    flag_store_release(&load->stop, 1);
    for (uint32_t i = 0; i < started; i++) {
        struct loader *l = &load->loaders[i];
        struct emb_error err = {0};
        pthread_join(l->thread, NULL);
        if (l->failed)
            result = cli_refused(&l->err);
        else if (emb_publisher_flush(l->publisher, 60000, &err) != EMB_OK)
            result = cli_refused(&err);
    }
    return result;
}

static int publish_round(void *arg, bool keep, double *bytes_per_second)
{
    struct load *load = arg;
    uint64_t round_ns = load->values->seconds * SECOND_NS;
    uint32_t started = 0;

    flag_store_release(&load->stop, 0);
    flag_store_release(&load->keep, 0);
    while (started < load->count && pthread_create(&load->loaders[started].thread, NULL, loader_run,
                                                   &load->loaders[started]) == 0)
        started++;
    if (started == load->count && bench_sleep(load->run, round_ns / WARM_DIVISOR)) {
        flag_store_release(&load->keep, keep);
        uint64_t begin_ns = progress_now_ns(), begin = acked_bytes(load);
        bench_sleep(load->run, round_ns);
        uint64_t end = acked_bytes(load), end_ns = progress_now_ns();
        *bytes_per_second = (double)(end - begin) * 1e9 / (double)(end_ns - begin_ns);
        flag_store_release(&load->keep, 0);
    }
    int result = loaders_stop(load, started);
    return started == load->count ? result : cli_fail("bench: no thread could be started");
}

/* ---- the whole run --------------------------------------------------------------------------- */

static uint32_t replicas_of(const struct bench_publish_values *v)
{
    if (v->replicas != CLI_NOT_GIVEN)
        return (uint32_t)v->replicas;
    return v->acks == EMB_ACKS_DURABLE ? 2 : 0;
}

static json_t *settings_value(const struct load *load)
{
    const struct bench_publish_values *v = load->values;
    json_t *s = json_object();
    print_set(s, "acks", json_integer(v->acks));
    print_set(s, "order", json_integer(v->order));
    print_set(s, "replicas", json_integer(replicas_of(v)));
    print_set(s, "publishers", print_number(v->publishers));
    print_set(s, "clients", print_number(v->shared_client ? 1 : v->publishers));
    print_set(s, "brokers", print_number(load->run->rack.brokers));
    print_set(s, "message_bytes", print_number(v->message_bytes));
    print_set(s, "batch_bytes_max", print_number(v->batch_bytes));
    print_set(s, "seconds", print_number(v->seconds));
    print_set(s, "rounds", print_number(v->rounds));
    print_set(s, "region_bytes", print_number(load->run->rack.blog_bytes));
    print_set(s, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
    print_set(s, "limit_dir", v->acks == EMB_ACKS_DURABLE ? print_text(v->limit_dir) : json_null());
    print_set(s, "sync_bytes",
              v->acks == EMB_ACKS_DURABLE ? print_number(v->sync_bytes) : json_null());
    return s;
}

/* All latencies in one array; NULL when there are none. */
static struct bench_sample *samples_join(const struct load *load, size_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < load->count; i++)
        *count += load->loaders[i].sample_count;
    struct bench_sample *all = *count ? malloc(*count * sizeof *all) : NULL;
    size_t at = 0;
    for (uint32_t i = 0; all && i < load->count; i++) {
        memcpy(all + at, load->loaders[i].samples, load->loaders[i].sample_count * sizeof *all);
        at += load->loaders[i].sample_count;
    }
    if (!all)
        *count = 0;
    return all;
}

static int measure(struct load *load, struct limit_tcp *tcp, double *values)
{
    const struct bench_publish_values *v = load->values;
    int rounds = (int)v->rounds;
    uint32_t replicas = replicas_of(v);
    struct limit_disk disk = {.run = load->run,
                              .dir = v->limit_dir,
                              .writers = (uint32_t)max_u64(load->run->rack.stores, 1),
                              .replicas = replicas,
                              .write_bytes = v->sync_bytes,
                              .round_ns = v->seconds * SECOND_NS};
    struct bench_side sides[BENCH_SIDES_MAX] = {
        {"publish", publish_round, load, values, 0},
        {"tcp", limit_tcp_round, tcp, values + rounds, 0},
        {"disk", limit_disk_round, &disk, values + 2 * rounds, 0},
    };
    int count = v->acks == EMB_ACKS_DURABLE && replicas ? 3 : 2;
    struct bench_cpu cpu;

    bench_cpu_begin(&cpu, tcp->helper, load->run->rack.daemon);
    int result = bench_alternate(load->run, sides, count, rounds);
    struct bench_figure figure = {.measure = "publish",
                                  .own = &sides[0],
                                  .limits = &sides[1],
                                  .limit_count = count - 1,
                                  .foreign_cpu = bench_cpu_end(&cpu)};
    if (result != CLI_DONE)
        return result;
    figure.settings = settings_value(load);
    figure.samples = samples_join(load, &figure.sample_count);
    bench_report(&figure, v->json);
    free(figure.samples);
    return CLI_DONE;
}

static int load_run(struct load *load, struct limit_tcp *tcp, const struct cli *cli)
{
    const struct bench_publish_values *v = load->values;
    double *values = calloc(v->rounds * BENCH_SIDES_MAX, sizeof *values);
    int result = CLI_DONE;

    load->loaders = calloc(v->publishers, sizeof *load->loaders);
    if (!values || !load->loaders)
        result = cli_fail("bench: out of memory");
    while (result == CLI_DONE && load->loaders && load->count < v->publishers) {
        result = loader_open(&load->loaders[load->count], load, cli, load->count + 1);
        load->count++;
    }
    tcp->run = load->run;
    tcp->threads = (uint32_t)v->publishers;
    tcp->streams = load->run->rack.brokers;
    tcp->round_ns = v->seconds * SECOND_NS;
    if (result == CLI_DONE)
        result = limit_tcp_start(tcp, load->run->rack.blog_bytes);
    if (result == CLI_DONE)
        result = measure(load, tcp, values);
    for (uint32_t i = 0; i < load->count; i++)
        result = loader_close(&load->loaders[i], result);
    free(load->loaders);
    free(values);
    return result;
}

int bench_publish_run(struct cli *cli, const void *values)
{
    const struct bench_publish_values *v = values;
    struct emb_topic_settings settings;
    struct bench_run run;
    struct limit_tcp tcp;
    struct load load = {.run = &run, .values = v};

    flag_init(&load.stop, 0);
    flag_init(&load.keep, 0);
    emb_topic_settings_init(&settings);
    settings.order = v->order;
    settings.replicas = replicas_of(v);
    int result = limit_tcp_fork(&tcp, LIMIT_RECEIVE);
    if (result == CLI_DONE) {
        result = bench_begin(&run, cli, v->pid == CLI_NOT_GIVEN ? 0 : (pid_t)v->pid, &settings);
        if (result == CLI_DONE)
            result = bench_end(&run, load_run(&load, &tcp, cli));
    }
    limit_tcp_end(&tcp);
    return result;
}

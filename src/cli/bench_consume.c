/*
 * Reading a backlog. It is published once, to a topic without replicas, and read from its beginning
 * in whole passes, batch by batch; a round is as many passes as begin within its time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "cli/bench.h"
#include "cli/bench_commands.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/words.h"

#define SECOND_NS      1000000000ULL
#define WAIT_MS        10000
#define BACKLOG_SHARE  5 /* of the region: leave room for what else is in it */
#define BACKLOG_SHARES 8

#define FIELD(name) .field = offsetof(struct bench_consume_values, name)

const struct cli_option bench_consume_rows[BENCH_CONSUME_ROWS] = {
    {.name = "backlog-bytes",
     .type = CLI_SIZE,
     FIELD(backlog_bytes),
     .value = "256MiB",
     .argument = "SIZE",
     .min = 1 << 20,
     .text = "published first; must fit the region"},
    {.name = "message-bytes",
     .type = CLI_SIZE,
     FIELD(message_bytes),
     .value = "1KiB",
     .argument = "SIZE",
     .min = 1,
     .max = 1 << 20,
     .text = "value of each message"},
    {.name = "level",
     .type = CLI_CHOICE,
     FIELD(level),
     .value = "durable",
     .words = cli_level_words,
     .text = "read what is durable, or what is ordered"},
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
    {.name = "pid",
     .type = CLI_NUMBER,
     FIELD(pid),
     .argument = "PID",
     .min = 1,
     .text = "the rack's process on this host, for foreign_cpu; default: as its status says"},
    {.name = "json", .type = CLI_FLAG, FIELD(json), .text = "print one JSON object"},
};

struct reading {
    struct bench_run *run;
    const struct bench_consume_values *values;
    struct emb_subscriber *subscriber;
    uint64_t messages;
};

/* ---- the backlog ----------------------------------------------------------------------------- */

static int backlog_fill(struct reading *r, struct emb_publisher *publisher)
{
    char *value = malloc(r->values->message_bytes);
    struct emb_message message = {.value = value,
                                  .value_bytes = (uint32_t)r->values->message_bytes};
    struct emb_error err = {0};
    int rc = value ? EMB_OK : EMB_ERR_NO_MEMORY;

    if (value)
        memset(value, 'x', r->values->message_bytes);
    for (uint64_t i = 0; i < r->messages && rc == EMB_OK; i++) {
        rc = emb_publish(publisher, &message, 0, WAIT_MS, &err);
        if (interrupt_asked(&r->run->interrupt))
            break;
    }
    if (rc == EMB_OK)
        rc = emb_publisher_flush(publisher, 60000, &err);
    free(value);
    err.code = rc;
    return rc == EMB_OK ? CLI_DONE : cli_refused(&err);
}

static int backlog_publish(struct reading *r)
{
    struct emb_publisher_options options;
    struct emb_publisher *publisher;
    struct emb_error err = {0};

    emb_publisher_options_init(&options);
    options.acks = EMB_ACKS_ORDERED;
    if (emb_publisher_open(r->run->client, r->run->topic, &options, &publisher, &err) != EMB_OK)
        return cli_refused(&err);
    int result = backlog_fill(r, publisher);
    if (emb_publisher_close(publisher, WAIT_MS, &err) != EMB_OK && result == CLI_DONE)
        result = cli_refused(&err);
    return result;
}

/* ---- a round --------------------------------------------------------------------------------- */

/* From the first message to the last. */
static int pass(struct reading *r)
{
    struct emb_error err = {0};
    struct emb_batch batch;
    uint64_t read = 0;

    if (emb_subscriber_seek(r->subscriber, EMB_START_EARLIEST, 0, &err) != EMB_OK)
        return cli_refused(&err);
    uint64_t first = emb_subscriber_position(r->subscriber);
    if (first > 0) /* brokers that got more than their share have reused their oldest segments */
        return cli_fail("bench consume: the first %llu messages of the backlog have left memory; "
                        "choose a smaller --backlog-bytes than %llu",
                        (unsigned long long)first, (unsigned long long)r->values->backlog_bytes);
    while (read < r->messages && !interrupt_asked(&r->run->interrupt)) {
        int rc = emb_subscriber_next_batch(r->subscriber, &batch, WAIT_MS, &err);
        if (rc < 0)
            return cli_refused(&err);
        if (rc == 0)
            return cli_fail("bench: %llu of %llu messages came, then none for 10 s",
                            (unsigned long long)read, (unsigned long long)r->messages);
        read += batch.message_count - batch.skip;
    }
    return CLI_DONE;
}

static int consume_round(void *arg, bool keep, double *bytes_per_second)
{
    struct reading *r = arg;
    uint64_t begin_ns = progress_now_ns(), now_ns;
    uint64_t passes = 0;
    int result;

    do {
        result = pass(r);
        passes++;
        now_ns = progress_now_ns();
    } while (result == CLI_DONE && !interrupt_asked(&r->run->interrupt) &&
             now_ns - begin_ns < r->values->seconds * SECOND_NS);
    *bytes_per_second = (double)(passes * r->messages * r->values->message_bytes) * 1e9 /
                        (double)(now_ns - begin_ns);
    return result;
}

/* ---- the whole run --------------------------------------------------------------------------- */

static json_t *settings_value(const struct reading *r)
{
    const struct bench_consume_values *v = r->values;
    json_t *s = json_object();
    print_set(s, "backlog_bytes", print_number(r->messages * v->message_bytes));
    print_set(s, "message_bytes", print_number(v->message_bytes));
    print_set(s, "level", json_string(cli_word(cli_level_words, v->level)));
    print_set(s, "order", json_integer(EMB_ORDER_CLIENT));
    print_set(s, "subscribers", json_integer(1));
    print_set(s, "brokers", print_number(r->run->rack.brokers));
    print_set(s, "seconds", print_number(v->seconds));
    print_set(s, "rounds", print_number(v->rounds));
    print_set(s, "region_bytes", print_number(r->run->rack.blog_bytes));
    print_set(s, "cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
    return s;
}

static int measure(struct reading *r, struct limit_tcp *tcp, double *values)
{
    const struct bench_consume_values *v = r->values;
    struct bench_side sides[] = {
        {"consume", consume_round, r, values, 0},
        {"sendfile", limit_tcp_round, tcp, values + v->rounds, 0},
    };
    struct bench_cpu cpu;

    bench_cpu_begin(&cpu, tcp->helper, r->run->rack.daemon);
    int result = bench_alternate(r->run, sides, 2, (int)v->rounds);
    struct bench_figure figure = {.measure = "consume",
                                  .own = &sides[0],
                                  .limits = &sides[1],
                                  .limit_count = 1,
                                  .foreign_cpu = bench_cpu_end(&cpu)};
    if (result != CLI_DONE)
        return result;
    figure.settings = settings_value(r);
    bench_report(&figure, v->json);
    return CLI_DONE;
}

static int subscribe_and_measure(struct reading *r, struct limit_tcp *tcp)
{
    struct emb_subscriber_options options;
    struct emb_error err = {0};
    double *values = calloc(r->values->rounds * BENCH_SIDES_MAX, sizeof *values);

    emb_subscriber_options_init(&options);
    options.level = r->values->level;
    if (!values)
        return cli_fail("bench: out of memory");
    int result = CLI_DONE;
    if (emb_subscriber_open(r->run->client, r->run->topic, &options, &r->subscriber, &err) !=
        EMB_OK)
        result = cli_refused(&err);
    else
        result = measure(r, tcp, values);
    emb_subscriber_close(r->subscriber);
    free(values);
    return result;
}

static int reading_run(struct reading *r, struct limit_tcp *tcp)
{
    uint64_t most = r->run->rack.blog_bytes / BACKLOG_SHARES * BACKLOG_SHARE;
    if (r->values->backlog_bytes > most)
        return cli_usage("bench consume: --backlog-bytes is %llu; at most %llu fit this rack's "
                         "memory",
                         (unsigned long long)r->values->backlog_bytes, (unsigned long long)most);
    tcp->run = r->run;
    tcp->threads = 1;
    tcp->streams = 1;
    tcp->round_ns = r->values->seconds * SECOND_NS;
    int result = limit_tcp_start(tcp, r->run->rack.blog_bytes);
    if (result == CLI_DONE)
        result = backlog_publish(r);
    return result == CLI_DONE ? subscribe_and_measure(r, tcp) : result;
}

int bench_consume_run(struct cli *cli, const void *values)
{
    const struct bench_consume_values *v = values;
    struct emb_topic_settings settings;
    struct bench_run run;
    struct limit_tcp tcp;
    struct reading reading = {
        .run = &run, .values = v, .messages = v->backlog_bytes / v->message_bytes};

    emb_topic_settings_init(&settings);
    settings.replicas = 0;
    int result = limit_tcp_fork(&tcp, LIMIT_SENDFILE);
    if (result == CLI_DONE) {
        result = bench_begin(&run, cli, v->pid == CLI_NOT_GIVEN ? 0 : (pid_t)v->pid, &settings);
        if (result == CLI_DONE)
            result = bench_end(&run, reading_run(&reading, &tcp));
    }
    limit_tcp_end(&tcp);
    return result;
}

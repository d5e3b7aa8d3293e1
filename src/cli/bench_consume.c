/*
 * Reading a backlog. It is published once, to a topic without replicas, and read from its beginning
 * in whole passes, batch by batch; a round is as many passes as begin within its time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "cli/bench_commands.h"
#include "cli/bench_limits.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/words.h"

#define WAIT_MS        10000
#define BACKLOG_SHARE  5 /* of the region: leave room for what else is in it */
#define BACKLOG_SHARES 8

#define FIELD(name) .field = offsetof(struct bench_consume_values, name)

const struct cli_option bench_consume_rows[BENCH_CONSUME_ROWS] = {
    {.name = "backlog-bytes",
     .type = CLI_SIZE,
     FIELD(backlog_bytes),
     .value = "128MiB",
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
    BENCH_RACK_ROWS(struct bench_consume_values, "1s"),
};

struct reading {
    struct bench_run *run;
    const struct bench_consume_values *values;
    const char *topic;
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
    if (emb_publisher_open(r->run->client, r->topic, &options, &publisher, &err) != EMB_OK)
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
    (void)keep;
    uint64_t begin_ns = progress_now_ns(), now_ns;
    uint64_t passes = 0;
    int result;

    do {
        result = pass(r);
        passes++;
        now_ns = progress_now_ns();
    } while (result == CLI_DONE && !interrupt_asked(&r->run->interrupt) &&
             now_ns - begin_ns < r->values->common.round_ns);
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
    print_set(s, "region_bytes", print_number(r->run->rack.blog_bytes));
    return s;
}

static int measure(struct reading *r, struct limit_tcp *tcp)
{
    struct bench_side sides[] = {
        {.name = "consume", .round = consume_round, .arg = r},
        {.name = "sendfile", .round = limit_tcp_round, .arg = tcp},
    };
    int result = bench_alternate(r->run, sides, COUNT_OF(sides));
    if (result == CLI_DONE)
        bench_report(r->run, (struct bench_figure){.measure = "consume",
                                                   .unit = BENCH_BYTES_PER_S,
                                                   .own = &sides[0],
                                                   .limits = {&sides[1]},
                                                   .settings = settings_value(r)});
    return result;
}

static int subscribe_and_measure(struct reading *r, struct limit_tcp *tcp)
{
    struct emb_subscriber_options options;
    struct emb_error err = {0};

    emb_subscriber_options_init(&options);
    options.level = r->values->level;
    if (emb_subscriber_open(r->run->client, r->topic, &options, &r->subscriber, &err) != EMB_OK)
        return cli_refused(&err);
    int result = measure(r, tcp);
    emb_subscriber_close(r->subscriber);
    return result;
}

static int reading_run(struct reading *r, struct limit_tcp *tcp)
{
    uint64_t most = r->run->rack.blog_bytes / BACKLOG_SHARES * BACKLOG_SHARE;
    struct emb_topic_settings settings;

    if (r->values->backlog_bytes > most)
        return cli_usage("bench consume: --backlog-bytes is %llu; at most %llu fit this rack's "
                         "memory",
                         (unsigned long long)r->values->backlog_bytes, (unsigned long long)most);
    emb_topic_settings_init(&settings);
    settings.replicas = 0;
    tcp->threads = 1;
    tcp->streams = 1;
    int result = limit_tcp_start(tcp, r->run, r->run->rack.blog_bytes);
    if (result == CLI_DONE)
        result = bench_topic(r->run, &settings, &r->topic);
    if (result == CLI_DONE)
        result = backlog_publish(r);
    return result == CLI_DONE ? subscribe_and_measure(r, tcp) : result;
}

int bench_consume_run(struct cli *cli, const void *values)
{
    const struct bench_consume_values *v = values;
    struct bench_run run;
    struct limit_tcp tcp;
    struct reading reading = {
        .run = &run, .values = v, .messages = v->backlog_bytes / v->message_bytes};

    int result = limit_tcp_fork(&tcp, LIMIT_SENDFILE);
    if (result == CLI_DONE)
        result = bench_begin(&run, cli, &v->common);
    if (result == CLI_DONE)
        result = bench_end(&run, reading_run(&reading, &tcp));
    limit_tcp_end(&tcp);
    return result;
}

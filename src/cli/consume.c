/* consume: writes a topic's messages to standard output or a file. */
#include <string.h>

#include "base/bits.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/sink.h"
#include "cli/words.h"

#define CLOCK_EVERY 1024 /* messages between two looks at the clock */

struct consume_values {
    const char *from;
    uint64_t count;
    bool until_end;
    uint64_t timeout_ns;
    const char *format;
    bool json;
    int level;
    uint64_t broker;
    const char *output;
    bool progress;
};

#define FIELD(name) .field = offsetof(struct consume_values, name)

static const struct cli_option consume_rows[] = {
    {.name = "from",
     .type = CLI_TEXT,
     FIELD(from),
     .value = "earliest",
     .argument = "WHERE",
     .text = "earliest, latest, an offset, timestamp:MS or @2024-05-01T12:00:00Z"},
    {.name = "count",
     .type = CLI_NUMBER,
     FIELD(count),
     .argument = "N",
     .text = "end after N messages"},
    {.name = "until-end",
     .type = CLI_FLAG,
     FIELD(until_end),
     .text = "end where the topic ended at the start"},
    {.name = "timeout",
     .type = CLI_DURATION,
     FIELD(timeout_ns),
     .argument = "D",
     .min = 1000000,
     .text = "end when nothing came for so long; 1 is returned if more was asked for"},
    {.name = "format",
     .type = CLI_TEXT,
     FIELD(format),
     .value = "value",
     .argument = "FORM",
     .text = "value, json, or text with %o %k %v %t %h \\n \\t, e.g. '%o %k %v\\n'"},
    {.name = "json", .type = CLI_FLAG, FIELD(json), .text = "the same as --format json"},
    {.name = "level",
     .type = CLI_CHOICE,
     FIELD(level),
     .value = "durable",
     .words = cli_level_words,
     .text = "read what is durable, or already what is ordered"},
    {.name = "broker",
     .type = CLI_NUMBER,
     FIELD(broker),
     .argument = "I",
     .max = 31,
     .text = "read from this one first, counted from 0 in the rack's list"},
    {.name = "output",
     .type = CLI_TEXT,
     FIELD(output),
     .argument = "FILE",
     .text = "write there, not to standard output"},
    {.name = "progress",
     .type = CLI_FLAG,
     FIELD(progress),
     .text = "show progress also when stderr is no terminal"},
};

struct consume {
    const struct consume_values *values;
    const char *topic;
    struct emb_subscriber *subscriber;
    struct format format;
    struct sink sink;
    struct progress progress;
    struct interrupt interrupt;
    int start; /* enum emb_start */
    uint64_t start_value;
    uint64_t end;   /* the offset to stop at; all ones: none */
    uint64_t limit; /* messages; all ones: none */
    uint64_t count;
};

static void wake(void *subscriber)
{
    emb_subscriber_wake(subscriber);
}

static bool is_done(const struct consume *c)
{
    return c->count >= c->limit ||
           (c->end != UINT64_MAX && emb_subscriber_position(c->subscriber) >= c->end);
}

static void look_at_clock(struct consume *c)
{
    uint64_t now_ns = progress_now_ns();
    if (progress_due(&c->progress, now_ns))
        progress_show(&c->progress, "%llu messages, %.1f s", (unsigned long long)c->count,
                      (double)(now_ns - c->progress.started_ns) / 1e9);
}

/* The next message, what was written before being shown if there is none yet. 1, 0 (timeout or
   interrupt), or negative. */
static int message_wait(struct consume *c, struct emb_message *message, struct emb_error *err)
{
    uint64_t wait_ns = c->values->timeout_ns;
    uint64_t wait_ms = wait_ns == CLI_NOT_GIVEN ? EMB_FOREVER : (wait_ns + 999999) / 1000000;
    int rc = emb_subscriber_next(c->subscriber, message, 0, err);
    if (rc != 0 || interrupt_asked(&c->interrupt))
        return rc;
    struct error failure;
    if (sink_flush(&c->sink, &failure) != EMB_OK)
        return 0; /* said when the sink is closed */
    return emb_subscriber_next(c->subscriber, message, (uint32_t)min_u64(wait_ms, EMB_FOREVER),
                               err);
}

/* What to say when the messages end before what was asked for. */
static int ended_early(const struct consume *c)
{
    char wait[UNITS_TEXT_BYTES];
    if (c->sink.failure || (c->limit == UINT64_MAX && c->end == UINT64_MAX))
        return CLI_DONE;
    units_duration_text(c->values->timeout_ns, wait);
    if (c->limit != UINT64_MAX)
        return cli_fail("consume: topic %s: %llu of %llu messages came, then none for %s", c->topic,
                        (unsigned long long)c->count, (unsigned long long)c->limit, wait);
    return cli_fail("consume: topic %s: came to offset %llu of %llu, then nothing for %s", c->topic,
                    (unsigned long long)emb_subscriber_position(c->subscriber),
                    (unsigned long long)c->end, wait);
}

static int messages_write(struct consume *c)
{
    struct emb_message message;
    struct emb_error err = {0};
    int rc = 1;

    while (!is_done(c) && !interrupt_asked(&c->interrupt) && !c->sink.failure) {
        rc = message_wait(c, &message, &err);
        if (rc != 1)
            break;
        format_put(&c->format, &c->sink, &message);
        if (++c->count % CLOCK_EVERY == 0)
            look_at_clock(c);
    }
    progress_end(&c->progress);
    if (rc < 0)
        return cli_refused(&err);
    return rc == 0 && !interrupt_asked(&c->interrupt) ? ended_early(c) : CLI_DONE;
}

/* The end as it is now; before the subscription, so that no message can be missed. */
static int end_find(struct consume *c, struct emb_client *client)
{
    struct emb_topic_info info;
    struct emb_error err = {0};

    if (!c->values->until_end)
        return CLI_DONE;
    if (emb_topic_describe(client, c->topic, &info, &err) != EMB_OK)
        return cli_refused(&err);
    c->end = c->values->level == EMB_LEVEL_DURABLE ? info.durable_offset : info.next_offset;
    return CLI_DONE;
}

static int subscribe(struct consume *c, struct emb_client *client)
{
    struct emb_subscriber_options options;
    struct emb_error err = {0};
    size_t brokers = emb_client_brokers(client, NULL, 0);

    if (c->values->broker != CLI_NOT_GIVEN && c->values->broker >= brokers)
        return cli_usage("consume: --broker is %llu; the rack has %zu, counted from 0",
                         (unsigned long long)c->values->broker, brokers);
    emb_subscriber_options_init(&options);
    options.start = c->start;
    options.start_value = c->start_value;
    options.level = c->values->level;
    if (c->values->broker != CLI_NOT_GIVEN)
        options.broker = (int)c->values->broker;
    int result = end_find(c, client);
    if (result != CLI_DONE)
        return result;
    if (emb_subscriber_open(client, c->topic, &options, &c->subscriber, &err) != EMB_OK)
        return cli_refused(&err);
    return CLI_DONE;
}

static int subscribe_and_write(struct consume *c, struct emb_client *client)
{
    struct error err;
    int result = subscribe(c, client);
    if (result != CLI_DONE)
        return result;
    if (sink_open(&c->sink, c->values->output, &err) != EMB_OK) {
        emb_subscriber_close(c->subscriber);
        return cli_fail("consume: %s", err.text);
    }
    progress_start(&c->progress, c->values->progress, c->values->output != NULL);
    interrupt_tell(&c->interrupt, wake, c->subscriber);
    result = messages_write(c);
    interrupt_tell(&c->interrupt, NULL, NULL);
    if (sink_close(&c->sink, &err) != EMB_OK)
        result = cli_fail("consume: %s", err.text);
    emb_subscriber_close(c->subscriber);
    return result;
}

static int consume_run(struct cli *cli, const void *values)
{
    const struct consume_values *v = values;
    struct consume c = {
        .values = v, .topic = cli->arguments[0], .end = UINT64_MAX, .limit = v->count};
    struct error err;

    if (format_read(&c.format, v->json ? "json" : v->format, &err) != EMB_OK ||
        format_start_read(v->from, &c.start, &c.start_value, &err) != EMB_OK)
        return cli_usage("consume: %s", err.text);
    if (!interrupt_start(&c.interrupt))
        return cli_fail("consume: no thread could be started");
    int result;
    struct emb_client *client = cli_connect(cli, &result);
    if (client)
        result = cli_disconnect(client, subscribe_and_write(&c, client));
    interrupt_stop(&c.interrupt);
    return result;
}

const struct cli_command consume_commands[] = {
    {.noun = "consume",
     .arguments = "TOPIC",
     .arguments_min = 1,
     .arguments_max = 1,
     .text = "Writes the messages of a topic to standard output",
     .more = "Goes on waiting for new messages unless --count, --until-end or --timeout ends it.\n"
             "Ctrl-C ends it cleanly.",
     .example = "embarcadero consume orders --from earliest --until-end --format '%o %k %v\\n'",
     .options = consume_rows,
     .option_count = COUNT_OF(consume_rows),
     .value_bytes = sizeof(struct consume_values),
     .run = consume_run},
    {0},
};

/* produce: publishes the lines of files or of standard input. */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/words.h"

#define FLUSH_LOOK_MS 500
#define CLOCK_EVERY   256 /* messages between two looks at the clock */

struct produce_values {
    int acks;
    const char *key_separator;
    int compression;
    uint64_t linger_ns;
    uint64_t batch_bytes;
    struct cli_list headers;
    bool null_terminated;
    bool progress;
    bool json;
};

#define FIELD(name) .field = offsetof(struct produce_values, name)

static const struct cli_option produce_rows[] = {
    {.name = "acks",
     .type = CLI_CHOICE,
     FIELD(acks),
     .value = "2",
     .words = cli_acks_words,
     .text = "wait for nothing, for the order, or for durability"},
    {.name = "key-separator",
     .type = CLI_TEXT,
     FIELD(key_separator),
     .argument = "C",
     .text = "a line is key, C, value; \\t is a tab. Lines without C have no key"},
    {.name = "header",
     .type = CLI_LIST,
     FIELD(headers),
     .argument = "KEY=VALUE",
     .text = "of every message; may be given several times"},
    {.name = "compression",
     .type = CLI_CHOICE,
     FIELD(compression),
     .value = "none",
     .words = cli_compression_words,
     .text = "of the batches"},
    {.name = "linger",
     .type = CLI_DURATION,
     FIELD(linger_ns),
     .value = "1ms",
     .argument = "D",
     .max = 60000000000,
     .text = "how long a message may wait for others"},
    {.name = "batch-bytes",
     .type = CLI_SIZE,
     FIELD(batch_bytes),
     .argument = "SIZE",
     .min = 4096,
     .max = (16u << 20) - 1,
     .text = "largest batch"},
    {.name = "null-terminated",
     .type = CLI_FLAG,
     FIELD(null_terminated),
     .text = "messages end with a zero byte, not with a line feed"},
    {.name = "progress",
     .type = CLI_FLAG,
     FIELD(progress),
     .text = "show progress also when stderr is no terminal"},
    {.name = "json",
     .type = CLI_FLAG,
     FIELD(json),
     .text = "print the summary as JSON to stdout, not as a sentence to stderr"},
};

struct produce {
    const struct produce_values *values;
    struct emb_publisher *publisher;
    struct emb_header headers[CLI_LIST_MAX];
    char *header_text; /* their keys and values */
    char separator;
    struct progress progress;
    uint64_t messages; /* accepted */
    uint64_t refused;  /* not accepted */
    /* Written by the library's thread; read when the publisher is closed. */
    uint64_t failed;
    uint64_t first_offset;
    uint64_t last_offset;
    struct emb_error failure; /* of the first that failed */
};

static void result_take(void *arg, const struct emb_result *result)
{
    struct produce *p = arg;
    if (result->code != EMB_OK) {
        if (p->failed == 0) {
            p->failure.code = result->code;
            snprintf(p->failure.text, sizeof p->failure.text, "%s",
                     result->text ? result->text : emb_error_text(result->code));
        }
        p->failed += result->count;
        return;
    }
    if (result->base_offset == EMB_OFFSET_UNKNOWN)
        return;
    uint64_t last = result->base_offset + result->count - 1;
    if (p->first_offset == EMB_OFFSET_UNKNOWN || result->base_offset < p->first_offset)
        p->first_offset = result->base_offset;
    if (p->last_offset == EMB_OFFSET_UNKNOWN || last > p->last_offset)
        p->last_offset = last;
}

/* ---- what every message has ------------------------------------------------------------------ */

static int headers_read(struct produce *p)
{
    const struct cli_list *list = &p->values->headers;
    size_t bytes = 1;
    size_t at = 0;

    for (int i = 0; i < list->count; i++) {
        if (!strchr(list->items[i], '=') || list->items[i][0] == '=')
            return cli_usage("produce: --header: bad value \"%.60s\"; accepted: KEY=VALUE",
                             list->items[i]);
        bytes += strlen(list->items[i]) + 1;
    }
    p->header_text = malloc(bytes);
    if (!p->header_text)
        return cli_fail("out of memory");
    for (int i = 0; i < list->count; i++) {
        size_t length = strlen(list->items[i]) + 1;
        char *text = memcpy(p->header_text + at, list->items[i], length);
        char *value = strchr(text, '=');
        *value++ = '\0';
        p->headers[i] = (struct emb_header){
            .key = text, .value = value, .value_bytes = (uint32_t)strlen(value)};
        at += length;
    }
    return CLI_DONE;
}

static int separator_read(struct produce *p)
{
    const char *text = p->values->key_separator;
    if (!text)
        return CLI_DONE;
    if (strcmp(text, "\\t") == 0)
        p->separator = '\t';
    else if (strlen(text) == 1)
        p->separator = text[0];
    else
        return cli_usage(
            "produce: --key-separator: bad value \"%.60s\"; accepted: one byte, or \\t", text);
    return CLI_DONE;
}

/* ---- publishing ------------------------------------------------------------------------------ */

static void show_progress(struct produce *p, uint64_t now_ns)
{
    struct emb_publisher_stats stats;
    char bytes[UNITS_TEXT_BYTES];
    emb_publisher_stats(p->publisher, &stats);
    units_size_round((double)stats.accepted_bytes, bytes);
    progress_show(&p->progress, "%llu messages, %s, %llu acknowledged, %.1f s",
                  (unsigned long long)stats.accepted_messages, bytes,
                  (unsigned long long)stats.acked_messages,
                  (double)(now_ns - p->progress.started_ns) / 1e9);
}

static void look_at_clock(struct produce *p)
{
    uint64_t now_ns = progress_now_ns();
    if (progress_due(&p->progress, now_ns))
        show_progress(p, now_ns);
}

static struct emb_message message_of(const struct produce *p, const char *line, size_t bytes)
{
    struct emb_message message = {.value = line,
                                  .value_bytes = (uint32_t)bytes,
                                  .headers = p->values->headers.count ? p->headers : NULL,
                                  .header_count = (uint32_t)p->values->headers.count};
    const char *cut = p->values->key_separator ? memchr(line, p->separator, bytes) : NULL;
    if (cut) {
        message.key = line;
        message.key_bytes = (uint32_t)(cut - line);
        message.value = cut + 1;
        message.value_bytes = (uint32_t)(bytes - message.key_bytes - 1);
    }
    return message;
}

/* false: the publisher has ended. */
static bool line_publish(struct produce *p, const struct lines *lines, const char *line,
                         size_t bytes)
{
    struct emb_message message = message_of(p, line, bytes);
    struct emb_error err = {0};
    int rc = emb_publish(p->publisher, &message, 0, EMB_FOREVER, &err);
    if (rc == EMB_OK) {
        p->messages++;
        return true;
    }
    p->refused++;
    progress_end(&p->progress);
    cli_note("%s, line %llu: %s", lines->name, (unsigned long long)lines->number, err.text);
    return rc == EMB_ERR_BATCH_TOO_LARGE;
}

static int file_publish(struct produce *p, const char *path)
{
    struct lines lines;
    struct error err;
    const char *line;
    size_t bytes;
    int rc = lines_open(&lines, path, p->values->null_terminated ? '\0' : '\n', &err);

    if (rc)
        return cli_fail("produce: %s", err.text);
    while ((rc = lines_next(&lines, &line, &bytes, &err)) == 1) {
        if (!line_publish(p, &lines, line, bytes))
            break;
        if (p->messages % CLOCK_EVERY == 0)
            look_at_clock(p);
    }
    lines_close(&lines);
    if (rc < 0)
        return cli_fail("produce: %s", err.text);
    return rc == 0 ? CLI_DONE : CLI_FAILED;
}

/* Waits for every outcome, however long that takes. */
static void flush_all(struct produce *p)
{
    struct emb_publisher_stats stats;
    do {
        if (emb_publisher_flush(p->publisher, FLUSH_LOOK_MS, NULL) != EMB_ERR_TIMEOUT)
            return;
        look_at_clock(p);
        emb_publisher_stats(p->publisher, &stats);
    } while (stats.acked_messages + stats.failed_messages < stats.accepted_messages);
}

static int files_publish(struct produce *p, const struct cli *cli)
{
    int result = CLI_DONE;
    if (cli->argument_count == 1)
        result = file_publish(p, "-");
    for (int i = 1; i < cli->argument_count && result == CLI_DONE; i++)
        result = file_publish(p, cli->arguments[i]);
    flush_all(p);
    return result;
}

/* ---- the summary ----------------------------------------------------------------------------- */

static void summary_json(const struct produce *p, const char *topic, uint64_t bytes, double seconds)
{
    uint64_t acked = p->messages - p->failed;
    json_t *value = json_object();
    print_set(value, "topic", print_text(topic));
    print_set(value, "messages", print_number(acked));
    print_set(value, "failed", print_number(p->failed + p->refused));
    print_set(value, "bytes", print_number(bytes));
    print_set(value, "seconds", json_real(seconds));
    print_set(value, "messages_per_second", json_real((double)acked / seconds));
    print_set(value, "bytes_per_second", json_real((double)bytes / seconds));
    print_set(value, "first_offset", print_number(p->first_offset));
    print_set(value, "last_offset", print_number(p->last_offset));
    print_set(value, "error", p->failed ? print_text(p->failure.text) : json_null());
    print_value(value, true);
}

static void summary_text(const struct produce *p, uint64_t bytes, double seconds)
{
    uint64_t acked = p->messages - p->failed;
    char size[UNITS_TEXT_BYTES], rate[UNITS_TEXT_BYTES];
    units_size_round((double)bytes, size);
    units_size_round((double)bytes / seconds, rate);
    fprintf(stderr, "published %llu messages, %s in %.3f s: %.0f messages/s, %s/s",
            (unsigned long long)acked, size, seconds, (double)acked / seconds, rate);
    if (p->first_offset != EMB_OFFSET_UNKNOWN)
        fprintf(stderr, ", offsets %llu to %llu", (unsigned long long)p->first_offset,
                (unsigned long long)p->last_offset);
    fputc('\n', stderr);
}

static int publish_and_report(struct produce *p, struct emb_client *client, const struct cli *cli)
{
    struct emb_publisher_options options;
    struct emb_publisher_stats stats;
    struct emb_error err = {0};

    emb_publisher_options_init(&options);
    options.acks = p->values->acks;
    options.compression = cli_compression(p->values->compression);
    options.linger_us = (uint32_t)(p->values->linger_ns / 1000);
    if (p->values->batch_bytes != CLI_NOT_GIVEN) {
        options.batch_bytes_max = (uint32_t)p->values->batch_bytes;
        options.batch_bytes_min =
            (uint32_t)min_u64(options.batch_bytes_min, p->values->batch_bytes);
    }
    options.on_result = result_take;
    options.arg = p;
    if (emb_publisher_open(client, cli->arguments[0], &options, &p->publisher, &err) != EMB_OK)
        return cli_refused(&err);
    progress_start(&p->progress, p->values->progress, true);
    int result = files_publish(p, cli);
    double seconds = (double)(progress_now_ns() - p->progress.started_ns + 1) / 1e9;
    emb_publisher_stats(p->publisher, &stats);
    emb_publisher_close(p->publisher, EMB_FOREVER, NULL);
    progress_end(&p->progress);
    if (p->failed)
        cli_note("%llu message%s failed: %s", (unsigned long long)p->failed,
                 p->failed == 1 ? "" : "s", p->failure.text);
    if (p->values->json)
        summary_json(p, cli->arguments[0], stats.accepted_bytes, seconds);
    else
        summary_text(p, stats.accepted_bytes, seconds);
    return p->failed || p->refused ? CLI_FAILED : result;
}

static int produce_run(struct cli *cli, const void *values)
{
    struct produce p = {
        .values = values, .first_offset = EMB_OFFSET_UNKNOWN, .last_offset = EMB_OFFSET_UNKNOWN};
    int result = separator_read(&p);
    struct emb_client *client = NULL;

    if (result == CLI_DONE)
        result = headers_read(&p);
    if (result == CLI_DONE)
        client = cli_connect(cli, &result);
    if (client)
        result = cli_disconnect(client, publish_and_report(&p, client, cli));
    free(p.header_text);
    return result;
}

const struct cli_command produce_commands[] = {
    {.noun = "produce",
     .arguments = "TOPIC [FILE...]",
     .arguments_min = 1,
     .arguments_max = -1,
     .text = "Publishes the lines of files, or of standard input",
     .more = "A summary goes to stderr. The exit status is 1 if any message was not published.",
     .example = "embarcadero produce orders --key-separator : orders.txt",
     .options = produce_rows,
     .option_count = COUNT_OF(produce_rows),
     .value_bytes = sizeof(struct produce_values),
     .run = produce_run},
    {0},
};

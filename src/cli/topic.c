/* topic create, list, describe, delete. */
#include <stdlib.h>

#include "base/bits.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/words.h"

struct create_values {
    int order;
    uint64_t replicas;
    uint64_t min_insync;
    int gap;
    uint64_t gap_timeout_ns;
    int durability;
    bool json;
};

struct show_values {
    bool json;
};

#define FIELD(name) .field = offsetof(struct create_values, name)

static const struct cli_option create_rows[] = {
    {.name = "order",
     .type = CLI_CHOICE,
     FIELD(order),
     .value = "client",
     .words = cli_order_words,
     .rules = CLI_BY_NUMBER,
     .text = "which order is kept, also as 0 to 5"},
    {.name = "replicas",
     .type = CLI_NUMBER,
     FIELD(replicas),
     .value = "2",
     .argument = "N",
     .max = 8,
     .text = "stores that each batch is copied to; 0: memory only"},
    {.name = "min-insync",
     .type = CLI_NUMBER,
     FIELD(min_insync),
     .value = "0",
     .argument = "N",
     .max = 8,
     .text = "replicas needed to acknowledge; 0: all"},
    {.name = "gap",
     .type = CLI_CHOICE,
     FIELD(gap),
     .value = "fence",
     .words = cli_gap_words,
     .text = "when a publisher's batch is missing: end it, or declare the batch lost"},
    {.name = "gap-timeout",
     .type = CLI_DURATION,
     FIELD(gap_timeout_ns),
     .argument = "D",
     .min = 1000,
     .max = UINT32_MAX * 1000ULL,
     .text = "how long to wait for it; default: fence 15s, skip 1500us"},
    {.name = "durability",
     .type = CLI_CHOICE,
     FIELD(durability),
     .value = "sync",
     .words = cli_durability_words,
     .text = "acknowledge what is synced to disk, or what is copied and synced later"},
    {.name = "json", .type = CLI_FLAG, FIELD(json), .text = "print the new topic as JSON"},
};

static const struct cli_option show_rows[] = {
    {.name = "json",
     .type = CLI_FLAG,
     .field = offsetof(struct show_values, json),
     .text = "print JSON"},
};

static json_t *topic_value(const struct emb_topic_info *info)
{
    const struct emb_topic_settings *s = &info->settings;
    json_t *value = json_object();
    print_set(value, "name", print_text(info->name));
    print_set(value, "id", print_number(info->id));
    print_set(value, "order", print_text(cli_word(cli_order_words, s->order)));
    print_set(value, "replicas", print_number(s->replicas));
    print_set(value, "min_insync", print_number(s->min_insync));
    print_set(value, "gap", print_text(cli_word(cli_gap_words, s->gap)));
    print_set(value, "gap_timeout_us", print_number(s->gap_timeout_us));
    print_set(value, "durability", print_text(cli_word(cli_durability_words, s->durability)));
    print_set(value, "first_offset", print_number(info->first_offset));
    print_set(value, "next_offset", print_number(info->next_offset));
    print_set(value, "durable_offset", print_number(info->durable_offset));
    return value;
}

static int create_run(struct cli *cli, const void *values)
{
    const struct create_values *v = values;
    struct emb_topic_settings settings;
    struct emb_topic_info info;
    struct emb_error err = {0};
    int result;
    struct emb_client *client = cli_connect(cli, &result);

    if (!client)
        return result;
    emb_topic_settings_init(&settings);
    settings.order = v->order;
    settings.replicas = (uint32_t)v->replicas;
    settings.min_insync = (uint32_t)v->min_insync;
    settings.gap = v->gap;
    settings.durability = v->durability;
    if (v->gap_timeout_ns != CLI_NOT_GIVEN)
        settings.gap_timeout_us = (uint32_t)(v->gap_timeout_ns / 1000);
    result = CLI_DONE;
    if (emb_topic_create(client, cli->arguments[0], &settings, &info, &err) != EMB_OK)
        result = cli_refused(&err);
    else if (v->json)
        print_value(topic_value(&info), true);
    else
        printf("created topic %s\n", info.name);
    return cli_disconnect(client, result);
}

static int list_run(struct cli *cli, const void *values)
{
    const struct show_values *v = values;
    struct emb_topic_info *topics = NULL;
    struct emb_error err = {0};
    size_t count = 0;
    int result;
    struct emb_client *client = cli_connect(cli, &result);

    if (!client)
        return result;
    if (emb_topic_list(client, &topics, &count, &err) != EMB_OK)
        return cli_disconnect(client, cli_refused(&err));
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(rows, topic_value(&topics[i]));
    emb_topic_list_free(topics);
    if (count == 0 && !v->json)
        cli_note("there are no topics");
    print_value(rows, v->json);
    return cli_disconnect(client, CLI_DONE);
}

static int describe_run(struct cli *cli, const void *values)
{
    const struct show_values *v = values;
    struct emb_topic_info info;
    struct emb_error err = {0};
    int result;
    struct emb_client *client = cli_connect(cli, &result);

    if (!client)
        return result;
    result = CLI_DONE;
    if (emb_topic_describe(client, cli->arguments[0], &info, &err) != EMB_OK)
        result = cli_refused(&err);
    else
        print_value(topic_value(&info), v->json);
    return cli_disconnect(client, result);
}

static int delete_run(struct cli *cli, const void *values)
{
    const struct show_values *v = values;
    struct emb_error err = {0};
    int result;
    struct emb_client *client = cli_connect(cli, &result);

    if (!client)
        return result;
    result = CLI_DONE;
    if (emb_topic_delete(client, cli->arguments[0], &err) != EMB_OK)
        result = cli_refused(&err);
    else if (v->json)
        print_value(json_pack("{s:s}", "deleted", cli->arguments[0]), true);
    else
        printf("deleted topic %s\n", cli->arguments[0]);
    return cli_disconnect(client, result);
}

const struct cli_command topic_commands[] = {
    {.noun = "topic",
     .verb = "create",
     .arguments = "NAME",
     .arguments_min = 1,
     .arguments_max = 1,
     .text = "Creates a topic",
     .more = "A topic is one log. Names have 1 to 249 letters, digits, '.', '_' and '-'.",
     .example = "embarcadero topic create orders --order client --replicas 2",
     .options = create_rows,
     .option_count = COUNT_OF(create_rows),
     .value_bytes = sizeof(struct create_values),
     .run = create_run},
    {.noun = "topic",
     .verb = "list",
     .arguments = "",
     .text = "Lists the topics with their settings and offsets",
     .example = "embarcadero topic list",
     .options = show_rows,
     .option_count = COUNT_OF(show_rows),
     .value_bytes = sizeof(struct show_values),
     .run = list_run},
    {.noun = "topic",
     .verb = "describe",
     .arguments = "NAME",
     .arguments_min = 1,
     .arguments_max = 1,
     .text = "Shows one topic's settings and offsets",
     .more =
         "first_offset is the oldest that can be read, next_offset comes after the newest that\n"
         "is ordered, durable_offset after the newest that is durable.",
     .example = "embarcadero topic describe orders --json",
     .options = show_rows,
     .option_count = COUNT_OF(show_rows),
     .value_bytes = sizeof(struct show_values),
     .run = describe_run},
    {.noun = "topic",
     .verb = "delete",
     .arguments = "NAME",
     .arguments_min = 1,
     .arguments_max = 1,
     .text = "Deletes a topic with all its messages",
     .example = "embarcadero topic delete orders",
     .options = show_rows,
     .option_count = COUNT_OF(show_rows),
     .value_bytes = sizeof(struct show_values),
     .run = delete_run},
    {0},
};

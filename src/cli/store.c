/* store inspect, check: the log on disk of one or several replicas, which nobody has open. */
#include "store/store.h"

#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/sink.h"
#include "cli/store_catalog.h"
#include "cli/store_verify.h"
#include "cli/words.h"

#define PROBLEMS_SHOWN 20

struct inspect_values {
    bool entries;
    bool json;
};

struct check_values {
    const char *topic;
    const char *dump_values;
    const char *dump_batches;
    uint64_t member;
    bool json;
};

#define INSPECT(name) .field = offsetof(struct inspect_values, name)
#define CHECK(name)   .field = offsetof(struct check_values, name)

static const struct cli_option inspect_rows[] = {
    {.name = "entries",
     .type = CLI_FLAG,
     INSPECT(entries),
     .text = "list every entry; as JSON, one object a line"},
    {.name = "json", .type = CLI_FLAG, INSPECT(json), .text = "print JSON"},
};

static const struct cli_option check_rows[] = {
    {.name = "topic",
     .type = CLI_TEXT,
     CHECK(topic),
     .argument = "NAME|ID",
     .text = "what to dump; the newest of this name"},
    {.name = "dump-values",
     .type = CLI_TEXT,
     CHECK(dump_values),
     .argument = "FILE",
     .text = "write the values of the topic as lines, in order (- is stdout)"},
    {.name = "member",
     .type = CLI_NUMBER,
     CHECK(member),
     .argument = "K",
     .max = CHAIN_MAX - 1,
     .text = "read each value from this member of its chain, 0 the head; default: any"},
    {.name = "dump-batches",
     .type = CLI_TEXT,
     CHECK(dump_batches),
     .argument = "FILE",
     .text = "write node, position, lane, topic, offset, messages, bytes, CRC32C of each batch"},
    {.name = "json", .type = CLI_FLAG, CHECK(json), .text = "print JSON"},
};

/* ---- what a store is ------------------------------------------------------------------------- */

static json_t *uuid_value(const uint8_t uuid[16])
{
    char text[33];
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", uuid[i]);
    return json_string(text);
}

static void summary_set(json_t *row, const struct store_summary *s)
{
    print_set(row, "node", print_number(s->node));
    print_set(row, "uuid", uuid_value(s->uuid));
    print_set(row, "life", print_number(s->life));
    print_set(row, "files", print_number(s->files));
    print_set(row, "bytes", print_number(s->bytes));
    print_set(row, "entries", print_number(s->entries));
    print_set(row, "payloads", print_number(s->payloads));
    print_set(row, "payload_bytes", print_number(s->payload_bytes));
    print_set(row, "first_position", print_number(s->first_position));
    print_set(row, "end_position", print_number(s->end_position));
    print_set(row, "synced_position", print_number(s->synced_position));
    print_set(row, "durable_position", print_number(s->durable_position));
    print_set(row, "corrupt", print_number(s->corrupt));
    print_set(row, "torn_tail", json_boolean(s->torn_tail));
}

static json_t *stores_value(const struct catalog *catalog)
{
    json_t *rows = json_array();
    for (int i = 0; i < catalog->store_count; i++) {
        const struct catalog_store *store = &catalog->stores[i];
        json_t *row = json_object();
        print_set(row, "store", print_text(store->path));
        if (store->result == EMB_OK || store->result == EMB_ERR_CORRUPT)
            summary_set(row, &store->summary);
        print_set(row, "missing", print_number(store->missing));
        print_set(row, "result",
                  print_text(store->result == EMB_OK && store->missing == 0 ? "ok"
                             : store->result == EMB_OK                      ? "incomplete"
                                                       : emb_error_text(store->result)));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *topics_value(const struct catalog *catalog)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < catalog->topic_count; i++) {
        const struct catalog_topic *topic = &catalog->topics[i];
        json_t *row = json_object();
        print_set(row, "id", print_number(topic->id));
        print_set(row, "name", print_text(topic->name));
        print_set(row, "deleted", json_boolean(topic->deleted));
        print_set(row, "order", print_text(cli_word(cli_order_words, topic->settings.order)));
        print_set(row, "replicas", print_number(topic->settings.replicas));
        print_set(row, "batches", print_number(topic->batches));
        print_set(row, "messages", print_number(topic->messages));
        print_set(row, "bytes", print_number(topic->bytes));
        print_set(row, "copies", topic->batches ? print_number(topic->copies) : json_null());
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *chains_value(const struct catalog *catalog)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < catalog->chain_count; i++) {
        const struct catalog_chain *chain = &catalog->chains[i];
        json_t *row = json_object();
        json_t *members = json_array();
        for (uint32_t m = 0; m < chain->count && m < CHAIN_MAX; m++)
            json_array_append_new(members, print_number(chain->members[m]));
        print_set(row, "lane", print_number(chain->lane));
        print_set(row, "version", print_number(chain->version));
        print_set(row, "from_position", print_number(chain->position));
        print_set(row, "members", members);
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *catalog_value(const struct catalog *catalog)
{
    json_t *value = json_object();
    print_set(value, "store", stores_value(catalog));
    print_set(value, "topic", topics_value(catalog));
    print_set(value, "chain", chains_value(catalog));
    return value;
}

static void catalog_print(json_t *value, bool as_json)
{
    const char *name, *between = "";
    json_t *rows;
    if (as_json) {
        print_value(value, true);
        return;
    }
    json_object_foreach(value, name, rows)
    {
        if (!json_is_array(rows) || json_array_size(rows) == 0)
            continue;
        printf("%s%s\n", between, name);
        print_table(stdout, rows, print_width());
        between = "\n";
    }
    json_decref(value);
}

/* ---- inspect --------------------------------------------------------------------------------- */

static const char *kind_text(const struct store_frame *frame)
{
    static const char *const kinds[] = {"?",        "data",  "meta", "duplicate",
                                        "rejected", "retry", "skip"};
    return frame->entry.kind < COUNT_OF(kinds) ? kinds[frame->entry.kind] : kinds[0];
}

static json_t *entry_value(const struct store_frame *frame)
{
    const struct goi_entry_shared *e = &frame->entry;
    json_t *row = json_object();
    print_set(row, "position", print_number(frame->position));
    print_set(row, "kind", print_text(kind_text(frame)));
    print_set(row, "lane", print_number(e->lane));
    print_set(row, "topic", print_number(e->topic));
    print_set(row, "base_offset", print_number(e->base_offset));
    print_set(row, "messages", print_number(e->message_count));
    print_set(row, "session", print_number(e->session));
    print_set(row, "client_sequence", print_number(e->client_sequence));
    print_set(row, "epoch", print_number(e->epoch));
    print_set(row, "flags", print_number(e->flags));
    print_set(row, "reason", print_number(e->reason));
    print_set(row, "payload_bytes", print_number(frame->payload_bytes));
    print_set(row, "file", print_text(frame->file));
    print_set(row, "file_offset", print_number(frame->file_offset));
    return row;
}

static int entry_print_json(void *arg, const struct store_frame *frame)
{
    if (frame->kind != STORE_FRAME_ENTRY)
        return 0;
    json_t *row = entry_value(frame);
    json_dumpf(row, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(row);
    return 0;
}

static void cell(uint64_t number, int width)
{
    if (number == UINT64_MAX)
        printf(" %*s", width, "-");
    else
        printf(" %*" PRIu64, width, number);
}

static int entry_print(void *arg, const struct store_frame *frame)
{
    const struct goi_entry_shared *e = &frame->entry;
    if (frame->kind == STORE_FRAME_SYNC)
        printf("%12" PRIu64 " synced    durable %" PRIu64 "\n", frame->position,
               frame->durable_position);
    if (frame->kind != STORE_FRAME_ENTRY)
        return 0;
    printf("%12" PRIu64 " %-9s", frame->position, kind_text(frame));
    cell(e->lane, 4);
    cell(e->topic, 5);
    cell(e->base_offset, 12);
    cell(e->message_count, 8);
    cell(e->session, 14);
    cell(e->client_sequence, 12);
    cell(e->flags, 5);
    cell(frame->payload_bytes, 9);
    putchar('\n');
    return 0;
}

static int entries_print(const char *path, bool as_json)
{
    struct env *env = env_create();
    struct store_summary summary;
    struct error err = {0};
    if (!env)
        return cli_fail("out of memory");
    if (!as_json)
        printf("%12s %-9s %4s %5s %12s %8s %14s %12s %5s %9s\n", "position", "kind", "lane",
               "topic", "offset", "messages", "session", "sequence", "flags", "payload");
    int rc = store_scan(env, path, as_json ? entry_print_json : entry_print, NULL, &summary, &err);
    env_destroy(env);
    return rc == EMB_OK ? CLI_DONE : cli_fail("store inspect: %s", err.text);
}

static void problem_ignore(void *arg, const char *problem)
{
}

static int inspect_run(struct cli *cli, const void *values)
{
    const struct inspect_values *v = values;
    struct catalog catalog;
    struct error err;
    int result = CLI_DONE;

    if (v->entries)
        return entries_print(cli->arguments[0], v->json);
    if (catalog_read(&catalog, cli->arguments, 1, &err) != EMB_OK) {
        result = cli_fail("store inspect: %s", err.text);
    } else if (catalog.stores[0].result != EMB_OK && catalog.stores[0].result != EMB_ERR_CORRUPT) {
        result = cli_fail("store inspect: %s", catalog.stores[0].err.text);
    } else {
        store_verify(&catalog, problem_ignore, NULL);
        catalog_print(catalog_value(&catalog), v->json);
        if (catalog.stores[0].result != EMB_OK)
            result = cli_fail("store inspect: %s", catalog.stores[0].err.text);
    }
    catalog_free(&catalog);
    return result;
}

/* ---- check ----------------------------------------------------------------------------------- */

static void problem_say(void *arg, const char *problem)
{
    int *said = arg;
    if ((*said)++ < PROBLEMS_SHOWN)
        cli_note("store check: %s", problem);
}

/* Each store by itself, then against the others. */
static int catalog_check(struct catalog *catalog, bool as_json)
{
    int said = 0;
    int result = CLI_DONE;
    for (int i = 0; i < catalog->store_count; i++)
        if (catalog->stores[i].result != EMB_OK)
            result = cli_fail("store check: %s", catalog->stores[i].err.text);
    int64_t problems = store_verify(catalog, problem_say, &said);
    if (problems < 0)
        return cli_fail("store check: out of memory");
    if (problems > PROBLEMS_SHOWN)
        cli_note("store check: ... and %" PRId64 " more", problems - PROBLEMS_SHOWN);
    json_t *value = catalog_value(catalog);
    print_set(value, "problems", json_integer(problems));
    catalog_print(value, as_json);
    return problems ? CLI_FAILED : result;
}

static int dump_to(const struct catalog *catalog, const struct check_values *v,
                   const struct catalog_topic *topic, const char *path, bool batches)
{
    struct sink sink;
    struct error err;
    uint32_t member = v->member == CLI_NOT_GIVEN ? MEMBER_ANY : (uint32_t)v->member;
    fflush(stdout);
    int rc = sink_open(&sink, path, &err);
    if (rc)
        return cli_fail("store check: %s", err.text);
    if (batches)
        store_dump_batches(catalog, topic ? topic->id : 0, &sink);
    else
        rc = store_dump_values(catalog, topic->id, member, &sink, &err);
    int result = rc ? cli_fail("store check: %s", err.text) : CLI_DONE;
    if (sink_close(&sink, &err) != EMB_OK)
        result = cli_fail("store check: %s", err.text);
    return result;
}

static int dumps_write(struct catalog *catalog, const struct check_values *v)
{
    const struct catalog_topic *topic = NULL;
    int values = CLI_DONE, batches = CLI_DONE;
    if (v->topic && !(topic = catalog_topic_find(catalog, v->topic)))
        return cli_fail("store check: topic %s: none of the stores knows it; %zu topics are there",
                        v->topic, catalog->topic_count);
    if (v->dump_values)
        values = dump_to(catalog, v, topic, v->dump_values, false);
    if (v->dump_batches)
        batches = dump_to(catalog, v, topic, v->dump_batches, true);
    return values ? values : batches;
}

static int check_run(struct cli *cli, const void *values)
{
    const struct check_values *v = values;
    struct catalog catalog;
    struct error err;
    int result;

    if (v->dump_values && !v->topic)
        return cli_usage("store check: --dump-values needs --topic");
    if (v->member != CLI_NOT_GIVEN && !v->dump_values)
        return cli_usage("store check: --member is for --dump-values");
    if (catalog_read(&catalog, cli->arguments, cli->argument_count, &err) != EMB_OK) {
        result = cli_fail("store check: %s", err.text);
    } else {
        result = catalog_check(&catalog, v->json);
        int dumped = dumps_write(&catalog, v);
        result = result ? result : dumped;
    }
    catalog_free(&catalog);
    return result;
}

const struct cli_command store_commands[] = {
    {.noun = "store",
     .verb = "inspect",
     .arguments = "DIR",
     .arguments_min = 1,
     .arguments_max = 1,
     .text = "Shows what a store holds",
     .more = "The store is only read; nobody may have it open. DIR is a node's own directory.",
     .example = "embarcadero store inspect embarcadero-data/node0 --entries",
     .options = inspect_rows,
     .option_count = COUNT_OF(inspect_rows),
     .value_bytes = sizeof(struct inspect_values),
     .run = inspect_run},
    {.noun = "store",
     .verb = "check",
     .arguments = "DIR...",
     .arguments_min = 1,
     .arguments_max = -1,
     .text = "Verifies stores, each by itself and against each other",
     .more =
         "Every CRC is checked; batches must be the same in all stores, and be in every given\n"
         "store that the chain of their lane names, as far as one of the stores knows that they\n"
         "were durable: so give all that there are. `copies` is the least number of stores that\n"
         "have a batch of the topic. The exit status is 1 if anything does not hold.",
     .example = "embarcadero store check data/node* --topic orders --dump-values - --member 1",
     .options = check_rows,
     .option_count = COUNT_OF(check_rows),
     .value_bytes = sizeof(struct check_values),
     .run = check_run},
    {0},
};

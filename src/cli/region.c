/* region format, inspect, check: the shared memory itself, without a running rack. */
#include "region/region.h"

#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "env/env.h"

#define LISTEN_NS      300000000L
#define PROBLEMS_SHOWN 100
#define UUID_TEXT      37

struct format_values {
    uint64_t region_bytes;
    uint64_t segment_bytes;
    uint64_t lanes;
    uint64_t lane_slots;
    uint64_t goi_segments;
    uint64_t goi_segment_entries;
    uint64_t topics;
    uint64_t sessions;
    int coherence;
    bool force;
    bool json;
};

struct look_values {
    bool json;
};

static const char *const coherence_words[] = {"auto", "hardware", "software", NULL};

#define FIELD(name) .field = offsetof(struct format_values, name)

/* The names and ranges of the daemon's options, and the defaults of its --dev. */
static const struct cli_option format_rows[] = {
    {.name = "region-size",
     .type = CLI_SIZE,
     FIELD(region_bytes),
     .value = "1GiB",
     .argument = "SIZE",
     .min = 1 << 20,
     .max = 1ULL << 44,
     .text = "of the whole region"},
    {.name = "segment-size",
     .type = CLI_SIZE,
     FIELD(segment_bytes),
     .value = "16MiB",
     .argument = "SIZE",
     .rules = CLI_POWER_OF_TWO,
     .min = 4096,
     .max = 1 << 30,
     .text = "unit in which brokers own payload memory"},
    {.name = "lanes",
     .type = CLI_NUMBER,
     FIELD(lanes),
     .value = "16",
     .argument = "N",
     .min = 1,
     .max = 64,
     .text = "rings of pending batches"},
    {.name = "lane-slots",
     .type = CLI_NUMBER,
     FIELD(lane_slots),
     .value = "8192",
     .argument = "N",
     .rules = CLI_POWER_OF_TWO,
     .min = 8,
     .max = 1 << 20,
     .text = "batches that one lane can hold"},
    {.name = "goi-segments",
     .type = CLI_NUMBER,
     FIELD(goi_segments),
     .value = "64",
     .argument = "N",
     .min = 16,
     .max = 65536,
     .text = "segments of the global order index"},
    {.name = "goi-segment-entries",
     .type = CLI_NUMBER,
     FIELD(goi_segment_entries),
     .value = "16384",
     .argument = "N",
     .rules = CLI_POWER_OF_TWO,
     .min = 8,
     .max = 1 << 20,
     .text = "entries of one of them"},
    {.name = "topics",
     .type = CLI_NUMBER,
     FIELD(topics),
     .value = "256",
     .argument = "N",
     .min = 1,
     .max = 4096,
     .text = "topics at most"},
    {.name = "sessions",
     .type = CLI_NUMBER,
     FIELD(sessions),
     .value = "4096",
     .argument = "N",
     .min = 1,
     .max = 1000000,
     .text = "publishers' sessions at most"},
    {.name = "coherence",
     .type = CLI_CHOICE,
     FIELD(coherence),
     .words = coherence_words,
     .value = "auto",
     .text = "whether stores become visible by themselves; auto: shm does, others do not"},
    {.name = "force",
     .type = CLI_FLAG,
     FIELD(force),
     .text =
         "replace a region that is there, but for one that a rack runs on; what it held is lost, "
         "also if the new one does not fit"},
    {.name = "json", .type = CLI_FLAG, FIELD(json), .text = "print the new region as JSON"},
};

static const struct cli_option look_rows[] = {
    {.name = "json",
     .type = CLI_FLAG,
     .field = offsetof(struct look_values, json),
     .text = "print JSON"},
};

/* A region as a tool sees it. */
struct sight {
    struct env *env;
    struct env_map *map;
    struct region region;
};

static void sight_close(struct sight *sight)
{
    if (sight->map)
        env_map_close(sight->map);
    if (sight->env)
        env_destroy(sight->env);
}

static int sight_open(struct sight *sight, const char *url, struct error *err)
{
    *sight = (struct sight){.env = env_create()};
    if (!sight->env)
        return error_set(err, EMB_ERR_NO_MEMORY, "out of memory");
    int rc = env_map_open(sight->env, url, 0, ENV_MAP_READ_ONLY, &sight->map, err);
    if (rc)
        return rc;
    struct error why;
    rc = region_attach(&sight->region, env_map_base(sight->map), env_map_bytes(sight->map),
                       MEM_WRITEBACK_AUTO, &why);
    return rc ? error_set(err, rc, "region %s: %.250s", url, why.text) : EMB_OK;
}

/* ---- who runs on it -------------------------------------------------------------------------- */

static void beats_look(struct region *region, uint64_t beats[NODE_MAX])
{
    for (uint32_t node = 0; node < NODE_MAX; node++)
        beats[node] =
            mem_observe_u64(&region->mem, &region_node_beat(region, node)->heartbeat); /* R7 */
}

/* A live node's heartbeat moves every few milliseconds; NODE_MAX: nobody's does. */
static uint32_t who_lives(struct region *region)
{
    const struct timespec listen = {.tv_nsec = LISTEN_NS};
    uint64_t before[NODE_MAX], after[NODE_MAX];
    uint32_t node = 0;
    beats_look(region, before);
    nanosleep(&listen, NULL);
    beats_look(region, after);
    while (node < NODE_MAX && before[node] == after[node])
        node++;
    return node;
}

static int refuse_if_lived_on(struct region *region, const char *url, struct error *err)
{
    uint32_t node = who_lives(region);
    if (node == NODE_MAX)
        return EMB_OK;
    return error_set(err, EMB_ERR_BUSY, "region %s: node %u runs on it; stop its process first",
                     url, node);
}

/* ---- what is in it --------------------------------------------------------------------------- */

static void uuid_text(const uint8_t uuid[16], char text[UUID_TEXT])
{
    size_t used = 0;
    for (int i = 0; i < 16; i++)
        used += (size_t)snprintf(text + used, UUID_TEXT - used, "%s%02x",
                                 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static json_t *superblock_value(const struct region *region, const char *url)
{
    const struct geometry *g = &region->geometry;
    char uuid[UUID_TEXT];
    json_t *value = json_object();
    uuid_text(region->uuid, uuid);
    print_set(value, "url", print_text(url));
    print_set(value, "uuid", print_text(uuid));
    print_set(value, "layout_version", print_number(LAYOUT_VERSION));
    print_set(value, "coherence",
              print_text(region->mem.coherence == MEM_HARDWARE ? "hardware" : "software"));
    print_set(value, "region_bytes", print_number(g->region_bytes));
    print_set(value, "segment_bytes", print_number(g->segment_bytes));
    print_set(value, "segments", print_number(region->areas.segments));
    print_set(value, "blog_bytes",
              print_number((uint64_t)region->areas.segments * g->segment_bytes));
    print_set(value, "lanes", print_number(g->lanes));
    print_set(value, "lane_slots", print_number(g->lane_slots));
    print_set(value, "goi_segments", print_number(g->goi_segments));
    print_set(value, "goi_segment_entries", print_number(g->goi_segment_entries));
    print_set(value, "topics", print_number(g->topics));
    print_set(value, "sessions", print_number(g->sessions));
    return value;
}

static json_t *epoch_value(struct region *region)
{
    struct epoch_view view;
    json_t *value = json_object();
    region_epoch_look(region, &view);
    print_set(value, "epoch", print_number(view.epoch));
    if (view.epoch == 0)
        return value;
    print_set(value, "sequencer", print_number(view.sequencer));
    print_set(value, "slot", print_number(view.slot));
    print_set(value, "workspace", print_number(view.workspace));
    print_set(value, "committed", print_number(region_committed_observe(region, view.workspace)));
    return value;
}

static json_t *intervals_value(struct region *region)
{
    struct epoch_view view;
    struct interval interval;
    json_t *rows = json_array();
    region_epoch_look(region, &view);
    for (uint64_t i = 0; view.epoch && i < INTERVAL_MAX; i++) {
        if (!region_interval_observe(region, view.workspace, view.epoch, i, &interval))
            break;
        json_t *row = json_object();
        print_set(row, "epoch", print_number(interval.epoch));
        print_set(row, "end", print_number(interval.end));
        print_set(row, "next_start", print_number(interval.next_start));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *roles_value(uint32_t roles)
{
    static const char *const names[] = {"broker", "replica", "sequencer", "standby"};
    json_t *value = json_array();
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (roles & 1u << i)
            json_array_append_new(value, json_string(names[i]));
    return value;
}

static json_t *node_value(struct region *region, uint32_t node,
                          const struct node_request_shared *request)
{
    const struct node_beat_shared *beat = region_node_beat(region, node);
    const struct node_read_shared *read = region_node_read(region, node);
    char uuid[UUID_TEXT], host[NODE_HOST_BYTES + 1];
    json_t *row = json_object();
    snprintf(host, sizeof host, "%.*s", NODE_HOST_BYTES, request->host);
    uuid_text(request->store_uuid, uuid);
    print_set(row, "node", print_number(node));
    print_set(row, "incarnation", print_number(request->incarnation));
    print_set(row, "roles", roles_value(request->roles));
    print_set(row, "host", print_text(host));
    print_set(row, "port", print_number(request->port));
    print_set(row, "heartbeat", print_number(mem_observe_u64(&region->mem, &beat->heartbeat)));
    print_set(row, "read_position",
              print_number(mem_observe_u64(&region->mem, &read->read_position)));
    print_set(row, "needed", print_number(mem_observe_u64(&region->mem, &read->needed)));
    print_set(row, "store_synced",
              print_number(mem_observe_u64(&region->mem, &read->store_synced)));
    print_set(row, "store_uuid", print_text(uuid));
    return row;
}

static json_t *nodes_value(struct region *region)
{
    struct node_request_shared request;
    json_t *rows = json_array();
    for (uint32_t node = 0; node < NODE_MAX; node++)
        if (region_node_request_observe(region, node, &request))
            json_array_append_new(rows, node_value(region, node, &request));
    return rows;
}

/* Living segments by owner. */
static json_t *segments_value(struct region *region)
{
    uint64_t living = 0, used = 0;
    for (uint32_t segment = 0; segment < region->areas.segments; segment++) {
        uint64_t generation = region_segment_generation(region, segment);
        living += segment_is_living(generation);
        used += generation != 0;
    }
    return json_pack("{s:I, s:I, s:I}", "all", (json_int_t)region->areas.segments, "ever_used",
                     (json_int_t)used, "living", (json_int_t)living);
}

static json_t *region_value(struct region *region, const char *url)
{
    json_t *value = json_object();
    print_set(value, "region", superblock_value(region, url));
    print_set(value, "epoch", epoch_value(region));
    print_set(value, "interval", intervals_value(region));
    print_set(value, "node", nodes_value(region));
    print_set(value, "segment", segments_value(region));
    return value;
}

static void region_print(json_t *value, bool as_json)
{
    const char *name, *between = "";
    json_t *part;
    if (as_json) {
        print_value(value, true);
        return;
    }
    json_object_foreach(value, name, part)
    {
        if (json_is_array(part) && json_array_size(part) == 0)
            continue;
        printf("%s%s\n", between, name);
        print_table(stdout, part, print_width());
        between = "\n";
    }
    json_decref(value);
}

/* ---- commands -------------------------------------------------------------------------------- */

static struct geometry geometry_of(const struct format_values *v)
{
    return (struct geometry){.region_bytes = v->region_bytes,
                             .segment_bytes = (uint32_t)v->segment_bytes,
                             .lanes = (uint32_t)v->lanes,
                             .lane_slots = (uint32_t)v->lane_slots,
                             .goi_segments = (uint32_t)v->goi_segments,
                             .goi_segment_entries = (uint32_t)v->goi_segment_entries,
                             .topics = (uint32_t)v->topics,
                             .sessions = (uint32_t)v->sessions};
}

/* Somebody's file, which has the wrong name at most: neither blank nor a region, not even one that
   is damaged. A device has no other use. */
static bool is_foreign(const struct sight *sight, bool is_device)
{
    uint64_t magic = 0;
    if (sight->map && !is_device)
        memcpy(&magic, env_map_base(sight->map), sizeof magic);
    return magic != 0 && magic != SUPERBLOCK_MAGIC;
}

/* What is there goes, but for what a rack runs on and what never was a region. One of another
   version, or a damaged one, cannot be listened to, and goes. */
static int force_way(struct sight *sight, const char *url, bool is_device, struct error *err)
{
    struct sight there;
    struct error why;
    int rc = EMB_OK;
    if (sight_open(&there, url, &why) == EMB_OK)
        rc = refuse_if_lived_on(&there.region, url, err);
    else if (is_foreign(&there, is_device))
        rc = error_set(err, EMB_ERR_EXISTS,
                       "region %s holds something that is no region; --force replaces regions "
                       "only: choose another name, or remove it yourself",
                       url);
    sight_close(&there);
    if (rc == EMB_OK && !is_device)
        rc = env_map_remove(sight->env, url, err);
    return rc == EMB_ERR_NOT_FOUND ? EMB_OK : rc;
}

/* A mapping to format: a new one, or a device without a region. */
static int mapping_make(struct sight *sight, const char *url, uint64_t bytes, bool force,
                        struct error *err)
{
    int rc = force ? force_way(sight, url, strncmp(url, "dax:", 4) == 0, err) : EMB_OK;
    if (rc)
        return rc;
    rc = env_map_open(sight->env, url, bytes, ENV_MAP_CREATE, &sight->map, err);
    if (rc == EMB_ERR_EXISTS)
        return error_set(err, rc, "region %s is there already; --force replaces it", url);
    if (rc)
        return rc;
    if (!force && region_is_formatted(env_map_base(sight->map), env_map_bytes(sight->map)))
        return error_set(err, EMB_ERR_EXISTS,
                         "region %s is formatted already; --force formats it anew", url);
    return EMB_OK;
}

static int format_do(struct sight *sight, const struct format_values *v, const char *url,
                     struct error *err)
{
    struct geometry geometry = geometry_of(v);
    enum mem_coherence coherence = v->coherence                   ? (enum mem_coherence)v->coherence
                                   : strncmp(url, "shm:", 4) == 0 ? MEM_HARDWARE
                                                                  : MEM_SOFTWARE;
    uint8_t uuid[16];
    int rc = geometry_check(&geometry, err);
    if (rc == EMB_OK)
        rc = mapping_make(sight, url, geometry.region_bytes, v->force, err);
    if (rc)
        return rc;
    env_random(sight->env, uuid, sizeof uuid);
    rc = region_format(env_map_base(sight->map), &geometry, coherence, uuid, err);
    if (rc == EMB_OK)
        rc = region_attach(&sight->region, env_map_base(sight->map), env_map_bytes(sight->map),
                           MEM_WRITEBACK_AUTO, err);
    return rc;
}

static int format_run(struct cli *cli, const void *values)
{
    const struct format_values *v = values;
    const char *url = cli->arguments[0];
    struct sight sight = {.env = env_create()};
    struct error err = {0};
    char size[UNITS_TEXT_BYTES];
    int result = CLI_DONE;

    if (!sight.env)
        return cli_fail("out of memory");
    int rc = format_do(&sight, v, url, &err);
    if (rc != EMB_OK) {
        cli_note("region format: %s", err.text);
        result = rc == EMB_ERR_INVALID_ARGUMENT || rc == EMB_ERR_INVALID_SETTING ? CLI_USAGE
                                                                                 : CLI_FAILED;
    } else if (v->json) {
        print_value(superblock_value(&sight.region, url), true);
    } else {
        units_size_text(v->region_bytes, size);
        printf("formatted %s: %s, %u segments of %u bytes\n", url, size,
               sight.region.areas.segments, sight.region.geometry.segment_bytes);
    }
    sight_close(&sight);
    return result;
}

static int inspect_run(struct cli *cli, const void *values)
{
    const struct look_values *v = values;
    struct sight sight;
    struct error err = {0};
    int result = CLI_DONE;

    if (sight_open(&sight, cli->arguments[0], &err) != EMB_OK)
        result = cli_fail("region inspect: %s", err.text);
    else
        region_print(region_value(&sight.region, cli->arguments[0]), v->json);
    sight_close(&sight);
    return result;
}

static void problem_take(void *arg, const char *problem)
{
    json_t *problems = arg;
    if (json_array_size(problems) < PROBLEMS_SHOWN)
        json_array_append_new(problems, print_text(problem));
}

static int check_report(struct region *region, const char *url, bool as_json)
{
    json_t *problems = json_array();
    int count = region_check(region, problem_take, problems);
    size_t i;
    json_t *problem;
    if (as_json) {
        print_value(json_pack("{s:s, s:i, s:o}", "url", url, "problems", count, "first", problems),
                    true);
        return count ? CLI_FAILED : CLI_DONE;
    }
    json_array_foreach(problems, i, problem)
    {
        cli_note("region check: %s: %s", url, json_string_value(problem));
    }
    json_decref(problems);
    if (count)
        return cli_fail("region check: %s: %d problems", url, count);
    printf("%s: no problems\n", url);
    return CLI_DONE;
}

static int check_run(struct cli *cli, const void *values)
{
    const struct look_values *v = values;
    struct sight sight;
    struct error err = {0};
    int result;

    if (sight_open(&sight, cli->arguments[0], &err) != EMB_OK)
        result = cli_fail("region check: %s", err.text);
    else
        result = check_report(&sight.region, cli->arguments[0], v->json);
    sight_close(&sight);
    return result;
}

static int remove_run(struct cli *cli, const void *values)
{
    const struct look_values *v = values;
    const char *url = cli->arguments[0];
    struct sight sight;
    struct error err = {0};
    int rc = strncmp(url, "dax:", 4) ? sight_open(&sight, url, &err)
                                     : error_set(&err, EMB_ERR_NOT_SUPPORTED,
                                                 "%s is a device; \"embarcadero region format "
                                                 "--force\" makes an empty region of it",
                                                 url);
    if (rc)
        return cli_fail("region remove: %s", err.text);
    rc = refuse_if_lived_on(&sight.region, url, &err);
    if (rc == EMB_OK)
        rc = env_map_remove(sight.env, url, &err);
    sight_close(&sight);
    if (rc)
        return cli_fail("region remove: %s", err.text);
    if (v->json)
        print_value(json_pack("{s:s}", "removed", url), true);
    return CLI_DONE;
}

const struct cli_command region_commands[] = {
    {.noun = "region",
     .verb = "format",
     .arguments = "URL",
     .arguments_min = 1,
     .arguments_max = 1,
     .text = "Makes an empty region",
     .more = "URL: shm:NAME, file:PATH or dax:/dev/daxX.Y. A device is formatted where it is.",
     .example = "embarcadero region format shm:rack1 --region-size 4GiB",
     .options = format_rows,
     .option_count = COUNT_OF(format_rows),
     .value_bytes = sizeof(struct format_values),
     .run = format_run},
    {.noun = "region",
     .verb = "inspect",
     .arguments = "URL",
     .arguments_min = 1,
     .arguments_max = 1,
     .text = "Shows geometry, epoch, nodes and segments of a region",
     .more = "The region is only read; a rack may run on it.",
     .example = "embarcadero region inspect shm:rack1 --json",
     .options = look_rows,
     .option_count = COUNT_OF(look_rows),
     .value_bytes = sizeof(struct look_values),
     .run = inspect_run},
    {.noun = "region",
     .verb = "check",
     .arguments = "URL",
     .arguments_min = 1,
     .arguments_max = 1,
     .text = "Verifies every line of a region",
     .more = "The region is only read; a rack may run on it. Problems go to stderr, and the exit\n"
             "status is 1 if there are any.",
     .example = "embarcadero region check file:/mnt/famfs/rack1",
     .options = look_rows,
     .option_count = COUNT_OF(look_rows),
     .value_bytes = sizeof(struct look_values),
     .run = check_run},
    {.noun = "region",
     .verb = "remove",
     .arguments = "URL",
     .arguments_min = 1,
     .arguments_max = 1,
     .text = "Removes the region of a rack that has stopped",
     .more =
         "Refused while a node's heartbeat moves. What only the memory held is lost; the stores "
         "stay.",
     .example = "embarcadero region remove shm:rack1",
     .options = look_rows,
     .option_count = COUNT_OF(look_rows),
     .value_bytes = sizeof(struct look_values),
     .run = remove_run},
    {0},
};

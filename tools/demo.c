/* The program of `make demo`: one command a step; tools/demo.sh calls them in order. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "env/env.h"
#include "store/store.h"
#include "tools/demo_disk.h"
#include "tools/demo_place.h"
#include "tools/demo_run.h"
#include "tools/demo_selftest.h"

#define EXIT_USAGE   2
#define REPLICAS     2
#define NODES_MAX    32
#define PATH_BYTES   1024
#define HIGHEST_LANE LANE_MAX

static const char usage_text[] =
    "usage: embarcadero-demo disk DIR\n"
    "         says what file system DIR is on and how long a sync takes; fails where nothing is\n"
    "         kept\n"
    "       embarcadero-demo run --brokers tcp://HOST:PORT,... --source FILE --delivered FILE\n"
    "                            [--topic NAME]\n"
    "         publishes the lines of a file, reads them back, checks order and bytes\n"
    "       embarcadero-demo verify --data DIR --delivered FILE [--topic NAME]\n"
    "         compares the stores DIR/node0, ... of a stopped rack with what was delivered\n"
    "       embarcadero-demo values --delivered FILE\n"
    "         prints the values of what was delivered as lines\n"
    "       embarcadero-demo selftest\n"
    "         plants faults and fails if a check misses one\n";

struct arguments {
    const char *brokers;
    const char *source;
    const char *delivered;
    const char *data;
    const char *topic;
};

static int usage(const char *what)
{
    fprintf(stderr, "embarcadero-demo: %s\n%s", what, usage_text);
    return EXIT_USAGE;
}

static bool arguments_read(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        {"brokers", required_argument, NULL, 'b'},   {"source", required_argument, NULL, 's'},
        {"delivered", required_argument, NULL, 'd'}, {"data", required_argument, NULL, 'D'},
        {"topic", required_argument, NULL, 't'},     {NULL, 0, NULL, 0}};
    int option;
    *arguments = (struct arguments){.topic = "demo"};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'b':
            arguments->brokers = optarg;
            break;
        case 's':
            arguments->source = optarg;
            break;
        case 'd':
            arguments->delivered = optarg;
            break;
        case 'D':
            arguments->data = optarg;
            break;
        case 't':
            arguments->topic = optarg;
            break;
        default:
            return false;
        }
    }
    return optind == argc;
}

static int command_disk(int argc, char **argv)
{
    if (argc != 2)
        return usage("disk takes one directory");
    struct place place;
    struct error err;
    if (place_measure(argv[1], &place, &err)) {
        fprintf(stderr, "demo: %s\n", err.text);
        return EXIT_FAILURE;
    }
    char free_text[UNITS_TEXT_BYTES], sync_text[UNITS_TEXT_BYTES];
    units_size_round((double)place.free_bytes, free_text);
    units_duration_round((double)place.sync_ns, sync_text);
    printf("%s, %s free, write and sync of 4 KiB: %s (median of %d)\n", place.filesystem, free_text,
           sync_text, PLACE_ROUNDS);
    return EXIT_SUCCESS;
}

static int command_run(struct env *env, const struct arguments *arguments)
{
    if (!arguments->brokers || !arguments->source || !arguments->delivered)
        return usage("run needs --brokers, --source and --delivered");
    struct run_options options = {.env = env,
                                  .brokers = arguments->brokers,
                                  .source = arguments->source,
                                  .delivered = arguments->delivered,
                                  .topic = arguments->topic,
                                  .replicas = REPLICAS};
    return run_demo(&options);
}

/* ---- verify ---------------------------------------------------------------------------------- */

static bool scan_node(struct env *env, const char *data, uint32_t node, struct disk_check *check,
                      bool *found)
{
    char path[PATH_BYTES];
    struct store_summary summary;
    struct error err;
    snprintf(path, sizeof path, "%s/node%u", data, node);
    disk_check_begin(check, node);
    int rc = store_scan(env, path, disk_check_frame, check, &summary, &err);
    *found = rc != EMB_ERR_NOT_FOUND;
    if (!*found)
        return true;
    if (rc && (summary.corrupt || !check->why[0])) /* what is missing after damage is no news */
        snprintf(check->why, sizeof check->why, "P4 violated: %s", err.text);
    return disk_check_end(check, summary.synced_position);
}

static void print_members(const struct disk_check *check)
{
    printf("  %-10s %-10s %10s %10s %15s\n", "chain of", "member", "", "batches", "bytes");
    for (unsigned lane = 0; lane <= HIGHEST_LANE; lane++)
        for (unsigned i = 0; i < CHAIN_MAX; i++) {
            const struct disk_member *member = &check->members[lane][i];
            if (member->batches)
                printf("  lane %-5u %-10u %5s%-5u %10llu %15llu\n", lane, i, "node", member->node,
                       (unsigned long long)member->batches, (unsigned long long)member->bytes);
        }
}

static int command_verify(struct env *env, const struct arguments *arguments)
{
    struct delivered delivered;
    struct disk_check check;
    struct error err;
    uint32_t node = 0;
    bool found = true;
    if (!arguments->data || !arguments->delivered)
        return usage("verify needs --data and --delivered");
    if (delivered_open(&delivered, arguments->delivered, &err)) {
        fprintf(stderr, "demo: %s\n", err.text);
        return EXIT_FAILURE;
    }
    disk_check_init(&check, &delivered, arguments->topic);
    bool good = true;
    while (good && found && node < NODES_MAX)
        good = scan_node(env, arguments->data, node++, &check, &found);
    if (good && node == 1 && !found)
        snprintf(check.why, sizeof check.why, "P4 violated: %s/node0 holds no store",
                 arguments->data);
    good = good && disk_check_finish(&check, REPLICAS);
    if (good) {
        print_members(&check);
        printf("  P4 durable on disk     holds (%llu messages in %llu batches, read whole from "
               "each of %d replicas, equal to what was delivered)\n",
               (unsigned long long)delivered.messages, (unsigned long long)check.batch_count,
               REPLICAS);
    } else {
        fprintf(stderr, "demo: %s\n", check.why);
    }
    disk_check_free(&check);
    delivered_close(&delivered);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int command_values(const struct arguments *arguments)
{
    struct delivered delivered;
    struct error err;
    if (!arguments->delivered)
        return usage("values needs --delivered");
    if (delivered_open(&delivered, arguments->delivered, &err)) {
        fprintf(stderr, "demo: %s\n", err.text);
        return EXIT_FAILURE;
    }
    for (uint64_t i = 0; i < delivered.messages; i++) {
        struct bytes key, value;
        delivered_message(&delivered, i, &key, &value);
        fwrite(value.at, 1, value.count, stdout);
        putchar('\n');
    }
    delivered_close(&delivered);
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- which ----------------------------------------------------------------------------------- */

static int with_env(int (*command)(struct env *, const struct arguments *),
                    const struct arguments *arguments)
{
    struct env *env = env_create();
    if (!env)
        return EXIT_FAILURE;
    int status = command(env, arguments);
    env_destroy(env);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0) {
        fputs(usage_text, stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(command, "disk") == 0)
        return command_disk(argc - 1, argv + 1);
    if (strcmp(command, "selftest") == 0)
        return demo_selftest();
    if (!*command)
        return usage("a command is needed");
    if (!arguments_read(argc - 1, argv + 1, &arguments))
        return usage("that cannot be read");
    if (strcmp(command, "run") == 0)
        return with_env(command_run, &arguments);
    if (strcmp(command, "verify") == 0)
        return with_env(command_verify, &arguments);
    if (strcmp(command, "values") == 0)
        return command_values(&arguments);
    return usage("there is no such command");
}

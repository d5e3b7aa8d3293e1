#include "tests/rig.h"

#include <dirent.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/bits.h"
#include "tests/flow.h"

#define PATIENCE_MS 20000u
#define LOOK_NS     1000000u

/* A thread sanitizer knows nothing of cache instructions: there only the first mode is run, and
   with a thread a node, so that it has something to look at. */
#if defined(__SANITIZE_THREAD__)
#define MODES_BUILT 1
#define DEDICATED   true
#else
#define MODES_BUILT RIG_MODES_MAX
#define DEDICATED   false
#endif

static const struct rig_mode all_modes[RIG_MODES_MAX] = {
    {"hardware", MEM_HARDWARE, MEM_WRITEBACK_AUTO, "shm", DEDICATED, false},
    {"software clwb", MEM_SOFTWARE, MEM_WRITEBACK_CLWB, "shm", true, false},
    {"software clflushopt", MEM_SOFTWARE, MEM_WRITEBACK_CLFLUSHOPT, "file", false, false},
    {"software movdir64b", MEM_SOFTWARE, MEM_WRITEBACK_MOVDIR64B, "shm", false, false},
    {"daemons hardware", MEM_HARDWARE, MEM_WRITEBACK_AUTO, "shm", false, true},
    {"daemons clwb", MEM_SOFTWARE, MEM_WRITEBACK_CLWB, "file", true, true},
    {"daemons clflushopt", MEM_SOFTWARE, MEM_WRITEBACK_CLFLUSHOPT, "shm", false, true},
    {"daemons movdir64b", MEM_SOFTWARE, MEM_WRITEBACK_MOVDIR64B, "file", false, true},
};

uint32_t rig_time_factor(void)
{
    const char *text = getenv("EMB_TEST_TIME_FACTOR");
    int factor = text ? atoi(text) : 1;
    return factor > 1 ? (uint32_t)factor : 1;
}

uint32_t rig_patience_ms(void)
{
    return PATIENCE_MS * rig_time_factor();
}

void rig_skip(const char *format, ...)
{
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    print_message("skipped: %s\n", reason);
    skip();
    abort(); /* skip() does not return */
}

void rig_wait_until(bool (*is_so)(void *arg), void *arg, const char *what)
{
    struct env *env = env_create();
    struct env_poller *nap;
    assert_non_null(env);
    assert_int_equal(env_poller_create(env, &nap), EMB_OK);
    uint64_t end_ns = env_now_ns(env) + rig_patience_ms() * 1000000ull;
    bool so = is_so(arg);
    while (!so && env_now_ns(env) < end_ns) {
        env_poller_wait(nap, LOOK_NS);
        so = is_so(arg);
    }
    env_poller_destroy(nap);
    env_destroy(env);
    if (!so)
        fail_msg("%u ms passed before %s", rig_patience_ms(), what);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *found, int type, struct FTW *where)
{
    return remove(path);
}

void rig_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int rig_entries(const char *directory)
{
    DIR *open = opendir(directory);
    int count = 0;
    if (!open)
        return -1;
    while (readdir(open))
        count++;
    closedir(open);
    return count - 2;
}

/* A store on tmpfs would prove nothing of disks. */
static int make_directory(struct rig *rig)
{
    struct statfs on;
    if (statfs(".", &on) || on.f_type == 0x01021994) {
        print_error("the current directory is on tmpfs; run the tests in a real file system\n");
        return -1;
    }
    char template[RIG_PATH / 2] = "./e2e-XXXXXX";
    char *made = mkdtemp(template);
    char *whole = made ? realpath(made, NULL) : NULL;
    if (!whole || strlen(whole) >= sizeof rig->directory) {
        print_error("no directory can be made here\n");
        free(whole);
        return -1;
    }
    snprintf(rig->directory, sizeof rig->directory, "%s", whole);
    free(whole);
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void options_init(struct rig *rig)
{
    const struct rig_mode *mode = rig->mode;
    const char *unique = strrchr(rig->directory, '-');
    if (strcmp(mode->region, "shm") == 0)
        snprintf(rig->region_url, sizeof rig->region_url, "shm:emb-test-%d%s", (int)getpid(),
                 unique);
    else
        snprintf(rig->region_url, sizeof rig->region_url, "file:%s/region", rig->directory);
    snprintf(rig->data, sizeof rig->data, "%s/data", rig->directory);
    rig->options = (struct rack_options){.env = rig->env,
                                         .region_url = rig->region_url,
                                         .geometry = geometry_test(),
                                         .coherence = mode->coherence,
                                         .writeback = mode->writeback,
                                         .nodes = 4,
                                         .replicas = 2,
                                         .host = "127.0.0.1",
                                         .data = rig->data,
                                         .dedicated = mode->dedicated,
                                         .max_batch_bytes = 256 << 10,
                                         .max_message_bytes = 255 << 10,
                                         .fence_timeout_ns = 15000000000ull * rig_time_factor()};
}

int rig_setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    if (!rig)
        return -1;
    rig->mode = *state;
    *state = rig;
    rig->env = env_create();
    if (!rig->env || make_directory(rig))
        return -1;
    options_init(rig);
    return 0;
}

/* The broker is in the rack, and the chains are set. */
static void note_ready(void *arg, const struct emb_status_item *item)
{
    uint32_t *missing = arg;
    if (!strcmp(item->table, "broker") && !strcmp(item->name, "lane_open") && !item->number)
        *missing += 1;
    if (!strcmp(item->table, "lane") && !strcmp(item->name, "chain_version") && !item->number)
        *missing += 1;
}

static bool are_ready(void *arg)
{
    struct rig *rig = arg;
    uint32_t missing = 0;
    size_t count = emb_client_brokers(rig->client, NULL, 0);
    for (size_t i = 0; i < count; i++)
        if (emb_status(rig->client, (int)i, note_ready, &missing, NULL))
            return false;
    return count == rig->options.nodes && missing == 0;
}

/* A client learns the list of brokers when it connects: a new one each time. */
static bool daemons_are_ready(void *arg)
{
    struct rig *rig = arg;
    rig->client = rig_client(rig, 0);
    bool ready = are_ready(rig);
    if (!ready) {
        emb_client_close(rig->client, NULL);
        rig->client = NULL;
    }
    return ready;
}

static void start_daemons(struct rig *rig)
{
    daemons_start(&rig->daemons, &rig->options, rig->directory);
    rig_wait_until(daemons_are_ready, rig, "all daemons were in the rack");
}

void rig_start(struct rig *rig)
{
    struct error err = {0};
    if (rig->mode->daemons) {
        start_daemons(rig);
        return;
    }
    if (rack_start(&rig->options, &rig->rack, &err)) {
        rig->rack = NULL;
        fail_msg("the rack does not start: %s", err.text);
    }
    rig->client = rig_client(rig, 0);
}

static void end_rack(struct rig *rig)
{
    if (rig->client)
        assert_int_equal(emb_client_close(rig->client, NULL), EMB_OK);
    rig->client = NULL;
    if (rig->rack)
        rack_stop(rig->rack, false);
    rig->rack = NULL;
}

static void assert_rack_is_well(struct rig *rig)
{
    struct error err = {0};
    if (rig->mode->daemons) {
        daemons_assert_well(&rig->daemons);
        return;
    }
    if (rack_failure(rig->rack, &err))
        fail_msg("the rack has failed: %s", err.text);
    for (uint32_t i = 0; rig->options.replicas && i < rig->options.nodes; i++)
        if (rack_replica_failure(rig->rack, i, &err))
            fail_msg("replica %u has failed: %s", i, err.text);
}

static void assert_region_is_gone(const struct rig *rig)
{
    char path[RIG_PATH + 16];
    if (strncmp(rig->region_url, "shm:", 4) == 0)
        snprintf(path, sizeof path, "/dev/shm/%s", rig->region_url + 4);
    else
        snprintf(path, sizeof path, "%s", rig->region_url + 5);
    if (access(path, F_OK) == 0)
        fail_msg("%s is still there after the rack has stopped", path);
}

void rig_stop(struct rig *rig)
{
    flows_join(rig);
    assert_rack_is_well(rig);
    end_rack(rig);
    if (rig->mode->daemons)
        daemons_stop(&rig->daemons);
    assert_region_is_gone(rig);
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;
    flows_free(rig);
    end_rack(rig);
    daemons_kill(&rig->daemons);
    rig_remove(rig->directory);
    env_destroy(rig->env);
    free(rig);
    return 0;
}

#if defined(__SANITIZE_THREAD__)
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
#else
#define AnnotateIgnoreReadsBegin(file, line)
#define AnnotateIgnoreReadsEnd(file, line)
#endif

static void take_counter(void *arg, const struct emb_status_item *item)
{
    struct sequencer_counters *counters = arg;
    const struct {
        const char *name;
        uint64_t *to;
    } told[] = {{"data", &counters->data},          {"meta", &counters->meta},
                {"retry", &counters->retry},        {"held", &counters->held},
                {"held_now", &counters->held_now},  {"released", &counters->released},
                {"fences", &counters->fences},      {"skip", &counters->skip},
                {"passes", &counters->passes},      {"checkpoints", &counters->checkpoints},
                {"committed", &counters->committed}};
    for (size_t i = 0; !strcmp(item->table, "sequencer") && i < COUNT_OF(told); i++)
        if (!strcmp(item->name, told[i].name))
            *told[i].to = item->number;
}

/* rack.h says that these are racy while the rack runs; the thread sanitizer is told so, too. */
void rig_counters(struct rig *rig, struct sequencer_counters *counters)
{
    struct emb_error err;
    *counters = (struct sequencer_counters){0};
    if (rig->mode->daemons) {
        for (int i = 0; i < (int)rig->options.nodes; i++)
            if (emb_status(rig->client, i, take_counter, counters, &err))
                fail_msg("%s", err.text);
        return;
    }
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    rack_sequencer_counters(rig->rack, counters);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

/* ---- clients and topics ---------------------------------------------------------------------- */

uint16_t rig_port(const struct rig *rig, uint32_t node)
{
    return rig->mode->daemons ? rig->daemons.ports[node] : rack_port(rig->rack, node);
}

void rig_brokers(const struct rig *rig, uint32_t first, char *text, size_t bytes)
{
    size_t used = 0;
    for (uint32_t i = 0; i < rig->options.nodes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s127.0.0.1:%u", i ? "," : "tcp://",
                                 rig_port(rig, (first + i) % rig->options.nodes));
    assert_true(used < bytes);
}

struct emb_client *rig_client(const struct rig *rig, uint32_t first_broker)
{
    char brokers[512];
    struct emb_client_options options;
    struct emb_client *client;
    struct emb_error err = {0};
    rig_brokers(rig, first_broker, brokers, sizeof brokers);
    emb_client_options_init(&options);
    options.brokers = brokers;
    options.timeout_ms = rig_patience_ms();
    if (emb_client_open(&options, &client, &err))
        fail_msg("no client: %s", err.text);
    return client;
}

void rig_topic(struct rig *rig, const char *name, int order, uint32_t replicas)
{
    struct emb_topic_settings settings;
    struct emb_error err = {0};
    emb_topic_settings_init(&settings);
    settings.order = order;
    settings.replicas = replicas;
    if (emb_topic_create(rig->client, name, &settings, NULL, &err))
        fail_msg("topic %s is not created: %s", name, err.text);
}

/* ---- modes and cases ------------------------------------------------------------------------- */

uint32_t rig_modes(const struct rig_mode **modes)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MODES_BUILT; i++)
        if (all_modes[i].coherence == MEM_HARDWARE ||
            mem_writeback_available(all_modes[i].writeback))
            modes[count++] = &all_modes[i];
    return count;
}

/* A number that another run does not have, or that of the run to be repeated. */
static uint32_t draw_seed(void)
{
    const char *given = getenv("EMB_TEST_SEED");
    struct env *env = env_create();
    uint32_t seed = 0;
    if (given)
        seed = (uint32_t)strtoul(given, NULL, 10);
    else if (env)
        env_random(env, &seed, sizeof seed);
    env_destroy(env);
    return seed % 1000000;
}

/* Whether the case runs in this mode. */
static bool is_drawn(const struct rig_case *one, uint32_t index, uint32_t seed, uint32_t mode,
                     const struct rig_mode *const *modes, uint32_t mode_count)
{
    uint32_t allowed = 0, before = 0;
    if (one->where == RIG_FIRST_MODE)
        return mode == 0;
    for (uint32_t m = 0; m < mode_count; m++) {
        bool fits = one->where != RIG_IN_PROCESS || !modes[m]->daemons;
        if (m == mode && !fits)
            return false;
        before += fits && m < mode;
        allowed += fits;
    }
    const char *matrix = getenv("EMB_TEST_MATRIX");
    return (matrix && matrix[0] == '1') || (seed + index) % allowed == before;
}

static void name_test(char name[96], const char *one, const char *mode)
{
    snprintf(name, 96, "%s/%s", one, mode);
    for (char *at = name; *at; at++)
        if (*at == ' ')
            *at = '-';
}

int rig_run(const char *suite, const struct rig_case *cases, size_t count)
{
    const struct rig_mode *modes[RIG_MODES_MAX];
    uint32_t mode_count = rig_modes(modes), seed = draw_seed();
    struct CMUnitTest *tests = calloc(count * mode_count, sizeof *tests);
    char(*names)[96] = calloc(count * mode_count, sizeof *names);
    size_t used = 0;
    if (!tests || !names)
        return 1;
    print_message("modes are drawn: EMB_TEST_SEED=%u for the same, EMB_TEST_MATRIX=1 for all; "
                  "EMB_TEST_CASE='name*' for some cases\n",
                  seed);
    for (uint32_t m = 0; m < mode_count; m++) {
        for (size_t i = 0; i < count; i++) {
            if (!is_drawn(&cases[i], (uint32_t)i, seed, m, modes, mode_count))
                continue;
            name_test(names[used], cases[i].name, modes[m]->name);
            tests[used] = (struct CMUnitTest){.name = names[used],
                                              .test_func = cases[i].test,
                                              .setup_func = rig_setup,
                                              .teardown_func = rig_teardown,
                                              .initial_state = (void *)modes[m]};
            used++;
        }
    }
    cmocka_set_test_filter(getenv("EMB_TEST_CASE"));
    int failed = _cmocka_run_group_tests(suite, tests, used, NULL, NULL);
    free(tests);
    free(names);
    return failed;
}

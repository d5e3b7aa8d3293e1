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
    {"hardware", MEM_HARDWARE, MEM_WRITEBACK_AUTO, "shm", DEDICATED},
    {"software clwb", MEM_SOFTWARE, MEM_WRITEBACK_CLWB, "shm", true},
    {"software clflushopt", MEM_SOFTWARE, MEM_WRITEBACK_CLFLUSHOPT, "file", false},
    {"software movdir64b", MEM_SOFTWARE, MEM_WRITEBACK_MOVDIR64B, "shm", false},
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

void rig_start(struct rig *rig)
{
    struct error err = {0};
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
    assert_region_is_gone(rig);
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;
    flows_free(rig);
    end_rack(rig);
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

/* rack.h says that these are racy while the rack runs; the thread sanitizer is told so, too. */
void rig_counters(struct rig *rig, struct sequencer_counters *counters)
{
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    rack_sequencer_counters(rig->rack, counters);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

/* ---- clients and topics ---------------------------------------------------------------------- */

void rig_brokers(const struct rig *rig, uint32_t first, char *text, size_t bytes)
{
    size_t used = 0;
    for (uint32_t i = 0; i < rig->options.nodes; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s127.0.0.1:%u", i ? "," : "tcp://",
                                 rack_port(rig->rack, (first + i) % rig->options.nodes));
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

int rig_run(const char *suite, const struct rig_case *cases, size_t count)
{
    const struct rig_mode *modes[RIG_MODES_MAX];
    uint32_t mode_count = rig_modes(modes);
    struct CMUnitTest *tests = calloc(count * mode_count, sizeof *tests);
    char(*names)[96] = calloc(count * mode_count, sizeof *names);
    size_t used = 0;
    if (!tests || !names)
        return 1;
    for (uint32_t m = 0; m < mode_count; m++) {
        for (size_t i = 0; i < count; i++) {
            if (m > 0 && cases[i].first_mode_only)
                continue;
            snprintf(names[used], sizeof *names, "%s/%s", cases[i].name, modes[m]->name);
            for (char *at = names[used]; *at; at++)
                if (*at == ' ')
                    *at = '-';
            tests[used] = (struct CMUnitTest){.name = names[used],
                                              .test_func = cases[i].test,
                                              .setup_func = rig_setup,
                                              .teardown_func = rig_teardown,
                                              .initial_state = (void *)modes[m]};
            used++;
        }
    }
    int failed = _cmocka_run_group_tests(suite, tests, used, NULL, NULL);
    free(tests);
    free(names);
    return failed;
}

/* The library in somebody's process: signals, descriptors 0 to 2, callbacks. (That sockets raise no
   SIGPIPE is env_socket's test.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "client/process_rig.h"

/* ---- signals --------------------------------------------------------------------------------- */

static pid_t main_thread;
static volatile sig_atomic_t alarms, elsewhere;

static void on_alarm(int signal)
{
    (void)signal;
    alarms++;
    elsewhere += gettid() != main_thread;
}

static void alarms_every(suseconds_t us)
{
    const struct itimerval every = {.it_interval = {.tv_usec = us}, .it_value = {.tv_usec = us}};
    setitimer(ITIMER_REAL, &every, NULL);
}

/* Handlers without SA_RESTART interrupt callers at any place: nothing fails, and all of them run
   in the program's thread. */
static void test_signals_interrupt_nothing(void **state)
{
    const struct sigaction action = {.sa_handler = on_alarm};
    struct sigaction before;
    struct life f;
    (void)state;

    main_thread = gettid();
    alarms = elsewhere = 0;
    sigaction(SIGALRM, &action, &before);
    alarms_every(500);
    life_start(&f);
    life_open(&f, NULL);
    for (int i = 0; i < 1000 && (i < 20 || alarms < 50); i++) {
        const struct emb_message message = {.value = &f.published, .value_bytes = 8};
        uint64_t offset;
        assert_int_equal(emb_publish_wait(f.publisher, &message, WAIT_MS, &offset, &f.err), EMB_OK);
        assert_int_equal(offset, f.published++);
        life_publish(&f, 50);
        life_read_to(&f, f.published);
        assert_int_equal(emb_topic_describe(f.client, "orders", NULL, &f.err), EMB_OK);
    }
    life_close(&f);
    alarms_every(0);
    sigaction(SIGALRM, &before, NULL);
    assert_true(alarms > 0);
    assert_int_equal(elsewhere, 0);
}

/* The blocked signals of the thread with that name, as /proc shows them; 0: no such thread. */
static uint64_t blocked_by(const char *name)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    uint64_t blocked = 0;

    while ((entry = readdir(dir)) != NULL) {
        char path[512], line[256], found[64] = "";
        unsigned long long mask;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "r") : NULL;
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            if (sscanf(line, "Name: %63s", found) == 1)
                continue;
            if (sscanf(line, "SigBlk: %llx", &mask) == 1 && strcmp(found, name) == 0)
                blocked = mask;
        }
        if (file != NULL)
            fclose(file);
    }
    closedir(dir);
    return blocked;
}

static void test_its_thread_blocks_all_signals(void **state)
{
    struct life f;
    (void)state;

    life_start(&f);
    uint64_t blocked = blocked_by("emb-client");
    for (int i = 1; i <= SIGRTMAX; i++) {
        bool possible = i != SIGKILL && i != SIGSTOP && (i < 32 || i >= SIGRTMIN);
        if (possible && (blocked >> (i - 1) & 1) == 0)
            fail_msg("signal %d is not blocked: %#llx", i, (unsigned long long)blocked);
    }
    sigset_t own;
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    assert_false(sigismember(&own, SIGTERM)); /* the caller's mask is as it was */
    assert_int_equal(emb_client_close(f.client, &f.err), EMB_OK);
    fake_rack_stop(&f.rack);
    fake_rack_free(&f.rack);
}

/* ---- descriptors 0 to 2 ---------------------------------------------------------------------- */

static int session_with_errors(struct life *f)
{
    struct emb_client *none;
    struct emb_client_options options;

    emb_client_options_init(&options);
    options.brokers = "tcp://127.0.0.1:1";
    options.timeout_ms = 200;
    CHECK(emb_client_open(&options, &none, &f->err) == EMB_ERR_UNAVAILABLE);
    life_start(f);
    CHECK(emb_topic_describe(f->client, "missing", NULL, &f->err) == EMB_ERR_UNKNOWN_TOPIC);
    CHECK(emb_topic_describe(f->client, "bad name", NULL, &f->err) == EMB_ERR_INVALID_TOPIC);
    life_open(f, NULL);
    life_publish(f, 1000);
    life_read_to(f, 1000);
    life_close(f);
    return 0;
}

/* Its connections are then 0 to 2: whatever it printed would be read by a broker. */
static int child_without_descriptors(struct life *f)
{
    close(0);
    close(1);
    close(2);
    return session_with_errors(f);
}

static int child_with_output(struct life *f)
{
    char path[] = "client-output-XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    unlink(path);
    CHECK(dup2(fd, 1) == 1 && dup2(fd, 2) == 2);
    int line = session_with_errors(f);
    if (line != 0)
        return line;
    CHECK(lseek(fd, 0, SEEK_END) == 0);
    return 0;
}

static void test_it_prints_nothing(void **state)
{
    struct life f = {0};
    (void)state;

    fflush(NULL);
    child_expect(child_with_output, &f);
    child_expect(child_without_descriptors, &f);
}

/* ---- callbacks ------------------------------------------------------------------------------- */

#define CHAIN 200u

struct chain {
    struct life *f;
    uint32_t calls;
    int wrong; /* a line */
};

static int chain_goes_on(struct chain *chain)
{
    struct life *f = chain->f;
    const struct emb_message message = {.value = &f->published, .value_bytes = 8};
    struct emb_publisher_stats stats;
    struct emb_publisher *other;
    struct emb_subscriber *reader;
    struct emb_message got;
    struct emb_batch batch;
    struct emb_error e;

    emb_publisher_stats(f->publisher, &stats);
    CHECK(stats.accepted_messages > 0);
    if (chain->calls >= CHAIN)
        return 0;
    CHECK(emb_publish(f->publisher, &message, 0, 0, &e) == EMB_OK);
    f->published++;
    CHECK(emb_publish_wait(f->publisher, &message, 0, NULL, &e) == EMB_ERR_NOT_SUPPORTED);
    CHECK(emb_publisher_flush(f->publisher, EMB_FOREVER, &e) == EMB_ERR_NOT_SUPPORTED);
    CHECK(strstr(e.text, "inside a callback") != NULL);
    CHECK(emb_publisher_close(f->publisher, 0, &e) == EMB_ERR_NOT_SUPPORTED);
    CHECK(emb_topic_delete(f->client, "orders", &e) == EMB_ERR_NOT_SUPPORTED);
    CHECK(emb_publisher_open(f->client, "orders", NULL, &other, &e) == EMB_ERR_NOT_SUPPORTED);
    CHECK(emb_subscriber_open(f->client, "orders", NULL, &reader, &e) == EMB_ERR_NOT_SUPPORTED);
    CHECK(emb_subscriber_seek(f->subscriber, 0, 0, &e) == EMB_ERR_NOT_SUPPORTED);
    CHECK(emb_subscriber_next(f->subscriber, &got, 1, &e) == EMB_ERR_NOT_SUPPORTED);
    CHECK(emb_subscriber_next_batch(f->subscriber, &batch, 1, &e) == EMB_ERR_NOT_SUPPORTED);
    return 0;
}

static void chain_on_message(void *arg, uint64_t cookie, uint64_t offset, int code)
{
    struct chain *chain = arg;
    (void)cookie;
    (void)offset;

    chain->calls++;
    int line = code == EMB_OK ? chain_goes_on(chain) : __LINE__;
    if (line != 0 && chain->wrong == 0)
        chain->wrong = line;
}

/* A callback may publish; calls that would wait for its own thread are refused. */
static void test_callbacks(void **state)
{
    struct life f;
    struct chain chain = {.f = &f};
    struct emb_publisher_options options;
    (void)state;

    life_start(&f);
    emb_publisher_options_init(&options);
    options.on_message = chain_on_message;
    options.arg = &chain;
    life_open(&f, &options);
    life_publish(&f, 1);
    life_read_to(&f, CHAIN);
    assert_int_equal(emb_publisher_flush(f.publisher, WAIT_MS, &f.err), EMB_OK);
    if (chain.wrong != 0)
        fail_msg("the callback's check in line %d failed", chain.wrong);
    life_close(&f);
}

static void full_on_result(void *arg, const struct emb_result *result)
{
    struct chain *chain = arg;
    static char value[4096];
    const struct emb_message message = {.value = value, .value_bytes = sizeof value};
    (void)result;

    for (int i = 0; chain->calls == 0 && i < 100; i++)
        chain->wrong = emb_publish(chain->f->publisher, &message, 0, EMB_FOREVER, NULL);
    chain->calls++;
}

/* With no room left it does not wait for the room that only its own thread can make. */
static void test_a_full_publisher_in_a_callback(void **state)
{
    struct life f;
    struct chain chain = {.f = &f};
    struct emb_publisher_options options;
    (void)state;

    life_start(&f);
    emb_publisher_options_init(&options);
    options.batch_bytes_max = options.batch_bytes_min = 8192;
    options.max_buffered_bytes = 16384;
    options.on_result = full_on_result;
    options.arg = &chain;
    life_open(&f, &options);
    life_publish(&f, 1);
    assert_int_equal(emb_publisher_flush(f.publisher, WAIT_MS, &f.err), EMB_OK);
    assert_int_equal(chain.wrong, EMB_ERR_TIMEOUT);
    life_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_interrupt_nothing),
        cmocka_unit_test(test_its_thread_blocks_all_signals),
        cmocka_unit_test(test_it_prints_nothing),
        cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_a_full_publisher_in_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

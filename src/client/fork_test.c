/* What fork() does to handles: the child's refuse and can be closed, the parent's go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/flag.h"
#include "client/process_rig.h"

#define FORKS 40

#if defined(__SANITIZE_THREAD__)
#define CHILD_HAS_THREADS false /* that sanitizer ends a child that starts one */
#else
#define CHILD_HAS_THREADS true
#endif

static int descriptors_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static int refuses(int code, const struct emb_error *err)
{
    return code == EMB_ERR_NOT_SUPPORTED && err->code == code &&
           strstr(err->text, "a child made by fork() may close it") != NULL;
}

static void item_drop(void *arg, const struct emb_status_item *item)
{
    (void)arg;
    (void)item;
}

static int calls_refuse(struct life *f)
{
    const struct emb_message message = {.value = "x", .value_bytes = 1};
    struct emb_error *e = &f->err;
    struct emb_publisher *publisher;
    struct emb_subscriber *subscriber;
    struct emb_message got;
    struct emb_batch batch;
    struct emb_topic_info *list;
    size_t count;

    CHECK(refuses(emb_topic_create(f->client, "new", NULL, NULL, e), e));
    CHECK(refuses(emb_topic_describe(f->client, "orders", NULL, e), e));
    CHECK(refuses(emb_topic_delete(f->client, "orders", e), e));
    CHECK(refuses(emb_topic_list(f->client, &list, &count, e), e) && list == NULL);
    CHECK(refuses(emb_status(f->client, EMB_BROKER_ANY, item_drop, NULL, e), e));
    CHECK(refuses(emb_publisher_open(f->client, "orders", NULL, &publisher, e), e));
    CHECK(publisher == NULL);
    CHECK(refuses(emb_subscriber_open(f->client, "orders", NULL, &subscriber, e), e));
    CHECK(subscriber == NULL);
    CHECK(refuses(emb_publish(f->publisher, &message, 0, EMB_FOREVER, e), e));
    CHECK(refuses(emb_publish_wait(f->publisher, &message, EMB_FOREVER, NULL, e), e));
    CHECK(refuses(emb_publisher_flush(f->publisher, EMB_FOREVER, e), e));
    CHECK(refuses(emb_subscriber_next(f->subscriber, &got, EMB_FOREVER, e), e));
    CHECK(refuses(emb_subscriber_next_batch(f->subscriber, &batch, EMB_FOREVER, e), e));
    CHECK(refuses(emb_subscriber_batch_message(f->subscriber, &got, e), e));
    CHECK(refuses(emb_subscriber_seek(f->subscriber, EMB_START_EARLIEST, 0, e), e));
    return 0;
}

static int handles_close(struct life *f)
{
    struct emb_publisher_stats stats;
    struct emb_broker brokers[2];

    emb_publisher_stats(f->publisher, &stats);
    CHECK(stats.accepted_messages == f->published);
    CHECK(emb_subscriber_position(f->subscriber) == f->read);
    CHECK(emb_client_brokers(f->client, brokers, 2) == 2);
    emb_subscriber_wake(f->subscriber);
    CHECK(emb_client_close(f->client, &f->err) == EMB_ERR_BUSY);
    CHECK(emb_publisher_close(f->publisher, EMB_FOREVER, &f->err) == EMB_OK);
    emb_subscriber_close(f->subscriber);
    CHECK(emb_client_close(f->client, &f->err) == EMB_OK);
    return 0;
}

/* A rack of the child's own parent, spoken to through a client of its own. */
static int own_client(struct life *f)
{
    struct emb_client_options options;

    emb_client_options_init(&options);
    options.brokers = f->rack.address;
    CHECK(emb_client_open(&options, &f->client, &f->err) == EMB_OK);
    CHECK(emb_topic_describe(f->client, "orders", NULL, &f->err) == EMB_OK);
    CHECK(emb_client_close(f->client, &f->err) == EMB_OK);
    return 0;
}

static int leaks(void)
{
#if defined(__SANITIZE_ADDRESS__)
    int __lsan_do_recoverable_leak_check(void);
    return __lsan_do_recoverable_leak_check();
#else
    return 0;
#endif
}

static int child_of_fork(struct life *f)
{
    int before = descriptors_open();

    int line = calls_refuse(f);
    if (line == 0)
        line = handles_close(f);
    if (line == 0 && CHILD_HAS_THREADS)
        line = own_client(f);
    if (line != 0)
        return line;
    /* The epoll and eventfd of the client, two connections of the publisher, one to read. */
    CHECK(descriptors_open() == before - 5);
    CHECK(leaks() == 0);
    return 0;
}

/* The child's handles do nothing and cost the parent's nothing. */
static void test_a_forked_child_only_closes(void **state)
{
    struct life f;
    (void)state;

    life_start(&f);
    life_open(&f, NULL);
    life_publish(&f, 1000);
    life_read_to(&f, 500);
    assert_int_equal(emb_publisher_flush(f.publisher, WAIT_MS, &f.err), EMB_OK);
    life_read_to(&f, 1000);
    life_publish(&f, 1000); /* some of it is under way */
    child_expect(child_of_fork, &f);
    life_publish(&f, 1000);
    life_read_to(&f, 3000);
    assert_int_equal(f.rack.sessions_closed, 0);
    life_close(&f);
    assert_int_equal(f.rack.sessions_closed, 1);
    assert_int_equal(f.rack.subscribed, 1);
}

struct publishing {
    struct life *f;
    struct flag allowed; /* messages: the log stays small, and so does what a fork copies */
    struct flag stop;
};

static void *publish_on(void *arg)
{
    struct publishing *p = arg;

    while (!flag_load_acquire(&p->stop)) {
        if (p->f->published >= flag_load_acquire(&p->allowed)) {
            sched_yield();
            continue;
        }
        const struct emb_message message = {.value = &p->f->published, .value_bytes = 8};
        if (emb_publish(p->f->publisher, &message, 0, WAIT_MS, NULL) != EMB_OK)
            return NULL;
        p->f->published++;
    }
    return p;
}

static int child_amid_traffic(struct life *f)
{
    CHECK(emb_publisher_close(f->publisher, EMB_FOREVER, &f->err) == EMB_OK);
    emb_subscriber_close(f->subscriber);
    CHECK(emb_client_close(f->client, &f->err) == EMB_OK);
    return 0;
}

/* Whatever the threads are amid of, the child's copy can be closed, and nothing is lost. */
static void test_forks_amid_traffic(void **state)
{
    struct life f;
    struct publishing publishing = {.f = &f};
    pthread_t thread;
    void *result;
    (void)state;

    life_start(&f);
    life_open(&f, NULL);
    flag_init(&publishing.stop, 0);
    flag_init(&publishing.allowed, 0);
    assert_int_equal(pthread_create(&thread, NULL, publish_on, &publishing), 0);
    for (int i = 0; i < FORKS; i++) {
        flag_store_release(&publishing.allowed, f.read + 5000);
        life_read_to(&f, f.read + 100);
        child_expect(child_amid_traffic, &f);
    }
    flag_store_release(&publishing.stop, 1);
    pthread_join(thread, &result);
    assert_non_null(result);
    assert_int_equal(emb_publisher_flush(f.publisher, WAIT_MS, &f.err), EMB_OK);
    life_read_to(&f, f.published);
    life_close(&f);
}

struct turn {
    struct life *f;
    struct flag amid;
    struct flag over;
};

static void dawdle_on_result(void *arg, const struct emb_result *result)
{
    struct turn *turn = arg;
    const struct timespec moment = {.tv_nsec = 50000000};
    (void)result;

    flag_store_release(&turn->amid, 1);
    nanosleep(&moment, NULL);
    flag_store_release(&turn->over, 1);
}

/* What the callback had changed halfway is whole in the child. */
static void test_a_fork_waits_for_the_end_of_a_turn(void **state)
{
    struct life f;
    struct turn turn = {.f = &f};
    struct emb_publisher_options options;
    int status = -1;
    (void)state;

    life_start(&f);
    flag_init(&turn.amid, 0);
    flag_init(&turn.over, 0);
    emb_publisher_options_init(&options);
    options.on_result = dawdle_on_result;
    options.arg = &turn;
    life_open(&f, &options);
    life_publish(&f, 1);
    while (!flag_load_acquire(&turn.amid))
        sched_yield();
    pid_t pid = fork();
    if (pid == 0)
        _exit(flag_load_acquire(&turn.over) ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    life_close(&f);
}

struct mirror {
    struct emb_publisher *to; /* of another client */
    struct flag amid;
    int code;
};

static void mirror_on_result(void *arg, const struct emb_result *result)
{
    const struct emb_message message = {.value = "x", .value_bytes = 1};
    const struct timespec moment = {.tv_nsec = 50000000};
    struct mirror *mirror = arg;
    (void)result;

    flag_store_release(&mirror->amid, 1);
    nanosleep(&moment, NULL); /* meanwhile the process begins to fork */
    mirror->code = emb_publish(mirror->to, &message, 0, 0, NULL);
}

/* The other client is the younger one: a fork turns to it first. */
static void test_a_callback_publishes_with_a_client_that_is_halted(void **state)
{
    struct life f;
    struct mirror mirror = {.code = 1};
    struct emb_client *other;
    struct emb_client_options client_options;
    struct emb_publisher_options options;
    (void)state;

    life_start(&f);
    flag_init(&mirror.amid, 0);
    emb_publisher_options_init(&options);
    options.on_result = mirror_on_result;
    options.arg = &mirror;
    life_open(&f, &options);
    emb_client_options_init(&client_options);
    client_options.brokers = f.rack.address;
    assert_int_equal(emb_client_open(&client_options, &other, &f.err), EMB_OK);
    assert_int_equal(emb_publisher_open(other, "orders", NULL, &mirror.to, &f.err), EMB_OK);
    life_publish(&f, 1);
    while (!flag_load_acquire(&mirror.amid))
        sched_yield();
    child_expect(child_amid_traffic, &f);
    assert_int_equal(emb_publisher_flush(f.publisher, WAIT_MS, &f.err), EMB_OK);
    assert_int_equal(mirror.code, EMB_OK);
    assert_int_equal(emb_publisher_close(mirror.to, WAIT_MS, &f.err), EMB_OK);
    assert_int_equal(emb_client_close(other, &f.err), EMB_OK);
    life_close(&f);
}

static void fork_on_result(void *arg, const struct emb_result *result)
{
    int *status = arg;
    (void)result;

    pid_t pid = fork();
    if (pid == 0)
        execl("/bin/true", "true", (char *)NULL);
    waitpid(pid, status, 0);
}

/* A child that is made in a callback may exec; the parent goes on. */
static void test_fork_in_a_callback(void **state)
{
    struct life f;
    struct emb_publisher_options options;
    int status = -1;
    (void)state;

    life_start(&f);
    emb_publisher_options_init(&options);
    options.on_result = fork_on_result;
    options.arg = &status;
    life_open(&f, &options);
    life_publish(&f, 1);
    assert_int_equal(emb_publisher_flush(f.publisher, WAIT_MS, &f.err), EMB_OK);
    assert_int_equal(status, 0);
    life_read_to(&f, 1);
    life_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_forked_child_only_closes),
        cmocka_unit_test(test_forks_amid_traffic),
        cmocka_unit_test(test_fork_in_a_callback),
        cmocka_unit_test(test_a_fork_waits_for_the_end_of_a_turn),
        cmocka_unit_test(test_a_callback_publishes_with_a_client_that_is_halted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Without memory: each allocation of each call fails once. The call succeeds nonetheless or says
   so; nothing hangs, breaks or (under the address sanitizer) leaks. The allocators are wrapped by
   the linker. */
#include "client/errors_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include "base/flag.h"

#define ALLOCATIONS_MOST 1000u

/* ---- allocators that fail on request --------------------------------------------------------- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);

static struct flag armed;        /* whether allocations are counted */
static struct flag until_failed; /* so many succeed before one fails */
static struct flag has_failed;

/* The library's threads are the caller's and its own; the fake rack's is another process. */
static bool is_the_librarys(void)
{
    char name[16] = "";

    pthread_getname_np(pthread_self(), name, sizeof name);
    return gettid() == getpid() || strcmp(name, "emb-client") == 0;
}

static bool fails_now(void)
{
    if (!flag_load_acquire(&armed) || !is_the_librarys())
        return false;
    /* Two threads may count at once: then another one fails, which is as good. */
    uint64_t left = flag_load_acquire(&until_failed);
    if (left > 0) {
        flag_store_release(&until_failed, left - 1);
        return false;
    }
    flag_store_release(&armed, 0);
    flag_store_release(&has_failed, 1);
    return true;
}

void *__wrap_malloc(size_t bytes)
{
    return fails_now() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails_now() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fails_now() ? NULL : __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fails_now() ? NULL : __real_aligned_alloc(alignment, bytes);
}

/* ---- every allocation of a call -------------------------------------------------------------- */

struct stage {
    struct scene scene;
    struct emb_publisher *publisher;
    struct emb_subscriber *subscriber;
};

typedef int memory_call(struct stage *g, struct emb_error *err);

/* The call succeeds, or says what is missing. */
static void outcome_check(int code, const struct emb_error *err, uint64_t number)
{
    if (code == EMB_OK || strstr(err->text, "memory") != NULL)
        return;
    fail_msg("with allocation %llu failed: %s: %s", (unsigned long long)number,
             emb_error_name(code), err->text);
}

/* `prepare` and `clear` (may be NULL) with memory, `call` without, until it needs no more. */
static void each_allocation_fails(memory_call *prepare, memory_call *call, memory_call *clear)
{
    uint64_t number = 0;
    struct stage g;
    struct emb_error err;

    memset(&g, 0, sizeof g);
    scene_init(&g.scene);
    for (int i = 0; i < 4; i++)
        fake_rack_append(&g.scene.rack, 10, EMB_COMPRESSION_LZ4);
    scene_start(&g.scene, LONG_MS);
    for (;; number++) {
        assert_true(number < ALLOCATIONS_MOST);
        if (prepare != NULL && prepare(&g, &err) != EMB_OK)
            fail_msg("%s", err.text);
        flag_store_release(&until_failed, number);
        flag_store_release(&has_failed, 0);
        flag_store_release(&armed, 1);
        int code = call(&g, &err);
        flag_store_release(&armed, 0);
        outcome_check(code, &err, number);
        if (clear != NULL)
            clear(&g, &err);
        if (!flag_load_acquire(&has_failed))
            break;
    }
    assert_true(number > 0);
    scene_end(&g.scene);
}

static int call_client(struct stage *g, struct emb_error *err)
{
    struct emb_client_options options;
    struct emb_client *client;

    emb_client_options_init(&options);
    options.brokers = g->scene.rack.address;
    int code = emb_client_open(&options, &client, err);
    if (code == EMB_OK)
        assert_int_equal(emb_client_close(client, NULL), EMB_OK);
    return code;
}

static int call_create(struct stage *g, struct emb_error *err)
{
    return emb_topic_create(g->scene.client, "new", NULL, NULL, err);
}

static int call_list(struct stage *g, struct emb_error *err)
{
    struct emb_topic_info *topics;
    size_t count;

    int code = emb_topic_list(g->scene.client, &topics, &count, err);
    assert_int_equal(count, code == EMB_OK ? 2 : 0);
    emb_topic_list_free(topics);
    return code;
}

static void item_drop(void *arg, const struct emb_status_item *item)
{
    (void)arg;
    (void)item;
}

static int call_status(struct stage *g, struct emb_error *err)
{
    return emb_status(g->scene.client, 0, item_drop, NULL, err);
}

static void message_drop(void *arg, uint64_t cookie, uint64_t offset, int code)
{
    (void)arg;
    (void)cookie;
    (void)offset;
    (void)code;
}

static int publisher_open(struct stage *g, struct emb_error *err)
{
    struct emb_publisher_options options;

    emb_publisher_options_init(&options);
    options.batch_bytes_max = options.batch_bytes_min = 8192;
    options.compression = EMB_COMPRESSION_LZ4;
    options.on_message = message_drop;
    return emb_publisher_open(g->scene.client, "orders", &options, &g->publisher, err);
}

static int publisher_close(struct stage *g, struct emb_error *err)
{
    int code = emb_publisher_close(g->publisher, LONG_MS, err);
    g->publisher = NULL;
    return code;
}

/* More messages than cookies are first made room for; the last one is waited for. */
static int call_publish(struct stage *g, struct emb_error *err)
{
    static char value[2000];
    const struct emb_message small = {0};
    const struct emb_message large = {.value = value, .value_bytes = sizeof value};
    int code = EMB_OK;

    for (int i = 0; i < 1100 && code == EMB_OK; i++)
        code = emb_publish(g->publisher, &small, 0, EMB_FOREVER, err);
    for (int i = 0; i < 20 && code == EMB_OK; i++)
        code = emb_publish(g->publisher, &large, 0, EMB_FOREVER, err);
    return code == EMB_OK ? emb_publish_wait(g->publisher, &large, LONG_MS, NULL, err) : code;
}

static int subscriber_open(struct stage *g, struct emb_error *err)
{
    return emb_subscriber_open(g->scene.client, "orders", NULL, &g->subscriber, err);
}

static int subscriber_close(struct stage *g, struct emb_error *err)
{
    emb_subscriber_close(g->subscriber);
    g->subscriber = NULL;
    err->code = EMB_OK;
    return EMB_OK;
}

/* Opening, receiving, decompressing, headers. */
static int call_read(struct stage *g, struct emb_error *err)
{
    struct emb_message message;
    int code = subscriber_open(g, err);

    for (uint64_t offset = 0; offset < 40 && code == EMB_OK; offset++) {
        int got = emb_subscriber_next(g->subscriber, &message, LONG_MS, err);
        if (got < 0)
            return got;
        assert_int_equal(got, 1);
        assert_int_equal(message.offset, offset);
    }
    return code;
}

static void test_client(void **state)
{
    (void)state;
    each_allocation_fails(NULL, call_client, NULL);
}

static void test_questions(void **state)
{
    (void)state;
    each_allocation_fails(NULL, call_create, NULL);
    each_allocation_fails(NULL, call_list, NULL);
    each_allocation_fails(NULL, call_status, NULL);
}

static void test_publisher(void **state)
{
    (void)state;
    each_allocation_fails(NULL, publisher_open, publisher_close);
}

static void test_publish(void **state)
{
    (void)state;
    each_allocation_fails(publisher_open, call_publish, publisher_close);
}

static void test_subscriber(void **state)
{
    (void)state;
    each_allocation_fails(NULL, call_read, subscriber_close);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client),     cmocka_unit_test(test_questions),
        cmocka_unit_test(test_publisher),  cmocka_unit_test(test_publish),
        cmocka_unit_test(test_subscriber),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

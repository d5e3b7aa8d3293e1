#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/bits.h"
#include "env/env.h"

#define SECOND 1000000000ull

struct world {
    struct env *env;
    struct env_poller *poller;
};

static int world_open(void **state)
{
    static struct world world;
    world.env = env_create();
    *state = &world;
    return !world.env || env_poller_create(world.env, &world.poller) != EMB_OK;
}

static int world_close(void **state)
{
    struct world *world = *state;
    env_poller_destroy(world->poller);
    env_destroy(world->env);
    return 0;
}

static uint64_t slept_ns(struct world *world, uint64_t timeout_ns)
{
    uint64_t before = env_now_ns(world->env);
    assert_int_equal(env_poller_wait(world->poller, timeout_ns), 0);
    return env_now_ns(world->env) - before;
}

static void a_sleep_lasts_its_timeout(void **state)
{
    assert_true(slept_ns(*state, 20000000) >= 20000000);
    assert_true(slept_ns(*state, 300000) >= 300000);
}

static void a_look_does_not_sleep(void **state)
{
    uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < 20; i++)
        shortest = min_u64(shortest, slept_ns(*state, 0));
    assert_true(shortest < 1000000);
}

static void a_wake_ends_the_next_sleep_and_only_that(void **state)
{
    struct world *world = *state;
    env_poller_wake(world->poller);
    env_poller_wake(world->poller);
    assert_int_equal(env_poller_wait(world->poller, 0), 0);
    assert_true(slept_ns(world, 20 * SECOND) < 10 * SECOND);
    assert_true(slept_ns(world, 20000000) >= 20000000);
}

static void *wake_from_thread(void *arg)
{
    env_poller_wake(arg);
    return NULL;
}

static void a_wake_from_another_thread_ends_a_sleep(void **state)
{
    struct world *world = *state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_from_thread, world->poller), 0);
    assert_true(slept_ns(world, 20 * SECOND) < 10 * SECOND);
    pthread_join(thread, NULL);
}

static struct env_poller *signalled_poller;

static void wake_from_signal(int number)
{
    env_poller_wake(signalled_poller);
}

static void a_wake_from_a_signal_handler_ends_a_sleep(void **state)
{
    struct world *world = *state;
    signalled_poller = world->poller;
    struct sigaction action = {.sa_handler = wake_from_signal}, before;
    sigaction(SIGALRM, &action, &before);
    struct itimerval soon = {.it_value = {.tv_usec = 5000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    /* One sleep is ended by the interruption, the next by the wake. */
    assert_true(slept_ns(world, 20 * SECOND) < 10 * SECOND);
    assert_true(slept_ns(world, 20 * SECOND) < 10 * SECOND);
    sigaction(SIGALRM, &before, NULL);
}

static void clocks_and_chance_differ(void **state)
{
    struct world *world = *state;
    uint64_t first = env_now_ns(world->env);
    assert_true(env_now_ns(world->env) >= first);
    assert_true(env_wall_ms(world->env) > 1600000000000ull);
    unsigned char a[300] = {0}, b[300] = {0};
    env_random(world->env, a, sizeof(a));
    env_random(world->env, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a + 256, b + 256, 44);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sleep_lasts_its_timeout),
        cmocka_unit_test(a_look_does_not_sleep),
        cmocka_unit_test(a_wake_ends_the_next_sleep_and_only_that),
        cmocka_unit_test(a_wake_from_another_thread_ends_a_sleep),
        cmocka_unit_test(a_wake_from_a_signal_handler_ends_a_sleep),
        cmocka_unit_test(clocks_and_chance_differ),
    };
    return cmocka_run_group_tests(tests, world_open, world_close);
}

/* Bells between pollers, as they are between processes: names belong to the network namespace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "env/env.h"

#define FAR_NS 10000000000ULL

struct world {
    struct env *env;
    struct env_poller *poller;
    struct env_bell *bell;
    char name[64];
};

static int world_open(void **state)
{
    static struct world world;
    struct error err;
    world.env = env_create();
    *state = &world;
    snprintf(world.name, sizeof world.name, "embarcadero-test/%d", (int)getpid());
    return !world.env || env_poller_create(world.env, &world.poller) != EMB_OK ||
           env_bell_hang(world.poller, world.name, &world.bell, &err) != EMB_OK;
}

static int world_close(void **state)
{
    struct world *world = *state;
    env_bell_take_down(world->bell);
    env_poller_destroy(world->poller);
    env_destroy(world->env);
    return 0;
}

static void a_ring_ends_a_sleep(void **state)
{
    struct world *world = *state;
    int found = env_bell_find(world->env, world->name);
    assert_true(found >= 0);
    for (int i = 0; i < 3; i++) {
        assert_true(env_bell_ring(found));
        uint64_t before_ns = env_now_ns(world->env);
        assert_int_equal(env_poller_wait(world->poller, FAR_NS), 1);
        assert_true(env_now_ns(world->env) - before_ns < FAR_NS / 2);
    }
    env_bell_forget(found);
}

/* However often it was rung while nobody slept, one sleep is cut short, and it never blocks. */
static void many_rings_are_one(void **state)
{
    struct world *world = *state;
    int found = env_bell_find(world->env, world->name);
    for (int i = 0; i < 100000; i++)
        assert_true(env_bell_ring(found));
    assert_int_equal(env_poller_wait(world->poller, FAR_NS), 1);
    assert_int_equal(env_poller_wait(world->poller, 0), 0);
    env_bell_forget(found);
}

static void a_name_hangs_once_and_is_free_again(void **state)
{
    struct world *world = *state;
    struct env_bell *second;
    struct error err;
    assert_int_equal(env_bell_hang(world->poller, world->name, &second, &err), EMB_ERR_BUSY);
    int found = env_bell_find(world->env, world->name);
    env_bell_take_down(world->bell);
    assert_false(env_bell_ring(found)); /* nobody is there */
    env_bell_forget(found);
    assert_int_equal(env_bell_find(world->env, world->name), -1);
    assert_int_equal(env_bell_hang(world->poller, world->name, &world->bell, &err), EMB_OK);
    assert_int_equal(env_bell_find(world->env, "embarcadero-test/none"), -1);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_ring_ends_a_sleep),
        IN_WORLD(many_rings_are_one),
        IN_WORLD(a_name_hangs_once_and_is_free_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

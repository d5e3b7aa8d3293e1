/* Two seats on one region: one of them orders, whichever way they meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/place.h"
#include "node/seat.h"

#define FIRST  0
#define SECOND 3
#define MS     1000000ULL

struct world {
    struct env *env;
    struct env_map *maps[2];
    char url[64];
};

static struct seat_options options_of(struct world *world, int which)
{
    return (struct seat_options){.env = world->env,
                                 .map = world->maps[which],
                                 .writeback = MEM_WRITEBACK_AUTO,
                                 .node = which ? SECOND : FIRST,
                                 .nodes = 2};
}

static int world_open(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct error err;
    assert_non_null(world);
    *state = world;
    world->env = env_create();
    snprintf(world->url, sizeof world->url, "shm:embarcadero-seat-test-%ld", (long)getpid());
    struct place_options place = {
        .env = world->env, .url = world->url, .geometry = geometry_test()};
    if (place_make(&place, &world->maps[0], &err) || place_open(&place, &world->maps[1], &err))
        fail_msg("%s", err.text);
    return 0;
}

static int world_close(void **state)
{
    struct world *world = *state;
    env_map_close(world->maps[0]);
    env_map_close(world->maps[1]);
    env_map_remove(world->env, world->url, NULL);
    env_destroy(world->env);
    free(world);
    return 0;
}

static struct seat *sit(struct world *world, int which)
{
    struct seat *seat = NULL;
    struct seat_options options = options_of(world, which);
    struct error err;
    assert_int_equal(seat_check(&options, NULL), EMB_OK);
    if (seat_create(&options, &seat, &err))
        fail_msg("%s", err.text);
    return seat;
}

static void ask(struct world *world, int which)
{
    struct region region;
    struct node_request_shared request = {
        .incarnation = 1, .roles = ROLE_SEQUENCER, .host = "h", .port = 1};
    struct env_map *map = world->maps[which];
    assert_int_equal(
        region_attach(&region, env_map_base(map), env_map_bytes(map), MEM_WRITEBACK_AUTO, NULL),
        EMB_OK);
    region_node_request_publish(&region, which ? SECOND : FIRST, &request);
    mem_drain(&region.mem);
}

static uint64_t epoch_of(struct world *world)
{
    struct region region;
    struct epoch_view view;
    struct env_map *map = world->maps[1];
    assert_int_equal(
        region_attach(&region, env_map_base(map), env_map_bytes(map), MEM_WRITEBACK_AUTO, NULL),
        EMB_OK);
    region_epoch_look(&region, &view);
    return view.epoch;
}

static void orders(struct seat *seat)
{
    struct agent agent = seat_agent(seat);
    struct sequencer_counters counters;
    struct error err;
    for (uint64_t turn = 1; turn <= 20; turn++)
        agent.do_work(agent.state, turn * MS);
    if (seat_failure(seat, &err))
        fail_msg("%s", err.text);
    seat_counters(seat, &counters);
    assert_true(counters.committed > 0);
}

static void refused(struct world *world, int which, int code)
{
    struct seat *seat = NULL;
    struct seat_options options = options_of(world, which);
    struct error err;
    assert_int_equal(seat_create(&options, &seat, &err), code);
    assert_null(seat);
}

/* The first has committed nothing yet, so that its epoch slot is all that tells of it. */
static void a_second_seat_ends_nobody(void **state)
{
    struct world *world = *state;
    struct seat *seat = sit(world, 0);
    struct seat_options second = options_of(world, 1);
    assert_int_equal(seat_check(&second, NULL), EMB_ERR_NOT_SUPPORTED);
    refused(world, 1, EMB_ERR_NOT_SUPPORTED);
    assert_int_equal(epoch_of(world), 1);
    orders(seat);
    refused(world, 1, EMB_ERR_NOT_SUPPORTED);
    assert_int_equal(epoch_of(world), 1);
    orders(seat);
    seat_destroy(seat);
}

/* Both were let in by seat_check, and have asked: neither publishes. */
static void of_two_that_ask_at_once_none_is_granted_an_epoch(void **state)
{
    struct world *world = *state;
    ask(world, 0);
    ask(world, 1);
    refused(world, 0, EMB_ERR_EXISTS);
    refused(world, 1, EMB_ERR_EXISTS);
    assert_int_equal(epoch_of(world), 0);
}

static void who_comes_while_another_asks_is_refused_and_that_one_sits(void **state)
{
    struct world *world = *state;
    ask(world, 0);
    refused(world, 1, EMB_ERR_EXISTS);
    assert_int_equal(epoch_of(world), 0);
    struct seat *seat = sit(world, 0);
    orders(seat);
    seat_destroy(seat);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_seat_ends_nobody),
        TEST(of_two_that_ask_at_once_none_is_granted_an_epoch),
        TEST(who_comes_while_another_asks_is_refused_and_that_one_sits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

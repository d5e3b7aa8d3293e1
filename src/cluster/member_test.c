#include "cluster/member.h"
#include "cluster/rig_test.h"

#define NODE 3

/* Stand-ins for the follower and the clock. */
struct follower {
    struct meta_state meta;
    bool current;
};
struct env {
    uint64_t wall_ms;
    uint64_t random;
};

static struct follower follower;
static struct env env;
static const uint8_t uuid[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6};

const struct meta_state *follower_meta(const struct follower *f)
{
    return &f->meta;
}

bool follower_is_current(const struct follower *f)
{
    return f->current;
}

uint64_t follower_live_nodes(const struct follower *f)
{
    uint64_t live = 0;
    for (uint32_t node = 0; node < NODE_MAX; node++)
        live |= (uint64_t)f->meta.nodes[node].live << node;
    return live;
}

uint64_t env_wall_ms(struct env *e)
{
    return e->wall_ms;
}

void env_random(struct env *e, void *bytes, size_t count)
{
    e->random++;
    memcpy(bytes, &e->random, count);
}

static struct member_options options_of(struct rig *rig)
{
    memset(&follower, 0, sizeof follower);
    follower.current = true;
    env.wall_ms = 1700000000000;
    return (struct member_options){.region = &rig->region,
                                   .follower = &follower,
                                   .node = NODE,
                                   .incarnation = env.wall_ms,
                                   .roles = ROLE_BROKER | ROLE_REPLICA,
                                   .lanes_wanted = 2,
                                   .store_uuid = uuid,
                                   .host = "192.168.100.200",
                                   .port = 9653,
                                   .life = 4};
}

/* Made, and its first turn is over: its request stands in the line. */
static struct member *asking(const struct member_options *options)
{
    struct member *member;
    assert_int_equal(member_create(options, &member, NULL), EMB_OK);
    assert_int_equal(member_do_work(member, 0), 1);
    assert_int_equal(member_failure(member, NULL), EMB_OK);
    return member;
}

static void the_request_carries_all_that_was_asked(void **state)
{
    struct rig *rig = *state;
    struct member *member;
    struct node_request_shared request;
    struct member_options options = options_of(rig);
    assert_false(region_node_request_observe(&rig->region, NODE, &request));
    assert_int_equal(member_create(&options, &member, NULL), EMB_OK);
    assert_false(region_node_request_observe(&rig->region, NODE, &request)); /* it may still fail */
    member_left(member);
    assert_false(region_node_request_observe(&rig->region, NODE, &request));
    assert_int_equal(member_do_work(member, 0), 1);
    assert_true(region_node_request_observe(&rig->region, NODE, &request));
    assert_int_equal(request.incarnation, 1700000000000);
    assert_int_equal(request.incarnation, member_incarnation(member));
    assert_int_equal(request.roles, ROLE_BROKER | ROLE_REPLICA);
    assert_int_equal(request.lanes_wanted, 2);
    assert_memory_equal(request.store_uuid, uuid, 16);
    assert_string_equal(request.host, "192.168.100.200");
    assert_int_equal(request.port, 9653);
    assert_int_equal(request.life, 4);
    assert_false(region_node_request_observe(&rig->region, NODE - 1, &request));
    member_destroy(member);
}

static void incarnations_rise_though_the_clock_does_not(void **state)
{
    struct rig *rig = *state;
    struct member_options options = options_of(rig);
    struct error err;
    uint64_t before = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(member_take_place(&env, &rig->region, NODE, &options.incarnation, &err),
                         EMB_OK);
        assert_true(options.incarnation > before);
        before = options.incarnation;
        struct member *member = asking(&options);
        member_left(member);
        member_destroy(member);
        env.wall_ms -= 5000;
    }
    assert_in_range(before - (1700000000000 << 12), 4, 100);
}

static void a_place_is_taken_until_it_is_left(void **state)
{
    struct rig *rig = *state;
    struct member_options options = options_of(rig);
    struct error err;
    uint64_t incarnation = 0;
    assert_int_equal(member_take_place(&env, &rig->region, NODE, &incarnation, &err), EMB_OK);
    assert_int_equal(incarnation >> 12, env.wall_ms);
    struct member *member = asking(&options);
    assert_int_equal(member_take_place(&env, &rig->region, NODE, &incarnation, &err),
                     EMB_ERR_EXISTS);
    assert_non_null(strstr(err.text, "node id 3"));
    assert_non_null(strstr(err.text, "192.168.100.200:9653"));
    assert_int_equal(member_take_place(&env, &rig->region, NODE - 1, &incarnation, &err), EMB_OK);
    member_left(member);
    assert_int_equal(member_take_place(&env, &rig->region, NODE, &incarnation, &err), EMB_OK);
    assert_true(incarnation > options.incarnation);
    member_destroy(member);
}

static void two_in_one_millisecond_differ(void **state)
{
    struct rig *rig = *state;
    struct member_options first = options_of(rig), second = first;
    assert_int_equal(member_take_place(&env, &rig->region, NODE, &first.incarnation, NULL), EMB_OK);
    assert_int_equal(member_take_place(&env, &rig->region, NODE, &second.incarnation, NULL),
                     EMB_OK);
    assert_int_not_equal(first.incarnation, second.incarnation);
}

/* Both found the place free. Who asks later is told at once; if both asked at the very same time,
   who finds the other's request in place of his own is, and leaves that alone. */
static void two_that_ask_at_once_are_told(void **state)
{
    struct rig *rig = *state;
    struct member *second;
    struct node_request_shared request;
    struct member_options options = options_of(rig);
    struct error err;
    struct member *first = asking(&options);
    options.incarnation += 5;
    options.port = 9699;
    assert_int_equal(member_create(&options, &second, NULL), EMB_OK);
    assert_int_equal(member_ask(second, &err), EMB_ERR_EXISTS);
    assert_int_equal(member_do_work(second, 1), 0);
    assert_int_equal(member_failure(second, NULL), EMB_ERR_EXISTS);
    assert_non_null(strstr(err.text, "192.168.100.200:9653"));
    member_left(second);
    assert_int_equal(member_do_work(first, 1), 0);
    assert_true(region_node_request_observe(&rig->region, NODE, &request));
    request.incarnation += 5;
    request.port = 9699;
    region_node_request_publish(&rig->region, NODE, &request);
    assert_int_equal(member_do_work(first, 2), 1);
    assert_int_equal(member_failure(first, &err), EMB_ERR_EXISTS);
    assert_non_null(strstr(err.text, "192.168.100.200:9699"));
    member_left(first);
    assert_true(region_node_request_observe(&rig->region, NODE, &request));
    assert_int_equal(request.port, 9699);
    assert_int_not_equal(request.roles, 0);
    member_destroy(first);
    member_destroy(second);
}

/* Also once it is admitted: it stops, before the other one can be mistaken for its successor. */
static void who_is_overwritten_in_the_rack_stops(void **state)
{
    struct rig *rig = *state;
    struct node_request_shared request;
    struct member_options options = options_of(rig);
    struct error err;
    struct member *member = asking(&options);
    follower.meta.nodes[NODE].incarnation = member_incarnation(member);
    assert_int_equal(member_do_work(member, 1), 1);
    assert_true(member_admitted(member));
    assert_true(region_node_request_observe(&rig->region, NODE, &request));
    request.incarnation++;
    region_node_request_publish(&rig->region, NODE, &request);
    assert_int_equal(member_do_work(member, 1000000000), 1);
    assert_false(member_admitted(member));
    assert_int_equal(member_failure(member, &err), EMB_ERR_EXISTS);
    member_left(member);
    assert_int_equal(
        mem_observe_u64(&rig->region.mem, &region_node_beat(&rig->region, NODE)->withdrawn), 0);
    member_destroy(member);
}

static void beat(struct rig *rig, uint32_t node, uint64_t count)
{
    mem_publish_u64(&rig->region.mem, &region_node_beat(&rig->region, node)->heartbeat, count);
    mem_drain(&rig->region.mem);
}

static void silence_is_measured_and_not_taken_from_pauses_of_our_own(void **state)
{
    const uint64_t ms = 1000000;
    struct rig *rig = *state;
    struct member_options options = options_of(rig);
    struct member *member = asking(&options);
    follower.meta.nodes[7].live = follower.meta.nodes[8].live = true;
    for (uint64_t now = 1000; now <= 1500; now += 10) {
        beat(rig, 7, now);
        member_do_work(member, now * ms);
    }
    assert_int_equal(member_silent_ns(member, 7), 0);
    assert_int_equal(member_silent_ns(member, 8), 500 * ms);
    assert_int_equal(member_silent_ns(member, 9), 0);
    member_do_work(member, 1521 * ms); /* 21 ms: everybody's time begins anew */
    assert_int_equal(member_silent_ns(member, 8), 0);
    member_do_work(member, 1540 * ms);
    assert_int_equal(member_silent_ns(member, 8), 19 * ms);
    for (uint64_t now = 1550; now <= 2521; now += 10) {
        assert_int_equal(member_silent_nodes(member), 0);
        beat(rig, 7, now);
        member_do_work(member, now * ms);
    }
    member_do_work(member, 2530 * ms);
    assert_int_equal(member_silent_nodes(member), 1u << 8);
    member_do_work(member, 3000 * ms); /* a pause of our own makes nobody heard */
    assert_int_equal(member_silent_ns(member, 8), 0);
    assert_int_equal(member_silent_nodes(member), 1u << 8);
    beat(rig, 8, 1);
    member_do_work(member, 3010 * ms);
    assert_int_equal(member_silent_nodes(member), 0);
    follower.meta.nodes[8].live = false;
    follower.meta.nodes[9].live = true; /* admitted, and has not begun to beat */
    member_do_work(member, 3020 * ms);
    assert_int_equal(member_silent_ns(member, 8), 0);
    assert_int_equal(member_silent_ns(member, 9), 0);
    assert_int_equal(member_silent_nodes(member), 0);
    member_do_work(member, 3030 * ms);
    assert_int_equal(member_silent_ns(member, 9), 10 * ms);
    member_destroy(member);
}

static void only_its_own_incarnation_admits_it(void **state)
{
    struct rig *rig = *state;
    struct member_options options = options_of(rig);
    follower.meta.nodes[NODE].incarnation = 1699999999999; /* of the process before */
    follower.meta.nodes[NODE].live = true;
    follower.current = false;
    struct member *member = asking(&options);
    assert_int_equal(member_do_work(member, 1), 0);
    assert_false(member_admitted(member));
    follower.meta.nodes[NODE - 1].incarnation = member_incarnation(member);
    assert_int_equal(member_do_work(member, 2), 0);
    follower.meta.nodes[NODE].incarnation = member_incarnation(member);
    assert_int_equal(member_do_work(member, 3), 0); /* its follower is not there yet */
    follower.current = true;
    assert_int_equal(member_do_work(member, 3), 1);
    assert_true(member_admitted(member));
    assert_int_equal(member_do_work(member, 4), 0);
    assert_int_equal(member_failure(member, NULL), EMB_OK);
    member_destroy(member);
}

static void a_later_incarnation_ends_it(void **state)
{
    struct rig *rig = *state;
    struct error err;
    struct member_options options = options_of(rig);
    struct member *member = asking(&options);
    follower.meta.nodes[NODE].incarnation = member_incarnation(member);
    assert_int_equal(member_do_work(member, 1), 1);
    follower.meta.nodes[NODE].incarnation++;
    assert_int_equal(member_do_work(member, 2), 1);
    assert_false(member_admitted(member));
    assert_int_equal(member_failure(member, &err), EMB_ERR_EXISTS);
    assert_non_null(strstr(err.text, "node 3"));
    assert_int_equal(member_do_work(member, 3), 0);
    member_destroy(member);
}

static void assert_refused(const struct member_options *options, struct rig *rig, const char *part)
{
    struct member *member;
    struct node_request_shared request;
    struct error err = {0};
    assert_int_equal(member_create(options, &member, &err), EMB_ERR_INVALID_ARGUMENT);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
    assert_non_null(strstr(err.text, "accepted"));
    assert_false(region_node_request_observe(&rig->region, NODE, &request));
}

static void impossible_requests_are_refused(void **state)
{
    struct rig *rig = *state;
    struct member_options right = options_of(rig), options;
    options = right, options.node = NODE_MAX;
    assert_refused(&options, rig, "node id 32");
    options = right, options.host = "";
    assert_refused(&options, rig, "host \"\"");
    options = right, options.host = "a-host-name-of-22-byte";
    assert_refused(&options, rig, "a-host-name-of-22-byte");
    options = right, options.port = 0;
    assert_refused(&options, rig, "port 0");
    options = right, options.roles = 0;
    assert_refused(&options, rig, "roles 0");
    options = right, options.roles = 16 | ROLE_REPLICA;
    assert_refused(&options, rig, "roles 0x12");
    options = right, options.lanes_wanted = 0;
    assert_refused(&options, rig, "0 lanes");
    options = right, options.lanes_wanted = NODE_LANES_MAX + 1;
    assert_refused(&options, rig, "5 lanes");
    options = right, options.store_uuid = NULL;
    assert_refused(&options, rig, "without a store");
    options = right, options.roles = ROLE_BROKER;
    assert_refused(&options, rig, "without the role");
}

static void the_longest_host_is_taken_whole(void **state)
{
    struct rig *rig = *state;
    struct node_request_shared request;
    struct member_options options = options_of(rig);
    options.host = "a-host-name-of-21-byt";
    options.roles = ROLE_BROKER;
    options.store_uuid = NULL;
    struct member *member = asking(&options);
    assert_true(region_node_request_observe(&rig->region, NODE, &request));
    assert_string_equal(request.host, "a-host-name-of-21-byt");
    assert_memory_equal(request.store_uuid, (uint8_t[16]){0}, 16);
    member_destroy(member);
}

#define TESTS(IN)                                                                                  \
    {                                                                                              \
        IN(the_request_carries_all_that_was_asked),                                                \
            IN(incarnations_rise_though_the_clock_does_not),                                       \
            IN(a_place_is_taken_until_it_is_left), IN(two_in_one_millisecond_differ),              \
            IN(two_that_ask_at_once_are_told), IN(who_is_overwritten_in_the_rack_stops),           \
            IN(silence_is_measured_and_not_taken_from_pauses_of_our_own),                          \
            IN(only_its_own_incarnation_admits_it), IN(a_later_incarnation_ends_it),               \
            IN(impossible_requests_are_refused), IN(the_longest_host_is_taken_whole),              \
    }

int main(void)
{
    const struct CMUnitTest hardware[] = TESTS(IN_HARDWARE);
    const struct CMUnitTest software[] = TESTS(IN_SOFTWARE);
    int failed = cmocka_run_group_tests_name("hardware", hardware, NULL, NULL);
    if (mem_writeback_available(MEM_WRITEBACK_AUTO))
        failed += cmocka_run_group_tests_name("software", software, NULL, NULL);
    return failed;
}

/* The last slot of a lane: what the broker may still touch once it has said that it leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/state.h"

#define LEAVER 1

struct bench {
    void *memory;
    struct region region;
    struct broker broker;
};

/* A broker with a lane and nothing else: one segment that could be retired, one that is open. */
static void begin(struct bench *bench)
{
    static const uint8_t uuid[16] = {1};
    struct geometry g = geometry_test();
    struct broker *b = &bench->broker;
    struct blog_space full, open;
    *bench = (struct bench){.memory = aligned_alloc(4096, g.region_bytes)};
    assert_non_null(bench->memory);
    assert_int_equal(region_format(bench->memory, &g, MEM_HARDWARE, uuid, NULL), EMB_OK);
    assert_int_equal(
        region_attach(&bench->region, bench->memory, g.region_bytes, MEM_WRITEBACK_AUTO, NULL),
        EMB_OK);
    struct follower_options follower = {.region = &bench->region, .node = LEAVER};
    assert_int_equal(follower_create(&follower, &b->follower, NULL), EMB_OK);
    b->region = &bench->region;
    b->options.node = LEAVER;
    b->options.env = env_create();
    b->lane.open = true;
    list_init(&b->requests);
    list_init(&b->all);
    assert_int_equal(slot_ring_init(&b->lane.slots, g.lane_slots, 0), EMB_OK);
    segment_source_shared(&b->lane.source, b->region);
    assert_int_equal(blog_init(&b->lane.blog, b->region, &b->lane.source, LEAVER, 0, 3), EMB_OK);
    assert_true(blog_reserve(&b->lane.blog, blog_batch_max(&b->lane.blog), &full));
    assert_true(blog_reserve(&b->lane.blog, 64, &open));
    blog_abandoned(&b->lane.blog, &full);
    b->lane.short_of_room = true;
}

static void end(struct bench *bench)
{
    blog_free(&bench->broker.lane.blog);
    slot_ring_free(&bench->broker.lane.slots);
    follower_destroy(bench->broker.follower);
    env_destroy(bench->broker.options.env);
    free(bench->memory);
}

static bool is_retired(struct bench *bench)
{
    return !segment_is_living(region_segment_generation(&bench->region, 0));
}

static void ask(struct bench *bench)
{
    struct meta_record record = {.type = META_NODE_LEAVE};
    record.leave.node = LEAVER;
    assert_true(request_own(&bench->broker, &record));
    requests_publish(&bench->broker);
    assert_int_equal(slot_ring_used(&bench->broker.lane.slots), 1);
}

/* From there on its segments may be given to others, whenever it goes on. */
static void after_its_last_slot_no_segment_is_touched(void **state)
{
    struct bench bench;
    struct blog_space space;
    struct lane_slot slot;
    begin(&bench);
    ask(&bench);
    lane_reclaim(&bench.broker);
    assert_false(is_retired(&bench));
    assert_false(lane_reserve(&bench.broker, 64, true, &space));
    assert_true(slot_ring_release(&bench.broker.lane.slots, 0, &slot));
    free(slot.request);
    end(&bench);
}

/* It stays, and goes on. */
static void who_may_not_leave_goes_on(void **state)
{
    struct bench bench;
    struct blog_space space;
    struct lane_slot slot;
    struct outcome refused = {.kind = ENTRY_REJECTED, .reason = EMB_ERR_BUSY};
    begin(&bench);
    pending_init(&bench.broker.pending);
    ask(&bench);
    assert_true(slot_ring_release(&bench.broker.lane.slots, 0, &slot));
    request_outcome(&bench.broker, slot.request, &refused);
    lane_reclaim(&bench.broker);
    assert_true(is_retired(&bench));
    assert_true(lane_reserve(&bench.broker, 64, true, &space));
    pending_free(&bench.broker.pending);
    free(slot.request);
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_its_last_slot_no_segment_is_touched),
        cmocka_unit_test(who_may_not_leave_goes_on),
    };
    return cmocka_run_group_tests_name("broker leave", tests, NULL, NULL);
}

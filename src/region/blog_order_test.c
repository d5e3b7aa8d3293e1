/*
 * Edge R5 step by step: what a BLog publishes, drains and observes, in this order. Its calls of
 * mem are recorded on their way; what a race would find by luck is found here always.
 */
#include "region/test_rack.h"

static char events[64];

static void record(char event)
{
    size_t count = strlen(events);
    if (count + 1 < sizeof events)
        events[count] = event;
}

static void recorded_publish(struct region *region, uint32_t segment, uint64_t generation,
                             uint32_t owner, uint32_t lane)
{
    record(segment_is_living(generation) ? 'L' : 'R');
    region_segment_publish(region, segment, generation, owner, lane);
}

static void recorded_drain(struct mem *mem)
{
    record('D');
    mem_drain(mem);
}

static void recorded_observe(struct mem *mem, const struct pub_u64 *first, size_t stride_bytes,
                             unsigned count, uint64_t *out)
{
    record('O');
    mem_observe_words(mem, first, stride_bytes, count, out);
}

#define region_segment_publish recorded_publish
#define mem_drain              recorded_drain
#define mem_observe_words      recorded_observe
#include "region/blog.c"
#undef region_segment_publish
#undef mem_drain
#undef mem_observe_words

static void expect(const char *wanted)
{
    assert_string_equal(events, wanted);
    memset(events, 0, sizeof events);
}

/* L: a living generation, R: a retired one, D: drain, O: the nodes are observed. */
static void raised_and_drained_before_the_nodes_are_observed(void **state)
{
    struct rack rack;
    struct segment_source source;
    struct blog blog;
    struct blog_space space;
    struct blog_horizon horizon = {.kept = NO_POSITION, .live_nodes = 2};
    rack_open(&rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    struct region *region = &rack.hosts[0];
    segment_source_partition(&source, region, 0, 2);
    assert_int_equal(blog_init(&blog, region, &source, 0, 0, 2), EMB_OK);
    expect("");
    for (uint64_t i = 0; i < 2; i++) {
        assert_true(blog_reserve(&blog, blog_batch_max(&blog), &space));
        expect("LD"); /* before the first byte is handed out */
        blog_published(&blog, &space, i);
        blog_outcome(&blog, space.held, i);
    }
    assert_false(blog_reserve(&blog, 64, &space));
    assert_int_equal(blog_reclaim(&blog, &horizon), 0); /* node 1 needs all from 0 on */
    expect("RRDOO");
    assert_int_equal(blog_reclaim(&blog, &horizon), 0);
    expect("OO"); /* retired once */
    mem_publish_u64(&region->mem, &region_node_read(region, 1)->needed, 2);
    mem_publish_u64(&region->mem, &region_node_read(region, 1)->reading, NO_POSITION);
    assert_int_equal(blog_reclaim(&blog, &horizon), 2);
    expect("OO");
    assert_int_equal(blog_reclaim(&blog, &horizon), 0);
    expect("");
    assert_true(blog_reserve(&blog, 64, &space));
    expect("LD");
    blog_free(&blog);
    rack_close(&rack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raised_and_drained_before_the_nodes_are_observed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

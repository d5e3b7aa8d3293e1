/* Where segments come from: never the same one twice. */
#include <pthread.h>

#include "region/test_rack.h"

struct taker {
    struct region region;
    uint32_t taken[256];
    uint32_t count;
};

static void *take_all(void *arg)
{
    struct taker *taker = arg;
    struct segment_source source;
    uint32_t segment;
    segment_source_shared(&source, &taker->region);
    while ((segment = segment_source_take(&source)) != SEGMENT_NONE)
        taker->taken[taker->count++] = segment;
    return NULL;
}

static void four_threads_take_different_segments(void **state)
{
    static struct taker takers[4];
    struct rack rack;
    pthread_t threads[4];
    unsigned char owners[256] = {0};
    uint32_t total = 0;
    rack_open(&rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    for (int i = 0; i < 4; i++) {
        takers[i].region = rack.hosts[i % 2];
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, &takers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        total += takers[i].count;
        for (uint32_t k = 0; k < takers[i].count; k++)
            owners[takers[i].taken[k]]++;
    }
    assert_int_equal(total, rack.hosts[0].areas.segments);
    for (uint32_t i = 0; i < total; i++)
        assert_int_equal(owners[i], 1);
    struct segment_source source;
    segment_source_shared(&source, &rack.hosts[1]);
    segment_source_give(&source, 17);
    assert_int_equal(segment_source_take(&source), 17);
    rack_close(&rack);
}

static void partitions_are_disjoint_and_whole(void **state)
{
    struct rack rack;
    unsigned char owners[256] = {0};
    rack_open(&rack, MEM_SOFTWARE, MEM_WRITEBACK_AUTO);
    struct region *region = &rack.hosts[0];
    uint32_t share = region->areas.segments / 3; /* more than a word of the mask */
    assert_true(share > 64);
    for (uint32_t node = 0; node < 3; node++) {
        struct segment_source source;
        uint32_t segment, count = 0;
        segment_source_partition(&source, region, node * share, share);
        for (; (segment = segment_source_take(&source)) != SEGMENT_NONE; count++)
            owners[segment]++;
        assert_int_equal(count, share);
        segment_source_give(&source, node * share + 65);
        assert_int_equal(segment_source_take(&source), node * share + 65);
    }
    for (uint32_t i = 0; i < 3 * share; i++)
        assert_int_equal(owners[i], 1);
    rack_close(&rack);
}

/* Whatever the bitmap says of it; and a bit that is gone from there ends nobody. */
static void what_is_claimed_is_not_given_out(void **state)
{
    struct rack rack;
    struct segment_source source;
    rack_open(&rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    segment_source_shared(&source, &rack.hosts[0]);
    segment_source_claim(&source, 0);
    assert_int_equal(segment_source_take(&source), 1);
    segment_source_claim(&source, 1);
    assert_int_equal(segment_source_take(&source), 2);
    segment_source_give(&source, 0);
    segment_source_give(&source, 0);
    assert_int_equal(segment_source_take(&source), 0);
    rack_close(&rack);
}

/* Beyond the end are none, and no more are counted than are asked for. */
static void free_ones_are_counted(void **state)
{
    struct rack rack;
    struct segment_source source;
    rack_open(&rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    segment_source_shared(&source, &rack.hosts[0]);
    uint32_t segments = source.count;
    assert_true(segments % 64 != 0 && segments > 128);
    assert_int_equal(segment_source_free(&source, UINT32_MAX), segments);
    assert_int_equal(segment_source_free(&source, 1), 1);
    assert_int_equal(segment_source_free(&source, 0), 0);
    for (uint32_t i = segments; i-- > 0;) {
        segment_source_claim(&source, i);
        assert_int_equal(segment_source_free(&source, UINT32_MAX), i);
    }
    segment_source_give(&source, 0);
    assert_int_equal(segment_source_free(&source, 5), 1);
    rack_close(&rack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_threads_take_different_segments),
        cmocka_unit_test(partitions_are_disjoint_and_whole),
        cmocka_unit_test(what_is_claimed_is_not_given_out),
        cmocka_unit_test(free_ones_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

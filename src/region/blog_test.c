/* Space in the BLog, and that nothing is written again before everybody has passed it. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/random.h"
#include "region/test_rack.h"

#define LANE    2
#define READER  1
#define ALL     UINT64_MAX
#define SEGMENT (256u << 10) /* of geometry_test */

struct bench {
    struct rack rack;
    struct segment_source source;
    struct blog blog;
};

static void bench_open(struct bench *bench, uint32_t partition, uint32_t quota)
{
    rack_open(&bench->rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    struct region *region = &bench->rack.hosts[0];
    segment_source_partition(&bench->source, region, 10, partition);
    assert_int_equal(blog_init(&bench->blog, region, &bench->source, 0, LANE, quota), EMB_OK);
}

static void bench_close(struct bench *bench)
{
    blog_free(&bench->blog);
    rack_close(&bench->rack);
}

static struct blog_space reserve(struct blog *blog, uint32_t bytes)
{
    struct blog_space space;
    assert_true(blog_reserve(blog, bytes, &space));
    assert_int_equal(space.address % LINE_BYTES, 0);
    assert_ptr_equal(space.bytes, blog->region->base + space.address);
    assert_non_null(region_payload(blog->region, payload_word(space.address, bytes)));
    return space;
}

static bool is_full(struct blog *blog)
{
    struct blog_space space;
    return !blog_reserve(blog, SEGMENT, &space);
}

/* Fills a whole segment with one slot, which gets its outcome at `position`. */
static struct blog_space whole_segment(struct blog *blog, uint64_t index, uint64_t position)
{
    struct blog_space space = reserve(blog, SEGMENT);
    blog_published(blog, &space, index);
    blog_outcome(blog, space.held, position);
    return space;
}

/* What the node at the other host says of itself. */
static void node_says(struct rack *rack, uint32_t node, uint64_t needed, uint64_t reading)
{
    struct region *region = &rack->hosts[1];
    mem_publish_u64(&region->mem, &region_node_read(region, node)->needed, needed);
    mem_publish_u64(&region->mem, &region_node_read(region, node)->reading, reading);
    mem_drain(&region->mem);
}

static int reclaim(struct blog *blog, uint64_t kept, uint64_t live_nodes)
{
    struct blog_horizon horizon = {.kept = kept, .live_nodes = live_nodes};
    return blog_reclaim(blog, &horizon);
}

static uint64_t generation_of(struct bench *bench, uint64_t address)
{
    struct region *region = &bench->rack.hosts[1];
    return region_segment_generation(region, region_segment_of(region, address));
}

/* ---- space ----------------------------------------------------------------------------------- */

static void space_is_handed_out_in_order(void **state)
{
    struct bench bench;
    bench_open(&bench, 4, 3);
    uint64_t start = region_segment_address(&bench.rack.hosts[0], 10);
    assert_int_equal(blog_total_bytes(&bench.blog), 3 * SEGMENT);
    assert_int_equal(blog_free_bytes(&bench.blog), 3 * SEGMENT);
    assert_int_equal(reserve(&bench.blog, 1).address, start);
    assert_int_equal(reserve(&bench.blog, 64).address, start + 64);
    assert_int_equal(reserve(&bench.blog, 65).address, start + 128);
    assert_int_equal(reserve(&bench.blog, SEGMENT - 256).address, start + 256);
    assert_int_equal(blog_free_bytes(&bench.blog), 2 * SEGMENT);
    assert_int_equal(reserve(&bench.blog, 1000).address, start + SEGMENT);
    /* What does not fit begins the next segment: nothing spans two. */
    assert_int_equal(reserve(&bench.blog, SEGMENT - 512).address, start + 2 * SEGMENT);
    assert_int_equal(blog_free_bytes(&bench.blog), 512);
    assert_int_equal(reserve(&bench.blog, 512).address, start + 3 * SEGMENT - 512);
    assert_true(is_full(&bench.blog));
    assert_int_equal(blog_free_bytes(&bench.blog), 0);
    bench_close(&bench);
}

static void oversize_never_fits(void **state)
{
    struct bench bench;
    struct blog_space space;
    bench_open(&bench, 4, 3);
    assert_int_equal(blog_batch_max(&bench.blog), SEGMENT);
    assert_false(blog_reserve(&bench.blog, SEGMENT + 1, &space));
    assert_false(blog_reserve(&bench.blog, UINT32_MAX, &space));
    assert_int_equal(blog_free_bytes(&bench.blog), 3 * SEGMENT);
    reserve(&bench.blog, SEGMENT);
    bench_close(&bench);
}

static void the_newest_is_trimmed_and_given_back(void **state)
{
    struct bench bench;
    bench_open(&bench, 4, 3);
    struct blog_space first = reserve(&bench.blog, 1000);
    struct blog_space second = reserve(&bench.blog, 5000);
    blog_trim(&bench.blog, &second, 100);
    struct blog_space third = reserve(&bench.blog, 10);
    assert_int_equal(third.address, second.address + 128);
    blog_trim(&bench.blog, &first, 10); /* not the newest: the rest is a hole */
    blog_trim(&bench.blog, &third, 0);
    struct blog_space fourth = reserve(&bench.blog, 10);
    assert_int_equal(fourth.address, third.address);
    blog_abandoned(&bench.blog, &fourth);
    blog_abandoned(&bench.blog, &second); /* no longer the newest */
    struct blog_space fifth = reserve(&bench.blog, 10);
    assert_int_equal(fifth.address, fourth.address);
    blog_published(&bench.blog, &fifth, 0);
    blog_trim(&bench.blog, &fifth, 1); /* what is published stays */
    assert_int_equal(reserve(&bench.blog, 10).address, fifth.address + 64);
    bench_close(&bench);
}

/* ---- reuse, edge R5 -------------------------------------------------------------------------- */

static void reuse_waits_for_outcome_kept_and_nodes(void **state)
{
    struct bench bench;
    bench_open(&bench, 4, 1);
    struct blog_space space = reserve(&bench.blog, SEGMENT);
    uint64_t living = generation_of(&bench, space.address);
    assert_true(segment_is_living(living));
    node_says(&bench.rack, READER, 50, NO_POSITION);
    node_says(&bench.rack, 31, 0, 0); /* dead: does not count */
    assert_true(is_full(&bench.blog));
    assert_int_equal(reclaim(&bench.blog, ALL, 0), 0); /* reserved */
    blog_published(&bench.blog, &space, 9);
    assert_int_equal(reclaim(&bench.blog, ALL, 0), 0); /* no outcome */
    blog_outcome(&bench.blog, space.held, 50);
    assert_int_equal(reclaim(&bench.blog, 50, 0), 0); /* not kept: 50 is not below 50 */
    assert_int_equal(generation_of(&bench, space.address), living);
    assert_int_equal(reclaim(&bench.blog, 51, 1 << READER), 0); /* needed */
    assert_int_equal(generation_of(&bench, space.address), living + 1);
    node_says(&bench.rack, READER, 51, 50);
    assert_int_equal(reclaim(&bench.blog, 51, 1 << READER), 0); /* being read */
    assert_true(is_full(&bench.blog));
    node_says(&bench.rack, READER, 51, 51);
    assert_int_equal(reclaim(&bench.blog, 51, 1ULL << 31 | 1 << READER), 0); /* not dead yet */
    assert_int_equal(generation_of(&bench, space.address), living + 1);
    assert_int_equal(reclaim(&bench.blog, 51, 1 << READER), 1);
    assert_int_equal(reclaim(&bench.blog, 51, 1 << READER), 0);

    /* The new life is told from the old one and from its retirement. */
    struct blog_space next = reserve(&bench.blog, 1);
    assert_int_equal(next.address, space.address);
    assert_int_not_equal(next.held, space.held);
    assert_int_equal(generation_of(&bench, space.address), living + 2);
    bench_close(&bench);
}

static void holes_are_reused_without_anybody(void **state)
{
    struct bench bench;
    bench_open(&bench, 4, 1);
    node_says(&bench.rack, READER, 0, 0);
    struct blog_space first = reserve(&bench.blog, 1000);
    struct blog_space second = reserve(&bench.blog, SEGMENT - 1024);
    assert_true(is_full(&bench.blog));
    blog_abandoned(&bench.blog, &first);
    assert_int_equal(reclaim(&bench.blog, 0, 1 << READER), 0); /* the second is open */
    blog_abandoned(&bench.blog, &second);
    assert_int_equal(reclaim(&bench.blog, 0, 1 << READER), 1);
    assert_int_equal(reserve(&bench.blog, 5).address, first.address);
    bench_close(&bench);
}

/* One slot is held for long: the segments after it still go round, and its handle still works. */
static void a_held_life_does_not_stop_younger_ones(void **state)
{
    struct bench bench;
    bench_open(&bench, 3, 3);
    struct blog_space held = reserve(&bench.blog, SEGMENT);
    uint64_t lives[64] = {held.held};
    blog_published(&bench.blog, &held, 0);
    memset(held.bytes, 0x5a, SEGMENT);
    for (uint64_t i = 1; i < 64; i++) {
        struct blog_space space = whole_segment(&bench.blog, i, 100 + i);
        assert_int_not_equal(space.address, held.address);
        memset(space.bytes, (int)i, SEGMENT);
        lives[i] = space.held;
        for (uint64_t k = 0; k < i; k++)
            assert_int_not_equal(lives[k], lives[i]);
        if (i >= 2)
            assert_int_equal(reclaim(&bench.blog, ALL, 0), 1);
        if (i >= 2)
            assert_int_equal(blog_blocking_slot(&bench.blog), 1);
    }
    for (uint32_t at = 0; at < SEGMENT; at++)
        assert_int_equal(held.bytes[at], 0x5a);
    blog_outcome(&bench.blog, held.held, 500);
    assert_int_equal(blog_blocking_slot(&bench.blog), 0);
    assert_int_equal(reclaim(&bench.blog, 500, 0), 0);
    assert_int_equal(reclaim(&bench.blog, 501, 0), 1);
    bench_close(&bench);
}

/* Nothing is retired before its space is wanted, and the oldest first. */
static void what_is_kept_stays_while_there_is_space(void **state)
{
    struct bench bench;
    struct blog_space spaces[8];
    bench_open(&bench, 8, 8);
    for (uint64_t i = 0; i < 8; i++) {
        spaces[i] = whole_segment(&bench.blog, i, i);
        assert_int_equal(reclaim(&bench.blog, ALL, 0), i >= 3); /* five of eight stay free */
    }
    /* Four segments went round; of the lives in them the oldest, the fifth, is retired. */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(spaces[i].address, spaces[0].address + (uint64_t)i * SEGMENT);
        assert_int_equal(spaces[4 + i].address, spaces[i].address);
        assert_int_equal(segment_is_living(generation_of(&bench, spaces[i].address)), i > 0);
    }
    assert_true(blog_free_bytes(&bench.blog) * 2 > blog_total_bytes(&bench.blog));
    bench_close(&bench);
}

static void the_blocking_slot_is_of_the_oldest_full_segment(void **state)
{
    struct bench bench;
    bench_open(&bench, 4, 4);
    struct blog_space a = reserve(&bench.blog, SEGMENT - 64), late = reserve(&bench.blog, 64);
    struct blog_space b = reserve(&bench.blog, SEGMENT);
    struct blog_space c = reserve(&bench.blog, 64);
    blog_published(&bench.blog, &a, 7);
    assert_int_equal(blog_blocking_slot(&bench.blog), 8);
    blog_published(&bench.blog, &b, 8);
    blog_published(&bench.blog, &c, 9);
    blog_published(&bench.blog, &late, 10); /* received for longer than what came after it */
    assert_int_equal(blog_blocking_slot(&bench.blog), 11);
    blog_outcome(&bench.blog, a.held, 1);
    blog_outcome(&bench.blog, late.held, 2);
    assert_int_equal(blog_blocking_slot(&bench.blog), 9);
    blog_outcome(&bench.blog, b.held, 3);
    assert_int_equal(blog_blocking_slot(&bench.blog), 0); /* the open one does not block */
    bench_close(&bench);
}

static void a_smaller_quota_gives_back(void **state)
{
    struct bench bench;
    bench_open(&bench, 4, 4);
    for (uint64_t i = 0; i < 4; i++)
        whole_segment(&bench.blog, i, i);
    assert_int_equal(segment_source_take(&bench.source), SEGMENT_NONE);
    assert_int_equal(blog_set_quota(&bench.blog, 2), EMB_OK);
    assert_int_equal(bench.blog.owned, 4);
    assert_int_equal(reclaim(&bench.blog, 2, 0), 2); /* both go back */
    assert_int_equal(bench.blog.owned, 2);
    assert_int_equal(blog_free_bytes(&bench.blog), 0);
    assert_true(is_full(&bench.blog));
    uint32_t freed = segment_source_take(&bench.source);
    assert_in_range(freed, 10, 13);
    segment_source_give(&bench.source, freed);
    assert_int_equal(reclaim(&bench.blog, ALL, 0), 2); /* in place: the quota is two */
    assert_int_equal(bench.blog.owned, 2);
    assert_int_equal(blog_free_bytes(&bench.blog), 2 * SEGMENT);
    assert_int_equal(blog_set_quota(&bench.blog, 1), EMB_OK); /* free ones go at once */
    assert_int_equal(bench.blog.owned, 1);
    assert_int_equal(blog_set_quota(&bench.blog, 6), EMB_OK);
    assert_int_equal(blog_free_bytes(&bench.blog), 4 * SEGMENT); /* the source has no more */
    for (uint64_t i = 0; i < 4; i++)
        whole_segment(&bench.blog, 10 + i, 10 + i);
    assert_true(is_full(&bench.blog));
    bench_close(&bench);
}

/* What another owner left is a new life to the next one. */
static void generations_rise_across_owners(void **state)
{
    struct bench bench;
    struct blog other;
    bench_open(&bench, 1, 1);
    struct blog_space space = whole_segment(&bench.blog, 0, 0);
    uint64_t living = generation_of(&bench, space.address);
    assert_int_equal(blog_init(&other, &bench.rack.hosts[0], &bench.source, 0, LANE, 1), EMB_OK);
    assert_false(blog_reserve(&other, 1, &space));
    assert_int_equal(blog_free_bytes(&other), 0);
    bench.blog.quota = 0;
    assert_true(is_full(&bench.blog));
    assert_int_equal(reclaim(&bench.blog, ALL, 0), 1);
    assert_int_equal(reclaim(&other, ALL, 0), 0);
    space = reserve(&other, 1);
    assert_int_equal(generation_of(&bench, space.address), living + 2);
    blog_free(&other);
    bench_close(&bench);
}

/* Its owner died in the middle of a life: what it left unretired is told from what comes next. */
static void a_dead_owners_life_is_not_continued(void **state)
{
    struct bench bench;
    bench_open(&bench, 1, 1);
    region_segment_publish(&bench.rack.hosts[1], 10, 7, 3, 1);
    assert_int_equal(generation_of(&bench, reserve(&bench.blog, 1).address), 9);
    bench_close(&bench);
}

/* A node comes back: what it left is its own again, and reused as if it had never been away. */
static void what_was_left_is_adopted(void **state)
{
    struct bench bench;
    struct blog later;
    struct segment_source fresh;
    bench_open(&bench, 6, 4);
    struct region *region = &bench.rack.hosts[0];
    uint64_t living[3];
    for (uint64_t i = 0; i < 3; i++)
        living[i] = generation_of(&bench, whole_segment(&bench.blog, i, 10 + i).address);
    region_segment_publish(region, 13, 5, 3, LANE);           /* another node's */
    region_segment_publish(region, 14, 5, 0, LANE_SEQUENCER); /* the sequencer's on this node */
    region_segment_publish(region, 15, 4, NODE_MAX, LANE);    /* given back */
    segment_source_partition(&fresh, region, 10, 6);
    assert_int_equal(blog_init(&later, region, &fresh, 0, LANE, 3), EMB_OK);
    assert_int_equal(blog_adopt(&later, 20), EMB_OK);
    assert_int_equal(later.owned, 3);
    assert_true(is_full(&later));
    node_says(&bench.rack, READER, 19, ALL);
    assert_int_equal(reclaim(&later, 19, 1 << READER), 0); /* not all of it is kept */
    assert_int_equal(reclaim(&later, 20, 1 << READER), 0); /* nor read */
    node_says(&bench.rack, READER, 20, 15);
    assert_int_equal(reclaim(&later, 20, 1 << READER), 0); /* somebody is still at it */
    node_says(&bench.rack, READER, 20, ALL);
    assert_true(reclaim(&later, 20, 1 << READER) > 0);
    struct blog_space space = reserve(&later, 1);
    uint32_t segment = region_segment_of(region, space.address);
    assert_in_range(segment, 10, 12);
    assert_int_equal(generation_of(&bench, space.address), living[segment - 10] + 2);
    blog_free(&later);
    bench_close(&bench);
}

/* ---- a reader that pins, against an owner that reuses ---------------------------------------- */

#define RACE_LIVES 8000
#define RACE_BYTES 512 /* of each batch that is looked at */

/* In the lane: payload, the generation of its life (client_sequence), its position (session). */
static void *race_owner(void *arg)
{
    struct bench *bench = arg;
    struct region *region = &bench->rack.hosts[0];
    for (uint64_t i = 0; i < RACE_LIVES; i++) {
        struct blog_space space;
        while (!blog_reserve(&bench->blog, SEGMENT, &space)) {
            if (reclaim(&bench->blog, ALL, 1 << READER) == 0)
                sched_yield();
        }
        memset(space.bytes, (int)(i * 7 + 1), RACE_BYTES);
        mem_write_back(&region->mem, space.bytes, RACE_BYTES);
        mem_drain(&region->mem);
        struct pbr_entry_shared entry = {
            .payload = payload_word(space.address, RACE_BYTES),
            .session = i,
            .client_sequence =
                region_segment_generation(region, region_segment_of(region, space.address)),
        };
        blog_published(&bench->blog, &space, i);
        region_lane_publish(region, LANE, 1, i, &entry);
        mem_drain(&region->mem);
        blog_outcome(&bench->blog, space.held, i);
    }
    return NULL;
}

/* The delivery of old memory: pin, drain, look at the generation, read. */
static void race_read(struct bench *bench, const struct pbr_entry_shared *entry, uint64_t *read)
{
    struct region *region = &bench->rack.hosts[1];
    struct pub_u64 *reading = &region_node_read(region, READER)->reading;
    const unsigned char *bytes = region_payload(region, entry->payload);
    uint32_t segment = region_segment_of(region, payload_address(entry->payload));
    mem_publish_u64(&region->mem, reading, entry->session);
    mem_drain(&region->mem);
    if (region_segment_generation(region, segment) == entry->client_sequence) {
        mem_observe_range(&region->mem, bytes, RACE_BYTES);
        for (int round = 0; round < 3; round++) {
            for (int at = 0; at < RACE_BYTES; at++)
                bench->rack.wrong += bytes[at] != (unsigned char)(entry->session * 7 + 1);
            (*read)++;
        }
    }
    mem_publish_u64(&region->mem, reading, NO_POSITION);
    mem_drain(&region->mem);
}

static void *race_reader(void *arg)
{
    struct bench *bench = arg;
    struct region *region = &bench->rack.hosts[1];
    uint64_t read = 0;
    for (uint64_t newest = 0; newest + 1 < RACE_LIVES;) {
        struct pbr_entry_shared entry;
        uint64_t before = newest;
        for (uint64_t slot = 0; slot < region->geometry.lane_slots; slot++) {
            mem_observe_line(&region->mem, &entry, region_lane_line(region, LANE, slot));
            if (!line_is_valid(&entry))
                continue;
            newest = max_u64(newest, entry.index);
            race_read(bench, &entry, &read);
        }
        if (newest == before)
            sched_yield();
    }
    bench->rack.wrong += read == 0;
    return NULL;
}

static void race(struct rack *rack)
{
    struct bench bench = {.rack = *rack};
    struct region *region = &bench.rack.hosts[0];
    segment_source_partition(&bench.source, region, 0, 2);
    assert_int_equal(blog_init(&bench.blog, region, &bench.source, 0, LANE, 2), EMB_OK);
    node_says(&bench.rack, READER, NO_POSITION, NO_POSITION); /* only the pin holds */
    pthread_t threads[2];
    assert_int_equal(pthread_create(&threads[0], NULL, race_owner, &bench), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, race_reader, &bench), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    assert_int_equal(bench.rack.wrong, 0);
    blog_free(&bench.blog);
}

static void a_pinned_reader_never_sees_the_next_life(void **state)
{
    rack_each_mode(race);
}

/* ---- anything, for long ---------------------------------------------------------------------- */

#define SLOTS 64

struct model_slot {
    struct blog_space space;
    uint32_t bytes;
    uint64_t position; /* NO_POSITION, above all others: no outcome yet */
    bool used;
};

struct model {
    struct bench bench;
    struct random_state random;
    struct model_slot slots[SLOTS];
    uint64_t index, position, kept, needed;
};

static unsigned char model_byte(const struct model_slot *slot, uint32_t at)
{
    return (unsigned char)(hash_u64(slot->space.held) + slot->space.address / 64 + at);
}

static void model_verify(const struct model_slot *slot)
{
    for (uint32_t at = 0; at < slot->bytes; at += 61)
        assert_int_equal(slot->space.bytes[at], model_byte(slot, at));
}

static void model_reserve(struct model *model, struct model_slot *slot)
{
    slot->bytes = 1 + (uint32_t)random_below(&model->random, SEGMENT / 2);
    if (!blog_reserve(&model->bench.blog, slot->bytes, &slot->space))
        return;
    if (random_below(&model->random, 8) == 0) {
        blog_abandoned(&model->bench.blog, &slot->space);
        return;
    }
    for (uint32_t at = 0; at < slot->bytes; at++)
        slot->space.bytes[at] = model_byte(slot, at);
    blog_published(&model->bench.blog, &slot->space, model->index++);
    slot->position = NO_POSITION;
    slot->used = true;
}

/* The oldest position that is not passed moves on, never beyond what has none yet. */
static void model_advance(struct model *model)
{
    model->kept += random_below(&model->random, model->position - model->kept + 1);
    model->needed += random_below(&model->random, model->kept - model->needed + 1);
    node_says(&model->bench.rack, READER, model->needed, NO_POSITION);
    reclaim(&model->bench.blog, model->kept, 1 << READER);
}

static void model_step(struct model *model)
{
    struct model_slot *slot = &model->slots[random_below(&model->random, SLOTS)];
    if (!slot->used) {
        model_reserve(model, slot);
    } else {
        if (slot->position >= model->needed)
            model_verify(slot);
        if (slot->position == NO_POSITION) {
            slot->position = model->position++;
            blog_outcome(&model->bench.blog, slot->space.held, slot->position);
        } else if (slot->position < model->needed) {
            slot->used = false;
        }
    }
    if (random_below(&model->random, 4) == 0)
        model_advance(model);
    if (random_below(&model->random, 500) == 0)
        blog_set_quota(&model->bench.blog, 1 + (uint32_t)random_below(&model->random, 8));
}

static void nothing_needed_is_ever_overwritten(void **state)
{
    static struct model model;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        model = (struct model){0};
        random_seed(&model.random, seed);
        bench_open(&model.bench, 8, 6);
        for (int step = 0; step < 4000; step++)
            model_step(&model);
        for (int i = 0; i < SLOTS; i++) {
            if (model.slots[i].used && model.slots[i].position >= model.needed)
                model_verify(&model.slots[i]);
        }
        assert_true(model.bench.blog.lives > 50);
        bench_close(&model.bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(space_is_handed_out_in_order),
        cmocka_unit_test(oversize_never_fits),
        cmocka_unit_test(the_newest_is_trimmed_and_given_back),
        cmocka_unit_test(reuse_waits_for_outcome_kept_and_nodes),
        cmocka_unit_test(holes_are_reused_without_anybody),
        cmocka_unit_test(a_held_life_does_not_stop_younger_ones),
        cmocka_unit_test(what_is_kept_stays_while_there_is_space),
        cmocka_unit_test(the_blocking_slot_is_of_the_oldest_full_segment),
        cmocka_unit_test(a_smaller_quota_gives_back),
        cmocka_unit_test(generations_rise_across_owners),
        cmocka_unit_test(a_dead_owners_life_is_not_continued),
        cmocka_unit_test(what_was_left_is_adopted),
        cmocka_unit_test(a_pinned_reader_never_sees_the_next_life),
        cmocka_unit_test(nothing_needed_is_ever_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

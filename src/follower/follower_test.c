/*
 * A follower against a log that the test writes by hand: entries, committed_seq, epoch record,
 * completion words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "follower/follower.h"

#define NODE  1
#define TOPIC 1

/* What asking costs: looks at the memory that all hosts share (the linker wraps them). */
static unsigned entries_looked_at, segments_looked_at;

bool __real_region_goi_observe(struct region *region, uint64_t position,
                               struct goi_entry_shared *entry);
bool __wrap_region_goi_observe(struct region *region, uint64_t position,
                               struct goi_entry_shared *entry);
uint64_t __real_region_segment_generation(struct region *region, uint32_t segment);
uint64_t __wrap_region_segment_generation(struct region *region, uint32_t segment);

bool __wrap_region_goi_observe(struct region *region, uint64_t position,
                               struct goi_entry_shared *entry)
{
    entries_looked_at++;
    return __real_region_goi_observe(region, position, entry);
}

uint64_t __wrap_region_segment_generation(struct region *region, uint32_t segment)
{
    segments_looked_at++;
    return __real_region_segment_generation(region, segment);
}

struct rig {
    unsigned char *memory;
    struct region seat; /* of who plays the sequencer and the replicas */
    struct region region;
    struct follower *follower;
    uint64_t position;
    uint64_t offsets[17];
    uint64_t meta_payloads;
    uint64_t now_ns;
};

static void setup_with(struct rig *rig, uint64_t start, struct geometry g)
{
    *rig = (struct rig){.position = start};
    rig->memory = aligned_alloc(4096, g.region_bytes);
    memset(rig->memory, 0, g.region_bytes);
    uint8_t uuid[16] = {3};
    assert_int_equal(region_format(rig->memory, &g, MEM_SOFTWARE, uuid, NULL), EMB_OK);
    assert_int_equal(region_attach(&rig->seat, rig->memory, g.region_bytes, 0, NULL), EMB_OK);
    assert_int_equal(region_attach(&rig->region, rig->memory, g.region_bytes, 0, NULL), EMB_OK);
    struct follower_options options = {.region = &rig->region, .node = NODE};
    assert_int_equal(follower_create(&options, &rig->follower, NULL), EMB_OK);
    region_epoch_publish(&rig->seat, &(struct epoch_view){.epoch = 5, .slot = 5, .workspace = 2});
    struct interval first = {.next_start = start};
    region_committed_publish(&rig->seat, 2, start);
    region_interval_publish(&rig->seat, 2, 5, 0, &first);
    for (uint32_t segment = 0; segment < 8; segment++)
        region_segment_publish(&rig->seat, segment, 1, 0, 0);
    mem_drain(&rig->seat.mem);
}

static void setup(struct rig *rig, uint64_t start)
{
    setup_with(rig, start, geometry_test());
}

static void teardown(struct rig *rig)
{
    follower_destroy(rig->follower);
    free(rig->memory);
}

static void put(struct rig *rig, struct goi_entry_shared entry)
{
    entry.epoch = 5;
    region_goi_publish(&rig->seat, rig->position++, &entry);
}

static void commit(struct rig *rig)
{
    mem_drain(&rig->seat.mem);
    region_committed_publish(&rig->seat, 2, rig->position);
    mem_drain(&rig->seat.mem);
}

static void turns(struct rig *rig, int count)
{
    while (count--)
        follower_do_work(rig->follower, rig->now_ns += 1000000);
    struct error err;
    if (follower_failure(rig->follower, &err))
        fail_msg("%s", err.text);
}

static void put_meta(struct rig *rig, const struct meta_record *record, uint16_t topic)
{
    uint64_t address = region_segment_address(&rig->seat, 7) + 512 * rig->meta_payloads++;
    uint32_t bytes = meta_batch_build(rig->seat.base + address, record, 1);
    mem_write_back(&rig->seat.mem, rig->seat.base + address, bytes);
    put(rig, (struct goi_entry_shared){.kind = ENTRY_META,
                                       .lane = LANE_SEQUENCER,
                                       .flags = ENTRY_ASKS_SYNC,
                                       .topic = topic,
                                       .payload = payload_word(address, bytes)});
}

static void put_topic(struct rig *rig, uint16_t id, uint8_t replicas, uint8_t min_insync)
{
    struct meta_record record = {.type = META_TOPIC_CREATE, .version = 1};
    record.topic_create.order = TOPIC_ORDER_TOTAL;
    record.topic_create.replicas = replicas;
    record.topic_create.min_insync = min_insync;
    record.topic_create.name[0] = (char)('a' + id);
    put_meta(rig, &record, id);
}

/* A batch of three messages in a segment, with a timestamp. */
static void put_data(struct rig *rig, uint16_t topic, uint32_t segment, uint64_t timestamp_ms)
{
    uint64_t address = region_segment_address(&rig->seat, segment) + 64 * (rig->position % 4096);
    struct goi_entry_shared entry = {.kind = ENTRY_DATA,
                                     .topic = topic,
                                     .message_count = 3,
                                     .base_offset = rig->offsets[topic],
                                     .session = NO_SESSION,
                                     .client_sequence = NO_SEQUENCE,
                                     .payload = payload_word(address, 61)};
    put_u48(entry.timestamp_ms, timestamp_ms);
    rig->offsets[topic] += 3;
    put(rig, entry);
}

static void offsets_and_timestamps_are_found(void **state)
{
    struct rig rig;
    setup(&rig, 0);
    put_topic(&rig, 1, 0, 0);
    put_topic(&rig, 2, 0, 0);
    for (uint64_t i = 0; i < 50; i++)
        put_data(&rig, 1 + (uint16_t)(i % 2), 0, 1000 + 10 * i);
    commit(&rig);
    turns(&rig, 2);
    uint64_t position, oldest;
    for (uint64_t offset = 0; offset < 75; offset++) {
        assert_int_equal(follower_find_offset(rig.follower, 1, offset, &position, &oldest), 0);
        assert_int_equal(position, 2 + 2 * (offset / 3));
        assert_int_equal(oldest, 0);
    }
    assert_int_equal(follower_find_offset(rig.follower, 1, 75, &position, NULL), EMB_ERR_NOT_FOUND);
    assert_int_equal(follower_find_timestamp(rig.follower, 2, 1015, &position), 0);
    assert_int_equal(position, 5); /* 1010 is too early, 1030 is the next of topic 2 */
    assert_int_equal(follower_find_timestamp(rig.follower, 2, 5000, &position), EMB_ERR_NOT_FOUND);
    assert_int_equal(follower_next_in_topic(rig.follower, 2, 5), 7);
    assert_int_equal(follower_next_in_topic(rig.follower, 2, 51), NO_POSITION);
    assert_int_equal(follower_end_offset(rig.follower, 1, 2), 0);
    assert_int_equal(follower_end_offset(rig.follower, 1, 3), 3);
    assert_int_equal(follower_end_offset(rig.follower, 1, 20), 27);
    assert_int_equal(follower_end_offset(rig.follower, 1, 1000), 75);
    teardown(&rig);
}

#define LONG_LOG 1024u

/* A log of one topic that fills the GOI and some of it again, in which a few entries are of a later
   time than those around them. */
static void setup_long(struct rig *rig, uint64_t *timestamps, uint64_t entries)
{
    struct geometry g = geometry_test();
    struct random_state random;
    random_seed(&random, 11);
    g.goi_segment_entries = LONG_LOG / g.goi_segments;
    setup_with(rig, 0, g);
    put_topic(rig, 1, 0, 0);
    for (uint64_t i = 1; i < entries; i++) {
        timestamps[i] = 1000 + i + (random_below(&random, 50) ? 0 : random_below(&random, 3000));
        put_data(rig, 1, (uint32_t)(i / 300 % 6), timestamps[i]);
        commit(rig);
        turns(rig, 1);
    }
}

static void assert_timestamp_is_found(struct rig *rig, const uint64_t *timestamps, uint64_t time)
{
    uint64_t position, first = follower_next_in_topic(rig->follower, 1, NO_POSITION);
    while (first < rig->position && timestamps[first] < time)
        first++;
    int rc = follower_find_timestamp(rig->follower, 1, time, &position);
    assert_int_equal(rc, first < rig->position ? EMB_OK : EMB_ERR_NOT_FOUND);
    if (rc == EMB_OK)
        assert_int_equal(position, first);
}

/* However many entries are older: those of one sample are looked at, and of the first one that is
   partly gone. */
static void a_search_for_a_timestamp_looks_at_few_entries(void **state)
{
    struct rig rig;
    uint64_t timestamps[3 * LONG_LOG];
    const uint64_t lengths[] = {2, 70, LONG_LOG, LONG_LOG + 500};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        setup_long(&rig, timestamps, lengths[i]);
        for (uint64_t time = 0; time < 8000; time += 7) {
            entries_looked_at = 0;
            assert_timestamp_is_found(&rig, timestamps, time);
            assert_true(entries_looked_at <= 2 * 64 + 2);
        }
        region_segment_publish(&rig.seat, 1, 3, 0, 0); /* 300 to 599, and what came before */
        mem_drain(&rig.seat.mem);
        turns(&rig, 1);
        for (uint64_t time = 0; time < 8000; time += 7)
            assert_timestamp_is_found(&rig, timestamps, time);
        teardown(&rig);
    }
}

/* Which segments still stand is looked at once a turn, however often the oldest is asked for. */
static void the_oldest_is_asked_for_often(void **state)
{
    struct rig rig;
    setup(&rig, 0);
    put_topic(&rig, 1, 0, 0);
    put_topic(&rig, 2, 0, 0);
    for (uint32_t i = 0; i < 60; i++)
        put_data(&rig, 1 + i % 2, i / 10, i);
    commit(&rig);
    turns(&rig, 2);
    segments_looked_at = 0;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(follower_oldest_offset(rig.follower, 1), 0);
        assert_int_equal(follower_oldest_offset(rig.follower, 2), 0);
    }
    assert_true(segments_looked_at <= 8);
    for (uint32_t segment = 0; segment < 6; segment++) {
        region_segment_publish(&rig.seat, segment, 2, 0, 0);
        mem_drain(&rig.seat.mem);
        turns(&rig, 1);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(follower_oldest_offset(rig.follower, 1), 15 * (segment + 1));
            assert_int_equal(follower_oldest_offset(rig.follower, 2), 15 * (segment + 1));
        }
    }
    assert_int_equal(follower_next_in_topic(rig.follower, 1, NO_POSITION), NO_POSITION);
    put_data(&rig, 1, 6, 100);
    commit(&rig);
    turns(&rig, 2);
    assert_int_equal(follower_oldest_offset(rig.follower, 1), 90);
    assert_int_equal(follower_next_in_topic(rig.follower, 1, NO_POSITION), 62);
    teardown(&rig);
}

/* Whoever met a segment that is gone is told, in the same turn, what is the oldest now. */
static void what_is_met_gone_is_not_the_oldest(void **state)
{
    struct rig rig;
    struct goi_entry_shared entry;
    setup(&rig, 0);
    put_topic(&rig, 1, 0, 0);
    for (uint32_t i = 0; i < 20; i++)
        put_data(&rig, 1, i / 10, i);
    commit(&rig);
    turns(&rig, 2);
    assert_int_equal(follower_oldest_offset(rig.follower, 1), 0);
    region_segment_publish(&rig.seat, 0, 2, 0, 0);
    mem_drain(&rig.seat.mem);
    assert_int_equal(follower_entry(rig.follower, 1, &entry, NULL), EMB_OK);
    assert_false(follower_payload_stands(rig.follower, 1, &entry));
    assert_int_equal(follower_oldest_offset(rig.follower, 1), 30);
    teardown(&rig);
}

/* A new sequencer left out places, which keep the entries of the lap before. */
static void what_was_before_a_place_taken_again_is_not_the_oldest(void **state)
{
    struct rig rig;
    setup(&rig, 0);
    uint64_t ring = rig.seat.areas.goi_entries;
    put_topic(&rig, 1, 0, 0);
    while (rig.position < ring + 42) {
        put_data(&rig, 1, 0, 1);
        commit(&rig);
        turns(&rig, 1);
    }
    assert_int_equal(follower_next_in_topic(rig.follower, 1, NO_POSITION), 42);
    struct interval jump = {.epoch = 5, .end = ring + 42, .next_start = ring + 64};
    region_interval_publish(&rig.seat, 2, 5, 1, &jump);
    rig.position = ring + 64;
    put_data(&rig, 1, 0, 2);
    commit(&rig);
    turns(&rig, 3);
    assert_int_equal(follower_next_in_topic(rig.follower, 1, NO_POSITION), 65);
    teardown(&rig);
}

static void oldest_moves_on_from(uint64_t start)
{
    struct rig rig;
    setup(&rig, start);
    put_topic(&rig, 1, 0, 0);
    put_topic(&rig, 2, 0, 0);
    put_data(&rig, 2, 0, 5); /* a topic that nobody writes any more */
    uint64_t ring = rig.seat.areas.goi_entries, begin = start + 3;
    for (uint64_t i = 0; i < 3 * ring; i++) {
        put_data(&rig, 1, 1 + (uint32_t)(i / 64 % 6), i);
        commit(&rig);
        turns(&rig, 1);
        uint64_t first = follower_next_in_topic(rig.follower, 1, NO_POSITION);
        uint64_t expected = rig.position > ring ? rig.position - ring : begin;
        assert_int_equal(first, max_u64(expected, begin));
        uint64_t position, oldest;
        int rc = follower_find_offset(rig.follower, 1, 0, &position, &oldest);
        assert_int_equal(rc, first == begin ? EMB_OK : EMB_ERR_OFFSET_OUT_OF_RANGE);
        assert_int_equal(oldest, (first - begin) * 3);
        assert_int_equal(follower_find_offset(rig.follower, 1, oldest + 1, &position, NULL), 0);
        assert_int_equal(position, first);
    }
    assert_int_equal(follower_next_in_topic(rig.follower, 2, NO_POSITION), NO_POSITION);
    assert_int_equal(follower_oldest_offset(rig.follower, 2), 3);
    teardown(&rig);
}

static void the_oldest_moves_on_with_the_ring(void **state)
{
    oldest_moves_on_from(0);
    oldest_moves_on_from((1ULL << 32) - 200); /* stamps wrap */
}

static void what_has_left_its_segment_does_not_stand(void **state)
{
    struct rig rig;
    setup(&rig, 0);
    put_topic(&rig, 1, 0, 0);
    put_data(&rig, 1, 0, 1);
    put_data(&rig, 1, 1, 1);
    commit(&rig);
    turns(&rig, 2);
    struct goi_entry_shared first, second;
    assert_int_equal(follower_entry(rig.follower, 1, &first, NULL), EMB_OK);
    assert_int_equal(follower_entry(rig.follower, 2, &second, NULL), EMB_OK);
    follower_reading(rig.follower, 1);
    assert_true(follower_payload_stands(rig.follower, 1, &first));
    struct node_read_shared *line = region_node_read(&rig.seat, NODE);
    assert_int_equal(mem_observe_u64(&rig.seat.mem, &line->reading), 1);
    region_segment_publish(&rig.seat, 0, 2, 0, 0); /* its owner wants it back */
    mem_drain(&rig.seat.mem);
    assert_false(follower_payload_stands(rig.follower, 1, &first));
    assert_true(follower_payload_stands(rig.follower, 2, &second));
    assert_int_equal(follower_oldest_offset(rig.follower, 1), 3);
    uint64_t position, oldest;
    assert_int_equal(follower_find_offset(rig.follower, 1, 1, &position, &oldest),
                     EMB_ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(oldest, 3);
    put_data(&rig, 1, 0, 1); /* met after its segment was retired: never read by a pin */
    commit(&rig);
    turns(&rig, 2);
    struct goi_entry_shared late;
    assert_int_equal(follower_entry(rig.follower, 3, &late, NULL), EMB_OK);
    assert_false(follower_payload_stands(rig.follower, 3, &late));
    teardown(&rig);
}

/* Its lane filled segment 1 with batches that were all sent back, and returned to segment 0. */
static void another_life_of_a_segment_is_noticed(void **state)
{
    struct rig rig;
    setup(&rig, 0);
    put_topic(&rig, 1, 0, 0);
    put_data(&rig, 1, 0, 1);
    put(&rig, (struct goi_entry_shared){
                  .kind = ENTRY_RETRY,
                  .topic = 1,
                  .payload = payload_word(region_segment_address(&rig.seat, 1), 61)});
    commit(&rig);
    turns(&rig, 2);
    region_segment_publish(&rig.seat, 0, 3, 0, 0);
    put_data(&rig, 1, 0, 2); /* at a higher address than the batch of the earlier life */
    commit(&rig);
    turns(&rig, 2);
    struct goi_entry_shared entry;
    assert_int_equal(follower_entry(rig.follower, 3, &entry, NULL), EMB_OK);
    assert_true(follower_payload_stands(rig.follower, 3, &entry));
    assert_int_equal(follower_oldest_offset(rig.follower, 1), 3);
    teardown(&rig);
}

/* The sequencer goes on into the next lap before this follower does. */
static void what_the_next_lap_took_is_not_the_oldest(void **state)
{
    struct rig rig;
    setup(&rig, 0);
    put_topic(&rig, 1, 0, 0);
    uint64_t ring = rig.seat.areas.goi_entries;
    while (rig.position < ring)
        put_data(&rig, 1, 0, 1000 + rig.position);
    commit(&rig);
    turns(&rig, 3);
    assert_int_equal(follower_oldest_offset(rig.follower, 1), 0);
    for (int i = 0; i < 3; i++) /* over the topic's creation and its first two batches */
        put_data(&rig, 1, 0, 5000);
    commit(&rig);
    uint64_t position, oldest;
    assert_int_equal(follower_oldest_offset(rig.follower, 1), 6);
    assert_int_equal(follower_find_offset(rig.follower, 1, 5, &position, &oldest),
                     EMB_ERR_OFFSET_OUT_OF_RANGE);
    assert_int_equal(oldest, 6);
    assert_int_equal(follower_find_offset(rig.follower, 1, 6, &position, NULL), EMB_OK);
    assert_int_equal(position, 3);
    turns(&rig, 3);
    assert_int_equal(follower_oldest_offset(rig.follower, 1), 6);
    teardown(&rig);
}

static void entries_that_break_the_rules_end_the_incarnation(void **state)
{
    struct goi_entry_shared bad[] = {
        {.kind = ENTRY_DATA, .topic = 1, .lane = 200}, {.kind = 99, .topic = 1}, {.kind = 0}};
    for (size_t i = 0; i <= COUNT_OF(bad); i++) {
        struct rig rig;
        setup(&rig, 0);
        put_topic(&rig, 1, 0, 0);
        if (i < COUNT_OF(bad))
            put(&rig, bad[i]);
        else
            put_topic(&rig, 0, 0, 0); /* there is no topic 0 */
        commit(&rig);
        follower_do_work(rig.follower, 1);
        struct error err;
        assert_int_equal(follower_failure(rig.follower, &err), EMB_ERR_CORRUPT);
        assert_non_null(strstr(err.text, "position 1"));
        assert_int_equal(follower_position(rig.follower), 1);
        teardown(&rig);
    }
}

static void put_chain(struct rig *rig, uint32_t lane, uint16_t version, uint16_t count)
{
    struct meta_record record = {.type = META_CHAIN, .version = 1};
    record.chain = (typeof(record.chain)){.lane = lane, .version = version, .count = count};
    for (uint32_t i = 0; i < count; i++)
        record.chain.members[i] = i + 2;
    put_meta(rig, &record, 0);
}

static void put_store_node(struct rig *rig, uint32_t node)
{
    struct meta_record record = {.type = META_NODE_ADMIT, .version = 1};
    record.admit.node = node;
    record.admit.incarnation = 1;
    record.admit.roles = ROLE_REPLICA;
    put_meta(rig, &record, 0);
}

static void say(struct rig *rig, uint32_t lane, uint32_t node, uint64_t synced, uint64_t copied)
{
    struct completion_shared *line = region_completion(&rig->seat, lane, node);
    mem_publish_u64(&rig->seat.mem, &line->synced, synced);
    mem_publish_u64(&rig->seat.mem, &line->copied, copied);
    mem_drain(&rig->seat.mem);
}

static void durable_is_what_the_tails_say(void **state)
{
    struct rig rig;
    setup(&rig, 0);
    put_store_node(&rig, 2);
    put_store_node(&rig, 3);
    put_chain(&rig, LANE_SEQUENCER, 1, 2);
    put_chain(&rig, 0, 1, 1);
    put_topic(&rig, 1, 2, 2); /* position 4: wants two members */
    put_data(&rig, 1, 0, 1);  /* 5: asks nothing */
    put(&rig,
        (struct goi_entry_shared){
            .kind = ENTRY_DATA, .topic = 1, .message_count = 1, .flags = ENTRY_ASKS_SYNC}); /* 6 */
    put(&rig, (struct goi_entry_shared){.kind = ENTRY_NOP, .flags = ENTRY_ASKS_COPY});      /* 7 */
    commit(&rig);
    turns(&rig, 3);
    assert_int_equal(follower_position(rig.follower), 8);
    assert_int_equal(follower_durable(rig.follower), 0);
    say(&rig, LANE_SEQUENCER, 2, completion_word(1, 8), completion_word(1, 8)); /* not the tail */
    say(&rig, LANE_SEQUENCER, 3, completion_word(2, 8), 0); /* another version */
    turns(&rig, 3);
    assert_int_equal(follower_durable(rig.follower), 0);
    say(&rig, LANE_SEQUENCER, 3, completion_word(1, 3), completion_word(1, 8));
    turns(&rig, 3);
    assert_int_equal(follower_durable(rig.follower), 3);
    say(&rig, LANE_SEQUENCER, 3, completion_word(1, 5), completion_word(1, 8));
    turns(&rig, 3);
    assert_int_equal(follower_durable(rig.follower), 6); /* 5 asks nothing */
    say(&rig, 0, 2, completion_word(1, 7), completion_word(1, 7));
    turns(&rig, 3);
    assert_int_equal(follower_durable(rig.follower), 6); /* one member is too few */
    assert_int_equal(follower_kept(rig.follower), 7);
    put_chain(&rig, 0, 2, 2); /* 8: in force for everything above D */
    commit(&rig);
    turns(&rig, 3);
    say(&rig, 0, 3, completion_word(2, 7), completion_word(2, 8));
    say(&rig, LANE_SEQUENCER, 3, completion_word(1, 9), 0);
    turns(&rig, 3);
    assert_int_equal(follower_durable(rig.follower), 9);
    assert_int_equal(follower_kept(rig.follower), 9);
    teardown(&rig);
}

static void a_jump_in_the_record_is_followed(void **state)
{
    struct rig rig;
    setup(&rig, 40);
    put_topic(&rig, 1, 0, 0);
    put_data(&rig, 1, 0, 1);
    commit(&rig);
    turns(&rig, 3);
    struct interval jump = {.epoch = 5, .end = 42, .next_start = 64};
    region_interval_publish(&rig.seat, 2, 5, 1, &jump);
    rig.position = 64;
    put_data(&rig, 1, 0, 2);
    commit(&rig);
    turns(&rig, 3);
    assert_int_equal(follower_position(rig.follower), 65);
    assert_int_equal(follower_durable(rig.follower), 65);
    struct goi_entry_shared entry;
    uint64_t next;
    assert_int_equal(follower_entry(rig.follower, 50, &entry, &next), EMB_ERR_NOT_FOUND);
    assert_int_equal(next, 64);
    assert_int_equal(follower_next_in_topic(rig.follower, 1, 41), 64);
    teardown(&rig);
}

static void a_jump_backwards_is_not_believed(void **state)
{
    struct rig rig;
    setup(&rig, 40);
    put_topic(&rig, 1, 0, 0);
    commit(&rig);
    turns(&rig, 3);
    struct interval back = {.epoch = 5, .end = 41, .next_start = 40};
    region_interval_publish(&rig.seat, 2, 5, 1, &back);
    rig.position = 64;
    commit(&rig);
    follower_do_work(rig.follower, 1);
    assert_int_equal(follower_position(rig.follower), 41);
    assert_int_equal(follower_failure(rig.follower, NULL), EMB_ERR_CORRUPT);
    teardown(&rig);
}

static void what_is_not_there_ends_the_incarnation(void **state)
{
    struct rig rig;
    setup(&rig, 0);
    put_topic(&rig, 1, 0, 0);
    rig.position += 3;
    commit(&rig);
    follower_do_work(rig.follower, 1);
    follower_do_work(rig.follower, 2);
    struct error err;
    assert_int_equal(follower_failure(rig.follower, &err), EMB_ERR_CORRUPT);
    assert_non_null(strstr(err.text, "position 1"));
    teardown(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_and_timestamps_are_found),
        cmocka_unit_test(a_search_for_a_timestamp_looks_at_few_entries),
        cmocka_unit_test(the_oldest_is_asked_for_often),
        cmocka_unit_test(what_is_met_gone_is_not_the_oldest),
        cmocka_unit_test(what_was_before_a_place_taken_again_is_not_the_oldest),
        cmocka_unit_test(the_oldest_moves_on_with_the_ring),
        cmocka_unit_test(what_has_left_its_segment_does_not_stand),
        cmocka_unit_test(another_life_of_a_segment_is_noticed),
        cmocka_unit_test(what_the_next_lap_took_is_not_the_oldest),
        cmocka_unit_test(entries_that_break_the_rules_end_the_incarnation),
        cmocka_unit_test(durable_is_what_the_tails_say),
        cmocka_unit_test(a_jump_in_the_record_is_followed),
        cmocka_unit_test(a_jump_backwards_is_not_believed),
        cmocka_unit_test(what_is_not_there_ends_the_incarnation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

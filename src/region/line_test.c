/* Every one-line record between two hosts, in every mode this CPU has; rings wrap many times. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "region/test_rack.h"

#define ENTRIES   2000
#define LANE      3
#define READER    1
#define GOI_START ((1ULL << 32) - 700) /* the stamp's bits wrap in the middle */
#define COMMIT_AT 5                    /* entries of a pass */

static void run_threads(struct rack *rack, void *(*writer)(void *), void *(*reader)(void *))
{
    pthread_t threads[2];
    assert_int_equal(pthread_create(&threads[0], NULL, writer, rack), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, reader, rack), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    assert_int_equal(rack->wrong, 0);
}

/* ---- lane, edge R6 --------------------------------------------------------------------------- */

static struct pbr_entry_shared lane_entry(uint64_t index)
{
    struct pbr_entry_shared entry = {
        .payload = payload_word(index * 64, 100),
        .session = hash_u64(index),
        .client_sequence = index * 3,
        .topic = (uint16_t)index,
        .message_count = 7,
        .broker = 2,
        .kind = ENTRY_DATA,
    };
    put_u48(entry.timestamp_ms, index + 1000);
    return entry;
}

static bool lane_entry_is(const struct pbr_entry_shared *entry, uint64_t index, uint32_t generation)
{
    struct pbr_entry_shared wanted = lane_entry(index);
    wanted.index = index;
    wanted.lane_generation = generation;
    wanted.crc = line_crc(&wanted);
    return !memcmp(entry, &wanted, sizeof wanted);
}

static void *lane_writer(void *arg)
{
    struct rack *rack = arg;
    struct region *region = &rack->hosts[0];
    struct node_read_shared *read = region_node_read(region, READER);
    for (uint64_t index = 0; index < ENTRIES; index++) {
        while (mem_observe_u64(&region->mem, &read->read_position) + region->geometry.lane_slots <=
               index)
            sched_yield();
        struct pbr_entry_shared entry = lane_entry(index);
        region_lane_publish(region, LANE, 9, index, &entry);
        region_retry_below_publish(region, LANE, index);
        mem_drain(&region->mem);
    }
    return NULL;
}

static void *lane_reader(void *arg)
{
    struct rack *rack = arg;
    struct region *region = &rack->hosts[1];
    struct node_read_shared *read = region_node_read(region, READER);
    for (uint64_t index = 0; index < ENTRIES; index++) {
        struct pbr_entry_shared entry;
        enum lane_look look;
        while ((look = region_lane_observe(region, LANE, 9, index, &entry)) == LANE_NOT_YET)
            sched_yield();
        rack->wrong += look != LANE_THERE || !lane_entry_is(&entry, index, 9);
        rack->wrong +=
            region_retry_below_observe(region, LANE) > index + region->geometry.lane_slots;
        mem_publish_u64(&region->mem, &read->read_position, index + 1);
        mem_drain(&region->mem);
    }
    return NULL;
}

static void lane_ping_pong(struct rack *rack)
{
    run_threads(rack, lane_writer, lane_reader);
    assert_int_equal(region_retry_below_observe(&rack->hosts[1], LANE), ENTRIES - 1);
}

static void lanes_wrap_between_hosts(void **state)
{
    rack_each_mode(lane_ping_pong);
}

static void lane_publish(struct rack *rack, uint32_t generation, uint64_t index)
{
    struct pbr_entry_shared entry = lane_entry(index);
    region_lane_publish(&rack->hosts[0], LANE, generation, index, &entry);
    mem_drain(&rack->hosts[0].mem);
}

static enum lane_look lane_look(struct rack *rack, uint32_t generation, uint64_t index)
{
    struct pbr_entry_shared entry;
    return region_lane_observe(&rack->hosts[1], LANE, generation, index, &entry);
}

static void lane_looks(struct rack *rack)
{
    uint64_t slots = rack->hosts[0].geometry.lane_slots;
    assert_int_equal(lane_look(rack, 1, 0), LANE_NOT_YET); /* zero is no entry */
    lane_publish(rack, 1, 5);
    assert_int_equal(lane_look(rack, 1, 5), LANE_THERE);
    assert_int_equal(lane_look(rack, 1, 5 + slots), LANE_NOT_YET); /* an earlier lap */
    assert_int_equal(lane_look(rack, 2, 5), LANE_NOT_YET);         /* an earlier owner's */
    lane_publish(rack, 1, 5 + slots);
    assert_int_equal(lane_look(rack, 1, 5), LANE_LAPPED);
    lane_publish(rack, 2, 5 + slots);
    assert_int_equal(lane_look(rack, 1, 5 + slots), LANE_LAPPED); /* this lane was granted anew */
    /* A half-written later entry is not evidence of anything. */
    rack_flip(&rack->hosts[0], region_lane_line(&rack->hosts[0], LANE, 5), 30);
    assert_int_equal(lane_look(rack, 1, 5), LANE_NOT_YET);
    assert_int_equal(lane_look(rack, 2, 5 + slots), LANE_NOT_YET);
}

static void lane_runs(struct rack *rack)
{
    struct pbr_entry_shared entries[8];
    struct region *reader = &rack->hosts[1];
    unsigned there;
    for (uint64_t index = 10; index < 15; index++)
        lane_publish(rack, 1, index);
    assert_int_equal(region_lane_observe_run(reader, LANE, 1, 10, 3, entries, &there), LANE_THERE);
    assert_int_equal(there, 3);
    assert_int_equal(region_lane_observe_run(reader, LANE, 1, 10, 8, entries, &there),
                     LANE_NOT_YET);
    assert_int_equal(there, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_true(lane_entry_is(&entries[i], 10 + i, 1));
    for (uint64_t index = 15; index < 20; index++)
        lane_publish(rack, 1, index);
    assert_int_equal(region_lane_observe_run(reader, LANE, 1, 12, 8, entries, &there), LANE_THERE);
    assert_int_equal(there, 4); /* up to the ring's end */
    assert_int_equal(region_lane_observe_run(reader, LANE, 1, 9, 8, entries, &there), LANE_LAPPED);
    assert_int_equal(there, 0);
}

static void lanes_are_read_in_groups(void **state)
{
    rack_each_mode(lane_runs);
}

static void lanes_tell_not_yet_from_lapped(void **state)
{
    rack_each_mode(lane_looks);
}

/* Each byte counts: whichever is not there yet, the entry is not. */
static void torn_lane_lines(struct rack *rack)
{
    void *line = region_lane_line(&rack->hosts[0], LANE, 6);
    lane_publish(rack, 1, 6);
    for (int at = 0; at < LINE_BYTES; at++) {
        rack_flip(&rack->hosts[0], line, at);
        assert_int_equal(lane_look(rack, 1, 6), LANE_NOT_YET);
        rack_flip(&rack->hosts[0], line, at);
        assert_int_equal(lane_look(rack, 1, 6), LANE_THERE);
    }
    /* Half of the next lap over half of this one. */
    struct pbr_entry_shared old, mixed;
    mem_observe_line(&rack->hosts[0].mem, &old, line);
    lane_publish(rack, 1, 14);
    mem_observe_line(&rack->hosts[0].mem, &mixed, line);
    memcpy((char *)&mixed + 32, (char *)&old + 32, 32);
    mem_publish_line(&rack->hosts[0].mem, line, &mixed);
    assert_int_equal(lane_look(rack, 1, 6), LANE_NOT_YET);
    assert_int_equal(lane_look(rack, 1, 14), LANE_NOT_YET);
}

static void torn_lane_lines_are_not_yet(void **state)
{
    rack_each_mode(torn_lane_lines);
}

/* ---- GOI, edge R4, and completion, edge R8 --------------------------------------------------- */

static struct goi_entry_shared goi_entry(uint64_t position)
{
    struct goi_entry_shared entry = {
        .message_count = 4,
        .base_offset = position * 4,
        .payload = payload_word(position * 64, 64),
        .session = hash_u64(position),
        .epoch = 1,
        .lane = LANE,
        .kind = ENTRY_DATA,
    };
    return entry;
}

static bool goi_entry_is(const struct goi_entry_shared *entry, uint64_t position)
{
    struct goi_entry_shared wanted = goi_entry(position);
    wanted.stamp = (uint32_t)position;
    wanted.crc = goi_crc(&wanted, position);
    return !memcmp(entry, &wanted, sizeof wanted);
}

/* Publishes passes, gated by what the replica at the other host says it has. */
static void *goi_writer(void *arg)
{
    struct rack *rack = arg;
    struct region *region = &rack->hosts[0];
    struct completion_shared *done = region_completion(region, LANE, READER);
    uint64_t position = GOI_START;
    region_committed_publish(region, 2, position);
    while (position < GOI_START + ENTRIES) {
        while (completion_position(mem_observe_u64(&region->mem, &done->synced)) +
                   region->areas.goi_entries <
               position + COMMIT_AT)
            sched_yield();
        for (int i = 0; i < COMMIT_AT; i++, position++) {
            struct goi_entry_shared entry = goi_entry(position);
            region_goi_publish(region, position, &entry);
        }
        mem_drain(&region->mem);
        region_committed_publish(region, 2, position);
        mem_drain(&region->mem);
    }
    return NULL;
}

static void *goi_reader(void *arg)
{
    struct rack *rack = arg;
    struct region *region = &rack->hosts[1];
    struct completion_shared *done = region_completion(region, LANE, READER);
    mem_publish_u64(&region->mem, &done->synced, completion_word(7, GOI_START));
    for (uint64_t position = GOI_START; position < GOI_START + ENTRIES;) {
        uint64_t committed = region_committed_observe(region, 2);
        if (committed <= position)
            sched_yield();
        for (; position < committed; position++) {
            struct goi_entry_shared entry;
            rack->wrong +=
                !region_goi_observe(region, position, &entry) || !goi_entry_is(&entry, position);
        }
        mem_publish_u64(&region->mem, &done->synced, completion_word(7, position));
        mem_drain(&region->mem);
    }
    return NULL;
}

/* The same, observed in groups. */
static void *goi_run_reader(void *arg)
{
    struct rack *rack = arg;
    struct region *region = &rack->hosts[1];
    struct completion_shared *done = region_completion(region, LANE, READER);
    mem_publish_u64(&region->mem, &done->synced, completion_word(7, GOI_START));
    for (uint64_t position = GOI_START; position < GOI_START + ENTRIES;) {
        struct goi_entry_shared entries[16];
        uint64_t committed = region_committed_observe(region, 2);
        unsigned count = committed > position ? (unsigned)min_u64(committed - position, 16) : 0;
        unsigned there = region_goi_observe_run(region, position, count, entries);
        uint64_t to_end = 128 - position % 128;
        rack->wrong += there != min_u64(count, to_end);
        for (unsigned i = 0; i < there; i++)
            rack->wrong += !goi_entry_is(&entries[i], position + i);
        position += there;
        if (!there)
            sched_yield();
        mem_publish_u64(&region->mem, &done->synced, completion_word(7, position));
        mem_drain(&region->mem);
    }
    return NULL;
}

static void goi_run_ping_pong(struct rack *rack)
{
    run_threads(rack, goi_writer, goi_run_reader);
}

static void goi_ping_pong(struct rack *rack)
{
    run_threads(rack, goi_writer, goi_reader);
    uint64_t word = mem_observe_u64(&rack->hosts[0].mem,
                                    &region_completion(&rack->hosts[0], LANE, READER)->synced);
    assert_int_equal(completion_version(word), 7);
    assert_int_equal(completion_position(word), GOI_START + ENTRIES);
}

static void the_goi_wraps_between_hosts(void **state)
{
    rack_each_mode(goi_ping_pong);
    rack_each_mode(goi_run_ping_pong);
}

/* Positions that differ by 2^32 have one stamp and one slot: the CRC tells them apart. */
static void goi_beyond_the_stamp(struct rack *rack)
{
    struct goi_entry_shared entry = goi_entry(40), seen;
    struct region *writer = &rack->hosts[0], *reader = &rack->hosts[1];
    assert_false(region_goi_observe(reader, 0, &seen)); /* zero is no entry, not even of 0 */
    region_goi_publish(writer, 40, &entry);
    mem_drain(&writer->mem);
    assert_true(region_goi_observe(reader, 40, &seen));
    assert_true(goi_entry_is(&seen, 40));
    assert_false(region_goi_observe(reader, 40 + (1ULL << 32), &seen));
    assert_false(region_goi_observe(reader, 40 + reader->areas.goi_entries, &seen));
    entry = goi_entry(40 + (1ULL << 32));
    region_goi_publish(writer, 40 + (1ULL << 32), &entry);
    mem_drain(&writer->mem);
    assert_true(region_goi_observe(reader, 40 + (1ULL << 32), &seen));
    assert_false(region_goi_observe(reader, 40, &seen));
    for (int at = 0; at < LINE_BYTES; at++) {
        rack_flip(writer, region_goi_line(writer, 40), at);
        assert_false(region_goi_observe(reader, 40 + (1ULL << 32), &seen));
        rack_flip(writer, region_goi_line(writer, 40), at);
    }
    assert_true(region_goi_observe(reader, 40 + (1ULL << 32), &seen));
}

static void goi_positions_beyond_32_bits(void **state)
{
    rack_each_mode(goi_beyond_the_stamp);
}

static void a_ring_need_not_be_a_power_of_two(void **state)
{
    for (uint64_t position = 0; position < 1000; position++) {
        assert_int_equal(ring_index(position, 17 * 8), position % 136);
        assert_int_equal(ring_index(position, 128), position % 128);
    }
}

/* ---- nodes, edge R7 -------------------------------------------------------------------------- */

static void node_lines(struct rack *rack)
{
    struct node_request_shared request = {
        .incarnation = 5, .roles = ROLE_BROKER, .host = "10.0.0.1", .port = 9650};
    struct node_request_shared seen;
    assert_false(region_node_request_observe(&rack->hosts[1], 31, &seen));
    region_node_request_publish(&rack->hosts[0], 31, &request);
    mem_drain(&rack->hosts[0].mem);
    assert_true(region_node_request_observe(&rack->hosts[1], 31, &seen));
    assert_memory_equal(&seen, &request, sizeof seen);
    void *line = &region_node(&rack->hosts[0], 31)->request;
    rack_flip(&rack->hosts[0], line, 25);
    assert_false(region_node_request_observe(&rack->hosts[1], 31, &seen));

    memset(request.host, 'x', sizeof request.host); /* a valid line with a name that never ends */
    region_node_request_publish(&rack->hosts[0], 31, &request);
    assert_false(region_node_request_observe(&rack->hosts[1], 31, &seen));

    struct node_beat_shared *beat = region_node_beat(&rack->hosts[0], 31);
    mem_publish_u64(&rack->hosts[0].mem, &beat->heartbeat, 77);
    mem_drain(&rack->hosts[0].mem);
    assert_int_equal(mem_own_u64(&rack->hosts[0].mem, &beat->heartbeat), 77);
    assert_int_equal(
        mem_observe_u64(&rack->hosts[1].mem, &region_node_beat(&rack->hosts[1], 31)->heartbeat),
        77);
}

static void node_lines_are_seen_by_the_other_host(void **state)
{
    rack_each_mode(node_lines);
}

/* ---- epochs, edges R1 and R3 ----------------------------------------------------------------- */

static void grant(struct region *region, uint64_t epoch, uint32_t slot)
{
    struct epoch_view view = {
        .epoch = epoch, .sequencer = slot + 1, .workspace = 15 - slot, .slot = slot};
    region_epoch_publish(region, &view);
}

static void epochs(struct rack *rack)
{
    struct region *writer = &rack->hosts[0], *reader = &rack->hosts[1];
    struct epoch_view view;
    region_epoch_look(reader, &view);
    assert_int_equal(view.epoch, 0);
    assert_true(region_epoch_is(reader, 0));
    grant(writer, 4, 0);
    assert_true(region_epoch_is(reader, 4));
    assert_false(region_epoch_is(reader, 5)); /* nobody has published it */
    grant(writer, 9, 1);
    assert_false(region_epoch_is(reader, 4));
    assert_true(region_epoch_is(reader, 9));
    assert_int_equal(reader->epoch_floor, 9);
    grant(writer, 11, 15);
    region_epoch_look(reader, &view);
    assert_int_equal(view.epoch, 11);
    assert_int_equal(view.sequencer, 16);
    assert_int_equal(view.workspace, 0);
    assert_int_equal(view.slot, 15);

    /* A slot that is not finished is not there; what was seen of it stays seen. */
    grant(writer, 20, 2);
    rack_flip(writer, region_epoch_line(writer, 2), 1);
    region_epoch_look(reader, &view);
    assert_int_equal(view.epoch, 11);
    assert_true(region_epoch_is(reader, 11));
    rack_flip(writer, region_epoch_line(writer, 2), 1);
    assert_false(region_epoch_is(reader, 11));
    rack_flip(writer, region_epoch_line(writer, 2), 1);
    assert_false(region_epoch_is(reader, 11));
}

static void the_highest_finished_epoch_rules(void **state)
{
    rack_each_mode(epochs);
}

/* ---- workspace, edge R2 ---------------------------------------------------------------------- */

static void intervals(struct rack *rack)
{
    struct region *writer = &rack->hosts[0], *reader = &rack->hosts[1];
    struct interval interval = {.epoch = 3, .end = 100, .next_start = 116}, seen;
    assert_false(region_interval_observe(reader, 4, 7, 63, &seen));
    region_interval_publish(writer, 4, 7, 63, &interval);
    mem_drain(&writer->mem);
    assert_true(region_interval_observe(reader, 4, 7, 63, &seen));
    assert_int_equal(seen.epoch, 3);
    assert_int_equal(seen.end, 100);
    assert_int_equal(seen.next_start, 116);
    assert_false(region_interval_observe(reader, 4, 8, 63, &seen)); /* an earlier owner's */
    assert_false(region_interval_observe(reader, 4, 7, 62, &seen));
    assert_false(region_interval_observe(reader, 4, 7, INTERVAL_MAX, &seen));
    rack_flip(writer, region_interval_line(writer, 4, 63), 40);
    assert_false(region_interval_observe(reader, 4, 7, 63, &seen));
}

static void intervals_belong_to_their_owner(void **state)
{
    rack_each_mode(intervals);
}

static void write_checkpoint(struct region *region, int half, uint64_t sequence, uint64_t bytes)
{
    uint64_t capacity;
    unsigned char *body = region_checkpoint_body(region, 6, half, &capacity);
    assert_true(bytes <= capacity);
    for (uint64_t i = 0; i < bytes; i++)
        body[i] = (unsigned char)(hash_u64(sequence) + i);
    mem_write_back(&region->mem, body, bytes);
    struct checkpoint_shared header = {
        .sequence = sequence,
        .owner_epoch = 7,
        .covers = sequence * 10,
        .bytes = bytes,
        .body_crc = crc32c(body, bytes),
    };
    region_checkpoint_publish(region, 6, half, &header);
}

/* The sequence of what was loaded, 0 for nothing; its bytes were right. */
static uint64_t load_checkpoint(struct region *region)
{
    struct checkpoint_shared header;
    void *bytes;
    if (region_checkpoint_load(region, 6, 7, &header, &bytes) != EMB_OK)
        return 0;
    const unsigned char *body = bytes;
    bool right = header.covers == header.sequence * 10;
    for (uint64_t i = 0; i < header.bytes; i++)
        right &= body[i] == (unsigned char)(hash_u64(header.sequence) + i);
    free(bytes);
    return right ? header.sequence : 0;
}

static void checkpoints(struct rack *rack)
{
    struct region *writer = &rack->hosts[0], *reader = &rack->hosts[1];
    uint64_t capacity;
    unsigned char *body = region_checkpoint_body(writer, 6, 1, &capacity);
    assert_true(capacity >= 16 * 320 + 256 * 544 + 32 * 128 + 8 * 193);
    assert_int_equal(load_checkpoint(reader), 0);
    write_checkpoint(writer, 0, 1, 0);
    assert_int_equal(load_checkpoint(reader), 1);
    write_checkpoint(writer, 1, 2, capacity);
    assert_int_equal(load_checkpoint(reader), 2);
    write_checkpoint(writer, 0, 3, 12345);
    assert_int_equal(load_checkpoint(reader), 3);
    struct checkpoint_shared header;
    void *bytes;
    assert_int_equal(region_checkpoint_load(reader, 6, 8, &header, &bytes), EMB_ERR_NOT_FOUND);

    /* The writer died in the body of 4, over 2: 3 stands. Then 3 is damaged too: nothing does. */
    body[100] ^= 1;
    mem_write_back(&writer->mem, body + 100, 1);
    mem_drain(&writer->mem);
    assert_int_equal(load_checkpoint(reader), 3);
    rack_flip(writer, region_checkpoint_line(writer, 6, 0), 8);
    assert_int_equal(load_checkpoint(reader), 0);
}

static void the_newest_whole_checkpoint_is_loaded(void **state)
{
    rack_each_mode(checkpoints);
}

static void *checkpoint_writer(void *arg)
{
    struct rack *rack = arg;
    for (uint64_t sequence = 2; sequence <= 400; sequence++)
        write_checkpoint(&rack->hosts[0], sequence & 1, sequence, 1000 + sequence);
    return NULL;
}

static void *checkpoint_reader(void *arg)
{
    struct rack *rack = arg;
    uint64_t last = 0;
    for (int i = 0; i < 200 && last < 400; i++) {
        struct checkpoint_shared header;
        void *bytes;
        /* Nothing is a possible answer to a reader that was overtaken four times. */
        if (region_checkpoint_load(&rack->hosts[1], 6, 7, &header, &bytes) != EMB_OK)
            continue;
        for (uint64_t at = 0; at < header.bytes; at++)
            rack->wrong +=
                ((unsigned char *)bytes)[at] != (unsigned char)(hash_u64(header.sequence) + at);
        rack->wrong += header.bytes != 1000 + header.sequence && header.sequence != 1;
        free(bytes);
        last = header.sequence;
    }
    return NULL;
}

static void checkpoint_race(struct rack *rack)
{
    write_checkpoint(&rack->hosts[0], 1, 1, 500);
    run_threads(rack, checkpoint_writer, checkpoint_reader);
    assert_int_equal(load_checkpoint(&rack->hosts[1]), 400);
}

static void a_checkpoint_is_whole_while_it_is_rewritten(void **state)
{
    rack_each_mode(checkpoint_race);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_wrap_between_hosts),
        cmocka_unit_test(lanes_tell_not_yet_from_lapped),
        cmocka_unit_test(lanes_are_read_in_groups),
        cmocka_unit_test(torn_lane_lines_are_not_yet),
        cmocka_unit_test(the_goi_wraps_between_hosts),
        cmocka_unit_test(goi_positions_beyond_32_bits),
        cmocka_unit_test(a_ring_need_not_be_a_power_of_two),
        cmocka_unit_test(node_lines_are_seen_by_the_other_host),
        cmocka_unit_test(the_highest_finished_epoch_rules),
        cmocka_unit_test(intervals_belong_to_their_owner),
        cmocka_unit_test(the_newest_whole_checkpoint_is_loaded),
        cmocka_unit_test(a_checkpoint_is_whole_while_it_is_rewritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

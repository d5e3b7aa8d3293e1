/* Brokers and nodes that break the rules: the sequencer goes on for all others. */
#include <string.h>

#include "sequencer/rig_test.h"

/* A slot as a broker writes it that waits for nothing. */
static void publish_raw(struct rig *rig, uint32_t node, uint64_t index, uint16_t topic)
{
    const struct meta_state *meta = follower_meta(rig->followers[node]);
    uint32_t lane = lane_of(rig, node);
    struct region *region = &rig->regions[node];
    struct pbr_entry_shared entry = {.kind = ENTRY_DATA,
                                     .payload =
                                         payload_word(region_segment_address(region, 5), 100),
                                     .session = NO_SESSION,
                                     .client_sequence = NO_SEQUENCE,
                                     .topic = topic,
                                     .message_count = 1};
    region_lane_publish(region, lane, meta->lanes[lane].generation, index, &entry);
    mem_drain(&region->mem);
}

static uint16_t begin_with_topic(struct rig *rig)
{
    begin(rig, MEM_HARDWARE);
    turns(rig, 6);
    return create_topic(rig, "t", TOPIC_ORDER_TOTAL, 0);
}

static void the_other_lane_goes_on(struct rig *rig, uint16_t topic)
{
    data(rig, 0, topic, NO_SESSION, NO_SEQUENCE, 1);
    turns(rig, 3);
    assert_int_equal(sequencer_failure(rig->sequencer, NULL), EMB_OK);
    assert_int_equal(rig->last.kind, ENTRY_DATA);
    assert_int_equal(rig->published[0], rig->released[0]);
}

static void a_lane_that_laps_the_sequencer_is_left(void **state)
{
    struct rig rig;
    uint16_t topic = begin_with_topic(&rig);
    publish_raw(&rig, 1, rig.published[1] + rig.seat.geometry.lane_slots, topic);
    turns(&rig, 3);
    assert_int_equal(counters_of(&rig).lanes_left, 1);
    the_other_lane_goes_on(&rig, topic);
    end(&rig);
}

/* Without room for DATA nothing of the lane is decided; its broker writes on over its ring. */
static void a_lane_that_overwrites_undecided_slots_is_left(void **state)
{
    struct rig rig;
    uint16_t topic = begin_with_topic(&rig);
    uint64_t end_index = 0;
    for (int i = 0; i < 600; i++) { /* nobody follows */
        publish_raw(&rig, 1, end_index++, topic);
        sequencer_do_work(rig.sequencer, rig.now_ns += MS);
    }
    struct sequencer_counters c = counters_of(&rig);
    assert_int_equal(c.lanes_left, 1);
    assert_int_equal(c.waited, rig.seat.geometry.lane_slots);
    rig.published[1] = c.data + c.waited;
    rig.now_ns += 2000 * MS;
    turns(&rig, 300);
    assert_true(counters_of(&rig).checkpoints > c.checkpoints);
    the_other_lane_goes_on(&rig, topic);
    end(&rig);
}

static void a_payload_that_leads_nowhere_is_refused(void **state)
{
    struct rig rig;
    uint16_t topic = begin_with_topic(&rig);
    struct region *region = &rig.regions[0];
    uint64_t last = region_segment_address(region, region->areas.segments - 1);
    uint64_t words[] = {0, UINT64_MAX, payload_word(last, 0), payload_word(64, 100),
                        payload_word(last + region->geometry.segment_bytes - 64, 65)};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        publish(&rig, 0,
                (struct pbr_entry_shared){.kind = ENTRY_DATA,
                                          .payload = words[i],
                                          .session = NO_SESSION,
                                          .client_sequence = NO_SEQUENCE,
                                          .topic = topic,
                                          .message_count = 1});
        turns(&rig, 3);
        assert_int_equal(rig.last.kind, ENTRY_REJECTED);
        assert_int_equal(rig.last.reason, EMB_ERR_CORRUPT_BATCH);
    }
    the_other_lane_goes_on(&rig, topic);
    end(&rig);
}

/* Incarnations begin at 1; one of 0 would be admitted again and again until no lane is left. */
static void a_node_without_incarnation_is_not_admitted(void **state)
{
    struct rig rig;
    uint16_t topic = begin_with_topic(&rig);
    struct node_request_shared none = {.roles = ROLE_BROKER, .lanes_wanted = 1};
    region_node_request_publish(&rig.regions[1], 9, &none);
    turns(&rig, 20);
    assert_false(follower_meta(rig.followers[0])->nodes[9].live);
    the_other_lane_goes_on(&rig, topic);
    end(&rig);
}

static void replicas_of_a_rack_without_stores_are_refused_for_good(void **state)
{
    struct rig rig;
    begin_with_topic(&rig);
    struct meta_record record = {.type = META_TOPIC_CREATE, .version = 1};
    record.topic_create.order = TOPIC_ORDER_TOTAL;
    record.topic_create.replicas = 2;
    strncpy(record.topic_create.name, "safe", TOPIC_NAME_MAX);
    request(&rig, 0, &record);
    turns(&rig, 3);
    assert_int_equal(rig.last.kind, ENTRY_REJECTED);
    assert_int_equal(rig.last.reason, EMB_ERR_INVALID_SETTING);
    end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lane_that_laps_the_sequencer_is_left),
        cmocka_unit_test(a_lane_that_overwrites_undecided_slots_is_left),
        cmocka_unit_test(a_payload_that_leads_nowhere_is_refused),
        cmocka_unit_test(a_node_without_incarnation_is_not_admitted),
        cmocka_unit_test(replicas_of_a_rack_without_stores_are_refused_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

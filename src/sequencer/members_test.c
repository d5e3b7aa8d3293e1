/* Nodes that join a log under way, leave it, and come back: the sequencer with real followers. */
#include <string.h>

#include "region/blog.h"
#include "sequencer/rig_test.h"

#define LATE 1 /* the node that comes and goes */

/* ---- joining --------------------------------------------------------------------------------- */

static void attach_late(struct rig *rig)
{
    uint64_t bytes = rig->seat.geometry.region_bytes;
    assert_int_equal(
        region_attach(&rig->regions[LATE], rig->memory, bytes, MEM_WRITEBACK_AUTO, NULL), EMB_OK);
}

static struct follower *join(struct rig *rig, uint64_t incarnation)
{
    struct follower *follower;
    struct follower_options options = {
        .region = &rig->regions[LATE], .node = LATE, .incarnation = incarnation};
    struct node_request_shared ask = {
        .incarnation = incarnation, .roles = ROLE_BROKER, .lanes_wanted = 1, .port = 1};
    assert_int_equal(follower_create(&options, &follower, NULL), EMB_OK);
    region_node_request_publish(&rig->regions[LATE], LATE, &ask);
    mem_drain(&rig->regions[LATE].mem);
    return follower;
}

/* Turns of everybody until the joiner has read what its checkpoint covers; node 0 goes on. */
static void run_until_current(struct rig *rig, struct follower *follower, uint16_t topic)
{
    struct error err;
    for (int i = 0; i < 200 && !follower_is_current(follower); i++) {
        if (has_slot(rig, 0))
            data(rig, 0, topic, NO_SESSION, NO_SEQUENCE, 1);
        turn(rig);
        follower_do_work(follower, rig->now_ns);
        if (follower_failure(follower, &err))
            fail_msg("%s", err.text);
    }
    assert_true(follower_is_current(follower));
}

static void assert_same_state(const struct follower *a, const struct follower *b)
{
    enum { CAPACITY = 1 << 16 };
    const struct follower *of[2] = {a, b};
    unsigned char *bytes[2];
    size_t used[2] = {0};
    for (int i = 0; i < 2; i++) {
        struct meta_cursor cursor = {0};
        bytes[i] = malloc(CAPACITY);
        while (!meta_encode_done(&cursor))
            used[i] += (size_t)meta_encode(follower_meta(of[i]), &cursor, 1, 64, bytes[i] + used[i],
                                           CAPACITY - used[i]);
    }
    assert_int_equal(used[0], used[1]);
    assert_memory_equal(bytes[0], bytes[1], used[0]);
    free(bytes[0]);
    free(bytes[1]);
}

static uint16_t begin_alone(struct rig *rig, int batches)
{
    struct geometry g = geometry_tiny();
    begin_with(rig, &g, MEM_HARDWARE, 1, (struct sequencer_options){0});
    turns(rig, 6);
    attach_late(rig);
    uint16_t topic = create_topic(rig, "t", TOPIC_ORDER_TOTAL, TOPIC_GAP_FENCE);
    for (int i = 0; i < batches; i++) {
        data(rig, 0, topic, NO_SESSION, NO_SEQUENCE, 1);
        turn(rig);
    }
    return topic;
}

/* Topics were encoded into a checkpoint, then one more is made, then the node is admitted, and its
   admission gets into the same checkpoint: the newcomer knows that topic all the same. */
static void a_checkpoint_that_was_under_way_is_passed_over(void **state)
{
    struct rig rig;
    struct geometry g = geometry_tiny();
    g.topics = 1024; /* several slices of a checkpoint before the nodes' */
    g.region_bytes = 64 << 20;
    begin_with(&rig, &g, MEM_HARDWARE, 1, (struct sequencer_options){0});
    turns(&rig, 6);
    attach_late(&rig);
    uint16_t topic = create_topic(&rig, "t", TOPIC_ORDER_TOTAL, TOPIC_GAP_FENCE);
    data(&rig, 0, topic, NO_SESSION, NO_SEQUENCE, 1);
    turns(&rig, 200);
    rig.now_ns += 1000 * MS;
    data(&rig, 0, topic, NO_SESSION, NO_SEQUENCE, 1);
    turn(&rig); /* a checkpoint is due: the topics there are */
    create_topic(&rig, "u", TOPIC_ORDER_TOTAL, TOPIC_GAP_FENCE);
    struct follower *late = join(&rig, 9);
    run_until_current(&rig, late, topic);
    assert_non_null(meta_topic_by_name(follower_meta(rig.followers[0]), "u"));
    assert_non_null(meta_topic_by_name(follower_meta(late), "u"));
    follower_destroy(late);
    end(&rig);
}

static struct blog_space write_batch(struct rig *rig, struct blog *blog, uint16_t topic, int byte)
{
    struct blog_space space;
    uint64_t slot = rig->published[0];
    assert_true(blog_reserve(blog, blog_batch_max(blog), &space));
    memset(space.bytes, byte, 100);
    publish(rig, 0,
            (struct pbr_entry_shared){.kind = ENTRY_DATA,
                                      .payload = payload_word(space.address, 100),
                                      .session = NO_SESSION,
                                      .client_sequence = NO_SEQUENCE,
                                      .topic = topic,
                                      .message_count = 1});
    blog_published(blog, &space, slot);
    turns(rig, 2);
    blog_outcome(blog, space.held, rig->last.position);
    return space;
}

/* The owner stands below the admission and does not know the newcomer, which sends from before it:
   its pin alone keeps the segment. */
static void what_a_newcomer_reads_is_kept_by_owners_that_do_not_know_it(void **state)
{
    struct rig rig;
    struct segment_source source;
    struct blog blog;
    struct blog_space next;
    struct goi_entry_shared entry;
    uint64_t at;
    uint16_t topic = begin_alone(&rig, 0);
    struct region *region = &rig.regions[0];
    segment_source_partition(&source, region, region->areas.segments / 2, 2);
    assert_int_equal(blog_init(&blog, region, &source, 0, 0, 2), EMB_OK);
    write_batch(&rig, &blog, topic, 'A');
    write_batch(&rig, &blog, topic, 'B');
    turns(&rig, 3);
    struct blog_horizon horizon = {.kept = follower_kept(rig.followers[0]),
                                   .live_nodes = follower_live_nodes(rig.followers[0])};
    struct follower *late = join(&rig, 9);
    for (int i = 0; i < 400 && !follower_is_current(late); i++) {
        rig.now_ns += MS;
        sequencer_do_work(rig.sequencer, rig.now_ns);
        follower_do_work(late, rig.now_ns);
    }
    assert_true(follower_is_current(late));
    assert_int_equal(follower_find_offset(late, topic, 0, &at, NULL), EMB_OK);
    follower_reading(late, at);
    assert_int_equal(follower_entry(late, at, &entry, NULL), EMB_OK);
    assert_true(follower_payload_stands(late, at, &entry));
    blog_reclaim(&blog, &horizon);
    assert_false(blog_reserve(&blog, 64, &next));
    follower_reading(late, NO_POSITION);
    blog_reclaim(&blog, &horizon);
    assert_true(blog_reserve(&blog, 64, &next));
    blog_free(&blog);
    follower_destroy(late);
    end(&rig);
}

/* The GOI of 128 entries has come round several times: what is below D may be gone. */
static void a_log_that_wrapped_is_joined(void **state)
{
    struct rig rig;
    uint16_t topic = begin_alone(&rig, 500);
    struct follower *late = join(&rig, 9);
    run_until_current(&rig, late, topic);
    turn(&rig);
    follower_do_work(late, rig.now_ns);
    assert_int_equal(follower_position(late), follower_position(rig.followers[0]));
    assert_int_equal(follower_durable(late), follower_durable(rig.followers[0]));
    assert_true(follower_admitted(late) > 500);
    assert_same_state(late, rig.followers[0]);
    assert_true(follower_oldest_offset(late, topic) > 0);
    follower_destroy(late);
    end(&rig);
}

/* In one that has not, everything in segments of a first life is found. */
static void young_log(uint64_t generation)
{
    struct rig rig;
    uint16_t topic = begin_alone(&rig, 0);
    uint32_t segment = rig.seat.areas.segments / 2 + NODES_MOST; /* of data() */
    region_segment_publish(&rig.regions[0], segment, generation, 0, 0);
    mem_drain(&rig.regions[0].mem);
    for (int i = 0; i < 40; i++) {
        data(&rig, 0, topic, NO_SESSION, NO_SEQUENCE, 1);
        turn(&rig);
    }
    struct follower *late = join(&rig, 9);
    run_until_current(&rig, late, topic);
    uint64_t position, oldest, first = follower_oldest_offset(late, topic);
    assert_true(generation == 1 ? first == 0 : first >= 40);
    assert_int_equal(follower_find_offset(late, topic, 20, &position, &oldest),
                     generation == 1 ? EMB_OK : EMB_ERR_OFFSET_OUT_OF_RANGE);
    follower_destroy(late);
    end(&rig);
}

static void a_young_log_is_indexed_from_its_beginning(void **state)
{
    young_log(1);
}

static void what_may_have_been_overwritten_is_not_indexed(void **state)
{
    young_log(3);
}

/* A checkpoint that does not hold this very admission is passed over. */
static void it_waits_for_its_own_admission(void **state)
{
    struct rig rig;
    begin_alone(&rig, 20);
    struct follower *late = join(&rig, 9);
    struct node_request_shared other = {
        .incarnation = 8, .roles = ROLE_BROKER, .lanes_wanted = 1, .port = 1};
    region_node_request_publish(&rig.regions[LATE], LATE, &other); /* instead of its own */
    mem_drain(&rig.regions[LATE].mem);
    for (int i = 0; i < 50; i++) {
        turn(&rig);
        follower_do_work(late, rig.now_ns);
    }
    assert_true(follower_meta(rig.followers[0])->nodes[LATE].live);
    assert_int_equal(follower_epoch(late), 0);
    assert_false(follower_is_current(late));
    follower_destroy(late);
    end(&rig);
}

/* ---- leaving --------------------------------------------------------------------------------- */

static struct meta_record leave_record(const struct rig *rig, uint32_t node)
{
    struct meta_record record = {.type = META_NODE_LEAVE, .version = 1};
    record.leave.node = node;
    record.leave.incarnation = 7; /* of the rig */
    record.leave.lane_ends[0] = rig->published[node] + 1;
    return record;
}

static void assert_answer(struct rig *rig, uint32_t node, const struct meta_record *record,
                          int reason)
{
    request(rig, node, record);
    turns(rig, 2);
    assert_int_equal(rig->last.kind, reason ? ENTRY_REJECTED : ENTRY_META);
    assert_int_equal(rig->last.reason, reason);
}

static void only_a_true_leave_is_granted(void **state)
{
    struct rig rig;
    uint64_t session;
    uint16_t topic = begin_with_session(&rig, MEM_HARDWARE, TOPIC_GAP_FENCE, &session);
    struct meta_record record = leave_record(&rig, 1);
    assert_answer(&rig, 0, &record, EMB_ERR_PERMISSION); /* another node's slot */
    record = leave_record(&rig, 1);
    record.leave.incarnation = 6;
    assert_answer(&rig, 1, &record, EMB_ERR_PERMISSION);
    record = leave_record(&rig, 1);
    record.leave.lane_ends[0]++;
    assert_answer(&rig, 1, &record, EMB_ERR_INVALID_ARGUMENT);
    record.leave.node = NODE_MAX;
    assert_answer(&rig, 1, &record, EMB_ERR_CORRUPT_BATCH);
    data(&rig, 1, topic, session, 5, 1); /* held: its slot has no outcome */
    turns(&rig, 2);
    record = leave_record(&rig, 1);
    assert_answer(&rig, 1, &record, EMB_ERR_INVALID_ARGUMENT);
    assert_true(follower_meta(rig.followers[0])->nodes[1].live);
    end(&rig);
}

static void a_store_in_a_chain_and_the_sequencer_stay(void **state)
{
    struct rig rig;
    struct geometry g = geometry_tiny();
    struct sequencer_options options = {.chain_length = 1, .stores_expected = 1};
    begin_with(&rig, &g, MEM_HARDWARE, 2, options);
    ask_admission(&rig, 0, ROLE_BROKER | ROLE_SEQUENCER);
    ask_admission(&rig, 1, ROLE_BROKER | ROLE_REPLICA);
    turns(&rig, 6);
    struct meta_record record = leave_record(&rig, 1);
    assert_answer(&rig, 1, &record, EMB_ERR_BUSY);
    record = leave_record(&rig, 0);
    assert_answer(&rig, 0, &record, EMB_ERR_PERMISSION);
    end(&rig);
}

static void ask_again(struct rig *rig, uint32_t node, uint64_t incarnation, uint32_t roles)
{
    struct node_request_shared ask = {
        .incarnation = incarnation, .roles = roles, .lanes_wanted = 1, .port = 1};
    region_node_request_publish(&rig->regions[node], node, &ask);
    mem_drain(&rig->regions[node].mem);
    turns(rig, 4);
}

/* Its outcome is nobody's: from the entry on the lane is not the node's. */
static void leave(struct rig *rig, uint32_t node)
{
    struct meta_record record = leave_record(rig, node);
    request(rig, node, &record);
    turns(rig, 2);
    assert_false(follower_meta(rig->followers[0])->nodes[node].live);
    rig->released[node] = rig->published[node];
}

static void a_lane_goes_on_where_it_was_left(void **state)
{
    struct rig rig;
    begin(&rig, MEM_SOFTWARE);
    turns(&rig, 6);
    uint16_t topic = create_topic(&rig, "t", TOPIC_ORDER_TOTAL, TOPIC_GAP_FENCE);
    uint32_t lane = lane_of(&rig, 1);
    uint64_t incarnation = 7;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++) {
            data(&rig, 1, topic, NO_SESSION, NO_SEQUENCE, 1);
            turn(&rig);
            assert_int_equal(rig.last.kind, ENTRY_DATA);
        }
        struct meta_record record = leave_record(&rig, 1);
        record.leave.incarnation = incarnation;
        request(&rig, 1, &record);
        turns(&rig, 2);
        rig.released[1] = rig.published[1];
        const struct meta_lane *left = &follower_meta(rig.followers[0])->lanes[lane];
        assert_int_equal(left->node, NODE_MAX);
        assert_int_equal(left->start, rig.published[1]);
        assert_int_equal(left->generation, round + 1);
        region_retry_below_publish(&rig.regions[1], lane, rig.published[1]);
        ask_again(&rig, 1, ++incarnation, ROLE_BROKER);
        assert_int_equal(lane_of(&rig, 1), lane);
        assert_int_equal(left->generation, round + 2);
        assert_int_equal(left->node, 1);
    }
    end(&rig);
}

static void what_was_told_to_have_left_is_not_admitted_by_old_requests(void **state)
{
    struct rig rig;
    begin(&rig, MEM_HARDWARE);
    turns(&rig, 6);
    leave(&rig, 1);
    turns(&rig, 10); /* its request of then still stands there */
    assert_false(follower_meta(rig.followers[0])->nodes[1].live);
    ask_again(&rig, 1, 7, 0); /* the node says so itself */
    assert_false(follower_meta(rig.followers[0])->nodes[1].live);
    ask_again(&rig, 1, 6, ROLE_BROKER);
    assert_false(follower_meta(rig.followers[0])->nodes[1].live);
    ask_again(&rig, 1, 8, ROLE_BROKER);
    assert_true(follower_meta(rig.followers[0])->nodes[1].live);
    end(&rig);
}

/* ---- asking in vain, and taking it back ------------------------------------------------------ */

static void beat_late(struct rig *rig, uint64_t count)
{
    struct node_beat_shared *beat = region_node_beat(&rig->regions[LATE], LATE);
    mem_publish_u64(&rig->regions[LATE].mem, &beat->heartbeat, count);
    mem_drain(&rig->regions[LATE].mem);
}

static const struct meta_node *late_node(const struct rig *rig)
{
    return &follower_meta(rig->followers[0])->nodes[LATE];
}

/* Asks and beats until it is in. */
static void admit_late(struct rig *rig, uint64_t incarnation)
{
    ask_again(rig, LATE, incarnation, ROLE_BROKER);
    for (uint64_t i = 1; i < 100 && late_node(rig)->incarnation != incarnation; i++) {
        beat_late(rig, incarnation + i);
        turn(rig);
    }
    assert_true(late_node(rig)->live);
    assert_int_equal(late_node(rig)->incarnation, incarnation);
}

static void withdraw_late(struct rig *rig, uint64_t incarnation)
{
    struct mem *mem = &rig->regions[LATE].mem;
    mem_publish_u64(mem, &region_node_beat(&rig->regions[LATE], LATE)->withdrawn, incarnation);
    mem_drain(mem);
}

static void who_has_died_while_it_asked_is_not_admitted(void **state)
{
    struct rig rig;
    begin_alone(&rig, 0);
    beat_late(&rig, 5);
    ask_again(&rig, LATE, 9, ROLE_BROKER);
    turns(&rig, 100);
    assert_false(late_node(&rig)->live);
    admit_late(&rig, 9);
    end(&rig);
}

static void a_grant_that_is_not_wanted_any_more_is_taken_back(void **state)
{
    struct rig rig;
    uint16_t topic = begin_alone(&rig, 0);
    admit_late(&rig, 9);
    uint32_t lane = late_node(&rig)->lanes[0];
    withdraw_late(&rig, 8); /* its predecessor */
    turns(&rig, 3 * NODE_MAX);
    assert_true(late_node(&rig)->live);
    withdraw_late(&rig, 9);
    ask_again(&rig, LATE, 9, 0);
    turns(&rig, 2 * NODE_MAX);
    assert_false(late_node(&rig)->live);
    assert_int_equal(follower_meta(rig.followers[0])->lanes[lane].node, NODE_MAX);
    for (int i = 0; i < 300; i++) { /* the log comes round: nobody waits for who is not there */
        assert_true(has_slot(&rig, 0));
        data(&rig, 0, topic, NO_SESSION, NO_SEQUENCE, 1);
        turn(&rig);
    }
    admit_late(&rig, 12);
    withdraw_late(&rig, 12); /* and the next is there before anybody has looked */
    admit_late(&rig, 13);
    assert_int_equal(late_node(&rig)->lanes[0], lane);
    end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_that_wrapped_is_joined),
        cmocka_unit_test(a_young_log_is_indexed_from_its_beginning),
        cmocka_unit_test(what_may_have_been_overwritten_is_not_indexed),
        cmocka_unit_test(a_checkpoint_that_was_under_way_is_passed_over),
        cmocka_unit_test(what_a_newcomer_reads_is_kept_by_owners_that_do_not_know_it),
        cmocka_unit_test(it_waits_for_its_own_admission),
        cmocka_unit_test(only_a_true_leave_is_granted),
        cmocka_unit_test(a_store_in_a_chain_and_the_sequencer_stay),
        cmocka_unit_test(a_lane_goes_on_where_it_was_left),
        cmocka_unit_test(what_was_told_to_have_left_is_not_admitted_by_old_requests),
        cmocka_unit_test(who_has_died_while_it_asked_is_not_admitted),
        cmocka_unit_test(a_grant_that_is_not_wanted_any_more_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

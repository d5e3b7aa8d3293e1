#include "tests/traffic.h"

#define TRAFFIC_MOST 2000000u

struct goal {
    struct traffic *traffic;
    uint64_t acknowledged;
};

static bool is_reached(void *arg)
{
    struct goal *goal = arg;
    return flag_load_acquire(&goal->traffic->publisher->done) >= goal->acknowledged;
}

static bool has_begun(void *arg)
{
    struct traffic *traffic = arg;
    return flag_load_acquire(&traffic->reader->done) > 0;
}

struct traffic traffic_start(struct rig *rig)
{
    struct traffic traffic;
    rig_topic(rig, TRAFFIC_TOPIC, EMB_ORDER_CLIENT, 2);
    traffic.publisher = flow_publisher(rig, TRAFFIC_TOPIC, 0, TRAFFIC_MOST);
    /* Small batches, few at a time: it shall last, not fill disks. */
    traffic.publisher->publishing.max_in_flight = 2;
    traffic.publisher->publishing.batch_bytes_max = 8 << 10;
    traffic.publisher->publishing.batch_bytes_min = 4 << 10;
    traffic.publisher->publishing.max_buffered_bytes = 64 << 10;
    traffic.reader = flow_reader(rig, TRAFFIC_TOPIC, TRAFFIC_MOST);
    traffic.reader->first_broker = rig->options.nodes - 1;
    traffic.publisher->paced_by[0] = traffic.reader;
    flow_start(traffic.reader);
    flow_start(traffic.publisher);
    rig_wait_until(has_begun, &traffic, "the first message of the traffic was read");
    return traffic;
}

void traffic_must_flow(struct traffic *traffic)
{
    /* More than can have been accepted before the call. */
    struct goal goal = {traffic, flag_load_acquire(&traffic->publisher->done) + 200};
    rig_wait_until(is_reached, &goal, "the traffic went on");
}

void traffic_end(struct traffic *traffic)
{
    flag_store_release(&traffic->publisher->stop, 1);
    flow_join(traffic->publisher);
    uint64_t accepted = traffic->publisher->accepted;
    assert_int_equal(flag_load_acquire(&traffic->publisher->done), accepted);
    flag_store_release(&traffic->reader->stop, accepted + 1);
    flow_join(traffic->reader);
    flow_assert_complete(traffic->reader, 1, accepted);
    flow_assert_offsets(traffic->publisher, traffic->reader);
}

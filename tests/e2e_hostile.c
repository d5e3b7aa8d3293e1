/*
 * Clients that break off, dawdle or stop: what others publish and read meanwhile is all there, in
 * order, byte for byte.
 */
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "tests/raw.h"
#include "tests/traffic.h"

#define TOPIC "hostile"

/* ---- breaking off ---------------------------------------------------------------------------- */

struct ended {
    struct rig *rig;
    uint16_t topic;
    uint64_t session;
    uint32_t node;
};

static bool has_ended(void *arg)
{
    struct ended *e = arg;
    return raw_session_has_ended(e->rig, e->node, e->topic, e->session);
}

/* Sends so many bytes of a PRODUCE and goes: its session ends, for every broker to see. */
static void cut_produce(struct rig *rig, size_t sent, bool reset, bool complete_before)
{
    struct raw_batch batch;
    struct raw *raw = raw_open(rig, 0);
    raw_publish_open(raw, TOPIC, 1);
    raw_batch_make(raw, 0, 3, &batch);
    if (complete_before) {
        assert_int_equal(raw_ack(raw, raw_produce(raw, &batch)).status, EMB_OK);
        raw_batch_make(raw, 3, 3, &batch);
    }
    struct ended ended = {rig, raw->topic, raw->session, (uint32_t)sent % 4};
    raw_produce_part(raw, &batch, sent ? sent : FRAME_HEADER_BYTES + batch.byte_count);
    raw_close(raw, reset);
    rig_wait_until(has_ended, &ended, "the session of a lost connection was ended");
}

static void breaking_off_in_a_batch(void **state)
{
    struct rig *rig = *state;
    const size_t cuts[] = {1, 12, 63, 64, 65, 100, 0 /* all of it */};
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        cut_produce(rig, cuts[i], false, i % 2);
        cut_produce(rig, cuts[i], true, i % 2 == 0);
    }
    traffic_must_flow(&traffic);
    traffic_end(&traffic);
    rig_stop(rig);
}

/* Each request, cut after each of its bytes, and after all of them, unread answers included. */
static void breaking_off_in_a_request(void **state)
{
    struct rig *rig = *state;
    unsigned char bytes[FRAME_HEADER_BYTES + 300];
    struct wire_writer w;
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    wire_writer_init(&w, bytes + FRAME_HEADER_BYTES, 300);
    struct subscribe subscribe = {.topic = TRAFFIC_TOPIC, .after_position = UINT64_MAX};
    subscribe_put(&w, &subscribe);
    frame_header_write(
        bytes, &(struct frame_header){.type = FRAME_SUBSCRIBE, .body_bytes = (uint32_t)w.used});
    for (size_t sent = 0; sent <= FRAME_HEADER_BYTES + w.used; sent++) {
        struct raw *raw = raw_open(rig, (uint32_t)sent % 4);
        raw_send(raw, bytes, sent);
        raw_close(raw, sent % 2);
    }
    traffic_must_flow(&traffic);
    traffic_end(&traffic);
    rig_stop(rig);
}

static void ask_for_session(struct raw *raw, uint16_t topic)
{
    unsigned char body[16];
    struct wire_writer w;
    wire_writer_init(&w, body, sizeof body);
    wire_put_u16(&w, topic);
    wire_put_u64(&w, UINT64_MAX);
    raw_frame(raw, FRAME_SESSION_OPEN, body, (uint32_t)w.used);
}

static bool gets_a_session(void *arg)
{
    struct raw *raw = arg;
    ask_for_session(raw, raw->topic);
    assert_true(raw_receive(raw));
    return raw->header.type == FRAME_SESSION_OK;
}

/* Sessions that were opened for somebody who had gone are ended: their places are free again. */
static void asking_and_leaving(void **state)
{
    struct rig *rig = *state;
    /* The sessions' entries, too, come between the traffic's reader and the log's end. */
    rig->options.geometry.goi_segment_entries = 512;
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    struct raw *stays = raw_open(rig, 0);
    stays->topic = raw_describe(stays, TOPIC).id;
    for (uint32_t i = 0; i < rig->options.geometry.sessions + 50; i++) {
        struct raw *raw = raw_open(rig, i % 4);
        ask_for_session(raw, stays->topic);
        raw_close(raw, i % 2);
    }
    traffic_must_flow(&traffic);
    rig_wait_until(gets_a_session, stays, "there was room for a session");
    raw_close(stays, false);
    traffic_end(&traffic);
    rig_stop(rig);
}

/* ---- dawdling -------------------------------------------------------------------------------- */

static void one_byte_at_a_time(void **state)
{
    struct rig *rig = *state;
    struct raw_batch batch;
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    struct raw *raw = raw_open(rig, 1);
    raw->slow = true;
    raw_hello(raw);
    raw_publish_open(raw, TOPIC, 2);
    for (uint64_t i = 0; i < 5; i++) {
        raw_batch_make(raw, 10 * i, 10, &batch);
        struct ack_item item = raw_ack(raw, raw_produce(raw, &batch));
        assert_int_equal(item.status, EMB_OK);
        assert_int_equal(item.base_offset, 10 * i);
    }
    raw_close(raw, false);
    traffic_must_flow(&traffic);
    traffic_end(&traffic);
    rig_stop(rig);
}

static void nobody_reads_the_acks(void **state)
{
    struct rig *rig = *state;
    struct raw_batch batch;
    rig->options.geometry.goi_segment_entries =
        1024; /* the flood shall not wash the traffic away */
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    struct raw *raw = raw_open(rig, 1);
    raw_publish_open(raw, TOPIC, 1);
    for (uint64_t i = 0; i < 2000; i++) {
        raw_batch_make(raw, i, 1, &batch);
        raw_produce(raw, &batch);
    }
    traffic_must_flow(&traffic);
    raw_close(raw, true);
    traffic_end(&traffic);
    rig_stop(rig);
}

static void many_do_nothing(void **state)
{
    struct rig *rig = *state;
    struct raw *idle[200];
    rig_start(rig);
    struct traffic traffic = traffic_start(rig);
    for (uint32_t i = 0; i < COUNT_OF(idle); i++)
        idle[i] = raw_open(rig, i % 4);
    traffic_must_flow(&traffic);
    raw_hello(idle[0]);
    raw_hello(idle[199]);
    for (uint32_t i = 0; i < COUNT_OF(idle); i++)
        raw_close(idle[i], i % 2);
    traffic_must_flow(&traffic);
    traffic_end(&traffic);
    rig_stop(rig);
}

/* ---- holding memory -------------------------------------------------------------------------- */

/* The region's size goes through: all of it must be used again. */
static void push_through(struct rig *rig, struct traffic *traffic, uint32_t publisher)
{
    const uint64_t count = rig->options.geometry.region_bytes / (200 << 10);
    struct flow *flow = flow_publisher(rig, "volume", publisher, count);
    flow->content = (struct content){200 << 10, 200 << 10, true};
    flow->publishing.max_buffered_bytes = 2 << 20;
    flow->paced_by[0] = traffic->reader; /* no faster than the traffic is read */
    flow->pacemaker = traffic->publisher;
    flow_start(flow);
    flow_join(flow);
    traffic_must_flow(traffic);
}

static void subscribers_that_never_read(void **state)
{
    struct rig *rig = *state;
    unsigned char body[300];
    struct wire_writer w;
    struct subscribe subscribe = {.topic = "volume", .after_position = UINT64_MAX};
    struct raw *raws[4];
    rig_start(rig);
    struct traffic traffic = traffic_start(rig);
    rig_topic(rig, "volume", EMB_ORDER_CLIENT, 2);
    push_through(rig, &traffic, 0);
    for (uint32_t i = 0; i < 4; i++) {
        raws[i] = raw_open(rig, i);
        wire_writer_init(&w, body, sizeof body);
        subscribe_put(&w, &subscribe);
        raw_frame(raws[i], FRAME_SUBSCRIBE, body, (uint32_t)w.used);
        raw_expect(raws[i], FRAME_SUBSCRIBE_OK);
    }
    push_through(rig, &traffic, 1);
    push_through(rig, &traffic, 2);
    for (uint32_t i = 0; i < 4; i++)
        raw_close(raws[i], i % 2);
    traffic_end(&traffic);
    rig_stop(rig);
}

static void publishers_that_stop_within_a_batch(void **state)
{
    struct rig *rig = *state;
    struct raw *raws[8];
    struct raw_batch batch;
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    for (uint32_t i = 0; i < COUNT_OF(raws); i++) {
        raws[i] = raw_open(rig, i % 4);
        raw_publish_open(raws[i], TOPIC, 2);
        raw_batch_make(raws[i], 0, 10, &batch);
        raw_produce_part(raws[i], &batch, FRAME_HEADER_BYTES + 50);
    }
    rig_topic(rig, "volume", EMB_ORDER_CLIENT, 2);
    push_through(rig, &traffic, 0);
    push_through(rig, &traffic, 1);
    for (uint32_t i = 0; i < COUNT_OF(raws); i++)
        raw_close(raws[i], i % 2);
    traffic_end(&traffic);
    rig_stop(rig);
}

int main(void)
{
    const struct rig_case cases[] = {
        {"breaking_off_in_a_batch", breaking_off_in_a_batch, RIG_EVERYWHERE},
        {"breaking_off_in_a_request", breaking_off_in_a_request, RIG_EVERYWHERE},
        {"asking_and_leaving", asking_and_leaving, RIG_EVERYWHERE},
        {"one_byte_at_a_time", one_byte_at_a_time, RIG_EVERYWHERE},
        {"nobody_reads_the_acks", nobody_reads_the_acks, RIG_EVERYWHERE},
        {"many_do_nothing", many_do_nothing, RIG_EVERYWHERE},
        {"subscribers_that_never_read", subscribers_that_never_read, RIG_EVERYWHERE},
        {"publishers_that_stop_within_a_batch", publishers_that_stop_within_a_batch,
         RIG_EVERYWHERE},
    };
    return rig_run("e2e-hostile", cases, COUNT_OF(cases));
}

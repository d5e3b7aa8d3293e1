/*
 * Sessions end: by a lost connection, by a gap that is not filled, by their owner. What was
 * acknowledged is in the log, once and as a prefix; nobody else waits for what is missing.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bits.h"
#include "tests/raw.h"
#include "tests/traffic.h"

#define TOPIC   "session"
#define FDS_MAX 1024

/* ---- losing a connection --------------------------------------------------------------------- */

/*
 * Cuts every connection of this process' clients to a broker, as a cable would be: `hard` drops
 * what is under way. The descriptors are the client's; only what they lead to ends. The system is
 * called directly: the thread sanitizer takes a connect() for the making of a descriptor.
 */
static uint32_t cut_connections_to(uint16_t port, bool hard)
{
    uint32_t cut = 0;
    for (int fd = 3; fd < FDS_MAX; fd++) {
        struct sockaddr_in peer;
        socklen_t bytes = sizeof peer;
        const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
        if (getpeername(fd, (struct sockaddr *)&peer, &bytes) || peer.sin_family != AF_INET ||
            ntohs(peer.sin_port) != port)
            continue;
        if (hard ? syscall(SYS_connect, fd, &nowhere, sizeof nowhere) : shutdown(fd, SHUT_RDWR))
            continue;
        cut++;
    }
    return cut;
}

static bool has_acks(void *arg)
{
    struct flow *flow = arg;
    return flag_load_acquire(&flow->done) > 100;
}

static uint64_t log_end(struct rig *rig)
{
    struct emb_topic_info info;
    struct emb_error err = {0};
    if (emb_topic_describe(rig->client, TOPIC, &info, &err))
        fail_msg("%s", err.text);
    return info.next_offset;
}

/* Reads from the beginning on, before memory is used again; read_to_the_end says when to stop. */
static struct flow *start_reader(struct rig *rig)
{
    struct flow *reader = flow_reader(rig, TOPIC, 2000000);
    reader->first_broker = 1;
    flow_start(reader);
    return reader;
}

/* Up to what another publisher, who comes after all others, puts at the end. */
static void read_to_the_end(struct rig *rig, struct flow *reader)
{
    struct flow *marker = flow_publisher(rig, TOPIC, 7, 1);
    flow_start(marker);
    flow_join(marker);
    assert_int_equal(marker->offsets[0] + 1, log_end(rig));
    flag_store_release(&reader->stop, marker->offsets[0] + 2);
    flow_join(reader);
    assert_int_equal(reader->first_offset, 0);
    flow_assert_offsets(marker, reader);
}

static void assert_prefix(const struct flow *publisher, struct flow *reader)
{
    uint64_t in_log = 0;
    for (uint64_t i = 0; i < flag_load_acquire(&reader->done); i++)
        if (reader->places[i].publisher == publisher->publisher)
            assert_int_equal(reader->places[i].index, in_log++);
    for (uint64_t i = 0; i < publisher->accepted; i++) {
        assert_int_not_equal(publisher->codes[i], 1);
        if (publisher->codes[i] == EMB_OK)
            assert_true(i < in_log);
    }
}

static uint64_t count_failed(const struct flow *flow)
{
    uint64_t failed = 0;
    for (uint64_t i = 0; i < flow->accepted; i++)
        failed += flow->codes[i] != EMB_OK;
    return failed;
}

static struct flow *lose_a_connection(struct rig *rig, uint32_t round, struct flow *reader)
{
    struct flow *publisher = flow_publisher(rig, TOPIC, round, 1000000);
    publisher->may_fail = true;
    publisher->publishing.batch_bytes_min = 16 << 10;
    publisher->publishing.batch_bytes_max = 64 << 10;
    publisher->publishing.max_buffered_bytes = 1 << 20;
    publisher->paced_by[0] = reader;
    publisher->max_ahead = 2000;
    flow_start(publisher);
    rig_wait_until(has_acks, publisher, "a hundred messages were acknowledged");
    assert_true(cut_connections_to(rig_port(rig, round % 4), round % 2) > 0);
    flow_join(publisher);
    assert_true(publisher->accepted < publisher->count);
    assert_true(count_failed(publisher) > 0);
    assert_int_equal(count_failed(publisher) + flag_load_acquire(&publisher->done),
                     publisher->accepted);
    assert_int_not_equal(publisher->ended.code, EMB_OK);
    return publisher;
}

static void a_lost_connection_ends_the_session(void **state)
{
    struct rig *rig = *state;
    struct flow *publishers[6];
    rig->options.geometry.goi_segment_entries = 512; /* all that max_ahead allows is still there */
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct flow *reader = start_reader(rig);
    for (uint32_t round = 0; round < COUNT_OF(publishers); round++)
        publishers[round] = lose_a_connection(rig, round, reader);
    read_to_the_end(rig, reader);
    for (uint32_t round = 0; round < COUNT_OF(publishers); round++) {
        assert_prefix(publishers[round], reader);
        flow_assert_offsets(publishers[round], reader);
    }
    rig_stop(rig);
}

struct goal {
    struct flow *flow;
    uint64_t acknowledged;
};

static bool has_reached(void *arg)
{
    struct goal *goal = arg;
    return flag_load_acquire(&goal->flow->done) >= goal->acknowledged;
}

static void without_sessions_the_other_connections_go_on(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_TOTAL, 2);
    struct flow *publisher = flow_publisher(rig, TOPIC, 0, 1000000);
    publisher->may_fail = true;
    publisher->publishing.max_buffered_bytes = 1 << 20;
    flow_start(publisher);
    rig_wait_until(has_acks, publisher, "a hundred messages were acknowledged");
    assert_true(cut_connections_to(rig_port(rig, 2), false) > 0);
    struct goal goal = {publisher, flag_load_acquire(&publisher->done) + 5000};
    rig_wait_until(has_reached, &goal, "more was acknowledged over the other connections");
    flag_store_release(&publisher->stop, 1);
    flow_join(publisher);
    assert_int_equal(publisher->stats.brokers, 3);
    rig_stop(rig);
}

/* ---- held batches ---------------------------------------------------------------------------- */

struct quiet {
    struct rig *rig;
    uint16_t topic;
    uint64_t session;
};

static bool has_ended_everywhere(void *arg)
{
    struct quiet *q = arg;
    for (uint32_t node = 0; node < q->rig->options.nodes; node++)
        if (!raw_session_has_ended(q->rig, node, q->topic, q->session))
            return false;
    return true;
}

/* Its first batch never comes: what it sent stays held in all lanes, and then dies with it. */
static void held_batches_block_nobody(void **state)
{
    struct rig *rig = *state;
    struct raw *raws[4];
    struct raw_batch batch;
    struct sequencer_counters counters;
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    for (uint32_t node = 0; node < 4; node++) {
        raws[node] = raw_open(rig, node);
        if (node == 0)
            raw_publish_open(raws[0], TOPIC, 2);
        else
            raw_publish_join(raws[node], raws[0]);
        raw_batch_make(raws[node], 1 + node, 1, &batch);
        raw_produce(raws[node], &batch);
    }
    traffic_must_flow(&traffic);
    struct quiet quiet = {rig, raws[0]->topic, raws[0]->session};
    for (uint32_t node = 0; node < 4; node++)
        raw_close(raws[node], node % 2);
    rig_wait_until(has_ended_everywhere, &quiet, "the session was ended everywhere");
    traffic_must_flow(&traffic);
    assert_int_equal(log_end(rig), 0);
    traffic_end(&traffic);
    rig_counters(rig, &counters);
    assert_int_equal(counters.held_now, 0);
    rig_stop(rig);
}

static void a_gap_fences_the_session(void **state)
{
    struct rig *rig = *state;
    struct raw_batch batch;
    rig->options.fence_timeout_ns = 200000000ull * rig_time_factor();
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    struct traffic traffic = traffic_start(rig);
    struct raw *raw = raw_open(rig, 1);
    raw_publish_open(raw, TOPIC, 2);
    raw_batch_make(raw, 0, 2, &batch);
    assert_int_equal(raw_ack(raw, raw_produce(raw, &batch)).status, EMB_OK);
    raw_batch_make(raw, 3, 1, &batch);
    ASSERT_CODE(raw_settle(raw, &batch).status, EMB_ERR_SESSION_FENCED);
    raw_batch_make(raw, 2, 1, &batch);
    ASSERT_CODE(raw_settle(raw, &batch).status, EMB_ERR_SESSION_FENCED);
    assert_int_equal(log_end(rig), 2);
    raw_publish_open(raw, TOPIC, 2);
    raw_batch_make(raw, 0, 1, &batch);
    struct ack_item item = raw_ack(raw, raw_produce(raw, &batch));
    assert_int_equal(item.status, EMB_OK);
    assert_int_equal(item.base_offset, 2);
    raw_close(raw, false);
    traffic_must_flow(&traffic);
    traffic_end(&traffic);
    rig_stop(rig);
}

static void a_gap_is_skipped_where_the_topic_says_so(void **state)
{
    struct rig *rig = *state;
    struct emb_topic_settings settings;
    struct emb_error err = {0};
    struct raw_batch batch;
    rig_start(rig);
    emb_topic_settings_init(&settings);
    settings.gap = EMB_GAP_SKIP;
    if (emb_topic_create(rig->client, TOPIC, &settings, NULL, &err))
        fail_msg("%s", err.text);
    struct raw *raw = raw_open(rig, 1);
    raw_publish_open(raw, TOPIC, 2);
    raw_batch_make(raw, 2, 1, &batch);
    struct ack_item item = raw_ack(raw, raw_produce(raw, &batch));
    assert_int_equal(item.status, EMB_OK);
    assert_int_equal(item.base_offset, 0);
    raw_batch_make(raw, 0, 2, &batch);
    ASSERT_CODE(raw_ack(raw, raw_produce(raw, &batch)).status, EMB_ERR_LOST);
    raw_batch_make(raw, 3, 1, &batch);
    item = raw_ack(raw, raw_produce(raw, &batch));
    assert_int_equal(item.status, EMB_OK);
    assert_int_equal(item.base_offset, 1);
    raw_close(raw, false);
    rig_stop(rig);
}

/* ---- how many -------------------------------------------------------------------------------- */

static void sessions_are_limited_by_the_region(void **state)
{
    struct rig *rig = *state;
    uint32_t limit = rig->options.geometry.sessions;
    struct raw *raws[300];
    uint32_t opened = 0;
    unsigned char body[16];
    struct wire_writer w;
    struct error err = {0};
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    for (; opened < limit; opened++) {
        raws[opened] = raw_open(rig, opened % 4);
        raw_publish_open(raws[opened], TOPIC, 1);
    }
    struct raw *one_more = raw_open(rig, 0);
    uint16_t topic = raw_describe(one_more, TOPIC).id;
    wire_writer_init(&w, body, sizeof body);
    wire_put_u16(&w, topic);
    wire_put_u64(&w, UINT64_MAX);
    raw_frame(one_more, FRAME_SESSION_OPEN, body, (uint32_t)w.used);
    ASSERT_CODE(raw_error(one_more, &err), EMB_ERR_LIMIT);
    assert_non_null(strstr(err.text, "256"));
    struct quiet quiet = {rig, topic, raws[17]->session};
    raw_close(raws[17], false);
    rig_wait_until(has_ended_everywhere, &quiet, "a session was ended");
    raw_publish_open(one_more, TOPIC, 1);
    raw_close(one_more, false);
    for (uint32_t i = 0; i < opened; i++)
        if (i != 17)
            raw_close(raws[i], true);
    rig_stop(rig);
}

/* Twice as many, one after another: what ended makes room. */
static void sessions_come_and_go(void **state)
{
    struct rig *rig = *state;
    struct raw_batch batch;
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    for (uint32_t i = 0; i < 2 * rig->options.geometry.sessions; i++) {
        struct raw *raw = raw_open(rig, i % 4);
        raw_publish_open(raw, TOPIC, 1);
        raw_batch_make(raw, 0, 1, &batch);
        struct ack_item item = raw_ack(raw, raw_produce(raw, &batch));
        assert_int_equal(item.status, EMB_OK);
        assert_int_equal(item.base_offset, i);
        struct quiet quiet = {rig, raw->topic, raw->session};
        raw_close(raw, i % 2);
        if (i % 32 == 0)
            rig_wait_until(has_ended_everywhere, &quiet, "a session was ended");
    }
    rig_stop(rig);
}

int main(void)
{
    const struct rig_case cases[] = {
        {"a_lost_connection_ends_the_session", a_lost_connection_ends_the_session, RIG_EVERYWHERE},
        {"without_sessions_the_other_connections_go_on",
         without_sessions_the_other_connections_go_on, RIG_EVERYWHERE},
        {"held_batches_block_nobody", held_batches_block_nobody, RIG_EVERYWHERE},
        {"a_gap_fences_the_session", a_gap_fences_the_session, RIG_EVERYWHERE},
        {"a_gap_is_skipped_where_the_topic_says_so", a_gap_is_skipped_where_the_topic_says_so,
         RIG_EVERYWHERE},
        {"sessions_are_limited_by_the_region", sessions_are_limited_by_the_region, RIG_EVERYWHERE},
        {"sessions_come_and_go", sessions_come_and_go, RIG_EVERYWHERE},
    };
    return rig_run("e2e-session", cases, COUNT_OF(cases));
}

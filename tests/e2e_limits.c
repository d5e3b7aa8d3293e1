/*
 * Limits and timeouts over real sockets: who goes beyond them is told so and goes, and what others
 * publish and read meanwhile is all there. What takes exact times is tested in limits_time_test.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bits.h"
#include "tests/raw.h"
#include "tests/traffic.h"

#define TOPIC   "hostile"
#define ANOTHER 0x7f000002 /* 127.0.0.2 */

struct stage {
    struct rig *rig;
    struct traffic traffic;
    struct raw *watch; /* of node 1, opened before any harm is done */
};

static struct stage stage_open(void **state, struct broker_limits limits)
{
    struct stage stage = {.rig = *state};
    stage.rig->options.limits = limits;
    rig_start(stage.rig);
    rig_topic(stage.rig, TOPIC, EMB_ORDER_CLIENT, 2);
    stage.traffic = traffic_start(stage.rig);
    stage.watch = raw_open(stage.rig, 1);
    raw_hello(stage.watch);
    return stage;
}

static void stage_close(struct stage *stage)
{
    traffic_must_flow(&stage->traffic);
    raw_close(stage->watch, false);
    traffic_end(&stage->traffic);
    rig_stop(stage->rig);
}

static struct broker_limits short_timeout(void)
{
    return (struct broker_limits){.frame_timeout_ms = 500 * rig_time_factor()};
}

/* ---- how many -------------------------------------------------------------------------------- */

/* Says HELLO at once, as every client does, and so has unread bytes there when it is refused. */
static bool is_welcome(struct rig *rig, uint32_t source, struct raw **raw)
{
    unsigned char body[64];
    struct wire_writer w;
    *raw = raw_open_from(rig, 1, source);
    wire_writer_init(&w, body, sizeof body);
    hello_put(&w, &(struct hello){.client_name = "one of many"});
    raw_frame(*raw, FRAME_HELLO, body, (uint32_t)w.used);
    assert_true(raw_receive(*raw));
    return (*raw)->header.type == FRAME_HELLO_OK;
}

/* Opens connections until one is refused; that one is closed. */
static uint32_t fill(struct rig *rig, uint32_t source, struct raw **raws, uint32_t most,
                     const char *why)
{
    struct wire_reader r;
    struct error err = {0};
    for (uint32_t count = 0; count < most; count++) {
        if (is_welcome(rig, source, &raws[count]))
            continue;
        wire_reader_init(&r, raws[count]->body, raws[count]->header.body_bytes, NULL);
        error_get(&r, &err);
        ASSERT_CODE(err.code, EMB_ERR_LIMIT);
        if (!strstr(err.text, why))
            fail_msg("\"%s\" does not name %s", err.text, why);
        raw_expect_end(raws[count]);
        raw_close(raws[count], false);
        return count;
    }
    fail_msg("%u connections were taken", most);
    return 0;
}

struct attempt {
    struct rig *rig;
    uint32_t source;
};

static bool can_connect(void *arg)
{
    struct attempt *attempt = arg;
    struct raw *raw;
    bool welcome = is_welcome(attempt->rig, attempt->source, &raw);
    raw_close(raw, false);
    return welcome;
}

static void assert_library_is_refused(struct rig *rig)
{
    char brokers[64];
    struct emb_client_options options;
    struct emb_client *client;
    struct emb_error err = {0};
    snprintf(brokers, sizeof brokers, "tcp://127.0.0.1:%u", rig_port(rig, 1));
    emb_client_options_init(&options);
    options.brokers = brokers;
    ASSERT_CODE(emb_client_open(&options, &client, &err), EMB_ERR_LIMIT);
    if (!strstr(err.text, "max-connections 20"))
        fail_msg("\"%s\" does not name the limit", err.text);
    const char *broker = strstr(err.text, brokers + 6);
    if (!broker || strstr(broker + 1, brokers + 6))
        fail_msg("\"%s\" does not name the broker once", err.text);
}

static void there_is_a_limit_for_all(void **state)
{
    struct stage stage = stage_open(state, (struct broker_limits){.max_connections = 20});
    struct raw *raws[20];
    uint32_t count = fill(stage.rig, ANOTHER, raws, COUNT_OF(raws), "max-connections 20");
    assert_true(count > 10);
    assert_library_is_refused(stage.rig);
    assert_true(raw_status(stage.watch, "refused") >= 2);
    traffic_must_flow(&stage.traffic);
    for (uint32_t i = 0; i < count; i++)
        raw_close(raws[i], i % 2);
    rig_wait_until(can_connect, &(struct attempt){stage.rig, ANOTHER}, "there was room again");
    stage_close(&stage);
}

static void there_is_a_limit_for_each_address(void **state)
{
    struct stage stage =
        stage_open(state, (struct broker_limits){.max_connections_per_client = 12});
    struct raw *raws[13];
    uint32_t count = fill(stage.rig, ANOTHER, raws, COUNT_OF(raws), "127.0.0.2 has 12 connections");
    assert_int_equal(count, 12);
    assert_true(can_connect(&(struct attempt){stage.rig, INADDR_LOOPBACK}));
    assert_int_equal(raw_status(stage.watch, "refused_client"), 1);
    for (uint32_t i = 0; i < count; i++)
        raw_close(raws[i], i % 2);
    rig_wait_until(can_connect, &(struct attempt){stage.rig, ANOTHER}, "there was room again");
    stage_close(&stage);
}

/* ---- how long -------------------------------------------------------------------------------- */

static void frames_that_never_end(void **state)
{
    struct stage stage = stage_open(state, short_timeout());
    const size_t cuts[] = {1, 12, 63, 64, 65, 100};
    struct raw *raws[COUNT_OF(cuts)];
    struct raw_batch batch;
    struct raw *silent = raw_open(stage.rig, 2);
    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        raws[i] = raw_open(stage.rig, (uint32_t)i % 4);
        raw_publish_open(raws[i], TOPIC, 2);
        raw_batch_make(raws[i], 0, 10, &batch);
        raw_produce_part(raws[i], &batch, cuts[i]);
    }
    for (size_t i = 0; i < COUNT_OF(cuts); i++) {
        raw_expect_error(raws[i], EMB_ERR_TIMEOUT, "frame-timeout");
        raw_expect_end(raws[i]);
        raw_close(raws[i], false);
    }
    raw_expect_error(silent, EMB_ERR_TIMEOUT, "no frame came");
    raw_expect_end(silent);
    raw_close(silent, false);
    stage_close(&stage);
}

static bool has_something_to_read(struct raw *raw, int wait_ms)
{
    struct pollfd look = {.fd = raw->fd, .events = POLLIN};
    return poll(&look, 1, wait_ms) == 1;
}

/* A byte now and then, in the middle of a batch whose place in memory is given. */
static void bytes_that_trickle(void **state)
{
    struct stage stage = stage_open(state, short_timeout());
    struct raw_batch batch;
    struct raw *raw = raw_open(stage.rig, 1);
    raw_publish_open(raw, TOPIC, 2);
    raw_batch_make(raw, 0, 100, &batch);
    raw_produce_part(raw, &batch, FRAME_HEADER_BYTES);
    for (uint32_t at = 0; at < batch.byte_count && !has_something_to_read(raw, 5); at++)
        raw_send(raw, batch.bytes + at, 1);
    raw_expect_error(raw, EMB_ERR_TIMEOUT, "frame-timeout");
    raw_expect_end(raw);
    raw_close(raw, false);
    assert_int_equal(raw_status(stage.watch, "frame_timeouts"), 1);
    stage_close(&stage);
}

/* It says that it will send nothing more, but stays. */
static void half_closed(void **state)
{
    struct stage stage = stage_open(state, (struct broker_limits){0});
    struct raw *before = raw_open(stage.rig, 0);
    struct raw *after = raw_open(stage.rig, 1);
    struct raw *amid = raw_open(stage.rig, 2);
    struct raw_batch batch;
    raw_publish_open(after, TOPIC, 2);
    raw_publish_open(amid, TOPIC, 2);
    raw_batch_make(amid, 0, 10, &batch);
    raw_produce_part(amid, &batch, 100);
    struct raw *all[] = {before, after, amid};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        shutdown(all[i]->fd, SHUT_WR);
        raw_expect_end(all[i]);
        raw_close(all[i], false);
    }
    stage_close(&stage);
}

struct counted {
    struct raw *watch;
    const char *name;
};

static bool was_counted(void *arg)
{
    struct counted *counted = arg;
    return raw_status(counted->watch, counted->name) > 0;
}

/* Asks and asks, and reads nothing: its answers fill the sockets' buffers, then what the broker
   keeps for it, and then it is reset. */
static void answers_that_nobody_reads(void **state)
{
    struct stage stage = stage_open(state, short_timeout());
    struct raw *raw = raw_open(stage.rig, 1);
    raw_hello(raw);
    unsigned char request[FRAME_HEADER_BYTES];
    frame_header_write(request, &(struct frame_header){.type = FRAME_STATUS});
    for (int i = 0; i < 8000; i++)
        if (send(raw->fd, request, sizeof request, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break; /* the broker has stopped reading */
    rig_wait_until(was_counted, &(struct counted){stage.watch, "unread_timeouts"},
                   "who reads nothing was reset");
    raw_close(raw, false);
    stage_close(&stage);
}

/* Who only said HELLO goes; a publisher stays, as seldom as it publishes. */
static void nothing_said(void **state)
{
    struct stage stage =
        stage_open(state, (struct broker_limits){.idle_timeout_ms = 1000 * rig_time_factor()});
    const struct emb_message message = {.value = "seldom", .value_bytes = 6};
    struct emb_publisher *publisher;
    struct emb_error err = {0};
    ASSERT_CODE(emb_publisher_open(stage.rig->client, TOPIC, NULL, &publisher, &err), EMB_OK);
    ASSERT_CODE(emb_publish_wait(publisher, &message, rig_patience_ms(), NULL, &err), EMB_OK);
    struct raw *idle = raw_open(stage.rig, 2);
    raw_hello(idle);
    raw_expect_error(idle, EMB_ERR_TIMEOUT, "idle-timeout");
    raw_expect_end(idle);
    raw_close(idle, false);
    ASSERT_CODE(emb_publish_wait(publisher, &message, rig_patience_ms(), NULL, &err), EMB_OK);
    ASSERT_CODE(emb_publisher_close(publisher, rig_patience_ms(), &err), EMB_OK);
    traffic_must_flow(&stage.traffic);
    raw_close(stage.watch, true);
    stage.watch = raw_open(stage.rig, 1);
    stage_close(&stage);
}

int main(void)
{
    const struct rig_case cases[] = {
        {"there_is_a_limit_for_all", there_is_a_limit_for_all, RIG_EVERYWHERE},
        {"there_is_a_limit_for_each_address", there_is_a_limit_for_each_address, RIG_EVERYWHERE},
        {"frames_that_never_end", frames_that_never_end, RIG_EVERYWHERE},
        {"bytes_that_trickle", bytes_that_trickle, RIG_EVERYWHERE},
        {"half_closed", half_closed, RIG_EVERYWHERE},
        {"answers_that_nobody_reads", answers_that_nobody_reads, RIG_EVERYWHERE},
        {"nothing_said", nothing_said, RIG_EVERYWHERE},
    };
    return rig_run("e2e-limits", cases, COUNT_OF(cases));
}

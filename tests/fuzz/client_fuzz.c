/*
 * Fuzz target: what brokers send to the client library. The input chooses a request, a publisher or
 * a subscriber, and then what two brokers answer: frames that make sense, frames with any body, any
 * bytes, silence, the end. The cores must not believe what cannot be: every batch gets one outcome,
 * what a subscriber is handed has the offsets that follow, and everything is given back.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/fuzz_input.h"
#include "client/tcp/publish.h"
#include "client/tcp/request.h"
#include "client/tcp/subscribe.h"
#include "tests/fuzz/script_env.h"

#define BROKERS   2
#define STEPS     300
#define BATCHES   4
#define BODY_MOST 1024

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

struct world {
    struct env *env;
    struct fuzz_input in;
    struct address addresses[BROKERS];
    uint8_t kind; /* of the core */
    struct request request;
    struct publish_core publish;
    struct subscribe_core subscribe;
    struct outgoing batches[BATCHES];
    bool flying[BATCHES];
    uint64_t next_sequence;
    uint64_t outcomes, submitted;
    uint64_t expected; /* offset; all ones: any */
};

enum core_kind { CORE_REQUEST, CORE_PUBLISH, CORE_SUBSCRIBE, CORE_COUNT };

/* ---- brokers --------------------------------------------------------------------------------- */

static void feed_frame(struct env_socket *socket, struct frame_header *header, const void *body)
{
    unsigned char bytes[FRAME_HEADER_BYTES];
    frame_header_write(bytes, header);
    script_feed(socket, bytes, sizeof bytes);
    script_feed(socket, body, header->body_bytes);
}

static void put_hello_ok(struct world *world, struct wire_writer *w)
{
    struct hello_ok ok = {.broker_count = 1, .brokers = {{.node = 1, .host = "b", .port = 2}}};
    ok.max_batch_bytes = 4096 + input_u8(&world->in);
    ok.max_message_bytes = input_u8(&world->in);
    hello_ok_put(w, &ok);
}

static void put_topic_info(struct world *world, struct wire_writer *w)
{
    struct topic_info info = {.name = "t", .id = 1, .next_offset = input_u8(&world->in)};
    topic_info_put(w, &info);
}

static void put_acks(struct world *world, struct wire_writer *w)
{
    static const int statuses[] = {EMB_OK, EMB_ERR_RETRY, EMB_ERR_BACKPRESSURE, EMB_ERR_LOST,
                                   EMB_ERR_SESSION_FENCED};
    for (int i = input_u8(&world->in) % 4; i > 0; i--) {
        struct ack_item item = {0};
        item.correlation = input_u8(&world->in);
        item.base_offset = input_u8(&world->in);
        item.status = statuses[input_u8(&world->in) % COUNT_OF(statuses)];
        item.duplicate = input_u8(&world->in) & 1;
        ack_item_put(w, &item);
    }
}

static void put_answer(struct world *world, uint8_t type, struct wire_writer *w)
{
    switch (type) {
    case FRAME_HELLO_OK:
        put_hello_ok(world, w);
        break;
    case FRAME_ERROR:
        error_put(w, -(int)(1 + input_u8(&world->in) % 40), "why");
        break;
    case FRAME_OK:
        wire_put_u64(w, input_u8(&world->in));
        break;
    case FRAME_TOPIC_OK:
        put_topic_info(world, w);
        break;
    case FRAME_SESSION_OK:
        wire_put_u64(w, 65536u * input_u8(&world->in));
        wire_put_u64(w, input_u8(&world->in));
        break;
    case FRAME_ACK:
        put_acks(world, w);
        break;
    case FRAME_SUBSCRIBE_OK:
        put_topic_info(world, w);
        wire_put_u64(w, input_u8(&world->in));
        break;
    }
}

static void answer(struct world *world, struct env_socket *socket, uint8_t type)
{
    unsigned char body[BODY_MOST];
    struct wire_writer w;
    wire_writer_init(&w, body, sizeof body);
    put_answer(world, type, &w);
    ASSERT(!w.overflow);
    struct frame_header header = {
        .type = type, .correlation = input_u8(&world->in), .body_bytes = (uint32_t)w.used};
    feed_frame(socket, &header, body);
}

static void deliver(struct world *world, struct env_socket *socket)
{
    size_t count;
    const uint8_t *body = input_bytes(&world->in, input_u8(&world->in), &count);
    struct frame_header header = {.type = FRAME_DELIVER,
                                  .session = UINT64_MAX,
                                  .client_sequence = UINT64_MAX,
                                  .body_bytes = (uint32_t)count};
    header.base_offset = input_u8(&world->in);
    header.message_count = input_u8(&world->in);
    header.subscription = input_u8(&world->in);
    header.position = header.base_offset;
    if (header.message_count == 255)
        header.base_offset = UINT64_MAX - 3;
    feed_frame(socket, &header, body);
}

static void any_frame(struct world *world, struct env_socket *socket)
{
    size_t count;
    struct frame_header header = {0};
    header.type = (uint8_t)(1 + input_u8(&world->in) % (FRAME_TYPE_END - 1));
    header.correlation = input_u8(&world->in);
    const uint8_t *body = input_bytes(&world->in, input_u8(&world->in), &count);
    header.body_bytes = (uint32_t)count;
    feed_frame(socket, &header, body);
}

static void any_bytes(struct world *world, struct env_socket *socket)
{
    size_t count;
    const uint8_t *bytes = input_bytes(&world->in, input_u8(&world->in), &count);
    script_feed(socket, bytes, count);
}

/* ---- cores ----------------------------------------------------------------------------------- */

static void on_outcome(void *arg, const struct publish_outcome *outcome)
{
    struct world *world = arg;
    size_t which = (size_t)(outcome->outgoing - world->batches);
    ASSERT(which < BATCHES && world->flying[which]);
    ASSERT(outcome->code == EMB_OK || outcome->text);
    world->flying[which] = false;
    world->outcomes++;
}

static void begin_publish(struct world *world)
{
    uint8_t flags = input_u8(&world->in);
    struct publish_options options = {.poller = script_poller(world->env),
                                      .client_name = "fuzz",
                                      .addresses = world->addresses,
                                      .address_count = BROKERS,
                                      .topic = 1,
                                      .sessions = flags & 1,
                                      .acks = (uint8_t)(flags >> 1) % 3,
                                      .window = BATCHES,
                                      .deadline_ns = script_now_ns(world->env) + 1000000000u};
    publish_start(&world->publish, &options, script_now_ns(world->env), on_outcome, world);
}

static void begin_subscribe(struct world *world)
{
    uint8_t flags = input_u8(&world->in);
    struct subscribe_options options = {.poller = script_poller(world->env),
                                        .client_name = "fuzz",
                                        .addresses = world->addresses,
                                        .address_count = BROKERS,
                                        .topic = "t",
                                        .start = flags % 4,
                                        .value = flags >> 4,
                                        .timeout_ns = 1000000000u,
                                        .max_buffered_bytes = 300};
    subscribe_start(&world->subscribe, &options, script_now_ns(world->env));
    world->expected = UINT64_MAX;
}

static void begin_request(struct world *world)
{
    world->request = (struct request){.poller = script_poller(world->env),
                                      .client_name = "fuzz",
                                      .addresses = world->addresses,
                                      .address_count = BROKERS,
                                      .type = FRAME_TOPIC_DESCRIBE,
                                      .expected = FRAME_TOPIC_OK,
                                      .body = "\1\0t",
                                      .body_bytes = 3,
                                      .deadline_ns = script_now_ns(world->env) + 1000000000u};
    request_start(&world->request, script_now_ns(world->env));
}

static void submit(struct world *world)
{
    static const unsigned char bytes[200];
    size_t which = input_u8(&world->in) % BATCHES;
    if (world->flying[which] || !publish_room(&world->publish))
        return;
    world->flying[which] = true;
    world->batches[which] = (struct outgoing){
        .bytes = bytes, .byte_count = 61u + input_u8(&world->in) % 100, .stripe = -1};
    publish_submit(&world->publish, &world->batches[which], world->next_sequence++, 1, 1);
    world->submitted++;
}

/* Offsets go on where the batch before ended, until a seek. */
static void take(struct world *world)
{
    struct incoming *incoming = subscribe_take(&world->subscribe);
    if (!incoming)
        return;
    const struct frame_header *header = &incoming->header;
    ASSERT(header->message_count > 0);
    ASSERT(world->expected == UINT64_MAX || header->base_offset <= world->expected);
    world->expected = header->base_offset + header->message_count;
    ASSERT(world->expected > header->base_offset);
    subscribe_give(&world->subscribe, incoming);
}

static void seek(struct world *world)
{
    uint8_t start = input_u8(&world->in) % 4;
    subscribe_seek(&world->subscribe, start, input_u8(&world->in), script_now_ns(world->env));
    world->expected = UINT64_MAX;
}

static void use(struct world *world)
{
    uint8_t how = input_u8(&world->in);
    if (world->kind == CORE_PUBLISH && how < 200)
        submit(world);
    else if (world->kind == CORE_PUBLISH && world->publish.state == PUBLISH_UP &&
             !world->publish.flying)
        publish_close(&world->publish);
    else if (world->kind == CORE_SUBSCRIBE && how < 200)
        take(world);
    else if (world->kind == CORE_SUBSCRIBE)
        seek(world);
}

static void turn(struct world *world)
{
    script_pass(world->env, 1000000ULL * input_u8(&world->in));
    uint64_t now_ns = script_now_ns(world->env);
    script_poll(world->env);
    if (world->kind == CORE_REQUEST)
        request_work(&world->request, now_ns);
    else if (world->kind == CORE_PUBLISH)
        publish_work(&world->publish, now_ns);
    else
        subscribe_work(&world->subscribe, now_ns);
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void broker_acts(struct world *world, struct env_socket *socket, uint8_t action)
{
    static const uint8_t answers[] = {FRAME_HELLO_OK,   FRAME_ERROR,  FRAME_OK,
                                      FRAME_TOPIC_OK,   FRAME_ACK,    FRAME_SUBSCRIBE_OK,
                                      FRAME_SESSION_OK, FRAME_PRODUCE};
    if (action < COUNT_OF(answers)) {
        if (answers[action] == FRAME_PRODUCE)
            deliver(world, socket);
        else
            answer(world, socket, answers[action]);
    } else if (action == 8) {
        any_frame(world, socket);
    } else if (action == 9) {
        any_bytes(world, socket);
    } else if (action == 10) {
        script_end(socket, input_u8(&world->in) & 1 ? SCRIPT_RST : SCRIPT_FIN);
    } else {
        script_window(socket, action == 11 ? input_u8(&world->in) : SIZE_MAX / 2);
    }
}

static void step(struct world *world)
{
    uint8_t what = input_u8(&world->in);
    if (what < 100) {
        turn(world);
    } else if (what < 150) {
        use(world);
    } else {
        /* Among the four that were connected last. */
        unsigned newest = 0;
        while (script_connected(world->env, newest))
            newest++;
        unsigned back = 1 + (what - 150u) % 4;
        struct env_socket *socket =
            newest >= back ? script_connected(world->env, newest - back) : NULL;
        if (socket)
            broker_acts(world, socket, input_u8(&world->in) % 13);
    }
}

static void end(struct world *world)
{
    if (world->kind == CORE_REQUEST)
        request_end(&world->request);
    if (world->kind == CORE_SUBSCRIBE)
        subscribe_stop(&world->subscribe);
    if (world->kind == CORE_PUBLISH) {
        publish_end(&world->publish, EMB_ERR_CLOSED, "the end");
        ASSERT(world->outcomes == world->submitted);
        publish_stop(&world->publish);
    }
    script_destroy(world->env);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct world world; /* large */
    world = (struct world){.in = {bytes, count}, .env = script_create()};
    for (unsigned i = 0; i < BROKERS; i++)
        world.addresses[i] = (struct address){.host = "127.0.0.1", .port = (uint16_t)(1 + i)};
    world.kind = input_u8(&world.in) % CORE_COUNT;
    if (world.kind == CORE_REQUEST)
        begin_request(&world);
    else if (world.kind == CORE_PUBLISH)
        begin_publish(&world);
    else
        begin_subscribe(&world);
    for (int i = 0; i < STEPS && world.in.left; i++)
        step(&world);
    end(&world);
    return 0;
}

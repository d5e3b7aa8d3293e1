/*
 * Fuzz target: a broker as a whole, with its follower and the sequencer on a region in memory, and
 * up to four peers of which the input says what they do: requests and batches that make sense,
 * frames with any body, any bytes, in pieces, stopping, not reading, leaving. What the broker sends
 * must be frames, what it delivers batches; when all have left nothing of them may stay.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/fuzz_input.h"
#include "batch/batch.h"
#include "tests/fuzz/scripted_broker.h"

#define PEERS     4
#define BODY_MOST 1200
#define STEPS     400

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

struct world {
    struct scripted scripted;
    struct env_socket *peers[PEERS];
    struct fuzz_input in;
};

static void begin(struct world *world, const uint8_t *bytes, size_t count)
{
    *world = (struct world){.in = {bytes, count}};
    uint8_t flags = input_u8(&world->in);
    struct broker_options options = {.limits = {.backpressure_ms = 50,
                                                .max_connections = flags & 2 ? 3 : 0,
                                                .max_connections_per_client = flags & 4 ? 1 : 0,
                                                .idle_timeout_ms = flags & 8 ? 300 : 0,
                                                .frame_timeout_ms = flags & 16 ? 100 : 0,
                                                .client_memory_bytes = flags & 32 ? 65536 : 0}};
    scripted_begin(&world->scripted, options, flags & 1);
}

static void turn(struct world *world, uint64_t ns)
{
    scripted_turn(&world->scripted, ns);
}

/* ---- what the broker says -------------------------------------------------------------------- */

static void check_frame(const struct frame_header *header, const unsigned char *body)
{
    struct error err = {0};
    struct wire_reader r;
    wire_reader_init(&r, body, header->body_bytes, &err);
    if (header->type == FRAME_ERROR)
        error_get(&r, &err);
    struct batch_identity any = {.session = header->session,
                                 .client_sequence = header->client_sequence,
                                 .message_count = header->message_count,
                                 .max_timestamp_ms = UINT64_MAX};
    if (header->type == FRAME_DELIVER)
        ASSERT(batch_check(body, header->body_bytes, &any, &err) == EMB_OK);
    ASSERT(r.code == EMB_OK);
}

static void check_sent(struct env_socket *peer)
{
    struct frame_header header;
    const unsigned char *body;
    while (scripted_receive(peer, &header, &body))
        check_frame(&header, body);
}

/* ---- what peers do --------------------------------------------------------------------------- */

static void send_frame(struct world *world, struct env_socket *peer, struct frame_header *header,
                       const void *body)
{
    unsigned char bytes[FRAME_HEADER_BYTES + 4096];
    frame_header_write(bytes, header);
    memcpy(bytes + FRAME_HEADER_BYTES, body, header->body_bytes);
    size_t count = FRAME_HEADER_BYTES + header->body_bytes;
    uint8_t cut = input_u8(&world->in);
    size_t first = cut ? cut % count : count;
    script_feed(peer, bytes, first);
    if (first == count)
        return;
    turn(world, 1000000);
    if (cut != 255) /* else the rest never comes */
        script_feed(peer, bytes + first, count - first);
}

static void send_any_frame(struct world *world, struct env_socket *peer)
{
    struct frame_header header = {
        .type = (uint8_t)(1 + input_u8(&world->in) % (FRAME_TYPE_END - 1)), .correlation = 9};
    size_t count;
    const uint8_t *body = input_bytes(&world->in, input_u8(&world->in), &count);
    header.body_bytes = (uint32_t)count;
    send_frame(world, peer, &header, body);
}

static uint64_t session_take(struct world *world)
{
    uint8_t producer = input_u8(&world->in);
    return producer ? (uint64_t)producer << 16 : UINT64_MAX;
}

static uint64_t position_take(struct world *world)
{
    uint8_t position = input_u8(&world->in);
    return position == 255 ? UINT64_MAX : position;
}

static void put_topic_create(struct world *world, struct wire_writer *w)
{
    char name[2] = {(char)('a' + input_u8(&world->in) % 3), 0};
    struct topic_settings settings = {0};
    settings.order = input_u8(&world->in) % 6;
    settings.gap = input_u8(&world->in) % 2;
    wire_put_text(w, name);
    topic_settings_put(w, &settings);
}

static void put_name(struct world *world, struct wire_writer *w)
{
    char name[2] = {(char)('a' + input_u8(&world->in) % 3), 0};
    wire_put_text(w, name);
}

static void put_subscribe(struct world *world, struct wire_writer *w)
{
    struct subscribe subscribe = {0};
    subscribe.topic[0] = (char)('a' + input_u8(&world->in) % 3);
    subscribe.start = input_u8(&world->in) % 4;
    subscribe.value = input_u16(&world->in);
    subscribe.level = input_u8(&world->in) % 2;
    subscribe.after_position = position_take(world);
    subscribe_put(w, &subscribe);
}

static void put_publish_open(struct world *world, struct wire_writer *w)
{
    struct publish_open open = {0};
    open.topic = input_u8(&world->in) % 4;
    open.session = session_take(world);
    open.acks = input_u8(&world->in) % 3;
    open.after_position = position_take(world);
    publish_open_put(w, &open);
}

static void put_body(struct world *world, uint8_t type, struct wire_writer *w)
{
    struct hello hello = {.client_name = "fuzz"};
    switch (type) {
    case FRAME_HELLO:
        hello_put(w, &hello);
        break;
    case FRAME_TOPIC_CREATE:
        put_topic_create(world, w);
        break;
    case FRAME_TOPIC_DESCRIBE:
    case FRAME_TOPIC_DELETE:
        put_name(world, w);
        break;
    case FRAME_SESSION_OPEN:
        wire_put_u16(w, input_u8(&world->in) % 4);
        wire_put_u64(w, position_take(world));
        break;
    case FRAME_SESSION_CLOSE:
        wire_put_u64(w, session_take(world));
        break;
    case FRAME_PUBLISH_OPEN:
        put_publish_open(world, w);
        break;
    case FRAME_SUBSCRIBE:
        put_subscribe(world, w);
        break;
    }
}

static void send_request(struct world *world, struct env_socket *peer, uint8_t type)
{
    unsigned char body[BODY_MOST];
    struct wire_writer w;
    wire_writer_init(&w, body, sizeof body);
    put_body(world, type, &w);
    ASSERT(!w.overflow);
    struct frame_header header = {.type = type, .correlation = 5, .body_bytes = (uint32_t)w.used};
    send_frame(world, peer, &header, body);
}

static uint32_t batch_make(struct world *world, unsigned char to[BODY_MOST],
                           struct frame_header *header)
{
    static const char value[1000];
    struct batch_builder builder;
    void *finished;
    batch_builder_init(&builder, to, BODY_MOST);
    uint32_t value_bytes = 4u * input_u8(&world->in) % sizeof value;
    for (uint32_t i = 0; i < header->message_count; i++) {
        struct record record = {.value = value, .value_bytes = value_bytes, .timestamp_ms = 5};
        if (!batch_append(&builder, &record))
            break;
    }
    return (uint32_t)batch_finish(&builder, header->session, header->client_sequence, BATCH_NONE, 0,
                                  NULL, 0, &finished);
}

static void send_produce(struct world *world, struct env_socket *peer)
{
    unsigned char body[BODY_MOST];
    struct frame_header header = {
        .type = FRAME_PRODUCE, .correlation = 77, .message_count = 1, .max_timestamp_ms = 5};
    header.topic = input_u8(&world->in) % 4;
    header.acks = input_u8(&world->in) % 3;
    header.session = session_take(world);
    uint8_t sequence = input_u8(&world->in);
    header.client_sequence = header.session == UINT64_MAX ? UINT64_MAX : sequence;
    header.body_bytes = batch_make(world, body, &header);
    uint8_t bend = input_u8(&world->in);
    if (bend > 200)
        body[input_u8(&world->in) % header.body_bytes] ^= bend;
    send_frame(world, peer, &header, body);
}

static void peer_connects(struct world *world, unsigned which)
{
    if (!world->peers[which])
        world->peers[which] = script_connect(world->scripted.env);
}

static void peer_leaves(struct world *world, unsigned which, enum script_end how)
{
    script_end(world->peers[which], how);
    turn(world, 1000);
    check_sent(world->peers[which]);
    world->peers[which] = NULL;
}

static void feed_raw(struct world *world, struct env_socket *peer)
{
    size_t count;
    const uint8_t *bytes = input_bytes(&world->in, input_u8(&world->in), &count);
    script_feed(peer, bytes, count);
}

static void peer_acts(struct world *world, unsigned which, uint8_t action)
{
    struct env_socket *peer = world->peers[which];
    if (action > 0 && action < FRAME_TYPE_END) {
        if (action == FRAME_PRODUCE)
            send_produce(world, peer);
        else
            send_request(world, peer, action);
        return;
    }
    switch (action ? action - FRAME_TYPE_END : 0) {
    case 0:
        send_any_frame(world, peer);
        break;
    case 1:
        feed_raw(world, peer);
        break;
    case 2:
        peer_leaves(world, which, SCRIPT_FIN);
        break;
    case 3:
        peer_leaves(world, which, SCRIPT_RST);
        break;
    case 4:
        script_window(peer, input_u8(&world->in));
        break;
    case 5:
        script_window(peer, SIZE_MAX / 2);
        break;
    case 6:
        check_sent(peer);
        break;
    default:
        turn(world, 1000000ULL * input_u8(&world->in));
        break;
    }
}

static void step(struct world *world)
{
    uint8_t first = input_u8(&world->in);
    unsigned which = first % PEERS;
    if (first & 0x80)
        turn(world, 100000);
    if (world->peers[which])
        peer_acts(world, which, first / PEERS % 32);
    else
        peer_connects(world, which);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct world world;
    begin(&world, bytes, count);
    for (int i = 0; i < STEPS && world.in.left; i++)
        step(&world);
    for (int i = 0; i < 3; i++)
        turn(&world, 1000000);
    for (unsigned i = 0; i < PEERS; i++)
        if (world.peers[i])
            check_sent(world.peers[i]);
    scripted_end(&world.scripted);
    return 0;
}

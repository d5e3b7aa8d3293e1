#include "broker/state.h"

#include <stdlib.h>

#include "base/assert.h"

#define ACCEPTS_PER_CYCLE 64

struct connection *connection_find(struct broker *b, uint64_t id)
{
    uint32_t place = (uint32_t)id;
    if (!id || place >= b->options.max_connections)
        return NULL;
    struct connection *c = b->connections[place];
    return c && c->id == id ? c : NULL;
}

void connection_ready(struct connection *c)
{
    if (!list_linked(&c->ready_link))
        list_append(&c->broker->ready, &c->ready_link);
}

void connection_break(struct connection *c)
{
    c->broken = true;
    connection_ready(c);
}

/* Only takes notes: the work is done in the broker's turn, with what the follower read last. */
static void on_connection(void *arg, bool readable, bool writable)
{
    struct connection *c = arg;
    c->readable |= readable;
    if (writable && !c->writable) {
        c->writable = true;
        deliver_wake(c);
    }
    connection_ready(c);
}

static bool input_may_run(const struct connection *c)
{
    if (is_leaving(c->broker))
        return false;
    return c->closing || (c->input.wait == WAIT_NONE && output_waiting(c) < OUTPUT_MAX_BYTES);
}

void connection_watch(struct connection *c)
{
    bool readable = input_may_run(c);
    bool writable = !c->writable;
    if (readable == c->watch_readable && writable == c->watch_writable)
        return;
    c->watch_readable = readable;
    c->watch_writable = writable;
    env_socket_watch(c->socket, readable, writable, on_connection, c);
}

static void connection_init(struct connection *c, struct broker *b, struct env_socket *socket)
{
    *c = (struct connection){.broker = b, .socket = socket, .readable = true, .writable = true};
    list_init(&c->all_link);
    list_init(&c->ready_link);
    list_init(&c->wait_link);
    list_init(&c->ack_link);
    list_init(&c->deliver_link);
    list_init(&c->pin_link);
    list_init(&c->receive_link);
    ring_init(&c->acks, sizeof(struct ack_item));
    inflight_init(&c->delivery.inflight);
}

static bool connection_open(struct broker *b, struct env_socket *socket)
{
    struct connection *c = b->free_count ? malloc(sizeof(*c)) : NULL;
    if (!c)
        return false;
    connection_init(c, b, socket);
    uint32_t place = b->free_places[--b->free_count];
    b->next_generation = b->next_generation == UINT32_MAX ? 1 : b->next_generation + 1;
    c->id = (uint64_t)b->next_generation << 32 | place;
    b->connections[place] = c;
    list_append(&b->all, &c->all_link);
    b->counters.connections++;
    b->counters.accepted++;
    connection_ready(c);
    connection_watch(c);
    return true;
}

/* There is no connection to queue an answer in: one attempt, which a fresh socket has room for. */
static void refuse_socket(struct broker *b, struct env_socket *socket)
{
    unsigned char bytes[FRAME_HEADER_BYTES + ERROR_TEXT_BYTES + 8];
    struct error err;
    error_set(&err, EMB_ERR_LIMIT, "this broker has %u connections, its limit; try another broker",
              b->options.max_connections);
    struct wire_writer w;
    wire_writer_init(&w, bytes + FRAME_HEADER_BYTES, sizeof(bytes) - FRAME_HEADER_BYTES);
    error_put(&w, err.code, err.text);
    struct frame_header header = {.body_bytes = (uint32_t)w.used, .type = FRAME_ERROR};
    frame_header_write(bytes, &header);
    struct iovec iov = {.iov_base = bytes, .iov_len = FRAME_HEADER_BYTES + w.used};
    env_send(socket, &iov, 1, false);
    env_close(socket);
    b->counters.refused++;
}

void connections_accept(struct broker *b)
{
    if (!b->accept_ready || is_leaving(b))
        return;
    for (int i = 0; i < ACCEPTS_PER_CYCLE; i++) {
        struct env_socket *socket = env_accept(b->listener);
        if (!socket) {
            b->accept_ready = false;
            return;
        }
        b->work++;
        if (!connection_open(b, socket))
            refuse_socket(b, socket);
    }
}

static void unlink_all(struct connection *c)
{
    list_remove(&c->all_link);
    list_remove(&c->ready_link);
    list_remove(&c->wait_link);
    list_remove(&c->ack_link);
    list_remove(&c->deliver_link);
    list_remove(&c->pin_link);
    list_remove(&c->receive_link);
}

void connection_close(struct connection *c, bool reset)
{
    struct broker *b = c->broker;
    uint32_t place = (uint32_t)c->id;
    unlink_all(c);
    if (c->publishing.lost)
        request_lose_session(b, c->publishing.lost);
    input_release(c);
    inflight_free(&c->delivery.inflight);
    ring_free(&c->acks);
    free(c->output.bytes);
    if (reset)
        env_reset(c->socket);
    else
        env_close(c->socket);
    b->connections[place] = NULL;
    b->free_places[b->free_count++] = place;
    b->counters.connections--;
    free(c);
}

/* The peer must get the chance to read why: closing with bytes unread would reset it away. */
static void closing_work(struct connection *c)
{
    output_flush(c);
    input_drain(c);
    if (c->broken || c->broker->now_ns >= c->closing_ns)
        connection_close(c, false);
    else
        connection_watch(c);
}

void connection_turn(struct connection *c)
{
    if (c->broken) {
        connection_close(c, false);
        return;
    }
    if (c->closing) {
        closing_work(c);
        return;
    }
    output_flush(c);
    if (!c->broken && input_may_run(c) && input_run(c) == STEP_AGAIN)
        connection_ready(c); /* its share of the cycle is used up, not its input */
    output_flush(c);
    connection_watch(c);
}

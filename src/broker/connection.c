#include "broker/state.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"

#define ACCEPTS_PER_CYCLE 4 /* each takes longer than a batch */

struct connection *connection_find(struct broker *b, uint64_t id)
{
    return places_find(&b->places, id);
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
    return c->closing || (c->input.wait == WAIT_NONE && !output_is_full(c));
}

void connection_watch(struct connection *c)
{
    bool readable = input_may_run(c);
    bool writable = !c->writable;
    patience_note(c);
    if (readable == c->watch_readable && writable == c->watch_writable)
        return;
    c->watch_readable = readable;
    c->watch_writable = writable;
    env_socket_watch(c->socket, readable, writable, on_connection, c);
}

static void connection_init(struct connection *c, struct broker *b, struct env_socket *socket)
{
    *c = (struct connection){
        .broker = b, .socket = socket, .readable = true, .writable = true, .active_ns = b->now_ns};
    list_init(&c->all_link);
    list_init(&c->ready_link);
    list_init(&c->wait_link);
    list_init(&c->ack_link);
    list_init(&c->deliver_link);
    list_init(&c->pin_link);
    list_init(&c->receive_link);
    list_init(&c->owing_link);
    ring_init(&c->acks, sizeof(struct ack_item));
    inflight_init(&c->delivery.inflight);
}

static struct connection *connection_open(struct broker *b, struct env_socket *socket)
{
    struct connection *c = malloc(sizeof(*c));
    if (!c)
        return NULL;
    connection_init(c, b, socket);
    c->id = places_take(&b->places, c);
    if (!c->id) {
        free(c);
        return NULL;
    }
    list_append(&b->all, &c->all_link);
    connection_ready(c);
    connection_watch(c);
    return c;
}

/* Whether one more connection of this peer is too much; what is said to it then. */
static int check_limits(struct broker *b, const struct peer *peer, struct error *err)
{
    const struct broker_limits *limits = &b->options.limits;
    if (b->counters.connections >= limits->max_connections) {
        b->counters.refused++;
        return error_set(err, EMB_ERR_LIMIT,
                         "this broker has %" PRIu64 " connections, its limit (max-connections %u); "
                         "try another broker",
                         b->counters.connections, limits->max_connections);
    }
    uint32_t most = limits->max_connections_per_client;
    if (!most || peer->connections <= most)
        return EMB_OK;
    b->counters.refused_client++;
    return error_set(err, EMB_ERR_LIMIT,
                     "%s has %u connections to this broker, the limit for one client "
                     "(max-connections-per-client); close some, or try another broker",
                     peer->address, peer->connections - 1);
}

/* As long as there are few of them, those that are refused get the chance to read why. */
static void refuse_new(struct broker *b, struct env_socket *socket, const struct error *err)
{
    struct connection *c = b->refused_now < REFUSED_MAX ? connection_open(b, socket) : NULL;
    if (!c) {
        env_reset(socket);
        return;
    }
    b->refused_now++;
    connection_refuse(c, err);
}

static void welcome(struct broker *b, struct env_socket *socket)
{
    struct error err;
    struct peer *peer = peer_enter(&b->peers, env_peer_name(socket));
    struct connection *c = NULL;
    if (peer && check_limits(b, peer, &err) != EMB_OK) {
        peer_leave(peer);
        refuse_new(b, socket, &err);
        return;
    }
    c = peer ? connection_open(b, socket) : NULL;
    if (c) {
        c->peer = peer;
        b->counters.connections++;
        b->counters.accepted++;
        return;
    }
    if (peer)
        peer_leave(peer);
    b->counters.accept_failures++;
    env_reset(socket);
}

static void on_listener(void *arg, bool readable, bool writable)
{
    struct broker *b = arg;
    b->accept_ready = true;
}

static void listener_watch(struct broker *b, bool readable)
{
    env_socket_watch(b->listener, readable, false, on_listener, b);
}

int connections_listen(struct broker *b, const struct broker_options *options, struct error *err)
{
    int code = env_listen(options->poller, options->host, options->port, &b->listener, err);
    if (code == EMB_OK)
        listener_watch(b, true);
    return code;
}

void connections_accept_no_more(struct broker *b)
{
    listener_watch(b, false);
}

/* No descriptor was there for a connection: what waits stays ready, and would keep this thread
   awake for nothing. */
static void accept_pause(struct broker *b)
{
    uint64_t failures = env_accept_failures(b->listener);
    if (failures == b->seen_accept_failures)
        return;
    b->counters.accept_failures += failures - b->seen_accept_failures;
    b->seen_accept_failures = failures;
    b->accept_again_ns = b->now_ns + ACCEPT_AGAIN_NS;
    listener_watch(b, false);
}

void connections_accept(struct broker *b)
{
    if (is_leaving(b))
        return;
    if (b->accept_again_ns && b->now_ns >= b->accept_again_ns) {
        b->accept_again_ns = 0;
        listener_watch(b, true);
    }
    if (!b->accept_ready || b->accept_again_ns)
        return;
    for (int i = 0; i < ACCEPTS_PER_CYCLE; i++) {
        struct env_socket *socket = env_accept(b->listener);
        if (!socket) {
            b->accept_ready = false;
            accept_pause(b);
            return;
        }
        b->work++;
        welcome(b, socket);
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
    list_remove(&c->owing_link);
}

void connection_close(struct connection *c, bool reset)
{
    struct broker *b = c->broker;
    reset |= pin_is_held(c);
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
    places_give(&b->places, c->id);
    if (c->peer)
        peer_leave(c->peer);
    b->counters.connections -= c->peer != NULL;
    b->refused_now -= c->peer == NULL;
    free(c);
}

void connection_refuse(struct connection *c, const struct error *err)
{
    answer_error(c, 0, err);
    c->closing = true;
    c->closing_ns = c->broker->now_ns + CLOSING_NS;
    deliver_end(c);
    list_append(&c->broker->position_waiters, &c->wait_link); /* whose scan sees the time */
    connection_watch(c);
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

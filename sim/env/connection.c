/*
 * Connections: two streams of chunks.
 *
 * How it works. Whatever passes - the request to connect, its answer, bytes, an orderly end, a
 * reset - is a chunk in a stream, so that order, latency, partitions and stalls are the same for
 * all. A stream has one event under way, for its first chunk; whoever makes that one obsolete sets
 * another, with a new number (`alarm`). Chunks are delivered into the kernel of the host, so also
 * while its processes are paused; a chunk that finds nobody is answered with a reset.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "sim/env/internal.h"
#include "sim/memory/memory.h"

#define LOOPBACK_LEAST_NS (10 * US)
#define LOOPBACK_MOST_NS  (30 * US)

uint64_t network_latency(const struct host *a, const struct host *b)
{
    if (a == b)
        return choose_between(CHOICE_NETWORK, LOOPBACK_LEAST_NS, LOOPBACK_MOST_NS);
    return choose_between(CHOICE_NETWORK, simulated.shape.latency_least_ns,
                          simulated.shape.latency_most_ns);
}

struct chunk *chunk_make(enum chunk_kind kind, uint64_t bytes)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + bytes);
    ASSERT(chunk);
    *chunk = (struct chunk){.kind = kind, .bytes = (uint32_t)bytes};
    return chunk;
}

static void chunks_free(struct chunk_list *chunks)
{
    struct chunk *chunk;
    while ((chunk = TAILQ_FIRST(chunks))) {
        TAILQ_REMOVE(chunks, chunk, link);
        free(chunk);
    }
}

static void link_free(struct connection *connection)
{
    for (int side = 0; side < 2; side++) {
        chunks_free(&connection->stream[side].in_flight);
        chunks_free(&connection->stream[side].arrived);
    }
    TAILQ_REMOVE(&simulated.network.connections, connection, link);
    free(connection);
}

void link_release(struct connection *connection)
{
    if (!connection->end[0].env && !connection->end[1].env && connection->events == 0)
        link_free(connection);
}

void network_free(void)
{
    while (!TAILQ_EMPTY(&simulated.network.connections))
        link_free(TAILQ_FIRST(&simulated.network.connections));
}

/* ---- delivery -------------------------------------------------------------------------------- */

static void stream_event(void *arg, uint64_t number);

/* When nothing holds it back any more: at most now if nothing does. */
static uint64_t stream_held_to(const struct connection *connection, int from)
{
    const struct host *a = connection->end[from].host, *b = connection->end[!from].host;
    uint64_t partitioned_to = simulated.network.partitioned_to_ns[a->number][b->number];
    return max_u64(connection->stream[from].stalled_to_ns, partitioned_to);
}

static void stream_arm(struct connection *connection, int from, uint64_t time_ns)
{
    struct stream *stream = &connection->stream[from];
    stream->armed = true;
    stream->alarm++;
    connection->events++;
    world_at(time_ns, stream_event, connection, stream->alarm << 1 | (uint64_t)from);
}

static void stream_arm_next(struct connection *connection, int from)
{
    const struct chunk *first = TAILQ_FIRST(&connection->stream[from].in_flight);
    if (first)
        stream_arm(connection, from, max_u64(first->deliver_ns, stream_held_to(connection, from)));
}

void stream_stall(struct connection *connection, int from, uint64_t until_ns)
{
    connection->stream[from].stalled_to_ns = until_ns;
    stream_arm_next(connection, from);
}

void stream_put(struct connection *connection, int from, struct chunk *chunk)
{
    struct stream *stream = &connection->stream[from];
    stream->in_flight_bytes += chunk->bytes;
    if (stream->cut) {
        free(chunk);
        return;
    }
    uint64_t latency = network_latency(connection->end[0].host, connection->end[1].host);
    stream->last_ns = chunk->deliver_ns = max_u64(stream->last_ns, world_now_ns() + latency);
    TAILQ_INSERT_TAIL(&stream->in_flight, chunk, link);
    if (!stream->armed)
        stream_arm_next(connection, from);
}

/* The last thing that the other end gets. */
static void stream_put_reset(struct connection *connection, int from)
{
    struct stream *stream = &connection->stream[from];
    if (stream->reset)
        return;
    stream->reset = true;
    stream->cut = false;
    stream_put(connection, from, chunk_make(CHUNK_RESET, 0));
    stream->cut = true;
}

/* Keeps the first chunks only, and none whose bytes were still to be read if `late` is false. */
static void stream_truncate(struct stream *stream, uint64_t keep, bool late)
{
    struct chunk *next, *chunk = TAILQ_FIRST(&stream->in_flight);
    bool dropping = false;
    for (; chunk; chunk = next, keep -= keep > 0) {
        next = TAILQ_NEXT(chunk, link);
        dropping = dropping || keep == 0 || (chunk->late && !late);
        if (!dropping)
            continue;
        TAILQ_REMOVE(&stream->in_flight, chunk, link);
        free(chunk);
    }
}

/* What was sent by copy may be in the wires. */
void stream_cut(struct stream *stream)
{
    stream_truncate(stream, UINT64_MAX, false);
    stream->cut = true;
}

static void stream_truncate_somewhere(struct stream *stream, bool late)
{
    uint64_t count = 0;
    for (struct chunk *chunk = TAILQ_FIRST(&stream->in_flight); chunk;
         chunk = TAILQ_NEXT(chunk, link))
        count++;
    stream_truncate(stream, count ? choose_below(CHOICE_NETWORK, count + 1) : 0, late);
}

/*
 * What it had sent by reference is dropped too: the owner may use that memory for something else
 * as soon as it knows of the failure.
 */
static void end_fail(struct connection *connection, int side, int code, const char *why)
{
    struct end *end = &connection->end[side];
    struct stream *in = &connection->stream[!side];
    if (!end->env || end->failed)
        return;
    end->failed = code;
    end->why = why;
    if (!end->ended && !TAILQ_EMPTY(&in->arrived) && choose_one_in(CHOICE_NETWORK, 2)) {
        chunks_free(&in->arrived);
        in->arrived_bytes = 0;
    }
    stream_cut(&connection->stream[side]);
    TRACE("net-fail", connection->number, side, "connection %u fails at %s: %s", connection->number,
          end->host->name, why);
    socket_notify(end->socket);
}

static void deliver_syn(struct connection *connection, const struct chunk *chunk)
{
    struct end *server = &connection->end[1];
    struct env_socket *listener = listener_find(server->host, connection->port);
    if (!server->host->powered || !connection->end[0].env || connection->end[0].failed)
        return;
    if (!listener) {
        stream_put_reset(connection, 1);
        return;
    }
    server->env = listener->poller->env;
    server->connected = true;
    TAILQ_INSERT_TAIL(&listener->backlog, connection, backlog_link);
    stream_put(connection, 1, chunk_make(CHUNK_CONNECTED, 0));
    socket_notify(listener);
}

static void deliver_connected(struct connection *connection, struct end *client)
{
    if (!client->env || client->failed) {
        stream_put_reset(connection, 0);
        return;
    }
    client->connected = true;
    TRACE("net-connected", connection->number, connection->port, "connection %u: %s to %s:%u",
          connection->number, client->host->name, connection->end[1].host->name, connection->port);
    socket_notify(client->socket);
}

/* Takes the chunk over. A receiver that has failed reads nothing more. */
static void deliver_data(struct connection *connection, int from, struct chunk *chunk)
{
    struct stream *stream = &connection->stream[from];
    struct end *to = &connection->end[!from];
    stream->in_flight_bytes -= chunk->bytes;
    TRACE("net-deliver", connection->number, chunk->bytes, "connection %u: %u bytes reach %s",
          connection->number, chunk->bytes, to->host->name);
    if (!to->env || to->failed) {
        free(chunk);
        if (!to->env)
            stream_put_reset(connection, !from);
        return;
    }
    if (chunk->late) {
        memory_read(chunk->late, chunk->bytes, "sendfile");
        memcpy(chunk->data, chunk->late, chunk->bytes);
    }
    stream->arrived_bytes += chunk->bytes;
    TAILQ_INSERT_TAIL(&stream->arrived, chunk, link);
    socket_notify(to->socket);
}

static void deliver(struct connection *connection, int from, struct chunk *chunk)
{
    struct end *to = &connection->end[!from];
    if (chunk->kind == CHUNK_DATA) {
        deliver_data(connection, from, chunk);
        return;
    }
    if (chunk->kind == CHUNK_SYN)
        deliver_syn(connection, chunk);
    else if (chunk->kind == CHUNK_CONNECTED)
        deliver_connected(connection, to);
    else if (chunk->kind == CHUNK_RESET)
        end_fail(connection, !from, EMB_ERR_UNAVAILABLE,
                 to->connected ? "Connection reset by peer" : "Connection refused");
    else if (to->env) {
        to->ended = true;
        socket_notify(to->socket);
    }
    free(chunk);
}

/* A host without power answers nothing, so what was sent is sent again and again. */
static bool stream_unanswered(struct connection *connection, int from)
{
    if (!connection->end[!from].silent || connection->end[!from].host->powered)
        return false;
    if (connection->end[from].env)
        stream_arm(connection, from, world_now_ns() + RETRANSMISSION_NS);
    else
        stream_truncate(&connection->stream[from], 0, false);
    return true;
}

static void stream_deliver(struct connection *connection, int from)
{
    struct stream *stream = &connection->stream[from];
    uint64_t now_ns = world_now_ns();
    if (stream_unanswered(connection, from))
        return;
    struct chunk *chunk;
    while ((chunk = TAILQ_FIRST(&stream->in_flight)) && chunk->deliver_ns <= now_ns &&
           stream_held_to(connection, from) <= now_ns) {
        TAILQ_REMOVE(&stream->in_flight, chunk, link);
        deliver(connection, from, chunk);
    }
    stream_arm_next(connection, from);
}

static void stream_event(void *arg, uint64_t number)
{
    struct connection *connection = arg;
    int from = (int)(number & 1);
    struct stream *stream = &connection->stream[from];
    if (stream->alarm == number >> 1) {
        stream->armed = false;
        stream_deliver(connection, from);
    }
    connection->events--;
    link_release(connection);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void patience_event(void *arg, uint64_t number)
{
    struct connection *connection = arg;
    if (!connection->end[0].connected)
        end_fail(connection, 0, EMB_ERR_UNAVAILABLE, "no answer within a second");
    connection->events--;
    link_release(connection);
}

struct connection *link_start(struct env *env, struct host *to, uint16_t port)
{
    struct connection *connection = room_of(sizeof(*connection));
    connection->number = ++simulated.network.made;
    connection->port = port;
    for (int side = 0; side < 2; side++) {
        TAILQ_INIT(&connection->stream[side].in_flight);
        TAILQ_INIT(&connection->stream[side].arrived);
    }
    connection->end[0].host = env->host;
    connection->end[0].env = env;
    connection->end[1].host = to;
    TAILQ_INSERT_TAIL(&simulated.network.connections, connection, link);
    stream_put(connection, 0, chunk_make(CHUNK_SYN, 0));
    connection->events++;
    world_at(world_now_ns() + CONNECT_PATIENCE, patience_event, connection, 0);
    return connection;
}

/* What the kernel sends for a process that is gone, or no longer sends without power. */
static void stream_leave(struct connection *connection, int side, enum departure how)
{
    struct stream *out = &connection->stream[side];
    if (how == DEPARTURE_ORDERLY) {
        if (connection->end[side].connected)
            stream_put(connection, side, chunk_make(CHUNK_FIN, 0));
        return;
    }
    if (out->reset)
        return; /* that it is broken is on its way already, and must arrive */
    if (how == DEPARTURE_RESET)
        stream_truncate(out, 0, false);
    else
        stream_truncate_somewhere(out, false);
    if (how != DEPARTURE_POWER)
        stream_put_reset(connection, side);
    out->cut = true;
}

void end_leave(struct connection *connection, int side, enum departure how)
{
    struct end *end = &connection->end[side];
    struct stream *in = &connection->stream[!side];
    stream_leave(connection, side, how);
    chunks_free(&in->arrived);
    in->arrived_bytes = 0;
    end->silent = how == DEPARTURE_POWER;
    if (end->socket)
        end->socket->connection = NULL;
    end->socket = NULL;
    end->env = NULL;
    socket_notify(connection->end[!side].socket);
    link_release(connection);
}

void link_break(struct connection *connection)
{
    TRACE("net-break", connection->number, 0, "connection %u between %s and %s breaks",
          connection->number, connection->end[0].host->name, connection->end[1].host->name);
    COVER(CONNECTION_BROKEN);
    for (int from = 0; from < 2; from++) {
        struct stream *stream = &connection->stream[from];
        stream_truncate_somewhere(stream, true);
        stream->stalled_to_ns = 0;
        stream_put_reset(connection, from);
        stream_arm_next(connection, from);
    }
}

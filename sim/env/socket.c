/* The calls of env.h on sockets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "sim/env/internal.h"
#include "sim/memory/memory.h"

#define FIRST_FREE_PORT 40000u

/* ---- addresses ------------------------------------------------------------------------------- */

static struct host *host_find(struct env *env, const char *name, struct error *err)
{
    if (strcmp(name, "localhost") == 0 || strcmp(name, "127.0.0.1") == 0)
        return env->host;
    for (uint32_t i = 0; i < world_host_count(); i++)
        if (strcmp(world_host(i)->name, name) == 0)
            return world_host(i);
    error_set(err, EMB_ERR_NOT_FOUND, "host \"%s\": not known; give a name such as %s", name,
              env->host->name);
    return NULL;
}

static struct env_socket *listener_in(const struct env *env, uint16_t port)
{
    for (struct env_poller *poller = TAILQ_FIRST(&env->pollers); poller;
         poller = TAILQ_NEXT(poller, link))
        for (struct env_socket *at = TAILQ_FIRST(&poller->sockets); at; at = TAILQ_NEXT(at, link))
            if (at->listening && at->port == port)
                return at;
    return NULL;
}

struct env_socket *listener_find(const struct host *host, uint16_t port)
{
    struct env_socket *found = NULL;
    for (struct env *env = TAILQ_FIRST(&simulated.envs); env && !found; env = TAILQ_NEXT(env, link))
        if (env->host == host && !env->gone)
            found = listener_in(env, port);
    return found;
}

static uint16_t port_free(const struct host *host)
{
    uint16_t *last = &simulated.network.last_port[host->number];
    do {
        *last = (uint16_t)max_u64(*last + 1u, FIRST_FREE_PORT);
    } while (listener_find(host, *last));
    return *last;
}

/* ---- making ---------------------------------------------------------------------------------- */

static struct env_socket *socket_make(struct env_poller *poller, const struct host *peer,
                                      uint16_t peer_port)
{
    struct env_socket *socket = room_of(sizeof(*socket));
    socket->poller = poller;
    socket->open = true;
    TAILQ_INIT(&socket->backlog);
    snprintf(socket->peer, sizeof(socket->peer), "%s:%u", peer->name, peer_port);
    TAILQ_INSERT_TAIL(&poller->sockets, socket, link);
    return socket;
}

int env_listen(struct env_poller *poller, const char *host, uint16_t port,
               struct env_socket **listener, struct error *err)
{
    struct env *env = poller->env;
    bool any = host[0] == '\0' || strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0;
    struct host *own = any ? env->host : host_find(env, host, err);
    if (!own)
        return EMB_ERR_NOT_FOUND;
    if (own != env->host)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "%s is no address of this host; 0.0.0.0 listens on all of them", host);
    if (port != 0 && listener_find(own, port))
        return error_set(err, EMB_ERR_BUSY,
                         "port %u on %s is in use by another process; stop it or choose another "
                         "port (0: any)",
                         port, host);
    port = port ? port : port_free(own);
    *listener = socket_make(poller, own, port);
    (*listener)->listening = true;
    (*listener)->port = port;
    return EMB_OK;
}

uint64_t env_accept_failures(const struct env_socket *listener)
{
    return 0; /* hosts here have descriptors enough */
}

/* No connection ends by itself here. */
void env_socket_may_pause(struct env_socket *socket)
{
}

struct env_socket *env_accept(struct env_socket *listener)
{
    struct connection *connection = TAILQ_FIRST(&listener->backlog);
    if (!connection)
        return NULL;
    TAILQ_REMOVE(&listener->backlog, connection, backlog_link);
    struct env_socket *socket =
        socket_make(listener->poller, connection->end[0].host, connection->peer_port);
    socket->port = listener->port;
    socket->connection = connection;
    socket->side = 1;
    connection->end[1].socket = socket;
    TRACE("net-accept", connection->number, listener->port, "connection %u: %s:%u accepts %s",
          connection->number, connection->end[1].host->name, listener->port, socket->peer);
    return socket;
}

int env_connect(struct env_poller *poller, const char *host, uint16_t port,
                struct env_socket **socket, struct error *err)
{
    struct host *to = host_find(poller->env, host, err);
    if (!to)
        return EMB_ERR_NOT_FOUND;
    struct env_socket *created = socket_make(poller, to, port);
    created->port = port_free(poller->env->host);
    created->connection = link_start(poller->env, to, port);
    created->connection->peer_port = created->port;
    created->connection->end[0].socket = created;
    *socket = created;
    return EMB_OK;
}

static struct end *socket_end(const struct env_socket *socket)
{
    ASSERT(socket->open && socket->connection);
    return &socket->connection->end[socket->side];
}

int env_connect_result(struct env_socket *socket, struct error *err)
{
    const struct end *end = socket_end(socket);
    if (end->connected)
        return 0;
    if (!end->failed)
        return ENV_WOULD_BLOCK;
    error_set(err, end->failed, "connecting to %s: %s", socket->peer, end->why);
    return ENV_FAILED;
}

/* ---- readiness ------------------------------------------------------------------------------- */

static struct stream *stream_out(const struct env_socket *socket)
{
    return &socket->connection->stream[socket->side];
}

static struct stream *stream_in(const struct env_socket *socket)
{
    return &socket->connection->stream[!socket->side];
}

static uint64_t room_out(const struct env_socket *socket)
{
    const struct stream *out = stream_out(socket);
    uint64_t taken = out->in_flight_bytes + out->arrived_bytes;
    return taken < simulated.shape.window_bytes ? simulated.shape.window_bytes - taken : 0;
}

void socket_ready(const struct env_socket *socket, bool *readable, bool *writable)
{
    *readable = socket->listening && !TAILQ_EMPTY(&socket->backlog);
    *writable = false;
    if (!socket->connection)
        return;
    const struct end *end = socket_end(socket);
    *readable = end->failed || end->ended || !TAILQ_EMPTY(&stream_in(socket)->arrived);
    *writable = end->failed || (end->connected && room_out(socket) > 0);
}

void socket_notify(struct env_socket *socket)
{
    bool readable, writable;
    if (!socket || !socket->poller->sleeper)
        return;
    socket_ready(socket, &readable, &writable);
    if ((readable && socket->readable) || (writable && socket->writable))
        poller_notify(socket->poller);
}

void env_socket_watch(struct env_socket *socket, bool readable, bool writable, env_ready_fn *fn,
                      void *arg)
{
    ASSERT(socket->open && (fn || (!readable && !writable)));
    socket->fn = fn;
    socket->arg = arg;
    socket->readable = readable;
    socket->writable = writable;
    socket_notify(socket); /* another fiber may sleep in the poller */
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static uint64_t iov_bytes(const struct iovec *iov, int count)
{
    uint64_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += iov[i].iov_len;
    return bytes;
}

static uint64_t bytes_shortened(uint64_t bytes)
{
    if (!simulated.shape.short_transfers || bytes < 2 || !choose_one_in(CHOICE_NETWORK, 4))
        return bytes;
    return choose_skewed(CHOICE_NETWORK, 1, bytes);
}

static void arrived_take(struct stream *in, unsigned char *to, uint64_t bytes)
{
    in->arrived_bytes -= bytes;
    while (bytes > 0) {
        struct chunk *chunk = TAILQ_FIRST(&in->arrived);
        uint64_t piece = min_u64(bytes, chunk->bytes - chunk->taken);
        memcpy(to, chunk->data + chunk->taken, piece);
        to += piece;
        bytes -= piece;
        chunk->taken += (uint32_t)piece;
        if (chunk->taken == chunk->bytes) {
            TAILQ_REMOVE(&in->arrived, chunk, link);
            free(chunk);
        }
    }
}

static ssize_t recv_nothing(const struct end *end)
{
    if (end->ended)
        return 0;
    return end->failed ? ENV_FAILED : ENV_WOULD_BLOCK;
}

ssize_t env_recv(struct env_socket *socket, const struct iovec *iov, int count)
{
    fiber_preempt_point();
    struct end *end = socket_end(socket);
    struct stream *in = stream_in(socket);
    uint64_t possible = min_u64(iov_bytes(iov, count), in->arrived_bytes);
    if (in->arrived_bytes == 0)
        return recv_nothing(end);
    uint64_t bytes = bytes_shortened(possible), left = bytes;
    if (bytes < possible)
        COVER(SHORT_RECEIVE);
    for (int i = 0; i < count && left > 0; i++) {
        uint64_t piece = min_u64(left, iov[i].iov_len);
        arrived_take(in, iov[i].iov_base, piece);
        if (piece > 0)
            memory_stored(iov[i].iov_base, piece);
        left -= piece;
    }
    socket_notify(socket->connection->end[!socket->side].socket);
    return (ssize_t)bytes;
}

/* How many of the bytes can be sent now; 0, or ENV_*. */
static ssize_t send_possible(struct env_socket *socket, uint64_t bytes)
{
    const struct end *end = socket_end(socket);
    if (end->failed)
        return ENV_FAILED;
    uint64_t possible = end->connected ? min_u64(bytes, room_out(socket)) : 0;
    if (possible == 0)
        return bytes ? ENV_WOULD_BLOCK : 0;
    possible = bytes_shortened(possible);
    if (possible < bytes)
        COVER(SHORT_SEND);
    return (ssize_t)possible;
}

ssize_t env_send(struct env_socket *socket, const struct iovec *iov, int count, bool more)
{
    fiber_preempt_point();
    ssize_t bytes = send_possible(socket, iov_bytes(iov, count));
    if (bytes <= 0)
        return bytes;
    struct chunk *chunk = chunk_make(CHUNK_DATA, (uint64_t)bytes);
    uint64_t done = 0;
    for (int i = 0; i < count && done < chunk->bytes; i++) {
        uint64_t piece = min_u64(chunk->bytes - done, iov[i].iov_len);
        if (piece == 0)
            continue;
        memory_read(iov[i].iov_base, piece, "send");
        memcpy(chunk->data + done, iov[i].iov_base, piece);
        done += piece;
    }
    stream_put(socket->connection, socket->side, chunk);
    return bytes;
}

ssize_t env_sendfile(struct env_socket *socket, struct env_map *map, uint64_t offset, size_t bytes)
{
    fiber_preempt_point();
    ASSERT(offset <= map->bytes && bytes <= map->bytes - offset);
    if (!env_map_can_sendfile(map))
        return ENV_FAILED;
    ssize_t possible = send_possible(socket, bytes);
    if (possible <= 0)
        return possible;
    COVER(SENDFILE);
    struct chunk *chunk = chunk_make(CHUNK_DATA, (uint64_t)possible);
    chunk->late = map->base + offset;
    stream_put(socket->connection, socket->side, chunk);
    return possible;
}

uint64_t env_unacked_bytes(struct env_socket *socket)
{
    return socket->connection ? stream_out(socket)->in_flight_bytes : 0;
}

uint16_t env_local_port(struct env_socket *socket)
{
    return socket->port;
}

const char *env_peer_name(struct env_socket *socket)
{
    return socket->peer;
}

/* ---- closing --------------------------------------------------------------------------------- */

static void socket_close(struct env_socket *socket, enum departure how)
{
    struct env_poller *poller = socket->poller;
    struct connection *waiting;
    ASSERT(socket->open);
    while ((waiting = TAILQ_FIRST(&socket->backlog))) {
        TAILQ_REMOVE(&socket->backlog, waiting, backlog_link);
        end_leave(waiting, 1, DEPARTURE_RESET);
    }
    if (socket->connection)
        end_leave(socket->connection, socket->side, how);
    socket->open = socket->listening = false;
    TAILQ_REMOVE(&poller->sockets, socket, link);
    if (poller->dispatching)
        TAILQ_INSERT_TAIL(&poller->closed, socket, link);
    else
        free(socket);
}

void env_close(struct env_socket *socket)
{
    if (socket)
        socket_close(socket, DEPARTURE_ORDERLY);
}

void env_reset(struct env_socket *socket)
{
    if (socket)
        socket_close(socket, DEPARTURE_RESET);
}

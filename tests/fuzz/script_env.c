#include "tests/fuzz/script_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

struct buffer {
    unsigned char *bytes;
    size_t used;
    size_t capacity;
};

struct env_socket {
    struct env *env;
    bool listening, waiting, closed, failed, ended;
    bool connects; /* made by env_connect */
    bool reset, holds_acks;
    bool readable, writable;
    env_ready_fn *fn;
    void *arg;
    struct buffer in, out;
    size_t taken; /* of out */
    uint64_t sent, acked;
    size_t window;
    char peer[24];
};

struct env {
    uint64_t now_ns;
    struct env_socket *sockets[SCRIPT_SOCKETS_MAX];
    unsigned count;
    unsigned calls;
};

static void buffer_put(struct buffer *buffer, const void *bytes, size_t count)
{
    if (buffer->used + count > buffer->capacity) {
        buffer->capacity = 2 * (buffer->used + count);
        buffer->bytes = realloc(buffer->bytes, buffer->capacity);
        ASSERT(buffer->bytes);
    }
    if (count)
        memcpy(buffer->bytes + buffer->used, bytes, count);
    buffer->used += count;
}

static void buffer_drop(struct buffer *buffer, size_t count)
{
    buffer->used -= count;
    if (buffer->used)
        memmove(buffer->bytes, buffer->bytes + count, buffer->used);
}

/* ---- the target's side ----------------------------------------------------------------------- */

struct env *script_create(void)
{
    struct env *env = calloc(1, sizeof *env);
    ASSERT(env);
    env->now_ns = 1000000000;
    return env;
}

void script_destroy(struct env *env)
{
    for (unsigned i = 0; i < env->count; i++) {
        free(env->sockets[i]->in.bytes);
        free(env->sockets[i]->out.bytes);
        free(env->sockets[i]);
    }
    free(env);
}

struct env_poller *script_poller(struct env *env)
{
    return (struct env_poller *)env; /* there is one */
}

void script_pass(struct env *env, uint64_t ns)
{
    env->now_ns += ns;
}

uint64_t script_now_ns(const struct env *env)
{
    return env->now_ns;
}

static struct env_socket *socket_make(struct env *env)
{
    struct env_socket *socket = env->count < SCRIPT_SOCKETS_MAX ? calloc(1, sizeof *socket) : NULL;
    if (!socket)
        return NULL;
    socket->env = env;
    socket->window = SIZE_MAX / 2;
    snprintf(socket->peer, sizeof socket->peer, "10.0.0.%u:%u", env->count % 4, env->count);
    env->sockets[env->count++] = socket;
    return socket;
}

static struct env_socket *listener_of(struct env *env)
{
    for (unsigned i = 0; i < env->count; i++)
        if (env->sockets[i]->listening && !env->sockets[i]->closed)
            return env->sockets[i];
    return NULL;
}

struct env_socket *script_connect(struct env *env)
{
    struct env_socket *socket = listener_of(env) ? socket_make(env) : NULL;
    if (socket)
        socket->waiting = true;
    return socket;
}

struct env_socket *script_connected(struct env *env, unsigned n)
{
    for (unsigned i = 0; i < env->count; i++)
        if (env->sockets[i]->connects && n-- == 0)
            return env->sockets[i];
    return NULL;
}

void script_feed(struct env_socket *socket, const void *bytes, size_t count)
{
    if (!socket->closed && !socket->ended && !socket->failed)
        buffer_put(&socket->in, bytes, count);
}

void script_end(struct env_socket *socket, enum script_end how)
{
    socket->ended = true;
    socket->failed |= how == SCRIPT_RST;
}

void script_reset_all(struct env *env)
{
    for (unsigned i = 0; i < env->count; i++)
        if (!env->sockets[i]->listening)
            script_end(env->sockets[i], SCRIPT_RST);
}

void script_window(struct env_socket *socket, size_t bytes)
{
    socket->window = bytes;
}

bool script_is_closed(const struct env_socket *socket)
{
    return socket->closed;
}

bool script_is_reset(const struct env_socket *socket)
{
    return socket->reset;
}

void script_hold_acks(struct env_socket *socket, bool hold)
{
    socket->holds_acks = hold;
    socket->acked = socket->sent;
}

const unsigned char *script_sent(const struct env_socket *socket, size_t *count)
{
    *count = socket->out.used - socket->taken;
    return socket->out.bytes ? socket->out.bytes + socket->taken : NULL;
}

const unsigned char *script_taken(struct env_socket *socket, size_t count)
{
    const unsigned char *bytes = socket->out.bytes + socket->taken;
    socket->taken += count;
    return bytes;
}

static bool backlog_waits(struct env *env)
{
    for (unsigned i = 0; i < env->count; i++)
        if (env->sockets[i]->waiting)
            return true;
    return false;
}

static void socket_poll(struct env *env, struct env_socket *socket)
{
    if (socket->closed || socket->waiting)
        return;
    bool readable = socket->readable &&
                    (socket->listening ? backlog_waits(env) : socket->in.used || socket->ended);
    bool writable = socket->writable && (socket->window || socket->failed);
    env->calls += readable || writable;
    if (readable || writable)
        socket->fn(socket->arg, readable, writable);
}

void script_poll(struct env *env)
{
    for (unsigned i = 0; i < env->count; i++)
        socket_poll(env, env->sockets[i]);
}

unsigned script_calls(const struct env *env)
{
    return env->calls;
}

/* ---- env.h ----------------------------------------------------------------------------------- */

uint64_t env_now_ns(struct env *env)
{
    return env->now_ns;
}

uint64_t env_wall_ms(struct env *env)
{
    return 1700000000000u + env->now_ns / 1000000;
}

int env_listen(struct env_poller *poller, const char *host, uint16_t port,
               struct env_socket **listener, struct error *err)
{
    *listener = socket_make((struct env *)poller);
    ASSERT(*listener);
    (*listener)->listening = true;
    return EMB_OK;
}

struct env_socket *env_accept(struct env_socket *listener)
{
    struct env *env = listener->env;
    for (unsigned i = 0; i < env->count; i++)
        if (env->sockets[i]->waiting) {
            env->sockets[i]->waiting = false;
            return env->sockets[i];
        }
    return NULL;
}

uint64_t env_accept_failures(const struct env_socket *listener)
{
    return 0;
}

void env_socket_may_pause(struct env_socket *socket)
{
    ASSERT(!socket->closed);
}

int env_connect(struct env_poller *poller, const char *host, uint16_t port,
                struct env_socket **socket, struct error *err)
{
    *socket = socket_make((struct env *)poller);
    if (!*socket)
        return error_set(err, EMB_ERR_UNAVAILABLE, "no more sockets");
    (*socket)->connects = true;
    return EMB_OK;
}

int env_connect_result(struct env_socket *socket, struct error *err)
{
    return socket->failed ? error_set(err, EMB_ERR_UNAVAILABLE, "refused") : 0;
}

void env_socket_watch(struct env_socket *socket, bool readable, bool writable, env_ready_fn *fn,
                      void *arg)
{
    ASSERT(!socket->closed);
    socket->readable = readable;
    socket->writable = writable;
    socket->fn = fn;
    socket->arg = arg;
}

ssize_t env_recv(struct env_socket *socket, const struct iovec *iov, int count)
{
    size_t got = 0;
    ASSERT(!socket->closed);
    if (socket->failed)
        return ENV_FAILED;
    for (int i = 0; i < count; i++) {
        size_t part = min_u64(iov[i].iov_len, socket->in.used);
        if (part)
            memcpy(iov[i].iov_base, socket->in.bytes, part);
        buffer_drop(&socket->in, part);
        got += part;
    }
    if (got)
        return (ssize_t)got;
    return socket->ended ? 0 : ENV_WOULD_BLOCK;
}

ssize_t env_send(struct env_socket *socket, const struct iovec *iov, int count, bool more)
{
    size_t sent = 0;
    ASSERT(!socket->closed);
    if (socket->failed)
        return ENV_FAILED;
    buffer_drop(&socket->out, socket->taken);
    socket->taken = 0;
    for (int i = 0; i < count; i++) {
        size_t part = min_u64(iov[i].iov_len, socket->window);
        buffer_put(&socket->out, iov[i].iov_base, part);
        socket->window -= part;
        sent += part;
    }
    socket->sent += sent;
    return sent ? (ssize_t)sent : ENV_WOULD_BLOCK;
}

ssize_t env_sendfile(struct env_socket *socket, struct env_map *map, uint64_t offset, size_t bytes)
{
    struct iovec iov = {(unsigned char *)map + offset, bytes}; /* the target passes its memory */
    return env_send(socket, &iov, 1, false);
}

bool env_map_can_sendfile(struct env_map *map)
{
    return true;
}

/* The peer's TCP acknowledges what it takes, unless a test holds that back. */
uint64_t env_unacked_bytes(struct env_socket *socket)
{
    return socket->holds_acks ? socket->sent - socket->acked : 0;
}

uint16_t env_local_port(struct env_socket *socket)
{
    return 9650;
}

const char *env_peer_name(struct env_socket *socket)
{
    return socket->peer;
}

void env_close(struct env_socket *socket)
{
    ASSERT(!socket->closed);
    socket->closed = true;
}

void env_reset(struct env_socket *socket)
{
    socket->reset = true;
    env_close(socket);
}

/*
 * How it works. Receiving has two places: the body of the present frame, received straight into its
 * owner's memory, and `ahead`, which takes what follows it. One recv fills both. While bodies are
 * large, only the next frame's header is wanted ahead (one call a batch, nothing copied); while
 * they are small, as much as there is (many frames a call, each copied once).
 */
#include "client/tcp/connection.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

#define AHEAD_BYTES       ((size_t)64 << 10)
#define LARGE_BODY_BYTES  ((size_t)32 << 10)
#define SEND_PARTS        16
#define HELLO_CORRELATION 1

static void mark_ready(void *arg, bool readable, bool writable)
{
    struct connection *c = arg;
    c->readable = c->readable || readable;
    c->writable = c->writable || writable;
}

static bool has_unsent(const struct connection *c)
{
    return c->first != NULL || c->control_at < c->control_end;
}

static void watch(struct connection *c)
{
    bool writable =
        c->state == CONNECTION_CONNECTING || (has_unsent(c) && !c->writable && !c->send_lost);
    if (c->socket != NULL)
        env_socket_watch(c->socket, !c->stalled && c->state != CONNECTION_CONNECTING, writable,
                         mark_ready, c);
}

int connection_fail(struct connection *c, int code, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (c->state != CONNECTION_DOWN)
        error_set(&c->error, code, "broker %s: %s", c->name, text);
    c->state = CONNECTION_DOWN;
    if (c->socket != NULL)
        env_reset(c->socket);
    c->socket = NULL;
    return c->error.code;
}

uint64_t connection_patience(uint64_t now_ns, uint64_t deadline_ns, uint32_t others)
{
    if (others == 0 || deadline_ns <= now_ns)
        return deadline_ns;
    return now_ns + min_u64((deadline_ns - now_ns) / (others + 1), CONNECTION_PATIENCE_NS);
}

void connection_late(struct connection *c)
{
    connection_fail(c, EMB_ERR_UNAVAILABLE, "%s",
                    c->state == CONNECTION_GREETING
                        ? "connected, and no greeting in time: it hangs, or is no broker"
                        : "no connection in time");
}

void connection_start(struct connection *c, struct env_poller *poller,
                      const struct address *address, const char *client_name,
                      const struct connection_events *events)
{
    struct error err = {0};

    memset(c, 0, sizeof *c);
    c->address = *address;
    c->client_name = client_name;
    c->events = *events;
    c->state = CONNECTION_CONNECTING;
    c->ahead_wanted = AHEAD_BYTES;
    snprintf(c->name, sizeof c->name, strchr(address->host, ':') ? "[%s]:%u" : "%s:%u",
             address->host, address->port);
    c->ahead = malloc(AHEAD_BYTES);
    c->rack = malloc(sizeof *c->rack);
    if (c->ahead == NULL || c->rack == NULL) {
        connection_fail(c, EMB_ERR_NO_MEMORY, "no memory for a connection");
        return;
    }
    if (env_connect(poller, address->host, address->port, &c->socket, &err) != EMB_OK) {
        c->socket = NULL;
        /* A name that is not known now may be later: a broker that cannot be reached. */
        int code = err.code == EMB_ERR_NOT_FOUND ? EMB_ERR_UNAVAILABLE : err.code;
        connection_fail(c, code, "%s", err.text);
        return;
    }
    watch(c);
}

void connection_stop(struct connection *c, bool reset)
{
    if (c->socket != NULL) {
        if (reset)
            env_reset(c->socket);
        else
            env_close(c->socket);
    }
    free(c->ahead);
    free(c->rack);
    free(c->own_body);
    free(c->control);
    memset(c, 0, sizeof *c);
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool control_reserve(struct connection *c, size_t bytes)
{
    if (c->control_at == c->control_end)
        c->control_at = c->control_end = 0;
    if (c->control_end + bytes <= c->control_bytes)
        return true;
    size_t capacity = align_up(c->control_end + bytes, 4096);
    unsigned char *grown = realloc(c->control, capacity);
    if (grown == NULL)
        return false;
    c->control = grown;
    c->control_bytes = capacity;
    return true;
}

void connection_send(struct connection *c, uint8_t type, uint64_t correlation, const void *body,
                     size_t body_bytes)
{
    struct frame_header header = {
        .body_bytes = (uint32_t)body_bytes, .type = type, .correlation = correlation};

    if (c->state == CONNECTION_DOWN)
        return;
    if (!control_reserve(c, FRAME_HEADER_BYTES + body_bytes)) {
        connection_fail(c, EMB_ERR_NO_MEMORY, "no memory for a frame of %zu bytes", body_bytes);
        return;
    }
    frame_header_write(c->control + c->control_end, &header);
    if (body_bytes > 0)
        memcpy(c->control + c->control_end + FRAME_HEADER_BYTES, body, body_bytes);
    c->control_end += FRAME_HEADER_BYTES + body_bytes;
}

void connection_queue(struct connection *c, struct outgoing *outgoing)
{
    outgoing->next = NULL;
    outgoing->queued = true;
    if (c->first == NULL)
        c->first = outgoing;
    else
        c->last->next = outgoing;
    c->last = outgoing;
}

void connection_queue_first(struct connection *c, struct outgoing *outgoing)
{
    if (c->first == NULL) {
        connection_queue(c, outgoing);
        return;
    }
    outgoing->queued = true;
    if (connection_is_amid_batch(c)) {
        outgoing->next = c->first->next;
        c->first->next = outgoing;
        if (c->last == c->first)
            c->last = outgoing;
    } else {
        outgoing->next = c->first;
        c->first = outgoing;
    }
}

bool connection_is_amid_batch(const struct connection *c)
{
    return c->first != NULL && c->first_sent > 0;
}

static int part_add(struct iovec *parts, int count, const void *bytes, size_t byte_count,
                    size_t skip)
{
    if (skip >= byte_count)
        return count;
    parts[count].iov_base = (unsigned char *)(uintptr_t)bytes + skip;
    parts[count].iov_len = byte_count - skip;
    return count + 1;
}

static int parts_of_batch(struct iovec *parts, int count, const struct outgoing *o, size_t sent)
{
    count = part_add(parts, count, o->frame, FRAME_HEADER_BYTES, sent);
    return part_add(parts, count, o->bytes, o->byte_count,
                    sent > FRAME_HEADER_BYTES ? sent - FRAME_HEADER_BYTES : 0);
}

/* In the order of sending: the batch that is begun, control frames, batches. */
static int parts_collect(const struct connection *c, struct iovec *parts, bool *more)
{
    const struct outgoing *o = c->first;
    int count = 0;

    if (connection_is_amid_batch(c)) {
        count = parts_of_batch(parts, count, o, c->first_sent);
        o = o->next;
    }
    if (c->control_at < c->control_end)
        count = part_add(parts, count, c->control, c->control_end, c->control_at);
    for (; o != NULL && count + 2 <= SEND_PARTS; o = o->next)
        count = parts_of_batch(parts, count, o, 0);
    *more = o != NULL;
    return count;
}

/* Accounts `bytes` to the first batch; returns what is left beyond it. */
static size_t sent_batch(struct connection *c, size_t bytes)
{
    struct outgoing *o = c->first;
    size_t rest = FRAME_HEADER_BYTES + o->byte_count - c->first_sent;

    if (bytes < rest) {
        c->first_sent += bytes;
        return 0;
    }
    c->first = o->next;
    if (c->first == NULL)
        c->last = NULL;
    c->first_sent = 0;
    o->queued = false;
    c->events.sent(c->events.arg, o);
    return bytes - rest;
}

static void sent_account(struct connection *c, size_t bytes)
{
    if (connection_is_amid_batch(c))
        bytes = sent_batch(c, bytes);
    size_t control = min_u64(bytes, c->control_end - c->control_at);
    /* A batch that is still not through had its share first: nothing is left then. */
    c->control_at += control;
    bytes -= control;
    while (bytes > 0)
        bytes = sent_batch(c, bytes);
}

static int send_all(struct connection *c)
{
    struct iovec parts[SEND_PARTS + 1];
    int work = 0;

    while (has_unsent(c) && c->writable && !c->send_lost) {
        bool more;
        int count = parts_collect(c, parts, &more);
        ssize_t sent = env_send(c->socket, parts, count, more);
        if (sent == ENV_WOULD_BLOCK) {
            c->writable = false;
        } else if (sent < 0) {
            /* The broker may have said why before it closed: that is still to be received. */
            c->send_lost = true;
            c->readable = true;
            return 1;
        } else {
            sent_account(c, (size_t)sent);
            work++;
        }
    }
    return work;
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* 1: some bytes came; 0: none now; negative: DOWN. */
static int fill(struct connection *c)
{
    struct iovec parts[2];
    int count = 0;
    size_t body_rest = c->in_body ? c->header.body_bytes - c->body_received : 0;

    if (!c->readable)
        return 0;
    if (c->ahead_at > 0) {
        memmove(c->ahead, c->ahead + c->ahead_at, c->ahead_end - c->ahead_at);
        c->ahead_end -= c->ahead_at;
        c->ahead_at = 0;
    }
    size_t wanted = max_u64(c->ahead_wanted, FRAME_HEADER_BYTES);
    if (body_rest > 0)
        count = part_add(parts, count, c->body, c->header.body_bytes, c->body_received);
    count = part_add(parts, count, c->ahead, wanted, c->ahead_end);
    ssize_t got = env_recv(c->socket, parts, count);
    if (got == ENV_WOULD_BLOCK) {
        c->readable = false;
        if (c->send_lost)
            return connection_fail(c, EMB_ERR_CLOSED, "the connection was lost while sending");
        return 0;
    }
    if (got == 0)
        return connection_fail(c, EMB_ERR_CLOSED, "the broker closed the connection");
    if (got < 0)
        return connection_fail(c, EMB_ERR_CLOSED, "the connection was lost while receiving");
    c->received_bytes += (size_t)got;
    size_t to_body = min_u64((size_t)got, body_rest);
    c->body_received += to_body;
    c->ahead_end += (size_t)got - to_body;
    /* Less than asked for: nothing is left, and the poller will say when there is. */
    if ((size_t)got < body_rest + wanted - (c->ahead_end - ((size_t)got - to_body)))
        c->readable = false;
    return 1;
}

static int own_body_reserve(struct connection *c, size_t bytes)
{
    if (bytes > c->own_body_bytes) {
        unsigned char *grown = realloc(c->own_body, bytes);
        if (grown == NULL)
            return connection_fail(c, EMB_ERR_NO_MEMORY, "no memory for a frame of %zu bytes",
                                   bytes);
        c->own_body = grown;
        c->own_body_bytes = bytes;
    }
    c->body = c->own_body;
    return 1;
}

/* 1: the body can be received; 0: no memory for it now; negative: DOWN. */
static int body_begin(struct connection *c)
{
    if (c->header.type != FRAME_DELIVER)
        return own_body_reserve(c, c->header.body_bytes);
    if (c->events.memory == NULL)
        return connection_fail(c, EMB_ERR_PROTOCOL, "a DELIVER frame without a subscription");
    c->body = c->events.memory(c->events.arg, &c->header);
    c->stalled = c->body == NULL;
    return c->stalled ? 0 : 1;
}

/* 1: in a body; 0: not yet; negative: DOWN. */
static int header_begin(struct connection *c)
{
    struct error err = {0};

    if (c->ahead_end - c->ahead_at < FRAME_HEADER_BYTES)
        return 0;
    if (frame_header_read(c->ahead + c->ahead_at, &c->header, &err) != EMB_OK)
        return connection_fail(c, err.code, "%s", err.text);
    int result = body_begin(c);
    if (result <= 0)
        return result;
    c->ahead_at += FRAME_HEADER_BYTES;
    c->body_received = 0;
    c->in_body = true;
    c->ahead_wanted = c->header.body_bytes >= LARGE_BODY_BYTES ? FRAME_HEADER_BYTES : AHEAD_BYTES;
    return 1;
}

static void body_take_ahead(struct connection *c)
{
    size_t take = min_u64(c->ahead_end - c->ahead_at, c->header.body_bytes - c->body_received);
    if (take == 0)
        return;
    memcpy(c->body + c->body_received, c->ahead + c->ahead_at, take);
    c->ahead_at += take;
    c->body_received += take;
}

int connection_receive(struct connection *c, struct frame_header *header, void **body)
{
    while (c->state == CONNECTION_GREETING || c->state == CONNECTION_UP) {
        if (!c->in_body && header_begin(c) < 0)
            return c->error.code;
        if (c->in_body) {
            body_take_ahead(c);
            if (c->body_received == c->header.body_bytes) {
                c->in_body = false;
                *header = c->header;
                *body = c->body;
                return 1;
            }
        }
        if (c->stalled) {
            watch(c);
            return 0;
        }
        int got = fill(c);
        if (got <= 0)
            return got;
    }
    return c->state == CONNECTION_DOWN ? c->error.code : 0;
}

void connection_resume(struct connection *c)
{
    if (!c->stalled)
        return;
    c->stalled = false;
    watch(c);
}

int connection_error_get(struct connection *c, const struct frame_header *header, const void *body,
                         struct error *err)
{
    struct wire_reader r;
    struct error decode = {0};
    struct error said = {0};

    wire_reader_init(&r, body, header->body_bytes, &decode);
    error_get(&r, &said);
    if (wire_reader_end(&r) != EMB_OK || said.code == EMB_OK)
        return error_set(err, EMB_ERR_PROTOCOL, "broker %s: an ERROR frame that cannot be read",
                         c->name);
    return error_set(err, said.code, "broker %s: %s", c->name,
                     said.text[0] ? said.text : error_text(said.code));
}

/* ---- greeting -------------------------------------------------------------------------------- */

void connection_ping(struct connection *c)
{
    unsigned char bytes[128];
    struct wire_writer w;
    struct hello hello = {{0}};

    snprintf(hello.client_name, sizeof hello.client_name, "%s", c->client_name);
    wire_writer_init(&w, bytes, sizeof bytes);
    hello_put(&w, &hello);
    ASSERT(!w.overflow);
    connection_send(c, FRAME_HELLO, HELLO_CORRELATION, bytes, w.used);
}

static int connect_work(struct connection *c)
{
    struct error err = {0};

    if (!c->writable)
        return 0;
    int result = env_connect_result(c->socket, &err);
    if (result == ENV_WOULD_BLOCK) {
        c->writable = false;
        return 0;
    }
    if (result != 0) {
        connection_fail(c, EMB_ERR_UNAVAILABLE, "%s", err.text);
        return 1;
    }
    c->state = CONNECTION_GREETING; /* before: sending may take it DOWN */
    connection_ping(c);
    return 1;
}

static int greet_work(struct connection *c)
{
    struct frame_header header;
    struct wire_reader r;
    struct error err = {0};
    void *body;
    int got = connection_receive(c, &header, &body);

    if (got <= 0)
        return got < 0;
    if (header.type == FRAME_ERROR) {
        connection_error_get(c, &header, body, &err);
        connection_fail(c, err.code, "%s", err.text);
        c->error = err; /* the text names the broker already */
        return 1;
    }
    if (header.type != FRAME_HELLO_OK) {
        connection_fail(c, EMB_ERR_PROTOCOL, "a %s frame instead of HELLO_OK",
                        frame_type_name(header.type));
        return 1;
    }
    wire_reader_init(&r, body, header.body_bytes, &err);
    hello_ok_get(&r, c->rack);
    if (wire_reader_end(&r) != EMB_OK)
        connection_fail(c, err.code, "%s", err.text);
    else
        c->state = CONNECTION_UP;
    return 1;
}

int connection_work(struct connection *c)
{
    int work = 0;

    if (c->state == CONNECTION_NONE || c->state == CONNECTION_DOWN)
        return 0;
    if (c->state == CONNECTION_CONNECTING)
        work += connect_work(c);
    if (c->state >= CONNECTION_GREETING && c->state < CONNECTION_DOWN)
        work += send_all(c);
    if (c->state == CONNECTION_GREETING)
        work += greet_work(c);
    watch(c);
    return work;
}

#include "broker/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define OUTPUT_FIRST_BYTES 4096u

/* Doubled, or where the client's memory does not allow that, no more than what is needed. */
static size_t capacity_for(const struct connection *c, size_t needed)
{
    size_t capacity = c->output.capacity ? c->output.capacity : OUTPUT_FIRST_BYTES;
    while (capacity < needed)
        capacity *= 2;
    return memory_allows(c, capacity - c->output.capacity, NULL) ? capacity : needed;
}

bool frame_fits(const struct connection *c, size_t body_bytes, struct error *err)
{
    const struct output *out = &c->output;
    size_t needed = output_waiting(c) + FRAME_HEADER_BYTES + body_bytes;
    return needed <= out->capacity || memory_allows(c, needed - out->capacity, err);
}

/* What was sent is dropped before the buffer grows. */
static bool output_make_room(struct connection *c, size_t bytes)
{
    struct output *out = &c->output;
    if (out->at) {
        memmove(out->bytes, out->bytes + out->at, out->used - out->at);
        out->used -= out->at;
        out->at = 0;
    }
    if (out->capacity - out->used >= bytes)
        return true;
    size_t capacity = capacity_for(c, out->used + bytes);
    if (!memory_allows(c, capacity - out->capacity, NULL)) {
        c->broker->counters.over_memory++;
        return false;
    }
    unsigned char *larger = realloc(out->bytes, capacity);
    if (!larger)
        return false;
    out->bytes = larger;
    out->capacity = capacity;
    return true;
}

bool frame_begin(struct connection *c, size_t body_bytes, struct wire_writer *w)
{
    if (c->output.capacity - c->output.used < FRAME_HEADER_BYTES + body_bytes &&
        !output_make_room(c, FRAME_HEADER_BYTES + body_bytes)) {
        connection_break(c);
        return false;
    }
    wire_writer_init(w, c->output.bytes + c->output.used + FRAME_HEADER_BYTES, body_bytes);
    return true;
}

void frame_end(struct connection *c, struct wire_writer *w, uint8_t type, uint64_t correlation)
{
    ASSERT(!w->overflow);
    struct frame_header header = {
        .body_bytes = (uint32_t)w->used, .type = type, .correlation = correlation};
    frame_header_write(c->output.bytes + c->output.used, &header);
    c->output.used += FRAME_HEADER_BYTES + w->used;
    connection_ready(c);
}

void answer_error(struct connection *c, uint64_t correlation, const struct error *err)
{
    struct wire_writer w;
    if (!frame_begin(c, ERROR_TEXT_BYTES + 8, &w))
        return;
    error_put(&w, err->code, err->text);
    frame_end(c, &w, FRAME_ERROR, correlation);
}

void answer_ok(struct connection *c, uint64_t correlation, uint64_t position)
{
    struct wire_writer w;
    if (!frame_begin(c, 8, &w))
        return;
    wire_put_u64(&w, position);
    frame_end(c, &w, FRAME_OK, correlation);
}

size_t connection_sent(struct connection *c, ssize_t result)
{
    if (result > 0) {
        c->sent_bytes += (uint64_t)result;
        patience_sent(c, (size_t)result);
        c->broker->work++;
        return (size_t)result;
    }
    c->writable = false;
    if (result != ENV_WOULD_BLOCK)
        connection_break(c);
    return 0;
}

size_t connection_transmit(struct connection *c, const struct iovec *iov, int count, bool more)
{
    return connection_sent(c, env_send(c->socket, iov, count, more));
}

/* Who publishes gets answers all the time and keeps a small buffer; thousands who do not, none. */
static void output_give_back(struct connection *c)
{
    c->output.at = 0;
    c->output.used = 0;
    if (c->publishing.open && c->output.capacity <= 16 * OUTPUT_FIRST_BYTES)
        return;
    free(c->output.bytes);
    c->output = (struct output){0};
}

bool output_flush(struct connection *c)
{
    struct output *out = &c->output;
    if (output_waiting(c) && c->delivery.sent && !deliver_finish_frame(c))
        return false;
    while (output_waiting(c)) {
        if (!c->writable || c->broken)
            return false;
        struct iovec iov = {.iov_base = out->bytes + out->at, .iov_len = out->used - out->at};
        out->at += connection_transmit(c, &iov, 1, false);
    }
    if (out->used)
        output_give_back(c);
    return true;
}

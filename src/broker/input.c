/*
 * How it works: one state per connection. A header is read alone; a PRODUCE payload is received
 * straight into the BLog together with the header after it, so that the steady state is one recv a
 * batch. A step that cannot go on names what it waits for; the connection then leaves the poller
 * until that has changed.
 */
#include "broker/state.h"

#include <stdlib.h>

#include "base/assert.h"

void input_next_frame(struct connection *c)
{
    c->input.state = INPUT_HEADER;
    c->input.body_have = 0;
    c->input.wait_until_ns = 0;
}

static void control_free(struct connection *c)
{
    if (c->input.control && c->input.control != c->input.own_control) {
        free(c->input.control);
        c->broker->control_bytes -= c->input.frame.body_bytes;
    }
    c->input.control = NULL;
}

void input_release(struct connection *c)
{
    control_free(c);
    if (c->input.state == INPUT_PAYLOAD || c->input.state == INPUT_PUBLISH)
        blog_abandoned(&c->broker->lane.blog, &c->input.space);
}

enum step input_refuse(struct connection *c, const struct error *err)
{
    c->broker->counters.protocol_errors++;
    connection_refuse(c, err);
    return STEP_CLOSED;
}

static struct list *waiters_of(struct broker *b, enum wait_reason reason)
{
    if (reason == WAIT_ROOM)
        return &b->room_waiters;
    return reason == WAIT_SLOT ? &b->slot_waiters : &b->position_waiters;
}

enum step input_wait(struct connection *c, enum wait_reason reason)
{
    c->input.wait = reason;
    list_append(waiters_of(c->broker, reason), &c->wait_link);
    return STEP_WAIT;
}

void input_resume(struct connection *c)
{
    list_remove(&c->wait_link);
    c->input.wait = WAIT_NONE;
    connection_ready(c);
}

/* What no request needs shares a budget, so that announcing much takes nothing from others. */
static enum step control_allocate(struct connection *c, uint32_t bytes)
{
    struct broker *b = c->broker;
    struct error err;
    if (!memory_allows(c, bytes, &err)) {
        b->counters.over_memory++;
        connection_refuse(c, &err);
        return STEP_CLOSED;
    }
    bool fits = b->control_bytes + bytes <= CONTROL_TOTAL_BYTES;
    c->input.control = fits ? malloc(bytes) : NULL;
    if (!c->input.control) {
        error_set(&err, EMB_ERR_NO_MEMORY, "no memory for a request of %u bytes now", bytes);
        return input_refuse(c, &err);
    }
    b->control_bytes += bytes;
    return STEP_AGAIN;
}

static enum step control_begin(struct connection *c)
{
    uint32_t bytes = c->input.frame.body_bytes;
    struct error err;
    c->input.state = INPUT_CONTROL;
    c->input.control = c->input.own_control;
    if (bytes <= CONTROL_OWN_BYTES)
        return STEP_AGAIN;
    c->input.control = NULL;
    if (bytes <= FRAME_MAX_CONTROL_BYTES)
        return control_allocate(c, bytes);
    error_set(&err, EMB_ERR_PROTOCOL, "a %s frame of %u bytes; at most %u are accepted",
              frame_type_name(c->input.frame.type), bytes, FRAME_MAX_CONTROL_BYTES);
    return input_refuse(c, &err);
}

static enum step header_step(struct connection *c)
{
    struct error err;
    if (c->input.header_have < FRAME_HEADER_BYTES)
        return STEP_BYTES;
    if (frame_header_read(c->input.header, &c->input.frame, &err) != EMB_OK)
        return input_refuse(c, &err);
    c->input.header_have = 0;
    c->input.body_have = 0;
    c->input.until_ns = 0; /* anew for the body, and for the next frame */
    c->heard = true;
    c->broker->counters.frames_in++;
    if (c->input.frame.type != FRAME_PRODUCE)
        return control_begin(c);
    c->input.state = INPUT_ADMIT;
    return STEP_AGAIN;
}

static enum step control_step(struct connection *c)
{
    enum step step = control_dispatch(c);
    if (step != STEP_AGAIN)
        return step;
    control_free(c);
    input_next_frame(c);
    return STEP_AGAIN;
}

static bool body_complete(const struct connection *c)
{
    return c->input.body_have == c->input.frame.body_bytes;
}

static enum step payload_step(struct connection *c)
{
    if (!body_complete(c))
        return STEP_BYTES;
    list_remove(&c->receive_link);
    c->input.state = INPUT_PUBLISH;
    return STEP_AGAIN;
}

static enum step input_step(struct connection *c)
{
    switch (c->input.state) {
    case INPUT_HEADER:
        return header_step(c);
    case INPUT_CONTROL:
        return body_complete(c) ? control_step(c) : STEP_BYTES;
    case INPUT_ADMIT:
        return ingest_admit(c);
    case INPUT_PAYLOAD:
        return payload_step(c);
    case INPUT_PUBLISH:
        return ingest_publish(c);
    case INPUT_DISCARD:
        return body_complete(c) ? ingest_discarded(c) : STEP_BYTES;
    }
    ASSERT(!"a state of input");
    return STEP_CLOSED;
}

static struct iovec body_vector(struct connection *c)
{
    struct input *in = &c->input;
    uint32_t rest = in->frame.body_bytes - in->body_have;
    if (in->state == INPUT_PAYLOAD)
        return (struct iovec){in->space.bytes + in->body_have, min_u64(rest, RECV_BYTES)};
    if (in->state == INPUT_DISCARD)
        return (struct iovec){c->broker->scratch, min_u64(rest, SCRATCH_BYTES)};
    return (struct iovec){in->control + in->body_have, rest};
}

/* Where the next bytes go: the rest of the body, then the next frame's header. */
static int input_vectors(struct connection *c, struct iovec iov[2])
{
    struct input *in = &c->input;
    int count = 0;
    if (in->state != INPUT_HEADER) {
        iov[count++] = body_vector(c);
        if (in->body_have + iov[0].iov_len < in->frame.body_bytes || in->state == INPUT_CONTROL)
            return count;
    }
    iov[count++] =
        (struct iovec){in->header + in->header_have, FRAME_HEADER_BYTES - in->header_have};
    return count;
}

static void input_take(struct connection *c, const struct iovec *iov, int count, size_t got)
{
    struct input *in = &c->input;
    if (in->state != INPUT_HEADER) {
        size_t body = min_u64(got, iov[0].iov_len);
        in->body_have += (uint32_t)body;
        got -= body;
    }
    ASSERT(got == 0 || in->state == INPUT_HEADER || count == 2);
    in->header_have += (uint32_t)got;
}

/* Bytes received; 0: none now, or the connection is at its end. */
static size_t input_receive(struct connection *c)
{
    struct iovec iov[2];
    int count = input_vectors(c, iov);
    ssize_t got = env_recv(c->socket, iov, count);
    if (got > 0) {
        input_take(c, iov, count, (size_t)got);
        patience_received(c, (size_t)got);
        c->broker->work++;
        return (size_t)got;
    }
    c->readable = false;
    if (got != ENV_WOULD_BLOCK)
        connection_break(c);
    return 0;
}

/* Answers count, too: small requests may have large ones. */
static bool share_is_used(const struct connection *c, uint64_t frames_before, size_t waiting_before)
{
    size_t waiting = output_waiting(c);
    return c->broker->counters.frames_in - frames_before >= FRAMES_PER_CYCLE ||
           waiting >= waiting_before + ANSWER_BYTES || output_is_full(c);
}

/* STEP_AGAIN: the share of this cycle is used up. */
enum step input_run(struct connection *c)
{
    size_t bytes = 0;
    size_t waiting = output_waiting(c);
    uint64_t frames = c->broker->counters.frames_in;
    for (;;) {
        enum step step = input_step(c);
        if (step == STEP_BYTES) {
            if (!c->readable)
                return STEP_BYTES;
            if (bytes >= RECV_BYTES)
                return STEP_AGAIN;
            bytes += input_receive(c);
        } else if (step != STEP_AGAIN) {
            return step;
        }
        if (c->broken)
            return STEP_CLOSED;
        if (share_is_used(c, frames, waiting))
            return STEP_AGAIN;
    }
}

void input_drain(struct connection *c)
{
    struct iovec iov = {.iov_base = c->broker->scratch, .iov_len = SCRATCH_BYTES};
    if (!c->readable)
        return;
    ssize_t got = env_recv(c->socket, &iov, 1);
    if (got > 0) {
        connection_ready(c);
        return;
    }
    c->readable = false;
    if (got != ENV_WOULD_BLOCK)
        c->broken = true;
}

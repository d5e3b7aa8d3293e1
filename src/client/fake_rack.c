#include "client/fake_connection.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "batch/batch.h"

void fake_rack_init(struct fake_rack *rack, uint32_t broker_count)
{
    memset(rack, 0, sizeof *rack);
    rack->broker_count = broker_count;
    rack->settings = TOPIC_SETTINGS_DEFAULT;
    rack->refuse_at = rack->close_at = rack->corrupt_at = rack->gap_at = FAKE_NEVER;
    rack->identity_at = rack->cut_at = rack->garbage_at = rack->end_at = FAKE_NEVER;
    rack->mute_at = FAKE_NEVER;
    rack->batches = calloc(FAKE_BATCHES_MAX, sizeof *rack->batches);
    rack->log = calloc(FAKE_BATCHES_MAX, sizeof *rack->log);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void out_add(struct fake_connection *c, const void *bytes, size_t count)
{
    if (c->out_count + count > c->out_capacity) {
        c->out_capacity = (c->out_count + count) * 2;
        c->out = realloc(c->out, c->out_capacity);
        ASSERT(c->out != NULL);
    }
    if (count > 0)
        memcpy(c->out + c->out_count, bytes, count);
    c->out_count += count;
}

static void frame_send(struct fake_connection *c, struct frame_header header, const void *body)
{
    unsigned char bytes[FRAME_HEADER_BYTES];

    frame_header_write(bytes, &header);
    out_add(c, bytes, sizeof bytes);
    out_add(c, body, header.body_bytes);
}

void fake_answer(struct fake_connection *c, uint8_t type, uint64_t correlation,
                 const struct wire_writer *w)
{
    ASSERT(!w->overflow);
    frame_send(c,
               (struct frame_header){
                   .type = type, .correlation = correlation, .body_bytes = (uint32_t)w->used},
               w->bytes);
}

void fake_answer_error(struct fake_connection *c, uint64_t correlation, int code, const char *text)
{
    unsigned char body[512];
    struct wire_writer w;

    wire_writer_init(&w, body, sizeof body);
    error_put(&w, code, text);
    fake_answer(c, FRAME_ERROR, correlation, &w);
}

static void ack_send(struct fake_connection *c, const struct ack_item *item)
{
    unsigned char body[ACK_ITEM_BYTES];
    struct wire_writer w;

    wire_writer_init(&w, body, sizeof body);
    ack_item_put(&w, item);
    fake_answer(c, FRAME_ACK, 0, &w);
}

static void acks_release(struct fake_rack *rack)
{
    while (rack->held_count > 0) {
        struct fake_ack *ack = &rack->held[--rack->held_count];
        ack_send(ack->connection, &ack->item);
    }
}

static void ack(struct fake_connection *c, uint64_t correlation, int status, uint64_t offset)
{
    struct fake_rack *rack = c->rack;
    const struct ack_item item = {
        .correlation = correlation, .base_offset = offset, .status = status};

    rack->in_flight--;
    /* A resend that is asked for late would stop everything behind it. */
    if (rack->reverse_acks == 0 || status != EMB_OK) {
        ack_send(c, &item);
        return;
    }
    rack->held[rack->held_count++] = (struct fake_ack){c, item};
    if (rack->held_count >= rack->reverse_acks)
        acks_release(rack);
}

/* ---- producing ------------------------------------------------------------------------------- */

static struct fake_batch *batch_find(struct fake_rack *rack, const struct frame_header *header)
{
    for (uint32_t i = rack->batch_count; i-- > 0;)
        if (rack->batches[i].session == header->session &&
            rack->batches[i].client_sequence == header->client_sequence &&
            header->session != UINT64_MAX)
            return &rack->batches[i];
    return NULL;
}

static struct fake_batch *batch_keep(struct fake_rack *rack, const struct frame_header *header,
                                     const void *body)
{
    ASSERT(rack->batch_count < FAKE_BATCHES_MAX);
    struct fake_batch *batch = &rack->batches[rack->batch_count++];

    *batch = (struct fake_batch){
        .byte_count = header->body_bytes,
        .message_count = header->message_count,
        .session = header->session,
        .client_sequence = header->client_sequence,
        .base_offset = UINT64_MAX,
    };
    batch->bytes = malloc(header->body_bytes);
    memcpy(batch->bytes, body, header->body_bytes);
    return batch;
}

static void batch_commit(struct fake_rack *rack, struct fake_batch *batch)
{
    struct fake_connection *c = batch->connection;

    batch->committed = true;
    batch->base_offset = rack->next_offset;
    rack->next_offset += batch->message_count;
    rack->log[rack->log_count++] = (uint32_t)(batch - rack->batches);
    if (batch->session != UINT64_MAX)
        rack->next_sequence[batch->session >> 16 & 63] += batch->message_count;
    batch_header_place(batch->bytes, batch->base_offset, 0);
    if (c != NULL)
        ack(c, batch->correlation, EMB_OK, batch->base_offset);
}

/* Commits what the sequence allows, as a sequencer of order 5 does. */
static void batches_order(struct fake_rack *rack)
{
    bool found = true;

    while (found) {
        found = false;
        for (uint32_t i = rack->batch_count > 64 ? rack->batch_count - 64 : 0;
             i < rack->batch_count; i++) {
            struct fake_batch *batch = &rack->batches[i];
            bool due = batch->session == UINT64_MAX ||
                       batch->client_sequence == rack->next_sequence[batch->session >> 16 & 63];
            if (batch->committed || batch->correlation == 0 || !due)
                continue;
            batch_commit(rack, batch);
            found = true;
        }
    }
}

static void batch_validate(const struct frame_header *header, const void *body)
{
    struct error err = {0};
    const struct batch_identity identity = {
        .session = header->session,
        .client_sequence = header->client_sequence,
        .message_count = header->message_count,
        .max_timestamp_ms = header->max_timestamp_ms,
    };

    if (batch_check(body, header->body_bytes, &identity, &err) != EMB_OK)
        fprintf(stderr, "%s\n", err.text);
    ASSERT(err.code == EMB_OK);
}

int fake_produce(struct fake_connection *c, const struct frame_header *header, const void *body)
{
    struct fake_rack *rack = c->rack;
    uint32_t number = rack->produced++;

    batch_validate(header, body);
    rack->produced_by[c->broker]++;
    if (number == rack->close_at)
        return -1;
    if (rack->silent)
        return 0;
    if (++rack->in_flight > rack->most_in_flight)
        rack->most_in_flight = rack->in_flight;
    if (number == rack->refuse_at) {
        ack(c, header->correlation, rack->refuse_status, UINT64_MAX);
        return 0;
    }
    struct fake_batch *batch = batch_find(rack, header);
    bool is_new = batch == NULL;
    if (is_new)
        batch = batch_keep(rack, header, body);
    else if (batch->byte_count != header->body_bytes ||
             memcmp(batch->bytes, body, header->body_bytes) != 0)
        rack->not_identical++;
    if (number < rack->backpressure_first) {
        ack(c, header->correlation, EMB_ERR_BACKPRESSURE, UINT64_MAX);
        return 0;
    }
    if (is_new && rack->retry_every != 0 && number % rack->retry_every == 0) {
        ack(c, header->correlation, EMB_ERR_RETRY, UINT64_MAX);
        return 0;
    }
    batch->connection = c;
    batch->correlation = header->correlation;
    batches_order(rack);
    return 0;
}

/* ---- delivering ------------------------------------------------------------------------------ */

static void deliver(struct fake_connection *c, uint32_t at)
{
    struct fake_rack *rack = c->rack;
    const struct fake_batch *batch = &rack->batches[rack->log[at]];
    struct frame_header header = {
        .type = FRAME_DELIVER,
        .body_bytes = batch->byte_count,
        .session = batch->session,
        .client_sequence = batch->client_sequence + (at == rack->identity_at ? 5 : 0),
        .base_offset = batch->base_offset,
        .position = at,
        .message_count = batch->message_count,
        .subscription = c->subscription,
    };

    c->next_offset = batch->base_offset + batch->message_count;
    if (at == rack->gap_at)
        return;
    if (at == rack->end_at) {
        c->subscribed = false;
        fake_answer_error(c, 0, rack->odd_code, rack->odd_text);
        return;
    }
    if (at == rack->garbage_at)
        out_add(c, "this is no frame, but it is as long as one: sixty-four bytes....", 64);
    frame_send(c, header, batch->bytes);
    if (at == rack->corrupt_at)
        c->out[c->out_count - 1] ^= 1;
    if (at == rack->cut_at && !rack->was_cut) {
        rack->was_cut = true;
        c->out_count -= batch->byte_count / 2;
        c->cut = true;
    }
    if (at == rack->mute_at) {
        rack->mute_at = FAKE_NEVER; /* the next broker that comes to it goes on */
        c->falls_mute = true;
    }
}

static void deliveries(struct fake_connection *c)
{
    struct fake_rack *rack = c->rack;

    for (uint32_t at = 0; c->subscribed && at < rack->log_count; at++) {
        const struct fake_batch *batch = &rack->batches[rack->log[at]];
        if (c->cut || c->falls_mute || c->out_count - c->out_at > ((size_t)4 << 20))
            return;
        if (batch->base_offset + batch->message_count > c->next_offset)
            deliver(c, at);
    }
}

/* ---- connections ----------------------------------------------------------------------------- */

static void connection_end(struct fake_connection *c, bool reset)
{
    if (c->socket == NULL)
        return;
    if (reset)
        env_reset(c->socket);
    else
        env_close(c->socket);
    c->socket = NULL;
}

static bool is_mute(const struct fake_connection *c)
{
    return c->rack->mute_brokers >> c->broker & 1;
}

static void in_receive(struct fake_connection *c)
{
    while (c->socket != NULL) {
        if (c->in_capacity - c->in_count < 65536) {
            c->in_capacity = c->in_capacity * 2 + 65536;
            c->in = realloc(c->in, c->in_capacity);
        }
        struct iovec iov = {c->in + c->in_count, c->in_capacity - c->in_count};
        ssize_t got = env_recv(c->socket, &iov, 1);
        if (got == ENV_WOULD_BLOCK)
            return;
        if (got <= 0)
            connection_end(c, false);
        else
            c->in_count += (size_t)got;
    }
}

static void in_handle(struct fake_connection *c)
{
    struct frame_header header;
    size_t at = 0;

    while (c->socket != NULL && c->in_count - at >= FRAME_HEADER_BYTES) {
        ASSERT(frame_header_read(c->in + at, &header, NULL) == EMB_OK);
        if (c->in_count - at < FRAME_HEADER_BYTES + header.body_bytes)
            break;
        if (fake_frame(c, &header, c->in + at + FRAME_HEADER_BYTES) != 0)
            connection_end(c, false);
        at += FRAME_HEADER_BYTES + header.body_bytes;
    }
    if (at > 0)
        memmove(c->in, c->in + at, c->in_count - at);
    c->in_count -= at;
}

static void out_flush(struct fake_connection *c)
{
    while (c->socket != NULL && c->out_at < c->out_count) {
        size_t count = c->out_count - c->out_at;
        if (c->rack->send_bytes != 0)
            count = min_u64(count, c->rack->send_bytes);
        struct iovec iov = {c->out + c->out_at, count};
        ssize_t sent = env_send(c->socket, &iov, 1, false);
        if (sent == ENV_WOULD_BLOCK)
            return;
        if (sent < 0)
            connection_end(c, false);
        else
            c->out_at += (size_t)sent;
        if (c->rack->send_bytes != 0)
            return; /* the next piece in the next turn */
    }
    if (c->cut)
        connection_end(c, false);
    if (c->falls_mute) {
        c->rack->mute_brokers |= 1u << c->broker;
        env_socket_watch(c->rack->listeners[c->broker], false, false, NULL, NULL);
    }
    c->out_at = c->out_count = 0;
}

static void connection_ready(void *arg, bool readable, bool writable)
{
    struct fake_connection *c = arg;
    (void)writable;
    if (is_mute(c))
        env_socket_watch(c->socket, false, false, NULL, NULL);
    if (!readable || is_mute(c))
        return;
    in_receive(c);
    in_handle(c);
}

static void listener_ready(void *arg, bool readable, bool writable)
{
    struct fake_listener *listener = arg;
    struct fake_rack *rack = listener->rack;
    struct env_socket *socket;

    (void)readable;
    (void)writable;
    while ((socket = env_accept(rack->listeners[listener->broker])) != NULL) {
        struct fake_connection *c = calloc(1, sizeof *c);
        c->rack = rack;
        c->socket = socket;
        c->broker = listener->broker;
        c->next = rack->connections;
        rack->connections = c;
        env_socket_watch(socket, true, false, connection_ready, c);
    }
}

/* ---- the thread ------------------------------------------------------------------------------ */

static bool is_stopped(struct fake_rack *rack)
{
    pthread_mutex_lock(&rack->mutex);
    bool stop = rack->stop;
    pthread_mutex_unlock(&rack->mutex);
    return stop;
}

static void *rack_main(void *arg)
{
    struct fake_rack *rack = arg;

    while (!is_stopped(rack)) {
        env_poller_wait(rack->poller, 200000);
        bool busy = false;
        for (struct fake_connection *c = rack->connections; c != NULL; c = c->next) {
            if (is_mute(c))
                continue;
            deliveries(c);
            out_flush(c);
            busy = busy || c->out_at < c->out_count;
        }
        /* Nothing more will come that could fill the group. */
        if (rack->held_count > 0 && !busy && rack->in_flight == 0)
            acks_release(rack);
    }
    return NULL;
}

static void listener_open(struct fake_rack *rack, uint32_t i)
{
    struct error err = {0};

    int code = env_listen(rack->poller, "127.0.0.1", 0, &rack->listeners[i], &err);
    ASSERT(code == EMB_OK);
    rack->ports[i] = env_local_port(rack->listeners[i]);
    rack->listener_args[i] = (struct fake_listener){rack, i};
    if (rack->dead_brokers & (1u << i)) {
        env_close(rack->listeners[i]);
        rack->listeners[i] = NULL;
        return;
    }
    if (!(rack->mute_brokers & (1u << i)))
        env_socket_watch(rack->listeners[i], true, false, listener_ready, &rack->listener_args[i]);
}

void fake_rack_start(struct fake_rack *rack)
{
    rack->env = env_create();
    ASSERT(env_poller_create(rack->env, &rack->poller) == EMB_OK);
    for (uint32_t i = 0; i < rack->broker_count; i++)
        listener_open(rack, i);
    snprintf(rack->address, sizeof rack->address, "tcp://127.0.0.1:%u", rack->ports[0]);
    pthread_mutex_init(&rack->mutex, NULL);
    rack->stop = false;
    ASSERT(pthread_create(&rack->thread, NULL, rack_main, rack) == 0);
}

void fake_rack_await_close(struct fake_rack *rack)
{
    uint32_t closed = 0;
    for (int i = 0; i < 10000 && closed == 0; i++) {
        pthread_mutex_lock(&rack->mutex);
        closed = rack->sessions_closed;
        pthread_mutex_unlock(&rack->mutex);
        if (closed == 0)
            poll(NULL, 0, 1);
    }
}

void fake_rack_stop(struct fake_rack *rack)
{
    struct fake_connection *c;

    pthread_mutex_lock(&rack->mutex);
    rack->stop = true;
    pthread_mutex_unlock(&rack->mutex);
    pthread_join(rack->thread, NULL);
    while ((c = rack->connections) != NULL) {
        rack->connections = c->next;
        connection_end(c, true);
        free(c->in);
        free(c->out);
        free(c);
    }
    for (uint32_t i = 0; i < rack->broker_count; i++)
        if (rack->listeners[i] != NULL)
            env_close(rack->listeners[i]);
    env_poller_destroy(rack->poller);
    env_destroy(rack->env);
    pthread_mutex_destroy(&rack->mutex);
}

void fake_rack_free(struct fake_rack *rack)
{
    for (uint32_t i = 0; i < rack->batch_count; i++)
        free(rack->batches[i].bytes);
    free(rack->batches);
    free(rack->log);
}

void fake_rack_append(struct fake_rack *rack, uint32_t count, int compression)
{
    static const struct record_header headers[] = {{"origin", "test", 4}, {"empty", NULL, 0}};
    size_t capacity = 128 * (size_t)count + 1024;
    size_t scratch_bytes = batch_scratch_bytes(capacity);
    unsigned char *buffer = malloc(capacity);
    unsigned char *scratch = malloc(scratch_bytes);
    struct batch_builder builder;
    struct frame_header header = {.session = 5u << 16};
    void *finished;

    batch_builder_init(&builder, buffer, capacity);
    for (uint32_t i = 0; i < count; i++) {
        char value[32];
        uint64_t offset = rack->next_offset + i;
        int bytes = snprintf(value, sizeof value, "m-%llu", (unsigned long long)offset);
        struct record record = {
            .timestamp_ms = 1000 + offset,
            .key = offset % 3 == 0 ? "key" : NULL,
            .key_bytes = offset % 3 == 0 ? 3 : 0,
            .value = value,
            .value_bytes = (uint32_t)bytes,
            .headers = headers,
            .header_count = offset % 5 == 0 ? 2 : 0,
        };
        ASSERT(batch_append(&builder, &record));
    }
    header.client_sequence = rack->next_offset;
    header.message_count = count;
    ssize_t bytes =
        batch_finish(&builder, header.session, header.client_sequence,
                     (enum batch_compression)compression, 0, scratch, scratch_bytes, &finished);
    ASSERT(bytes > 0);
    header.body_bytes = (uint32_t)bytes;
    struct fake_batch *batch = batch_keep(rack, &header, finished);
    batch_commit(rack, batch);
    free(buffer);
    free(scratch);
}

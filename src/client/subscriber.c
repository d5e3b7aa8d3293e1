#include "client/subscriber.h"

#include <stdlib.h>
#include <string.h>

#include "client/options.h"

/* ---- opening --------------------------------------------------------------------------------- */

static struct emb_subscriber *subscriber_create(struct emb_client *client)
{
    struct emb_subscriber *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    if (pthread_mutex_init(&s->mutex, NULL) != 0 || condition_init(&s->changed) != 0) {
        free(s);
        return NULL;
    }
    s->client = client;
    s->ready_end = &s->ready;
    s->member.do_work = subscriber_work;
    s->member.leave = subscriber_leave;
    s->member.state = s;
    s->member.mutex = &s->mutex;
    return s;
}

static void subscriber_free(struct emb_subscriber *s)
{
    free(s->headers);
    free(s->header_text);
    condition_end(&s->changed, s->client);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* Without a choice clients spread over the brokers, each by its own chance. */
static int broker_choose(struct emb_subscriber *s, struct error *err)
{
    struct emb_client *client = s->client;
    uint32_t chance;

    if (s->options.broker == EMB_BROKER_ANY) {
        env_random(client->env, &chance, sizeof chance);
        s->core_options.first = chance % client->rack.broker_count;
        return EMB_OK;
    }
    if (s->options.broker < 0 || (uint32_t)s->options.broker >= client->rack.broker_count)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "broker %d; the rack has brokers 0 to %u",
                         s->options.broker, client->rack.broker_count - 1);
    s->core_options.first = (uint32_t)s->options.broker;
    return EMB_OK;
}

static int options_take(struct emb_subscriber *s, const char *topic,
                        const struct emb_subscriber_options *options, struct error *err)
{
    struct emb_client *client = s->client;

    int code = client_check_waiting(client, err);
    if (code == EMB_OK)
        code = subscriber_options_read(options, &s->options, err);
    if (code == EMB_OK)
        code = topic_name_check(topic, err);
    if (code != EMB_OK)
        return code;
    s->core_options = (struct subscribe_options){
        .client_name = client->name,
        .addresses = client->brokers,
        .address_count = client->rack.broker_count,
        .start = (uint8_t)s->options.start,
        .value = s->options.start_value,
        .level = (uint8_t)s->options.level,
        .after_position = client_seen(client),
        .timeout_ns = client->timeout_ns,
        .max_buffered_bytes = s->options.max_buffered_bytes,
    };
    memcpy(s->core_options.topic, topic, strlen(topic) + 1);
    return broker_choose(s, err);
}

/* Waits until the broker has answered; the core has the deadline. */
static int up_wait(struct emb_subscriber *s, uint8_t start, uint64_t value, struct error *err)
{
    pthread_mutex_lock(&s->mutex);
    s->waiting = true;
    while (s->seek == SEEK_ASKED || (!s->answered && s->state != SUBSCRIBE_FAILED))
        condition_wait(&s->changed, &s->mutex, UINT64_MAX);
    s->waiting = false;
    s->seek = SEEK_NONE;
    int code = EMB_OK;
    if (!s->answered) /* else what failed came later, and is told after what was received */
        code = error_set(err, s->failed.code, "%s", s->failed.text);
    s->failure = (struct error){0};
    if (code != EMB_OK)
        error_set(&s->failure, s->failed.code, "%s", s->failed.text);
    s->position = s->first_offset;
    s->from_timestamp_ms = start == EMB_START_TIMESTAMP ? value : 0;
    pthread_mutex_unlock(&s->mutex);
    return code;
}

int emb_subscriber_open(struct emb_client *client, const char *topic,
                        const struct emb_subscriber_options *options,
                        struct emb_subscriber **subscriber, struct emb_error *err)
{
    struct emb_subscriber *s = subscriber_create(client);

    *subscriber = NULL;
    if (s == NULL)
        return error_set(error_of(err), EMB_ERR_NO_MEMORY, "no memory for a subscriber");
    int code = options_take(s, topic, options, error_of(err));
    if (code != EMB_OK) {
        subscriber_free(s);
        return code;
    }
    client_hold(client, 1);
    client_join(client, &s->member);
    code = up_wait(s, (uint8_t)s->options.start, s->options.start_value, error_of(err));
    if (code != EMB_OK) {
        emb_subscriber_close(s);
        return code;
    }
    *subscriber = s;
    return result_ok(err);
}

void emb_subscriber_close(struct emb_subscriber *subscriber)
{
    struct emb_subscriber *s = subscriber;

    if (s == NULL)
        return;
    batch_close(s);
    if (s->client->forked)
        subscriber_leave(s);
    else
        client_leave(s->client, &s->member);
    client_hold(s->client, -1);
    subscriber_free(s);
}

/* ---- taking batches -------------------------------------------------------------------------- */

/* Under the mutex: gives the batch in hand back. Returns whether the thread waits for it. */
static bool current_return(struct emb_subscriber *s)
{
    struct incoming *incoming = s->current;

    if (incoming == NULL)
        return false;
    s->current = NULL;
    incoming->next = s->returned;
    s->returned = incoming;
    return s->core_is_full;
}

static struct incoming *ready_take(struct emb_subscriber *s)
{
    struct incoming *incoming = s->ready;

    if (incoming == NULL)
        return NULL;
    s->ready = incoming->next;
    if (s->ready == NULL)
        s->ready_end = &s->ready;
    incoming->next = NULL;
    return incoming;
}

/* 1: `current` is the next batch, not checked yet; 0: none in time; negative: the core's error. */
static int batch_take(struct emb_subscriber *s, uint32_t timeout_ms)
{
    uint64_t deadline_ns = 0;

    batch_close(s);
    pthread_mutex_lock(&s->mutex);
    bool wake = current_return(s);
    if (wake)
        runner_wake(s->client->runner);
    s->waiting = true;
    while (s->ready == NULL && s->state != SUBSCRIBE_FAILED && !s->woken && timeout_ms > 0) {
        if (deadline_ns == 0)
            deadline_ns = deadline_after(s->client->env, timeout_ms);
        if (!condition_wait(&s->changed, &s->mutex, deadline_ns))
            break;
    }
    s->waiting = false;
    s->current = ready_take(s);
    if (s->current == NULL) {
        s->woken = false;
        if (s->state == SUBSCRIBE_FAILED)
            s->failure = s->failed;
    }
    pthread_mutex_unlock(&s->mutex);
    if (s->current != NULL)
        return 1;
    return s->failure.code;
}

/* Takes and opens the next batch; results as batch_take, and those of its check. */
static int batch_next(struct emb_subscriber *s, uint32_t timeout_ms)
{
    if (s->failure.code != EMB_OK)
        return s->failure.code;
    int got = batch_take(s, timeout_ms);
    if (got <= 0)
        return got;
    int code = batch_open(s, &s->failure);
    return code == EMB_OK ? 1 : code;
}

static int failure_tell(const struct emb_subscriber *s, struct error *err)
{
    return error_set(err, s->failure.code, "%s", s->failure.text);
}

static int reading_check(const struct emb_subscriber *s, uint32_t timeout_ms, struct error *err)
{
    return timeout_ms > 0 ? client_check_waiting(s->client, err) : client_check(s->client, err);
}

int emb_subscriber_next(struct emb_subscriber *subscriber, struct emb_message *message,
                        uint32_t timeout_ms, struct emb_error *err)
{
    struct emb_subscriber *s = subscriber;

    if (reading_check(s, timeout_ms, error_of(err)) != EMB_OK)
        return EMB_ERR_NOT_SUPPORTED;
    for (;;) {
        int got = 0;
        if (s->amid_batch)
            got = batch_message(s, message, &s->failure);
        if (got > 0) {
            s->position = message->offset + 1;
            return got;
        }
        s->amid_batch = false;
        if (got == 0)
            got = batch_next(s, timeout_ms);
        if (got < 0)
            return failure_tell(s, error_of(err));
        if (got == 0)
            return result_ok(err);
        s->amid_batch = true;
    }
}

static void batch_describe(const struct emb_subscriber *s, uint32_t skip, struct emb_batch *batch)
{
    const struct frame_header *frame = &s->current->header;

    *batch = (struct emb_batch){
        .base_offset = frame->base_offset,
        .message_count = frame->message_count,
        .skip = skip,
        .bytes = s->current->bytes,
        .byte_count = frame->body_bytes,
        .session = frame->session,
        .client_sequence = frame->client_sequence,
        .position = frame->position,
    };
}

/* Whether messages of the batch in hand are still to be read by emb_subscriber_next. */
static bool batch_is_unread(const struct emb_subscriber *s)
{
    return s->amid_batch && s->reader.next < s->current->header.message_count;
}

int emb_subscriber_next_batch(struct emb_subscriber *subscriber, struct emb_batch *batch,
                              uint32_t timeout_ms, struct emb_error *err)
{
    struct emb_subscriber *s = subscriber;
    uint32_t skip = 0;

    if (reading_check(s, timeout_ms, error_of(err)) != EMB_OK)
        return EMB_ERR_NOT_SUPPORTED;
    if (batch_is_unread(s))
        return error_set(error_of(err), EMB_ERR_BUSY,
                         "the batch at offset %llu is read up to offset %llu; read it to its end "
                         "with emb_subscriber_next",
                         (unsigned long long)s->current->header.base_offset,
                         (unsigned long long)s->position);
    for (;;) {
        int got = batch_next(s, timeout_ms);
        if (got > 0 && (s->position > s->current->header.base_offset || s->from_timestamp_ms != 0))
            got = batch_skip(s, &skip, &s->failure) == EMB_OK ? 1 : -1;
        if (got < 0)
            return failure_tell(s, error_of(err));
        if (got == 0)
            return result_ok(err);
        if (skip < s->current->header.message_count)
            break;
    }
    batch_describe(s, skip, batch);
    /* Where emb_subscriber_batch_message begins; then the batch counts as handed out. */
    s->walk_from = batch->base_offset + skip;
    s->position = batch->base_offset + batch->message_count;
    result_ok(err);
    return 1;
}

int emb_subscriber_batch_message(struct emb_subscriber *subscriber, struct emb_message *message,
                                 struct emb_error *err)
{
    struct emb_subscriber *s = subscriber;
    uint64_t position = s->position;

    if (client_check(s->client, error_of(err)) != EMB_OK)
        return EMB_ERR_NOT_SUPPORTED;
    if (s->failure.code != EMB_OK)
        return failure_tell(s, error_of(err));
    if (!s->reader_is_open || s->amid_batch)
        return result_ok(err);
    s->position = s->walk_from;
    int got = batch_message(s, message, &s->failure);
    s->position = position;
    return got < 0 ? failure_tell(s, error_of(err)) : got;
}

/* ---- elsewhere ------------------------------------------------------------------------------- */

int emb_subscriber_seek(struct emb_subscriber *subscriber, int start, uint64_t value,
                        struct emb_error *err)
{
    struct emb_subscriber *s = subscriber;

    if (client_check_waiting(s->client, error_of(err)) != EMB_OK)
        return EMB_ERR_NOT_SUPPORTED;
    if (start < EMB_START_EARLIEST || start > EMB_START_TIMESTAMP)
        return error_set(error_of(err), EMB_ERR_INVALID_ARGUMENT, "start is %d; 0 to 3", start);
    batch_close(s);
    pthread_mutex_lock(&s->mutex);
    current_return(s);
    s->seek = SEEK_ASKED;
    s->seek_start = (uint8_t)start;
    s->seek_value = value;
    pthread_mutex_unlock(&s->mutex);
    runner_wake(s->client->runner);
    int code = up_wait(s, (uint8_t)start, value, error_of(err));
    return code == EMB_OK ? result_ok(err) : code;
}

uint64_t emb_subscriber_position(struct emb_subscriber *subscriber)
{
    return subscriber->position;
}

void emb_subscriber_wake(struct emb_subscriber *subscriber)
{
    struct emb_subscriber *s = subscriber;

    if (s->client->forked) /* nobody waits here */
        return;
    pthread_mutex_lock(&s->mutex);
    s->woken = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

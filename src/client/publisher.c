#include "client/publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/options.h"

#define CLOSE_ANSWER_MS 1000u

/* ---- opening --------------------------------------------------------------------------------- */

static struct emb_publisher *publisher_create(struct emb_client *client)
{
    struct emb_publisher *p = aligned_alloc(CACHE_LINE, sizeof *p);

    if (p == NULL)
        return NULL;
    memset(p, 0, sizeof *p);
    flag_init(&p->news, 0);
    flag_init(&p->wall_ms, 0);
    if (pthread_mutex_init(&p->mutex, NULL) != 0 || condition_init(&p->changed) != 0) {
        free(p);
        return NULL;
    }
    p->client = client;
    p->sealed_end = &p->sealed;
    p->member.do_work = publisher_work;
    p->member.leave = publisher_leave;
    p->member.state = p;
    p->member.mutex = &p->mutex;
    return p;
}

static void publisher_free(struct emb_publisher *p)
{
    packets_free(p);
    condition_end(&p->changed, p->client);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

static int topic_take(struct emb_publisher *p, const char *topic, struct error *err)
{
    struct emb_client *client = p->client;
    struct topic_info info;

    int code = client_topic(client, topic, &info, err);
    if (code != EMB_OK)
        return code;
    memcpy(p->topic, info.name, sizeof p->topic);
    p->settings = info.settings;
    p->has_sessions = topic_has_sessions(&info.settings);
    p->max_message_bytes = client->rack.max_message_bytes;
    /* In a session a broker may ask for a batch again, and the session may only be closed once all
       of it has its place: so the wire is never silent there. */
    if (p->has_sessions && p->options.acks == EMB_ACKS_NONE)
        p->options.acks = EMB_ACKS_ORDERED;
    p->core_options = (struct publish_options){
        .client_name = client->name,
        .addresses = client->brokers,
        .address_count = client->rack.broker_count,
        .topic = info.id,
        .sessions = p->has_sessions,
        .after_position = client_seen(client),
        .acks = (uint8_t)p->options.acks,
        .window = p->options.max_in_flight,
        .deadline_ns = env_now_ns(client->env) + client->timeout_ns,
    };
    return EMB_OK;
}

static int up_wait(struct emb_publisher *p, struct error *err)
{
    pthread_mutex_lock(&p->mutex);
    while (p->state < PUBLISH_UP) /* the core has the deadline */
        condition_wait(&p->changed, &p->mutex, UINT64_MAX);
    if (p->state == PUBLISH_ENDED)
        error_set(err, p->ended.code, "topic %s: %s", p->topic, p->ended.text);
    int code = p->state == PUBLISH_ENDED ? p->ended.code : EMB_OK;
    p->target_bytes = (uint32_t)min_u64(p->options.batch_bytes_min, p->batch_bytes_max);
    p->options.batch_bytes_min = p->target_bytes;
    pthread_mutex_unlock(&p->mutex);
    return code;
}

/* In a forked child: what is under way is the parent's. */
static void publisher_abandon(struct emb_publisher *p)
{
    p->core.flying = NULL;
    publisher_leave(p);
    while (p->oldest != NULL) {
        struct packet *packet = p->oldest;
        packet_list_remove(p, packet);
        packet_put(p, packet);
    }
    client_hold(p->client, -1);
    publisher_free(p);
}

/* Takes the publisher out of the thread and frees it; nothing may be without outcome. */
static void publisher_end(struct emb_publisher *p)
{
    client_leave(p->client, &p->member);
    client_hold(p->client, -1);
    publisher_free(p);
}

int emb_publisher_open(struct emb_client *client, const char *topic,
                       const struct emb_publisher_options *options,
                       struct emb_publisher **publisher, struct emb_error *err)
{
    struct emb_publisher *p = publisher_create(client);

    *publisher = NULL;
    if (p == NULL)
        return error_set(error_of(err), EMB_ERR_NO_MEMORY, "no memory for a publisher");
    int code = publisher_options_read(options, &p->options, error_of(err));
    if (code == EMB_OK)
        code = topic_take(p, topic, error_of(err));
    if (code != EMB_OK) {
        publisher_free(p);
        return code;
    }
    client_hold(client, 1);
    client_join(client, &p->member);
    code = up_wait(p, error_of(err));
    if (code != EMB_OK) {
        emb_publisher_close(p, 0, NULL);
        return code;
    }
    *publisher = p;
    return result_ok(err);
}

/* ---- publishing ------------------------------------------------------------------------------ */

static void record_of(const struct emb_message *message, struct record *record)
{
    *record = (struct record){
        .timestamp_ms = message->timestamp_ms,
        .key = message->key,
        .key_bytes = message->key_bytes,
        .value = message->value,
        .value_bytes = message->value_bytes,
        .headers = (const struct record_header *)message->headers,
        .header_count = message->header_count,
    };
}

_Static_assert(sizeof(struct emb_header) == sizeof(struct record_header), "headers are passed on");
_Static_assert(offsetof(struct emb_header, value) == offsetof(struct record_header, value), "");
_Static_assert(offsetof(struct emb_header, value_bytes) ==
                   offsetof(struct record_header, value_bytes),
               "");

static uint64_t record_bytes(const struct record *record)
{
    uint64_t bytes = (uint64_t)record->key_bytes + record->value_bytes;
    for (uint32_t i = 0; i < record->header_count; i++)
        bytes += strlen(record->headers[i].key) + record->headers[i].value_bytes;
    return bytes;
}

/* A message as it is offered to the open packet. */
struct offer {
    struct record record;
    uint64_t cookie;
    uint64_t bytes; /* key, value and headers */
    uint64_t bound; /* what a batch with it alone may need */
    bool is_now;    /* its timestamp is the time of appending */
};

static int header_check(const struct emb_header *header, uint32_t index, struct error *err)
{
    if (header->key == NULL)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "header %u: its key is NULL", index);
    if (header->value == NULL && header->value_bytes > 0)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "header %u (%s): value is NULL, and value_bytes is %u", index, header->key,
                         header->value_bytes);
    return EMB_OK;
}

/* What is no message, before anything of it is read. */
static int message_check(const struct emb_message *m, struct error *err)
{
    if (m->key == NULL && m->key_bytes > 0)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "key is NULL, and key_bytes is %u",
                         m->key_bytes);
    if (m->value == NULL && m->value_bytes > 0)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "value is NULL, and value_bytes is %u",
                         m->value_bytes);
    if (m->headers == NULL && m->header_count > 0)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "headers is NULL, and header_count is %u",
                         m->header_count);
    if (m->timestamp_ms > BATCH_TIMESTAMP_MAX)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "timestamp_ms is %llu; at most %llu",
                         (unsigned long long)m->timestamp_ms,
                         (unsigned long long)BATCH_TIMESTAMP_MAX);
    for (uint32_t i = 0; i < m->header_count; i++) {
        int code = header_check(&m->headers[i], i, err);
        if (code != EMB_OK)
            return code;
    }
    return EMB_OK;
}

static int size_check(const struct emb_publisher *p, const struct offer *offer, struct error *err)
{
    if (p->max_message_bytes != 0 && offer->bytes > p->max_message_bytes)
        return error_set(err, EMB_ERR_BATCH_TOO_LARGE,
                         "a message of %llu bytes; the brokers take at most %u",
                         (unsigned long long)offer->bytes, p->max_message_bytes);
    if (offer->bound > p->batch_bytes_max)
        return error_set(
            err, EMB_ERR_BATCH_TOO_LARGE,
            "a message of %llu bytes may need a batch of %llu, and batch_bytes_max is %u",
            (unsigned long long)offer->bytes, (unsigned long long)offer->bound, p->batch_bytes_max);
    return EMB_OK;
}

static int ended_refuse(const struct emb_publisher *p, struct error *err)
{
    if (p->closing || p->state != PUBLISH_ENDED)
        return error_set(err, EMB_ERR_CLOSED, "the publisher is being closed");
    return error_set(err, p->has_sessions ? EMB_ERR_SESSION_FENCED : EMB_ERR_CLOSED,
                     "the publisher has ended, close it and open another: %s", p->ended.text);
}

static bool open_begin(struct emb_publisher *p, uint64_t cookie)
{
    struct packet *packet = packet_take(p);

    if (packet == NULL)
        return false;
    if (p->options.on_message != NULL && !packet_cookie_reserve(packet)) {
        packet_put(p, packet);
        return false;
    }
    packet->first_number = p->next_number;
    packet->first_cookie = cookie;
    packet->opened_ns = env_now_ns(p->client->env);
    packet->opened_wall_ms = env_wall_ms(p->client->env);
    packet_list_add(p, packet);
    p->open = packet;
    return true;
}

/* What a call of emb_publish leaves to be done without the mutex. */
struct publish_rest {
    struct packet *sealed[2];
    int count;
    bool wake;
};

static bool open_seal(struct emb_publisher *p, struct publish_rest *rest)
{
    if (p->sealed_count >= SEALED_MAX)
        return false;
    /* Batches queue up behind the window: larger ones cost less each. */
    if (p->sealed_count >= SEALED_MAX / 2)
        p->target_bytes = (uint32_t)min_u64(p->target_bytes * 2ull, p->batch_bytes_max);
    rest->sealed[rest->count++] = packet_seal(p);
    return true;
}

/* The thread's clock is behind by its sleep, at most 5 ms, but not behind the open packet. */
static uint64_t now_ms(struct emb_publisher *p)
{
    return max_u64(flag_load_relaxed(&p->wall_ms), p->open->opened_wall_ms);
}

/* Appends under the mutex; false when there is no room now. */
static bool message_append(struct emb_publisher *p, struct offer *offer, struct publish_rest *rest)
{
    const uint64_t cookie = offer->cookie;

    if (p->stats.buffered_bytes > 0 &&
        p->stats.buffered_bytes + offer->bound > p->options.max_buffered_bytes)
        return false;
    if (p->open == NULL && !open_begin(p, cookie))
        return false;
    uint64_t before = packet_bytes(p->open);
    if (offer->is_now)
        offer->record.timestamp_ms = now_ms(p);
    if (p->options.on_message != NULL && !packet_cookie_reserve(p->open))
        return false;
    if (!batch_append(&p->open->builder, &offer->record)) {
        if (!open_seal(p, rest))
            return false;
        return message_append(p, offer, rest);
    }
    struct packet *packet = p->open;
    if (packet->builder.message_count == 1) {
        flag_store_release(&p->news, 1);
        rest->wake = rest->wake || p->window_is_open;
    }
    if (p->options.on_message != NULL)
        packet->cookies[packet->builder.message_count - 1] = cookie;
    p->next_number++;
    p->stats.accepted_messages++;
    p->stats.accepted_bytes += offer->bytes;
    p->stats.buffered_bytes += packet_bytes(packet) - before;
    if (packet->builder.used >= p->target_bytes)
        open_seal(p, rest);
    return true;
}

/* Finishes what was sealed and wakes the thread where it waits for that. Takes the mutex. */
static void rest_do(struct emb_publisher *p, const struct publish_rest *rest)
{
    bool wake = rest->wake;

    for (int i = 0; i < rest->count; i++) {
        packet_finish(p, rest->sealed[i]);
        pthread_mutex_lock(&p->mutex);
        rest->sealed[i]->finished = true;
        flag_store_release(&p->news, 1);
        wake = wake || p->window_is_open;
        pthread_mutex_unlock(&p->mutex);
    }
    if (wake)
        runner_wake(p->client->runner);
}

/* Waits under the mutex for something to change; false when the deadline has passed. */
static bool room_wait(struct emb_publisher *p, uint64_t deadline_ns)
{
    uint64_t from_ns = env_now_ns(p->client->env);

    if (from_ns >= deadline_ns)
        return false;
    p->sleepers++;
    bool in_time = condition_wait(&p->changed, &p->mutex, deadline_ns);
    p->sleepers--;
    p->stats.blocked_ns += env_now_ns(p->client->env) - from_ns;
    return in_time;
}

static int full_refuse(const struct emb_publisher *p, uint32_t timeout_ms, struct error *err)
{
    return error_set(err, EMB_ERR_TIMEOUT,
                     "no room within %u ms: %llu of %llu bytes (max_buffered_bytes) are without "
                     "outcome",
                     timeout_ms, (unsigned long long)p->stats.buffered_bytes,
                     (unsigned long long)p->options.max_buffered_bytes);
}

/* A packet that was sealed while its message found no room must be finished before waiting. True:
   that was so, and meanwhile there may be room. */
static bool rest_do_unlocked(struct emb_publisher *p, struct publish_rest *rest)
{
    if (rest->count == 0)
        return false;
    pthread_mutex_unlock(&p->mutex);
    rest_do(p, rest);
    *rest = (struct publish_rest){0};
    pthread_mutex_lock(&p->mutex);
    return true;
}

/* There was no room for a message. EMB_OK: now there may be. *deadline_ns is 0 at first. */
static int room_await(struct emb_publisher *p, uint32_t timeout_ms, uint64_t *deadline_ns,
                      struct error *err)
{
    if (p->oldest == NULL) /* nothing is under way whose outcome would make room */
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for a batch of up to %u bytes",
                         p->batch_bytes_max);
    if (runner_is_current(p->client->runner))
        timeout_ms = 0; /* in a callback: only its own thread makes room */
    if (*deadline_ns == 0)
        *deadline_ns = deadline_after(p->client->env, timeout_ms);
    return room_wait(p, *deadline_ns) ? EMB_OK : full_refuse(p, timeout_ms, err);
}

static void waiter_add(struct emb_publisher *p, struct waiter *waiter)
{
    waiter->number = p->next_number - 1;
    waiter->next = p->waiters;
    p->waiters = waiter;
    p->flush_number = p->next_number;
    flag_store_release(&p->news, 1);
}

static int offer_make(struct emb_publisher *p, const struct emb_message *message,
                      struct offer *offer, struct error *err)
{
    int code = client_check(p->client, err);

    if (code == EMB_OK)
        code = message_check(message, err);
    if (code != EMB_OK)
        return code;
    record_of(message, &offer->record);
    offer->is_now = offer->record.timestamp_ms == 0;
    offer->bytes = record_bytes(&offer->record);
    offer->bound = BATCH_HEADER_BYTES + batch_record_bound(&offer->record);
    return size_check(p, offer, err);
}

/* waiter may be NULL. */
static int message_publish(struct emb_publisher *p, const struct emb_message *message,
                           uint64_t cookie, uint32_t timeout_ms, struct waiter *waiter,
                           struct error *err)
{
    struct publish_rest rest = {0};
    struct offer offer = {.cookie = cookie};
    uint64_t deadline_ns = 0; /* the clock is read only when there is no room */

    int code = offer_make(p, message, &offer, err);
    if (code != EMB_OK)
        return code;
    pthread_mutex_lock(&p->mutex);
    do {
        if (p->state != PUBLISH_UP || p->closing) {
            code = ended_refuse(p, err);
            break;
        }
        if (message_append(p, &offer, &rest))
            break;
        if (!rest_do_unlocked(p, &rest))
            code = room_await(p, timeout_ms, &deadline_ns, err);
    } while (code == EMB_OK);
    if (code == EMB_OK && waiter != NULL) {
        waiter_add(p, waiter);
        rest.wake = true;
    }
    pthread_mutex_unlock(&p->mutex);
    rest_do(p, &rest);
    if (code == EMB_OK && err != NULL)
        err->code = EMB_OK;
    return code;
}

int emb_publish(struct emb_publisher *publisher, const struct emb_message *message, uint64_t cookie,
                uint32_t timeout_ms, struct emb_error *err)
{
    return message_publish(publisher, message, cookie, timeout_ms, NULL, error_of(err));
}

static void waiter_remove(struct emb_publisher *p, struct waiter *waiter)
{
    struct waiter **at = &p->waiters;
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
}

int emb_publish_wait(struct emb_publisher *publisher, const struct emb_message *message,
                     uint32_t timeout_ms, uint64_t *offset, struct emb_error *err)
{
    struct emb_publisher *p = publisher;
    struct waiter waiter = {0};
    uint64_t deadline_ns = deadline_after(p->client->env, timeout_ms);

    if (client_check_waiting(p->client, error_of(err)) != EMB_OK)
        return EMB_ERR_NOT_SUPPORTED;
    int code = message_publish(p, message, 0, timeout_ms, &waiter, error_of(err));
    if (code != EMB_OK)
        return code;
    pthread_mutex_lock(&p->mutex);
    p->sleepers++;
    while (!waiter.done && condition_wait(&p->changed, &p->mutex, deadline_ns))
        ;
    p->sleepers--;
    waiter_remove(p, &waiter);
    pthread_mutex_unlock(&p->mutex);
    if (!waiter.done)
        return error_set(error_of(err), EMB_ERR_TIMEOUT,
                         "no acknowledgement within %u ms; the message may still be published",
                         timeout_ms);
    if (waiter.error.code != EMB_OK)
        return error_set(error_of(err), waiter.error.code, "%s", waiter.error.text);
    if (offset != NULL)
        *offset = waiter.offset;
    return result_ok(err);
}

/* ---- flushing and closing -------------------------------------------------------------------- */

static bool is_settled(const struct emb_publisher *p, uint64_t number)
{
    return p->oldest == NULL || p->oldest->first_number >= number;
}

int emb_publisher_flush(struct emb_publisher *publisher, uint32_t timeout_ms, struct emb_error *err)
{
    struct emb_publisher *p = publisher;
    uint64_t deadline_ns = deadline_after(p->client->env, timeout_ms);
    struct error failure;

    if (client_check_waiting(p->client, error_of(err)) != EMB_OK)
        return EMB_ERR_NOT_SUPPORTED;
    pthread_mutex_lock(&p->mutex);
    uint64_t number = p->next_number;
    p->flush_number = number;
    flag_store_release(&p->news, 1);
    runner_wake(p->client->runner);
    p->sleepers++;
    while (!is_settled(p, number) && condition_wait(&p->changed, &p->mutex, deadline_ns))
        ;
    p->sleepers--;
    bool settled = is_settled(p, number);
    uint64_t left = p->stats.accepted_messages - p->stats.acked_messages - p->stats.failed_messages;
    failure = p->first_failure;
    if (settled)
        p->first_failure = (struct error){0};
    pthread_mutex_unlock(&p->mutex);
    if (!settled)
        return error_set(error_of(err), EMB_ERR_TIMEOUT,
                         "%llu messages are without outcome after %u ms", (unsigned long long)left,
                         timeout_ms);
    if (failure.code != EMB_OK)
        return error_set(error_of(err), failure.code, "%s", failure.text);
    return result_ok(err);
}

static void closed_wait(struct emb_publisher *p)
{
    uint64_t deadline_ns = deadline_after(p->client->env, CLOSE_ANSWER_MS);

    pthread_mutex_lock(&p->mutex);
    p->closing = true;
    flag_store_release(&p->news, 1);
    runner_wake(p->client->runner);
    p->sleepers++;
    while (p->state < PUBLISH_CLOSED && condition_wait(&p->changed, &p->mutex, deadline_ns))
        ;
    while (p->oldest != NULL)
        condition_wait(&p->changed, &p->mutex, UINT64_MAX);
    p->sleepers--;
    pthread_mutex_unlock(&p->mutex);
}

int emb_publisher_close(struct emb_publisher *publisher, uint32_t timeout_ms, struct emb_error *err)
{
    if (publisher == NULL)
        return result_ok(err);
    if (publisher->client->forked) {
        publisher_abandon(publisher);
        return result_ok(err);
    }
    if (client_check_waiting(publisher->client, error_of(err)) != EMB_OK)
        return EMB_ERR_NOT_SUPPORTED;
    int code = emb_publisher_flush(publisher, timeout_ms, err);
    closed_wait(publisher);
    publisher_end(publisher);
    return code;
}

void emb_publisher_stats(struct emb_publisher *publisher, struct emb_publisher_stats *stats)
{
    struct emb_publisher *p = publisher;

    pthread_mutex_lock(&p->mutex);
    *stats = p->stats;
    stats->batch_bytes_target = p->target_bytes;
    stats->latency_p50_ns = histogram_at(&p->latency, 500);
    stats->latency_p90_ns = histogram_at(&p->latency, 900);
    stats->latency_p99_ns = histogram_at(&p->latency, 990);
    stats->latency_p999_ns = histogram_at(&p->latency, 999);
    stats->latency_max_ns = p->latency.max;
    pthread_mutex_unlock(&p->mutex);
}

/*
 * The publisher's part in the client's thread. A turn: let the core work (acknowledgements,
 * resends, sockets), report outcomes, then hand the core what is sealed, or due, while its window
 * has room. Callbacks are called without the mutex; what they report is counted afterwards, so that
 * a flush returns after them.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "client/publisher.h"

/* ---- outcomes -------------------------------------------------------------------------------- */

static void outcome_keep(void *arg, const struct publish_outcome *outcome)
{
    struct emb_publisher *p = arg;
    struct packet *packet = CONTAINER_OF(outcome->outgoing, struct packet, outgoing);

    packet->outcome = *outcome;
    if (outcome->text != NULL) {
        snprintf(packet->text, sizeof packet->text, "%s", outcome->text);
        packet->outcome.text = packet->text;
    }
    packet->next = NULL;
    *p->done_end = packet;
    p->done_end = &packet->next;
}

static void callbacks_call(struct emb_publisher *p, struct packet *packet, uint64_t latency_ns)
{
    const struct publish_outcome *outcome = &packet->outcome;
    const struct emb_result result = {
        .first_number = packet->first_number,
        .first_cookie = packet->first_cookie,
        .count = packet->builder.message_count,
        .code = outcome->code,
        .base_offset = outcome->base_offset,
        .latency_ns = latency_ns,
        .text = outcome->text,
        .duplicate = outcome->duplicate,
    };

    if (p->options.on_result != NULL)
        p->options.on_result(p->options.arg, &result);
    for (uint32_t i = 0; p->options.on_message != NULL && i < result.count; i++) {
        uint64_t offset = result.base_offset;
        if (offset != UINT64_MAX)
            offset += i;
        p->options.on_message(p->options.arg, packet->cookies[i], offset, result.code);
    }
}

static void waiters_tell(struct emb_publisher *p, const struct packet *packet)
{
    const struct publish_outcome *outcome = &packet->outcome;

    for (struct waiter *waiter = p->waiters; waiter != NULL; waiter = waiter->next) {
        uint64_t index = waiter->number - packet->first_number;
        if (waiter->number < packet->first_number || index >= packet->builder.message_count)
            continue;
        waiter->done = true;
        waiter->offset = outcome->base_offset;
        if (waiter->offset != UINT64_MAX)
            waiter->offset += index;
        if (outcome->code != EMB_OK)
            error_set(&waiter->error, outcome->code, "%s", outcome->text);
    }
}

static void outcome_count(struct emb_publisher *p, const struct packet *packet, uint64_t latency_ns)
{
    const struct publish_outcome *outcome = &packet->outcome;
    uint32_t count = packet->builder.message_count;

    p->stats.batches++;
    p->stats.duplicates += outcome->duplicate;
    p->stats.buffered_bytes -= packet_bytes(packet);
    if (outcome->code == EMB_OK) {
        p->stats.acked_messages += count;
        p->stats.acked_bytes += packet->outgoing.byte_count;
        histogram_add(&p->latency, latency_ns, count);
        return;
    }
    p->stats.failed_messages += count;
    if (p->first_failure.code == EMB_OK)
        error_set(&p->first_failure, outcome->code, "%s", outcome->text);
}

static int outcomes_report(struct emb_publisher *p)
{
    struct packet *packet;
    int work = 0;

    if (p->done == NULL)
        return 0;
    uint64_t now_ns = env_now_ns(p->client->env);
    while ((packet = p->done) != NULL) {
        uint64_t latency_ns = now_ns > packet->opened_ns ? now_ns - packet->opened_ns : 0;
        p->done = packet->next;
        if (p->done == NULL)
            p->done_end = &p->done;
        callbacks_call(p, packet, latency_ns);
        pthread_mutex_lock(&p->mutex);
        outcome_count(p, packet, latency_ns);
        waiters_tell(p, packet);
        packet_list_remove(p, packet);
        packet_put(p, packet);
        if (p->sleepers > 0)
            pthread_cond_broadcast(&p->changed);
        pthread_mutex_unlock(&p->mutex);
        work++;
    }
    return work;
}

/* ---- handing over ---------------------------------------------------------------------------- */

/* The next sealed packet that is finished, removed from the queue. Under the mutex. */
static struct packet *sealed_take(struct emb_publisher *p)
{
    struct packet *packet = p->sealed;

    if (packet == NULL || !packet->finished)
        return NULL;
    p->sealed = packet->next;
    if (p->sealed == NULL)
        p->sealed_end = &p->sealed;
    p->sealed_count--;
    return packet;
}

/* Whether the open packet goes out although it is not full. Under the mutex. */
static bool open_is_due(const struct emb_publisher *p, uint64_t now_ns)
{
    const struct packet *packet = p->open;

    if (packet == NULL || packet->builder.message_count == 0 || p->sealed != NULL)
        return false;
    bool idle = p->options.acks != EMB_ACKS_NONE && p->core.flying_count == 0;
    return idle || packet->first_number < p->flush_number ||
           packet->builder.used >= p->options.batch_bytes_min ||
           now_ns - packet->opened_ns >= p->options.linger_us * 1000ull ||
           now_ns < packet->opened_ns;
}

/* A packet for the core, finished, or NULL. Under the mutex, which is released in between. */
static struct packet *packet_next(struct emb_publisher *p, uint64_t now_ns)
{
    struct packet *packet = sealed_take(p);

    if (packet != NULL || !open_is_due(p, now_ns))
        return packet;
    packet = packet_seal(p);
    /* Nothing queued behind the window: smaller batches do. */
    p->target_bytes = (uint32_t)max_u64(p->target_bytes / 2, p->options.batch_bytes_min);
    pthread_mutex_unlock(&p->mutex);
    packet_finish(p, packet);
    pthread_mutex_lock(&p->mutex);
    packet->finished = true;
    /* No other packet was before it: open_is_due saw an empty queue. */
    return sealed_take(p);
}

/* Under the mutex: what the thread must know until it looks again. */
static void look_end(struct emb_publisher *p)
{
    bool waiting = p->open != NULL && p->open->builder.message_count > 0;

    p->due_ns = waiting ? p->open->opened_ns + p->options.linger_us * 1000ull : UINT64_MAX;
    p->was_closing = p->closing;
    p->was_empty = p->oldest == NULL;
    p->window_is_open = publish_room(&p->core) > 0;
    if (!p->window_is_open)
        p->due_ns = UINT64_MAX; /* an outcome comes first */
    p->stats.in_flight_batches = p->core.flying_count;
    p->stats.retries = p->core.retries;
    p->stats.backpressure = p->core.backpressure;
}

static int packets_submit(struct emb_publisher *p, uint64_t now_ns)
{
    int work = 0;

    pthread_mutex_lock(&p->mutex);
    flag_store_release(&p->news, 0);
    while (publish_room(&p->core) > 0) {
        struct packet *packet = packet_next(p, now_ns);
        if (packet == NULL)
            break;
        publish_submit(&p->core, &packet->outgoing, packet->client_sequence,
                       packet->builder.message_count, packet->builder.max_timestamp_ms);
        work++;
    }
    look_end(p);
    if (work > 0 && p->sleepers > 0)
        pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    return work;
}

/* After the end: what was accepted and not sent fails with the same reason. */
static int packets_fail(struct emb_publisher *p)
{
    struct packet *packet;
    int work = 0;

    pthread_mutex_lock(&p->mutex);
    flag_store_release(&p->news, 0);
    if (p->open != NULL && p->open->builder.message_count > 0) {
        packet = packet_seal(p);
        packet->outgoing.byte_count = 0;
        packet->finished = true;
    }
    while ((packet = sealed_take(p)) != NULL) {
        const struct publish_outcome outcome = {
            .outgoing = &packet->outgoing,
            .code = p->core.error.code,
            .base_offset = UINT64_MAX,
            .text = p->core.error.text,
        };
        outcome_keep(p, &outcome);
        work++;
    }
    look_end(p);
    pthread_mutex_unlock(&p->mutex);
    return work;
}

/* ---- states ---------------------------------------------------------------------------------- */

static void core_begin(struct emb_publisher *p, uint64_t now_ns)
{
    p->core_options.poller = runner_poller(p->client->runner);
    p->done_end = &p->done;
    publish_start(&p->core, &p->core_options, now_ns, outcome_keep, p);
    p->core_started = true;
}

/* Before outcomes are reported: who learns of a failure must not find the publisher still up. */
static void state_publish(struct emb_publisher *p)
{
    if (p->state == p->core.state) /* written by this thread only */
        return;
    pthread_mutex_lock(&p->mutex);
    if (p->core.state == PUBLISH_UP) {
        p->session = p->core.session;
        p->stripes = publish_stripes(&p->core);
        p->batch_bytes_max =
            (uint32_t)min_u64(p->options.batch_bytes_max, publish_max_batch_bytes(&p->core));
    }
    if (p->core.state == PUBLISH_ENDED)
        p->ended = p->core.error;
    p->state = p->core.state;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
}

static void brokers_count(struct emb_publisher *p)
{
    if (p->stats.brokers == p->core.lanes_up)
        return;
    pthread_mutex_lock(&p->mutex);
    p->stats.brokers = p->core.lanes_up;
    pthread_mutex_unlock(&p->mutex);
}

/* The caller of emb_publisher_close waits for CLOSED or ENDED with nothing left to report. */
static void closing_advance(struct emb_publisher *p)
{
    if (!p->was_closing || p->core.state >= PUBLISH_CLOSING)
        return;
    if (p->was_empty && p->core.state == PUBLISH_UP)
        publish_close(&p->core);
    else
        publish_end(&p->core, EMB_ERR_CLOSED, "the publisher was closed");
    p->look = true;
}

static void clock_publish(struct emb_publisher *p)
{
    uint64_t wall_ms = env_wall_ms(p->client->env);
    if (wall_ms != flag_load_relaxed(&p->wall_ms))
        flag_store_release(&p->wall_ms, wall_ms);
}

/* Looks at the queue when there can be something new; the mutex is the callers' otherwise. */
static int queue_work(struct emb_publisher *p, uint64_t now_ns)
{
    if (!p->look && flag_load_relaxed(&p->news) == 0 && now_ns < p->due_ns)
        return 0;
    p->look = false;
    if (p->core.state == PUBLISH_ENDED)
        return packets_fail(p);
    return packets_submit(p, now_ns);
}

int publisher_work(void *publisher, uint64_t now_ns)
{
    struct emb_publisher *p = publisher;
    int work = 0;

    if (!p->core_started)
        core_begin(p, now_ns);
    clock_publish(p);
    closing_advance(p);
    work += publish_work(&p->core, now_ns);
    state_publish(p);
    work += outcomes_report(p);
    p->look = p->look || work > 0;
    int submitted = queue_work(p, now_ns);
    if (submitted > 0 && p->core.state == PUBLISH_UP) {
        submitted += publish_work(&p->core, now_ns); /* it goes out in the same turn */
        state_publish(p);
        p->look = true; /* with acks 0 there is room again */
    }
    submitted += outcomes_report(p);
    brokers_count(p);
    return work + submitted;
}

void publisher_leave(void *publisher)
{
    struct emb_publisher *p = publisher;
    if (p->core_started)
        publish_stop(&p->core);
}

/*
 * How it works: each client is a fiber that lets its cores work, then waits in its poller. All of
 * them lie in one structure, which the seed's end frees as it stands, without asking the env for
 * anything: its sockets may be gone by then.
 */
#include "sim/client/clients.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "batch/batch.h"
#include "client/tcp/request.h"
#include "sim/client/internal.h"
#include "sim/env/sim_env.h"

#define IDLE_FIRST_NS   (20 * US)
#define IDLE_LONGEST_NS (2 * MS)
#define TOPIC_LOOK_NS   (200 * US)

struct clients clients;

/* ---- chance ---------------------------------------------------------------------------------- */

uint64_t draw_below(uint64_t bound)
{
    return choose_below(CHOICE_WORKLOAD, bound);
}

uint64_t draw_between(uint64_t low, uint64_t high)
{
    return choose_between(CHOICE_WORKLOAD, low, high);
}

uint64_t draw_skewed(uint64_t low, uint64_t high)
{
    return choose_skewed(CHOICE_WORKLOAD, low, high);
}

bool draw_one_in(uint64_t count)
{
    return choose_one_in(CHOICE_WORKLOAD, count);
}

bool draw_percent(unsigned percent)
{
    return choose_percent(CHOICE_WORKLOAD, percent);
}

/* ---- one client ------------------------------------------------------------------------------ */

/* Time passes in any case: a socket that stays ready must not stop the world. */
void client_wait(struct client *client, int work)
{
    if (work > 0)
        client->idle_ns = IDLE_FIRST_NS;
    env_poller_wait(client->poller, work > 0 ? 0 : client->idle_ns);
    if (work == 0)
        client->idle_ns = min_u64(client->idle_ns * 2, IDLE_LONGEST_NS);
    fiber_sleep(draw_between(500, 5 * US));
}

void client_pause(uint64_t ns)
{
    uint64_t until_ns = world_now_ns() + ns;

    while (world_now_ns() < until_ns)
        fiber_sleep(until_ns - world_now_ns());
}

uint64_t client_now_ns(const struct client *client)
{
    return env_now_ns(client->env);
}

bool client_topic_wait(const struct topic_plan *topic)
{
    while (topic->state == TOPIC_PLANNED && !clients.stopping)
        client_pause(TOPIC_LOOK_NS);
    return topic->state == TOPIC_THERE && !clients.stopping;
}

bool publisher_begin(struct publisher *p)
{
    client_pause(draw_skewed(1, 20 * MS));
    bool is_there = client_topic_wait(p->topic);
    if (p->topic->state == TOPIC_REFUSED && !clients.stopping)
        p->gave_up = "its topic could not be created";
    return is_there;
}

bool publisher_goes_on(struct publisher *p)
{
    uint64_t asks_ns = p->asking_since_ns != 0 ? world_now_ns() - p->asking_since_ns : 0;

    if (p->failures >= CLIENT_FAILURES_MAX && asks_ns >= CLIENT_PATIENCE_NS)
        p->gave_up = "no broker let it in to its topic";
    return p->made < p->batches && !clients.stopping && p->gave_up == NULL;
}

void publisher_rest(const struct publisher *p)
{
    client_pause(draw_skewed(100 * US, 2 * MS << min_u64(p->failures, 5)));
}

bool client_broker_is_gone(uint32_t address)
{
    for (uint32_t i = 0; i < world_host_count(); i++) {
        const struct host *host = world_host(i);
        if (strcmp(host->name, clients.rack.addresses[address].host) == 0)
            return !host->alive;
    }
    return false;
}

void connection_drop_memory(struct connection *connection)
{
    connection->socket = NULL;
    connection_stop(connection, true);
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* When the world has no more hosts, clients share what they have. */
static struct host *host_for_client(uint32_t number)
{
    static struct host *own[HOSTS_MAX];
    static uint32_t own_count;
    char name[16];

    if (number == 0)
        own_count = 0;
    if (own_count > 0 && world_host_count() >= HOSTS_MAX)
        return own[number % own_count];
    snprintf(name, sizeof name, "client%u", own_count);
    own[own_count] = world_add_host(name, false);
    return own[own_count++];
}

static void client_begin(struct client *client, const char *kind, uint32_t number,
                         struct host *host)
{
    snprintf(client->name, sizeof client->name, "%s %u", kind, number);
    client->host = host;
    if (host->env == NULL)
        host->env = env_of_host(host);
    client->env = host->env;
    client->idle_ns = IDLE_FIRST_NS;
    int code = env_poller_create(client->env, &client->poller);
    ASSERT(code == EMB_OK);
}

static void memory_take(void)
{
    clients.batch = malloc(clients.batch_bytes_most);
    clients.value = malloc(clients.batch_bytes_most);
    clients.scratch_bytes = batch_scratch_bytes(clients.batch_bytes_most);
    clients.scratch = malloc(clients.scratch_bytes);
    ASSERT(clients.batch != NULL && clients.value != NULL && clients.scratch != NULL);
}

void clients_know(const struct rack_addresses *rack)
{
    clients.rack = *rack;
}

void clients_start(const struct workload_shape *shape, const struct rack_addresses *rack)
{
    uint32_t number = 0;

    ASSERT(rack->count > 0 && shape->topics == clients.topic_count);
    clients.rack = *rack;
    memory_take();
    for (uint32_t i = 0; i < clients.publisher_count; i++) {
        struct publisher *p = &clients.publishers[i];
        client_begin(&p->client, "publisher", i, host_for_client(number++));
        fiber_start(p->client.name, p->client.host, p->unruly ? unruly_main : steady_main, p);
    }
    for (uint32_t i = 0; i < clients.reader_count; i++) {
        struct reader *r = &clients.readers[i];
        client_begin(&r->client, "reader", i, host_for_client(number++));
        fiber_start(r->client.name, r->client.host, reader_main, r);
    }
    client_begin(&clients.creator, "creator", 0, clients.publishers[0].client.host);
    fiber_start(clients.creator.name, clients.creator.host, topics_main, NULL);
}

/* ---- how it stands --------------------------------------------------------------------------- */

static bool publisher_is_done(const struct publisher *p)
{
    return p->done || !p->client.host->alive;
}

bool clients_done(void)
{
    for (uint32_t i = 0; i < clients.publisher_count; i++)
        if (!publisher_is_done(&clients.publishers[i]))
            return false;
    return true;
}

void clients_stop(void)
{
    clients.stopping = true;
}

uint64_t clients_batches(void)
{
    return clients.batches;
}

static double ms_since(uint64_t ns)
{
    return (double)(world_now_ns() - ns) / (double)MS;
}

static bool act_say(const struct publisher *p, char *text, size_t text_bytes)
{
    uint32_t address = 0;
    const struct act *act = p->unruly ? unruly_waiting(p, &address) : steady_waiting(p, &address);

    if (act == NULL)
        return false;
    snprintf(text, text_bytes,
             "%s publisher %u has waited %.1f ms for the answer to batch (act) %u: topic %u, "
             "session %#" PRIx64 ", sequence %" PRId64 ", acks %u, sent to broker %s:%u",
             p->unruly ? "unruly" : "steady", p->number, ms_since(act->invoked_ns), act->number,
             act->topic, act->session, (int64_t)act->client_sequence, act->acks,
             clients.rack.addresses[address].host, clients.rack.addresses[address].port);
    return true;
}

static bool publisher_say(const struct publisher *p, char *text, size_t text_bytes)
{
    if (p->gave_up != NULL) {
        snprintf(text, text_bytes, "publisher %u (topic %s, acks %u) gave up: %s", p->number,
                 p->topic->name, p->acks, p->gave_up);
        return true;
    }
    if (publisher_is_done(p))
        return false;
    if (act_say(p, text, text_bytes))
        return true;
    if (p->topic->state == TOPIC_PLANNED)
        snprintf(text, text_bytes, "publisher %u waits for topic %s to be created", p->number,
                 p->topic->name);
    else if (p->asking_since_ns != 0)
        snprintf(text, text_bytes, "publisher %u has waited %.1f ms to be let in to topic %u",
                 p->number, ms_since(p->asking_since_ns), p->topic->id);
    else
        return false;
    return true;
}

const char *clients_stuck(void)
{
    static char text[400];

    for (uint32_t i = 0; i < clients.publisher_count; i++)
        if (publisher_say(&clients.publishers[i], text, sizeof text))
            return text;
    return NULL;
}

void clients_end(void)
{
    topics_free();
    for (uint32_t i = 0; i < clients.publisher_count; i++) {
        steady_free(&clients.publishers[i]);
        unruly_free(&clients.publishers[i]);
    }
    for (uint32_t i = 0; i < clients.reader_count; i++)
        reader_free(&clients.readers[i]);
    free(clients.batch);
    free(clients.value);
    free(clients.scratch);
    memset(&clients, 0, sizeof clients);
}

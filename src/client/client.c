#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "client/fork.h"
#include "client/options.h"

/* ---- waiting --------------------------------------------------------------------------------- */

int condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0)
        return -1;
    int result = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (result == 0)
        result = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return result;
}

/* Destroying waits for those who wait; a forked child has their mark, but not their threads. */
void condition_end(pthread_cond_t *condition, const struct emb_client *client)
{
    if (!client->forked)
        pthread_cond_destroy(condition);
}

uint64_t deadline_after(struct env *env, uint32_t timeout_ms)
{
    return timeout_ms == EMB_FOREVER ? UINT64_MAX : env_now_ns(env) + timeout_ms * 1000000ull;
}

bool condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                             .tv_nsec = (long)(deadline_ns % 1000000000u)};

    if (deadline_ns == UINT64_MAX)
        return pthread_cond_wait(condition, mutex) == 0;
    return pthread_cond_timedwait(condition, mutex, &until) == 0;
}

/* ---- members --------------------------------------------------------------------------------- */

void client_join(struct emb_client *client, struct member *member)
{
    pthread_mutex_lock(&client->mutex);
    member->leaving = false;
    member->gone = false;
    member->next = client->joining;
    client->joining = member;
    pthread_mutex_unlock(&client->mutex);
    runner_wake(client->runner);
}

void client_leave(struct emb_client *client, struct member *member)
{
    pthread_mutex_lock(&client->mutex);
    member->leaving = true;
    client->leaving++;
    runner_wake(client->runner);
    while (!member->gone)
        condition_wait(&client->changed, &client->mutex, UINT64_MAX);
    pthread_mutex_unlock(&client->mutex);
}

/* Under the mutex. Moves those that leave to a list, which is returned. */
static struct member *members_update(struct emb_client *client)
{
    struct member **at = &client->members;
    struct member *leaving = NULL;

    while (client->joining != NULL) {
        struct member *member = client->joining;
        client->joining = member->next;
        member->next = client->members;
        client->members = member;
    }
    while (client->leaving > 0 && *at != NULL) {
        struct member *member = *at;
        if (!member->leaving) {
            at = &member->next;
            continue;
        }
        *at = member->next;
        member->next = leaving;
        leaving = member;
        client->leaving--;
    }
    return leaving;
}

static void members_leave(struct emb_client *client, struct member *leaving)
{
    while (leaving != NULL) {
        struct member *member = leaving;
        leaving = member->next;
        if (member->leave != NULL)
            member->leave(member->state);
        pthread_mutex_lock(&client->mutex);
        member->gone = true; /* from here on it may be freed */
        pthread_cond_broadcast(&client->changed);
        pthread_mutex_unlock(&client->mutex);
    }
}

/* Returns those that leave; waits while the process forks. */
static struct member *turn_begin(struct emb_client *client)
{
    struct member *leaving = NULL;

    pthread_mutex_lock(&client->mutex);
    while (client->halted)
        condition_wait(&client->changed, &client->mutex, UINT64_MAX);
    client->in_turn = true;
    if (client->joining != NULL || client->leaving > 0)
        leaving = members_update(client);
    pthread_mutex_unlock(&client->mutex);
    return leaving;
}

static void turn_end(struct emb_client *client)
{
    pthread_mutex_lock(&client->mutex);
    client->in_turn = false;
    if (client->halted)
        pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->mutex);
}

/* The one agent of the client's runner. */
static int client_work(void *state, uint64_t now_ns)
{
    struct emb_client *client = state;
    struct member *leaving = turn_begin(client);
    int work = leaving != NULL;

    members_leave(client, leaving);
    for (struct member *member = client->members; member != NULL; member = member->next)
        work += member->do_work(member->state, now_ns);
    turn_end(client);
    return work;
}

int client_check(const struct emb_client *client, struct error *err)
{
    if (!client->forked)
        return EMB_OK;
    return error_set(err, EMB_ERR_NOT_SUPPORTED,
                     "the client belongs to process %ld; a child made by fork() may close it and "
                     "open one of its own",
                     client->process);
}

void client_saw(struct emb_client *client, uint64_t position)
{
    pthread_mutex_lock(&client->mutex);
    if (position != UINT64_MAX && position > client->seen_position)
        client->seen_position = position;
    pthread_mutex_unlock(&client->mutex);
}

uint64_t client_seen(struct emb_client *client)
{
    pthread_mutex_lock(&client->mutex);
    uint64_t position = client->seen_position;
    pthread_mutex_unlock(&client->mutex);
    return position;
}

void client_hold(struct emb_client *client, int change)
{
    pthread_mutex_lock(&client->mutex);
    client->open_count += (uint32_t)change;
    pthread_mutex_unlock(&client->mutex);
}

int client_check_waiting(const struct emb_client *client, struct error *err)
{
    int code = client_check(client, err);

    if (code != EMB_OK || !runner_is_current(client->runner))
        return code;
    return error_set(err, EMB_ERR_NOT_SUPPORTED,
                     "a call that waits, inside a callback; emb_publish with timeout_ms 0 and "
                     "emb_publisher_stats are possible there");
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* A request and the shell that waits for it. */
struct question {
    struct emb_client *client;
    struct request *request;
    struct member member;
    bool answered; /* under the client's mutex */
};

static int question_work(void *state, uint64_t now_ns)
{
    struct question *question = state;
    struct emb_client *client = question->client;
    bool was_done = question->request->done;

    if (question->request->connection.state == CONNECTION_NONE && !was_done)
        request_start(question->request, now_ns);
    int work = request_work(question->request, now_ns);
    if (question->request->done && !was_done) {
        connection_stop(&question->request->connection, false);
        pthread_mutex_lock(&client->mutex);
        question->answered = true;
        pthread_cond_broadcast(&client->changed);
        pthread_mutex_unlock(&client->mutex);
    }
    return work;
}

/* Who asked is not in the forked child. */
static void question_abandon(void *state)
{
    struct question *question = state;
    request_end(question->request);
}

static int ask(struct emb_client *client, struct request *r, struct error *err)
{
    struct question question = {.client = client, .request = r};

    r->poller = runner_poller(client->runner);
    r->client_name = client->name;
    r->deadline_ns = env_now_ns(client->env) + client->timeout_ns;
    question.member.do_work = question_work;
    question.member.state = &question;
    question.member.abandon = question_abandon;
    client_join(client, &question.member);
    pthread_mutex_lock(&client->mutex);
    while (!question.answered)
        condition_wait(&client->changed, &client->mutex, UINT64_MAX);
    if (r->addresses == client->asked && r->rack.broker_count > 0)
        client->asked_first = r->at;
    pthread_mutex_unlock(&client->mutex);
    client_leave(client, &question.member);
    if (r->error.code != EMB_OK)
        return error_set(err, r->error.code, "%s", r->error.text);
    return EMB_OK;
}

static uint32_t client_first(struct emb_client *client)
{
    pthread_mutex_lock(&client->mutex);
    uint32_t first = client->asked_first;
    pthread_mutex_unlock(&client->mutex);
    return first;
}

int client_ask(struct emb_client *client, int broker, struct request *r, uint8_t type,
               uint8_t expected, const struct wire_writer *body, struct error *err)
{
    memset(r, 0, sizeof *r);
    if (client_check_waiting(client, err) != EMB_OK)
        return EMB_ERR_NOT_SUPPORTED;
    r->addresses = client->asked;
    r->address_count = client->asked_count;
    r->first = client_first(client);
    r->type = type;
    r->expected = expected;
    if (body != NULL) {
        r->body = body->bytes;
        r->body_bytes = body->used;
    }
    if (broker != EMB_BROKER_ANY) {
        if (broker < 0 || (uint32_t)broker >= client->rack.broker_count)
            return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                             "broker %d; the rack has brokers 0 to %u", broker,
                             client->rack.broker_count - 1);
        r->addresses = client->brokers;
        r->address_count = client->rack.broker_count;
        r->first = (uint32_t)broker;
        r->only_first = true;
    }
    return ask(client, r, err);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int options_take(struct emb_client *client, const struct emb_client_options *given,
                        struct error *err)
{
    struct emb_client_options options;
    const char *brokers;

    int code = client_options_read(given, &options, err);
    if (code != EMB_OK)
        return code;
    brokers = options.brokers;
    if (brokers == NULL || brokers[0] == '\0')
        brokers = getenv("EMBARCADERO_BROKERS");
    if (brokers == NULL || brokers[0] == '\0')
        brokers = ADDRESSES_DEFAULT;
    snprintf(client->name, sizeof client->name, "%s",
             options.name != NULL ? options.name : "libembarcadero");
    client->timeout_ns = options.timeout_ms * 1000000ull;
    return addresses_read(brokers, client->asked, &client->asked_count, err);
}

static int runner_begin(struct emb_client *client, struct error *err)
{
    const struct agent agent = {.name = "client", .do_work = client_work, .state = client};

    int code = runner_create(client->env, "emb-client", &client->runner, err);
    if (code != EMB_OK)
        return code;
    runner_add(client->runner, &agent);
    code = runner_start(client->runner, err);
    if (code != EMB_OK) {
        runner_destroy(client->runner);
        client->runner = NULL;
    }
    return code;
}

static int greet(struct emb_client *client, struct error *err)
{
    struct request *r = calloc(1, sizeof *r);

    if (r == NULL)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for a request");
    int code = client_ask(client, EMB_BROKER_ANY, r, FRAME_HELLO, FRAME_HELLO_OK, NULL, err);
    client->rack = r->rack;
    request_end(r);
    free(r);
    if (code == EMB_ERR_CLOSED || code == EMB_ERR_TIMEOUT)
        code = err != NULL ? (err->code = EMB_ERR_UNAVAILABLE) : EMB_ERR_UNAVAILABLE;
    if (code != EMB_OK)
        return code;
    if (client->rack.broker_count == 0 || client->rack.broker_count > COUNT_OF(client->brokers))
        return error_set(err, EMB_ERR_PROTOCOL, "a broker lists %u brokers; 1 to 32 are possible",
                         client->rack.broker_count);
    for (uint32_t i = 0; i < client->rack.broker_count; i++) {
        memcpy(client->brokers[i].host, client->rack.brokers[i].host,
               sizeof client->brokers[i].host);
        client->brokers[i].port = client->rack.brokers[i].port;
    }
    return EMB_OK;
}

static void runner_end(struct emb_client *client)
{
    if (client->runner == NULL)
        return;
    if (client->forked)
        runner_abandon(client->runner);
    else
        runner_stop(client->runner);
    runner_join(client->runner);
    runner_destroy(client->runner);
}

static void client_free(struct emb_client *client)
{
    fork_forget(client);
    runner_end(client);
    if (client->env != NULL)
        env_destroy(client->env);
    condition_end(&client->changed, client);
    pthread_mutex_destroy(&client->mutex);
    free(client);
}

static int client_begin(struct emb_client *client, const struct emb_client_options *options,
                        struct error *err)
{
    int code = options_take(client, options, err);
    if (code != EMB_OK)
        return code;
    client->env = env_create();
    if (client->env == NULL)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for a client");
    code = runner_begin(client, err);
    if (code == EMB_OK)
        fork_watch(client);
    return code == EMB_OK ? greet(client, err) : code;
}

int emb_client_open(const struct emb_client_options *options, struct emb_client **client,
                    struct emb_error *err)
{
    struct emb_client *opened = calloc(1, sizeof *opened);

    *client = NULL;
    if (opened == NULL)
        return error_set(error_of(err), EMB_ERR_NO_MEMORY, "no memory for a client");
    opened->process = (long)getpid();
    if (pthread_mutex_init(&opened->mutex, NULL) != 0 || condition_init(&opened->changed) != 0) {
        free(opened);
        return error_set(error_of(err), EMB_ERR_NO_MEMORY, "no memory for a mutex");
    }
    int code = client_begin(opened, options, error_of(err));
    if (code != EMB_OK) {
        client_free(opened);
        return code;
    }
    *client = opened;
    return result_ok(err);
}

int emb_client_close(struct emb_client *client, struct emb_error *err)
{
    if (client == NULL)
        return result_ok(err);
    pthread_mutex_lock(&client->mutex);
    uint32_t count = client->open_count;
    pthread_mutex_unlock(&client->mutex);
    if (count > 0)
        return error_set(error_of(err), EMB_ERR_BUSY,
                         "%u publishers and subscribers of the client are still open", count);
    client_free(client);
    return result_ok(err);
}

_Static_assert(EMB_HOST_BYTES == HOST_NAME_MAX_BYTES + 1, "copied whole");

void emb_client_rack(struct emb_client *client, struct emb_rack *rack)
{
    memset(rack, 0, sizeof *rack);
    rack->life = client->rack.life;
    rack->max_batch_bytes = client->rack.max_batch_bytes;
    rack->max_message_bytes = client->rack.max_message_bytes;
    rack->broker_count = client->rack.broker_count;
    emb_client_brokers(client, rack->brokers, COUNT_OF(rack->brokers));
}

size_t emb_client_brokers(struct emb_client *client, struct emb_broker *brokers, size_t capacity)
{
    for (uint32_t i = 0; i < client->rack.broker_count && i < capacity; i++) {
        brokers[i].node = client->rack.brokers[i].node;
        brokers[i].port = client->rack.brokers[i].port;
        memcpy(brokers[i].host, client->rack.brokers[i].host, sizeof brokers[i].host);
    }
    return client->rack.broker_count;
}

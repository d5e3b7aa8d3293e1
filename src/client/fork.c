/*
 * How it works. Before a fork every client is halted between two turns of its thread; then, when
 * all of them are, its mutex and those of its members are taken: no other thread is amid a change,
 * so the child's copy is whole. In the parent all goes on. In the child, where the thread is
 * missing and the connections are the parent's, the client is marked: calls refuse, and closing
 * frees its memory and closes the child's descriptors without a word to a broker.
 *
 * The end of a turn is waited for without any client's mutex, since a callback in that turn may be
 * publishing with any client. Nor does the taking of mutexes end in a circle: no thread but the
 * forking one has two of them, and none waits for anything but a condition, which gives it back.
 *
 * Who forks inside a callback is the client's thread itself and amid a turn. The parent is safe
 * then too; the child may only exec or exit, as the header says.
 */
#include "client/fork.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct emb_client *clients;

static void members_each(struct emb_client *client, void (*fn)(struct member *member))
{
    for (struct member *member = client->members; member != NULL; member = member->next)
        fn(member);
    for (struct member *member = client->joining; member != NULL; member = member->next)
        fn(member);
}

static void member_lock(struct member *member)
{
    if (member->mutex != NULL)
        pthread_mutex_lock(member->mutex);
}

static void member_unlock(struct member *member)
{
    if (member->mutex != NULL)
        pthread_mutex_unlock(member->mutex);
}

static void member_abandon(struct member *member)
{
    if (member->abandon != NULL)
        member->abandon(member->state);
}

static void client_halt(struct emb_client *client)
{
    pthread_mutex_lock(&client->mutex);
    client->halted = true;
    while (client->in_turn && !runner_is_current(client->runner))
        condition_wait(&client->changed, &client->mutex, UINT64_MAX);
    pthread_mutex_unlock(&client->mutex);
}

/* Once all are halted. Members that joined in between are seen; none goes until a turn. */
static void client_lock(struct emb_client *client)
{
    pthread_mutex_lock(&client->mutex);
    members_each(client, member_lock);
}

static void client_go_on(struct emb_client *client)
{
    members_each(client, member_unlock);
    client->halted = false;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->mutex);
}

static void client_abandon(struct emb_client *client)
{
    client->forked = true;
    env_abandon(client->env);
    members_each(client, member_unlock);
    members_each(client, member_abandon);
    pthread_mutex_unlock(&client->mutex);
}

/* Those that an earlier fork left to this process have no thread and are nobody's to halt. */
static void clients_each(void (*fn)(struct emb_client *client))
{
    for (struct emb_client *client = clients; client != NULL; client = client->next)
        if (!client->forked)
            fn(client);
}

static void before_fork(void)
{
    pthread_mutex_lock(&mutex);
    clients_each(client_halt);
    clients_each(client_lock);
}

static void after_in_parent(void)
{
    clients_each(client_go_on);
    pthread_mutex_unlock(&mutex);
}

static void after_in_child(void)
{
    clients_each(client_abandon);
    pthread_mutex_unlock(&mutex);
}

/* Without memory for the handlers there is no protection; there is nothing else to be done. */
static void handlers_install(void)
{
    pthread_atfork(before_fork, after_in_parent, after_in_child);
}

void fork_watch(struct emb_client *client)
{
    pthread_once(&once, handlers_install);
    pthread_mutex_lock(&mutex);
    client->next = clients;
    clients = client;
    pthread_mutex_unlock(&mutex);
}

void fork_forget(struct emb_client *client)
{
    pthread_mutex_lock(&mutex);
    for (struct emb_client **at = &clients; *at != NULL; at = &(*at)->next) {
        if (*at != client)
            continue;
        *at = client->next;
        break;
    }
    pthread_mutex_unlock(&mutex);
}

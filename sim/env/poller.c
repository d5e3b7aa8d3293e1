/*
 * What a fiber waits on. As with epoll, what is ready is gathered first and what a handler closes
 * is freed when the round is over. Those called go to the end of the list, so that none starves.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/bits.h"
#include "sim/env/internal.h"

#define ROUND_EVENTS       64
#define LONGEST_TIMEOUT_NS (24ULL * 3600 * 1000 * MS)

int env_poller_create(struct env *env, struct env_poller **poller)
{
    struct env_poller *created = room_of(sizeof(*created));
    created->env = env;
    TAILQ_INIT(&created->sockets);
    TAILQ_INIT(&created->closed);
    TAILQ_INIT(&created->ios);
    TAILQ_INSERT_TAIL(&env->pollers, created, link);
    *poller = created;
    return EMB_OK;
}

static void sockets_free(struct socket_list *sockets)
{
    struct env_socket *socket;
    while ((socket = TAILQ_FIRST(sockets))) {
        TAILQ_REMOVE(sockets, socket, link);
        free(socket);
    }
}

void poller_free(struct env_poller *poller)
{
    sockets_free(&poller->sockets);
    sockets_free(&poller->closed);
    while (!TAILQ_EMPTY(&poller->ios))
        io_free(TAILQ_FIRST(&poller->ios));
    TAILQ_REMOVE(&poller->env->pollers, poller, link);
    free(poller);
}

void env_poller_destroy(struct env_poller *poller)
{
    if (!poller)
        return;
    ASSERT(!poller->dispatching && !poller->sleeper);
    ASSERT(TAILQ_EMPTY(&poller->sockets) && TAILQ_EMPTY(&poller->ios));
    poller_free(poller);
}

void poller_notify(struct env_poller *poller)
{
    struct fiber *sleeper = poller->sleeper;
    poller->sleeper = NULL; /* a second wake would end its next sleep, wherever that is */
    if (sleeper && !poller->env->gone)
        fiber_wake(sleeper);
}

void env_poller_wake(struct env_poller *poller)
{
    poller->woken = true;
    poller_notify(poller);
}

static bool poller_has_completions(const struct env_poller *poller)
{
    for (const struct env_io *io = TAILQ_FIRST(&poller->ios); io; io = TAILQ_NEXT(io, link))
        if (!TAILQ_EMPTY(&io->done))
            return true;
    return false;
}

static int gather(struct env_poller *poller, struct env_socket **ready)
{
    int count = 0;
    for (struct env_socket *at = TAILQ_FIRST(&poller->sockets); at && count < ROUND_EVENTS;
         at = TAILQ_NEXT(at, link)) {
        socket_ready(at, &at->ready_readable, &at->ready_writable);
        if ((at->readable && at->ready_readable) || (at->writable && at->ready_writable))
            ready[count++] = at;
    }
    return count;
}

static void poller_sleep(struct env_poller *poller, uint64_t timeout_ns)
{
    poller->sleeper = fiber_current();
    fiber_sleep(min_u64(timeout_ns, LONGEST_TIMEOUT_NS));
    poller->sleeper = NULL;
}

static int socket_dispatch(struct env_poller *poller, struct env_socket *socket)
{
    bool readable = socket->readable && socket->ready_readable;
    bool writable = socket->writable && socket->ready_writable;
    if (!socket->open || (!readable && !writable))
        return 0;
    TAILQ_REMOVE(&poller->sockets, socket, link);
    TAILQ_INSERT_TAIL(&poller->sockets, socket, link);
    socket->fn(socket->arg, readable, writable);
    return 1;
}

int env_poller_wait(struct env_poller *poller, uint64_t timeout_ns)
{
    ASSERT(!poller->dispatching && !poller->sleeper);
    struct env_socket *ready[ROUND_EVENTS];
    int called = 0, count = gather(poller, ready);
    if (count == 0 && timeout_ns > 0 && !poller->woken && !poller_has_completions(poller) &&
        fiber_current()) {
        poller_sleep(poller, timeout_ns);
        count = gather(poller, ready);
    }
    if (timeout_ns > 0) /* a look is no sleep: the wake stays for the next one */
        poller->woken = false;
    int first = count > 1 ? (int)choose_below(CHOICE_NETWORK, (uint64_t)count) : 0;
    poller->dispatching = true;
    for (int i = 0; i < count; i++)
        called += socket_dispatch(poller, ready[(first + i) % count]);
    poller->dispatching = false;
    sockets_free(&poller->closed);
    return called;
}

/*
 * How it works. Every descriptor is registered from its creation on, so that watching it can no
 * longer fail. While its owner wants nothing it is registered edge-triggered for no event: the
 * kernel reports a hang-up even then, but only once, so that it cannot keep the thread awake.
 * The ready list holds pointers; what a handler closes is therefore only marked (fd -1) and freed
 * when the round is over.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bits.h"
#include "env/posix/posix.h"

#define ROUND_EVENTS       64
#define LONGEST_TIMEOUT_NS (24u * 3600u * 1000000000ull)

static int poller_open(struct env_poller *poller)
{
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd < 0)
        return errno;
    poller->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (poller->wake_fd < 0)
        return errno;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    return epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->wake_fd, &event) == 0 ? 0 : errno;
}

int env_poller_create(struct env *env, struct env_poller **poller)
{
    struct env_poller *created = calloc(1, sizeof(*created));
    if (!created)
        return EMB_ERR_NO_MEMORY;
    created->env = env;
    created->epoll_fd = -1;
    created->wake_fd = -1;
    int failed = poller_open(created);
    if (failed) {
        env_poller_destroy(created);
        return posix_code(failed);
    }
    *poller = created;
    return EMB_OK;
}

static void free_closed(struct env_poller *poller)
{
    while (poller->closed) {
        struct env_source *source = poller->closed;
        poller->closed = source->next_closed;
        free(source);
    }
}

void env_poller_destroy(struct env_poller *poller)
{
    if (!poller)
        return;
    /* A forked child finds its thread's last round as it was. */
    ASSERT(poller->env->abandoned || (!poller->dispatching && poller->sources == 0));
    free_closed(poller);
    if (poller->wake_fd >= 0)
        close(poller->wake_fd);
    if (poller->epoll_fd >= 0)
        close(poller->epoll_fd);
    free(poller);
}

void env_poller_wake(struct env_poller *poller)
{
    /* A signal handler must leave errno as it was. A full counter is a wake already. */
    int saved = errno;
    uint64_t one = 1;
    ssize_t written = write(poller->wake_fd, &one, sizeof(one));
    (void)written;
    errno = saved;
}

static void wake_consume(struct env_poller *poller)
{
    uint64_t count;
    ssize_t got = read(poller->wake_fd, &count, sizeof(count));
    (void)got;
}

static int wait_events(struct env_poller *poller, struct epoll_event *events, uint64_t timeout_ns)
{
    timeout_ns = min_u64(timeout_ns, LONGEST_TIMEOUT_NS);
#ifdef HAVE_EPOLL_PWAIT2
    if (!poller->milliseconds && timeout_ns > 0) {
        struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                                   .tv_nsec = (long)(timeout_ns % 1000000000u)};
        int ready = epoll_pwait2(poller->epoll_fd, events, ROUND_EVENTS, &timeout, NULL);
        /* Sandboxes answer EPERM to calls that they do not know. */
        if (ready >= 0 || (errno != ENOSYS && errno != EPERM))
            return ready;
        poller->milliseconds = true;
    }
#endif
    int timeout_ms = (int)((timeout_ns + 999999u) / 1000000u);
    return epoll_wait(poller->epoll_fd, events, ROUND_EVENTS, timeout_ms);
}

/* 1 if the source's handler was called and counts. */
static int source_dispatch(struct env_source *source, uint32_t events)
{
    if (source->fd < 0)
        return 0;
    bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
    bool readable = source->readable && (broken || (events & EPOLLIN));
    bool writable = source->writable && (broken || (events & EPOLLOUT));
    if (!readable && !writable)
        return 0;
    int counted = source->internal ? 0 : 1;
    source->fn(source->arg, readable, writable);
    return counted;
}

int env_poller_wait(struct env_poller *poller, uint64_t timeout_ns)
{
    ASSERT(!poller->dispatching);
    struct epoll_event events[ROUND_EVENTS];
    int ready = wait_events(poller, events, timeout_ns);
    ASSERT(ready >= 0 || errno == EINTR);
    int called = 0;
    poller->dispatching = true;
    for (int i = 0; i < ready; i++) {
        if (events[i].data.ptr)
            called += source_dispatch(events[i].data.ptr, events[i].events);
        else if (timeout_ns > 0) /* a look is no sleep: the wake stays for the next one */
            wake_consume(poller);
    }
    poller->dispatching = false;
    free_closed(poller);
    return called;
}

int posix_source_add(struct env_poller *poller, struct env_source *source, int fd,
                     struct error *err)
{
    struct epoll_event event = {.events = EPOLLET, .data.ptr = source};
    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return error_set(err, EMB_ERR_LIMIT,
                         "descriptor %d cannot be polled; raise fs.epoll.max_user_watches", fd);
    source->fd = fd;
    source->poller = poller;
    source->readable = source->writable = false;
    poller->sources++;
    return EMB_OK;
}

void posix_source_watch(struct env_source *source, bool readable, bool writable)
{
    ASSERT(source->fd >= 0);
    if (source->readable == readable && source->writable == writable)
        return;
    source->readable = readable;
    source->writable = writable;
    if (source->poller->env->abandoned)
        return;
    struct epoll_event event = {.data.ptr = source};
    event.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
    if (!event.events)
        event.events = EPOLLET;
    ASSERT(epoll_ctl(source->poller->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) == 0);
}

void posix_source_close(struct env_source *source)
{
    struct env_poller *poller = source->poller;
    ASSERT(source->fd >= 0);
    /* Not left to close(): a forked child may hold the descriptor open. */
    if (!poller->env->abandoned)
        epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    close(source->fd);
    source->fd = -1;
    poller->sources--;
    if (!poller->dispatching) {
        free(source);
        return;
    }
    source->next_closed = poller->closed;
    poller->closed = source;
}

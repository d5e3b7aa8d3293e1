#include "cli/interrupt.h"

#include <unistd.h>

static void signals_of(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGUSR1); /* our own: the end */
}

static void callback(struct interrupt *interrupt)
{
    pthread_mutex_lock(&interrupt->mutex);
    if (interrupt->fn)
        interrupt->fn(interrupt->arg);
    pthread_mutex_unlock(&interrupt->mutex);
}

static void *wait_for_it(void *arg)
{
    struct interrupt *interrupt = arg;
    sigset_t set;
    int number;

    signals_of(&set);
    while (sigwait(&set, &number) == 0) {
        if (flag_load_acquire(&interrupt->over))
            break;
        if (number == SIGUSR1)
            continue;
        if (flag_exchange_seq_cst(&interrupt->asked, 1))
            _exit(128 + number);
        callback(interrupt);
    }
    return NULL;
}

bool interrupt_start(struct interrupt *interrupt)
{
    sigset_t set;

    flag_init(&interrupt->asked, 0);
    flag_init(&interrupt->over, 0);
    pthread_mutex_init(&interrupt->mutex, NULL);
    interrupt->fn = NULL;
    signals_of(&set);
    pthread_sigmask(SIG_BLOCK, &set, &interrupt->before);
    if (pthread_create(&interrupt->thread, NULL, wait_for_it, interrupt) == 0)
        return true;
    pthread_sigmask(SIG_SETMASK, &interrupt->before, NULL);
    return false;
}

void interrupt_stop(struct interrupt *interrupt)
{
    flag_store_release(&interrupt->over, 1);
    pthread_kill(interrupt->thread, SIGUSR1);
    pthread_join(interrupt->thread, NULL);
    pthread_mutex_destroy(&interrupt->mutex);
    pthread_sigmask(SIG_SETMASK, &interrupt->before, NULL);
}

void interrupt_tell(struct interrupt *interrupt, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&interrupt->mutex);
    interrupt->fn = fn;
    interrupt->arg = arg;
    pthread_mutex_unlock(&interrupt->mutex);
    if (fn && interrupt_asked(interrupt))
        fn(arg);
}

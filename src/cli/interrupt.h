/*
 * Ctrl-C as a request to end cleanly: SIGINT and SIGTERM are blocked in the whole process and taken
 * by a thread of this, which raises a flag and calls back. A second one ends the process at once.
 * Start it before other threads are started, stop it after them. Owner: one command.
 */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "base/flag.h"

struct interrupt {
    pthread_t thread;
    pthread_mutex_t mutex; /* of fn and arg */
    struct flag asked;
    struct flag over;
    void (*fn)(void *arg);
    void *arg;
    sigset_t before; /* what was blocked */
};

/* false: no thread could be started. */
bool interrupt_start(struct interrupt *interrupt);
void interrupt_stop(struct interrupt *interrupt);
/* Whom to call, in the interrupt's thread, when it comes (NULL: nobody). At once if it came. */
void interrupt_tell(struct interrupt *interrupt, void (*fn)(void *arg), void *arg);
static inline bool interrupt_asked(struct interrupt *interrupt)
{
    return flag_load_acquire(&interrupt->asked) != 0;
}

#endif

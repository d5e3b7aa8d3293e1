/*
 * The engine for hosts where io_uring is denied: one thread that takes the operations in order.
 * Both queues lie under one mutex, which is held for a few instructions only.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "env/posix/io.h"

struct op_queue {
    struct io_op *first, **last;
};

struct thread_state {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work; /* something is submitted, or stop */
    pthread_cond_t done; /* something is finished */
    struct op_queue submitted, finished;
    bool stop;
    int event_fd;
};

static void queue_put(struct op_queue *queue, struct io_op *op)
{
    op->next = NULL;
    *queue->last = op;
    queue->last = &op->next;
}

static struct io_op *queue_take(struct op_queue *queue)
{
    struct io_op *op = queue->first;
    if (op) {
        queue->first = op->next;
        if (!queue->first)
            queue->last = &queue->first;
    }
    return op;
}

static void op_perform(struct io_op *op)
{
    int64_t result;
    do {
        if (op->sync)
            result = fdatasync(op->fd);
        else
            result = pwrite(op->fd, op->bytes + op->done, io_op_piece(op),
                            (off_t)(op->offset + op->done));
        if (result < 0)
            result = -errno;
    } while (!io_op_advance(op, result));
}

/* The next operation, or NULL when the thread is to end. */
static struct io_op *work_wait(struct thread_state *state)
{
    struct io_op *op;
    pthread_mutex_lock(&state->mutex);
    while (!(op = queue_take(&state->submitted)) && !state->stop)
        pthread_cond_wait(&state->work, &state->mutex);
    pthread_mutex_unlock(&state->mutex);
    return op;
}

static void *thread_main(void *arg)
{
    struct thread_state *state = arg;
    struct io_op *op;
    while ((op = work_wait(state))) {
        op_perform(op);
        pthread_mutex_lock(&state->mutex);
        queue_put(&state->finished, op);
        pthread_cond_signal(&state->done);
        pthread_mutex_unlock(&state->mutex);
        uint64_t one = 1;
        ssize_t put = write(state->event_fd, &one, sizeof(one));
        (void)put;
    }
    return NULL;
}

/* The program's signals are for its own threads. */
static int thread_create_quiet(struct thread_state *state)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&state->thread, NULL, thread_main, state);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void state_free(struct thread_state *state)
{
    pthread_cond_destroy(&state->done);
    pthread_cond_destroy(&state->work);
    pthread_mutex_destroy(&state->mutex);
    free(state);
}

static int thread_start(struct env_io *io)
{
    struct thread_state *state = calloc(1, sizeof(*state));
    if (!state)
        return ENOMEM;
    state->submitted.last = &state->submitted.first;
    state->finished.last = &state->finished.first;
    state->event_fd = io->source.fd;
    pthread_mutex_init(&state->mutex, NULL);
    pthread_cond_init(&state->work, NULL);
    pthread_cond_init(&state->done, NULL);
    int failed = thread_create_quiet(state);
    if (failed)
        state_free(state);
    else
        io->state = state;
    return failed;
}

static void thread_submit(struct env_io *io, struct io_op *op)
{
    struct thread_state *state = io->state;
    pthread_mutex_lock(&state->mutex);
    queue_put(&state->submitted, op);
    pthread_cond_signal(&state->work);
    pthread_mutex_unlock(&state->mutex);
}

static struct io_op *thread_reap(struct env_io *io, bool wait)
{
    struct thread_state *state = io->state;
    struct io_op *op;
    pthread_mutex_lock(&state->mutex);
    while (!(op = queue_take(&state->finished)) && wait)
        pthread_cond_wait(&state->done, &state->mutex);
    pthread_mutex_unlock(&state->mutex);
    return op;
}

static void thread_stop(struct env_io *io)
{
    struct thread_state *state = io->state;
    pthread_mutex_lock(&state->mutex);
    state->stop = true;
    pthread_cond_signal(&state->work);
    pthread_mutex_unlock(&state->mutex);
    pthread_join(state->thread, NULL);
    state_free(state);
}

const struct io_engine io_engine_thread = {
    .name = "thread",
    .start = thread_start,
    .submit = thread_submit,
    .reap = thread_reap,
    .stop = thread_stop,
};

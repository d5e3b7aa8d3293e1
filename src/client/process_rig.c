#include "client/process_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANG_S 120u

static void life_connect(struct life *f)
{
    struct emb_client_options options;

    emb_client_options_init(&options);
    options.brokers = f->rack.address;
    options.timeout_ms = WAIT_MS;
    if (emb_client_open(&options, &f->client, &f->err) != EMB_OK)
        fail_msg("%s", f->err.text);
}

/* The rack's thread stands for other processes: signals are not its. */
void life_start(struct life *f)
{
    sigset_t all, before;

    memset(f, 0, sizeof *f);
    fake_rack_init(&f->rack, 2);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    fake_rack_start(&f->rack);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    life_connect(f);
}

void life_open(struct life *f, const struct emb_publisher_options *options)
{
    if (emb_publisher_open(f->client, "orders", options, &f->publisher, &f->err) != EMB_OK ||
        emb_subscriber_open(f->client, "orders", NULL, &f->subscriber, &f->err) != EMB_OK)
        fail_msg("%s", f->err.text);
}

void life_close(struct life *f)
{
    assert_int_equal(emb_publisher_close(f->publisher, WAIT_MS, &f->err), EMB_OK);
    emb_subscriber_close(f->subscriber);
    assert_int_equal(emb_client_close(f->client, &f->err), EMB_OK);
    fake_rack_stop(&f->rack);
    fake_rack_free(&f->rack);
}

void life_publish(struct life *f, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++, f->published++) {
        const struct emb_message message = {.value = &f->published, .value_bytes = 8};
        if (emb_publish(f->publisher, &message, f->published, WAIT_MS, &f->err) != EMB_OK)
            fail_msg("message %llu: %s", (unsigned long long)f->published, f->err.text);
    }
}

void life_read_to(struct life *f, uint64_t to)
{
    struct emb_message message;

    for (; f->read < to; f->read++) {
        if (emb_subscriber_next(f->subscriber, &message, WAIT_MS, &f->err) != 1)
            fail_msg("message %llu: %s", (unsigned long long)f->read, f->err.text);
        assert_int_equal(message.offset, f->read);
        assert_int_equal(message.value_bytes, 8);
        assert_memory_equal(message.value, &f->read, 8);
    }
}

static int child_run(int (*child)(struct life *f), struct life *f)
{
    int ends[2];
    int line = -1;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(HANG_S); /* one that hangs is ended by SIGALRM */
        line = child(f);
        _exit(write(ends[1], &line, sizeof line) != sizeof line);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], &line, sizeof line);
    close(ends[0]);
    int status;
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    if (got != sizeof line || status != 0)
        fail_msg("the child ended with status %#x before it could tell", status);
    return line;
}

void child_expect(int (*child)(struct life *f), struct life *f)
{
    int line = child_run(child, f);
    if (line != 0)
        fail_msg("the child's check in line %d failed", line);
}

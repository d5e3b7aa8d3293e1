/*
 * TCP round trips: a request of a message's size and an answer of 64 bytes, between two threads
 * that both poll their socket without ever sleeping. Nothing that answers over loopback can be
 * faster.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bits.h"
#include "cli/bench_limit_pair.h"
#include "cli/bench_limits.h"
#include "cli/progress.h"

#define ANSWER_BYTES 64

/* Two ends of one loopback connection; neither blocks. */
struct ends {
    struct limit_pair cpus;
    int fds[2];
    size_t message_bytes;
    unsigned char *bytes[2];
    struct flag stop;
};

static bool receive_all(struct ends *ends, int end, size_t count)
{
    for (size_t done = 0; done < count;) {
        ssize_t got = recv(ends->fds[end], ends->bytes[end], count - done, 0);
        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EAGAIN || flag_load_acquire(&ends->stop))
            return false;
    }
    return true;
}

static bool send_all(struct ends *ends, int end, size_t count)
{
    for (size_t done = 0; done < count;) {
        ssize_t put = send(ends->fds[end], ends->bytes[end] + done, count - done, MSG_NOSIGNAL);
        if (put > 0)
            done += (size_t)put;
        else if (errno != EAGAIN || flag_load_acquire(&ends->stop))
            return false;
    }
    return true;
}

static void *answer_run(void *arg)
{
    struct ends *ends = arg;
    limit_pair_pin(&ends->cpus, 1);
    while (receive_all(ends, 1, ends->message_bytes) && send_all(ends, 1, ANSWER_BYTES))
        continue;
    return NULL;
}

/* 0 or errno. */
static int ends_connect(struct ends *ends, int listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, bytes) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &bytes) != 0)
        return errno;
    ends->fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (ends->fds[0] < 0)
        return errno;
    limit_socket_tune(ends->fds[0]);
    if (connect(ends->fds[0], (struct sockaddr *)&address, bytes) != 0)
        return errno;
    ends->fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (ends->fds[1] < 0 || fcntl(ends->fds[0], F_SETFL, O_NONBLOCK) != 0)
        return errno;
    return 0;
}

static int ends_open(struct ends *ends, size_t message_bytes)
{
    size_t room = message_bytes > ANSWER_BYTES ? message_bytes : ANSWER_BYTES;
    *ends = (struct ends){.fds = {-1, -1}, .message_bytes = message_bytes};
    flag_init(&ends->stop, 0);
    for (int end = 0; end < 2; end++)
        ends->bytes[end] = calloc(1, room);
    if (!ends->bytes[0] || !ends->bytes[1])
        return ENOMEM;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return errno;
    limit_socket_tune(listener);
    int failed = ends_connect(ends, listener);
    close(listener);
    return failed;
}

static void ends_close(struct ends *ends)
{
    for (int end = 0; end < 2; end++) {
        if (ends->fds[end] >= 0)
            close(ends->fds[end]);
        free(ends->bytes[end]);
    }
}

/* Until the time is over; false: the connection broke. */
static bool trips(struct limit_trip *limit, struct ends *ends, struct bench_histogram *round)
{
    uint64_t begin_ns = progress_now_ns();
    uint64_t warm_ns = begin_ns + limit->round_ns / BENCH_WARM_DIVISOR;
    for (uint64_t now_ns = begin_ns; now_ns - begin_ns < limit->round_ns;) {
        uint64_t sent_ns = now_ns;
        if (!send_all(ends, 0, ends->message_bytes) || !receive_all(ends, 0, ANSWER_BYTES))
            return false;
        now_ns = progress_now_ns();
        if (sent_ns >= warm_ns)
            bench_histogram_add(round, now_ns - sent_ns);
        if (interrupt_asked(&limit->run->interrupt))
            break;
    }
    return true;
}

int limit_trip_round(void *arg, bool keep, double *p50_ns)
{
    struct limit_trip *limit = arg;
    struct bench_histogram round = {0};
    struct ends ends;
    pthread_t thread;
    int failed = ends_open(&ends, limit->message_bytes);

    limit_pair_begin(&ends.cpus);
    if (failed == 0)
        failed = pthread_create(&thread, NULL, answer_run, &ends);
    if (failed == 0) {
        limit_pair_pin(&ends.cpus, 0);
        failed = trips(limit, &ends, &round) ? 0 : EPIPE;
        flag_store_release(&ends.stop, 1);
        pthread_join(thread, NULL);
        limit_pair_end(&ends.cpus);
    }
    ends_close(&ends);
    if (failed)
        return cli_fail("bench: TCP round trips: %s", strerror(failed));
    *p50_ns = (double)bench_histogram_at(&round, 500);
    if (keep)
        bench_histogram_merge(&limit->latency, &round);
    return CLI_DONE;
}

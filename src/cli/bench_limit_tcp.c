/*
 * Raw loopback TCP: what this machine moves between two processes with the same number of streams,
 * without a log in between.
 *
 * How it works: the helper is forked before any thread exists and waits for the size of its region.
 * Then it listens, and serves each connection with a thread of its own: either it receives into its
 * part of the region, round and round, so that the memory is as cold as a broker's, or it sends
 * from the region's file. Bytes are counted where they are received. When the control socket ends,
 * the helper ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bits.h"
#include "cli/bench_limits.h"
#include "cli/progress.h"

#define CHUNK_BYTES      (1u << 20)
#define BUFFER_BYTES     (4 << 20)
#define READ_BYTES       (16u << 20) /* what a subscriber buffers */
#define COUNTER_STRIDE   (CACHE_LINE / sizeof(struct flag))
#define PEER_STREAMS_MAX 32      /* as many as a rack has brokers */
#define CONGESTION       "cubic" /* BBR holds back on loopback */

static struct flag *counter(struct flag *counters, uint64_t stream)
{
    return &counters[stream * COUNTER_STRIDE];
}

/* Only the stream's one receiver raises its counter. */
static void counter_raise(struct flag *flag, uint64_t bytes)
{
    flag_store_release(flag, flag_load_relaxed(flag) + bytes);
}

/* Beyond the system's limit where that is permitted, else up to it. */
static void buffer_tune(int fd, int force_option, int option)
{
    int bytes = BUFFER_BYTES;
    if (setsockopt(fd, SOL_SOCKET, force_option, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
}

/* Where cubic is not permitted the system's control stays. */
void limit_socket_tune(int fd)
{
    int one = 1;
    buffer_tune(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    buffer_tune(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, CONGESTION, strlen(CONGESTION));
}

/* ---- the helper ------------------------------------------------------------------------------ */

struct order {
    uint64_t region_bytes;
    uint64_t streams; /* at once */
};

struct serving {
    enum limit_kind kind;
    int region_fd;
    unsigned char *region;
    uint64_t region_bytes;
    struct flag *counters;
    uint64_t streams_at_once;
    uint32_t streams; /* accepted so far */
    /* A part of the region and its counter have one stream at a time: what one left in its socket
       when its round ended is drained before the next one begins. */
    pthread_mutex_t parts[LIMIT_STREAMS_MAX];
};

struct stream {
    struct serving *serving;
    int fd;
    uint32_t number;
};

/* All streams together go round the whole region, each in a part of its own. */
static void serve_receiving(const struct stream *s)
{
    uint64_t streams = s->serving->streams_at_once;
    uint64_t part = align_down(s->serving->region_bytes / streams, CHUNK_BYTES);
    uint64_t index = s->number % streams, begin = index * part, at = begin;
    for (;;) {
        ssize_t got = recv(s->fd, s->serving->region + at, CHUNK_BYTES, 0);
        if (got <= 0)
            return;
        counter_raise(counter(s->serving->counters, index), (uint64_t)got);
        at = align_up(at + (uint64_t)got, CACHE_LINE);
        if (at + CHUNK_BYTES > begin + part)
            at = begin;
    }
}

static void serve_sending(const struct stream *s)
{
    off_t at = 0;
    for (;;) {
        uint64_t left = s->serving->region_bytes - (uint64_t)at;
        ssize_t put =
            sendfile(s->fd, s->serving->region_fd, &at, (size_t)min_u64(left, CHUNK_BYTES));
        if (put <= 0)
            return;
        if ((uint64_t)at == s->serving->region_bytes)
            at = 0;
    }
}

static void *stream_serve(void *arg)
{
    struct stream *s = arg;
    pthread_mutex_t *part = &s->serving->parts[s->number % s->serving->streams_at_once];
    pthread_mutex_lock(part);
    if (s->serving->kind == LIMIT_RECEIVE)
        serve_receiving(s);
    else
        serve_sending(s);
    pthread_mutex_unlock(part);
    close(s->fd);
    free(s);
    return NULL;
}

static void stream_accept(struct serving *serving, int listener)
{
    pthread_t thread;
    struct stream *s = malloc(sizeof *s);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (!s || fd < 0)
        _exit(1);
    *s = (struct stream){.serving = serving, .fd = fd, .number = serving->streams++};
    if (pthread_create(&thread, NULL, stream_serve, s) != 0)
        _exit(1);
    pthread_detach(thread);
}

/* As a rack's region is: shared, in huge pages if granted, every page touched. */
static bool region_make(struct serving *serving)
{
    serving->region_fd = memfd_create("embarcadero-bench", MFD_CLOEXEC);
    if (serving->region_fd < 0 || ftruncate(serving->region_fd, (off_t)serving->region_bytes) != 0)
        return false;
    void *region = mmap(NULL, serving->region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                        serving->region_fd, 0);
    if (region == MAP_FAILED)
        return false;
    madvise(region, serving->region_bytes, MADV_HUGEPAGE);
    serving->region = region;
    for (uint64_t at = 0; at < serving->region_bytes; at += 4096)
        serving->region[at] = 1;
    return true;
}

static int listen_anywhere(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        return -1;
    limit_socket_tune(fd);
    if (bind(fd, (struct sockaddr *)&address, bytes) != 0 || listen(fd, LIMIT_STREAMS_MAX) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) {
        close(fd);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

_Noreturn static void helper_run(struct limit_tcp *limit, int control)
{
    struct serving serving = {.kind = limit->kind, .counters = limit->counters};
    struct order order;
    uint16_t port = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (recv(control, &order, sizeof order, MSG_WAITALL) != (ssize_t)sizeof order)
        _exit(0);
    serving.region_bytes = order.region_bytes;
    serving.streams_at_once = order.streams;
    for (uint32_t i = 0; i < LIMIT_STREAMS_MAX; i++)
        pthread_mutex_init(&serving.parts[i], NULL);
    int listener = region_make(&serving) ? listen_anywhere(&port) : -1;
    if (listener < 0)
        port = 0;
    if (send(control, &port, sizeof port, MSG_NOSIGNAL) != (ssize_t)sizeof port || port == 0)
        _exit(1);
    for (;;) {
        struct pollfd fds[2] = {{listener, POLLIN, 0}, {control, POLLIN, 0}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            _exit(1);
        if (fds[1].revents)
            _exit(0);
        if (fds[0].revents)
            stream_accept(&serving, listener);
    }
}

/* ---- its owner ------------------------------------------------------------------------------- */

int limit_tcp_fork(struct limit_tcp *limit, enum limit_kind kind)
{
    int ends[2];
    *limit = (struct limit_tcp){.kind = kind, .control = -1};
    limit->counters = mmap(NULL, (size_t)LIMIT_STREAMS_MAX * CACHE_LINE, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (limit->counters == MAP_FAILED ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return cli_fail("bench: no helper process: %s", strerror(errno));
    limit->helper = fork();
    if (limit->helper < 0)
        return cli_fail("bench: no helper process: %s", strerror(errno));
    if (limit->helper == 0) {
        close(ends[0]);
        helper_run(limit, ends[1]);
    }
    close(ends[1]);
    limit->control = ends[0];
    return CLI_DONE;
}

int limit_tcp_start(struct limit_tcp *limit, struct bench_run *run, uint64_t region_bytes)
{
    struct order order = {region_bytes, (uint64_t)limit->threads * limit->streams};
    limit->run = run;
    limit->round_ns = run->common->round_ns;
    bench_helper_add(run, limit->helper);
    if (send(limit->control, &order, sizeof order, MSG_NOSIGNAL) != (ssize_t)sizeof order ||
        recv(limit->control, &limit->port, sizeof limit->port, MSG_WAITALL) !=
            (ssize_t)sizeof limit->port ||
        limit->port == 0)
        return cli_fail("bench: no region of %llu bytes for the limit; is memory short?",
                        (unsigned long long)region_bytes);
    return CLI_DONE;
}

void limit_tcp_end(struct limit_tcp *limit)
{
    if (limit->control >= 0) {
        shutdown(limit->control, SHUT_RDWR); /* a helper forked later has this end, too */
        close(limit->control);
    }
    if (limit->helper > 0)
        waitpid(limit->helper, NULL, 0);
    if (limit->counters && limit->counters != MAP_FAILED)
        munmap(limit->counters, (size_t)LIMIT_STREAMS_MAX * CACHE_LINE);
}

static uint64_t received(const struct limit_tcp *limit)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < LIMIT_STREAMS_MAX; i++)
        sum += flag_load_acquire(counter(limit->counters, i));
    return sum;
}

/* One thread of this side, with its connections. */
struct peer {
    const struct limit_tcp *limit;
    pthread_t thread;
    int fds[PEER_STREAMS_MAX];
    uint32_t count;
    unsigned char *bytes;
};

static int peer_connect(struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(peer->limit->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    while (peer->count < peer->limit->streams) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return errno;
        peer->fds[peer->count++] = fd;
        limit_socket_tune(fd);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
            return errno;
    }
    return 0;
}

/* Until the sockets are shut down. */
static void *peer_send(void *arg)
{
    struct peer *peer = arg;
    for (uint32_t i = 0;; i = (i + 1) % peer->count)
        if (send(peer->fds[i], peer->bytes + (size_t)(i % 4) * CHUNK_BYTES, CHUNK_BYTES,
                 MSG_NOSIGNAL) <= 0)
            return NULL;
}

static void *peer_receive(void *arg)
{
    struct peer *peer = arg;
    size_t at = 0;
    for (;;) {
        ssize_t got = recv(peer->fds[0], peer->bytes + at, CHUNK_BYTES, 0);
        if (got <= 0)
            return NULL;
        counter_raise(counter(peer->limit->counters, 0), (uint64_t)got);
        at = (at + CHUNK_BYTES) % READ_BYTES;
    }
}

/* Connects and starts; 0 or errno. */
static int peer_start(struct peer *peer, const struct limit_tcp *limit)
{
    bool sends = limit->kind == LIMIT_RECEIVE;
    *peer = (struct peer){.limit = limit, .bytes = malloc(READ_BYTES)};
    if (!peer->bytes)
        return ENOMEM;
    memset(peer->bytes, 'x', READ_BYTES);
    int failed = peer_connect(peer);
    if (failed == 0)
        failed = pthread_create(&peer->thread, NULL, sends ? peer_send : peer_receive, peer);
    if (failed) {
        for (uint32_t i = 0; i < peer->count; i++)
            close(peer->fds[i]);
        free(peer->bytes);
    }
    return failed;
}

static void peer_stop(struct peer *peer)
{
    for (uint32_t i = 0; i < peer->count; i++)
        shutdown(peer->fds[i], SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    for (uint32_t i = 0; i < peer->count; i++)
        close(peer->fds[i]);
    free(peer->bytes);
}

int limit_tcp_round(void *arg, bool keep, double *bytes_per_second)
{
    struct limit_tcp *limit = arg;
    struct peer *peers = calloc(limit->threads, sizeof *peers);
    uint32_t started = 0;
    int failed = peers ? 0 : ENOMEM;

    while (failed == 0 && started < limit->threads) {
        failed = peer_start(&peers[started], limit);
        started += failed == 0;
    }
    if (failed == 0 && bench_sleep(limit->run, limit->round_ns / BENCH_WARM_DIVISOR)) {
        uint64_t begin_ns = progress_now_ns(), begin = received(limit);
        bench_sleep(limit->run, limit->round_ns);
        uint64_t end = received(limit), end_ns = progress_now_ns();
        *bytes_per_second = (double)(end - begin) * 1e9 / (double)(end_ns - begin_ns);
    }
    for (uint32_t i = 0; i < started; i++)
        peer_stop(&peers[i]);
    free(peers);
    return failed ? cli_fail("bench: raw TCP: %s", strerror(failed)) : CLI_DONE;
}

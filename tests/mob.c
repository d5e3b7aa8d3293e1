/*
 * Hostile peers of a rack, all at once, in a process of its own: mob TOPIC PORT... Each does its
 * harm at times of its own, to the millisecond; whom a broker ends comes again. "ready" is printed
 * once all have begun; ends, and they with it, when its standard input does.
 *
 *   idle         connect, say HELLO and nothing more          loris   a byte of a frame now and
 * then stuck        stop in the middle of a batch, and trickle   noise   any bytes deaf reader
 * subscribe and never read                     leaver  a part of a batch, and gone deaf writer
 * publish and never read an ACK deaf asker   ask for STATUS and never read it
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/random.h"
#include "batch/batch.h"
#include "wire/wire.h"

#define TICK_MS     1
#define PORTS_MAX   32
#define COMES_AGAIN 2000 /* at most so many ticks after it was ended */

struct mob {
    const char *topic;
    uint16_t topic_id;
    uint16_t ports[PORTS_MAX];
    unsigned port_count;
    uint64_t tick;
    struct random_state random;
    unsigned char batch[FRAME_HEADER_BYTES + 4096]; /* a PRODUCE frame */
    size_t batch_bytes;
};

struct peer {
    const struct kind *kind;
    int fd; /* -1: was ended */
    uint16_t port;
    uint64_t again; /* the tick in which it comes again */
    size_t at;      /* bytes of its slow frame that are sent */
};

struct kind {
    const char *name;
    unsigned count;
    unsigned every; /* ticks */
    bool (*begin)(struct mob *mob, struct peer *peer);
    bool (*act)(struct mob *mob, struct peer *peer); /* false: it was ended, or has left */
};

/* ---- frames ---------------------------------------------------------------------------------- */

/* What the broker does not take is not sent: it has stopped reading. */
static bool put(struct peer *peer, const void *bytes, size_t count)
{
    ssize_t sent = send(peer->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent >= 0 || errno == EAGAIN || errno == EWOULDBLOCK;
}

static size_t frame(unsigned char *to, uint8_t type, const struct wire_writer *w)
{
    frame_header_write(to, &(struct frame_header){.type = type, .body_bytes = (uint32_t)w->used});
    return FRAME_HEADER_BYTES + w->used;
}

static size_t hello_frame(unsigned char to[512])
{
    struct wire_writer w;
    wire_writer_init(&w, to + FRAME_HEADER_BYTES, 512 - FRAME_HEADER_BYTES);
    hello_put(&w, &(struct hello){.client_name = "mob"});
    return frame(to, FRAME_HELLO, &w);
}

static bool say_hello(struct mob *mob, struct peer *peer)
{
    unsigned char bytes[512];
    return put(peer, bytes, hello_frame(bytes));
}

static bool say_subscribe(struct mob *mob, struct peer *peer)
{
    unsigned char bytes[512];
    struct wire_writer w;
    struct subscribe subscribe = {.level = READ_LATEST, .after_position = UINT64_MAX};
    snprintf(subscribe.topic, sizeof subscribe.topic, "%s", mob->topic);
    wire_writer_init(&w, bytes + FRAME_HEADER_BYTES, sizeof bytes - FRAME_HEADER_BYTES);
    subscribe_put(&w, &subscribe);
    return put(peer, bytes, frame(bytes, FRAME_SUBSCRIBE, &w));
}

static bool say_publish_open(struct mob *mob, struct peer *peer)
{
    unsigned char bytes[512];
    struct wire_writer w;
    struct publish_open open = {
        .topic = mob->topic_id, .session = UINT64_MAX, .acks = 1, .after_position = UINT64_MAX};
    wire_writer_init(&w, bytes + FRAME_HEADER_BYTES, sizeof bytes - FRAME_HEADER_BYTES);
    publish_open_put(&w, &open);
    return put(peer, bytes, frame(bytes, FRAME_PUBLISH_OPEN, &w));
}

static bool say_status(struct mob *mob, struct peer *peer)
{
    unsigned char bytes[FRAME_HEADER_BYTES];
    frame_header_write(bytes, &(struct frame_header){.type = FRAME_STATUS});
    return put(peer, bytes, sizeof bytes);
}

static bool say_batch(struct mob *mob, struct peer *peer)
{
    return put(peer, mob->batch, mob->batch_bytes);
}

static void batch_make(struct mob *mob)
{
    static const char value[2000];
    struct batch_builder builder;
    struct record record = {.value = value, .value_bytes = sizeof value};
    void *finished;
    batch_builder_init(&builder, mob->batch + FRAME_HEADER_BYTES,
                       sizeof mob->batch - FRAME_HEADER_BYTES);
    batch_append(&builder, &record);
    ssize_t bytes =
        batch_finish(&builder, UINT64_MAX, UINT64_MAX, BATCH_NONE, 0, NULL, 0, &finished);
    frame_header_write(mob->batch, &(struct frame_header){.type = FRAME_PRODUCE,
                                                          .body_bytes = (uint32_t)bytes,
                                                          .session = UINT64_MAX,
                                                          .client_sequence = UINT64_MAX,
                                                          .topic = mob->topic_id,
                                                          .acks = 1,
                                                          .message_count = 1});
    mob->batch_bytes = FRAME_HEADER_BYTES + (size_t)bytes;
}

/* ---- kinds ----------------------------------------------------------------------------------- */

static bool was_ended(const struct peer *peer)
{
    char byte;
    ssize_t got = recv(peer->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

static bool only_look(struct mob *mob, struct peer *peer)
{
    return !was_ended(peer);
}

static bool begin_nothing(struct mob *mob, struct peer *peer)
{
    return true;
}

/* A HELLO, a byte at a time; then the next one. */
static bool loris_act(struct mob *mob, struct peer *peer)
{
    unsigned char bytes[512];
    size_t count = hello_frame(bytes);
    return put(peer, bytes + peer->at++ % count, 1);
}

static bool stuck_begin(struct mob *mob, struct peer *peer)
{
    peer->at = FRAME_HEADER_BYTES + 50;
    return say_publish_open(mob, peer) && put(peer, mob->batch, peer->at);
}

static bool stuck_act(struct mob *mob, struct peer *peer)
{
    return put(peer, mob->batch + peer->at++ % mob->batch_bytes, 1);
}

static bool noise_act(struct mob *mob, struct peer *peer)
{
    uint64_t noise[8];
    for (size_t i = 0; i < COUNT_OF(noise); i++)
        noise[i] = random_next(&mob->random);
    return put(peer, noise, sizeof noise);
}

static bool leaver_begin(struct mob *mob, struct peer *peer)
{
    return say_publish_open(mob, peer) &&
           put(peer, mob->batch, 1 + random_below(&mob->random, mob->batch_bytes));
}

static bool leave(struct mob *mob, struct peer *peer)
{
    return false;
}

static const struct kind kinds[] = {
    {"idle", 5000, 5000, say_hello, only_look},
    {"loris", 200, 100, begin_nothing, loris_act},
    {"stuck", 20, 100, stuck_begin, stuck_act},
    {"deaf reader", 50, 200, say_subscribe, only_look},
    {"deaf writer", 20, 20, say_publish_open, say_batch},
    {"deaf asker", 20, 50, say_hello, say_status},
    {"noise", 10, 50, begin_nothing, noise_act},
    {"leaver", 40, 100, leaver_begin, leave},
};

/* ---- life ------------------------------------------------------------------------------------ */

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, little = 4096;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void peer_end(struct mob *mob, struct peer *peer)
{
    struct linger reset = {.l_onoff = 1};
    if (random_below(&mob->random, 2))
        setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(peer->fd);
    peer->fd = -1;
    peer->again =
        mob->tick + 1 + (peer->kind->act == leave ? 0 : random_below(&mob->random, COMES_AGAIN));
}

static void peer_begin(struct mob *mob, struct peer *peer)
{
    peer->at = 0;
    peer->fd = connect_to(peer->port);
    if (peer->fd < 0)
        peer->again = mob->tick + COMES_AGAIN;
    else if (!peer->kind->begin(mob, peer))
        peer_end(mob, peer);
}

static void peer_act(struct mob *mob, struct peer *peer, size_t number)
{
    if (peer->fd < 0) {
        if (mob->tick >= peer->again)
            peer_begin(mob, peer);
    } else if ((mob->tick + number) % peer->kind->every == 0 && !peer->kind->act(mob, peer)) {
        peer_end(mob, peer);
    }
}

static struct peer *peers_make(const struct mob *mob, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        *count += kinds[i].count;
    struct peer *peers = calloc(*count, sizeof *peers);
    size_t at = 0;
    for (size_t i = 0; peers && i < COUNT_OF(kinds); i++)
        for (unsigned j = 0; j < kinds[i].count; j++, at++)
            peers[at] = (struct peer){
                .kind = &kinds[i], .fd = -1, .port = mob->ports[at % mob->port_count]};
    return peers;
}

/* Its number is needed by who publishes to it; -1: no answer. */
static int topic_find(struct mob *mob)
{
    unsigned char bytes[512];
    struct wire_writer w;
    struct wire_reader r;
    struct topic_info info;
    struct frame_header header;
    struct peer peer = {.fd = connect_to(mob->ports[0])};
    wire_writer_init(&w, bytes + FRAME_HEADER_BYTES, sizeof bytes - FRAME_HEADER_BYTES);
    wire_put_text(&w, mob->topic);
    if (peer.fd < 0 || !put(&peer, bytes, frame(bytes, FRAME_TOPIC_DESCRIBE, &w)) ||
        recv(peer.fd, bytes, FRAME_HEADER_BYTES, MSG_WAITALL) != FRAME_HEADER_BYTES ||
        frame_header_read(bytes, &header, NULL) || header.type != FRAME_TOPIC_OK ||
        recv(peer.fd, bytes, header.body_bytes, MSG_WAITALL) != (ssize_t)header.body_bytes)
        return -1;
    wire_reader_init(&r, bytes, header.body_bytes, NULL);
    topic_info_get(&r, &info);
    mob->topic_id = info.id;
    close(peer.fd);
    return 0;
}

static bool is_wanted(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&in, 1, TICK_MS) == 0;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    struct mob mob = {.topic = argc > 1 ? argv[1] : ""};
    size_t count;
    for (int i = 2; i < argc && mob.port_count < PORTS_MAX; i++)
        mob.ports[mob.port_count++] = (uint16_t)atoi(argv[i]);
    if (!mob.port_count) {
        fprintf(stderr, "usage: mob TOPIC PORT...\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    random_seed(&mob.random, 1);
    struct peer *peers = peers_make(&mob, &count);
    if (!peers || topic_find(&mob)) {
        fprintf(stderr, "mob: topic \"%s\" is not found\n", mob.topic);
        return 1;
    }
    batch_make(&mob);
    for (size_t i = 0; i < count; i++)
        peer_begin(&mob, &peers[i]);
    printf("ready\n");
    fflush(stdout);
    for (mob.tick = 1; is_wanted(); mob.tick++)
        for (size_t i = 0; i < count; i++)
            peer_act(&mob, &peers[i], i);
    free(peers);
    return 0;
}

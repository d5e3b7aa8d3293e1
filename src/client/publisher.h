/*
 * The publisher behind the public handle: packets (batches with what their outcome needs), and the
 * queue between the callers of emb_publish and the client's thread.
 *
 *   open packet --full, or due--> sealed queue --window has room--> core --outcome--> pool
 *
 * Writers: callers fill and seal; the thread (publisher_work) takes, reports and recycles; who
 * seals a packet finishes it (CRC, compression) outside the mutex. Fields below `mutex` are used
 * under it. Lifetime: emb_publisher_open to emb_publisher_close.
 */
#ifndef CLIENT_PUBLISHER_H
#define CLIENT_PUBLISHER_H

#include "base/flag.h"
#include "batch/batch.h"
#include "client/client.h"
#include "client/histogram.h"
#include "client/tcp/publish.h"

#define SEALED_MAX   8u /* more wait in a growing open packet instead */
#define PACKETS_MAX  (PUBLISH_WINDOW_MAX + SEALED_MAX + 1)
#define CHARGE_LEAST 4096u

/* A batch from its first message to its outcome. */
struct packet {
    struct outgoing outgoing;
    struct batch_builder builder;
    void *buffer;  /* 64-byte aligned, of batch_bytes_max */
    void *scratch; /* for compression, or NULL */
    size_t scratch_bytes;
    uint64_t first_number;
    uint64_t first_cookie;
    uint64_t *cookies; /* with on_message only */
    size_t cookie_capacity;
    uint64_t client_sequence;
    uint64_t opened_ns;
    uint64_t opened_wall_ms;
    bool finished;        /* CRC and compression are done */
    struct packet *older; /* the list of packets without outcome */
    struct packet *newer;
    struct packet *next; /* in the sealed queue, the done list or the pool */
    struct publish_outcome outcome;
    char text[ERROR_TEXT_BYTES]; /* outcome.text stands here */
};

/* Someone who waits for the outcome of one message. */
struct waiter {
    uint64_t number;
    bool done;
    uint64_t offset;
    struct error error;
    struct waiter *next;
};

struct emb_publisher {
    struct emb_client *client;
    struct emb_publisher_options options;
    char topic[TOPIC_NAME_MAX + 1];
    struct topic_settings settings;
    bool has_sessions;
    uint32_t max_message_bytes;
    struct member member;

    /* The thread's own, once joined. */
    struct publish_core core;
    struct publish_options core_options;
    bool core_started;
    struct packet *done; /* outcomes to report, oldest first */
    struct packet **done_end;

    bool look;        /* something changed: the queue is to be looked at */
    uint64_t due_ns;  /* when the open packet is due */
    bool was_closing; /* `closing`, and whether nothing was without outcome, at the last look */
    bool was_empty;

    /* Between threads without the mutex, each on a line of its own: `news` is set by callers (under
       the mutex) for the thread, which else leaves the mutex alone; `wall_ms` is its clock. */
    _Alignas(CACHE_LINE) struct flag news;
    _Alignas(CACHE_LINE) struct flag wall_ms;

    _Alignas(CACHE_LINE) pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum publish_state state;
    struct error ended; /* why, when state is PUBLISH_ENDED */
    bool closing;
    bool window_is_open; /* the thread wants to know of new packets */
    uint32_t sleepers;   /* callers waiting for `changed` */
    uint64_t session;
    uint32_t stripes;
    uint32_t next_stripe;
    uint64_t next_sequence[PUBLISH_BROKERS_MAX]; /* [0] but for order 4 */
    uint32_t batch_bytes_max;
    uint32_t target_bytes;

    struct packet *open;
    struct packet *sealed;
    struct packet **sealed_end;
    uint32_t sealed_count;
    struct packet *oldest; /* without outcome, `open` included */
    struct packet *newest;
    struct packet *pool;
    uint32_t packet_count;
    uint64_t next_number;
    uint64_t flush_number; /* what is before it goes out at once */
    struct waiter *waiters;
    struct error first_failure; /* since the last flush */
    struct emb_publisher_stats stats;
    struct histogram latency;
};

/* ---- packet.c: all under the mutex but packet_finish ---- */

/* From the pool or new; NULL when PACKETS_MAX are in use or memory is out. */
struct packet *packet_take(struct emb_publisher *p);
void packet_put(struct emb_publisher *p, struct packet *packet);
void packets_free(struct emb_publisher *p);
/* Appends to the list of those without outcome / removes from it. */
void packet_list_add(struct emb_publisher *p, struct packet *packet);
void packet_list_remove(struct emb_publisher *p, struct packet *packet);
/* Closes the open packet and queues it; the caller then finishes it without the mutex. */
struct packet *packet_seal(struct emb_publisher *p);
/* Compression and CRC. Without the mutex; afterwards packet_finished with it. */
void packet_finish(struct emb_publisher *p, struct packet *packet);
/* What a packet counts in buffered bytes: 0 without messages. */
uint64_t packet_bytes(const struct packet *packet);
bool packet_cookie_reserve(struct packet *packet);

/* ---- publisher_io.c: the client's thread ---- */

int publisher_work(void *publisher, uint64_t now_ns);
void publisher_leave(void *publisher);

#endif

/*
 * A rack for tests: up to four brokers in one thread, which speak frames over real sockets, keep an
 * order-5 log in memory and misbehave on request. What it must do is set before fake_rack_start;
 * what it saw is read after fake_rack_stop.
 */
#ifndef CLIENT_FAKE_RACK_H
#define CLIENT_FAKE_RACK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/topic.h"
#include "env/env.h"
#include "wire/wire.h"

#define FAKE_BROKERS_MAX 4
#define FAKE_BATCHES_MAX 65536
#define FAKE_NEVER       UINT32_MAX

/* What befalls frames of one type instead of their answer. */
enum fake_odd {
    FAKE_ODD_NONE,
    FAKE_ODD_ERROR,  /* an ERROR frame with odd_code and odd_text */
    FAKE_ODD_SILENT, /* nothing */
    FAKE_ODD_CLOSE,  /* the connection is closed */
    FAKE_ODD_WRONG,  /* a frame of another type */
};

struct fake_batch {
    unsigned char *bytes;
    uint32_t byte_count;
    uint32_t message_count;
    uint64_t session;
    uint64_t client_sequence;
    uint64_t base_offset;
    uint64_t correlation;
    struct fake_connection *connection; /* of the last PRODUCE */
    bool committed;
};

struct fake_rack {
    /* What to do. */
    uint32_t broker_count;
    uint32_t dead_brokers; /* bits: named in HELLO_OK, but not listening */
    uint32_t mute_brokers; /* bits: listening, as of a process that is stopped */
    struct topic_settings settings;
    uint32_t retry_every;        /* each n-th PRODUCE is answered RETRY once; 0: none */
    uint32_t backpressure_first; /* so many PRODUCE frames are answered BACKPRESSURE */
    uint32_t refuse_at;          /* this PRODUCE is answered refuse_status; FAKE_NEVER */
    int refuse_status;
    uint32_t close_at;     /* at this PRODUCE the connection is closed without an answer */
    bool silent;           /* PRODUCE frames are swallowed */
    uint32_t reverse_acks; /* acks are held back and sent in reverse, so many at a time; 0: no */
    uint32_t send_bytes;   /* at most so many bytes in one send; 0: all */
    uint32_t corrupt_at;   /* delivered batch with a flipped byte; FAKE_NEVER */
    uint32_t gap_at;       /* delivered batch that is left out */
    uint32_t identity_at;  /* delivered batch with a foreign sequence in its frame */
    uint32_t cut_at;       /* amid this delivered batch the connection is reset, once */
    uint32_t garbage_at;   /* before this delivered batch stands a frame of noise */
    uint32_t mute_at;      /* after this delivered batch its broker falls silent, as one stopped */
    uint64_t first_offset; /* offsets before it are out of range */
    enum fake_odd odd;
    uint8_t odd_type;
    uint32_t odd_after; /* so many frames of that type are answered as they should be */
    int odd_code;
    const char *odd_text;
    uint64_t
        offer_more;  /* SUBSCRIBE_OK names an offset that much higher, after odd_after right ones */
    uint32_t end_at; /* instead of this delivered batch comes ERROR odd_code, odd_text */

    /* What it saw. */
    uint32_t odd_seen;
    uint32_t produced; /* PRODUCE frames */
    uint32_t produced_by[FAKE_BROKERS_MAX];
    uint32_t sessions_opened;
    uint32_t sessions_closed; /* under mutex */
    uint32_t subscribed;
    uint32_t most_in_flight; /* PRODUCE frames without an ACK */
    uint32_t in_flight;
    uint32_t not_identical; /* resent, but not the same bytes */
    struct fake_batch *batches;
    uint32_t batch_count; /* in the order of their first arrival */
    uint32_t *log;        /* indices of batches, committed, in order */
    uint32_t log_count;
    uint64_t next_offset;
    uint64_t next_sequence[64]; /* by session */

    uint16_t ports[FAKE_BROKERS_MAX];
    char address[64]; /* of broker 0, as tcp:// */
    struct env *env;
    struct env_poller *poller;
    struct env_socket *listeners[FAKE_BROKERS_MAX];
    struct fake_listener {
        struct fake_rack *rack;
        uint32_t broker;
    } listener_args[FAKE_BROKERS_MAX];
    struct fake_connection *connections;
    struct fake_ack {
        struct fake_connection *connection;
        struct ack_item item;
    } held[256];
    uint32_t held_count;
    bool was_cut;
    pthread_t thread;
    pthread_mutex_t mutex;
    bool stop; /* under mutex */
};

/* Fills in what does nothing wrong. */
void fake_rack_init(struct fake_rack *rack, uint32_t broker_count);
void fake_rack_start(struct fake_rack *rack);
/* Waits until a session was closed, at most 10 s. */
void fake_rack_await_close(struct fake_rack *rack);
/* Closes all and joins the thread; the log stays. */
void fake_rack_stop(struct fake_rack *rack);
void fake_rack_free(struct fake_rack *rack);
/* Before the start: appends a committed batch of `count` messages "m-OFFSET", timestamp
 * 1000+offset. */
void fake_rack_append(struct fake_rack *rack, uint32_t count, int compression);

#endif

/*
 * The core of a publisher: a connection to every broker, a session, and the batches in flight. It
 * takes finished batches and tells their outcomes; batching, memory and threads are the caller's.
 * An agent; one thread, between publish_start and publish_stop. Design: 3-protocol 1, 2, 4.
 */
#ifndef CLIENT_TCP_PUBLISH_H
#define CLIENT_TCP_PUBLISH_H

#include "client/tcp/connection.h"

#define PUBLISH_BROKERS_MAX 32
#define PUBLISH_WINDOW_MAX  16 /* batches: the brokers know that many of a session as duplicates */
#define BATCH_LIMIT_NONE    UINT32_MAX

enum publish_state {
    PUBLISH_CONNECTING,
    PUBLISH_SESSION, /* SESSION_OPEN is sent */
    PUBLISH_OPENING, /* PUBLISH_OPEN is sent on all connections */
    PUBLISH_UP,
    PUBLISH_CLOSING, /* SESSION_CLOSE is sent */
    PUBLISH_CLOSED,
    PUBLISH_ENDED, /* by a failure: publish_core.error */
};

struct publish_options {
    struct env_poller *poller;
    const char *client_name;         /* stays */
    const struct address *addresses; /* of all brokers; only during publish_start */
    uint32_t address_count;
    uint16_t topic;
    bool sessions;
    uint64_t after_position; /* of the topic's creation */
    uint8_t acks;
    uint32_t window;      /* batches in flight, 1 to PUBLISH_WINDOW_MAX */
    uint64_t deadline_ns; /* for being UP */
};

struct publish_outcome {
    struct outgoing *outgoing;
    int code;             /* EMB_OK or why it failed */
    uint64_t base_offset; /* all ones: not known */
    bool duplicate;
    const char *text; /* valid during the call */
};

struct publish_core {
    enum publish_state state;
    struct error error;
    struct publish_options options;
    uint64_t session; /* all ones: none */
    uint64_t position;
    void (*on_outcome)(void *arg, const struct publish_outcome *outcome);
    void *arg;

    struct lane {
        struct connection connection;
        struct publish_core *core;
        uint32_t index;
        bool opened; /* PUBLISH_OPEN was answered with OK */
        uint64_t bytes_in_flight;
    } lanes[PUBLISH_BROKERS_MAX];
    uint32_t lane_count;
    uint32_t lanes_up;
    uint32_t next_lane;
    uint32_t asked_lane; /* that SESSION_OPEN or SESSION_CLOSE was sent on */

    uint64_t greeted_by_ns; /* who has not greeted then is left out, if one has */

    struct outgoing *flying; /* all without outcome, oldest first */
    uint32_t flying_count;
    uint64_t next_correlation;
    uint64_t retries;
    uint64_t backpressure;
    uint64_t now_ns;
};

/* on_outcome is called within publish_work, publish_submit and publish_end, once for each batch. */
void publish_start(struct publish_core *core, const struct publish_options *options,
                   uint64_t now_ns,
                   void (*on_outcome)(void *arg, const struct publish_outcome *outcome), void *arg);
int publish_work(struct publish_core *core, uint64_t now_ns);
/* How many batches it takes now (0 unless UP). */
uint32_t publish_room(const struct publish_core *core);
/* Once UP: among how many brokers batches are striped, and the smallest of their batch limits. */
uint32_t publish_stripes(const struct publish_core *core);
uint32_t publish_max_batch_bytes(const struct publish_core *core);
/*
 * Takes a batch whose bytes, byte_count and stripe are set; publish_room must not be 0. The frame
 * header is written here; sequence and count are those it was finished with.
 */
void publish_submit(struct publish_core *core, struct outgoing *outgoing, uint64_t client_sequence,
                    uint32_t message_count, uint64_t max_timestamp_ms);
/* Ends the session in good order (nothing must be in flight); then CLOSED, or ENDED. */
void publish_close(struct publish_core *core);
/* Ends it for a reason; everything in flight fails with it. */
void publish_end(struct publish_core *core, int code, const char *text);
/* Closes the connections; nothing must be in flight. */
void publish_stop(struct publish_core *core);

#endif

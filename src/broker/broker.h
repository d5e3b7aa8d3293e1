/*
 * The broker: one agent that accepts clients, receives their batches straight into the node's BLog,
 * publishes them in the node's lane, acknowledges by what the follower read, and delivers batches
 * to subscribers. Writer: the node's one thread, in which its follower has its turn right before.
 * Readers: that thread. Lifetime: the node's; destroyed before the follower. Design: 3-protocol,
 * 1 (ingest), 4 (acknowledge), 5 (deliver); steps and invariants in README.md.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "env/env.h"
#include "follower/follower.h"
#include "wire/wire.h"

struct broker;

/* What clients may take, and when they are held back: may be changed while the broker works. What
   is 0 takes its default; "none" means that there is no limit. */
struct broker_limits {
    uint32_t max_connections;            /* 10000; at most 1000000 */
    uint32_t max_connections_per_client; /* of one address; none */
    uint32_t idle_timeout_ms;            /* without a byte, publisher or subscription; none */
    /* 10000: for a connection's first frame, for the rest of a frame that has begun, and for the
       next bytes of answers to be taken. A link that carries 64 KiB/s is never too slow. */
    uint32_t frame_timeout_ms;
    uint64_t client_memory_bytes; /* 64 MiB: all that the broker allocates for one connection */
    uint32_t request_wait_ms;     /* 10000: for the position or the admission a request needs */
    uint32_t deliver_stall_ms;    /* 500: how long a slow subscriber may hold a wanted segment */
    uint32_t high_percent;        /* 80: of ring or segments; above it sockets are not read */
    uint32_t low_percent;         /* 50: below it they are again */
    uint32_t backpressure_ms;     /* 10000: above the mark for so long, batches are refused */
};

typedef void broker_status_fn(void *arg, const struct status_item *item);

struct broker_options {
    struct env *env;
    struct env_poller *poller;
    struct follower *follower;
    struct env_map *map; /* the region's, for sendfile; NULL: deliveries are copied */
    uint32_t node;
    uint32_t roles;       /* without ROLE_BROKER it serves HELLO and STATUS alone; 0: a broker */
    uint64_t incarnation; /* of this start: older admissions are ignored; 0: any counts */
    const char *host;     /* to listen on */
    uint16_t port;        /* 0: any free one */
    /* What is 0 below takes its default. */
    uint32_t max_batch_bytes;   /* 4 MiB; at most a segment, below 16 MiB */
    uint32_t max_message_bytes; /* 1 MiB; told to clients */
    struct broker_limits limits;
    /* What other roles of the node add to STATUS answers; may be NULL. */
    void (*more_status)(void *more_arg, broker_status_fn *fn, void *arg);
    void *more_arg;
};

/*
 * Checks the options, binds and listens. EMB_ERR_INVALID_SETTING names the option, its value and
 * what is accepted; EMB_ERR_BUSY the port that is taken. Strings are not kept.
 */
int broker_create(const struct broker_options *options, struct broker **broker, struct error *err);
/* Resets all connections; sessions that publish are not ended. Not from a handler of the poller. */
void broker_destroy(struct broker *broker);
/* The duty cycle: bounded work, never blocks; how much it did. */
int broker_do_work(struct broker *broker, uint64_t now_ns);
/*
 * Other limits from now on, in the broker's thread. Connections beyond a lower number stay, no new
 * ones are taken. EMB_ERR_INVALID_SETTING as broker_create; then nothing changes.
 */
int broker_set_limits(struct broker *broker, const struct broker_limits *limits, struct error *err);
uint16_t broker_port(const struct broker *broker);

enum broker_leave {
    BROKER_STAYS,
    BROKER_LEAVING,
    BROKER_LEFT,    /* the log says so: no trace of this node is waited for */
    BROKER_REFUSED, /* see the reason; it takes nothing in any more all the same */
};
/*
 * Begins to leave the rack: takes in nothing more, answers what it took, closes the connections,
 * then says in its lane that nothing follows. Takes as long as that takes; the caller looks at the
 * state. EMB_ERR_BUSY as reason: the node's store is a member of a chain.
 */
void broker_leave(struct broker *broker);
enum broker_leave broker_leave_state(const struct broker *broker, int *reason);
/* Whether it has said so in its lane: the log may count on this node no more. */
bool broker_has_asked_to_leave(const struct broker *broker);

struct broker_counters {
    uint64_t connections; /* open now */
    uint64_t accepted;
    uint64_t refused;         /* beyond max_connections */
    uint64_t refused_client;  /* beyond max_connections_per_client */
    uint64_t accept_failures; /* there was no descriptor or memory for a connection */
    uint64_t frame_timeouts;  /* connections ended: a frame took too long to come, */
    uint64_t unread_timeouts; /* answers were not taken, */
    uint64_t idle_timeouts;   /* nothing was said, */
    uint64_t over_memory;     /* they would have taken more than client_memory_bytes */
    uint64_t frames_in;
    uint64_t batches_in; /* published in the lane */
    uint64_t bytes_in;
    uint64_t batches_out;
    uint64_t bytes_out;
    uint64_t sendfile_bytes;
    uint64_t acks; /* items */
    uint64_t retries;
    uint64_t duplicates;
    uint64_t rejected;
    uint64_t corrupt_batches;
    uint64_t refused_batches; /* answered without a slot, for whatever reason */
    uint64_t pauses;          /* times that back-pressure began */
    uint64_t backpressure;    /* batches answered BACKPRESSURE */
    uint64_t requests;        /* META slots published */
    uint64_t protocol_errors; /* connections ended for a malformed header */
    uint64_t stalled;         /* connections reset because they held memory */
};
void broker_counters(const struct broker *broker, struct broker_counters *counters);

/* Calls fn with every value of tables "node", "lane", "topic" and "broker", and of more_status. */
void broker_status(struct broker *broker, broker_status_fn *fn, void *arg);

#endif

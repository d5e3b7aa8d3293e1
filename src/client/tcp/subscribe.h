/*
 * The core of a subscriber: one connection to a broker, made anew when it breaks, and the batches
 * received ahead. It checks that offsets are dense; CRC and identity are the reader's to check, in
 * its own thread. An agent; one thread, between subscribe_start and subscribe_stop. Design:
 * 3-protocol 5.
 */
#ifndef CLIENT_TCP_SUBSCRIBE_H
#define CLIENT_TCP_SUBSCRIBE_H

#include "client/tcp/connection.h"

enum subscribe_state {
    SUBSCRIBE_CONNECTING, /* or waiting to */
    SUBSCRIBE_ASKED,      /* SUBSCRIBE is sent */
    SUBSCRIBE_UP,
    SUBSCRIBE_FAILED, /* subscribe_core.error; until subscribe_seek */
};

/* A batch received, 64-byte aligned, of header.body_bytes. */
struct incoming {
    struct incoming *next;
    void *bytes;
    size_t capacity;
    struct frame_header header;
    char broker[HOST_NAME_MAX_BYTES + 9]; /* who sent it */
};

struct subscribe_options {
    struct env_poller *poller;
    const char *client_name;         /* stays */
    const struct address *addresses; /* stay */
    uint32_t address_count;
    uint32_t first; /* connected to first */
    char topic[TOPIC_NAME_MAX + 1];
    uint8_t start; /* enum subscribe_start */
    uint64_t value;
    uint8_t level;
    uint64_t after_position;
    uint64_t timeout_ns; /* without a subscription, before it FAILED */
    uint64_t max_buffered_bytes;
};

struct subscribe_core {
    enum subscribe_state state;
    struct error error;
    struct subscribe_options options;
    struct connection connection;
    uint32_t at;      /* the address in use */
    uint32_t tries;   /* since it was up */
    bool was_up;      /* then it is not given up after one round of the addresses */
    bool passed_over; /* the last one was silent: then not that one once more */
    uint64_t retry_at_ns;
    uint64_t deadline_ns; /* for the next progress; 0: none is running */
    uint64_t up_since_ns;
    uint32_t subscription;
    bool answered;         /* a broker has since subscribe_start or the last subscribe_seek */
    uint64_t first_offset; /* that it began with then */
    uint64_t expected;     /* the next offset */
    bool amid_batch;       /* the first batch may begin before `expected` */
    struct incoming *receiving;
    struct incoming *ready; /* oldest first */
    struct incoming **ready_end;
    struct incoming *spare;
    uint64_t spare_bytes;
    uint64_t buffered_bytes; /* ready, receiving and taken */
    bool no_memory;          /* for the body that is to be received */
    uint64_t reconnects;
    uint64_t now_ns;
    uint64_t up_by_ns;    /* the connection; else the next broker is tried */
    uint64_t heard_bytes; /* of the connection, at heard_ns */
    uint64_t heard_ns;
    uint64_t pinged_ns; /* since then; 0: not */
};

void subscribe_start(struct subscribe_core *core, const struct subscribe_options *options,
                     uint64_t now_ns);
int subscribe_work(struct subscribe_core *core, uint64_t now_ns);
/* The oldest batch received, or NULL. It is given back with subscribe_give. */
struct incoming *subscribe_take(struct subscribe_core *core);
void subscribe_give(struct subscribe_core *core, struct incoming *incoming);
/* Drops what is ready and starts elsewhere. */
void subscribe_seek(struct subscribe_core *core, uint8_t start, uint64_t value, uint64_t now_ns);
/* Frees all; what was taken must have been given back. */
void subscribe_stop(struct subscribe_core *core);

#endif

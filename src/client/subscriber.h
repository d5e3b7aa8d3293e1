/*
 * The subscriber behind the public handle: what was received waits in a queue between the client's
 * thread and the one reader, who checks and decodes it.
 *
 * Writers: the thread (subscriber_work) appends to `ready`; the reader takes from it and gives
 * buffers back through `returned`. Fields below `mutex` are used under it. Lifetime:
 * emb_subscriber_open to emb_subscriber_close.
 */
#ifndef CLIENT_SUBSCRIBER_H
#define CLIENT_SUBSCRIBER_H

#include "batch/batch.h"
#include "client/client.h"
#include "client/tcp/subscribe.h"

enum seek_state { SEEK_NONE = 0, SEEK_ASKED, SEEK_DONE };

struct emb_subscriber {
    struct emb_client *client;
    struct emb_subscriber_options options;
    struct member member;

    /* The thread's own, once joined. */
    struct subscribe_core core;
    struct subscribe_options core_options;
    bool core_started;
    enum subscribe_state told_state;
    bool told_answered;

    /* The reader's own. */
    struct incoming *current;   /* the batch being read; its pointers are handed out */
    struct batch_reader reader; /* of `current`, while it is open */
    bool reader_is_open;
    bool amid_batch;            /* emb_subscriber_next has not come to its end */
    uint64_t position;          /* the next offset to be handed out */
    uint64_t from_timestamp_ms; /* messages before it are passed over; 0: none */
    uint64_t walk_from;         /* where emb_subscriber_batch_message begins */
    struct error failure;       /* returned until a seek */
    struct emb_header *headers; /* of the message handed out */
    uint32_t header_capacity;
    char *header_text; /* their keys, terminated */
    size_t header_text_bytes;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct incoming *ready;
    struct incoming **ready_end;
    struct incoming *returned;
    bool core_is_full; /* it waits for something to be returned */
    bool waiting;      /* the reader waits for `changed` */
    bool woken;        /* by emb_subscriber_wake */
    enum subscribe_state state;
    struct error failed;   /* the core's, when state is SUBSCRIBE_FAILED */
    bool answered;         /* the subscription or seek was accepted */
    uint64_t first_offset; /* where it began */
    enum seek_state seek;
    uint8_t seek_start;
    uint64_t seek_value;
};

/* ---- subscriber_io.c: the client's thread ---- */

int subscriber_work(void *subscriber, uint64_t now_ns);
void subscriber_leave(void *subscriber);

/* ---- subscriber_read.c: the reader's side of one batch ---- */

/* Checks `current` whole and opens its reader. EMB_OK, or what is wrong, with the offset. */
int batch_open(struct emb_subscriber *s, struct error *err);
void batch_close(struct emb_subscriber *s);
/* The next message of the open batch at or after the position: 1, 0 at its end, negative. */
int batch_message(struct emb_subscriber *s, struct emb_message *message, struct error *err);
/* How many messages at the front of the open batch lie before what was asked for. */
int batch_skip(struct emb_subscriber *s, uint32_t *skip, struct error *err);

#endif

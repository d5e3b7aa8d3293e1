/*
 * One question to a broker: connects to the first of a list that greets in time, sends one control
 * frame and keeps the answer. Not repeated once it is sent, for it may have been done. An agent of
 * the client's thread; belongs to it between request_start and request_end. Design: 3-protocol.
 */
#ifndef CLIENT_TCP_REQUEST_H
#define CLIENT_TCP_REQUEST_H

#include "client/tcp/connection.h"

struct request {
    /* By the asker, before request_start. */
    struct env_poller *poller;
    const char *client_name;
    const struct address *addresses; /* stay until request_end */
    uint32_t address_count;
    uint32_t first;   /* tried first */
    bool only_first;  /* and no other */
    uint8_t type;     /* FRAME_HELLO: only the greeting */
    uint8_t expected; /* type of the answer */
    const void *body; /* stays until request_end */
    size_t body_bytes;
    uint64_t deadline_ns;

    /* The answer. */
    bool done;
    struct error error; /* of the broker or the connection; code EMB_OK: there is an answer */
    void *answer;       /* the frame's body */
    size_t answer_bytes;
    struct hello_ok rack; /* as the broker greeted */

    struct connection connection;
    uint32_t at;    /* of addresses: the one in use */
    uint32_t tried; /* addresses so far */
    bool asked;     /* the question is sent: no other one is tried any more */
    uint64_t now_ns;
    uint64_t up_by_ns; /* else the next one is tried */
};

void request_start(struct request *r, uint64_t now_ns);
int request_work(struct request *r, uint64_t now_ns);
/* Frees connection and answer. */
void request_end(struct request *r);

#endif

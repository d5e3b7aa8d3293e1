/*
 * What the tests of fork, signals and the process share: a client, a publisher and a subscriber of
 * one life against a fake rack in a thread of the same process, and forked children that tell by a
 * number how they fared. One thread, from life_start to life_close.
 */
#ifndef CLIENT_PROCESS_RIG_H
#define CLIENT_PROCESS_RIG_H

#include "client/fake_rack.h"
#include "embarcadero/embarcadero.h"

#define WAIT_MS 20000u

struct life {
    struct fake_rack rack;
    struct emb_client *client;
    struct emb_publisher *publisher;
    struct emb_subscriber *subscriber;
    struct emb_error err;
    uint64_t published;
    uint64_t read;
};

/* A rack and a client. */
void life_start(struct life *f);
/* A publisher and a subscriber of all of "orders". options may be NULL. */
void life_open(struct life *f, const struct emb_publisher_options *options);
void life_close(struct life *f);
/* `count` more messages, each its number. */
void life_publish(struct life *f, uint64_t count);
/* Reads on until `to` messages were read, each the next. */
void life_read_to(struct life *f, uint64_t to);

/* Fails the test unless `child`, called in a forked child, returns 0: else it is a line. */
void child_expect(int (*child)(struct life *f), struct life *f);

/* 0, or the number of the check that failed: a child has no cmocka. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

#endif

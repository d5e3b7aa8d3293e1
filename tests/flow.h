/*
 * Flows of messages whose every byte is known beforehand: a publisher's message `index` is a
 * function of (publisher, index) alone, so that a reader can check what it gets without being told.
 * A flow is a thread with a client of its own. It asserts nothing: it keeps its first failure, and
 * the main thread asserts when it joins it. Written by its thread until it is joined.
 *
 * A message of publisher p: key = p and index, 8 bytes each; a value of content.least to .most
 * bytes (now and then none at all, or an empty one); up to two headers; a timestamp.
 */
#ifndef TESTS_FLOW_H
#define TESTS_FLOW_H

#include <pthread.h>

#include "base/flag.h"
#include "tests/rig.h"

#define FLOW_KEY_BYTES      16u
#define FLOW_PUBLISHERS_MAX 8u
#define FLOW_TIME_MS        1700000000000ull
#define FLOW_AHEAD          24u /* default of max_ahead: a GOI of 128 holds several times it */

struct content {
    uint32_t least;
    uint32_t most;
    bool plain; /* no empty values, no headers: for measuring how much goes through */
};

struct content_message {
    struct emb_message message;
    unsigned char key[FLOW_KEY_BYTES];
    struct emb_header headers[2];
};

/* Bytes that values are cut from; `pool` is content_pool()'s, freed by the caller. */
unsigned char *content_pool(void);
void content_fill(const struct content *content, const unsigned char *pool, uint64_t publisher,
                  uint64_t index, struct content_message *to);
/* NULL if the message is byte for byte the one its key says; else what differs, static text. */
const char *content_differs(const struct content *content, const unsigned char *pool,
                            const struct emb_message *message, uint64_t *publisher,
                            uint64_t *index);

struct flow_place {
    uint32_t publisher;
    uint32_t index;
};

struct flow {
    struct rig *rig;
    pthread_t thread;
    bool joined;
    struct content content;
    char topic[EMB_TOPIC_NAME_BYTES];
    uint32_t first_broker; /* asked first; for a reader: read from */
    uint64_t count;        /* messages to publish, or to read in all */
    struct flag stop;      /* not 0: a publisher ends, a reader once it has read stop - 1 */
    struct flag has_ended; /* its thread is about to end */
    struct flag done;      /* messages acknowledged, or read */
    char failure[512];     /* "" if none */

    /* publisher */
    uint32_t publisher;
    struct emb_publisher_options publishing;
    uint64_t *offsets; /* by index; EMB_OFFSET_UNKNOWN */
    int *codes;        /* by index; 1: no callback yet */
    uint64_t accepted; /* how many were */
    /* Readers that it waits for while they are more than max_ahead messages behind it (or behind
       `pacemaker`, if set): what is not read in time leaves this small memory. */
    struct flow *paced_by[2];
    struct flow *pacemaker;
    uint64_t max_ahead;
    struct flow *until_read; /* with acks 0 nothing else says that all has arrived: the publisher
                                is closed once this reader is done */
    bool may_fail; /* failures are kept in codes, and end it, but are none of the flow's */
    struct emb_publisher_stats stats;
    struct emb_error ended; /* why it stopped early, with may_fail */

    /* reader */
    struct emb_subscriber_options reading;
    bool by_publisher;                        /* each publisher's messages must come in its order */
    uint64_t next[FLOW_PUBLISHERS_MAX];       /* index expected of each */
    struct flag read_of[FLOW_PUBLISHERS_MAX]; /* messages read of each */
    uint64_t first_offset;                    /* of the first message read */
    struct flow_place *places;                /* by offset - first_offset, `count` of them */
    uint64_t bytes;                           /* of values */
};

/* Not started; the caller changes what it wants and calls flow_start. */
struct flow *flow_publisher(struct rig *rig, const char *topic, uint32_t publisher, uint64_t count);
struct flow *flow_reader(struct rig *rig, const char *topic, uint64_t count);
void flow_start(struct flow *flow);
/* Waits for its end, and fails the test if it failed. */
void flow_join(struct flow *flow);
/* All flows of the rig that run. */
void flows_join(struct rig *rig);
/* Stops, joins and frees them all, whatever their state. */
void flows_free(struct rig *rig);

/* What a publisher was told of its offsets is what the reader saw. */
void flow_assert_offsets(struct flow *publisher, struct flow *reader);
/* Both readers read the same messages in the same order. */
void flow_assert_same(struct flow *a, struct flow *b);
/* Each message of publishers 0..n-1, `count` each, was read exactly once. */
void flow_assert_complete(struct flow *reader, uint32_t publishers, uint64_t count);

#endif

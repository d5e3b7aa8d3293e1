/*
 * A peer that speaks the wire's frames by hand, so that it can say what no library would: for the
 * tests of hostile and broken clients. Blocking sockets with the rig's patience. Main thread only;
 * a failed exchange fails the test.
 */
#ifndef TESTS_RAW_H
#define TESTS_RAW_H

#include "tests/rig.h"
#include "wire/wire.h"

#define RAW_BODY_MAX  (1u << 20)
#define RAW_ITEMS_MAX 64u

struct raw {
    int fd;
    bool slow; /* raw_send gives the system one byte at a time */
    uint64_t next_correlation;
    struct frame_header header; /* of the frame received last */
    unsigned char *body;
    struct ack_item items[RAW_ITEMS_MAX]; /* received, not asked for yet */
    uint32_t item_count;
    uint16_t topic;    /* of raw_publish_open */
    uint64_t session;  /* all ones: none */
    uint64_t position; /* of the session's opening */
    uint8_t acks;
};

/* A batch, and what its PRODUCE frame says of it; a test bends either. */
struct raw_batch {
    struct frame_header frame;
    unsigned char bytes[8192];
    uint32_t byte_count;
};

struct raw *raw_open(struct rig *rig, uint32_t node);
/* From an address of this host, in host order, such as 127.0.0.2. */
struct raw *raw_open_from(struct rig *rig, uint32_t node, uint32_t source);
/* orderly, or at once with a reset */
void raw_close(struct raw *raw, bool reset);

void raw_send(struct raw *raw, const void *bytes, size_t count);
/* Sends a frame with a right header; returns its correlation. */
uint64_t raw_frame(struct raw *raw, uint8_t type, const void *body, uint32_t body_bytes);
/* True with the next frame in raw->header and raw->body, false at the end of the connection. */
bool raw_receive(struct raw *raw);
/* The next frame but ACK and DELIVER ones must be of this type. */
void raw_expect(struct raw *raw, uint8_t type);
/* The next frame must be this error, with a text that contains `text` (NULL: any). */
void raw_expect_error(struct raw *raw, int code, const char *text);
/* The broker closes the connection, after at most what is under way. */
void raw_expect_end(struct raw *raw);

/* The next frame is an error; returns its code. */
int raw_error(struct raw *raw, struct error *err);

void raw_hello(struct raw *raw);
/* A number of the broker's own table. */
uint64_t raw_status(struct raw *raw, const char *name);
struct topic_info raw_describe(struct raw *raw, const char *topic);
/* Opens a session (orders 5) and PUBLISH_OPEN, or only the latter. */
void raw_publish_open(struct raw *raw, const char *topic, uint8_t acks);
/* The same for a session that another connection opened. */
void raw_publish_join(struct raw *raw, const struct raw *opener);
/* A batch of `messages` small messages at that sequence of the session. */
void raw_batch_make(const struct raw *raw, uint64_t sequence, uint32_t messages,
                    struct raw_batch *batch);
/* Sends it under a correlation of its own, which is returned. */
uint64_t raw_produce(struct raw *raw, struct raw_batch *batch);
/* The first `count` bytes of its frame and body alone. */
void raw_produce_part(struct raw *raw, struct raw_batch *batch, size_t count);
/* Whether a session has ended, as node `node` sees it. */
bool raw_session_has_ended(struct rig *rig, uint32_t node, uint16_t topic, uint64_t session);
/* Waits for the answer to a PRODUCE. */
struct ack_item raw_ack(struct raw *raw, uint64_t correlation);
/* Sends it, and again whenever it is answered RETRY, until it has its outcome. */
struct ack_item raw_settle(struct raw *raw, struct raw_batch *batch);
/* Recomputes a batch's checksum after it was bent. */
void raw_batch_seal(struct raw_batch *batch);

#endif

/*
 * Frames between clients and brokers, little-endian. Every frame is a 64-byte header, one cache
 * line, and a body of `body_bytes`:
 *
 *    0 magic:4 "EMB1"   4 body_bytes:4   8 type:1   9 version:1   10 flags:2   12 crc:4
 *   16 correlation:8 (an answer carries its request's)            24 by type:40
 *
 *   PRODUCE   24 session:8  32 client_sequence:8  40 max_timestamp_ms:8  48 topic:2  50 acks:1
 *             51 zero:1     52 message_count:4    56 zero:8               body: the batch
 *   DELIVER   24 session:8  32 client_sequence:8  40 base_offset:8        48 position:8
 *             56 message_count:4  60 subscription:4                       body: the batch
 *   others    24 zero:40                                                  body: fields, below
 *
 * The header's CRC32C covers its 64 bytes with the crc field zero. Numbers in bodies are
 * little-endian, strings are a 2-byte length and bytes. No input is trusted: decoders return
 * EMB_ERR_PROTOCOL (or VERSION) with the field and its value; trailing bytes are an error.
 * Pure functions on caller's memory. Golden bytes: docs/formats.md.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/topic.h"

#define FRAME_HEADER_BYTES      64u
#define FRAME_MAGIC             0x31424d45u /* "EMB1" */
#define FRAME_VERSION           1
#define FRAME_MAX_BODY_BYTES    (16u << 20)  /* PRODUCE, and all that a broker sends */
#define FRAME_MAX_CONTROL_BYTES (256u << 10) /* the others, to a broker */
#define HOST_NAME_MAX_BYTES     253

enum frame_type {
    FRAME_HELLO = 1,          /* body: hello              -> HELLO_OK */
    FRAME_HELLO_OK = 2,       /* body: hello_ok */
    FRAME_ERROR = 3,          /* body: status:2, text     the answer to any request; a session error
                                 that ends the connection has correlation 0 */
    FRAME_OK = 4,             /* body: position:8         done, and known from that position on */
    FRAME_TOPIC_CREATE = 5,   /* body: name, settings  -> TOPIC_OK */
    FRAME_TOPIC_DESCRIBE = 6, /* body: name            -> TOPIC_OK */
    FRAME_TOPIC_DELETE = 7,   /* body: name            -> OK */
    FRAME_TOPIC_LIST = 8,     /* body: none            -> TOPIC_LIST_OK */
    FRAME_TOPIC_OK = 9,       /* body: topic_info */
    FRAME_TOPIC_LIST_OK = 10, /* body: count:4, topic_info... */
    FRAME_SESSION_OPEN = 11,  /* body: topic:2, after_position:8 -> SESSION_OK (orders 4, 5 only) */
    FRAME_SESSION_OK = 12,    /* body: session:8, position:8 */
    FRAME_SESSION_CLOSE = 13, /* body: session:8       -> OK */
    FRAME_PUBLISH_OPEN = 14,  /* body: publish_open    -> OK; what PRODUCE frames of this connection
                                 then belong to; a connection has at most one */
    FRAME_PRODUCE = 15,       /* -> an item of an ACK frame, unless acks is 0 */
    FRAME_ACK = 16,           /* body: ack items */
    FRAME_SUBSCRIBE = 17,    /* body: subscribe       -> SUBSCRIBE_OK, then DELIVER frames; replaces
                                the connection's earlier subscription */
    FRAME_SUBSCRIBE_OK = 18, /* body: topic_info, next_offset:8 (the first to be delivered) */
    FRAME_DELIVER = 19,
    FRAME_UNSUBSCRIBE = 20, /* body: none              -> OK, after which nothing is delivered */
    FRAME_STATUS = 21,      /* body: none              -> STATUS_OK */
    FRAME_STATUS_OK = 22,   /* body: count:4, status items */
    FRAME_TYPE_END
};

struct frame_header {
    uint32_t body_bytes;
    uint8_t type;
    uint16_t flags; /* zero in this version */
    uint64_t correlation;
    uint64_t session;          /* PRODUCE, DELIVER */
    uint64_t client_sequence;  /* PRODUCE, DELIVER */
    uint64_t max_timestamp_ms; /* PRODUCE */
    uint64_t base_offset;      /* DELIVER */
    uint64_t position;         /* DELIVER */
    uint32_t message_count;    /* PRODUCE, DELIVER */
    uint32_t subscription;     /* DELIVER */
    uint16_t topic;            /* PRODUCE */
    uint8_t acks;              /* PRODUCE: 0, 1, 2 */
};

void frame_header_write(void *to_64_bytes, const struct frame_header *header);
/* EMB_ERR_PROTOCOL: magic, CRC, unknown type, body too large for its type, a reserved field that
   is not zero; EMB_ERR_VERSION: another version (its number and ours). */
int frame_header_read(const void *from_64_bytes, struct frame_header *header, struct error *err);
const char *frame_type_name(uint8_t type);

/* ---- bodies ------------------------------------------------------------------------------------
 * A writer or reader keeps its first error and does nothing after it, so that a codec is a list of
 * fields with one check at the end.
 */
struct wire_writer {
    unsigned char *bytes;
    size_t capacity;
    size_t used;
    bool overflow;
};
void wire_writer_init(struct wire_writer *w, void *bytes, size_t capacity);
void wire_put_u8(struct wire_writer *w, uint8_t value);
void wire_put_u16(struct wire_writer *w, uint16_t value);
void wire_put_u32(struct wire_writer *w, uint32_t value);
void wire_put_u64(struct wire_writer *w, uint64_t value);
void wire_put_text(struct wire_writer *w, const char *text);

struct wire_reader {
    const unsigned char *bytes;
    size_t count;
    size_t at;
    int code; /* EMB_OK or the first error */
    struct error *err;
};
void wire_reader_init(struct wire_reader *r, const void *bytes, size_t count, struct error *err);
uint8_t wire_get_u8(struct wire_reader *r, const char *field);
uint16_t wire_get_u16(struct wire_reader *r, const char *field);
uint32_t wire_get_u32(struct wire_reader *r, const char *field);
uint64_t wire_get_u64(struct wire_reader *r, const char *field);
/* A byte of 0 to `last`; more is an error, and 0. */
uint8_t wire_get_choice(struct wire_reader *r, const char *field, uint8_t last);
/* Copies and terminates; longer than capacity - 1, or a zero byte inside, is an error. */
void wire_get_text(struct wire_reader *r, const char *field, char *text, size_t capacity);
/* Makes this the first error (EMB_ERR_PROTOCOL) unless there is one. */
void wire_reader_fail(struct wire_reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The first error, or EMB_ERR_PROTOCOL if bytes are left. */
int wire_reader_end(struct wire_reader *r);

/* ---- structures in bodies -------------------------------------------------------------------- */

struct topic_info {
    char name[TOPIC_NAME_MAX + 1];
    uint16_t id;
    struct topic_settings settings;
    uint64_t position;       /* of its creation */
    uint64_t first_offset;   /* the oldest that can be read */
    uint64_t next_offset;    /* after the newest that is ordered */
    uint64_t durable_offset; /* after the newest that is durable */
};

struct hello {
    char client_name[64];
};

struct hello_ok {
    uint32_t node;
    uint32_t life;
    uint32_t max_batch_bytes;
    uint32_t max_message_bytes;
    uint32_t broker_count;
    struct broker_address {
        uint32_t node;
        char host[HOST_NAME_MAX_BYTES + 1];
        uint16_t port;
    } brokers[32];
};

struct publish_open {
    uint16_t topic;
    uint64_t session; /* all ones for orders 0-2 */
    uint8_t acks;
    uint64_t after_position; /* the broker answers once it has read the log up to there */
};

enum subscribe_start {
    START_EARLIEST = 0,
    START_LATEST = 1,
    START_OFFSET = 2,
    START_TIMESTAMP = 3
};
enum read_level { READ_DURABLE = 0, READ_LATEST = 1 };

struct subscribe {
    char topic[TOPIC_NAME_MAX + 1];
    uint8_t start;         /* enum subscribe_start */
    uint64_t value;        /* offset, or ms since 1970 */
    uint8_t level;         /* enum read_level */
    uint32_t subscription; /* the client's number; DELIVER frames carry it */
    uint64_t after_position;
};

#define ACK_ITEM_BYTES 24u
struct ack_item {
    uint64_t correlation; /* of the PRODUCE frame */
    uint64_t base_offset; /* all ones: not known (order 0 at level 1, an old duplicate) */
    int status;           /* EMB_OK or EMB_ERR_*; on the wire 2 bytes positive */
    bool duplicate;
};

/* One value of a table: table "lane", row 3, name "chain", text "0,1". */
struct status_item {
    char table[16];
    uint32_t row;
    char name[32];
    bool is_text;
    uint64_t number;
    char text[256];
};

void hello_put(struct wire_writer *w, const struct hello *hello);
void hello_get(struct wire_reader *r, struct hello *hello);
void hello_ok_put(struct wire_writer *w, const struct hello_ok *ok);
void hello_ok_get(struct wire_reader *r, struct hello_ok *ok);
void topic_settings_put(struct wire_writer *w, const struct topic_settings *settings);
void topic_settings_get(struct wire_reader *r, struct topic_settings *settings);
void topic_info_put(struct wire_writer *w, const struct topic_info *info);
void topic_info_get(struct wire_reader *r, struct topic_info *info);
void publish_open_put(struct wire_writer *w, const struct publish_open *open);
void publish_open_get(struct wire_reader *r, struct publish_open *open);
void subscribe_put(struct wire_writer *w, const struct subscribe *subscribe);
void subscribe_get(struct wire_reader *r, struct subscribe *subscribe);
void ack_item_put(struct wire_writer *w, const struct ack_item *item);
void ack_item_get(struct wire_reader *r, struct ack_item *item);
void status_item_put(struct wire_writer *w, const struct status_item *item);
void status_item_get(struct wire_reader *r, struct status_item *item);
/* status:2 and text, as FRAME_ERROR carries them; *code becomes EMB_ERR_*. */
void error_put(struct wire_writer *w, int code, const char *text);
void error_get(struct wire_reader *r, struct error *error);

#endif

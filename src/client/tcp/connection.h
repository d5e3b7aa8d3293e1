/*
 * One connection to a broker: connects, greets, cuts what arrives into frames and sends frames.
 * Everything happens in connection_work and connection_receive; the poller's handler only marks the
 * socket. Writer and reader: the one thread of its poller. It lies in its owner's memory, between
 * connection_start and connection_stop. Design: 3-protocol, src/wire/wire.h.
 */
#ifndef CLIENT_TCP_CONNECTION_H
#define CLIENT_TCP_CONNECTION_H

#include "base/error.h"
#include "env/env.h"
#include "wire/wire.h"

/* At most so long a broker may be silent that is asked for a sign of life. */
#define CONNECTION_PATIENCE_NS 2000000000ull

struct address {
    char host[HOST_NAME_MAX_BYTES + 1];
    uint16_t port;
};

enum connection_state {
    CONNECTION_NONE = 0,
    CONNECTION_CONNECTING,
    CONNECTION_GREETING, /* HELLO is sent */
    CONNECTION_UP,
    CONNECTION_DOWN, /* connection.error says why */
};

/* A PRODUCE frame under way. Its memory and its batch belong to the publisher and stay until the
   outcome; the fields below `owner` to the connection and the publishing core. */
struct outgoing {
    unsigned char frame[FRAME_HEADER_BYTES];
    const void *bytes; /* the batch */
    size_t byte_count;
    uint64_t correlation;
    int stripe; /* the connection it must take, or -1: any */

    struct outgoing *next;  /* in the connection's queue */
    struct outgoing *later; /* in the core's list of what is in flight */
    uint64_t resend_at_ns;  /* 0: not waiting */
    uint32_t tries;
    uint32_t connection; /* index */
    bool queued;         /* not all of it was handed to the socket yet */
    bool answered;       /* by `answer`, before it was all sent */
    struct ack_item answer;
};

struct connection_events {
    void *arg;
    /* Memory for the body of this DELIVER frame, or NULL: stop reading until connection_resume.
       NULL here: DELIVER frames are a protocol error. */
    void *(*memory)(void *arg, const struct frame_header *header);
    /* All bytes of it were handed to the socket. */
    void (*sent)(void *arg, struct outgoing *outgoing);
};

struct connection {
    enum connection_state state;
    struct error error;
    struct address address;
    char name[HOST_NAME_MAX_BYTES + 9]; /* "host:port" for errors */
    const char *client_name;
    struct connection_events events;
    struct env_socket *socket;
    struct hello_ok *rack; /* once up */

    bool readable; /* as the poller said last */
    bool writable;
    bool stalled;   /* no memory for a body: not reading */
    bool send_lost; /* sending failed: what was received before is read, then it is DOWN */

    bool in_body;
    struct frame_header header; /* of the frame being received */
    unsigned char *body;
    size_t body_received;
    unsigned char *own_body; /* for frames without memory of the owner's */
    size_t own_body_bytes;
    unsigned char *ahead; /* bytes received beyond the frame */
    size_t ahead_at;
    size_t ahead_end;
    size_t ahead_wanted; /* how much to receive beyond the frame */
    uint64_t received_bytes;

    unsigned char *control; /* control frames to be sent */
    size_t control_at;
    size_t control_end;
    size_t control_bytes;
    struct outgoing *first; /* queue of batches to be sent */
    struct outgoing *last;
    size_t first_sent; /* bytes of `first` that are sent, its frame header included */
};

/*
 * Until when a broker that was turned to now may take to be UP, with so many others to turn to by
 * deadline_ns: a fair part of that time, at most CONNECTION_PATIENCE_NS, and all of it for the last
 * one. A process that is stopped, or a host that is gone, is connected to and never answers.
 */
uint64_t connection_patience(uint64_t now_ns, uint64_t deadline_ns, uint32_t others);

/* Ends one that was not UP in time, as UNAVAILABLE. */
void connection_late(struct connection *c);

/* Starts to connect; the state says how it went (DOWN at once when that was not possible).
   client_name must stay. */
void connection_start(struct connection *c, struct env_poller *poller,
                      const struct address *address, const char *client_name,
                      const struct connection_events *events);
/* Closes the socket and frees what the connection holds; batches in its queue are forgotten.
   `reset`: what is not sent is dropped. Any state, also twice. */
void connection_stop(struct connection *c, bool reset);

/* Goes on connecting and greeting, sends what is to be sent; returns the work done. Afterwards the
   owner looks at the state and, when UP, receives. */
int connection_work(struct connection *c);

/*
 * 1: a whole frame, *body its header->body_bytes, which belong to whom events.memory took them from
 * or stay until the next call; 0: no whole frame now; negative: DOWN.
 */
int connection_receive(struct connection *c, struct frame_header *header, void **body);
/* There may be memory again. */
void connection_resume(struct connection *c);

/* Copies a control frame to what is to be sent. */
void connection_send(struct connection *c, uint8_t type, uint64_t correlation, const void *body,
                     size_t body_bytes);
/* Sends HELLO. Brokers answer it at any time: who is UP hears by it whether they live. */
void connection_ping(struct connection *c);
/* Appends a batch to the queue. */
void connection_queue(struct connection *c, struct outgoing *outgoing);
/* Puts a batch before all that is not yet begun. */
void connection_queue_first(struct connection *c, struct outgoing *outgoing);
/* Whether a batch is sent in part: then its bytes must stay, or the connection be reset. */
bool connection_is_amid_batch(const struct connection *c);

/* Ends it for a reason that its owner found. Returns code. */
int connection_fail(struct connection *c, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Reads the body of an ERROR frame, with the broker's address before its text. Returns the code. */
int connection_error_get(struct connection *c, const struct frame_header *header, const void *body,
                         struct error *err);

#endif

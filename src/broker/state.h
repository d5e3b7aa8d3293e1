/*
 * The broker's own structures, shared by the files of this folder and by nobody else. One thread.
 * A connection is named by its id (generation and place), never by pointer, where it may be gone
 * by the time it is looked for.
 */
#ifndef BROKER_STATE_H
#define BROKER_STATE_H

#include "base/bits.h"
#include "base/ring.h"
#include "batch/batch.h"
#include "broker/broker.h"
#include "broker/inflight.h"
#include "broker/list.h"
#include "broker/peers.h"
#include "broker/pending.h"
#include "broker/places.h"
#include "broker/pressure.h"
#include "broker/slots.h"
#include "region/blog.h"

#define SCRATCH_BYTES           (256u << 10) /* where refused payloads go */
#define RECV_BYTES              (1u << 20)  /* of one receive, and of one connection in one cycle */
#define FRAMES_PER_CYCLE        64          /* of one connection, either way */
#define ANSWER_BYTES            (64u << 10) /* to one connection in one cycle */
#define OUTPUT_MAX_BYTES        (1u << 20)  /* beyond, a connection's requests wait */
#define CONTROL_OWN_BYTES       512u        /* no request that makes sense has more */
#define CONTROL_TOTAL_BYTES     (64u << 20) /* bodies beyond that, all connections together */
#define WAITERS_PER_CYCLE       256         /* of those that wait for a position */
#define PIN_ASKS_PER_CHECK      64          /* each is a call of the system */
#define SENDFILE_MIN_BYTES      (16u << 10)
#define REQUESTS_PER_CONNECTION 8
#define CLOSING_NS              200000000ULL /* for the peer to read the error that ends it */
#define REFUSED_MAX             64 /* connections that are being told why they are refused */
#define ACCEPT_AGAIN_NS         10000000ULL /* after there was no descriptor for one */
#define PATIENCE_SCAN_NS        50000000ULL
#define SLOWEST_NS_PER_BYTE     15258 /* 64 KiB/s: a slower peer is out of time, one day */
#define WAIT_SCAN_NS            10000000ULL
#define PIN_CHECK_NS            1000000ULL /* the kernel is asked about unacknowledged bytes */
#define STALL_SCAN_NS           100000000ULL
#define RETRY_RING_NS           500000ULL   /* a pause this old asks for RETRY: the ring, */
#define RETRY_BYTES_NS          5000000ULL  /* and the segments */
#define REQUEST_AGAIN_NS        20000000ULL /* between tries of a request answered UNAVAILABLE */
#define REQUEST_TRIES           150
#define DELIVER_HEAD_BYTES      (FRAME_HEADER_BYTES + BATCH_HEADER_BYTES)
#define SEGMENTS_RESERVED       4 /* of a shared pool: not the brokers' */
#define SEGMENTS_MIN            3

/* What a step of a connection's input ended with. */
enum step {
    STEP_AGAIN,  /* go on with the next */
    STEP_BYTES,  /* more bytes are needed */
    STEP_WAIT,   /* input.wait says for what */
    STEP_CLOSED, /* nothing more is read: closing or broken */
};

enum input_state {
    INPUT_HEADER,
    INPUT_CONTROL, /* the body of a request, and the request itself while it waits */
    INPUT_ADMIT,   /* a PRODUCE header that waits for room */
    INPUT_PAYLOAD, /* into the BLog */
    INPUT_PUBLISH, /* a whole payload that waits for a slot */
    INPUT_DISCARD, /* a refused payload is read away */
};

enum wait_reason {
    WAIT_NONE,
    WAIT_ROOM,     /* back-pressure */
    WAIT_SLOT,     /* payload complete, ring full */
    WAIT_POSITION, /* the lane is not granted, or the log is not read far enough */
    WAIT_REQUESTS, /* too many requests of its own under way */
};

struct input {
    enum input_state state;
    enum wait_reason wait;
    uint64_t wait_until_ns;                   /* WAIT_POSITION: then it fails; 0: not begun */
    unsigned char header[FRAME_HEADER_BYTES]; /* of the frame after the one in `frame` */
    uint32_t header_have;
    uint32_t body_have;
    struct frame_header frame;
    int discard_status;
    unsigned char *control; /* own_control, or allocated */
    unsigned char own_control[CONTROL_OWN_BYTES];
    struct blog_space space;
    uint64_t payload_ns; /* INPUT_PAYLOAD: since when */
    uint64_t until_ns;   /* when the rest of a frame must have come; 0: none is awaited */
};

/* Frames that wait to be sent: bytes at..used. */
struct output {
    unsigned char *bytes;
    size_t capacity;
    size_t at;
    size_t used;
};

struct publishing {
    bool open;
    uint16_t topic;
    uint8_t acks;
    uint8_t order;
    uint64_t session;
    struct meta_request *lost; /* made ahead, so that losing the connection needs no memory */
};

/* A subscription, and the DELIVER frame under way, which outlives it. */
struct delivery {
    bool subscribed;
    uint16_t topic;
    uint8_t level; /* enum read_level */
    uint32_t subscription;
    uint64_t correlation; /* of its SUBSCRIBE: what ends it is told under this */
    uint64_t next_offset;
    uint64_t next_position; /* of the batch that holds it; NO_POSITION: to be looked for */
    uint64_t read_first;    /* a SUBSCRIBE waits until the log was read below it; 0: none does */
    uint64_t last_position; /* of the batch before; NO_POSITION: none was sent yet */

    bool sending;
    bool by_file;
    uint32_t bytes; /* of the batch */
    uint32_t sent;  /* of frame header and batch */
    uint64_t position;
    struct goi_entry_shared entry;
    const unsigned char *payload;
    unsigned char head[DELIVER_HEAD_BYTES]; /* header and private copy of the batch's header */

    struct inflight inflight;
    uint64_t wanted_ns; /* since when the owner of the oldest pinned segment wants it; 0: not */
};

struct connection {
    struct broker *broker;
    uint64_t id;
    struct env_socket *socket;
    struct list all_link;
    struct list ready_link;   /* has something to do */
    struct list wait_link;    /* input waits: the list of its reason */
    struct list ack_link;     /* has ack items */
    struct list deliver_link; /* broker.delivering, broker.tail_due, or a topic's tail */
    struct list pin_link;     /* pins a position */
    struct list receive_link; /* in mid-payload */
    struct list owing_link;   /* its peer has to send or take bytes in time */
    bool readable;
    bool writable;
    bool watch_readable; /* what the poller was told */
    bool watch_writable;
    bool heard;   /* a first frame came */
    bool broken;  /* to be closed in its next turn */
    bool closing; /* an error was sent: reads away until closing_ns */
    uint64_t closing_ns;
    struct peer *peer;   /* NULL: was refused, and does not count */
    char name[64];       /* as its client calls itself, in printable ASCII */
    uint64_t active_ns;  /* bytes went either way */
    uint64_t take_until; /* answers wait: when it must have taken some; 0: none do */
    uint32_t requests;   /* META requests under way */
    uint64_t sent_bytes;
    struct input input;
    struct output output;
    struct ring acks; /* struct ack_item */
    struct publishing publishing;
    struct delivery delivery;
};

/* A META batch on its way: in broker.requests until published, then named by its slot, then by the
   queue of answers. */
struct meta_request {
    struct list link;    /* in broker.requests, or alone */
    uint64_t connection; /* 0: nobody waits for the answer */
    uint64_t correlation;
    uint64_t not_before_ns;
    uint32_t tries;
    uint8_t frame; /* enum frame_type; 0: the broker's own */
    struct meta_record record;
    struct outcome outcome;
};

struct lane {
    bool open;
    bool lost;          /* another incarnation has it, or the node was declared dead */
    bool dirty;         /* published since the last drain */
    bool short_of_room; /* the last batch found no place */
    uint32_t index;
    uint32_t generation;
    struct segment_source source;
    struct blog blog;
    struct slot_ring slots;
    uint64_t retry_below;   /* as published */
    uint64_t last_position; /* of an outcome */
};

struct leaving {
    enum broker_leave state;
    uint64_t since_ns;
    bool closed; /* the connections are being closed */
    bool asked;
    bool sealed;  /* the slot that says so is published: its segments may be another's by now */
    bool outside; /* the log says that it has left, as read up to outside_position */
    uint64_t outside_position;
    int reason;
};

struct broker {
    struct broker_options options; /* pointers to strings are NULL */
    struct follower *follower;
    struct region *region;
    struct env_socket *listener;
    bool accept_ready;
    uint64_t now_ns;
    int work;

    struct lane lane;
    struct leaving leave;
    struct pressure pressure;
    struct pending_queue pending;
    struct list requests; /* to be published, oldest first */
    unsigned char *scratch;
    uint64_t control_bytes;

    uint64_t accept_again_ns; /* not before; 0: now */
    uint64_t seen_accept_failures;
    struct places places;
    struct peer_table peers;
    uint32_t refused_now; /* connections that are being told why they are refused */
    struct list all;      /* those that said nothing longest first */
    struct list ready;
    struct list room_waiters;
    struct list slot_waiters;
    struct list position_waiters;
    struct list waiters_due; /* of those: are yet to be looked at in this pass */
    struct list acking;
    struct list delivering;
    struct tail *tail_of_topic; /* tails.c; by id - 1 */
    struct list tails;
    struct list tail_due;
    struct list pinned;
    struct list receiving;
    struct list owing;

    uint64_t seen_position;   /* as of the last cycle */
    uint64_t waited_position; /* as of the last pass over those that wait for one */
    uint64_t seen_durable;
    uint64_t wait_scan_ns; /* next */
    uint64_t stall_scan_ns;
    uint64_t patience_scan_ns;
    uint64_t pin_check_ns;
    uint64_t reading; /* what follower_reading was told */
    struct broker_counters counters;
};

/* ---- connection.c ---------------------------------------------------------------------------- */

int connections_listen(struct broker *b, const struct broker_options *options, struct error *err);
void connections_accept(struct broker *b);
/* No other is accepted, and who waits for that does not wake the node. */
void connections_accept_no_more(struct broker *b);
struct connection *connection_find(struct broker *b, uint64_t id); /* NULL: gone */
void connection_close(struct connection *c, bool reset);
/* To be closed in its next turn: safe wherever pointers to it are held. */
void connection_break(struct connection *c);
void connection_ready(struct connection *c);
/* A turn of its own: input, output, interest. May close it. */
void connection_turn(struct connection *c);
void connection_watch(struct connection *c);
/* Nothing that it sends is looked at any more: tells the peer why, and closes when it has had the
   chance to read that. */
void connection_refuse(struct connection *c, const struct error *err);

/* ---- limits.c -------------------------------------------------------------------------------- */

static inline void default_u32(uint32_t *value, uint32_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
}
void limits_complete(struct broker_limits *limits);
int limits_check(const struct broker_limits *limits, struct error *err);
/* Whether the connection may take so many bytes of memory more; if not, *err (may be NULL) says
   what it has. */
bool memory_allows(const struct connection *c, size_t more, struct error *err);

/* ---- patience.c ------------------------------------------------------------------------------ */

/* Whether the peer owes bytes, or owes to take some, after a turn. */
void patience_note(struct connection *c);
/* Bytes came, or were taken: that much more time. */
void patience_received(struct connection *c, size_t bytes);
void patience_sent(struct connection *c, size_t bytes);
/* Ends those whose time is over. */
void patience_scan(struct broker *b);

/* ---- input.c --------------------------------------------------------------------------------- */

enum step input_run(struct connection *c);
enum step input_wait(struct connection *c, enum wait_reason reason);
void input_resume(struct connection *c);
void input_next_frame(struct connection *c);
void input_release(struct connection *c);
/* A frame that nothing can follow: tells the peer and closes. */
enum step input_refuse(struct connection *c, const struct error *err);
void input_drain(struct connection *c);

/* ---- output.c -------------------------------------------------------------------------------- */

/* Room for a frame of at most body_bytes; false: memory is out, the connection is broken. Where
   that may be the client's doing, frame_fits is asked first: it says so in *err. */
bool frame_fits(const struct connection *c, size_t body_bytes, struct error *err);
bool frame_begin(struct connection *c, size_t body_bytes, struct wire_writer *w);
void frame_end(struct connection *c, struct wire_writer *w, uint8_t type, uint64_t correlation);
void answer_error(struct connection *c, uint64_t correlation, const struct error *err);
void answer_ok(struct connection *c, uint64_t correlation, uint64_t position);
/* Sends what it can; a DELIVER frame under way first. true: all is sent. */
bool output_flush(struct connection *c);
static inline size_t output_waiting(const struct connection *c)
{
    return c->output.used - c->output.at;
}
/* Beyond so many bytes that wait its requests wait, too: well before its memory is used up. */
static inline bool output_is_full(const struct connection *c)
{
    uint64_t half = c->broker->options.limits.client_memory_bytes / 2;
    return output_waiting(c) >= min_u64(OUTPUT_MAX_BYTES, half);
}
/* env_send with the connection's bookkeeping; bytes sent, 0 when it would block or broke. */
size_t connection_transmit(struct connection *c, const struct iovec *iov, int count, bool more);
/* The same for the result of another send call. */
size_t connection_sent(struct connection *c, ssize_t result);

/* ---- lane.c ---------------------------------------------------------------------------------- */

void lane_refresh(struct broker *b); /* opens, loses, sets the quota */
void lane_free(struct broker *b);
bool lane_reserve(struct broker *b, uint32_t bytes, bool meta, struct blog_space *space);
/* Fills payload, broker, epoch; there must be room in the ring. */
void lane_publish(struct broker *b, struct pbr_entry_shared *entry, const struct blog_space *space,
                  uint32_t bytes, const struct lane_slot *slot);
void lane_reclaim(struct broker *b);
void lane_pressure(struct broker *b);
void lane_finish(struct broker *b); /* the group's drain, and retry_below */

/* ---- ingest.c -------------------------------------------------------------------------------- */

enum step ingest_admit(struct connection *c);
enum step ingest_publish(struct connection *c);
enum step ingest_discarded(struct connection *c);
void ingest_resume(struct broker *b);
void ingest_scan_stalled(struct broker *b);

/* ---- ack.c ----------------------------------------------------------------------------------- */

void outcomes_take(struct broker *b);
void answers_take(struct broker *b); /* those that became durable */
void ack_give(struct broker *b, uint64_t connection, const struct ack_item *item);
void acks_flush(struct broker *b);

/* ---- request.c ------------------------------------------------------------------------------- */

/* EMB_ERR_NO_MEMORY; the request is answered under the frame's correlation. */
int request_begin(struct connection *c, const struct meta_record *record);
void request_queue(struct broker *b, struct meta_request *request);
/* One that no client asked for; false: no memory now. */
bool request_own(struct broker *b, const struct meta_record *record);
void requests_publish(struct broker *b);
void request_outcome(struct broker *b, struct meta_request *request, const struct outcome *outcome);
void request_answer(struct broker *b, struct meta_request *request);
struct meta_request *request_session_lost(uint64_t session);
/* The broker's own end of a session that nobody publishes any more; takes the request. */
void request_lose_session(struct broker *b, struct meta_request *lost);

/* ---- leave.c --------------------------------------------------------------------------------- */

void leave_work(struct broker *b);
void leave_refused(struct broker *b, int reason);
static inline bool is_leaving(const struct broker *b)
{
    return b->leave.state != BROKER_STAYS;
}

/* ---- control.c, subscribe.c ------------------------------------------------------------------ */

enum step control_dispatch(struct connection *c);
/* Whether the log is read beyond a position (all ones: none is asked for). If not, *step is what
   the request ends with for now: STEP_WAIT, or STEP_AGAIN when it took too long and was answered
   so. */
bool control_position_passed(struct connection *c, uint64_t after_position, enum step *step);
/* Whether the body was decoded; if not, the request has been answered. */
bool control_decoded(struct connection *c, struct wire_reader *r);
static inline bool topic_is_live(const struct meta_topic *topic)
{
    return topic->id != 0 && !topic->deleted;
}
/* EMB_OK: the connection publishes nothing (any more) that stands in the way of something else. */
int publishing_may_change(const struct connection *c, struct error *err);
void topic_info_fill(struct broker *b, const struct meta_topic *topic, struct topic_info *info);
enum step subscribe_request(struct connection *c, struct wire_reader *r);
enum step unsubscribe_request(struct connection *c, struct wire_reader *r);

/* ---- deliver.c ------------------------------------------------------------------------------- */

void deliver_wake(struct connection *c);
void deliver_work(struct broker *b);
/* Sends the rest of the frame under way. true: there is none (any more). */
bool deliver_finish_frame(struct connection *c);
void deliver_end(struct connection *c); /* the subscription; a frame half sent is finished */
uint64_t deliver_limit(struct broker *b, uint8_t level);

/* ---- tails.c --------------------------------------------------------------------------------- */

int tails_init(struct broker *b);
void tails_free(struct broker *b);
/* The connection has what there is: it is woken when there may be more. */
void tail_wait(struct connection *c);
/* `moved`: the position or D, since the last call. */
void tails_wake(struct broker *b, bool moved);

/* ---- pins.c ---------------------------------------------------------------------------------- */

/* Before the payload at position is opened (edge B5). */
void pin_open(struct connection *c, uint64_t position);
/* Whether the system still sends bytes of this connection out of the region itself: closed in order
   it would go on to do so, and nothing would pin them. */
bool pin_is_held(struct connection *c);
/* Lowers what this node pins to what is still in flight; resets those who hold memory too long. */
void pins_refresh(struct broker *b);

#endif

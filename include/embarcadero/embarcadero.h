/*
 * The public interface of libembarcadero: the client side of the Embarcadero shared log.
 *
 *   struct emb_client_options options;
 *   struct emb_client *client;
 *   struct emb_error err;
 *   emb_client_options_init(&options);
 *   if (emb_client_open(&options, &client, &err) != EMB_OK)
 *       fprintf(stderr, "%s\n", err.text);
 *
 * Results. Functions that can fail return EMB_OK (0) or a negative EMB_ERR_* of errors.h, and fill
 * *err (which may be NULL) with the same code and a sentence that names the thing, the value and
 * what would be accepted. Functions that hand something out return 1 when there was something and
 * 0 when there was nothing within their time: "not yet" is no error. What an `Errors` line names is
 * what a program may act upon; beside it every call may return NO_MEMORY, NOT_SUPPORTED (see Fork
 * and Callbacks) and what a broker of a later version says. errno is left undefined.
 *
 * Threads. A client, a publisher: any thread at any time, but for their close, which must be the
 * last call. A subscriber: one thread at a time, and emb_subscriber_wake from any. Each client owns
 * one thread for its input and output, which also looks up names of brokers.
 *
 * Callbacks. A publisher's run in the client's thread, that of emb_status in the caller's. They
 * must not block: nothing else of that client moves meanwhile. A publisher's may call emb_publish,
 * which then never waits, and emb_publisher_stats. Calls that would wait for the thread they are in
 * are refused with NOT_SUPPORTED; emb_subscriber_close must not be called there.
 *
 * Fork. A client and all that was opened with it belong to the process that opened it, where they
 * go on as before; fork() waits for the client's thread to end its turn. In the child every call
 * that can fail returns NOT_SUPPORTED; emb_client_rack, emb_client_brokers, emb_publisher_stats and
 * emb_subscriber_position tell how it was at the fork. The closes return EMB_OK, free the child's
 * memory and close its descriptors: no broker and no callback hears of it (in order: publishers and
 * subscribers, then the client). The child may open clients of its own. Two limits: a subscriber
 * that another thread was reading at the moment of the fork must not be closed in the child, and a
 * child that was made inside a callback must only exec or _exit. Descriptors are closed by exec.
 *
 * Signals. The library's thread blocks all signals and no handler is installed; a caller that a
 * signal interrupts goes on waiting. No SIGPIPE is raised.
 *
 * Output. The library writes nothing to the terminal and ends no process, whatever comes from
 * outside. (An internal contract that is broken, a fault of the library itself, is printed to
 * stderr and aborts.) It reads the environment's EMBARCADERO_BROKERS, in emb_client_open.
 *
 * Memory. Handles are opaque and freed by their close. What a function takes is copied before it
 * returns; what it hands out lives as long as its comment says. Text is zero-terminated UTF-8.
 * Pointers to handles and to what is handed out must not be NULL, unless it is said.
 *
 * Units stand in the names. A timeout of 0 looks only, EMB_FOREVER never ends. Option structs are
 * filled with defaults by their _init, after which single members are changed.
 */
#ifndef EMBARCADERO_EMBARCADERO_H
#define EMBARCADERO_EMBARCADERO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "embarcadero/errors.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define EMB_API __attribute__((visibility("default")))
#else
#define EMB_API
#endif

#define EMB_FOREVER          UINT32_MAX /* as timeout_ms */
#define EMB_OFFSET_UNKNOWN   UINT64_MAX /* as an offset */
#define EMB_ERROR_TEXT_BYTES 320
#define EMB_TOPIC_NAME_BYTES 250 /* with the terminating zero */
#define EMB_HOST_BYTES       254

struct emb_client;     /* a connection to a rack */
struct emb_publisher;  /* publishes to one topic */
struct emb_subscriber; /* reads one topic */

struct emb_error {
    int code; /* EMB_OK or EMB_ERR_* */
    char text[EMB_ERROR_TEXT_BYTES];
};

/* "UNKNOWN_TOPIC" and "unknown topic" of a code; static storage, never NULL. */
EMB_API const char *emb_error_name(int code);
EMB_API const char *emb_error_text(int code);
/* The library's version, "0.1.0"; static storage. */
EMB_API const char *emb_version(void);

/* ---- client ---------------------------------------------------------------------------------- */

struct emb_client_options {
    size_t struct_bytes;
    /* "tcp://host:port,host:port": brokers to ask for the rack's list of brokers, tried in turn.
       Each may have its own tcp://, none needs it; IPv6 addresses in brackets. NULL or empty:
       the environment's EMBARCADERO_BROKERS, else tcp://127.0.0.1:9650. */
    const char *brokers;
    const char *name; /* shown in the brokers' status, at most 63 bytes; NULL: "libembarcadero" */
    uint32_t timeout_ms; /* of a request, an open, a reconnect; default 10,000 */
};

EMB_API void emb_client_options_init_sized(struct emb_client_options *options, size_t bytes);
static inline void emb_client_options_init(struct emb_client_options *options)
{
    emb_client_options_init_sized(options, sizeof *options);
}

/*
 * Connects to the first broker that answers and learns the rack's brokers. Blocks up to timeout_ms;
 * one that is silent is passed over after its share of that, at most 2 s. options may be NULL
 * (defaults).
 *
 * Errors: INVALID_ARGUMENT (an option, an address that cannot be read), UNAVAILABLE (no broker
 * answered, with the last one's address and reason), PROTOCOL and VERSION (something else answered,
 * or a broker of another version), LIMIT (descriptors or threads of this process, connections of
 * the broker).
 */
EMB_API int emb_client_open(const struct emb_client_options *options, struct emb_client **client,
                            struct emb_error *err);
/* Frees the client (NULL: nothing).
   Errors: BUSY (nothing was done: a publisher or a subscriber of it is open). */
EMB_API int emb_client_close(struct emb_client *client, struct emb_error *err);

struct emb_broker {
    uint32_t node;
    uint16_t port;
    char host[EMB_HOST_BYTES];
};

struct emb_rack {
    uint32_t life;                 /* grows when the rack was rebuilt from its stores */
    uint32_t max_batch_bytes;      /* the largest batch a broker takes */
    uint32_t max_message_bytes;    /* the largest message */
    uint32_t broker_count;         /* at most 32 */
    struct emb_broker brokers[32]; /* in the order of their nodes */
};

/* The rack as it was when the client was opened. Does not block. */
EMB_API void emb_client_rack(struct emb_client *client, struct emb_rack *rack);
/* Copies up to `capacity` brokers and returns how many there are. Does not block. */
EMB_API size_t emb_client_brokers(struct emb_client *client, struct emb_broker *brokers,
                                  size_t capacity);

/* ---- topics ---------------------------------------------------------------------------------- */

enum emb_order {
    EMB_ORDER_NONE = 0,          /* a publisher's batches in some order, fastest */
    EMB_ORDER_BROKER = 1,        /* as each broker received them */
    EMB_ORDER_TOTAL = 2,         /* one order, by arrival */
    EMB_ORDER_TOKEN = 3,         /* one order, by tokens taken beforehand */
    EMB_ORDER_CLIENT_BROKER = 4, /* one order that keeps each publisher's order on each broker */
    EMB_ORDER_CLIENT = 5,        /* one order that keeps each publisher's order; the default */
};
enum emb_gap {
    EMB_GAP_FENCE = 0, /* a publisher whose batch is missing is ended; the default */
    EMB_GAP_SKIP = 1,  /* the missing batch is declared lost, the publisher goes on */
};
enum emb_durability {
    EMB_DURABILITY_SYNC = 0,     /* durable is: synced to disk by the replicas; the default */
    EMB_DURABILITY_PERIODIC = 1, /* durable is: copied by the replicas, synced later */
};

struct emb_topic_settings {
    size_t struct_bytes;
    int order;               /* enum emb_order */
    uint32_t replicas;       /* 0-8; default 2 */
    uint32_t min_insync;     /* replicas needed to acknowledge; 0: all */
    int gap;                 /* enum emb_gap */
    int durability;          /* enum emb_durability */
    uint32_t gap_timeout_us; /* 0: the policy's default (fence 15 s, skip 1.5 ms) */
};

EMB_API void emb_topic_settings_init_sized(struct emb_topic_settings *settings, size_t bytes);
static inline void emb_topic_settings_init(struct emb_topic_settings *settings)
{
    emb_topic_settings_init_sized(settings, sizeof *settings);
}

struct emb_topic_info {
    char name[EMB_TOPIC_NAME_BYTES];
    uint16_t id;
    struct emb_topic_settings settings;
    uint64_t first_offset;   /* the oldest that can be read */
    uint64_t next_offset;    /* after the newest that is ordered */
    uint64_t durable_offset; /* after the newest that is durable */
};

/*
 * Each asks a broker and blocks up to the client's timeout_ms. `settings` and `info` may be NULL.
 * Names: [A-Za-z0-9._-]{1,249}. UNAVAILABLE: no broker could be reached, or the rack cannot do it
 * now; LIMIT, where nothing else is said: the broker has too many connections. TIMEOUT, CLOSED,
 * PROTOCOL: the answer did not come or was not understood; of a create or delete it is then not
 * known whether it was done.
 */

/* Errors: INVALID_ARGUMENT (settings that no _init has filled), INVALID_TOPIC, INVALID_SETTING,
   NOT_SUPPORTED (an order that this rack does not have), TOPIC_EXISTS, LIMIT (topics of this rack),
   UNAVAILABLE (also: too few stores for the replicas), TIMEOUT, CLOSED, PROTOCOL. */
EMB_API int emb_topic_create(struct emb_client *client, const char *topic,
                             const struct emb_topic_settings *settings, struct emb_topic_info *info,
                             struct emb_error *err);
/* Errors: INVALID_TOPIC, UNKNOWN_TOPIC, LIMIT, UNAVAILABLE, TIMEOUT, CLOSED, PROTOCOL. */
EMB_API int emb_topic_describe(struct emb_client *client, const char *topic,
                               struct emb_topic_info *info, struct emb_error *err);
/* Errors: INVALID_TOPIC, UNKNOWN_TOPIC, LIMIT, UNAVAILABLE, TIMEOUT, CLOSED, PROTOCOL. */
EMB_API int emb_topic_delete(struct emb_client *client, const char *topic, struct emb_error *err);
/* *topics is an array of *count in the brokers' order; free it with emb_topic_list_free.
   Errors: LIMIT, UNAVAILABLE, TIMEOUT, CLOSED, PROTOCOL. */
EMB_API int emb_topic_list(struct emb_client *client, struct emb_topic_info **topics, size_t *count,
                           struct emb_error *err);
EMB_API void emb_topic_list_free(struct emb_topic_info *topics);

/* ---- messages -------------------------------------------------------------------------------- */

struct emb_header {
    const char *key; /* zero-terminated */
    const void *value;
    uint32_t value_bytes;
};

struct emb_message {
    const void *key; /* NULL: none */
    uint32_t key_bytes;
    uint32_t value_bytes;
    const void *value; /* NULL (with value_bytes 0): a message without a value */
    const struct emb_header *headers;
    uint32_t header_count;
    uint64_t timestamp_ms; /* since 1970; published as 0: now */
    uint64_t offset;       /* read messages: their offset in the topic; ignored by emb_publish */
};

/* ---- publisher ------------------------------------------------------------------------------- */

enum emb_acks {
    EMB_ACKS_NONE = 0,    /* handed to the operating system; the offset stays unknown. On topics of
                             orders 3 to 5 as ORDERED: keeping a publisher's order needs answers */
    EMB_ACKS_ORDERED = 1, /* it has its place in the order, in memory */
    EMB_ACKS_DURABLE = 2, /* and is durable as the topic asks; the default */
};
enum emb_compression {
    EMB_COMPRESSION_NONE = 0,
    EMB_COMPRESSION_LZ4 = 3,
    EMB_COMPRESSION_ZSTD = 4
};

/* The outcome of messages published one after another: one batch. Valid during the callback. */
struct emb_result {
    uint64_t first_number; /* messages are numbered by their publisher: 0, 1, ... as accepted */
    uint64_t first_cookie; /* the cookie of the first of them */
    uint32_t count;
    int code;             /* EMB_OK, or why all of them failed: see emb_publish_wait */
    uint64_t base_offset; /* of the first, the others follow; EMB_OFFSET_UNKNOWN when not known */
    uint64_t latency_ns;  /* from the first emb_publish of them */
    const char *text;     /* of an error; NULL with EMB_OK */
    bool duplicate;       /* acknowledged before: a resent batch */
};

struct emb_publisher_options {
    size_t struct_bytes;
    int acks; /* enum emb_acks */
    /* A message goes out at once when nothing is under way; otherwise when batch_bytes_min are
       together, what was under way is acknowledged, or linger_us have passed. Default 1000; 0: as
       soon as the window allows. */
    uint32_t linger_us;
    uint32_t batch_bytes_min; /* default 64 KiB */
    /* Batches grow towards it under load and shrink when it ends. At most the brokers'; default
       1088 KiB, in which every message of 1 MiB has room. */
    uint32_t batch_bytes_max;
    int compression;             /* enum emb_compression */
    int compression_level;       /* 0: the method's default */
    uint64_t max_buffered_bytes; /* accepted, but without outcome; default 32 MiB */
    uint32_t max_in_flight;      /* batches, 1-16; default 16 */
    /*
     * Called by the client's thread when messages have their outcome, exactly once for each;
     * either, both or none may be set. on_result is called per batch, and nothing is stored per
     * message; on_message per message with its cookie (8 bytes stored each). The batches of one
     * publisher come in the order of their acknowledgements. What they may do: see Callbacks.
     */
    void (*on_result)(void *arg, const struct emb_result *result);
    void (*on_message)(void *arg, uint64_t cookie, uint64_t offset, int code);
    void *arg;
};

EMB_API void emb_publisher_options_init_sized(struct emb_publisher_options *options, size_t bytes);
static inline void emb_publisher_options_init(struct emb_publisher_options *options)
{
    emb_publisher_options_init_sized(options, sizeof *options);
}

/*
 * Connects to every broker of the rack and, for topics of orders 3 to 5, opens a session. Blocks up
 * to the client's timeout_ms. options may be NULL. A broker that cannot be reached is left out, one
 * that is silent after half of the time, at most 2 s.
 *
 * Errors: INVALID_ARGUMENT (an option), INVALID_TOPIC, UNKNOWN_TOPIC, LIMIT (sessions of this rack,
 * connections of the broker), UNAVAILABLE (no broker), TIMEOUT, CLOSED, PROTOCOL.
 */
EMB_API int emb_publisher_open(struct emb_client *client, const char *topic,
                               const struct emb_publisher_options *options,
                               struct emb_publisher **publisher, struct emb_error *err);

/*
 * Accepts a message: copies it into the open batch. Its outcome comes by callback. Messages
 * accepted one after another keep that order (topics of order 5). Blocks only in back-pressure,
 * that is while max_buffered_bytes are without outcome, and then up to timeout_ms.
 *
 * EMB_OK: accepted. Otherwise it was not, and there will be no callback for it.
 *
 * Errors: INVALID_ARGUMENT (sizes without bytes, a timestamp from 2^48 on), TIMEOUT (back-pressure
 * lasted longer), BATCH_TOO_LARGE (with size and limit), SESSION_FENCED and CLOSED (the publisher
 * has ended, with a session or without; the text says why: close it and open another).
 */
EMB_API int emb_publish(struct emb_publisher *publisher, const struct emb_message *message,
                        uint64_t cookie, uint32_t timeout_ms, struct emb_error *err);
/*
 * The same, then waits for the outcome; *offset (may be NULL) is the message's. Blocks up to
 * timeout_ms.
 *
 * Errors: those of emb_publish: INVALID_ARGUMENT, BATCH_TOO_LARGE, TIMEOUT (also: no outcome yet,
 * it may still be published, and its callbacks come), SESSION_FENCED, CLOSED (also: a connection
 * was lost or the publisher closed, it may have been published); and the other outcomes that
 * emb_result.code can have: LOST (declared lost under EMB_GAP_SKIP; nothing else failed), SEQUENCE,
 * UNKNOWN_TOPIC (deleted meanwhile), CORRUPT_BATCH, PROTOCOL.
 */
EMB_API int emb_publish_wait(struct emb_publisher *publisher, const struct emb_message *message,
                             uint32_t timeout_ms, uint64_t *offset, struct emb_error *err);
/*
 * Sends what is open and waits until every message accepted before the call has its outcome and its
 * callbacks have returned. Blocks up to timeout_ms. EMB_OK: none of those since the last flush
 * failed; otherwise the first failure's code and text.
 *
 * Errors: TIMEOUT (with the number of messages still under way), and those outcomes:
 * SESSION_FENCED, CLOSED, LOST, SEQUENCE, UNKNOWN_TOPIC, CORRUPT_BATCH, PROTOCOL.
 */
EMB_API int emb_publisher_flush(struct emb_publisher *publisher, uint32_t timeout_ms,
                                struct emb_error *err);

struct emb_publisher_stats {
    uint64_t accepted_messages;
    uint64_t accepted_bytes; /* keys, values and headers */
    uint64_t acked_messages;
    uint64_t acked_bytes; /* of their batches, as sent */
    uint64_t failed_messages;
    uint64_t buffered_bytes; /* accepted, without outcome */
    uint64_t batches;        /* with an outcome */
    uint64_t in_flight_batches;
    uint64_t retries;            /* batches sent again: answered RETRY */
    uint64_t backpressure;       /* batches sent again: answered BACKPRESSURE */
    uint64_t duplicates;         /* batches acknowledged as duplicates */
    uint64_t blocked_ns;         /* spent by callers in emb_publish waiting for room */
    uint32_t batch_bytes_target; /* the present size at which a batch is closed */
    uint32_t brokers;            /* connections that are up */
    /* Per acked message, from the first emb_publish of its batch to the acknowledgement; 1/16
       precise. */
    uint64_t latency_p50_ns;
    uint64_t latency_p90_ns;
    uint64_t latency_p99_ns;
    uint64_t latency_p999_ns;
    uint64_t latency_max_ns;
};
/* Does not block. */
EMB_API void emb_publisher_stats(struct emb_publisher *publisher,
                                 struct emb_publisher_stats *stats);

/*
 * Flushes up to timeout_ms, ends the session and frees the publisher, in every case (NULL:
 * nothing). What has no outcome by then fails with CLOSED, callbacks included. Result as
 * emb_publisher_flush. It is the last call: wait for others of this publisher first.
 *
 * Errors: TIMEOUT, SESSION_FENCED, CLOSED, LOST, SEQUENCE, UNKNOWN_TOPIC, CORRUPT_BATCH, PROTOCOL.
 */
EMB_API int emb_publisher_close(struct emb_publisher *publisher, uint32_t timeout_ms,
                                struct emb_error *err);

/* ---- subscriber ------------------------------------------------------------------------------ */

enum emb_start {
    EMB_START_EARLIEST = 0,
    EMB_START_LATEST = 1,    /* what comes after the subscription */
    EMB_START_OFFSET = 2,    /* start_value is the first offset */
    EMB_START_TIMESTAMP = 3, /* start_value is ms since 1970: the first message not before it */
};
enum emb_level {
    EMB_LEVEL_DURABLE = 0, /* only what no allowed failure can take back; the default */
    EMB_LEVEL_LATEST = 1,  /* as soon as it is ordered */
};
#define EMB_BROKER_ANY (-1)

struct emb_subscriber_options {
    size_t struct_bytes;
    int start; /* enum emb_start; default earliest */
    uint64_t start_value;
    int level;  /* enum emb_level */
    int broker; /* index in emb_client_brokers to read from first; default EMB_BROKER_ANY */
    uint64_t max_buffered_bytes; /* received ahead; default 16 MiB; one batch always fits */
};

EMB_API void emb_subscriber_options_init_sized(struct emb_subscriber_options *options,
                                               size_t bytes);
static inline void emb_subscriber_options_init(struct emb_subscriber_options *options)
{
    emb_subscriber_options_init_sized(options, sizeof *options);
}

/*
 * Subscribes; blocks up to the client's timeout_ms. options may be NULL.
 *
 * Errors: INVALID_ARGUMENT (an option), INVALID_TOPIC, UNKNOWN_TOPIC, OFFSET_OUT_OF_RANGE (with the
 * oldest and the newest offset), CORRUPT (another offset than the one asked for is offered), LIMIT
 * (connections of the broker), UNAVAILABLE (no broker could be reached or answered in time), CLOSED
 * (the last one broke it off), PROTOCOL.
 */
EMB_API int emb_subscriber_open(struct emb_client *client, const char *topic,
                                const struct emb_subscriber_options *options,
                                struct emb_subscriber **subscriber, struct emb_error *err);
/* Frees it (NULL: nothing), and with it what was handed out. */
EMB_API void emb_subscriber_close(struct emb_subscriber *subscriber);

/*
 * The next message, in the order of offsets, none missing. 1: *message, whose memory is valid until
 * the next call with this subscriber; 0: none within timeout_ms. Every byte was checked against the
 * batch's CRC and its identity.
 *
 * A lost connection is made anew, to the same broker and then to the next ones, and reading goes on
 * at the position; only when that takes longer than the client's timeout_ms it is an error. After
 * an error every call returns it, until emb_subscriber_seek. A broker that says nothing for 5 s is
 * asked whether it lives; when it is silent for 2 s more, its connection counts as lost, and the
 * next broker's turn comes first. Blocks up to timeout_ms.
 *
 * Errors: UNAVAILABLE (no broker delivers), CORRUPT (offsets are not dense, with both numbers),
 * CORRUPT_BATCH (what came is not what was published), OFFSET_OUT_OF_RANGE (the position has left
 * what can be read), UNKNOWN_TOPIC (deleted meanwhile).
 */
EMB_API int emb_subscriber_next(struct emb_subscriber *subscriber, struct emb_message *message,
                                uint32_t timeout_ms, struct emb_error *err);

struct emb_batch {
    uint64_t base_offset; /* of the batch's first message */
    uint32_t message_count;
    uint32_t skip;     /* messages at its front that lie before the position asked for */
    const void *bytes; /* a Kafka RecordBatch v2, 64-byte aligned */
    size_t byte_count;
    uint64_t session;         /* of its publisher; all ones: none */
    uint64_t client_sequence; /* of its first message in the session; all ones: none */
    uint64_t position;        /* in the global order */
};
/*
 * The next whole batch; otherwise as emb_subscriber_next. Its memory is valid until the next call
 * but emb_subscriber_batch_message.
 *
 * Errors: BUSY (emb_subscriber_next is in the middle of a batch: read that to its end, or seek),
 * UNAVAILABLE, CORRUPT, CORRUPT_BATCH, OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC.
 */
EMB_API int emb_subscriber_next_batch(struct emb_subscriber *subscriber, struct emb_batch *batch,
                                      uint32_t timeout_ms, struct emb_error *err);
/* Walks the messages, after `skip`, of the batch last handed out by emb_subscriber_next_batch.
   1: *message, valid like the batch, but its headers only until the next call; 0: no more.
   Errors: CORRUPT_BATCH (a record that is no record, under a right CRC). */
EMB_API int emb_subscriber_batch_message(struct emb_subscriber *subscriber,
                                         struct emb_message *message, struct emb_error *err);

/*
 * Goes on elsewhere: what was received ahead is dropped, an earlier error forgotten. Blocks up to
 * the client's timeout_ms, until the broker has answered.
 *
 * Errors: INVALID_ARGUMENT, OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC, CORRUPT, UNAVAILABLE.
 */
EMB_API int emb_subscriber_seek(struct emb_subscriber *subscriber, int start, uint64_t value,
                                struct emb_error *err);
/* The offset after the last message handed out, or that of the first to come. Does not block. */
EMB_API uint64_t emb_subscriber_position(struct emb_subscriber *subscriber);
/* Ends a waiting emb_subscriber_next (it returns 0), or the next one that would wait. Any thread.
 */
EMB_API void emb_subscriber_wake(struct emb_subscriber *subscriber);

/* ---- status ---------------------------------------------------------------------------------- */

/* One value of a table: table "lane", row 3, name "chain", text "0,1". */
struct emb_status_item {
    const char *table;
    uint32_t row;
    const char *name;
    bool is_text;
    uint64_t number;  /* when not is_text */
    const char *text; /* when is_text, else "" */
};

/*
 * Asks one broker (an index in emb_client_brokers, or EMB_BROKER_ANY) for its state and calls fn in
 * the calling thread for each item, in the broker's order; the item is valid during the call.
 * Blocks up to the client's timeout_ms.
 *
 * Errors: INVALID_ARGUMENT (no such broker), LIMIT (connections of the broker), UNAVAILABLE,
 * TIMEOUT, CLOSED, PROTOCOL.
 */
EMB_API int emb_status(struct emb_client *client, int broker,
                       void (*fn)(void *arg, const struct emb_status_item *item), void *arg,
                       struct emb_error *err);

#ifdef __cplusplus
}
#endif

#endif

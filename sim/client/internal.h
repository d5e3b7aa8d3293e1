/*
 * What the files of the clients share: the plan of a workload, one client's host and its way of
 * waiting, and the parts of each kind. One thread; lifetime: workload_draw to clients_end.
 */
#ifndef SIM_CLIENT_INTERNAL_H
#define SIM_CLIENT_INTERNAL_H

#include "env/env.h"
#include "sim/check/check.h"
#include "sim/client/clients.h"

#define CLIENT_TOPICS_MAX     3
#define CLIENT_PUBLISHERS_MAX 6
#define CLIENT_READERS_MAX    4
#define CLIENT_BROKERS_MAX    8
#define CLIENT_NO_NUMBER      UINT64_MAX /* session, sequence, offset or position: none */
/* So long without an answer, and a publisher gives up. Longer than any bound of the rack. */
#define CLIENT_PATIENCE_NS (3000 * MS)
/* The same with a broker whose host is gone, as a keepalive would tell. */
#define CLIENT_PATIENCE_GONE_NS (300 * MS)
/* It also gives up after so many starts in a row without a session, in such a time. */
#define CLIENT_FAILURES_MAX 8

/* ---- the plan -------------------------------------------------------------------------------- */

enum topic_state { TOPIC_PLANNED, TOPIC_THERE, TOPIC_REFUSED };

struct topic_plan {
    char name[8];
    struct topic_settings settings;
    enum topic_state state;
    uint16_t id;       /* once THERE */
    uint64_t position; /* of its creation */
};

/* A host of its own while there are hosts, and a poller. */
struct client {
    char name[16];
    struct host *host;
    struct env *env;
    struct env_poller *poller;
    uint64_t idle_ns; /* how long the next idle wait lasts */
};

struct publisher {
    struct client client;
    uint32_t number;
    bool unruly;
    struct topic_plan *topic;
    uint8_t acks;
    uint32_t window;
    uint32_t batches;         /* to be published */
    uint32_t made;            /* numbers given to batches so far */
    uint64_t pace_ns;         /* the longest usual time between two batches */
    uint64_t next_ns;         /* no batch before, by its own clock */
    uint32_t failures;        /* starts without a session, in a row */
    uint64_t asking_since_ns; /* world time; for a session, 0: not */
    bool done;
    const char *gave_up;   /* waiting for what; NULL: it did not */
    struct steady *steady; /* while a session is under way */
    struct unruly *life;
};

struct reader {
    struct client client;
    uint32_t number;
    struct topic_plan *topic;
    uint8_t start; /* enum subscribe_start */
    uint8_t level; /* enum read_level */
    uint32_t max_buffered_bytes;
    uint64_t delay_ns;   /* before it starts */
    uint64_t pause_ns;   /* longest pause between two takes; 0: none */
    uint32_t edge_seeks; /* so often it seeks to the earliest, where memory is about to be reused */
    uint32_t seek_every; /* batches, on average; 0: never */
    uint32_t leave_every;
    struct reading *reading; /* while it has a core */
};

struct clients {
    struct topic_plan topics[CLIENT_TOPICS_MAX];
    uint32_t topic_count;
    struct publisher publishers[CLIENT_PUBLISHERS_MAX];
    uint32_t publisher_count;
    struct reader readers[CLIENT_READERS_MAX];
    uint32_t reader_count;
    struct client creator;
    struct request *asking; /* the creator's question under way */
    struct rack_addresses rack;
    uint32_t batch_bytes_most;
    unsigned char *batch;   /* what is built, of batch_bytes_most */
    unsigned char *value;   /* of one message */
    unsigned char *scratch; /* compressed */
    size_t scratch_bytes;
    uint64_t batches; /* published */
    bool stopping;
};
extern struct clients clients;

/* ---- a client (clients.c) -------------------------------------------------------------------- */

/* Lets time pass after a turn: a moment after work, else until something comes, up to 2 ms. */
void client_wait(struct client *client, int work);
/* Sleeps so long, whatever comes. */
void client_pause(uint64_t ns);
uint64_t client_now_ns(const struct client *client);
/* Until the topic was created. False: it never will be, or the clients are to stop. */
bool client_topic_wait(const struct topic_plan *topic);
/* Lets it begin: some time, and its topic. False: there is nothing to publish to. */
bool publisher_begin(struct publisher *publisher);
/* Whether it has batches to publish and still tries. */
bool publisher_goes_on(struct publisher *publisher);
/* A while between two sessions, longer after failures. */
void publisher_rest(const struct publisher *publisher);
/* Whether the host of that broker's address is dead. */
bool client_broker_is_gone(uint32_t address);
uint64_t draw_below(uint64_t bound);
uint64_t draw_between(uint64_t low, uint64_t high);
uint64_t draw_skewed(uint64_t low, uint64_t high);
bool draw_one_in(uint64_t count);
bool draw_percent(unsigned percent);
/* Frees without touching the env: the connection's memory only. */
void connection_drop_memory(struct connection *connection);

/* ---- batches (message.c) --------------------------------------------------------------------- */

/* A batch before its bytes are made. */
struct message {
    uint32_t number; /* of the publisher's */
    uint64_t session;
    uint64_t sequence;
    uint32_t count;
    uint32_t value_bytes; /* the largest of its values */
    uint8_t compression;
    bool straddles;
};

/* Number, count and sizes; session and sequence are the caller's. */
void message_draw(struct publisher *publisher, uint32_t bytes_most, struct message *message);
/* Makes the bytes and tells the history; they are act->bytes and stay. */
struct act *message_invoke(const struct publisher *publisher, const struct message *message);
/* Tells the history what a broker answered. */
void message_answer(const struct publisher *publisher, struct act *act, uint32_t node, int status,
                    uint64_t base_offset, bool duplicate);
void message_unknown(const struct publisher *publisher, struct act *act);

/* ---- the kinds of clients -------------------------------------------------------------------- */

void topics_main(void *unused);
void steady_main(void *publisher);
void unruly_main(void *publisher);
void reader_main(void *reader);
/* The oldest batch that has no answer, and where it is; NULL: none. */
const struct act *steady_waiting(const struct publisher *publisher, uint32_t *address);
const struct act *unruly_waiting(const struct publisher *publisher, uint32_t *address);
void topics_free(void);
void steady_free(struct publisher *publisher);
void unruly_free(struct publisher *publisher);
void reader_free(struct reader *reader);

#endif

/*
 * The client behind the public handle, and how public calls and its thread meet. One runner owns
 * all connections; publishers, subscribers and requests are its *members*, joined and left through
 * the mutex. `struct error` and `struct emb_error` are the same by layout.
 *
 * Lifetime: emb_client_open to emb_client_close. Fields below `mutex` are read and written under
 * it.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <pthread.h>
#include <stddef.h>

#include "agent/agent.h"
#include "base/bits.h"
#include "client/address.h"
#include "client/tcp/request.h"
#include "embarcadero/embarcadero.h"

_Static_assert(sizeof(struct emb_error) == sizeof(struct error), "the same by layout");
_Static_assert(offsetof(struct emb_error, text) == offsetof(struct error, text), "the same");

/* Something that the client's thread works on. Lies in its owner's memory. */
struct member {
    int (*do_work)(void *state, uint64_t now_ns);
    void (*leave)(void *state); /* closes its connections, in the thread; may be NULL */
    void *state;
    pthread_mutex_t *mutex;       /* its owner's, taken while the process forks; may be NULL */
    void (*abandon)(void *state); /* in a forked child, when no handle leads to it; may be NULL */
    struct member *next;
    bool leaving;
    bool gone;
};

struct emb_client {
    bool forked; /* this process is a child of the client's */
    long process;
    struct emb_client *next; /* of all clients: fork.c */
    struct env *env;
    struct runner *runner;
    char name[64];
    uint64_t timeout_ns;
    struct address asked[ADDRESSES_MAX]; /* as the user named them; requests go there first */
    uint32_t asked_count;
    struct hello_ok rack;
    struct address brokers[32]; /* of the rack */
    struct member *members;     /* the thread's own */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct member *joining;
    uint32_t leaving;
    uint32_t open_count;    /* publishers and subscribers */
    uint32_t asked_first;   /* of `asked`: the last one that greeted */
    uint64_t seen_position; /* the highest that an answer named */
    bool in_turn;           /* the thread is at work */
    bool halted;            /* it is not to begin another turn: the process forks */
};

static inline struct error *error_of(struct emb_error *err)
{
    return (struct error *)err;
}

/* Sets EMB_OK, so that an error struct always says how the last call went. */
static inline int result_ok(struct emb_error *err)
{
    if (err != NULL) {
        err->code = EMB_OK;
        err->text[0] = '\0';
    }
    return EMB_OK;
}

/* Condition variables that wait on CLOCK_MONOTONIC, which env_now_ns reads. */
int condition_init(pthread_cond_t *condition);
void condition_end(pthread_cond_t *condition, const struct emb_client *client);
/* The time after timeout_ms; UINT64_MAX for EMB_FOREVER. */
uint64_t deadline_after(struct env *env, uint32_t timeout_ms);
/* False when the deadline has passed. */
bool condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline_ns);

/* EMB_OK, or NOT_SUPPORTED in a process that was forked from the client's. */
int client_check(const struct emb_client *client, struct error *err);

/* The same for calls that wait, and NOT_SUPPORTED in a callback: its thread is what would be
   waited for. */
int client_check_waiting(const struct emb_client *client, struct error *err);

/* From now on the thread calls do_work. */
void client_join(struct emb_client *client, struct member *member);
/* Returns when the thread calls it no more. Not from the thread itself. */
void client_leave(struct emb_client *client, struct member *member);

/*
 * Asks a broker (index, or EMB_BROKER_ANY) and blocks until the answer or the client's timeout. On
 * EMB_OK r->answer is the body of the expected frame; request_end in every case.
 */
int client_ask(struct emb_client *client, int broker, struct request *r, uint8_t type,
               uint8_t expected, const struct wire_writer *body, struct error *err);
/* Remembers that the client has seen the log up to there, so that it never looks back. */
void client_saw(struct emb_client *client, uint64_t position);
uint64_t client_seen(struct emb_client *client);
/* Counts publishers and subscribers, which keep the client open. */
void client_hold(struct emb_client *client, int change);

/* Describes a topic, as the wire has it. */
int client_topic(struct emb_client *client, const char *topic, struct topic_info *info,
                 struct error *err);

#endif

/*
 * The checkers: one file for each invariant of the design, and what they share - the history of
 * what clients did and the record of what was committed. They are told of events as they happen,
 * work on bytes and order, and say finding() when an invariant does not hold.
 *
 * One thread; lifetime: check_begin to check_end. `struct act`, `struct committed` and the arrays
 * they lie in stay until check_end.
 */
#ifndef SIM_CHECK_CHECK_H
#define SIM_CHECK_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "layout/entry.h"
#include "meta/meta.h"
#include "sim/core/world.h"

/* ---- the history: what publishers did -------------------------------------------------------- */

enum act_state {
    ACT_INVOKED, /* sent, or about to be */
    ACT_ACKED,   /* the broker said OK */
    ACT_REFUSED, /* it said why it is not in the log: for a finer judgement see `status` */
    ACT_UNKNOWN, /* the connection or session ended first: may be in the log or not */
};

/* One batch as its publisher means it. Sent again, it is the same act. */
struct act {
    uint32_t number; /* in the history */
    uint32_t publisher;
    uint16_t topic;
    uint8_t acks; /* level that was asked for */
    enum act_state state;
    int status;       /* of the answer */
    bool duplicate;   /* the answer was "duplicate" */
    bool straddles;   /* made on purpose so that it overlaps what was sent before */
    uint64_t session; /* all ones: none */
    uint64_t client_sequence;
    uint32_t message_count;
    uint64_t max_timestamp_ms;
    unsigned char *bytes; /* the whole RecordBatch, as published */
    uint32_t byte_count;
    uint64_t invoked_ns;
    uint64_t answered_ns;    /* the first answer that is an outcome; 0: none yet */
    uint64_t after_position; /* highest position acknowledged to anybody when it was invoked; all
                                ones: none (P1) */
    uint64_t base_offset;    /* as acknowledged; all ones: not told */
    uint32_t answered_by;    /* node */
};

struct act *history_invoke(const struct act *act); /* takes a copy, bytes included */
void history_answer(struct act *act, uint32_t node, int status, uint64_t base_offset,
                    bool duplicate);
/* The publisher will never know. */
void history_unknown(struct act *act);
uint32_t history_count(void);
struct act *history_at(uint32_t number);
/* The act with exactly these bytes (but base offset and leader epoch), or NULL. */
struct act *history_find(const void *bytes, uint32_t byte_count);
/* What its messages carry: filled by (publisher, number), so that any part of any message tells
   where it is from. Values of 16 bytes and more. */
void history_fill(unsigned char *value, uint32_t bytes, uint32_t publisher, uint64_t number);

/* ---- what subscribers read ------------------------------------------------------------------- */

struct delivery_seen {
    uint32_t subscriber;
    uint16_t topic;
    uint8_t level; /* enum read_level */
    uint64_t base_offset;
    uint64_t position; /* all ones: not told */
    uint32_t message_count;
    uint64_t session, client_sequence;
    const void *bytes; /* as delivered, good during the call */
    uint32_t byte_count;
    uint32_t node; /* that delivered it */
};
void history_delivered(const struct delivery_seen *seen);
/* A subscription of this subscriber begins (anew) at an offset. */
void history_subscribed(uint32_t subscriber, uint16_t topic, uint64_t offset);

/* ---- the log: what was committed, as memory shows it ----------------------------------------- */

struct committed {
    uint64_t position;
    uint64_t epoch; /* whose committed_seq covered it */
    struct goi_entry_shared entry;
    struct meta_record record; /* of META */
    struct act *act;           /* DATA: what was published with these bytes; NULL otherwise */
    uint64_t committed_ns;
    uint64_t slot; /* the whole PBR index, of entries of a lane */
    bool is_jump;  /* a position that was never: between two intervals */
};

uint64_t log_end(void);                      /* every position below it is committed */
struct committed *log_at(uint64_t position); /* below log_end */
/* The META state at the log's end; NULL until the first entry. */
const struct meta_state *log_meta(void);
/* The chain of a lane at a position: its version and members; NULL: none. */
const struct meta_chain *log_chain(uint32_t lane);
/* D as it really is: below it every entry stands on the disks of its whole chain as it asks. */
uint64_t log_durable(void);
/* Whether each slot that is in memory, and those before it, has its entry. */
bool slots_have_entries(void);
/* Settings of a topic, NULL when there is none of that number. */
const struct topic_settings *log_topic(uint16_t topic);
/* The end of the old epoch as a successor read it; all ones: no successor was there. Told by
   rack/successor.c. */
void log_set_old_end(uint64_t epoch, uint64_t end);
uint64_t log_old_end(uint64_t *epoch);

/* ---- checkers -------------------------------------------------------------------------------- */

struct checker {
    const char *name;                                 /* of its findings */
    const char *invariant;                            /* the sentence of the design */
    void (*begin)(void);                              /* each may be NULL */
    void (*committed)(const struct committed *entry); /* in order of position */
    void (*invoked)(struct act *act);
    void (*answered)(struct act *act); /* told as it arrives at the publisher */
    void (*delivered)(const struct delivery_seen *seen);
    void (*durable)(uint64_t before, uint64_t now); /* log_durable rose */
    void (*line_stored)(const struct host *host, uint64_t offset, const unsigned char line[64]);
    void (*line_reached)(const struct host *host, uint64_t offset, const unsigned char before[64],
                         const unsigned char after[64]);
    void (*blog_stored)(const struct host *host, uint64_t offset, uint64_t bytes);
    void (*quiet)(void); /* the work is done, no fault is under way: what must have happened has */
    void (*end)(void);   /* after power was lost everywhere: stores are what they are */
};

extern const struct checker check_positions; /* no two share a position; committed is for ever */
extern const struct checker check_slots;     /* each PBR slot gets exactly one entry */
extern const struct checker check_offsets;   /* topic offsets are dense */
extern const struct checker check_sessions;  /* client sequences contiguous, but for lost ranges */
extern const struct checker check_acks;      /* acknowledged: committed, in that epoch, durable */
extern const struct checker check_realtime;  /* P1 */
extern const struct checker check_readers; /* readers agree on every position, from dense offsets */
extern const struct checker check_refused; /* REJECTED or lost is never committed */
extern const struct checker check_reuse;   /* nothing is overwritten that somebody may need */
extern const struct checker check_bytes;   /* byte for byte what was published */
extern const struct checker check_progress; /* commits and acks go on within the bound */
extern const struct checker check_stores; /* what was acknowledged is on every disk of its chain */

/* After memory_begin and env_begin, which forget who watches. */
void check_begin(void);
void check_end(void);
/* progress_armed: no fault happened that the rack is not meant to survive. */
void check_quiet(bool progress_armed);
void check_power_lost(void);

/* ---- told by others -------------------------------------------------------------------------- */

#define STORE_PATH "data" /* of each host's store */

/* follower_payload_stands said yes to this host: it may read that payload from memory for as long
   as its `reading` covers the position. Told by a wrap at link time. */
void reuse_validated(const struct host *host, uint64_t position);
/* A host's replica has copied all below; NO_POSITION: it has none, or it has ended. */
void reuse_copied(const struct host *host, uint64_t next_position);
/* A host acts on a position, right now: it gives an answer that lies there (durable: one that waits
   for D), or opens it for a subscriber of a level. Told by wraps at link time. */
void acks_given(const struct host *host, uint64_t position, bool durable);
void readers_opened(const struct host *host, uint64_t position, bool durable);
/* Bits of this host's disk were changed: what is missing there is not a finding, wrong bytes are.
   Told by rack/faults.c. */
void stores_expect_damage(const struct host *host);

#endif

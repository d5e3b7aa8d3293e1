/*
 * An unruly publisher's life with one session: connections of its own to some brokers, batches that
 * it sends as no library would. unruly.c opens, listens and ends; mischief.c decides what is sent.
 * The one fiber of its publisher; lifetime: one session.
 */
#ifndef SIM_CLIENT_UNRULY_H
#define SIM_CLIENT_UNRULY_H

#include "client/tcp/connection.h"
#include "sim/client/internal.h"

#define UNRULY_LANES_MAX 4
#define UNRULY_SPAN      16 /* batches from the oldest without its outcome to the newest */
#define UNRULY_PARCELS   32
#define UNRULY_COPIES    64
#define UNRULY_NO_LANE   UINT32_MAX

enum unruly_phase {
    UNRULY_CONNECTING,
    UNRULY_SESSION, /* SESSION_OPEN is sent */
    UNRULY_OPENING, /* PUBLISH_OPEN is sent on all */
    UNRULY_UP,
    UNRULY_CLOSING, /* SESSION_CLOSE is sent, no batch is under way */
    UNRULY_OVER,
};

enum unruly_end {
    UNRULY_END_CLOSE,
    UNRULY_END_CLOSE_EARLY, /* while batches are under way */
    UNRULY_END_DROP,        /* resets its connections, whatever is under way */
    UNRULY_END_BREAK,       /* breaks one connection off within a batch */
    UNRULY_END_VANISH,      /* as soon as it has its session */
    UNRULY_END_COUNT
};

/* One batch; sent again, it is the same. */
struct parcel {
    bool used;
    bool late; /* beside the others: left out before, or straddling */
    bool twin; /* what is planned is a second copy on purpose */
    bool acked;
    bool lost_copy; /* the fate of a copy is not known */
    int refused;    /* by the broker, for a copy */
    uint32_t refused_by;
    uint32_t copies;     /* sent, and without answer */
    uint32_t tries;      /* answers that asked to send it again */
    uint32_t lane;       /* of its newest copy */
    uint64_t order;      /* among the session's */
    uint64_t send_at_ns; /* a copy is to be sent then; 0: none is planned */
    struct message message;
    struct act *act; /* NULL: nothing of it was sent yet */
};

struct copy {
    struct outgoing outgoing;
    struct parcel *parcel; /* NULL: answered */
    uint32_t lane;
};

struct unruly_lane {
    struct connection connection;
    uint32_t address;
    bool opened; /* PUBLISH_OPEN was answered with OK */
};

struct unruly {
    struct publisher *publisher;
    enum unruly_phase phase;
    enum unruly_end end;
    uint32_t quota;    /* batches that are made before it ends */
    uint64_t phase_ns; /* since when the phase, and since when nothing was answered */
    struct unruly_lane lanes[UNRULY_LANES_MAX];
    uint32_t lane_count;
    uint32_t asked_lane;
    uint64_t session;
    uint64_t position;
    uint64_t sequence; /* of the next message */
    uint64_t order;    /* of the next batch */
    uint64_t acked_to; /* one more than the highest order that was acknowledged */
    uint64_t correlation;
    bool was_up;
    bool closed; /* SESSION_CLOSE was sent */
    bool close_answered;
    bool lost;          /* one of its connections was, which ends the session */
    bool over;          /* no new batch: the session has ended, or soon will */
    bool straddle_wish; /* waits until all is quiet, then straddles */
    struct parcel *straddle;
    struct parcel parcels[UNRULY_PARCELS];
    struct copy copies[UNRULY_COPIES];
};

bool unruly_lane_is_open(const struct unruly_lane *lane);
/* One that is open, by chance, not `but` if there is another; UNRULY_NO_LANE: there is none. */
uint32_t unruly_draw_lane(const struct unruly *u, uint32_t but);
/* The connection is gone: what was sent there has an unknown fate. */
void unruly_lane_lost(struct unruly *u, uint32_t lane);
void unruly_close_send(struct unruly *u);

/* ---- mischief.c ------------------------------------------------------------------------------ */

/* Makes batches, sends what is due, ends what is to end; the work done. */
int mischief_work(struct unruly *u, uint64_t now_ns);
/* A broker's word on a copy. */
void mischief_answer(struct unruly *u, uint32_t lane, const struct ack_item *item, uint64_t now_ns);
/* Tells the outcome of a parcel that has one, and forgets it. */
void parcel_settle(struct unruly *u, struct parcel *parcel);

#endif

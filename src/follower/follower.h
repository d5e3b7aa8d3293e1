/*
 * The follower: reads the GOI in order, once per node, and keeps all that the node knows from it -
 * the META state, the outcomes of its own lanes' slots, the index of each topic, what is kept and
 * durable. It writes the node's heartbeat and read position, so that a stuck follower is a dead
 * node. It belongs to the node's one thread; broker and replica of the node read it there, after
 * its turn. Design: 3-protocol. Lifetime: the node's.
 *
 * One turn: observe committed_seq (to act), copy entries, observe completion words, then check the
 * epoch once, and only then let any of it count (edges F1-F4 in README.md). So everything that is
 * read from here may be acted upon until the follower's next turn.
 */
#ifndef FOLLOWER_FOLLOWER_H
#define FOLLOWER_FOLLOWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "meta/meta.h"
#include "region/region.h"

struct follower;

struct follower_options {
    struct region *region;
    uint32_t node;
    /* Of the node's request, which is published: the follower begins once that is admitted, with
       the checkpoint that says so. 0: it reads the log from its first entry. */
    uint64_t incarnation;
    uint32_t entries_per_turn; /* 0: 256 */
};

int follower_create(const struct follower_options *options, struct follower **follower,
                    struct error *err);
void follower_destroy(struct follower *follower);
/* An agent's duty cycle: the number of entries taken, and one more if D or kept moved. */
int follower_do_work(struct follower *follower, uint64_t now_ns);
/* EMB_OK, or why it cannot go on (lapped, an entry that breaks the log's rules): the node's
   incarnation has ended. */
int follower_failure(const struct follower *follower, struct error *err);

/*
 * Of a follower that has failed while its node was leaving: whether a checkpoint says that it is
 * out. The META state is that checkpoint's from then on.
 */
bool follower_was_let_go(struct follower *follower);

/* ---- positions ------------------------------------------------------------------------------- */

uint64_t follower_epoch(const struct follower *follower); /* 0: no sequencer yet */
/* The node that this epoch was granted to; NODE_MAX: none yet. */
uint32_t follower_sequencer(const struct follower *follower);
/* Whether all that is asked of it here is of one moment: it has read what its checkpoint covers. */
bool follower_is_current(const struct follower *follower);
/* The position of the node's admission: from there on everything stands for it. The log's first
   position for a follower that reads it all. */
uint64_t follower_admitted(const struct follower *follower);
/* Everything below has been taken (and is below committed_seq of its epoch). */
uint64_t follower_position(const struct follower *follower);
/* committed_seq of that epoch as it is now: what was told to anybody before is below it. Observed.
 */
uint64_t follower_committed(struct follower *follower);
uint64_t follower_durable(const struct follower *follower); /* D */
uint64_t follower_kept(const struct follower *follower);
const struct meta_state *follower_meta(const struct follower *follower);
struct region *follower_region(const struct follower *follower);
uint32_t follower_node(const struct follower *follower);
/* Bit per admitted, live node. */
uint64_t follower_live_nodes(const struct follower *follower);

/*
 * The entry at a position below follower_position. EMB_OK; EMB_ERR_NOT_FOUND: a jump between
 * intervals (*next_position, if not NULL, is where the log goes on); EMB_ERR_OFFSET_OUT_OF_RANGE:
 * it has been overwritten.
 */
int follower_entry(struct follower *follower, uint64_t position, struct goi_entry_shared *entry,
                   uint64_t *next_position);
/* The payload of an entry; NULL if its word leads nowhere. Invalidated where memory is not
   coherent. Valid while the position is gated by follower_set_needed or follower_reading. */
const unsigned char *follower_payload(struct follower *follower,
                                      const struct goi_entry_shared *entry);

/* ---- outcomes of this node's lanes ----------------------------------------------------------- */

struct outcome {
    uint64_t position;
    uint64_t slot; /* absolute PBR index */
    uint64_t base_offset;
    uint64_t session;
    uint64_t client_sequence; /* META_SESSION_END: the committed prefix */
    uint32_t message_count;
    uint16_t topic;
    uint8_t lane;
    uint8_t kind; /* enum entry_kind */
    int reason;   /* EMB_ERR_* for REJECTED */
};
/* Oldest first, in order of position; false when there is none. Only lanes granted to this node. */
bool follower_outcome_take(struct follower *follower, struct outcome *outcome);

/* ---- this node's pins on memory -------------------------------------------------------------- */

/* The replica's cursor: payload below `position` is not needed by it any more. Only rises.
   NO_POSITION (at start): there is no replica. */
void follower_set_needed(struct follower *follower, uint64_t position);
/* The store's synced position, for the node table. */
void follower_set_store_synced(struct follower *follower, uint64_t position);
/*
 * The oldest position any delivery of this node reads or may still have in flight; NO_POSITION for
 * none. When it falls it is published and drained before this returns (edge R5), so that a
 * payload opened afterwards stays.
 */
void follower_reading(struct follower *follower, uint64_t position);
/*
 * Whether the payload of an entry still stands: its segment is in the life in which the entry was
 * written. Ask after follower_reading covers the position, and again to learn whether the owner
 * wants the segment back (then finish soon or give up the connection).
 */
bool follower_payload_stands(struct follower *follower, uint64_t position,
                             const struct goi_entry_shared *entry);

/* ---- topics ---------------------------------------------------------------------------------- */

/*
 * The topic's DATA entry that holds `offset`, or the first one after it. `floor` of what is in
 * memory is respected. EMB_OK; EMB_ERR_OFFSET_OUT_OF_RANGE: older than memory holds (*oldest is
 * the first offset that can be read); EMB_ERR_NOT_FOUND: beyond the newest (to wait there).
 */
int follower_find_offset(struct follower *follower, uint32_t topic, uint64_t offset,
                         uint64_t *position, uint64_t *oldest);
/* The first entry in memory whose timestamp is >= timestamp_ms; EMB_ERR_NOT_FOUND: none. */
int follower_find_timestamp(struct follower *follower, uint32_t topic, uint64_t timestamp_ms,
                            uint64_t *position);
/* The topic's DATA entry after `position`; NO_POSITION when it is the newest. `position`
   NO_POSITION: the oldest in memory. */
uint64_t follower_next_in_topic(struct follower *follower, uint32_t topic, uint64_t position);
/* The oldest offset whose batch and all after it are in memory (next offset when none is). */
uint64_t follower_oldest_offset(struct follower *follower, uint32_t topic);
/* After the newest batch of the topic that lies below `limit` (a position: D or committed). */
uint64_t follower_end_offset(struct follower *follower, uint32_t topic, uint64_t limit);

/* ---- counters -------------------------------------------------------------------------------- */

struct follower_counters {
    uint64_t turns;
    uint64_t entries;
    uint64_t epoch_checks;
    uint64_t epoch_changes;
    uint64_t refused; /* turns thrown away because the epoch had changed */
};
void follower_counters(const struct follower *follower, struct follower_counters *counters);

#endif

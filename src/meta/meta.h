/*
 * META records, and the state they build together with the entries of the GOI: topics, sessions,
 * nodes, lanes with their chains, marks. Every node builds the same state from the same positions;
 * the sequencer applies an entry when it decides it, the others when they read it.
 *
 * A META batch is a RecordBatch with one record whose value is one struct meta_record. Requests
 * come from nodes; the sequencer's answer is the entry: kind META (applied) or REJECTED (reason).
 * What the sequencer assigns stands in the entry: topic id in `topic`, session in `session`.
 *
 * One thread per state. Nothing here does I/O. Design: 2-memory-model, 3-protocol.
 */
#ifndef META_META_H
#define META_META_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/topic.h"
#include "layout/entry.h"
#include "layout/limits.h"
#include "layout/node.h"

enum meta_type {
    META_LIFE = 1,           /* sequencer: the log begins, or begins anew: life, cut */
    META_EPOCH = 2,          /* sequencer: an epoch begins; where the one before ended */
    META_NODE_ADMIT = 3,     /* sequencer: node, incarnation, roles, address, lanes, segments */
    META_CHAIN = 4,          /* sequencer: lane, version, members */
    META_PRODUCER_BLOCK = 5, /* sequencer: producer ids below `mark` may be given once durable */
    META_TOPIC_CREATE = 6,   /* node: name, settings */
    META_TOPIC_DELETE = 7,   /* node: topic id */
    META_SESSION_OPEN = 8,   /* node: topic id */
    META_SESSION_END = 9,    /* node (closed, connection lost) or sequencer (fenced): session */
    META_NODE_LEAVE = 10,    /* node: it publishes nothing after this slot; where its lanes end */
    META_TYPE_END
};

enum meta_end_reason { META_END_CLOSED = 1, META_END_LOST = 2, META_END_FENCED = 3 };

/* Fixed size, little-endian, on disk for ever: new types get new numbers. */
struct meta_record {
    uint8_t type;
    uint8_t version; /* 1 */
    uint8_t reserved[6];
    union {
        struct {
            uint64_t cut;
            uint32_t life;
        } life;
        struct {
            uint64_t epoch;
            uint64_t previous_end;
        } epoch;
        struct {
            uint64_t incarnation;
            uint32_t node;
            uint32_t roles;
            uint8_t store_uuid[16];
            char host[NODE_HOST_BYTES];
            uint16_t port;
            uint32_t lane_count;
            uint32_t lanes[NODE_LANES_MAX];
            uint32_t lane_generations[NODE_LANES_MAX];
            uint32_t first_segment; /* the node's partition where memory is not coherent */
            uint32_t segments;
        } admit;
        struct {
            uint32_t lane; /* or LANE_SEQUENCER */
            uint16_t version;
            uint16_t count;
            uint32_t members[CHAIN_MAX]; /* node ids, head first */
        } chain;
        struct {
            uint64_t mark;
        } producer_block;
        struct {
            uint32_t gap_timeout_us;
            uint8_t order;
            uint8_t replicas;
            uint8_t min_insync;
            uint8_t gap;
            uint8_t durability;
            uint8_t reserved[7];
            char name[TOPIC_NAME_MAX + 1];
        } topic_create;
        struct {
            uint32_t topic;
        } topic_delete;
        struct {
            uint32_t topic;
        } session_open;
        struct {
            uint64_t session;
            uint32_t reason; /* enum meta_end_reason */
        } session_end;
        struct {
            uint64_t incarnation;
            uint32_t node;
            uint32_t reserved;
            uint64_t lane_ends[NODE_LANES_MAX]; /* of its lanes, as admitted: the next index */
        } leave;
        uint8_t bytes[312];
    };
};
_Static_assert(sizeof(struct meta_record) == 320, "META records are 320 bytes");

/* Writes a META batch; its size (at most META_BATCH_BYTES). */
#define META_BATCH_BYTES 448u
uint32_t meta_batch_build(void *to, const struct meta_record *record, uint64_t now_ms);
/* Checks CRC, form and fields (terminated names, known type, ranges). EMB_ERR_CORRUPT_BATCH. */
int meta_batch_read(const void *bytes, size_t count, struct meta_record *record, struct error *err);

/* ---- state ----------------------------------------------------------------------------------- */

/* In each item, `as_of`: it holds the effects of all entries below this position. */
struct meta_topic {
    uint64_t as_of;
    uint16_t id; /* 1 to geometry.topics; 0: META itself */
    bool deleted;
    char name[TOPIC_NAME_MAX + 1];
    struct topic_settings settings; /* min_insync resolved */
    uint64_t created_position;
    uint64_t next_offset;
    uint64_t first_position; /* of its first DATA, NO_POSITION if none */
};

struct session_batch {
    uint64_t client_sequence;
    uint64_t base_offset;
    uint32_t message_count;
};

struct meta_session {
    uint64_t as_of;
    uint64_t session; /* producer id << 16 | epoch; 0: free place */
    uint16_t topic;
    bool ended;
    uint64_t opened_position;
    uint64_t next;         /* the next client sequence */
    uint64_t lost_below;   /* end of the last range that was declared lost */
    uint64_t window_count; /* batches ever committed; the last SESSION_WINDOW are kept */
    struct session_batch window[SESSION_WINDOW];
};

struct meta_chain {
    uint16_t version; /* 0: none yet */
    uint16_t count;
    uint32_t members[CHAIN_MAX];
    uint64_t position; /* in force from here on, and for all above D */
};

struct meta_lane {
    uint64_t as_of;
    uint32_t node;       /* NODE_MAX: not granted */
    uint32_t generation; /* rises with each grant */
    uint64_t start;      /* the first index of this generation, or of the next while not granted */
    uint64_t granted_position;
    struct meta_chain chain;
};

struct meta_node {
    uint64_t as_of;
    uint64_t incarnation; /* admitted; 0: never */
    uint32_t roles;
    uint8_t store_uuid[16];
    char host[NODE_HOST_BYTES];
    uint16_t port;
    uint32_t lane_count;
    uint32_t lanes[NODE_LANES_MAX];
    uint32_t first_segment;
    uint32_t segments;
    bool live;
};

struct meta_state {
    uint32_t topics_max;
    uint32_t sessions_max;
    struct meta_topic *topics;     /* by id - 1 */
    uint32_t topic_count;          /* live ones */
    struct meta_session *sessions; /* places; found through session_map */
    uint32_t session_places;       /* some more than sessions_max, for those that ended */
    uint32_t *session_map;         /* open addressing: place + 1, 0 empty */
    uint32_t session_map_mask;
    uint32_t session_count; /* open ones */
    uint32_t session_hint;  /* where the search for a place goes on */
    struct meta_node nodes[NODE_MAX];
    struct meta_lane lanes[LANE_MAX + 1];
    uint64_t next_producer;
    uint64_t producer_mark;   /* ids below are reserved by a META_PRODUCER_BLOCK */
    uint64_t producer_usable; /* ... that is durable: set by the sequencer, not encoded */
    uint64_t marks_as_of;     /* of next_producer, producer_mark, life and cut */
    uint32_t life;
    uint64_t cut;
    uint64_t chain_changes; /* applied to this state so far: a hint to look again; not encoded */
};

int meta_state_init(struct meta_state *state, uint32_t topics_max, uint32_t sessions_max);
void meta_state_free(struct meta_state *state);

/* Whether a node's store is a member of any lane's chain. */
bool meta_node_in_chain(const struct meta_state *state, uint32_t node);
/* NULL when there is none; a deleted topic is found by its id only. */
struct meta_topic *meta_topic_by_name(const struct meta_state *state, const char *name);
struct meta_topic *meta_topic_by_id(const struct meta_state *state, uint32_t id);
/* The session of exactly this id and epoch, ended ones too as long as their place is kept. */
struct meta_session *meta_session_find(const struct meta_state *state, uint64_t session);
/* The place that the next session to be opened takes: a free one, or that of one that ended. */
uint32_t meta_session_next_place(const struct meta_state *state);
/* The committed batch that starts at client_sequence, NULL if it is forgotten or never was. */
const struct session_batch *meta_session_batch(const struct meta_session *session,
                                               uint64_t client_sequence);

/*
 * Whether a request can be granted now; fills what the sequencer assigns (entry->topic,
 * entry->session). EMB_OK, or the reason to reject: TOPIC_EXISTS, INVALID_SETTING, UNKNOWN_TOPIC,
 * LIMIT, UNKNOWN_SESSION, NOT_SUPPORTED, BUSY (a store that leaves is in a chain), and UNAVAILABLE
 * (fewer stores than replicas, or no producer id is reserved: ask again).
 */
int meta_decide(const struct meta_state *state, const struct meta_record *record,
                struct goi_entry_shared *entry);
/* Whether an entry keeps the log's rules, so that it can be applied: its kind and lane, and what a
   META entry assigns (topic id, session). `record` for kind META: checked by meta_batch_read. */
bool meta_entry_holds(const struct meta_state *state, const struct goi_entry_shared *entry,
                      const struct meta_record *record);
/*
 * Applies one entry, in order of position. `record` for kind META, else NULL.
 * DATA: the topic's next offset, the session's next and window. META: as decided.
 */
void meta_apply(struct meta_state *state, uint64_t position, const struct goi_entry_shared *entry,
                const struct meta_record *record);

/* ---- as bytes: checkpoints and store snapshots ----------------------------------------------- */

/* Where a sliced encoding stands; zero-initialised to begin. */
struct meta_cursor {
    uint32_t stage;
    uint32_t item;
};
/*
 * Encodes about `items` more items, each as of `position` (the state holds everything below it), in
 * at most `capacity` bytes. Returns bytes written (0 is possible: only empty places passed), or
 * EMB_ERR_NO_SPACE when not one item fits. Call until meta_encode_done.
 */
int64_t meta_encode(const struct meta_state *state, struct meta_cursor *cursor, uint64_t position,
                    unsigned items, void *bytes, size_t capacity);
bool meta_encode_done(const struct meta_cursor *cursor);
/* Loads what meta_encode wrote into a fresh state. Entries below an item's position that are
   applied afterwards are recognised by that position and leave the item alone.
   EMB_ERR_CORRUPT names item and offset. */
int meta_decode(struct meta_state *state, const void *bytes, size_t count, struct error *err);

#endif

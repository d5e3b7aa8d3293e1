/*
 * Shared by the files of check/ alone: the history, the log and the disks as checkers look at them,
 * and how events are passed on. One thread; lifetime: check_begin to check_end.
 */
#ifndef SIM_CHECK_INTERNAL_H
#define SIM_CHECK_INTERNAL_H

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"
#include "sim/check/check.h"
#include "sim/memory/memory.h"

typedef unsigned long long ull; /* of %llu */

/* ---- map.c: numbers by numbers --------------------------------------------------------------- */

struct map {
    uint64_t *keys; /* all ones: empty */
    uint64_t *values;
    uint32_t capacity; /* a power of two */
    uint32_t count;
};

void map_clear(struct map *map);
void map_put(struct map *map, uint64_t key, uint64_t value); /* key: not all ones */
bool map_get(const struct map *map, uint64_t key, uint64_t *value);
/* Room for `count` items and some more; the new ones are zeros. */
void *array_grow(void *items, uint64_t *capacity, uint64_t count, size_t item_bytes);

/* ---- lines ----------------------------------------------------------------------------------- */

static inline bool line_crc_is_right(const void *line)
{
    uint32_t crc;
    memcpy(&crc, (const unsigned char *)line + 60, sizeof crc);
    return crc == crc32c(line, 60);
}

static inline bool goi_line_is_of(const struct goi_entry_shared *entry, uint64_t position)
{
    uint32_t crc = crc32c(entry, offsetof(struct goi_entry_shared, crc));
    return entry->stamp == (uint32_t)position &&
           entry->crc == crc32c_extend(crc, &position, sizeof position);
}

/* The place of the line that a hook is told of. */
const struct place *line_place(void);
/* The position of a GOI line by its stamp, near the log's end; false: it is nobody's there. */
bool goi_line_position(const struct goi_entry_shared *entry, uint32_t ring_index,
                       uint64_t *position);
/* Bytes of a payload as memory has them; NULL: the word leads nowhere. */
const unsigned char *payload_truth(uint64_t word);

/* ---- history.c ------------------------------------------------------------------------------- */

struct answer {
    int status;
    uint64_t base_offset;
    bool duplicate;
};

struct known_act {
    struct act act;
    uint32_t hash_next;    /* number + 1 */
    uint32_t oks;          /* answers, over all */
    uint32_t plain_oks;    /* those that did not say "duplicate" */
    bool refused_sequence; /* it was ever answered so */
    bool refused_lost;
    bool refused_content;     /* too large, corrupt: as it is, nobody takes it */
    uint64_t last_about;      /* newest position about it, log.c */
    uint32_t acts_when_acked; /* how many had been invoked when it was first acknowledged */
};

static inline struct known_act *known_act(const struct act *act)
{
    return (struct known_act *)((char *)(uintptr_t)act - offsetof(struct known_act, act));
}

void history_begin(void);
void history_forget(void);
/* The answer that `answered` hooks are told of. */
const struct answer *history_answer_now(void);
/* Whether two batches are the same but for base offset and leader epoch. */
bool batch_is_same(const void *a, const void *b, uint32_t byte_count);
/* For findings; static storage, good for some calls. */
const char *act_text(const struct act *act);
const char *entry_text(const struct committed *committed);

/* ---- log.c ----------------------------------------------------------------------------------- */

void log_begin(void);
void log_forget(void);
void log_committed_reached(const struct place *place, const unsigned char after[64]);
bool log_is_of_workspace(uint32_t workspace);
/* Positions about an act (any kind of entry), newest first; NO_POSITION ends. Those that are beyond
   the old end are left out. */
uint64_t log_last_about(const struct act *act);
uint64_t log_next_about(uint64_t position);
/* The first DATA entry of an act, or NO_POSITION. */
uint64_t log_first_data(const struct act *act);
/* What a slot's entry is about: the act with its payload's bytes, whatever its kind; or NULL. */
const struct act *log_about(uint64_t position);
/* Whether that host is the writer of a segment's line from now on: its owner is back; or it has
   left, that is kept, and the host is the sequencer's. */
bool log_segment_passes(const struct host *host, uint32_t segment);
/* What a store must hold beside the entry; NULL: not known. */
const unsigned char *log_payload(uint64_t position, uint32_t *byte_count);

static inline bool carries_payload(const struct goi_entry_shared *entry)
{
    return entry->kind == ENTRY_META ||
           (entry->kind == ENTRY_DATA && (entry->flags & (ENTRY_ASKS_SYNC | ENTRY_ASKS_COPY)));
}

static inline bool is_of_slot(const struct goi_entry_shared *entry)
{
    return entry->lane < LANE_MAX;
}

/* ---- disks.c --------------------------------------------------------------------------------- */

void disks_begin(void);
void disks_synced(struct host *host, const char *name, const unsigned char *durable,
                  uint64_t bytes);
/* Moves log_durable and log_kept as far as they go. */
void disks_advance(void);
/* As log_durable, without the count of members. */
uint64_t log_kept(void);

/* ---- of one checker, asked by another -------------------------------------------------------- */

/* The position of the entry that a slot of the lane's present generation got, or NO_POSITION. */
uint64_t slots_position(uint32_t lane, uint64_t index);

enum range_is { RANGE_COMMITTED, RANGE_NOT_YET, RANGE_PARTLY_LOST };
/* What became of a session's sequences, by the log so far. */
enum range_is sessions_range(uint64_t session, uint64_t first, uint64_t end);
bool sessions_ended(uint64_t session);
/* DATA entries of the session behind the one that begins there. */
uint32_t sessions_data_after(uint64_t session, uint64_t first);
uint64_t sessions_lost_below(uint64_t session);

/* A subscription of readers.c begins. */
void readers_subscribed(uint32_t subscriber, uint16_t topic, uint64_t offset);
/* Where a topic's batch stands that begins at this offset, or NO_POSITION. */
uint64_t readers_position(uint16_t topic, uint64_t base_offset);

/* ---- check.c --------------------------------------------------------------------------------- */

void tell_committed(const struct committed *committed);
void tell_invoked(struct act *act);
void tell_answered(struct act *act);
void tell_delivered(const struct delivery_seen *seen);
void tell_durable(uint64_t before, uint64_t now);

#endif

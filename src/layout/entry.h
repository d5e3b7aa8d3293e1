/*
 * The two records the log is made of.
 *
 * PBR entry: a broker's claim that a batch stands in its BLog. Writer: the ingest agent that owns
 * the lane. Reader: the sequencer. Ring of geometry.lane_slots; the index never restarts.
 *    0 index:8 (stamp)  8 payload:8  16 session:8  24 client_sequence:8  32 timestamp_ms:6
 *   38 topic:2  40 message_count:4  44 control_epoch:4  48 lane_generation:4  52 broker:1
 *   53 kind:1  54 flags:2  56 reserved:4  60 crc:4
 *   Stale read: an earlier lap's entry, its index too low: "not there yet".
 *
 * GOI entry: the decision about one PBR slot (or of the sequencer itself). Writer: the sequencer
 * of its epoch. Readers: every node's follower.
 *    0 stamp:4 (low bits of the position)  4 message_count:4  8 base_offset:8  16 payload:8
 *   24 session:8  32 client_sequence:8  40 timestamp_ms:6  46 topic:2  48 pbr_index:4 (low bits)
 *   52 epoch:4  56 lane:1  57 kind:1  58 flags:1  59 reason:1 (wire value of an error)  60 crc:4
 *   The CRC covers the first 60 bytes and then the whole 8-byte position.
 *   Nobody reads one at or beyond committed_seq, so a stale one is an earlier lap's: refused.
 */
#ifndef LAYOUT_ENTRY_H
#define LAYOUT_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "layout/limits.h"
#include "mem/mem.h"

enum entry_kind {
    ENTRY_DATA = 1,
    ENTRY_META = 2,
    ENTRY_NOP = 3,      /* a duplicate; base_offset is the original's, or all ones */
    ENTRY_REJECTED = 4, /* reason says why */
    ENTRY_RETRY = 5,    /* send it again unchanged */
    ENTRY_SKIP = 6,     /* session, client_sequence up to base_offset (exclusive) is lost */
};

enum entry_flags {
    ENTRY_ASKS_SYNC = 1, /* GOI: D waits until the chain has synced it */
    ENTRY_ASKS_COPY = 2, /* GOI: D waits until the chain has copied it */
};

/* Where a batch stands: address in units of 64 bytes (low 40 bits), size in bytes (high 24). */
static inline uint64_t payload_word(uint64_t address_bytes, uint32_t bytes)
{
    return (address_bytes / LINE_BYTES) | ((uint64_t)bytes << 40);
}

static inline uint64_t payload_address(uint64_t word)
{
    return (word & ((1ULL << 40) - 1)) * LINE_BYTES;
}

static inline uint32_t payload_bytes(uint64_t word)
{
    return (uint32_t)(word >> 40);
}

struct pbr_entry_shared {
    uint64_t index;
    uint64_t payload;
    uint64_t session;
    uint64_t client_sequence;
    uint8_t timestamp_ms[6];
    uint16_t topic;
    uint32_t message_count;
    uint32_t control_epoch;
    uint32_t lane_generation;
    uint8_t broker;
    uint8_t kind;
    uint16_t flags;
    uint32_t reserved;
    uint32_t crc;
};

struct goi_entry_shared {
    uint32_t stamp;
    uint32_t message_count;
    uint64_t base_offset;
    uint64_t payload;
    uint64_t session;
    uint64_t client_sequence;
    uint8_t timestamp_ms[6];
    uint16_t topic;
    uint32_t pbr_index;
    uint32_t epoch;
    uint8_t lane;
    uint8_t kind;
    uint8_t flags;
    uint8_t reason;
    uint32_t crc;
};

/*
 * The line at the head of each lane. Writer: the lane's owner. Reader: the sequencer.
 *   0 retry_below:8: held slots below this index stand in the way (ring or segment) and get RETRY.
 *   Stale read: the RETRY comes a pass later.
 */
struct lane_head_shared {
    struct pub_u64 retry_below;
    uint8_t reserved[56];
};

_Static_assert(sizeof(struct pbr_entry_shared) == LINE_BYTES, "one line");
_Static_assert(offsetof(struct pbr_entry_shared, topic) == 38, "PBR layout");
_Static_assert(offsetof(struct pbr_entry_shared, lane_generation) == 48, "PBR layout");
_Static_assert(offsetof(struct pbr_entry_shared, crc) == 60, "PBR layout");
_Static_assert(sizeof(struct goi_entry_shared) == LINE_BYTES, "one line");
_Static_assert(offsetof(struct goi_entry_shared, topic) == 46, "GOI layout");
_Static_assert(offsetof(struct goi_entry_shared, lane) == 56, "GOI layout");
_Static_assert(offsetof(struct goi_entry_shared, crc) == 60, "GOI layout");
_Static_assert(sizeof(struct lane_head_shared) == LINE_BYTES, "one line");

#endif

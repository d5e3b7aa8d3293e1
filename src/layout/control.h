/*
 * Who orders: epoch slots and workspaces.
 *
 * Epoch slot, 64 bytes: 0 epoch:8  8 sequencer:4  12 workspace:4  16 zero:44  60 crc:4.
 *   Writer: the sequencer that was granted it, once. Readers: everybody. The highest valid one is
 *   the current epoch. Stale read: an older epoch, whose acts the floor and the checks refuse.
 *
 * Workspace: one line with committed_seq, INTERVAL_MAX lines of the epoch record, two checkpoint
 *   halves. Writer: the sequencer that was granted it. Readers: followers; a successor.
 *
 * Interval line, 64 bytes: 0 index:8  8 owner_epoch:8 (of the workspace)  16 epoch:8 (the
 *   interval that ended)  24 end:8 (its first position that never was)  32 next_start:8  40 zero:20
 *   60 crc:4. Line 0 stands for "nothing before": epoch 0. From next_start of the last valid line
 *   on, positions are the owner's own. Stale read: the reader waits at `end` for one poll more.
 */
#ifndef LAYOUT_CONTROL_H
#define LAYOUT_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "layout/limits.h"
#include "mem/mem.h"

struct epoch_slot_shared {
    uint64_t epoch;
    uint32_t sequencer; /* node id */
    uint32_t workspace; /* below WORKSPACE_COUNT */
    uint8_t reserved[44];
    uint32_t crc;
};

struct interval_shared {
    uint64_t index;
    uint64_t owner_epoch;
    uint64_t epoch;
    uint64_t end;
    uint64_t next_start;
    uint8_t reserved[20];
    uint32_t crc;
};

/* The line of committed_seq: the first position that is not committed. Stale: an older truth. */
struct committed_shared {
    struct pub_u64 committed;
    uint8_t reserved[56];
};

/*
 * Checkpoint header line, at the head of each half: 0 sequence:8 (rises by one each checkpoint)
 * 8 owner_epoch:8  16 covers:8 (the state holds everything below this position)  24 bytes:8 (of the
 * body)  32 body_crc:4  36 zero:4  40 durable:8 (D as its writer knew it when it began)  48 zero:12
 * 60 crc:4. The body is written and drained before its header.
 * A reader takes the half with the higher valid sequence and reads it again if it changed.
 */
struct checkpoint_shared {
    uint64_t sequence;
    uint64_t owner_epoch;
    uint64_t covers;
    uint64_t bytes;
    uint32_t body_crc;
    uint32_t reserved;
    uint64_t durable;
    uint8_t reserved_too[12];
    uint32_t crc;
};

_Static_assert(sizeof(struct epoch_slot_shared) == LINE_BYTES, "one line");
_Static_assert(offsetof(struct epoch_slot_shared, crc) == 60, "epoch slot layout");
_Static_assert(sizeof(struct interval_shared) == LINE_BYTES, "one line");
_Static_assert(offsetof(struct interval_shared, crc) == 60, "interval layout");
_Static_assert(sizeof(struct committed_shared) == LINE_BYTES, "one line");
_Static_assert(sizeof(struct checkpoint_shared) == LINE_BYTES, "one line");
_Static_assert(offsetof(struct checkpoint_shared, durable) == 40, "checkpoint layout");
_Static_assert(offsetof(struct checkpoint_shared, crc) == 60, "checkpoint layout");

#endif

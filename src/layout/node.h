/*
 * What one node says of itself: its lines of the node table, and what its replica has done.
 *
 * Node lines, 3 x 64 bytes; writer: that node; readers: everybody.
 *   request: 0 incarnation:8 (rises with every start)  8 roles:4 (0: this incarnation has left)
 *     12 lanes_wanted:4
 *     16 store_uuid:16  32 address:22 (host, zero-padded)  54 port:2  56 life:4  60 crc:4
 *     Stale read: an older incarnation, whose admission the node itself ignores.
 *   beat: 0 heartbeat:8  8 epoch_floor:8  16 parked:8  24 seat_parked:8  32 withdrawn:8  40 zero:24
 *     Stale: it seems a little slower. `parked`, `seat_parked`: 1 while the node's thread, or that
 *     of its sequencer, sleeps; who works for it on the same host then rings its bell (edge N1).
 *     Stale: it sleeps at most its 5 ms. `withdrawn`: every incarnation up to this one has
 *     published its last; it only rises. Stale: a node that gave up is let go of later.
 *   read: 0 read_position:8  8 needed:8  16 store_synced:8  24 reading:8  32 zero:32
 *     `read_position`: the follower has taken everything below it. `needed`: the oldest position
 *     whose payload this node still has to copy or hand out; both only rise. Stale: reuse waits.
 *     `reading`: the oldest position a delivery from old memory reads now, or all ones. It may
 *     fall: see region/README.md, edge R5, for why that is safe.
 *
 * Completion line per (lane, replica), 64 bytes: 0 synced:8  8 copied:8  16 zero:48. Each word is
 *   (chain version:16 << 48 | position:48): everything of this lane below the position is so here
 *   and at the predecessors. Writer: that replica. Readers: the successor in the chain, every
 *   follower. Stale read: an ack later.
 */
#ifndef LAYOUT_NODE_H
#define LAYOUT_NODE_H

#include <stddef.h>
#include <stdint.h>

#include "layout/limits.h"
#include "mem/mem.h"

enum node_roles { ROLE_BROKER = 1, ROLE_REPLICA = 2, ROLE_SEQUENCER = 4, ROLE_STANDBY = 8 };

#define NODE_HOST_BYTES 22 /* a numeric IPv4 address or a short host name, with its end */

struct node_request_shared {
    uint64_t incarnation;
    uint32_t roles;
    uint32_t lanes_wanted;
    uint8_t store_uuid[16];
    char host[NODE_HOST_BYTES];
    uint16_t port;
    uint32_t life;
    uint32_t crc;
};

struct node_beat_shared {
    struct pub_u64 heartbeat;
    struct pub_u64 epoch_floor;
    struct pub_u64 parked;
    struct pub_u64 seat_parked;
    struct pub_u64 withdrawn;
    uint8_t reserved[24];
};

struct node_read_shared {
    struct pub_u64 read_position;
    struct pub_u64 needed;
    struct pub_u64 store_synced;
    struct pub_u64 reading;
    uint8_t reserved[32];
};

struct node_shared {
    struct node_request_shared request;
    struct node_beat_shared beat;
    struct node_read_shared read;
};

struct completion_shared {
    struct pub_u64 synced;
    struct pub_u64 copied;
    uint8_t reserved[48];
};

static inline uint64_t completion_word(uint16_t version, uint64_t position)
{
    return ((uint64_t)version << 48) | (position & ((1ULL << 48) - 1));
}

static inline uint16_t completion_version(uint64_t word)
{
    return (uint16_t)(word >> 48);
}

static inline uint64_t completion_position(uint64_t word)
{
    return word & ((1ULL << 48) - 1);
}

_Static_assert(sizeof(struct node_request_shared) == LINE_BYTES, "one line");
_Static_assert(offsetof(struct node_request_shared, crc) == 60, "node layout");
_Static_assert(sizeof(struct node_beat_shared) == LINE_BYTES, "one line");
_Static_assert(sizeof(struct node_read_shared) == LINE_BYTES, "one line");
_Static_assert(sizeof(struct node_shared) == 3 * LINE_BYTES, "three lines");
_Static_assert(sizeof(struct completion_shared) == LINE_BYTES, "one line");

#endif

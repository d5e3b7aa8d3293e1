/* Limits that are part of the region's layout. Design: 4-house, "Names and defaults". */
#ifndef LAYOUT_LIMITS_H
#define LAYOUT_LIMITS_H

#include <stdint.h>

#define LAYOUT_VERSION   2
#define LINE_BYTES       64
#define NODE_MAX         32
#define LANE_MAX         64
#define LANE_SEQUENCER   64 /* the sequencer's own entries: a chain, no ring */
#define LANE_NONE        255
#define EPOCH_SLOT_COUNT 16
#define WORKSPACE_COUNT  16
#define INTERVAL_MAX     64 /* intervals an epoch record can hold */
#define CHAIN_MAX        8  /* members of a chain */
#define NODE_LANES_MAX   4
#define SESSION_WINDOW   16 /* batches of a session whose offsets are remembered */

/* All ones: no session, no sequence, not known. Kafka's -1. */
#define NO_SESSION  UINT64_MAX
#define NO_SEQUENCE UINT64_MAX
#define NO_OFFSET   UINT64_MAX
#define NO_POSITION UINT64_MAX

#endif

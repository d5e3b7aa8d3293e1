/*
 * The rig of this room's tests: the sequencer against real followers on one region. The brokers are
 * played by the test, which publishes PBR entries and reads every outcome. One thread; each test
 * has a rig of its own, from begin to end.
 */
#ifndef SEQUENCER_RIG_TEST_H
#define SEQUENCER_RIG_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "follower/follower.h"
#include "sequencer/sequencer.h"

#define NODES      2 /* as begin starts it */
#define NODES_MOST 3
#define RIG_SLOTS  4096 /* a lane has no more */
#define MS         1000000ULL

struct rig {
    unsigned char *memory;
    uint32_t nodes;
    struct region seat;                /* the sequencer's */
    struct region regions[NODES_MOST]; /* the nodes' */
    struct sequencer *sequencer;
    struct follower *followers[NODES_MOST];
    uint64_t published[NODES_MOST]; /* slots of each node's lane */
    uint64_t released[NODES_MOST];  /* contiguous outcomes */
    bool done[NODES_MOST][RIG_SLOTS];
    uint64_t now_ns;
    uint64_t payloads;
    struct outcome last; /* the newest outcome of any lane */
    uint64_t outcomes;
};

/* 16 segments of 8 GOI entries, lanes of 8 slots, 16 topics and sessions. */
struct geometry geometry_tiny(void);
void begin(struct rig *rig, enum mem_coherence coherence);
/* Node and sequencer options as given; the region and the epoch are filled in. */
void begin_with(struct rig *rig, const struct geometry *geometry, enum mem_coherence coherence,
                uint32_t nodes, struct sequencer_options options);
/* begin has asked for every node, as a broker; anew before the first turn for other roles. */
void ask_admission(struct rig *rig, uint32_t node, uint32_t roles);
/* A topic of order 5 and a session in it. */
uint16_t begin_with_session(struct rig *rig, enum mem_coherence coherence, uint8_t gap,
                            uint64_t *session);
void end(struct rig *rig);

/* 1 ms: the sequencer, then every follower, then all outcomes are taken. */
void turn(struct rig *rig);
void turns(struct rig *rig, int count);
void turn_follower(struct rig *rig, uint32_t node);
/* Accounts for one outcome; fails if its slot had one before. */
void note_outcome(struct rig *rig, uint32_t node, const struct outcome *outcome);

uint32_t lane_of(const struct rig *rig, uint32_t node);
bool has_slot(const struct rig *rig, uint32_t node);
void publish(struct rig *rig, uint32_t node, struct pbr_entry_shared entry);
/* A node's request, with its META batch in a segment that the rig takes for itself. */
void request(struct rig *rig, uint32_t node, const struct meta_record *record);
void data(struct rig *rig, uint32_t node, uint16_t topic, uint64_t session, uint64_t sequence,
          uint32_t count);
uint16_t create_topic(struct rig *rig, const char *name, uint8_t order, uint8_t gap);
uint64_t open_session(struct rig *rig, uint16_t topic);
void end_session(struct rig *rig, uint64_t session);
struct sequencer_counters counters_of(const struct rig *rig);

#endif

/*
 * The rig of this room's tests: a follower and a store made of arrays, and real completion words.
 * One thread; each test has a world of its own, from setup to teardown.
 */
#ifndef REPLICA_RIG_TEST_H
#define REPLICA_RIG_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replica/replica.h"

#define NODE             1
#define LANE             3
#define POSITIONS        2048
#define MS               1000000ULL
#define PAYLOAD_CAPACITY 512

struct follower {
    uint64_t position, durable, admitted;
    bool not_current;
    struct meta_state meta;
    struct goi_entry_shared entries[POSITIONS];
    bool overwritten[POSITIONS];
    uint64_t jump_to[POSITIONS]; /* 0: an entry */
    unsigned char payloads[POSITIONS][PAYLOAD_CAPACITY];
    bool payload_gone;
    uint64_t needed, store_synced;
    uint64_t payload_reads;
};

struct store {
    uint64_t appended, copied, synced, syncing_to;
    bool begun, syncing;
    unsigned syncs, busy, turns;
    uint64_t unsynced_bytes, sync_durable;
    uint64_t flushed_to, flushes;
    int failure;
    uint64_t positions[POSITIONS];
    struct goi_entry_shared entries[POSITIONS];
    unsigned char payloads[POSITIONS][PAYLOAD_CAPACITY];
    size_t payload_bytes[POSITIONS];
    unsigned count;
};

struct world {
    struct region region;
    struct completion_shared completions[LANE_MAX + 1][NODE_MAX];
    struct follower follower;
    struct store store;
    struct replica *replica;
};

int setup_hardware(void **state);
int setup_software(void **state);
int teardown(void **state);

/* A test in a world whose memory is hardware- or software-coherent. */
#define IN_HARDWARE(test) cmocka_unit_test_setup_teardown(test, setup_hardware, teardown)
#define IN_SOFTWARE(test) cmocka_unit_test_setup_teardown(test, setup_software, teardown)

void create_replica(struct world *w);
void set_chain(struct world *w, uint32_t lane, uint16_t version, int count,
               const uint32_t *members);
/* The next entry of the log, with a right payload for DATA and META; its position. */
uint64_t add(struct world *w, uint32_t lane, enum entry_kind kind, unsigned flags);
uint64_t add_data(struct world *w); /* in LANE, asks for a sync */
void turn(struct world *w, uint64_t now_ns);
void sync_ends(struct store *store);
/* turn, sync_ends, turn: what was added is in the store, and said. */
void turn_and_sync(struct world *w);

uint64_t synced_word(struct world *w, uint32_t lane, uint32_t node);
uint64_t copied_word(struct world *w, uint32_t lane, uint32_t node);
/* Another member publishes both words. */
void say(struct world *w, uint32_t lane, uint32_t node, uint16_t version, uint64_t position);
void assert_failed_with(struct world *w, int code, const char *part);

#endif

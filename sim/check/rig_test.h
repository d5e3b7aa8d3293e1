/*
 * A rack by hand for the tests of check/: a small region, two hosts with stores, a topic, a
 * session, and one act after the other, told as memory and disks would tell them. Memory, disks,
 * world and store_scan are stand-ins. One thread; rack_begin to rack_end. Tests only.
 */
#ifndef SIM_CHECK_RIG_TEST_H
#define SIM_CHECK_RIG_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/check/internal.h"
#include "store/store.h"

#define IMAGE_BYTES (64u << 10)
#define FRAMES_MAX  256
#define SESSION     (7ULL << 16)
#define TOPIC       1

struct disk {
    unsigned char image[IMAGE_BYTES];
    uint64_t bytes;
    struct store_frame frames[FRAMES_MAX]; /* that a scan finds */
    unsigned count;
};

extern unsigned char *region;
extern struct memory_watch watch; /* as check_begin left it */
extern struct host hosts[2];
extern struct disk disks[2];
extern struct coverage coverage;
extern const char *stuck;                   /* what clients_stuck says */
extern char found_by[32], found_text[1600]; /* the first finding; empty: none */
extern uint64_t committed_seq, next_slot, next_offset, next_sequence, blog_at;

/* Two nodes with stores, a lane each, chains, a topic, a session; all of it durable. */
int rack_begin(void **state);
int rack_end(void **state);

/* Writes and commits entries. */
void goi_put(uint64_t position, struct goi_entry_shared *entry);
void commit_up_to(uint64_t end);
uint64_t commit(struct goi_entry_shared entry);
/* A slot of lane 0 with the act's batch; what an entry about it says, and the same committed. */
struct goi_entry_shared publish(const struct act *act, enum entry_kind kind, int reason);
uint64_t publish_and_commit(const struct act *act, enum entry_kind kind, int reason);
/* Batches of the session: one from this sequence on; the next; the next, committed. */
struct act *act_new(uint64_t sequence, uint32_t count);
struct act *act_next(uint32_t count);
struct act *act_committed(void);
/* The session's next sequences up to there are declared lost. */
void range_lost(uint64_t until);
/* Everything up to there is on the host's disk. */
void sync_host(uint32_t number, uint64_t end);
void sync_all(void);
/* What else lies in memory. */
void node_set(uint32_t node, uint64_t needed, uint64_t reading);
void checkpoint_put(uint64_t covers);
/* To subscriber 2. */
void deliver(const struct act *act, uint64_t position, uint8_t level);

#endif

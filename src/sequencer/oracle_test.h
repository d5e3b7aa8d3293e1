/*
 * The oracle of the model test: it knows for each message of each session whether it is committed
 * or lost, and for each slot whether it has its outcome, and judges every committed entry. Every
 * few turns the newest checkpoint and the log's tail are loaded as a successor would, and must give
 * the state and the undecided slots. One thread; lifetime of one seed's world.
 */
#ifndef SEQUENCER_ORACLE_TEST_H
#define SEQUENCER_ORACLE_TEST_H

#include "base/random.h"
#include "sequencer/rig_test.h"

#define LOG_MOST      65536
#define SLOTS_MOST    8192
#define SESSIONS_MOST 512
#define MESSAGES_MOST 512
#define TODO_MOST     8
#define FENCE_NS      (30 * MS)
#define SKIP_NS       (1500000ULL)

enum message { UNKNOWN, COMMITTED, LOST };

struct batch {
    uint64_t first;
    uint32_t count;
};

struct client {
    uint64_t id;
    uint16_t topic;
    bool ended, skips;
    uint64_t opened_ns;
    uint64_t next;
    uint64_t lost_below;
    uint8_t messages[MESSAGES_MOST]; /* enum message */
    uint64_t offsets[MESSAGES_MOST];
    bool rejected[MESSAGES_MOST]; /* a batch that begins there was */
    struct batch recent[SESSION_WINDOW];
    uint64_t batches;
    uint64_t made; /* what the client has cut into batches so far */
    struct batch todo[TODO_MOST];
    int todos;
};

struct topic {
    bool there, deleted;
    uint8_t order, gap;
    uint64_t next_offset;
};

struct slot {
    struct pbr_entry_shared entry;
    uint64_t published_turn;
    bool decided;
};

struct logged {
    struct goi_entry_shared entry;
    struct meta_record record;
};

struct world {
    struct rig rig;
    struct random_state random;
    struct topic topics[17]; /* by id */
    struct client clients[SESSIONS_MOST];
    int client_count;
    struct slot slots[NODES_MOST][SLOTS_MOST];
    struct logged log[LOG_MOST];
    uint64_t checked; /* positions below went through the model */
    uint64_t turn;
    bool slow[NODES_MOST];
    bool stores; /* every node has one; lanes have chains of two */
    uint64_t copied[NODES_MOST], synced[NODES_MOST]; /* of the nodes' stores, in truth */
    uint64_t retry_below[NODES_MOST];
    uint64_t checkpoints;
};

struct client *client_of(struct world *w, uint64_t id);
/* Reads and judges what was committed since, as nobody's follower. */
void check_log(struct world *w);
/* A META state that has everything below `checked`. */
void check_state(const struct world *w, const struct meta_state *state);
void check_checkpoint(struct world *w);
/* D and kept of a node are not ahead of the stores. */
void check_durable(const struct world *w, uint32_t node);

#endif

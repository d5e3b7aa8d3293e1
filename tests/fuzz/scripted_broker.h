/*
 * A broker as a whole - with its follower and the real sequencer, on a small region in memory, on a
 * scripted network and clock - for fuzz targets and for tests of what takes time. One thread, one
 * at a time.
 */
#ifndef TESTS_FUZZ_SCRIPTED_BROKER_H
#define TESTS_FUZZ_SCRIPTED_BROKER_H

#include "broker/broker.h"
#include "sequencer/sequencer.h"
#include "tests/fuzz/script_env.h"
#include "tests/fuzz/small_region.h"
#include "wire/wire.h"

#define MS 1000000ULL

struct scripted {
    struct env *env;
    unsigned char *memory;
    struct region region, seat;
    struct follower *follower;
    struct sequencer *sequencer;
    struct broker *broker;
};

/* Fills in what the broker stands on, and runs until the node is admitted. `by_file`: deliveries
   go out with sendfile. */
void scripted_begin(struct scripted *scripted, struct broker_options options, bool by_file);
/* The same in a region that was formatted at `memory`, which stays the caller's. */
void scripted_begin_in(struct scripted *scripted, unsigned char *memory, uint64_t bytes,
                       struct broker_options options, bool by_file);
/* All peers go; frees everything. Asserts that no connection is left. */
void scripted_end(struct scripted *scripted);
/* Time passes, and everybody has one turn. */
void scripted_turn(struct scripted *scripted, uint64_t ns);
/* So many turns of that length. */
void scripted_turns(struct scripted *scripted, unsigned turns, uint64_t ns);
/* The next frame that the broker sent to the peer, taken; *body is valid until the broker's next
   turn. False: there is no whole one. Asserts that what it sent are frames. */
bool scripted_receive(struct env_socket *peer, struct frame_header *header,
                      const unsigned char **body);

#endif

/*
 * The rack of a test as daemons: one embarcaderod a node, started in any order, on the region and
 * with the options of the rig. What they say goes into files of the rig's directory. Main thread.
 */
#ifndef TESTS_DAEMONS_H
#define TESTS_DAEMONS_H

#include <sys/types.h>

#include "node/rack.h"

struct daemons {
    const struct rack_options *options;
    const char *directory;
    pid_t pids[RACK_NODES_MAX]; /* 0: none */
    uint16_t ports[RACK_NODES_MAX];
};

/* Starts all, the sequencer's somewhere among them, and waits until each knows its port; fails the
   test if one ends. The program is $EMB_TEST_DAEMON. */
void daemons_start(struct daemons *daemons, const struct rack_options *options,
                   const char *directory);
/* Fails the test if one has ended, or has said that something failed. */
void daemons_assert_well(struct daemons *daemons);
/* Stops all and removes the region; fails the test if one does not end as it should. */
void daemons_stop(struct daemons *daemons);
/* Kills what is left, for a teardown. */
void daemons_kill(struct daemons *daemons);

#endif

/*
 * Doorbells between the nodes of one host that have processes of their own (edge N1): a thread that
 * is about to sleep says so in its node's line; one that has done work looks at these words and
 * rings those that sleep. Nodes on other hosts have no bell here: their sleeps are 5 ms at most.
 *
 * One for each runner; its thread's. Writer of `parked` or `seat_parked` of the node's beat line.
 */
#ifndef NODE_BELLS_H
#define NODE_BELLS_H

#include "agent/agent.h"
#include "region/region.h"

struct bells;

/*
 * region: the thread's own view. Adds itself to the runner, as bells and as an agent that looks now
 * and then who is there. EMB_ERR_BUSY: a process of this host has the bell of this node id.
 */
int bells_create(struct env *env, struct runner *runner, struct region *region, uint32_t node,
                 bool is_seat, struct bells **bells, struct error *err);
/* Before the runner; NULL: nothing. */
void bells_destroy(struct bells *bells);

#endif

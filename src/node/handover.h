/*
 * Other limits for a running node, from the caller's thread to the node's: given once, taken in the
 * node's next turn.
 */
#ifndef NODE_HANDOVER_H
#define NODE_HANDOVER_H

#include "base/flag.h"
#include "node/node.h"

struct handover {
    struct flag full;
    struct broker_limits limits;
};

/* false: what was given before has not been taken yet; try again. */
static inline bool handover_give(struct handover *handover, const struct broker_limits *limits)
{
    if (flag_load_acquire(&handover->full))
        return false;
    handover->limits = *limits;
    flag_store_release(&handover->full, 1);
    return true;
}

static inline void handover_take(struct handover *handover, struct node *node)
{
    if (!flag_load_acquire(&handover->full))
        return;
    node_set_limits(node, &handover->limits);
    flag_store_release(&handover->full, 0);
}

#endif

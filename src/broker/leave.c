/*
 * Leaving the rack. How it works: nothing more is taken in, no other batch is begun to be sent;
 * what was taken gets its outcome and its answer, what is under way to subscribers is acknowledged
 * by their TCP (or reset); then the connections are closed, which ends their sessions; when that is
 * in the log too, a META_NODE_LEAVE is the lane's last slot. From its entry on the lane is nobody's
 * (so that slot has no outcome here), and once it is durable nobody counts on this node any more.
 */
#include <stdlib.h>

#include "broker/state.h"

#define ANSWERS_NS                                                                                 \
    2000000000ULL /* a client that does not read its answers is waited for so long                 \
                   */

void broker_leave(struct broker *b)
{
    if (b->leave.state != BROKER_STAYS)
        return;
    b->leave.state = BROKER_LEAVING;
    b->leave.since_ns = b->now_ns;
    connections_accept_no_more(b);
}

enum broker_leave broker_leave_state(const struct broker *b, int *reason)
{
    *reason = b->leave.reason;
    return b->leave.state;
}

bool broker_has_asked_to_leave(const struct broker *b)
{
    return b->leave.state == BROKER_LEAVING && b->leave.asked;
}

/* All that was published has its outcome, and that is told. */
static bool is_quiet(const struct broker *b)
{
    return slot_ring_used(&b->lane.slots) == 0 && list_empty(&b->requests) &&
           ring_count(&b->pending.answers) == 0;
}

static bool answers_are_out(const struct broker *b)
{
    if (!list_empty(&b->acking))
        return false;
    for (struct list *at = b->all.next; at != &b->all; at = at->next)
        if (output_waiting(CONTAINER_OF(at, struct connection, all_link)))
            return false;
    return true;
}

/* What is still sent out of the region is out, too: else its connection is reset. */
static bool is_read(const struct broker *b)
{
    return is_quiet(b) && answers_are_out(b) && list_empty(&b->pinned);
}

static void close_all(struct broker *b)
{
    b->leave.closed = true;
    for (struct list *at = b->all.next; at != &b->all; at = at->next)
        connection_break(CONTAINER_OF(at, struct connection, all_link));
}

static void ask(struct broker *b)
{
    struct meta_record record = {.type = META_NODE_LEAVE};
    record.leave.node = b->options.node;
    record.leave.incarnation = follower_meta(b->follower)->nodes[b->options.node].incarnation;
    record.leave.lane_ends[0] = b->lane.slots.next + 1; /* after this very slot */
    b->leave.asked = request_own(b, &record);
}

/* As far as it has read it was never admitted: its request is taken back, and a sequencer that has
   granted it meanwhile lets it go. */
static bool is_outside(const struct broker *b)
{
    return b->lane.open ? b->lane.lost : follower_epoch(b->follower) == 0;
}

/* The follower has read that it is out; told when that is durable. */
static void go_out(struct broker *b)
{
    if (!b->leave.outside)
        b->leave.outside_position = follower_position(b->follower);
    b->leave.outside = true;
    if (follower_durable(b->follower) >= b->leave.outside_position)
        b->leave.state = BROKER_LEFT;
}

void leave_work(struct broker *b)
{
    if (b->leave.state != BROKER_LEAVING)
        return;
    if (is_outside(b)) {
        go_out(b);
        return;
    }
    if (!b->lane.open || b->leave.asked)
        return;
    bool waited = b->now_ns - b->leave.since_ns >= ANSWERS_NS;
    if (!b->leave.closed && (waited || is_read(b)))
        close_all(b);
    else if (b->leave.closed && list_empty(&b->all) && is_quiet(b))
        ask(b);
}

void leave_refused(struct broker *b, int reason)
{
    b->leave.state = BROKER_REFUSED;
    b->leave.reason = reason;
    b->work++;
}

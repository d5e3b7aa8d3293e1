#include "broker/state.h"

void ack_give(struct broker *b, uint64_t connection, const struct ack_item *item)
{
    struct connection *c = connection_find(b, connection);
    if (!c)
        return;
    if (!ring_push(&c->acks, item)) {
        connection_break(c); /* its publisher must not wait for what will never come */
        return;
    }
    b->counters.acks++;
    if (!list_linked(&c->ack_link))
        list_append(&b->acking, &c->ack_link);
}

static void acks_write(struct connection *c)
{
    struct wire_writer w;
    size_t count = ring_count(&c->acks);
    if (!frame_begin(c, count * ACK_ITEM_BYTES, &w))
        return;
    for (; count; count--) {
        ack_item_put(&w, ring_front(&c->acks));
        ring_pop(&c->acks);
    }
    frame_end(c, &w, FRAME_ACK, 0);
}

/* All items of a connection's cycle in one frame. */
void acks_flush(struct broker *b)
{
    while (!list_empty(&b->acking)) {
        struct connection *c = CONTAINER_OF(b->acking.next, struct connection, ack_link);
        list_remove(&c->ack_link);
        if (c->broken)
            continue;
        acks_write(c);
        output_flush(c);
        connection_watch(c);
        b->work++;
    }
}

/* ---- outcomes -------------------------------------------------------------------------------- */

static void count_outcome(struct broker *b, const struct outcome *o)
{
    b->counters.retries += o->kind == ENTRY_RETRY;
    b->counters.duplicates += o->kind == ENTRY_NOP;
    b->counters.rejected += o->kind == ENTRY_REJECTED;
}

static struct ack_item item_of(const struct lane_slot *slot, const struct outcome *o)
{
    struct ack_item item = {.correlation = slot->correlation, .base_offset = NO_OFFSET};
    if (o->kind == ENTRY_DATA || o->kind == ENTRY_NOP)
        item.base_offset = o->base_offset;
    else
        item.status = o->kind == ENTRY_RETRY ? EMB_ERR_RETRY : o->reason;
    item.duplicate = o->kind == ENTRY_NOP;
    return item;
}

/* A refusal is final, so nobody is told before it is as durable as what it refuses would be. */
static bool waits_for_durable(const struct lane_slot *slot, const struct outcome *o)
{
    return o->kind == ENTRY_REJECTED || (o->kind != ENTRY_RETRY && slot->acks == 2);
}

static void data_outcome(struct broker *b, const struct lane_slot *slot, const struct outcome *o)
{
    if (slot->acks == 0)
        return;
    struct ack_item item = item_of(slot, o);
    if (!waits_for_durable(slot, o)) {
        ack_give(b, slot->connection, &item);
        return;
    }
    struct pending_answer answer = {
        .position = o->position, .connection = slot->connection, .item = item};
    struct connection *c = connection_find(b, slot->connection);
    if (c && !pending_push(&b->pending, &answer))
        connection_break(c);
}

/* Outcomes of an earlier grant of this lane are not this broker's. */
static bool is_of_this_grant(const struct broker *b, const struct outcome *o)
{
    const struct lane *lane = &b->lane;
    return lane->open && o->lane == lane->index &&
           o->position >= follower_meta(b->follower)->lanes[lane->index].granted_position;
}

static void outcome_apply(struct broker *b, const struct outcome *o)
{
    struct lane_slot slot;
    if (!is_of_this_grant(b, o) || !slot_ring_release(&b->lane.slots, o->slot, &slot))
        return;
    count_outcome(b, o);
    blog_outcome(&b->lane.blog, slot.held, o->position);
    b->lane.last_position = o->position;
    if (slot.request)
        request_outcome(b, slot.request, o);
    else
        data_outcome(b, &slot, o);
}

/* Bounded by what one turn of the follower takes. */
void outcomes_take(struct broker *b)
{
    struct outcome outcome;
    while (follower_outcome_take(b->follower, &outcome)) {
        outcome_apply(b, &outcome);
        b->work++;
    }
}

void answers_take(struct broker *b)
{
    struct pending_answer answer;
    uint64_t durable = follower_durable(b->follower);
    while (pending_take(&b->pending, durable, &answer)) {
        if (answer.request)
            request_answer(b, answer.request);
        else
            ack_give(b, answer.connection, &answer.item);
        b->work++;
    }
}

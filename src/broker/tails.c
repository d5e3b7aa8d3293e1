/*
 * How it works: who has everything below its limit waits at the tail of its topic. A topic keeps
 * the lowest offset and the lowest position that anybody there waits for, so that one glance at it
 * in a cycle tells whether the log's moving means anything to them; thousands who wait for another
 * topic cost nothing. Those of a topic where it does are then looked at, so many in a cycle.
 */
#include "broker/state.h"

#include <stdlib.h>

#define LOOKS_PER_CYCLE 256

struct tail {
    struct list link; /* in broker.tails; it stays there until it is found empty */
    struct list waiting;
    uint32_t topic;
    uint64_t offset;   /* lowest that is waited for; NO_OFFSET: none is */
    uint64_t position; /* the same of positions that are known and beyond a limit */
};

int tails_init(struct broker *b)
{
    uint32_t topics = b->region->geometry.topics;
    list_init(&b->tails);
    list_init(&b->tail_due);
    b->tail_of_topic = calloc(topics, sizeof(*b->tail_of_topic));
    for (uint32_t i = 0; b->tail_of_topic && i < topics; i++) {
        struct tail *tail = &b->tail_of_topic[i];
        tail->topic = i + 1;
        list_init(&tail->link);
        list_init(&tail->waiting);
    }
    return b->tail_of_topic ? EMB_OK : EMB_ERR_NO_MEMORY;
}

void tails_free(struct broker *b)
{
    free(b->tail_of_topic);
}

void tail_wait(struct connection *c)
{
    const struct delivery *d = &c->delivery;
    struct tail *tail = &c->broker->tail_of_topic[d->topic - 1];
    if (list_empty(&tail->waiting))
        tail->offset = tail->position = UINT64_MAX;
    if (d->next_position == NO_POSITION)
        tail->offset = min_u64(tail->offset, d->next_offset);
    else
        tail->position = min_u64(tail->position, d->next_position);
    list_append(&tail->waiting, &c->deliver_link);
    if (!list_linked(&tail->link))
        list_append(&c->broker->tails, &tail->link);
}

/* Whether anybody there may have something new. A position that is known is beyond no limit but D.
 */
static bool tail_may_have_more(struct broker *b, const struct tail *tail)
{
    const struct meta_topic *topic = meta_topic_by_id(follower_meta(b->follower), tail->topic);
    return !topic || topic->deleted || topic->next_offset > tail->offset ||
           tail->position < follower_durable(b->follower);
}

/* The same of one of them. */
static bool may_have_more(const struct connection *c)
{
    const struct delivery *d = &c->delivery;
    const struct meta_state *meta = follower_meta(c->broker->follower);
    const struct meta_topic *topic = meta_topic_by_id(meta, d->topic);
    if (!topic || topic->deleted)
        return true;
    if (d->next_position != NO_POSITION)
        return d->next_position < deliver_limit(c->broker, d->level);
    return topic->next_offset > d->next_offset;
}

static void look_at_tails(struct broker *b)
{
    struct list *next;
    for (struct list *at = b->tails.next; at != &b->tails; at = next) {
        next = at->next;
        struct tail *tail = CONTAINER_OF(at, struct tail, link);
        if (list_empty(&tail->waiting)) {
            list_remove(&tail->link);
        } else if (tail_may_have_more(b, tail)) {
            list_append_all(&b->tail_due, &tail->waiting);
            list_remove(&tail->link);
        }
    }
}

void tails_wake(struct broker *b, bool moved)
{
    if (moved)
        look_at_tails(b);
    for (int i = 0; i < LOOKS_PER_CYCLE && !list_empty(&b->tail_due); i++) {
        struct connection *c = CONTAINER_OF(b->tail_due.next, struct connection, deliver_link);
        if (may_have_more(c))
            list_append(&b->delivering, &c->deliver_link);
        else
            tail_wait(c);
    }
    b->work += !list_empty(&b->tail_due);
}

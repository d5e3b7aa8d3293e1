#include "broker/pending.h"

#include "base/assert.h"

void pending_init(struct pending_queue *queue)
{
    ring_init(&queue->answers, sizeof(struct pending_answer));
}

void pending_free(struct pending_queue *queue)
{
    ring_free(&queue->answers);
}

bool pending_push(struct pending_queue *queue, const struct pending_answer *answer)
{
    size_t count = ring_count(&queue->answers);
    if (count) {
        const struct pending_answer *newest = ring_at(&queue->answers, count - 1);
        ASSERT(newest->position <= answer->position);
    }
    return ring_push(&queue->answers, answer);
}

bool pending_take(struct pending_queue *queue, uint64_t durable, struct pending_answer *answer)
{
    const struct pending_answer *oldest = ring_front(&queue->answers);
    if (!oldest || oldest->position >= durable)
        return false;
    *answer = *oldest;
    ring_pop(&queue->answers);
    return true;
}

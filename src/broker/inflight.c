#include "broker/inflight.h"

#include "base/assert.h"

void inflight_init(struct inflight *inflight)
{
    ring_init(&inflight->batches, sizeof(struct inflight_batch));
}

void inflight_free(struct inflight *inflight)
{
    ring_free(&inflight->batches);
}

bool inflight_push(struct inflight *inflight, const struct inflight_batch *batch)
{
    size_t count = ring_count(&inflight->batches);
    if (count) {
        const struct inflight_batch *newest = ring_at(&inflight->batches, count - 1);
        ASSERT(newest->end_bytes <= batch->end_bytes);
    }
    return ring_push(&inflight->batches, batch);
}

unsigned inflight_acked(struct inflight *inflight, uint64_t acked_bytes)
{
    unsigned count = 0;
    const struct inflight_batch *oldest;
    while ((oldest = ring_front(&inflight->batches)) && oldest->end_bytes <= acked_bytes) {
        ring_pop(&inflight->batches);
        count++;
    }
    return count;
}

/* After a seek backwards the first sent is not the lowest; socket buffers keep the walk short. */
const struct inflight_batch *inflight_lowest(struct inflight *inflight)
{
    const struct inflight_batch *lowest = NULL;
    for (size_t i = 0; i < ring_count(&inflight->batches); i++) {
        const struct inflight_batch *batch = ring_at(&inflight->batches, i);
        if (!lowest || batch->position < lowest->position)
            lowest = batch;
    }
    return lowest;
}

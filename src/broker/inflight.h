/*
 * What one connection was sent out of shared memory without a copy, and the peer's TCP has not
 * acknowledged yet: its positions stay pinned. Bytes are counted from the connection's start.
 * Pure. One thread. Lifetime: the connection's.
 */
#ifndef BROKER_INFLIGHT_H
#define BROKER_INFLIGHT_H

#include "base/ring.h"
#include "layout/entry.h"

struct inflight_batch {
    uint64_t position;
    uint64_t end_bytes; /* of the stream, after the batch */
    struct goi_entry_shared entry;
};

struct inflight {
    struct ring batches; /* positions may fall: a seek backwards */
};

void inflight_init(struct inflight *inflight);
void inflight_free(struct inflight *inflight);
/* false: memory is out. end_bytes never falls. */
bool inflight_push(struct inflight *inflight, const struct inflight_batch *batch);
/* Forgets what ends at or below acked_bytes; how many that were. */
unsigned inflight_acked(struct inflight *inflight, uint64_t acked_bytes);
/* The batch of the lowest position, or NULL. */
const struct inflight_batch *inflight_lowest(struct inflight *inflight);

#endif

#include "base/ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define FIRST_CAPACITY 16

void ring_init(struct ring *ring, size_t item_bytes)
{
    ASSERT(item_bytes > 0);
    *ring = (struct ring){.item_bytes = item_bytes};
}

void ring_free(struct ring *ring)
{
    free(ring->items);
    ring_init(ring, ring->item_bytes);
}

static unsigned char *slot(const struct ring *ring, uint64_t index)
{
    return ring->items + (index & (ring->capacity - 1)) * ring->item_bytes;
}

static bool grow(struct ring *ring)
{
    struct ring larger = *ring;
    larger.capacity = ring->capacity ? ring->capacity * 2 : FIRST_CAPACITY;
    larger.items = malloc(larger.capacity * larger.item_bytes);
    if (!larger.items)
        return false;
    for (uint64_t i = ring->head; i < ring->tail; i++)
        memcpy(slot(&larger, i), slot(ring, i), ring->item_bytes);
    free(ring->items);
    *ring = larger;
    return true;
}

bool ring_push(struct ring *ring, const void *item)
{
    if (ring_count(ring) == ring->capacity && !grow(ring))
        return false;
    memcpy(slot(ring, ring->tail++), item, ring->item_bytes);
    return true;
}

void *ring_front(struct ring *ring)
{
    return ring_count(ring) ? slot(ring, ring->head) : NULL;
}

void *ring_at(struct ring *ring, size_t at)
{
    ASSERT(at < ring_count(ring));
    return slot(ring, ring->head + at);
}

void ring_pop(struct ring *ring)
{
    ASSERT(ring_count(ring) > 0);
    ring->head++;
}

#include "broker/slots.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/error.h"

int slot_ring_init(struct slot_ring *ring, uint32_t capacity, uint64_t start)
{
    ASSERT(is_power_of_two(capacity) && capacity >= 8);
    *ring = (struct slot_ring){
        .capacity = capacity, .reserve = capacity > 8 ? 2 : 1, .next = start, .released = start};
    ring->slots = calloc(capacity, sizeof(*ring->slots));
    return ring->slots ? EMB_OK : EMB_ERR_NO_MEMORY;
}

void slot_ring_free(struct slot_ring *ring)
{
    free(ring->slots);
    *ring = (struct slot_ring){0};
}

static struct lane_slot *slot_at(const struct slot_ring *ring, uint64_t index)
{
    return &ring->slots[index & (ring->capacity - 1)];
}

bool slot_ring_has_room(const struct slot_ring *ring, bool meta)
{
    uint32_t unused = ring->capacity - slot_ring_used(ring);
    return unused > (meta ? 0 : ring->reserve);
}

uint64_t slot_ring_push(struct slot_ring *ring, const struct lane_slot *slot)
{
    ASSERT(slot_ring_has_room(ring, true));
    struct lane_slot *to = slot_at(ring, ring->next);
    *to = *slot;
    to->open = true;
    return ring->next++;
}

bool slot_ring_release(struct slot_ring *ring, uint64_t index, struct lane_slot *slot)
{
    if (index < ring->released || index >= ring->next || !slot_at(ring, index)->open)
        return false;
    *slot = *slot_at(ring, index);
    slot_at(ring, index)->open = false;
    while (ring->released < ring->next && !slot_at(ring, ring->released)->open)
        ring->released++;
    return true;
}

uint64_t slot_ring_half_behind(const struct slot_ring *ring)
{
    uint64_t half = ring->capacity / 2;
    return ring->next > half ? ring->next - half : 0;
}

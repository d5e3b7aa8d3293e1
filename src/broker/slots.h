/*
 * The lane's slots as their owner remembers them: for each published PBR entry whom to answer.
 * Outcomes come in any order (held batches stay back), so slots are released one by one and reused
 * only below the oldest that has none: slot i is published only when slot i - capacity, and all
 * before it, have their outcome. Indexes never restart. One thread. Lifetime: the broker's.
 */
#ifndef BROKER_SLOTS_H
#define BROKER_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

struct meta_request;

struct lane_slot {
    uint64_t connection; /* id; 0: nobody waits */
    uint64_t correlation;
    struct meta_request *request; /* META; NULL for DATA */
    uint64_t held;                /* the BLog's segment life of its payload */
    uint8_t acks;
    bool open; /* without outcome yet */
};

struct slot_ring {
    struct lane_slot *slots;
    uint32_t capacity; /* a power of two */
    uint32_t reserve;  /* slots that only META may take */
    uint64_t next;     /* the index to be published next */
    uint64_t released; /* all below have their outcome */
};

/* The first index is `start`. EMB_ERR_NO_MEMORY. */
int slot_ring_init(struct slot_ring *ring, uint32_t capacity, uint64_t start);
void slot_ring_free(struct slot_ring *ring);

static inline uint32_t slot_ring_used(const struct slot_ring *ring)
{
    return (uint32_t)(ring->next - ring->released);
}

/* Whether a DATA (or META) entry may be published now. */
bool slot_ring_has_room(const struct slot_ring *ring, bool meta);
/* Takes the next index; there must be room. */
uint64_t slot_ring_push(struct slot_ring *ring, const struct lane_slot *slot);
/* Copies the slot out and releases it; false: no such index waits for an outcome. */
bool slot_ring_release(struct slot_ring *ring, uint64_t index, struct lane_slot *slot);
/* Slots below this index lie half a ring behind the newest. */
uint64_t slot_ring_half_behind(const struct slot_ring *ring);

#endif

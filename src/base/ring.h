/*
 * A first-in first-out queue of fixed-size items that grows by doubling up to a limit.
 * One thread. Items are copied in and out; pointers into it last until the next push.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    unsigned char *items;
    size_t item_bytes;
    size_t capacity; /* items, a power of two, or 0 */
    uint64_t head;   /* absolute index of the oldest */
    uint64_t tail;   /* absolute index after the newest */
};

void ring_init(struct ring *ring, size_t item_bytes);
void ring_free(struct ring *ring);

/* Appends a copy; returns false only when memory is out. */
bool ring_push(struct ring *ring, const void *item);

/* The oldest item, or NULL when empty. */
void *ring_front(struct ring *ring);

/* The item `at` places behind the oldest (at < ring_count). */
void *ring_at(struct ring *ring, size_t at);

/* Drops the oldest; the ring must not be empty. */
void ring_pop(struct ring *ring);

static inline size_t ring_count(const struct ring *ring)
{
    return (size_t)(ring->tail - ring->head);
}

#endif

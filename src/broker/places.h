/*
 * The places of connections: found by number and generation, so that what names one that is gone
 * finds nothing. Grows as it is used. One thread. Lifetime: the broker's.
 */
#ifndef BROKER_PLACES_H
#define BROKER_PLACES_H

#include <stdbool.h>
#include <stdint.h>

struct connection;

struct places {
    struct connection_place {
        struct connection *connection; /* NULL: free */
        uint64_t id;                   /* generation << 32 | place */
    } * all;
    uint32_t *free; /* the last is taken first */
    uint32_t capacity;
    uint32_t free_count;
    uint32_t generation;
};

void places_free(struct places *places);
/* An id for the connection, never 0; 0: no memory. */
uint64_t places_take(struct places *places, struct connection *connection);
void places_give(struct places *places, uint64_t id);
/* NULL: it is gone. */
struct connection *places_find(const struct places *places, uint64_t id);

#endif

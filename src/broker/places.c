#include "broker/places.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define PLACES_FIRST 64u

void places_free(struct places *places)
{
    free(places->all);
    free(places->free);
    *places = (struct places){0};
}

static bool places_grow(struct places *places)
{
    uint32_t capacity = places->capacity ? 2 * places->capacity : PLACES_FIRST;
    struct connection_place *all = realloc(places->all, capacity * sizeof(*all));
    if (!all)
        return false;
    places->all = all;
    uint32_t *free_places = realloc(places->free, capacity * sizeof(*free_places));
    if (!free_places)
        return false;
    places->free = free_places;
    memset(all + places->capacity, 0, (capacity - places->capacity) * sizeof(*all));
    for (uint32_t place = capacity; place-- > places->capacity;)
        places->free[places->free_count++] = place;
    places->capacity = capacity;
    return true;
}

uint64_t places_take(struct places *places, struct connection *connection)
{
    if (!places->free_count && !places_grow(places))
        return 0;
    uint32_t place = places->free[--places->free_count];
    places->generation = places->generation == UINT32_MAX ? 1 : places->generation + 1;
    uint64_t id = (uint64_t)places->generation << 32 | place;
    places->all[place] = (struct connection_place){connection, id};
    return id;
}

void places_give(struct places *places, uint64_t id)
{
    uint32_t place = (uint32_t)id;
    ASSERT(place < places->capacity && places->all[place].id == id);
    places->all[place] = (struct connection_place){0};
    places->free[places->free_count++] = place;
}

struct connection *places_find(const struct places *places, uint64_t id)
{
    uint32_t place = (uint32_t)id;
    if (!id || place >= places->capacity || places->all[place].id != id)
        return NULL;
    return places->all[place].connection;
}

/* Open addressing with linear probing, at most half full; kept from seed to seed. */
#include <stdlib.h>

#include "sim/check/internal.h"

#define MAP_FIRST 256

static void map_alloc(struct map *map, uint32_t capacity)
{
    map->keys = malloc(capacity * sizeof *map->keys);
    map->values = malloc(capacity * sizeof *map->values);
    ASSERT(map->keys && map->values);
    memset(map->keys, 0xff, capacity * sizeof *map->keys);
    map->capacity = capacity;
    map->count = 0;
}

void map_clear(struct map *map)
{
    if (map->count)
        memset(map->keys, 0xff, map->capacity * sizeof *map->keys);
    map->count = 0;
}

/* Where the key stands, or the empty place where it would. */
static uint32_t map_place(const struct map *map, uint64_t key)
{
    uint32_t at = (uint32_t)hash_u64(key) & (map->capacity - 1);
    while (map->keys[at] != key && map->keys[at] != UINT64_MAX)
        at = (at + 1) & (map->capacity - 1);
    return at;
}

static void map_grow(struct map *map)
{
    struct map old = *map;
    map_alloc(map, old.capacity ? old.capacity * 2 : MAP_FIRST);
    for (uint32_t i = 0; i < old.capacity; i++)
        if (old.keys[i] != UINT64_MAX)
            map_put(map, old.keys[i], old.values[i]);
    free(old.keys);
    free(old.values);
}

void map_put(struct map *map, uint64_t key, uint64_t value)
{
    ASSERT(key != UINT64_MAX);
    if (map->count * 2 >= map->capacity)
        map_grow(map);
    uint32_t at = map_place(map, key);
    map->count += map->keys[at] == UINT64_MAX;
    map->keys[at] = key;
    map->values[at] = value;
}

bool map_get(const struct map *map, uint64_t key, uint64_t *value)
{
    if (map->count == 0)
        return false;
    uint32_t at = map_place(map, key);
    if (map->keys[at] != key)
        return false;
    *value = map->values[at];
    return true;
}

void *array_grow(void *items, uint64_t *capacity, uint64_t count, size_t item_bytes)
{
    if (count <= *capacity)
        return items;
    uint64_t wanted = max_u64(max_u64(64, *capacity * 2), count);
    items = realloc(items, wanted * item_bytes);
    ASSERT(items);
    memset((char *)items + *capacity * item_bytes, 0, (wanted - *capacity) * item_bytes);
    *capacity = wanted;
    return items;
}

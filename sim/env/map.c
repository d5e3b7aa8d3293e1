/* The region: the host's own view of the simulated memory, whatever the url says. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sim/env/internal.h"
#include "sim/memory/memory.h"

int env_map_open(struct env *env, const char *url, uint64_t bytes, unsigned flags,
                 struct env_map **map, struct error *err)
{
    if (!env->host->in_rack)
        return error_set(err, EMB_ERR_NOT_FOUND, "region %s: %s is no host of the rack", url,
                         env->host->name);
    if (bytes > memory_bytes())
        return error_set(err, EMB_ERR_NO_SPACE,
                         "region %s of %" PRIu64 " bytes does not fit: %" PRIu64 " are there", url,
                         bytes, memory_bytes());
    struct env_map *created = room_of(sizeof(*created));
    created->env = env;
    created->base = memory_mapping(env->host);
    created->bytes = memory_bytes();
    TAILQ_INSERT_TAIL(&env->maps, created, link);
    *map = created;
    return EMB_OK;
}

void env_map_close(struct env_map *map)
{
    if (!map)
        return;
    TAILQ_REMOVE(&map->env->maps, map, link);
    free(map);
}

int env_map_remove(struct env *env, const char *url, struct error *err)
{
    return EMB_OK;
}

unsigned char *env_map_base(struct env_map *map)
{
    return map->base;
}

uint64_t env_map_bytes(struct env_map *map)
{
    return map->bytes;
}

bool env_map_huge(struct env_map *map)
{
    return false;
}

bool env_map_can_sendfile(struct env_map *map)
{
    return simulated.shape.sendfile;
}

void env_map_prefault(struct env_map *map, uint64_t offset, uint64_t bytes)
{
    ASSERT(offset <= map->bytes && bytes <= map->bytes - offset);
}

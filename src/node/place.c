#include "node/place.h"

#include <string.h>

static enum mem_coherence coherence_of(const struct place_options *o)
{
    if (o->coherence)
        return o->coherence;
    return strncmp(o->url, "shm:", 4) == 0 ? MEM_HARDWARE : MEM_SOFTWARE;
}

/* Whatever else somebody has there is not ours to write over. */
static int check_blank(const struct place_options *o, struct env_map *map, struct error *err)
{
    const unsigned char *base = env_map_base(map);
    for (uint64_t i = 0; i < SUPERBLOCK_BYTES && i < env_map_bytes(map); i++)
        if (base[i])
            return error_set(err, EMB_ERR_CORRUPT,
                             "region %s holds something that is no region of this version (byte "
                             "%llu is not zero): choose another name, or remove it; a device is "
                             "formatted by \"embarcadero region format --force\"",
                             o->url, (unsigned long long)i);
    return EMB_OK;
}

/* The superblock is written last: who waits for it finds all the rest. */
static int format(const struct place_options *o, struct env_map *map, struct error *err)
{
    struct region_areas areas;
    uint8_t uuid[16];
    if (env_map_bytes(map) < o->geometry.region_bytes)
        return error_set(err, EMB_ERR_NO_SPACE,
                         "region %s has %llu bytes, and one of %llu was to be made in it", o->url,
                         (unsigned long long)env_map_bytes(map),
                         (unsigned long long)o->geometry.region_bytes);
    region_areas_compute(&o->geometry, &areas);
    env_map_prefault(map, 0, areas.blog);
    env_random(o->env, uuid, sizeof uuid);
    return region_format(env_map_base(map), &o->geometry, coherence_of(o), uuid, err);
}

int place_make(const struct place_options *o, struct env_map **map, struct error *err)
{
    int rc = geometry_check(&o->geometry, err);
    if (rc == EMB_OK)
        rc = env_map_open(o->env, o->url, o->geometry.region_bytes, ENV_MAP_CREATE, map, err);
    if (rc)
        return rc;
    rc = format(o, *map, err);
    if (rc) {
        env_map_remove(o->env, o->url, NULL); /* while it is held: it is still the one made here */
        env_map_close(*map);
        *map = NULL;
    }
    return rc;
}

static int make_first(const struct place_options *o, struct env_map **map, struct error *err)
{
    int rc = place_make(o, map, err);
    return rc != EMB_ERR_EXISTS
               ? rc
               : error_set(err, EMB_ERR_UNAVAILABLE,
                           "region %s is being made by another process just now", o->url);
}

/* Whether it is formatted, and blank, is asked once it is held: nobody else formats it then. */
int place_make_or_open(const struct place_options *o, struct env_map **map, struct error *err)
{
    int rc = env_map_open(o->env, o->url, 0, ENV_MAP_LOCK, map, err);
    if (rc == EMB_ERR_NOT_FOUND)
        return make_first(o, map, err);
    if (rc || region_is_formatted(env_map_base(*map), env_map_bytes(*map)))
        return rc;
    rc = check_blank(o, *map, err);
    if (rc == EMB_OK)
        rc = geometry_check(&o->geometry, err);
    if (rc == EMB_OK)
        rc = format(o, *map, err);
    if (rc) {
        env_map_close(*map);
        *map = NULL;
    }
    return rc;
}

int place_open(const struct place_options *o, struct env_map **map, struct error *err)
{
    int rc = env_map_open(o->env, o->url, 0, 0, map, err);
    if (rc == EMB_ERR_NOT_FOUND)
        return error_set(err, EMB_ERR_UNAVAILABLE,
                         "region %s is not there yet; the node with the role sequencer makes it",
                         o->url);
    if (rc || region_is_formatted(env_map_base(*map), env_map_bytes(*map)))
        return rc;
    env_map_close(*map);
    *map = NULL;
    return error_set(err, EMB_ERR_UNAVAILABLE,
                     "region %s is not formatted yet; the node with the role sequencer does that",
                     o->url);
}

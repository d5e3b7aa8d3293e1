/*
 * The region as a process finds or makes it: mapped, formatted. Called by the thread that starts
 * and stops nodes; blocks for as long as touching and formatting the metadata takes. Design:
 * 3-protocol, "Start".
 */
#ifndef NODE_PLACE_H
#define NODE_PLACE_H

#include "base/error.h"
#include "env/env.h"
#include "region/region.h"

struct place_options {
    struct env *env;
    const char *url;
    struct geometry geometry;     /* of a region that is made */
    enum mem_coherence coherence; /* 0: as the url's kind suggests */
};

/* Creates the region and formats it; the mapping holds its lock. EMB_ERR_EXISTS: it is there.
   Nothing is left on failure. */
int place_make(const struct place_options *options, struct env_map **map, struct error *err);
/*
 * The region that is there: of the rack's sequencer, which formats one that nobody has formatted
 * (a device, an empty file of the right size), and makes one if there is none. The mapping holds
 * the region's lock: EMB_ERR_BUSY, another process of this host does. EMB_ERR_UNAVAILABLE: another
 * has just begun to make it, or to remove it: to be tried again.
 */
int place_make_or_open(const struct place_options *options, struct env_map **map,
                       struct error *err);
/* Of the others. EMB_ERR_UNAVAILABLE: it is not there, or not formatted yet: to be tried again. */
int place_open(const struct place_options *options, struct env_map **map, struct error *err);

#endif

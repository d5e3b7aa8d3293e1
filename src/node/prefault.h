/*
 * Touches a mapping's pages in the background, so that the first batches do not wait for the
 * kernel to find and clear them (1 to 10 us a page). A thread of its own; owner: who started it.
 */
#ifndef NODE_PREFAULT_H
#define NODE_PREFAULT_H

#include <stdint.h>

#include "base/error.h"
#include "env/env.h"

struct prefault;

/* From byte `from` to the mapping's end. The mapping must stay until prefault_stop. */
int prefault_start(struct env_map *map, uint64_t from, struct prefault **prefault,
                   struct error *err);
/* Ends it, done or not, after at most a chunk of 4 MiB (NULL: nothing). */
void prefault_stop(struct prefault *prefault);

#endif

/*
 * Where the demonstration's data goes: the file system, and how long it takes until it has stored
 * something. One call; what it writes it removes.
 */
#ifndef TOOLS_DEMO_PLACE_H
#define TOOLS_DEMO_PLACE_H

#include <stdint.h>

#include "base/error.h"

#define PLACE_ROUNDS 20

struct place {
    const char *filesystem; /* "ext4"; static storage */
    uint64_t free_bytes;
    uint64_t sync_ns; /* of 4 KiB written and synced; the median of PLACE_ROUNDS */
};

/*
 * EMB_ERR_NOT_SUPPORTED where nothing is kept: tmpfs, ramfs, or an overlay whose upper directory is
 * one (which, where that directory cannot be seen, is told by a sync that takes no time).
 */
int place_measure(const char *directory, struct place *place, struct error *err);

#endif

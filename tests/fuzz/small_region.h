/*
 * A small region in memory, formatted once and copied for each run. For fuzz targets; one at a
 * time.
 */
#ifndef TESTS_FUZZ_SMALL_REGION_H
#define TESTS_FUZZ_SMALL_REGION_H

#include "region/region.h"

#define SMALL_REGION_BYTES (1u << 20)

unsigned char *small_region_make(enum mem_coherence coherence);
void small_region_attach(struct region *region, unsigned char *memory);

#endif

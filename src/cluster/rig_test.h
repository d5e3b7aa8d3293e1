/*
 * For the tests of this room: a small formatted region in private memory. Lifetime: one test.
 */
#ifndef CLUSTER_RIG_TEST_H
#define CLUSTER_RIG_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "region/region.h"

struct rig {
    struct region region;
    void *base;
};

static inline void rig_attach(struct rig *rig)
{
    struct geometry geometry = geometry_test();
    struct error err;
    if (region_attach(&rig->region, rig->base, geometry.region_bytes, MEM_WRITEBACK_AUTO, &err))
        fail_msg("%s", err.text);
}

static inline void rig_open(struct rig *rig, enum mem_coherence coherence)
{
    static const uint8_t uuid[16] = {1, 2, 3};
    struct geometry geometry = geometry_test();
    struct error err;
    rig->base = aligned_alloc(4096, geometry.region_bytes);
    assert_non_null(rig->base);
    if (region_format(rig->base, &geometry, coherence, uuid, &err))
        fail_msg("%s", err.text);
    rig_attach(rig);
}

static inline int rig_setup(void **state, enum mem_coherence coherence)
{
    *state = calloc(1, sizeof(struct rig));
    assert_non_null(*state);
    rig_open(*state, coherence);
    return 0;
}

static inline int setup_hardware(void **state)
{
    return rig_setup(state, MEM_HARDWARE);
}

static inline int setup_software(void **state)
{
    return rig_setup(state, MEM_SOFTWARE);
}

static inline int teardown(void **state)
{
    struct rig *rig = *state;
    free(rig->base);
    free(rig);
    return 0;
}

#define IN_HARDWARE(test) cmocka_unit_test_setup_teardown(test, setup_hardware, teardown)
#define IN_SOFTWARE(test) cmocka_unit_test_setup_teardown(test, setup_software, teardown)

#endif

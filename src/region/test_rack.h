/* For the tests of this folder: two hosts, each with its own mapping of one region. */
#ifndef REGION_TEST_RACK_H
#define REGION_TEST_RACK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "region/blog.h"
#include "region/internal.h"

/* A race detector goes by addresses: under it both hosts use one mapping. */
#if defined(__SANITIZE_THREAD__)
#define RACK_ONE_MAPPING 1
#else
#define RACK_ONE_MAPPING 0
#endif

struct rack {
    struct region hosts[2];
    uint64_t bytes;
    uint64_t wrong; /* what the threads found; only one of them counts */
};

static const uint8_t rack_uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static inline void rack_open(struct rack *rack, enum mem_coherence coherence,
                             enum mem_writeback writeback)
{
    struct geometry geometry = geometry_test();
    struct error err = {0};
    int fd = memfd_create("region_test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    *rack = (struct rack){.bytes = geometry.region_bytes};
    assert_int_equal(ftruncate(fd, (off_t)rack->bytes), 0);
    for (int i = 0; i < 2; i++) {
        void *base = rack->hosts[0].base;
        if (i == 0 || !RACK_ONE_MAPPING)
            base = mmap(NULL, rack->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(base != MAP_FAILED);
        if (i == 0 && region_format(base, &geometry, coherence, rack_uuid, &err) != EMB_OK)
            fail_msg("%s", err.text);
        if (region_attach(&rack->hosts[i], base, rack->bytes, writeback, &err) != EMB_OK)
            fail_msg("%s", err.text);
    }
    close(fd);
}

static inline void rack_close(struct rack *rack)
{
    for (int i = 0; i < (RACK_ONE_MAPPING ? 1 : 2); i++)
        munmap(rack->hosts[i].base, rack->bytes);
}

/* Calls fn on a fresh hardware-coherent region and on a software-coherent one for each write-back
   instruction of this CPU. */
static inline void rack_each_mode(void (*fn)(struct rack *))
{
    struct rack rack;
    rack_open(&rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    fn(&rack);
    rack_close(&rack);
    for (int i = MEM_WRITEBACK_MOVDIR64B; i <= MEM_WRITEBACK_DC_CVAC; i++) {
        if (!mem_writeback_available((enum mem_writeback)i))
            continue;
        rack_open(&rack, MEM_SOFTWARE, (enum mem_writeback)i);
        fn(&rack);
        rack_close(&rack);
    }
}

/* Changes one byte of a line, as a fault or a half-finished write would. */
static inline void rack_flip(struct region *region, void *line, int at)
{
    unsigned char copy[LINE_BYTES];
    mem_observe_line(&region->mem, copy, line);
    copy[at] ^= 0x20;
    mem_publish_line(&region->mem, line, copy);
    mem_drain(&region->mem);
}

#endif

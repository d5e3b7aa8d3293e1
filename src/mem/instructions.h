/*
 * The cache instructions, one inline function each. Included by mem.c alone. They are written as
 * assembler text, so that the program starts on CPUs without them; mem_init asks the CPU first.
 *
 * x86: clwb, clflushopt and movdir64b are ordered after older stores to their own line, and with
 * mfence, and with nothing else: neither lfence nor sfence orders a clflushopt against loads.
 * Arm: dc operations are ordered with accesses of their own line, complete at a dsb.
 */
#ifndef MEM_INSTRUCTIONS_H
#define MEM_INSTRUCTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/mem.h"

#if defined(__x86_64__)
#include <cpuid.h>

#define CPUID_7_EBX_CLFLUSHOPT (1u << 23)
#define CPUID_7_EBX_CLWB       (1u << 24)
#define CPUID_7_ECX_MOVDIR64B  (1u << 28)

static inline bool cpu_has(enum mem_writeback writeback)
{
    unsigned eax, ebx = 0, ecx = 0, edx;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        return false;
    switch (writeback) {
    case MEM_WRITEBACK_MOVDIR64B:
        return ecx & CPUID_7_ECX_MOVDIR64B;
    case MEM_WRITEBACK_CLWB:
        return ebx & CPUID_7_EBX_CLWB;
    case MEM_WRITEBACK_CLFLUSHOPT:
        return ebx & CPUID_7_EBX_CLFLUSHOPT;
    default:
        return false;
    }
}

static inline bool cpu_can_invalidate(void)
{
    return cpu_has(MEM_WRITEBACK_CLFLUSHOPT);
}

static inline void line_store_direct(void *line, const void *from)
{
    __asm__ volatile("movdir64b (%1), %0" ::"r"(line), "r"(from) : "memory");
}

static inline void line_clwb(const void *line)
{
    __asm__ volatile("clwb (%0)" ::"r"(line) : "memory");
}

static inline void line_clflushopt(const void *line)
{
    __asm__ volatile("clflushopt (%0)" ::"r"(line) : "memory");
}

static inline void line_invalidate(const void *line)
{
    line_clflushopt(line);
}

static inline void line_write_back(enum mem_writeback writeback, const void *line)
{
    if (writeback == MEM_WRITEBACK_CLWB)
        line_clwb(line);
    else
        line_clflushopt(line);
}

static inline void fence_full(void)
{
    __asm__ volatile("mfence" ::: "memory");
}

#elif defined(__aarch64__)

/* Lines of another size would be cleaned in part only. */
static inline bool cpu_can_invalidate(void)
{
    uint64_t cache_type;
    __asm__("mrs %0, ctr_el0" : "=r"(cache_type));
    return (4u << ((cache_type >> 16) & 15)) == 64;
}

static inline bool cpu_has(enum mem_writeback writeback)
{
    return writeback == MEM_WRITEBACK_DC_CVAC && cpu_can_invalidate();
}

static inline void line_store_direct(void *line, const void *from)
{
}

static inline void line_invalidate(const void *line)
{
    __asm__ volatile("dc civac, %0" ::"r"(line) : "memory");
}

static inline void line_write_back(enum mem_writeback writeback, const void *line)
{
    __asm__ volatile("dc cvac, %0" ::"r"(line) : "memory");
}

/* A dsb is a dmb that also waits until the dc operations before it have reached memory. */
static inline void fence_full(void)
{
    __asm__ volatile("dsb sy" ::: "memory");
}

#else

static inline bool cpu_has(enum mem_writeback writeback)
{
    return false;
}

static inline bool cpu_can_invalidate(void)
{
    return false;
}

static inline void line_store_direct(void *line, const void *from)
{
}

static inline void line_invalidate(const void *line)
{
}

static inline void line_write_back(enum mem_writeback writeback, const void *line)
{
}

static inline void fence_full(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif

#endif

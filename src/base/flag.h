/*
 * One word that threads of one process share: a request to stop, a mark "parked", a counter that
 * one thread raises. Never in memory that hosts share: that is what mem is for. The name of each
 * call says its ordering. Lock-free, so also for signal handlers.
 *
 * Any thread may call any of them; the word lives as long as its owner says.
 */
#ifndef BASE_FLAG_H
#define BASE_FLAG_H

#include <stdatomic.h>
#include <stdint.h>

struct flag {
    _Atomic uint64_t value;
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a signal handler may set a flag");

/* Before other threads know the flag. */
static inline void flag_init(struct flag *flag, uint64_t value)
{
    atomic_init(&flag->value, value);
}

/* What was written before it is seen by whoever loads this value with flag_load_acquire. */
static inline void flag_store_release(struct flag *flag, uint64_t value)
{
    atomic_store_explicit(&flag->value, value, memory_order_release);
}

static inline uint64_t flag_load_acquire(struct flag *flag)
{
    return atomic_load_explicit(&flag->value, memory_order_acquire);
}

/* No ordering: a hint, looked at again later, or made good by a fence. */
static inline uint64_t flag_load_relaxed(struct flag *flag)
{
    return atomic_load_explicit(&flag->value, memory_order_relaxed);
}

/* Sets the value and returns the earlier one; in the one order of all seq_cst calls. */
static inline uint64_t flag_exchange_seq_cst(struct flag *flag, uint64_t value)
{
    return atomic_exchange_explicit(&flag->value, value, memory_order_seq_cst);
}

/* Everything before it, stores too, comes before everything after it, loads too. */
static inline void flag_fence_seq_cst(void)
{
#ifdef __SANITIZE_THREAD__ /* knows no fences; a locked instruction is one, too */
    _Atomic uint64_t barrier = 0;
    atomic_fetch_add_explicit(&barrier, 1, memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

#endif

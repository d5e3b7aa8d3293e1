/*
 * Back-pressure: whether new batches are admitted. Above the high mark of the ring or of the BLog
 * the broker pauses its publishers, at the low mark it resumes; paused for too long, it refuses
 * what comes. Pure. One thread.
 */
#ifndef BROKER_PRESSURE_H
#define BROKER_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

struct pressure {
    uint32_t high_percent;
    uint32_t low_percent;
    uint64_t refuse_after_ns;
    bool paused;
    bool refusing;
    uint64_t paused_ns; /* when the pause began */
    uint64_t pauses;
};

struct pressure_levels {
    uint64_t slots_used;
    uint64_t slots;
    uint64_t bytes_used;
    uint64_t bytes;
    bool blocked; /* a batch found no place although the levels are below the high mark */
    bool idle;    /* no slot is under way and the largest batch would find its place */
};

/* The marks of a zero-initialised one, or other ones from now on. */
void pressure_set(struct pressure *pressure, uint32_t high_percent, uint32_t low_percent,
                  uint64_t refuse_after_ns);
void pressure_update(struct pressure *pressure, const struct pressure_levels *levels,
                     uint64_t now_ns);
/* used is more than percent of total. */
bool pressure_above(uint64_t used, uint64_t total, uint32_t percent);

#endif

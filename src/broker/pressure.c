#include "broker/pressure.h"

#include "base/assert.h"

void pressure_set(struct pressure *pressure, uint32_t high_percent, uint32_t low_percent,
                  uint64_t refuse_after_ns)
{
    ASSERT(low_percent <= high_percent && high_percent <= 100);
    pressure->high_percent = high_percent;
    pressure->low_percent = low_percent;
    pressure->refuse_after_ns = refuse_after_ns;
}

bool pressure_above(uint64_t used, uint64_t total, uint32_t percent)
{
    return used * 100 > total * percent;
}

static bool any_above(const struct pressure_levels *levels, uint32_t percent)
{
    return pressure_above(levels->slots_used, levels->slots, percent) ||
           pressure_above(levels->bytes_used, levels->bytes, percent);
}

/* What is idle must resume: with few segments the low mark may lie below what the open one uses. */
static void update_paused(struct pressure *pressure, const struct pressure_levels *levels)
{
    if (levels->idle || !any_above(levels, pressure->low_percent))
        pressure->paused = false;
}

void pressure_update(struct pressure *pressure, const struct pressure_levels *levels,
                     uint64_t now_ns)
{
    if (pressure->paused) {
        update_paused(pressure, levels);
    } else if (!levels->idle && (levels->blocked || any_above(levels, pressure->high_percent))) {
        pressure->paused = true;
        pressure->paused_ns = now_ns;
        pressure->pauses++;
    }
    pressure->refusing =
        pressure->paused && now_ns - pressure->paused_ns >= pressure->refuse_after_ns;
}

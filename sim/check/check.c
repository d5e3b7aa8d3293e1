/* Passing events on: the log and the disks are told first, then the checkers, in a fixed order. */
#include "sim/check/internal.h"
#include "sim/env/sim_env.h"

static const struct checker *const checkers[] = {
    &check_positions, &check_slots,    &check_offsets,  &check_sessions,
    &check_acks,      &check_realtime, &check_readers,  &check_refused,
    &check_reuse,     &check_bytes,    &check_progress, &check_stores,
};

static struct place place; /* of the line that hooks are told of */

#define TELL(hook, ...)                                                                            \
    do {                                                                                           \
        for (unsigned i_ = 0; i_ < COUNT_OF(checkers); i_++)                                       \
            if (checkers[i_]->hook)                                                                \
                checkers[i_]->hook(__VA_ARGS__);                                                   \
    } while (0)

const struct place *line_place(void)
{
    return &place;
}

/* Most stores are of lines that no checker looks at, such as heartbeats. */
static bool place_matters(uint64_t offset)
{
    place = place_of(offset);
    switch (place.area) {
    case PLACE_COMMITTED:
    case PLACE_CHECKPOINT_HEADER:
    case PLACE_NODE_READ:
    case PLACE_LANE_SLOT:
    case PLACE_GOI:
    case PLACE_SEGMENT_LINE:
        return true;
    default:
        return false;
    }
}

static void stored(const struct host *host, uint64_t offset, const unsigned char line[64])
{
    if (place_matters(offset))
        TELL(line_stored, host, offset, line);
}

static void reached(const struct host *host, uint64_t offset, const unsigned char before[64],
                    const unsigned char after[64])
{
    if (!place_matters(offset))
        return;
    if (place.area == PLACE_COMMITTED)
        log_committed_reached(&place, after);
    else
        TELL(line_reached, host, offset, before, after);
}

static void blog_stored(const struct host *host, uint64_t offset, uint64_t bytes)
{
    TELL(blog_stored, host, offset, bytes);
}

void check_begin(void)
{
    static const struct memory_watch watch = {.stored = stored,
                                              .reached = reached,
                                              .blog_stored = blog_stored,
                                              .segment_passes = log_segment_passes};
    history_begin();
    log_begin();
    disks_begin();
    TELL(begin);
    memory_watch(&watch);
    disk_watch_syncs(disks_synced);
}

void check_end(void)
{
    log_forget();
    history_forget();
}

void check_quiet(bool progress_armed)
{
    if (progress_armed)
        TELL(quiet);
}

void check_power_lost(void)
{
    TELL(end);
}

/* ---- from the history and the log ------------------------------------------------------------ */

void tell_committed(const struct committed *committed)
{
    TELL(committed, committed);
}

void tell_invoked(struct act *act)
{
    TELL(invoked, act);
}

void tell_answered(struct act *act)
{
    TELL(answered, act);
}

void tell_delivered(const struct delivery_seen *seen)
{
    TELL(delivered, seen);
}

void tell_durable(uint64_t before, uint64_t now)
{
    TELL(durable, before, now);
}

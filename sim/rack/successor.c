/*
 * Somebody else is granted a higher epoch while the sequencer works: the first steps of a takeover,
 * as the protocol has them. It publishes its epoch slot and drains, and then reads its
 * predecessor's committed_seq, once: what lies at or beyond it never was, and nobody may act on it
 * from then on.
 */
#include "sim/bugs/planted.h"
#include "sim/check/check.h"
#include "sim/memory/memory.h"
#include "sim/rack/internal.h"

static void successor_main(void *arg)
{
    const struct host *host = arg;
    struct region region;
    struct epoch_view old;
    struct error err;
    if (region_attach(&region, memory_mapping(host), memory_bytes(), MEM_WRITEBACK_AUTO, &err)) {
        finding("rack", "the successor cannot attach: %s", err.text);
        return;
    }
    region_epoch_look(&region, &old);
    struct epoch_view own = {.epoch = old.epoch + 1,
                             .sequencer = host->number,
                             .workspace = (old.workspace + 1) % WORKSPACE_COUNT,
                             .slot = (old.slot + 1) % EPOCH_SLOT_COUNT};
    uint64_t early = region_committed_observe(&region, old.workspace); /* for the planted bug */
    if (planted(BUG_RECOVERED_BEFORE_FENCED))
        fiber_sleep(choose_below(CHOICE_SCHEDULE, MS));
    region_epoch_publish(&region, &own); /* R1, and drains */
    uint64_t end = region_committed_observe(&region, old.workspace);
    if (planted(BUG_RECOVERED_BEFORE_FENCED))
        end = early;
    log_set_old_end(old.epoch, end);
    COVER(EPOCH_RAISED);
    TRACE("epoch", own.epoch, end, "epoch %llu is granted to %s; epoch %llu ended at %llu",
          (unsigned long long)own.epoch, host->name, (unsigned long long)old.epoch,
          (unsigned long long)end);
}

void successor_start(struct host *host)
{
    fiber_start("successor", host, successor_main, host);
}

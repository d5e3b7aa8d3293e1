/*
 * "After any allowed set of failures the rack commits and acknowledges again within its bound."
 * (3-protocol, Invariants; P6)
 *
 * When the work is done and the faults are over, and there were none that the rack is not meant to
 * survive: no client waits for ever, every act that wants an answer has an outcome, and, if anybody
 * asked for durability, the whole log is durable. The bound is the time that rack/ gives it.
 */
#include "sim/check/internal.h"
#include "sim/client/clients.h"

static void quiet(void)
{
    const char *stuck = clients_stuck();
    bool durable = false;
    if (stuck)
        finding("progress", "%s", stuck);
    for (uint32_t i = 0; i < history_count(); i++) {
        const struct act *act = history_at(i);
        durable |= act->acks == 2;
        if (act->acks > 0 && act->state == ACT_INVOKED && act->answered_ns == 0)
            finding("progress", "%s was sent %llu ms ago and has no outcome", act_text(act),
                    (ull)((world_now_ns() - act->invoked_ns) / MS));
    }
    if (durable && log_durable() < log_end())
        finding("progress",
                "on disks the log is whole up to %llu, but it ends at %llu; first lacks %s",
                (ull)log_durable(), (ull)log_end(), entry_text(log_at(log_durable())));
}

const struct checker check_progress = {
    .name = "progress",
    .invariant = "after any allowed set of failures the rack commits and acknowledges again within "
                 "its bound",
    .quiet = quiet,
};

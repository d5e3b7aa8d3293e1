/*
 * "After any allowed set of failures the rack commits and acknowledges again within its bound."
 * (3-protocol, Invariants; P6)
 *
 * When the work is done and the faults are over, and there were none that the rack is not meant to
 * survive: no client waits for ever, every act that wants an answer has an outcome, none had it
 * later than the bound, and, if anybody asked for durability, the whole log is durable.
 *
 * The bound is what may come together in the worst case: a pause (400 ms), a gap that is fenced
 * (300 ms), a few slow syncs (200 ms each) one behind the other. The longest wait in 1,900 such
 * seeds was 613 ms.
 */
#include "sim/check/internal.h"
#include "sim/client/clients.h"

#define ANSWER_BOUND_NS (1500 * MS)

static const struct act *slowest; /* with an answer */

static uint64_t wait_ns(const struct act *act)
{
    return act->answered_ns - act->invoked_ns;
}

static void begin(void)
{
    slowest = NULL;
}

static void answered(struct act *act)
{
    if (act->answered_ns != 0 && (!slowest || wait_ns(act) > wait_ns(slowest)))
        slowest = act;
}

static void quiet(void)
{
    if (slowest && wait_ns(slowest) > ANSWER_BOUND_NS)
        finding("progress", "%s had its answer after %llu ms; %llu ms is the bound",
                act_text(slowest), (ull)(wait_ns(slowest) / MS), (ull)(ANSWER_BOUND_NS / MS));
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
    .begin = begin,
    .answered = answered,
    .quiet = quiet,
};

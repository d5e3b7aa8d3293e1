/*
 * Committing: the counter is advanced once for the whole pass (once more at each end of a GOI
 * segment); the entries are published, drained, then committed_seq, drained. A new segment is
 * entered only after something in the one before is committed and drained, and after one more
 * look at the epoch slots (design, "Two segments ahead").
 */
#include "base/assert.h"
#include "sequencer/state.h"

/* The newest epoch has this one's number: whether it is this one. */
static bool is_own(const struct sequencer *s, const struct epoch_view *view)
{
    return view->sequencer == s->epoch.sequencer && view->workspace == s->epoch.workspace;
}

static bool fail_as_namesake(struct sequencer *s, const struct epoch_view *view)
{
    error_set(&s->failure, EMB_ERR_STALE_EPOCH,
              "epoch %llu was granted to node %u (workspace %u), and to node %u (workspace %u) at "
              "the same time; this sequencer has stopped; accepted: one node with that role",
              (unsigned long long)view->epoch, view->sequencer, view->workspace, s->epoch.sequencer,
              s->epoch.workspace);
    return false;
}

bool commit_look(struct sequencer *s)
{
    struct epoch_view view;
    s->counters.looks++;
    region_epoch_look(s->region, &view);
    if (view.epoch == s->epoch.epoch && !is_own(s, &view))
        return fail_as_namesake(s, &view);
    if (view.epoch <= s->epoch.epoch && s->region->epoch_floor <= s->epoch.epoch)
        return true;
    error_set(&s->failure, EMB_ERR_STALE_EPOCH,
              "epoch %llu is over: epoch %llu was granted; this sequencer has stopped",
              (unsigned long long)s->epoch.epoch, (unsigned long long)s->region->epoch_floor);
    return false;
}

static void publish_piece(struct sequencer *s, uint32_t from, uint32_t count)
{
    uint64_t start = s->counter;
    s->counter += count;
    s->counters.counter_advances++;
    for (uint32_t i = 0; i < count; i++) {
        struct goi_entry_shared *entry = &s->decided[from + i].entry;
        region_goi_publish(s->region, start + i, entry); /* R4 */
        durable_note(&s->durable, start + i, entry);
    }
    mem_drain(&s->region->mem);
    region_committed_publish(s->region, s->epoch.workspace, s->counter); /* R4 */
    mem_drain(&s->region->mem);
    s->counters.committed = s->counter;
}

void commit_pass(struct sequencer *s)
{
    if (s->decided_count == 0)
        return;
    uint32_t segment = s->region->geometry.goi_segment_entries;
    uint32_t done = 0;
    mem_drain(&s->region->mem); /* META payload, before the entries that refer to it */
    while (done < s->decided_count) {
        uint32_t left = segment - (uint32_t)(s->counter % segment);
        uint32_t piece = s->decided_count - done < left ? s->decided_count - done : left;
        if (left == segment && !commit_look(s))
            return;
        publish_piece(s, done, piece);
        done += piece;
    }
    s->decided_count = 0;
    s->counters.passes++;
}

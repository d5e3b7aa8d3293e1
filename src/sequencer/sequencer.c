#include "sequencer/sequencer.h"

#include <stdlib.h>

#include "sequencer/state.h"

#define PASS_NS            500000ULL
#define FENCE_NS           15000000000ULL
#define SKIP_NS            1500000ULL
#define SEQUENCER_SEGMENTS 4

/* Software-coherent regions: the sequencer's own partition is the last few segments. */
static void open_blog_source(struct sequencer *s)
{
    uint32_t segments = s->region->areas.segments;
    if (s->region->mem.coherence == MEM_HARDWARE)
        segment_source_shared(&s->source, s->region);
    else
        segment_source_partition(&s->source, s->region, segments - SEQUENCER_SEGMENTS,
                                 SEQUENCER_SEGMENTS);
}

static int allocate(struct sequencer *s)
{
    const struct geometry *g = &s->region->geometry;
    ring_init(&s->waiting, sizeof(struct collected));
    ring_init(&s->waiting_meta, sizeof(struct collected));
    s->undecided = calloc(g->lanes, g->lane_slots);
    s->decided = calloc(PASS_ENTRIES, sizeof *s->decided);
    int rc = meta_state_init(&s->meta, g->topics, g->sessions);
    if (rc == EMB_OK)
        rc = durable_init(&s->durable, s->region, &s->meta);
    if (rc == EMB_OK)
        rc = hold_init(&s->hold, g->lanes * g->lane_slots, s->meta.session_places);
    if (rc == EMB_OK)
        rc = blog_init(&s->blog, s->region, &s->source, s->options.node, LANE_SEQUENCER,
                       SEQUENCER_SEGMENTS);
    return s->decided && s->undecided ? rc : EMB_ERR_NO_MEMORY;
}

static int check_no_log(struct region *region, struct error *err)
{
    for (uint32_t workspace = 0; workspace < WORKSPACE_COUNT; workspace++)
        if (region_committed_observe(region, workspace) != 0)
            return error_set(err, EMB_ERR_NOT_SUPPORTED,
                             "the region holds the log of an earlier epoch: either another "
                             "sequencer works on it, or it has stopped; takeover is not built yet, "
                             "so that a new rack needs a new region");
    return EMB_OK;
}

/* A log shows only once something is committed; an epoch from the start on. */
int sequencer_check_region(struct region *region, struct error *err)
{
    struct epoch_view newest;
    region_epoch_look(region, &newest);
    if (newest.epoch != 0)
        return error_set(err, EMB_ERR_NOT_SUPPORTED,
                         "the region has an earlier epoch: epoch %llu was granted to node %u, "
                         "which either works on it, or has stopped; takeover is not built yet, so "
                         "that a new rack needs a new region",
                         (unsigned long long)newest.epoch, newest.sequencer);
    return check_no_log(region, err);
}

static int check_epoch(struct sequencer *s, struct error *err)
{
    return commit_look(s) ? EMB_OK : sequencer_failure(s, err);
}

/* Record, then look, then write. The workspace, too, is another's if the slot names another. */
static int begin_epoch(struct sequencer *s, struct error *err)
{
    int rc = check_epoch(s, err);
    if (rc)
        return rc;
    durable_begin(&s->durable, 0);
    region_committed_publish(s->region, s->epoch.workspace, 0);
    rc = checkpoint_write(s);
    if (rc)
        return error_set(err, rc, "epoch %llu: its first checkpoint does not fit",
                         (unsigned long long)s->epoch.epoch);
    struct interval first = {.epoch = 0, .end = 0, .next_start = 0};
    region_interval_publish(s->region, s->epoch.workspace, s->epoch.epoch, 0, &first);
    mem_drain(&s->region->mem);
    rc = check_epoch(s, err);
    if (rc == EMB_OK)
        limits_update(s);
    return rc;
}

int sequencer_create(const struct sequencer_options *options, struct sequencer **out,
                     struct error *err)
{
    int rc = check_no_log(options->region, err);
    if (rc)
        return rc;
    struct sequencer *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the sequencer");
    s->options = *options;
    s->region = options->region;
    s->epoch = options->epoch;
    s->options.pass_ns = options->pass_ns ? options->pass_ns : PASS_NS;
    s->options.fence_timeout_ns = options->fence_timeout_ns ? options->fence_timeout_ns : FENCE_NS;
    s->options.skip_timeout_ns = options->skip_timeout_ns ? options->skip_timeout_ns : SKIP_NS;
    open_blog_source(s);
    rc = allocate(s);
    if (rc)
        error_set(err, rc, "no memory for the sequencer's state");
    else
        rc = begin_epoch(s, err);
    if (rc) {
        sequencer_destroy(s);
        return rc;
    }
    *out = s;
    return EMB_OK;
}

void sequencer_destroy(struct sequencer *s)
{
    if (!s)
        return;
    blog_free(&s->blog);
    hold_free(&s->hold);
    durable_free(&s->durable);
    meta_state_free(&s->meta);
    ring_free(&s->waiting);
    ring_free(&s->waiting_meta);
    free(s->undecided);
    free(s->decided);
    free(s);
}

int sequencer_do_work(struct sequencer *s, uint64_t now_ns)
{
    if (s->failure.code)
        return 0;
    s->now_ns = now_ns;
    s->lines_collected = 0;
    limits_update(s);
    orphans_pass(s);
    if (s->failure.code)
        return 0;
    admission_pass(s);
    order_waiting(s);
    collect_pass(s);
    order_retry_held(s);
    order_gaps(s);
    uint32_t decided = s->decided_count;
    commit_pass(s);
    if (s->failure.code)
        return 0;
    durable_scan(&s->durable);
    durable_accept(&s->durable);
    return (int)(decided + s->lines_collected) + checkpoint_pass(s);
}

int sequencer_failure(const struct sequencer *s, struct error *err)
{
    if (s->failure.code && err)
        *err = s->failure;
    return s->failure.code;
}

void sequencer_counters(const struct sequencer *s, struct sequencer_counters *counters)
{
    *counters = s->counters;
}

#include "node/seat.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/flag.h"
#include "cluster/elector.h"

#define TELL_EVERY_NS 10000000ULL

/* What is told of the counters. */
#define TOLD(X)                                                                                    \
    X(committed)                                                                                   \
    X(passes)                                                                                      \
    X(data)                                                                                        \
    X(meta)                                                                                        \
    X(nop)                                                                                         \
    X(rejected)                                                                                    \
    X(retry)                                                                                       \
    X(skip)                                                                                        \
    X(held)                                                                                        \
    X(held_now)                                                                                    \
    X(released)                                                                                    \
    X(waited)                                                                                      \
    X(fences)                                                                                      \
    X(checkpoints)                                                                                 \
    X(orphans)                                                                                     \
    X(lanes_left)

struct told {
#define TOLD_FIELD(name) struct flag name;
    TOLD(TOLD_FIELD)
#undef TOLD_FIELD
};

struct seat {
    struct region region; /* its view, none of a node's */
    struct elector *elector;
    struct sequencer *sequencer;
    uint32_t node;
    uint64_t told_ns;
    struct told told; /* written by the seat's thread, read by any */
};

static int campaign(struct seat *seat, const struct seat_options *o, struct epoch_view *epoch,
                    struct error *err)
{
    struct elector_fixed_options elector = {
        .region = &seat->region, .node = o->node, .sequencer = o->node};
    int rc = elector_fixed_create(&elector, &seat->elector, err);
    return rc ? rc : elector_campaign(seat->elector, env_now_ns(o->env), epoch, err);
}

static int sit_down(struct seat *seat, const struct seat_options *o, struct error *err)
{
    struct epoch_view epoch;
    int rc = region_attach(&seat->region, env_map_base(o->map), env_map_bytes(o->map), o->writeback,
                           err);
    if (rc == EMB_OK)
        rc = sequencer_check_region(&seat->region, err);
    if (rc == EMB_OK)
        rc = campaign(seat, o, &epoch, err);
    if (rc)
        return rc;
    uint64_t now_ms = env_now_ns(o->env) / 1000000;
    struct sequencer_options options = {.region = &seat->region,
                                        .node = o->node,
                                        .epoch = epoch,
                                        .wall_offset_ms = env_wall_ms(o->env) - now_ms,
                                        .chain_length = o->replicas,
                                        .stores_expected = o->stores ? o->stores : o->replicas,
                                        .nodes_expected = o->nodes,
                                        .pass_ns = o->pass_ns,
                                        .fence_timeout_ns = o->fence_timeout_ns,
                                        .skip_timeout_ns = o->skip_timeout_ns};
    return sequencer_create(&options, &seat->sequencer, err);
}

int seat_check(const struct seat_options *o, struct error *err)
{
    struct region region;
    int rc = region_attach(&region, env_map_base(o->map), env_map_bytes(o->map), o->writeback, err);
    return rc ? rc : sequencer_check_region(&region, err);
}

int seat_create(const struct seat_options *options, struct seat **out, struct error *err)
{
    struct seat *seat = calloc(1, sizeof *seat);
    if (!seat)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the sequencer's seat");
    int rc = sit_down(seat, options, err);
    if (rc) {
        seat_destroy(seat);
        return rc;
    }
    seat->node = options->node;
    *out = seat;
    return EMB_OK;
}

void seat_destroy(struct seat *seat)
{
    if (!seat)
        return;
    sequencer_destroy(seat->sequencer);
    elector_destroy(seat->elector);
    free(seat);
}

static void tell(struct seat *seat)
{
    struct sequencer_counters counters;
    sequencer_counters(seat->sequencer, &counters);
#define TOLD_STORE(name) flag_store_release(&seat->told.name, counters.name);
    TOLD(TOLD_STORE)
#undef TOLD_STORE
}

void seat_status(struct seat *seat, broker_status_fn *fn, void *arg)
{
    struct status_item item = {.table = "sequencer", .row = seat->node};
#define TOLD_ITEM(field)                                                                           \
    snprintf(item.name, sizeof item.name, "%s", #field);                                           \
    item.number = flag_load_acquire(&seat->told.field);                                            \
    fn(arg, &item);
    TOLD(TOLD_ITEM)
#undef TOLD_ITEM
}

static int seat_do_work(void *state, uint64_t now_ns)
{
    struct seat *seat = state;
    int work = sequencer_do_work(seat->sequencer, now_ns);
    if (now_ns - seat->told_ns >= TELL_EVERY_NS) {
        tell(seat);
        seat->told_ns = now_ns;
    }
    return work;
}

struct agent seat_agent(struct seat *seat)
{
    return (struct agent){.name = "sequencer", .do_work = seat_do_work, .state = seat};
}

int seat_failure(const struct seat *seat, struct error *err)
{
    return sequencer_failure(seat->sequencer, err);
}

struct region *seat_region(struct seat *seat)
{
    return &seat->region;
}

void seat_counters(const struct seat *seat, struct sequencer_counters *counters)
{
    sequencer_counters(seat->sequencer, counters);
}

#include "node/seat.h"

#include <stdlib.h>

#include "cluster/elector.h"

struct seat {
    struct region region; /* its view, none of a node's */
    struct elector *elector;
    struct sequencer *sequencer;
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

static int seat_do_work(void *state, uint64_t now_ns)
{
    return sequencer_do_work(((struct seat *)state)->sequencer, now_ns);
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

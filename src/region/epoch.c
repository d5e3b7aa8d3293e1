/*
 * Epoch slots: who orders now. Each is written once a grant, by the sequencer it was granted to;
 * the highest valid one rules. The check is on every agent's path, so it looks at the slots' first
 * words in one group and at a whole line only when a word exceeds what this node has seen.
 */
#include "region/internal.h"

/* A slot that is not valid yet (half-written, or its words are from elsewhere) does not count. */
static bool observe_slot(struct region *region, uint32_t slot, struct epoch_view *view)
{
    struct epoch_slot_shared line;
    mem_observe_line(&region->mem, &line, region_epoch_line(region, slot));
    if (!line_is_valid(&line) || line.workspace >= WORKSPACE_COUNT || line.sequencer >= NODE_MAX)
        return false;
    *view = (struct epoch_view){
        .epoch = line.epoch,
        .sequencer = line.sequencer,
        .workspace = line.workspace,
        .slot = slot,
    };
    return true;
}

static void raise_floor(struct region *region, uint64_t epoch)
{
    if (epoch > region->epoch_floor)
        region->epoch_floor = epoch;
}

static void observe_epochs(struct region *region, uint64_t epochs[EPOCH_SLOT_COUNT])
{
    mem_observe_words(&region->mem, region_epoch_line(region, 0), LINE_BYTES, EPOCH_SLOT_COUNT,
                      epochs);
}

void region_epoch_look(struct region *region, struct epoch_view *view)
{
    uint64_t epochs[EPOCH_SLOT_COUNT];
    struct epoch_view seen;
    *view = (struct epoch_view){0};
    observe_epochs(region, epochs); /* pairs with region_epoch_publish, R1 */
    for (uint32_t slot = 0; slot < EPOCH_SLOT_COUNT; slot++) {
        if (epochs[slot] > view->epoch && observe_slot(region, slot, &seen) &&
            seen.epoch > view->epoch)
            *view = seen;
    }
    raise_floor(region, view->epoch);
}

bool region_epoch_is(struct region *region, uint64_t epoch)
{
    uint64_t epochs[EPOCH_SLOT_COUNT];
    struct epoch_view seen;
    /* Its loads come after those that it guards: the observe orders both sides. Pairs with
       region_epoch_publish and the successor's drain before it reads its predecessor, R3. */
    observe_epochs(region, epochs);
    for (uint32_t slot = 0; slot < EPOCH_SLOT_COUNT; slot++) {
        if (epochs[slot] > region->epoch_floor && observe_slot(region, slot, &seen))
            raise_floor(region, seen.epoch);
    }
    return region->epoch_floor == epoch;
}

void region_epoch_publish(struct region *region, const struct epoch_view *view)
{
    ASSERT(view->slot < EPOCH_SLOT_COUNT && view->workspace < WORKSPACE_COUNT);
    ASSERT(view->sequencer < NODE_MAX && view->epoch > 0);
    struct epoch_slot_shared line = {
        .epoch = view->epoch,
        .sequencer = view->sequencer,
        .workspace = view->workspace,
    };
    line.crc = line_crc(&line);
    /* Pairs with region_epoch_look (R1) and region_epoch_is (R3). The drain also keeps the
       sequencer's reads of its predecessor behind the switch. */
    mem_publish_line(&region->mem, region_epoch_line(region, view->slot), &line);
    mem_drain(&region->mem);
}

/* The node's own lines: heartbeat, read position, and what it still needs of the memory. */
#include "follower/state.h"

#define HEARTBEAT_NS 1000000ULL

/*
 * The node's lines are what its earlier incarnations left in them: published words never fall. That
 * `needed` is an old one does no harm: it is below the admission of this incarnation, and counts
 * from there on.
 */
void pins_init(struct follower *f)
{
    f->needed_by_replica = NO_POSITION;
    f->reading = NO_POSITION;
    struct mem *mem = &f->region->mem;
    struct node_read_shared *line = region_node_read(f->region, f->node);
    f->position_published = mem_observe_u64(mem, &line->read_position);
    f->needed_published = mem_observe_u64(mem, &line->needed);
    f->store_synced = mem_observe_u64(mem, &line->store_synced);
    f->heartbeat = mem_observe_u64(mem, &region_node_beat(f->region, f->node)->heartbeat);
    mem_publish_u64(mem, &line->reading, NO_POSITION);
    mem_drain(mem);
}

static void publish_positions(struct follower *f)
{
    struct mem *mem = &f->region->mem;
    struct node_read_shared *line = region_node_read(f->region, f->node);
    uint64_t needed = min_u64(f->position, f->needed_by_replica);
    if (needed > f->needed_published) {
        mem_publish_u64(mem, &line->needed, needed); /* R5, R7 */
        f->needed_published = needed;
    }
    if (f->position > f->position_published) {
        mem_publish_u64(mem, &line->read_position, f->position); /* R7 */
        f->position_published = f->position;
    }
}

void pins_beat(struct follower *f, uint64_t now_ns)
{
    if (now_ns - f->heartbeat_ns < HEARTBEAT_NS)
        return;
    f->heartbeat_ns = now_ns;
    struct mem *mem = &f->region->mem;
    struct node_beat_shared *beat = region_node_beat(f->region, f->node);
    mem_publish_u64(mem, &beat->heartbeat, ++f->heartbeat); /* R7 */
    if (mem_own_u64(mem, &beat->epoch_floor) != f->region->epoch_floor)
        mem_publish_u64(mem, &beat->epoch_floor, f->region->epoch_floor);
}

void pins_publish(struct follower *f, uint64_t now_ns)
{
    publish_positions(f);
    pins_beat(f, now_ns);
}

void follower_set_needed(struct follower *f, uint64_t position)
{
    f->needed_by_replica = position;
}

void follower_set_store_synced(struct follower *f, uint64_t position)
{
    if (position <= f->store_synced)
        return;
    f->store_synced = position;
    mem_publish_u64(&f->region->mem, &region_node_read(f->region, f->node)->store_synced, position);
}

void follower_reading(struct follower *f, uint64_t position)
{
    if (position == f->reading)
        return;
    struct mem *mem = &f->region->mem;
    mem_publish_u64(mem, &region_node_read(f->region, f->node)->reading, position); /* R5 */
    if (position < f->reading)
        mem_drain(mem); /* before the generation of what it reads is observed */
    f->reading = position;
}

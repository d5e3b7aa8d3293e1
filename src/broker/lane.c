#include "broker/state.h"

#include "base/assert.h"

static const struct meta_node *own_node(const struct broker *b)
{
    return &follower_meta(b->follower)->nodes[b->options.node];
}

static bool is_software(const struct broker *b)
{
    return b->region->mem.coherence == MEM_SOFTWARE;
}

/* Another host wrote it: a lane that this region has, and segments that lie in it. */
static bool grant_is_possible(const struct broker *b)
{
    const struct meta_node *node = own_node(b);
    uint32_t segments = b->region->areas.segments;
    if (node->lane_count == 0 || node->lanes[0] >= b->region->geometry.lanes)
        return false;
    return !is_software(b) ||
           (node->segments > 0 && node->segments <= SEGMENT_PARTITION_MAX &&
            node->first_segment < segments && node->segments <= segments - node->first_segment);
}

/* Whether the newest admission is of this start of the node. */
static bool is_admitted(const struct broker *b)
{
    const struct meta_node *node = own_node(b);
    bool own = !b->options.incarnation || node->incarnation == b->options.incarnation;
    return node->live && own && follower_is_current(b->follower) && grant_is_possible(b);
}

static uint32_t admitted_brokers(const struct meta_state *meta)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < NODE_MAX; i++)
        count += meta->nodes[i].live && (meta->nodes[i].roles & ROLE_BROKER);
    return count ? count : 1;
}

/* The node's share of the pool. A newcomer's share is given up as segments are reclaimed. */
static uint32_t fair_quota(const struct broker *b)
{
    if (is_software(b))
        return own_node(b)->segments;
    if (!(own_node(b)->roles & ROLE_BROKER))
        return SEGMENTS_MIN; /* for META alone */
    uint32_t segments = b->region->areas.segments;
    uint32_t shared = segments > SEGMENTS_RESERVED ? segments - SEGMENTS_RESERVED : 1;
    uint32_t share = shared / admitted_brokers(follower_meta(b->follower));
    return share < SEGMENTS_MIN ? SEGMENTS_MIN : share;
}

static void lane_source_init(struct broker *b)
{
    const struct meta_node *node = own_node(b);
    if (is_software(b))
        segment_source_partition(&b->lane.source, b->region, node->first_segment, node->segments);
    else
        segment_source_shared(&b->lane.source, b->region);
}

/* With what an earlier incarnation of this node left in its segments. */
static int blog_open(struct broker *b, const struct meta_lane *granted)
{
    struct lane *lane = &b->lane;
    lane_source_init(b);
    int code = blog_init(&lane->blog, b->region, &lane->source, b->options.node, lane->index,
                         fair_quota(b));
    if (code == EMB_OK)
        code = blog_adopt(&lane->blog, granted->granted_position);
    if (code != EMB_OK)
        blog_free(&lane->blog);
    return code;
}

/* Without memory it is tried again in the next cycle: nothing else of the broker runs before. */
static void lane_open(struct broker *b)
{
    struct lane *lane = &b->lane;
    lane->index = own_node(b)->lanes[0];
    const struct meta_lane *granted = &follower_meta(b->follower)->lanes[lane->index];
    lane->generation = granted->generation;
    if (slot_ring_init(&lane->slots, b->region->geometry.lane_slots, granted->start) != EMB_OK)
        return;
    if (blog_open(b, granted) != EMB_OK) {
        slot_ring_free(&lane->slots);
        return;
    }
    lane->retry_below = granted->start;
    lane->open = true;
    b->work++;
}

void lane_free(struct broker *b)
{
    if (!b->lane.open)
        return;
    blog_free(&b->lane.blog);
    slot_ring_free(&b->lane.slots);
    b->lane.open = false;
}

/* The log goes on without this broker: whatever it published or promised further would be ignored.
 */
static void lane_lose(struct broker *b)
{
    b->lane.lost = true;
    for (struct list *at = b->all.next; at != &b->all; at = at->next)
        connection_break(CONTAINER_OF(at, struct connection, all_link));
}

void lane_refresh(struct broker *b)
{
    struct lane *lane = &b->lane;
    if (lane->lost)
        return;
    if (!lane->open) {
        if (is_admitted(b))
            lane_open(b);
        return;
    }
    const struct meta_lane *granted = &follower_meta(b->follower)->lanes[lane->index];
    if (!is_admitted(b) || granted->generation != lane->generation)
        lane_lose(b);
    else if (!b->leave.sealed && lane->blog.quota != fair_quota(b))
        blog_set_quota(&lane->blog, fair_quota(b)); /* without memory: tried again, as is */
}

/* ---- room ------------------------------------------------------------------------------------ */

static uint32_t segment_bytes(const struct broker *b)
{
    return b->region->geometry.segment_bytes;
}

/* Space that only META may take, so that ending a session never waits behind data. */
static uint64_t reserved_bytes(const struct broker *b)
{
    return min_u64(8192, segment_bytes(b) / 4);
}

static uint64_t used_bytes(const struct broker *b)
{
    uint64_t total = blog_total_bytes(&b->lane.blog);
    uint64_t unused = blog_free_bytes(&b->lane.blog);
    return total > unused ? total - unused : 0;
}

/* What would be free after a reservation: one that does not fit the open segment leaves its rest.
 */
static bool leaves_reserve(const struct broker *b, uint32_t bytes)
{
    const struct blog *blog = &b->lane.blog;
    uint64_t unused = blog_free_bytes(blog);
    uint64_t rest = blog->open_place == UINT32_MAX ? 0 : segment_bytes(b) - blog->tail_bytes;
    uint64_t taken = align_up(bytes, LINE_BYTES);
    if (taken > rest)
        taken += rest;
    return unused >= taken + reserved_bytes(b);
}

bool lane_reserve(struct broker *b, uint32_t bytes, bool meta, struct blog_space *space)
{
    if (b->leave.sealed)
        return false;
    if (!meta && !leaves_reserve(b, bytes))
        return false;
    return blog_reserve(&b->lane.blog, bytes, space);
}

void lane_reclaim(struct broker *b)
{
    struct blog *blog = &b->lane.blog;
    if (b->leave.sealed)
        return;
    if (!b->pressure.paused && !b->lane.short_of_room &&
        blog_free_bytes(blog) * 3 >= blog_total_bytes(blog))
        return;
    struct blog_horizon horizon = {.kept = follower_kept(b->follower),
                                   .live_nodes = follower_live_nodes(b->follower)};
    b->work += blog_reclaim(blog, &horizon);
}

/* Nothing is under way and all that was is kept: the levels cannot fall any further. */
static bool lane_idle(const struct broker *b)
{
    return slot_ring_used(&b->lane.slots) == 0 &&
           follower_kept(b->follower) > b->lane.last_position &&
           leaves_reserve(b, b->options.max_batch_bytes);
}

void lane_pressure(struct broker *b)
{
    const struct slot_ring *slots = &b->lane.slots;
    struct pressure_levels levels = {.slots_used = slot_ring_used(slots),
                                     .slots = slots->capacity,
                                     .bytes_used = used_bytes(b),
                                     .bytes = blog_total_bytes(&b->lane.blog),
                                     .blocked = b->lane.short_of_room,
                                     .idle = lane_idle(b)};
    pressure_update(&b->pressure, &levels, b->now_ns);
    b->counters.pauses = b->pressure.pauses;
    b->lane.short_of_room = false;
}

/* ---- publishing ------------------------------------------------------------------------------ */

void lane_publish(struct broker *b, struct pbr_entry_shared *entry, const struct blog_space *space,
                  uint32_t bytes, const struct lane_slot *slot)
{
    struct lane *lane = &b->lane;
    struct mem *mem = &b->region->mem;
    ASSERT(lane->open && !lane->lost);
    entry->payload = payload_word(space->address, bytes);
    entry->control_epoch = (uint32_t)follower_epoch(b->follower);
    entry->broker = (uint8_t)b->options.node;
    mem_write_back(mem, space->bytes, bytes);
    if (is_software(b))
        mem_drain(mem); /* edge B1: the payload is in memory before the record that names it */
    struct lane_slot own = *slot;
    own.held = space->held;
    uint64_t index = slot_ring_push(&lane->slots, &own);
    region_lane_publish(b->region, lane->index, lane->generation, index, entry);
    blog_published(&lane->blog, space, index);
    lane->dirty = true;
    b->work++;
}

/* ---- RETRY ----------------------------------------------------------------------------------- */

static uint64_t retry_below_wanted(const struct broker *b, uint64_t paused_ns)
{
    const struct slot_ring *slots = &b->lane.slots;
    uint32_t low = b->options.limits.low_percent;
    uint64_t wanted = 0;
    if (paused_ns >= RETRY_RING_NS && pressure_above(slot_ring_used(slots), slots->capacity, low))
        wanted = slot_ring_half_behind(slots);
    if (paused_ns >= RETRY_BYTES_NS &&
        pressure_above(used_bytes(b), blog_total_bytes(&b->lane.blog), low))
        wanted = max_u64(wanted, blog_blocking_slot(&b->lane.blog));
    return min_u64(wanted, slots->next);
}

/*
 * Held slots keep ring and segments from moving on, and what they wait for may be waiting for this
 * very room. So a pause that lasts asks the sequencer to give them back. Not at once: most gaps
 * close within a pass, and each RETRY is a batch sent twice.
 */
static void ask_for_retry(struct broker *b)
{
    struct lane *lane = &b->lane;
    if (!b->pressure.paused)
        return;
    uint64_t below = retry_below_wanted(b, b->now_ns - b->pressure.paused_ns);
    if (below <= lane->retry_below || below <= lane->slots.released)
        return;
    lane->retry_below = below;
    region_retry_below_publish(b->region, lane->index, below);
    lane->dirty = true;
}

void lane_finish(struct broker *b)
{
    if (!b->lane.open || b->lane.lost)
        return;
    ask_for_retry(b);
    if (!b->lane.dirty)
        return;
    mem_drain(&b->region->mem); /* edge B2: the sequencer sees the group without waiting for more */
    b->lane.dirty = false;
}

/*
 * How it works
 *
 * Each place holds a segment in some life: OPEN -> FULL -> RETIRED -> READY -> OPEN (the next
 * life). Places are not in the order of lives: a life whose slots are held for long must not keep
 * younger ones from being used again, so every life has a number, and handles name both.
 *
 * Generations, edge R5. A living segment's is odd. Retiring makes it even and drains, and only
 * then are the nodes' `needed` and `reading` observed: a reader that pinned itself too late for
 * that look finds the even one and leaves. The new life is odd again, published and drained before
 * its first byte, so that a follower that met an old entry only after the retirement never takes
 * the new life for the old.
 */
#include "region/blog.h"

#include <stdlib.h>

#include "base/bits.h"
#include "region/internal.h"

#define PLACE_BITS        16
#define PLACE_NONE        UINT32_MAX
#define NOTHING_NEWEST    UINT32_MAX
#define PAYLOAD_BYTES_MAX ((1U << 24) - 1)

/* ---- places ---------------------------------------------------------------------------------- */

static uint64_t handle_of(const struct blog *blog, uint32_t place)
{
    return blog->places[place].life << PLACE_BITS | place;
}

static struct blog_segment *place_of(struct blog *blog, uint64_t held)
{
    uint32_t place = (uint32_t)(held & ((1U << PLACE_BITS) - 1));
    ASSERT(place < blog->place_count && handle_of(blog, place) == held);
    return &blog->places[place];
}

/* The place in that state with the oldest life, or PLACE_NONE. */
static uint32_t oldest_place(const struct blog *blog, enum blog_segment_state state)
{
    uint32_t found = PLACE_NONE;
    for (uint32_t i = 0; i < blog->place_count; i++) {
        if (blog->places[i].state == state &&
            (found == PLACE_NONE || blog->places[i].life < blog->places[found].life))
            found = i;
    }
    return found;
}

static int grow_places(struct blog *blog, uint32_t count)
{
    if (count <= blog->place_count)
        return EMB_OK;
    struct blog_segment *places = realloc(blog->places, count * sizeof *places);
    if (!places)
        return EMB_ERR_NO_MEMORY;
    for (uint32_t i = blog->place_count; i < count; i++)
        places[i] = (struct blog_segment){.state = BLOG_EMPTY};
    blog->places = places;
    blog->place_count = count;
    return EMB_OK;
}

/* Its line says so first: who looks for segments of its own never takes one that another has. */
void blog_give_back(struct segment_source *source, uint32_t segment, uint64_t generation,
                    uint32_t lane)
{
    region_segment_publish(source->region, segment, generation, NODE_MAX, lane);
    mem_drain(&source->region->mem); /* before another node can take it */
    segment_source_give(source, segment);
}

static void give_back(struct blog *blog, struct blog_segment *place)
{
    blog_give_back(blog->source, place->segment, place->generation, blog->lane);
    place->state = BLOG_EMPTY;
    blog->owned--;
    blog->source_dry = false;
}

static void give_back_surplus(struct blog *blog)
{
    while (blog->owned > blog->quota) {
        uint32_t place = oldest_place(blog, BLOG_READY);
        if (place == PLACE_NONE)
            return;
        give_back(blog, &blog->places[place]);
    }
}

int blog_init(struct blog *blog, struct region *region, struct segment_source *source,
              uint32_t node, uint32_t lane, uint32_t quota)
{
    *blog = (struct blog){
        .region = region,
        .source = source,
        .node = node,
        .lane = lane,
        .open_place = PLACE_NONE,
        .tail_start = NOTHING_NEWEST,
    };
    return blog_set_quota(blog, quota);
}

static int adopt(struct blog *blog, uint32_t segment, uint64_t generation, uint64_t end)
{
    int code = grow_places(blog, blog->quota + blog->owned + 1);
    uint32_t place = oldest_place(blog, BLOG_EMPTY);
    if (code != EMB_OK)
        return code;
    blog->places[place] = (struct blog_segment){
        .segment = segment,
        .state = segment_is_living(generation) ? BLOG_FULL : BLOG_RETIRED,
        .generation = generation,
        .life = ++blog->lives,
        .last_position = end ? end - 1 : NO_POSITION,
    };
    blog->owned++;
    segment_source_claim(blog->source, segment);
    return EMB_OK;
}

int blog_adopt(struct blog *blog, uint64_t end)
{
    const struct segment_source *source = blog->source;
    struct segment_shared line;
    ASSERT(blog->owned == 0);
    for (uint32_t i = 0; i < source->count; i++) {
        uint32_t segment = source->first + i;
        if (!region_segment_observe(blog->region, segment, &line) || line.owner != blog->node ||
            line.lane == LANE_SEQUENCER)
            continue;
        int code = adopt(blog, segment, line.generation, end);
        if (code != EMB_OK)
            return code;
    }
    return EMB_OK;
}

void blog_free(struct blog *blog)
{
    free(blog->places);
    *blog = (struct blog){.open_place = PLACE_NONE};
}

int blog_set_quota(struct blog *blog, uint32_t quota)
{
    ASSERT(quota > 0 && quota < 1U << PLACE_BITS);
    int code = grow_places(blog, quota);
    if (code != EMB_OK)
        return code;
    blog->quota = quota;
    give_back_surplus(blog);
    return EMB_OK;
}

/* ---- lives ----------------------------------------------------------------------------------- */

static uint32_t segment_bytes(const struct blog *blog)
{
    return blog->region->geometry.segment_bytes;
}

/* A segment from the source, in an empty place; or PLACE_NONE. */
static uint32_t take_segment(struct blog *blog)
{
    if (blog->owned >= blog->quota)
        return PLACE_NONE;
    uint32_t place = oldest_place(blog, BLOG_EMPTY);
    ASSERT(place != PLACE_NONE);
    uint32_t segment = segment_source_take(blog->source);
    blog->source_dry = segment == SEGMENT_NONE;
    if (blog->source_dry)
        return PLACE_NONE;
    blog->owned++;
    blog->places[place] = (struct blog_segment){
        .segment = segment,
        .state = BLOG_READY,
        .generation = region_segment_generation(blog->region, segment),
    };
    return place;
}

/* Before the first byte: pairs with region_segment_generation in readers, R5. */
static void begin_life(struct blog *blog, uint32_t place)
{
    struct blog_segment *at = &blog->places[place];
    *at = (struct blog_segment){
        .segment = at->segment,
        .state = BLOG_OPEN,
        .generation = (at->generation + 1) | 1,
        .life = ++blog->lives,
        .last_position = NO_POSITION,
    };
    region_segment_publish(blog->region, at->segment, at->generation, blog->node, blog->lane);
    mem_drain(&blog->region->mem);
    blog->open_place = place;
    blog->tail_bytes = 0;
    blog->tail_start = NOTHING_NEWEST;
}

static bool open_next(struct blog *blog)
{
    if (blog->open_place != PLACE_NONE)
        blog->places[blog->open_place].state = BLOG_FULL;
    blog->open_place = PLACE_NONE;
    uint32_t place = oldest_place(blog, BLOG_READY);
    if (place == PLACE_NONE)
        place = take_segment(blog);
    if (place == PLACE_NONE)
        return false;
    begin_life(blog, place);
    return true;
}

/* ---- space ----------------------------------------------------------------------------------- */

uint32_t blog_batch_max(const struct blog *blog)
{
    return (uint32_t)min_u64(segment_bytes(blog), PAYLOAD_BYTES_MAX);
}

static uint32_t tail_room(const struct blog *blog)
{
    return blog->open_place == PLACE_NONE ? 0 : segment_bytes(blog) - blog->tail_bytes;
}

bool blog_reserve(struct blog *blog, uint32_t bytes, struct blog_space *space)
{
    ASSERT(bytes > 0);
    if (bytes > blog_batch_max(blog))
        return false;
    uint32_t aligned = (uint32_t)align_up(bytes, LINE_BYTES);
    if (tail_room(blog) < aligned && !open_next(blog))
        return false;
    struct blog_segment *open = &blog->places[blog->open_place];
    open->reservations++;
    blog->tail_start = blog->tail_bytes;
    blog->tail_bytes += aligned;
    space->address = region_segment_address(blog->region, open->segment) + blog->tail_start;
    space->bytes = blog->region->base + space->address;
    space->held = handle_of(blog, blog->open_place);
    return true;
}

static bool is_newest(const struct blog *blog, const struct blog_space *space)
{
    if (blog->open_place == PLACE_NONE || blog->tail_start == NOTHING_NEWEST ||
        handle_of(blog, blog->open_place) != space->held)
        return false;
    const struct blog_segment *open = &blog->places[blog->open_place];
    return space->address == region_segment_address(blog->region, open->segment) + blog->tail_start;
}

void blog_trim(struct blog *blog, const struct blog_space *space, uint32_t bytes)
{
    if (bytes == 0) {
        blog_abandoned(blog, space);
        return;
    }
    if (!is_newest(blog, space))
        return;
    uint32_t end = blog->tail_start + (uint32_t)align_up(bytes, LINE_BYTES);
    ASSERT(end <= blog->tail_bytes);
    blog->tail_bytes = end;
}

void blog_abandoned(struct blog *blog, const struct blog_space *space)
{
    struct blog_segment *place = place_of(blog, space->held);
    ASSERT(place->reservations > 0);
    place->reservations--;
    if (!is_newest(blog, space))
        return;
    blog->tail_bytes = blog->tail_start;
    blog->tail_start = NOTHING_NEWEST;
}

void blog_published(struct blog *blog, const struct blog_space *space, uint64_t index)
{
    struct blog_segment *place = place_of(blog, space->held);
    ASSERT(place->reservations > 0);
    place->reservations--;
    place->open_slots++;
    place->slots_end = max_u64(place->slots_end, index + 1);
    if (is_newest(blog, space))
        blog->tail_start = NOTHING_NEWEST;
}

void blog_outcome(struct blog *blog, uint64_t held, uint64_t position)
{
    struct blog_segment *place = place_of(blog, held);
    ASSERT(place->open_slots > 0 && position != NO_POSITION);
    place->open_slots--;
    if (place->last_position == NO_POSITION || position > place->last_position)
        place->last_position = position;
}

/* ---- how full -------------------------------------------------------------------------------- */

static uint32_t count_places(const struct blog *blog, enum blog_segment_state state)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < blog->place_count; i++)
        count += blog->places[i].state == state;
    return count;
}

/* Segments that the source would give, as far as its last answer goes. */
static uint32_t source_free(const struct blog *blog)
{
    const struct segment_source *source = blog->source;
    if (blog->source_dry || blog->owned >= blog->quota)
        return 0;
    uint32_t free_count = blog->quota - blog->owned;
    if (source->shared)
        return free_count;
    uint32_t taken = 0;
    for (uint32_t at = 0; at < source->count; at += 64)
        taken += (uint32_t)__builtin_popcountll(source->taken_mask[at / 64]);
    return (uint32_t)min_u64(free_count, source->count - taken);
}

uint64_t blog_free_bytes(const struct blog *blog)
{
    uint64_t segments = source_free(blog) + count_places(blog, BLOG_READY);
    return segments * segment_bytes(blog) + tail_room(blog);
}

uint64_t blog_total_bytes(const struct blog *blog)
{
    return (uint64_t)blog->quota * segment_bytes(blog);
}

uint64_t blog_blocking_slot(const struct blog *blog)
{
    const struct blog_segment *oldest = NULL;
    for (uint32_t i = 0; i < blog->place_count; i++) {
        const struct blog_segment *place = &blog->places[i];
        if (place->state == BLOG_FULL && place->open_slots > 0 &&
            (!oldest || place->life < oldest->life))
            oldest = place;
    }
    return oldest ? oldest->slots_end : 0;
}

/* ---- reuse ----------------------------------------------------------------------------------- */

static bool lies_below(const struct blog_segment *place, uint64_t horizon)
{
    return place->last_position == NO_POSITION || place->last_position < horizon;
}

/* More than half, so that back-pressure can end, and no more: what is kept and still here can be
   read from memory. */
static uint32_t free_wanted(const struct blog *blog)
{
    uint32_t surplus = blog->owned > blog->quota ? blog->owned - blog->quota : 0;
    return blog->quota / 2 + 1 + surplus;
}

/* The oldest life that nobody but slow nodes can need, or NULL. */
static struct blog_segment *oldest_settled(struct blog *blog, uint64_t kept)
{
    struct blog_segment *oldest = NULL;
    for (uint32_t i = 0; i < blog->place_count; i++) {
        struct blog_segment *place = &blog->places[i];
        if (place->state == BLOG_FULL && place->open_slots == 0 && place->reservations == 0 &&
            lies_below(place, kept) && (!oldest || place->life < oldest->life))
            oldest = place;
    }
    return oldest;
}

/* Raises the generations; true if there is anything that waits for the nodes. */
static bool retire(struct blog *blog, uint64_t kept)
{
    uint32_t waiting = count_places(blog, BLOG_RETIRED);
    uint32_t coming = waiting + count_places(blog, BLOG_READY) + source_free(blog);
    uint32_t raised = 0;
    struct blog_segment *place;
    while (coming + raised < free_wanted(blog) && (place = oldest_settled(blog, kept))) {
        place->state = BLOG_RETIRED;
        place->generation++;
        region_segment_publish(blog->region, place->segment, place->generation, blog->node,
                               blog->lane);
        raised++;
    }
    /* Whoever pins itself from here on sees the raised generation; whoever did before is seen by
       the look that follows. Pairs with the drain of the reader's pin, R5. */
    if (raised)
        mem_drain(&blog->region->mem);
    return waiting + raised > 0;
}

/* Any node's `reading` counts: one may deliver before this owner has read its admission (0: it
   never did). `needed` is looked at first: a node that hands a position over from one to the other
   raises `needed` last. */
uint64_t blog_lowest_needed(struct region *region, uint64_t live_nodes)
{
    uint64_t needed[NODE_MAX], reading[NODE_MAX], lowest = NO_POSITION;
    ASSERT(live_nodes >> (NODE_MAX - 1) <= 1);
    if (!live_nodes)
        return lowest;
    unsigned count = 64 - (unsigned)__builtin_clzll(live_nodes);
    struct node_read_shared *first = region_node_read(region, 0);
    mem_observe_words(&region->mem, &first->needed, sizeof(struct node_shared), count, needed);
    mem_observe_words(&region->mem, &first->reading, sizeof(struct node_shared), NODE_MAX, reading);
    for (unsigned node = 0; node < NODE_MAX; node++) {
        bool is_live = live_nodes >> node & 1;
        if (is_live)
            lowest = min_u64(lowest, needed[node]);
        if (is_live || reading[node] != 0)
            lowest = min_u64(lowest, reading[node]);
    }
    return lowest;
}

int blog_reclaim(struct blog *blog, const struct blog_horizon *horizon)
{
    int freed = 0;
    bool waiting = retire(blog, horizon->kept);
    blog->source_dry = false; /* others may have given back meanwhile: ask it again */
    if (!waiting)
        return 0;
    uint64_t lowest = blog_lowest_needed(blog->region, horizon->live_nodes);
    for (uint32_t i = 0; i < blog->place_count; i++) {
        struct blog_segment *place = &blog->places[i];
        if (place->state != BLOG_RETIRED || !lies_below(place, lowest))
            continue;
        place->state = BLOG_READY;
        freed++;
    }
    give_back_surplus(blog);
    return freed;
}

/*
 * Segments of nodes that have left.
 *
 * How it works: a node that leaves keeps its segments, for others read from them; its lines name
 * it, and if it comes back it takes them over (blog_adopt). When the shared pool runs short, the
 * sequencer gives them back in its place. It can: the node writes none of its lines from its last
 * slot on, and none again before an admission which only this thread decides, and which it can
 * only read once all that was done here before is drained.
 *
 * Everything of the node stands at or below its leave, P. Once kept is beyond P, edge R5 is done
 * for some of its segments at a time: the living ones are retired, drained; `needed` and `reading`
 * are looked at; if they are beyond P, each is given back, else those few wait, and a reader that
 * comes too late finds them retired. One node after the other: whatever holds the one that left
 * first, at the lowest P, holds all.
 *
 * A look at the epoch slots comes before: what an overtaken sequencer has decided may never have
 * been, and a node that seems to have left may still write. (What it stores between that look and
 * its end, a successor has to expect: these segments belong to the quarantine of a takeover. For P
 * it can take what its checkpoint covers.)
 *
 * Short is the pool when fewer than a sixteenth of it is free. At least four: the least share of a
 * newcomer (three), without which it can neither publish nor leave, and one for the sequencer. At
 * most 64: so many are given back within a pass, faster than brokers can fill them, and more would
 * only cost history.
 */
#include "base/assert.h"
#include "sequencer/state.h"

#define ORPHANS_EVERY_NS 1000000ULL
#define SLICE_LINES      512 /* looked at in one pass */
#define SPARE_LEAST      4
#define SPARE_MOST       64

struct orphan {
    uint32_t segment;
    uint32_t lane;
    uint64_t generation;
};

void orphans_node_left(struct sequencer *s, uint32_t node, uint64_t position)
{
    ASSERT(position > 0); /* its admission stands before */
    s->orphans.left_position[node] = position;
}

static void forget(struct sequencer *s, uint32_t node)
{
    s->orphans.left_position[node] = 0;
    s->orphans.next = 0;
}

void orphans_node_back(struct sequencer *s, uint32_t node)
{
    forget(s, node);
}

/* The node that left first and may hold segments, or NODE_MAX. */
static uint32_t first_to_leave(const struct sequencer *s)
{
    const uint64_t *left = s->orphans.left_position;
    uint32_t first = NODE_MAX;
    for (uint32_t node = 0; node < NODE_MAX; node++)
        if (left[node] && (first == NODE_MAX || left[node] < left[first]))
            first = node;
    return first;
}

/* How many segments the pool lacks. */
static uint32_t shortage(const struct sequencer *s)
{
    uint32_t spare = s->source.count / 16;
    spare = spare < SPARE_LEAST ? SPARE_LEAST : spare > SPARE_MOST ? SPARE_MOST : spare;
    return spare - segment_source_free(&s->source, spare);
}

/* The node's next segments, `wanted` at most, from *at on, which goes on to where it stopped. */
static uint32_t find(struct sequencer *s, uint32_t node, uint32_t wanted, struct orphan *found,
                     uint32_t *at)
{
    uint32_t count = 0;
    uint32_t end = s->source.count - *at < SLICE_LINES ? s->source.count : *at + SLICE_LINES;
    for (; *at < end && count < wanted; (*at)++) {
        struct segment_shared line;
        if (region_segment_observe(s->region, *at, &line) && line.owner == node &&
            line.lane != LANE_SEQUENCER)
            found[count++] =
                (struct orphan){.segment = *at, .lane = line.lane, .generation = line.generation};
    }
    return count;
}

static void retire(struct sequencer *s, uint32_t node, struct orphan *found, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (segment_is_living(found[i].generation))
            region_segment_publish(s->region, found[i].segment, ++found[i].generation, node,
                                   found[i].lane);
    /* Before the look at the nodes. Pairs with the drain of a reader's pin, R5. */
    mem_drain(&s->region->mem);
}

/* false: somebody still needs what stands in them. */
static bool free_them(struct sequencer *s, uint32_t node, struct orphan *found, uint32_t count)
{
    retire(s, node, found, count);
    if (blog_lowest_needed(s->region, limits_live_nodes(s)) <= s->orphans.left_position[node])
        return false;
    for (uint32_t i = 0; i < count; i++)
        blog_give_back(&s->source, found[i].segment, found[i].generation, found[i].lane);
    s->counters.orphans += count;
    return true;
}

static void slice(struct sequencer *s, uint32_t node, uint32_t wanted)
{
    struct orphan found[SPARE_MOST];
    struct orphans *o = &s->orphans;
    uint32_t at = o->next, count = find(s, node, wanted, found, &at);
    if (count && !commit_look(s))
        return;
    if (count && !free_them(s, node, found, count)) {
        o->next = found[0].segment;
        return;
    }
    o->next = at;
    if (at == s->source.count)
        forget(s, node);
}

void orphans_pass(struct sequencer *s)
{
    struct orphans *o = &s->orphans;
    ASSERT(s->decided_count == 0); /* who has left has left in the log */
    if (!s->source.shared || s->now_ns - o->looked_ns < ORPHANS_EVERY_NS)
        return;
    o->looked_ns = s->now_ns;
    uint32_t node = first_to_leave(s);
    if (node == NODE_MAX || s->durable.kept.position <= o->left_position[node])
        return;
    uint32_t wanted = shortage(s);
    if (wanted)
        slice(s, node, wanted);
}

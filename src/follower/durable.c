/*
 * How it works: each GOI slot remembers what its entry asks of which lane's chain. A cursor walks
 * from entry to entry while they are covered, so every entry is looked at once per cursor, and a
 * tail's word is observed only when the cursor waits for that lane, at most once a scan.
 */
#include "follower/durable.h"

#include <stdlib.h>

#include "base/assert.h"

#define ASKS_PAYLOAD 4 /* DATA: its payload is in the care of a chain alone */

int durable_init(struct durable *d, struct region *region, const struct meta_state *meta)
{
    *d = (struct durable){.region = region, .meta = meta};
    d->cells = calloc(region->areas.goi_entries, sizeof *d->cells);
    return d->cells ? EMB_OK : EMB_ERR_NO_MEMORY;
}

void durable_free(struct durable *d)
{
    free(d->cells);
    d->cells = NULL;
}

void durable_begin(struct durable *d, uint64_t position)
{
    d->end = d->durable.position = d->durable.scanned = position;
    d->kept.position = d->kept.scanned = position;
}

static struct durable_cell *cell_at(struct durable *d, uint64_t position)
{
    return &d->cells[position % d->region->areas.goi_entries];
}

/* META and the like stand on their chain as it is; DATA wants as many members as its topic says. */
static unsigned members_wanted(const struct durable *d, const struct goi_entry_shared *entry)
{
    const struct meta_topic *topic =
        entry->kind == ENTRY_DATA ? meta_topic_by_id(d->meta, entry->topic) : NULL;
    return topic ? topic->settings.min_insync : 1;
}

void durable_note(struct durable *d, uint64_t position, const struct goi_entry_shared *entry)
{
    ASSERT(position == d->end);
    unsigned asks = entry->flags & (ENTRY_ASKS_SYNC | ENTRY_ASKS_COPY);
    asks |= entry->kind == ENTRY_DATA ? ASKS_PAYLOAD : 0;
    *cell_at(d, position) = (struct durable_cell){
        .lane = entry->lane, .asks = (uint8_t)(asks | members_wanted(d, entry) << 4)};
    d->end = position + 1;
}

void durable_note_jump(struct durable *d, uint64_t end, uint64_t next_start)
{
    ASSERT(end == d->end);
    d->jumps[d->jump_count++ % DURABLE_JUMPS_MAX] =
        (struct durable_jump){.end = end, .next_start = next_start};
    d->end = next_start;
}

static bool has_store(const struct meta_node *node)
{
    return node->live && (node->roles & ROLE_REPLICA);
}

/* Before the chains: every store there is has synced it, or there is none. A store that joins later
   begins with the whole META state. */
static bool stores_cover(struct durable *d, unsigned asks, uint64_t position)
{
    for (uint32_t node = 0; node < NODE_MAX; node++) {
        if (!has_store(&d->meta->nodes[node]))
            continue;
        struct node_read_shared *line = region_node_read(d->region, node);
        if ((asks & ASKS_PAYLOAD) || /* R7, to act: clients are answered by it */
            mem_observe_u64_to_act(&d->region->mem, &line->store_synced) <= position)
            return false;
    }
    return true;
}

static void observe_tail(struct durable *d, uint32_t lane, uint32_t tail)
{
    d->observed_turn[lane] = d->turn;
    struct completion_shared *line = region_completion(d->region, lane, tail);
    d->synced[lane] = mem_observe_u64_to_act(&d->region->mem, &line->synced);
    d->copied[lane] = mem_observe_u64_to_act(&d->region->mem, &line->copied);
}

static bool word_covers(uint64_t word, uint16_t version, uint64_t position)
{
    return completion_version(word) == version && completion_position(word) > position;
}

static bool tail_covers(struct durable *d, uint32_t lane, unsigned asks, uint64_t position)
{
    const struct meta_chain *chain = &d->meta->lanes[lane].chain;
    const uint64_t *words = asks & ENTRY_ASKS_SYNC ? d->synced : d->copied;
    if (word_covers(words[lane], chain->version, position))
        return true;
    if (d->observed_turn[lane] == d->turn)
        return false;
    observe_tail(d, lane, chain->members[chain->count - 1]);
    return word_covers(words[lane], chain->version, position);
}

static bool covered(struct durable *d, uint64_t position, bool count_members)
{
    const struct durable_cell *cell = cell_at(d, position);
    unsigned asks = cell->asks & (ENTRY_ASKS_SYNC | ENTRY_ASKS_COPY);
    if (!asks)
        return true;
    const struct meta_chain *chain = &d->meta->lanes[cell->lane].chain;
    if (chain->count == 0)
        return stores_cover(d, cell->asks, position);
    if (count_members && chain->count < (unsigned)(cell->asks >> 4))
        return false;
    return tail_covers(d, cell->lane, asks, position);
}

static uint64_t after_jump(const struct durable *d, uint64_t position)
{
    for (uint32_t i = 0; i < DURABLE_JUMPS_MAX && i < d->jump_count; i++)
        if (d->jumps[i].end == position)
            return d->jumps[i].next_start;
    return position;
}

static void walk(struct durable *d, struct durable_cursor *cursor, bool count_members)
{
    uint64_t at = d->jump_count ? after_jump(d, cursor->position) : cursor->position;
    while (at < d->end && covered(d, at, count_members)) {
        at++;
        if (d->jump_count)
            at = after_jump(d, at);
    }
    cursor->scanned = at;
}

void durable_scan(struct durable *d)
{
    d->turn++;
    walk(d, &d->durable, true);
    walk(d, &d->kept, false);
}

bool durable_accept(struct durable *d)
{
    bool moved = d->durable.scanned != d->durable.position || d->kept.scanned != d->kept.position;
    ASSERT(d->durable.scanned >= d->durable.position && d->kept.scanned >= d->kept.position);
    d->durable.position = d->durable.scanned;
    d->kept.position = d->kept.scanned;
    return moved;
}

/*
 * How it works: for each lane in its care that has entries not yet covered by what was published,
 * the word is (chain version, lowest of: what the store has done, the first payload it lacks, what
 * the predecessor has published under the same version). So a word of the tail speaks for the whole
 * chain, and nobody but a member's own store is ever believed. Words are compared as a whole: the
 * version is in the high bits, so a new version begins above all words of the one before.
 */
#include "replica/state.h"

struct replica_lane *replica_lane_look(struct replica *replica, uint32_t lane)
{
    struct replica_lane *own = &replica->lanes[lane];
    const struct meta_chain *chain = &follower_meta(replica->follower)->lanes[lane].chain;
    if (own->version == chain->version)
        return own;
    own->version = chain->version;
    own->place = -1;
    for (int i = 0; i < chain->count; i++)
        if (chain->members[i] == replica->node)
            own->place = i;
    own->predecessor = own->place > 0 ? chain->members[own->place - 1] : NODE_MAX;
    /* As a newcomer it owes a sync also of what was appended before. */
    if (own->place >= 0)
        replica->sync_wanted_end = max_u64(replica->sync_wanted_end, own->sync_asked_end);
    return own;
}

/* Everything of the lane below this is in the store, or durable without it. */
static uint64_t whole_until(const struct replica *replica, const struct replica_lane *lane)
{
    uint64_t durable = follower_durable(replica->follower);
    return lane->missing_end <= durable ? NO_POSITION : max_u64(lane->missing_first, durable);
}

static uint64_t position_under(uint64_t word, uint16_t version)
{
    return completion_version(word) == version ? completion_position(word) : 0;
}

/* What the predecessor has published under this version; the head has none and waits for nobody. */
static uint64_t predecessor_position(struct replica *replica, const struct replica_lane *lane,
                                     const struct pub_u64 *word)
{
    if (!word)
        return NO_POSITION;
    /* R8: to act, as a tail's word is what publishers are acknowledged by. */
    return position_under(mem_observe_u64_to_act(&replica->region->mem, word), lane->version);
}

/* Publishes one word if it rises and something waits for it. `done_end`: what the store has done.
 */
static int publish_word(struct replica *replica, const struct replica_lane *lane,
                        struct pub_u64 *word, const struct pub_u64 *predecessor, uint64_t asked_end,
                        uint64_t done_end, uint64_t *published)
{
    uint64_t before = position_under(*published, lane->version);
    uint64_t position = min_u64(done_end, whole_until(replica, lane));
    if (asked_end <= before || position <= before)
        return 0;
    position = min_u64(position, predecessor_position(replica, lane, predecessor));
    uint64_t next = completion_word(lane->version, position);
    if (position <= before || next <= *published)
        return 0;
    mem_publish_u64(&replica->region->mem, word, next); /* R8 */
    *published = next;
    replica->counters.publishes++;
    return 1;
}

static bool is_uncovered(const struct replica_lane *lane, uint16_t version)
{
    return lane->sync_asked_end > position_under(lane->synced_word, version) ||
           lane->copy_asked_end > position_under(lane->copied_word, version);
}

static int publish_lane(struct replica *replica, uint32_t number)
{
    struct replica_lane *lane = replica_lane_look(replica, number);
    if (lane->place < 0)
        return 0;
    struct completion_shared *own = region_completion(replica->region, number, replica->node);
    const struct completion_shared *before =
        lane->place > 0 ? region_completion(replica->region, number, lane->predecessor) : NULL;
    int published =
        publish_word(replica, lane, &own->synced, before ? &before->synced : NULL,
                     lane->sync_asked_end, store_synced(replica->store), &lane->synced_word);
    return published + publish_word(replica, lane, &own->copied, before ? &before->copied : NULL,
                                    lane->copy_asked_end, store_copied(replica->store),
                                    &lane->copied_word);
}

int replica_publish(struct replica *replica)
{
    const struct meta_state *meta = follower_meta(replica->follower);
    int published = 0;
    if (replica->all_covered && replica->chain_changes == meta->chain_changes)
        return 0; /* an idle replica looks at no lane */
    replica->all_covered = true;
    replica->chain_changes = meta->chain_changes;
    for (uint32_t lane = 0; lane <= LANE_MAX; lane++) {
        uint16_t version = meta->lanes[lane].chain.version;
        if (!is_uncovered(&replica->lanes[lane], version))
            continue;
        published += publish_lane(replica, lane);
        if (replica->lanes[lane].place >= 0 && is_uncovered(&replica->lanes[lane], version))
            replica->all_covered = false;
    }
    if (published)
        mem_drain(&replica->region->mem);
    return published;
}

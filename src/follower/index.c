/*
 * How it works: the index of a topic is a chain through the GOI. Beside every GOI slot stands a
 * cell with the distance to the topic's next DATA entry; the entries themselves are read from the
 * GOI again. Every 64th batch is sampled, so that a search for an offset begins nearby, and one for
 * a timestamp looks only behind samples that can hold it. When a slot is taken by a later lap, its
 * topic's oldest moves on.
 *
 * Whether the payload still stands is a matter of its segment's generation. It is noted when the
 * entry is followed: the segment cannot have been retired by then, because this node's published
 * `needed` is not above the entry (edge R5). What was found to be gone stays gone, so
 * `memory_floor` and each topic's place above it only rise. They are hints: whoever reads asks for
 * the payload itself (follower_payload_stands).
 */
#include <stdlib.h>

#include "base/assert.h"
#include "follower/state.h"

#define FLOOR_SEGMENTS_PER_TURN 1024u /* each is a look at shared memory */

int index_init(struct follower *f)
{
    f->cells = calloc(f->region->areas.goi_entries, sizeof *f->cells);
    f->topics = calloc(f->region->geometry.topics, sizeof *f->topics);
    f->segments = calloc(f->region->areas.segments, sizeof *f->segments);
    if (!f->cells || !f->topics || !f->segments)
        return EMB_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < f->region->geometry.topics; i++) {
        f->topics[i].oldest = f->topics[i].newest = NO_POSITION;
        ring_init(&f->topics[i].samples, sizeof(struct index_sample));
    }
    for (uint32_t lane = 0; lane <= LANE_MAX; lane++)
        f->lane_segment[lane] = UINT32_MAX;
    return EMB_OK;
}

void index_free(struct follower *f)
{
    for (uint32_t i = 0; f->topics && i < f->region->geometry.topics; i++)
        ring_free(&f->topics[i].samples);
    free(f->cells);
    free(f->topics);
    free(f->segments);
}

static struct index_cell *cell_at(struct follower *f, uint64_t position)
{
    return &f->cells[position % f->region->areas.goi_entries];
}

static uint32_t lap_of(const struct follower *f, uint64_t position)
{
    return (uint32_t)(position / f->region->areas.goi_entries);
}

static bool in_ring(struct follower *f, uint64_t position)
{
    return cell_at(f, position)->lap == lap_of(f, position) && cell_at(f, position)->topic != 0;
}

/* ---- taking entries -------------------------------------------------------------------------- */

/* The slot's earlier occupant leaves: its topic's oldest moves on. */
static void evict(struct follower *f, struct index_cell *cell, uint64_t slot)
{
    if (cell->topic == 0)
        return;
    struct topic_index *topic = &f->topics[cell->topic - 1];
    uint64_t position = (uint64_t)cell->lap * f->region->areas.goi_entries + slot;
    if (topic->oldest <= position) /* below it: places that a jump left to the lap before */
        topic->oldest = cell->next_delta ? position + cell->next_delta : NO_POSITION;
    if (topic->newest == position)
        topic->newest = NO_POSITION;
    struct index_sample *sample = ring_front(&topic->samples);
    if (sample && sample->position <= position && topic->oldest != NO_POSITION &&
        ring_count(&topic->samples) > 1 &&
        ((struct index_sample *)ring_at(&topic->samples, 1))->position <= topic->oldest)
        ring_pop(&topic->samples);
    if (topic->oldest == NO_POSITION)
        while (ring_count(&topic->samples))
            ring_pop(&topic->samples);
}

/* The generation of the entry's segment, observed again only when its life may be another. */
static uint32_t note_segment(struct follower *f, uint64_t position,
                             const struct goi_entry_shared *entry)
{
    uint64_t address = payload_address(entry->payload);
    uint32_t segment = region_segment_of(f->region, address);
    if (segment == UINT32_MAX)
        return 0;
    struct segment_note *note = &f->segments[segment];
    if (f->lane_segment[entry->lane] != segment || address <= note->last_address) {
        uint64_t generation = region_segment_generation(f->region, segment);
        if (generation != note->generation)
            f->memory_floor =
                max_u64(f->memory_floor, note->generation ? note->last_position + 1 : 0);
        note->generation = generation;
        f->lane_segment[entry->lane] = segment;
    }
    note->last_address = address;
    note->last_position = position;
    return (uint32_t)note->generation;
}

/* What was not committed also tells that its lane went on to another segment: when it comes back to
   the one before, that may be another life of it. */
static void pass_by_segment(struct follower *f, const struct goi_entry_shared *entry)
{
    uint32_t segment = region_segment_of(f->region, payload_address(entry->payload));
    if (segment != f->lane_segment[entry->lane])
        f->lane_segment[entry->lane] = UINT32_MAX;
}

/* Without memory for a sample the one before it is of more batches. */
static void sample_batch(struct topic_index *topic, uint64_t position,
                         const struct goi_entry_shared *entry)
{
    uint64_t timestamp_ms = get_u48(entry->timestamp_ms);
    struct index_sample sample = {
        .offset = entry->base_offset, .position = position, .max_timestamp_ms = timestamp_ms};
    size_t count = ring_count(&topic->samples);
    bool is_due = count == 0 || topic->batches++ % INDEX_SAMPLE_EVERY == 0;
    if ((is_due && ring_push(&topic->samples, &sample)) || count == 0)
        return;
    struct index_sample *last = ring_at(&topic->samples, count - 1);
    last->max_timestamp_ms = max_u64(last->max_timestamp_ms, timestamp_ms);
}

void index_note(struct follower *f, uint64_t position, const struct goi_entry_shared *entry)
{
    struct index_cell *cell = cell_at(f, position);
    evict(f, cell, position % f->region->areas.goi_entries);
    *cell = (struct index_cell){.lap = lap_of(f, position)};
    if (entry->kind == ENTRY_META)
        note_segment(f, position, entry);
    if (entry->kind != ENTRY_DATA || entry->topic == 0 ||
        entry->topic > f->region->geometry.topics) {
        pass_by_segment(f, entry);
        return;
    }
    cell->generation = note_segment(f, position, entry);
    cell->topic = entry->topic;
    struct topic_index *topic = &f->topics[entry->topic - 1];
    if (topic->newest != NO_POSITION)
        cell_at(f, topic->newest)->next_delta = (uint32_t)(position - topic->newest);
    if (topic->oldest == NO_POSITION)
        topic->oldest = position;
    topic->newest = position;
    sample_batch(topic, position, entry);
}

void index_note_early(struct follower *f, uint64_t position, const struct goi_entry_shared *entry)
{
    uint32_t segment = region_segment_of(f->region, payload_address(entry->payload));
    bool data = entry->kind == ENTRY_DATA;
    bool first_life = segment != UINT32_MAX && region_segment_generation(f->region, segment) == 1;
    if (data && first_life) {
        index_note(f, position, entry);
        return;
    }
    evict(f, cell_at(f, position), position % f->region->areas.goi_entries);
    *cell_at(f, position) = (struct index_cell){.lap = lap_of(f, position)};
    if (data) /* a reader never goes over a hole */
        f->memory_floor = position + 1;
}

/* ---- searching ------------------------------------------------------------------------------- */

static bool segment_stands(struct follower *f, uint64_t payload, uint32_t generation)
{
    uint32_t segment = region_segment_of(f->region, payload_address(payload));
    return segment != UINT32_MAX &&
           (uint32_t)region_segment_generation(f->region, segment) == generation;
}

/* What a segment held is not in memory any more if it began another life since. */
static void look_at_segment(struct follower *f, uint32_t segment)
{
    const struct segment_note *note = &f->segments[segment];
    if (note->generation && note->last_position >= f->memory_floor &&
        region_segment_generation(f->region, segment) != note->generation)
        f->memory_floor = note->last_position + 1;
}

bool follower_payload_stands(struct follower *f, uint64_t position,
                             const struct goi_entry_shared *entry)
{
    if (in_ring(f, position) && segment_is_living(cell_at(f, position)->generation) &&
        segment_stands(f, entry->payload, cell_at(f, position)->generation))
        return true;
    uint32_t segment = region_segment_of(f->region, payload_address(entry->payload));
    if (segment != UINT32_MAX)
        look_at_segment(f, segment);
    return false;
}

/* Once a turn at most, however many ask for it in one: there may be very many segments. */
static void raise_memory_floor(struct follower *f)
{
    uint32_t segments = f->region->areas.segments;
    if (f->counters.turns < f->floor_turn)
        return;
    f->floor_turn = f->counters.turns + 1 + segments / FLOOR_SEGMENTS_PER_TURN;
    for (uint32_t segment = 0; segment < segments; segment++)
        look_at_segment(f, segment);
}

static uint64_t next_of(struct follower *f, uint64_t position)
{
    const struct index_cell *cell = cell_at(f, position);
    return cell->next_delta ? position + cell->next_delta : NO_POSITION;
}

/* The topic's first entry above the floor. Where all have left memory the newest is kept in mind:
   what comes next is behind it. */
static uint64_t oldest_in_memory(struct follower *f, struct topic_index *index)
{
    raise_memory_floor(f);
    uint64_t at =
        index->oldest == NO_POSITION ? NO_POSITION : max_u64(index->oldest, index->passed);
    while (at < f->memory_floor) {
        index->passed = at;
        at = next_of(f, at);
    }
    if (at != NO_POSITION)
        index->passed = at;
    return at;
}

uint64_t follower_next_in_topic(struct follower *f, uint32_t topic, uint64_t position)
{
    if (position != NO_POSITION && in_ring(f, position))
        return next_of(f, position);
    uint64_t at = oldest_in_memory(f, &f->topics[topic - 1]);
    while (at != NO_POSITION && position != NO_POSITION && at <= position)
        at = next_of(f, at);
    return at;
}

/* The sequencer may be a lap ahead of the index: then the oldest are overwritten, no more. */
static uint64_t observe_oldest(struct follower *f, uint32_t topic, struct goi_entry_shared *entry)
{
    struct topic_index *index = &f->topics[topic - 1];
    uint64_t at = oldest_in_memory(f, index);
    while (at != NO_POSITION && !region_goi_observe(f->region, at, entry)) {
        index->passed = at;
        at = next_of(f, at);
    }
    return at;
}

uint64_t follower_oldest_offset(struct follower *f, uint32_t topic)
{
    const struct meta_topic *meta = meta_topic_by_id(&f->meta, topic);
    struct goi_entry_shared entry;
    if (observe_oldest(f, topic, &entry) != NO_POSITION)
        return entry.base_offset;
    return meta ? meta->next_offset : 0;
}

/* The last sample at or before an offset, or the oldest entry. */
static uint64_t search_start(const struct topic_index *index, uint64_t offset)
{
    size_t low = 0, high = ring_count(&index->samples);
    struct ring *samples = (struct ring *)&index->samples;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (((struct index_sample *)ring_at(samples, middle))->offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    uint64_t at = low ? ((struct index_sample *)ring_at(samples, low - 1))->position : 0;
    return max_u64(at, index->oldest);
}

int follower_find_offset(struct follower *f, uint32_t topic, uint64_t offset, uint64_t *position,
                         uint64_t *oldest)
{
    uint64_t first = follower_oldest_offset(f, topic);
    if (oldest)
        *oldest = first;
    if (offset < first)
        return EMB_ERR_OFFSET_OUT_OF_RANGE;
    struct goi_entry_shared entry;
    const struct topic_index *index = &f->topics[topic - 1];
    /* `passed` is of the chain, too, and not behind `offset` */
    uint64_t at = max_u64(search_start(index, offset), index->passed);
    for (; at != NO_POSITION; at = next_of(f, at)) {
        if (at < f->memory_floor || !region_goi_observe(f->region, at, &entry))
            continue;
        if (entry.base_offset + entry.message_count > offset) {
            *position = at;
            return EMB_OK;
        }
    }
    return EMB_ERR_NOT_FOUND;
}

/* The first entry of a stretch of a topic's chain that is not older; NO_POSITION: none is. */
static uint64_t walk_to_timestamp(struct follower *f, uint64_t at, uint64_t end,
                                  uint64_t timestamp_ms)
{
    struct goi_entry_shared entry;
    for (; at < end; at = next_of(f, at))
        if (region_goi_observe(f->region, at, &entry) &&
            get_u48(entry.timestamp_ms) >= timestamp_ms)
            return at;
    return NO_POSITION;
}

/* Where the i-th sample begins; NO_POSITION behind the last. */
static uint64_t sample_position(struct ring *samples, size_t i)
{
    const struct index_sample *sample = i < ring_count(samples) ? ring_at(samples, i) : NULL;
    return sample ? sample->position : NO_POSITION;
}

int follower_find_timestamp(struct follower *f, uint32_t topic, uint64_t timestamp_ms,
                            uint64_t *position)
{
    struct topic_index *index = &f->topics[topic - 1];
    struct ring *samples = &index->samples;
    uint64_t first = oldest_in_memory(f, index);
    *position = walk_to_timestamp(f, first, sample_position(samples, 0), timestamp_ms);
    for (size_t i = 0; i < ring_count(samples) && *position == NO_POSITION; i++) {
        const struct index_sample *sample = ring_at(samples, i);
        uint64_t end = sample_position(samples, i + 1);
        if (sample->max_timestamp_ms >= timestamp_ms && first < end)
            *position = walk_to_timestamp(f, max_u64(first, sample->position), end, timestamp_ms);
    }
    return *position == NO_POSITION ? EMB_ERR_NOT_FOUND : EMB_OK;
}

uint64_t follower_end_offset(struct follower *f, uint32_t topic, uint64_t limit)
{
    const struct meta_topic *meta = meta_topic_by_id(&f->meta, topic);
    const struct topic_index *index = &f->topics[topic - 1];
    if (!meta)
        return 0;
    if (index->newest == NO_POSITION || index->newest < limit)
        return meta->next_offset;
    struct ring *samples = (struct ring *)&index->samples;
    uint64_t at = index->oldest;
    for (size_t i = ring_count(samples); i-- > 0;) {
        const struct index_sample *sample = ring_at(samples, i);
        if (sample->position < limit && sample->position >= index->oldest) {
            at = sample->position;
            break;
        }
    }
    struct goi_entry_shared entry;
    for (; at != NO_POSITION; at = next_of(f, at))
        if (at >= limit && region_goi_observe(f->region, at, &entry))
            return entry.base_offset;
    return meta->next_offset;
}

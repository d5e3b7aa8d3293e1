/*
 * "Every PBR slot below its lane's drain index gets exactly one entry." (3-protocol, Invariants)
 *
 * For each lane the position of each slot's entry is noted: a second one is a finding, also under
 * another grant of the lane (generation), which goes on where the one before was left. So is an
 * entry that is not about what stands in its slot in memory at that time, for a slot may not be
 * used again before its outcome can be read. In the end, every slot that reached memory, up to the
 * first that did not, has its entry: a broker that died does not change that, since the sequencer
 * goes on collecting what it published.
 */
#include "sim/check/internal.h"

#define NO_SLOT UINT64_MAX

struct slot_seen {
    uint64_t entry_end; /* position + 1; 0: none */
    bool published;     /* in memory */
};

struct lane_seen {
    uint32_t generation;
    struct slot_seen *slots; /* by index */
    uint64_t count, capacity;
};

static struct lane_seen lanes[LANE_MAX];

static void begin(void)
{
    for (uint32_t i = 0; i < LANE_MAX; i++) {
        struct lane_seen *lane = &lanes[i];
        if (lane->count)
            memset(lane->slots, 0, lane->count * sizeof *lane->slots);
        lane->count = 0;
        lane->generation = 0;
    }
}

/* The lane as it is granted now. */
static struct lane_seen *lane_now(uint32_t lane)
{
    lanes[lane].generation = log_meta() ? log_meta()->lanes[lane].generation : 0;
    return &lanes[lane];
}

static struct slot_seen *slot_seen(struct lane_seen *lane, uint64_t index)
{
    lane->slots = array_grow(lane->slots, &lane->capacity, index + 1, sizeof *lane->slots);
    lane->count = max_u64(lane->count, index + 1);
    return &lane->slots[index];
}

uint64_t slots_position(uint32_t lane, uint64_t index)
{
    const struct lane_seen *seen = lane_now(lane);
    uint64_t end = index < seen->count ? seen->slots[index].entry_end : 0;
    return end && end <= log_end() ? end - 1 : NO_POSITION;
}

static bool is_about_slot(const struct goi_entry_shared *entry, const struct pbr_entry_shared *slot)
{
    if (entry->payload != slot->payload || entry->message_count != slot->message_count)
        return false;
    if (slot->kind == ENTRY_META)
        return entry->kind != ENTRY_DATA;
    return entry->kind != ENTRY_META && entry->session == slot->session &&
           entry->client_sequence == slot->client_sequence && entry->topic == slot->topic &&
           !memcmp(entry->timestamp_ms, slot->timestamp_ms, sizeof slot->timestamp_ms);
}

/*
 * The slot as its broker has it: a sequencer on the broker's host sees it in the cache they share
 * before it is in memory. If that host dies, both are gone, and the payload was drained before.
 */
static void compare_with_slot(const struct committed *committed, uint32_t generation)
{
    const struct region_areas *areas = memory_areas();
    const struct goi_entry_shared *entry = &committed->entry;
    struct pbr_entry_shared slot;
    uint64_t ring_index = committed->slot % memory_geometry()->lane_slots;
    memory_line_of_writer(areas->lanes + entry->lane * areas->lane_bytes + (1 + ring_index) * 64,
                          (unsigned char *)&slot);
    if (!line_crc_is_right(&slot) || slot.index != committed->slot ||
        slot.lane_generation != generation)
        finding("slots", "%s: that slot does not stand there (but index %llu, generation %u)",
                entry_text(committed), (ull)slot.index, slot.lane_generation);
    else if (!is_about_slot(entry, &slot))
        finding("slots", "%s: in the slot stands kind %u, topic %u, session %llx, sequence %lld+%u",
                entry_text(committed), slot.kind, slot.topic, (ull)slot.session,
                (long long)slot.client_sequence, slot.message_count);
}

static void committed(const struct committed *committed)
{
    const struct goi_entry_shared *entry = &committed->entry;
    if (!is_of_slot(entry))
        return;
    struct lane_seen *lane = lane_now(entry->lane);
    if (lane->generation == 0 || entry->lane >= memory_geometry()->lanes ||
        committed->slot > UINT32_MAX) {
        finding("slots", "%s: nobody was granted that lane, or it has no such slot",
                entry_text(committed));
        return;
    }
    struct slot_seen *slot = slot_seen(lane, committed->slot);
    if (slot->entry_end)
        finding("slots", "%s: the slot has an entry already, at position %llu",
                entry_text(committed), (ull)slot->entry_end - 1);
    slot->entry_end = committed->position + 1;
    compare_with_slot(committed, lane->generation);
}

static void line_reached(const struct host *host, uint64_t offset, const unsigned char before[64],
                         const unsigned char after[64])
{
    struct pbr_entry_shared slot;
    if (line_place()->area != PLACE_LANE_SLOT)
        return;
    memcpy(&slot, after, sizeof slot);
    struct lane_seen *lane = lane_now(line_place()->major);
    if (!line_crc_is_right(&slot) || slot.lane_generation != lane->generation ||
        lane->generation == 0 || slot.index > UINT32_MAX)
        return;
    struct slot_seen *seen = slot_seen(lane, slot.index);
    if (!seen->published && slot.index > 0 && slot.index % memory_geometry()->lane_slots == 0)
        COVER(LANE_WRAPPED);
    seen->published = true;
}

/* The first slot that is in memory and has no entry; NO_SLOT: all have. */
static uint64_t first_without_entry(const struct lane_seen *lane)
{
    for (uint64_t i = 0; i < lane->count && lane->slots[i].published; i++)
        if (!lane->slots[i].entry_end)
            return i;
    return NO_SLOT;
}

bool slots_have_entries(void)
{
    for (uint32_t lane = 0; lane < LANE_MAX; lane++)
        if (first_without_entry(&lanes[lane]) != NO_SLOT)
            return false;
    return true;
}

static void quiet(void)
{
    for (uint32_t lane = 0; lane < LANE_MAX; lane++) {
        uint64_t slot = first_without_entry(&lanes[lane]);
        if (slot != NO_SLOT)
            finding("slots", "slot %llu of lane %u is in memory and never got an entry", (ull)slot,
                    lane);
    }
}

const struct checker check_slots = {
    .name = "slots",
    .invariant = "every PBR slot below its lane's drain index gets exactly one entry",
    .begin = begin,
    .committed = committed,
    .line_reached = line_reached,
    .quiet = quiet,
};

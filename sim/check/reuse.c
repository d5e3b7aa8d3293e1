/*
 * "A slot, entry or segment is never overwritten while anyone may still need it." (3-protocol)
 *
 * Judged when a host stores, not when it reaches memory, and by what the owner could at best have
 * known: disks as they are, nodes' words as they were last meant, and what replicas have copied.
 *   lane slot i    the slot i - lane_slots has its entry below the log's end.
 *   GOI position p p - ring is kept (disks.c, members not counted), below `needed` of every live
 *                  node that was admitted before, and covered by a checkpoint of this workspace
 * that is in memory. needed         is never ahead of what the node's own replica has copied. BLog
 * each batch of which a line is overwritten has its entry; DATA and META, which others read, is
 * kept, below `needed` of every such node, and not read by a host that was told it stands
 * (follower_payload_stands) and still pins it by `reading`. What was received and never published
 * belongs to nobody.
 */
#include <stdlib.h>

#include "sim/check/internal.h"

/* A batch that an entry refers to: a slot's, or the sequencer's own META. */
struct claim {
    uint64_t word; /* payload */
    uint64_t slot;
    uint64_t position; /* NO_POSITION: not known yet */
    uint32_t lane;     /* LANE_SEQUENCER: position is set from the beginning */
};

struct pins {
    uint64_t *positions; /* validated, in no order */
    uint64_t count, capacity;
};

static struct claim *claims; /* 0 is nobody's */
static uint64_t claim_count, claim_capacity;
static struct map claim_of_slot; /* lane << 56 | slot */
static uint32_t *line_claims;    /* by line of the region */
static uint64_t line_capacity;
static struct pins pins[HOSTS_MAX];
static uint64_t copied[HOSTS_MAX]; /* the first position a replica has not copied; or NO_POSITION */
static uint64_t checkpoint_covers;

static void begin(void)
{
    uint64_t lines = memory_bytes() / LINE_BYTES;
    line_claims = array_grow(line_claims, &line_capacity, lines, sizeof *line_claims);
    memset(line_claims, 0, line_capacity * sizeof *line_claims);
    claim_count = 1;
    map_clear(&claim_of_slot);
    for (uint32_t i = 0; i < HOSTS_MAX; i++) {
        pins[i].count = 0;
        copied[i] = NO_POSITION;
    }
    checkpoint_covers = 0;
}

/* ---- who needs what -------------------------------------------------------------------------- */

static uint64_t node_word(const struct host *host, size_t field)
{
    uint64_t line = memory_areas()->nodes + host->number * sizeof(struct node_shared) +
                    offsetof(struct node_shared, read);
    return memory_intended_u64(host, line + field);
}

/* One that was started again is not what was admitted: it has read nothing of the log. */
static bool is_live_node(const struct host *host)
{
    return host->in_rack && host->alive && !host->was_killed && host->number < NODE_MAX &&
           log_meta() && log_meta()->nodes[host->number].live;
}

/* What came before its admission nobody keeps for a node. */
static bool is_owed(const struct host *host, uint64_t position)
{
    const struct meta_node *node = is_live_node(host) ? &log_meta()->nodes[host->number] : NULL;
    return node && position >= log_meta()->lanes[node->lanes[0]].granted_position;
}

/* A live node that still needs the position, or NULL. */
static const struct host *who_needs(uint64_t position)
{
    for (uint32_t i = 0; i < world_host_count(); i++) {
        const struct host *host = world_host(i);
        if (is_owed(host, position) &&
            (copied[i] <= position ||
             node_word(host, offsetof(struct node_read_shared, needed)) <= position))
            return host;
    }
    return NULL;
}

static bool is_validated(const struct pins *of, uint64_t position)
{
    for (uint64_t i = 0; i < of->count; i++)
        if (of->positions[i] == position)
            return true;
    return false;
}

/* A live node that was told that the payload stands, and still reads it; or NULL. */
static const struct host *who_reads(uint64_t position)
{
    for (uint32_t i = 0; i < world_host_count(); i++) {
        const struct host *host = world_host(i);
        if (is_live_node(host) && is_validated(&pins[i], position) &&
            node_word(host, offsetof(struct node_read_shared, reading)) <= position)
            return host;
    }
    return NULL;
}

void reuse_copied(const struct host *host, uint64_t next_position)
{
    copied[host->number] = next_position;
}

void reuse_validated(const struct host *host, uint64_t position)
{
    struct pins *of = &pins[host->number];
    if (is_validated(of, position) ||
        node_word(host, offsetof(struct node_read_shared, reading)) > position)
        return; /* not pinned: whoever asked may not read it on that answer */
    if (node_word(host, offsetof(struct node_read_shared, needed)) > position)
        COVER(READ_OLD);
    of->positions = array_grow(of->positions, &of->capacity, of->count + 1, sizeof *of->positions);
    of->positions[of->count++] = position;
}

/* `reading` rose: what lies below is read no more, and has to be looked at anew. */
static void forget_pins(const struct host *host)
{
    uint64_t reading = node_word(host, offsetof(struct node_read_shared, reading));
    struct pins *of = &pins[host->number];
    for (uint64_t i = of->count; i-- > 0;)
        if (of->positions[i] < reading)
            of->positions[i] = of->positions[--of->count];
}

/* Says why what stands at a position may not be overwritten yet. */
static bool judge_needed(const struct host *host, uint64_t position, const char *what, uint64_t by)
{
    const struct host *needs = who_needs(position);
    if (position >= log_kept())
        finding("reuse", "%s puts %s %llu over %s, which is not kept: on disks it is up to %llu",
                host->name, what, (ull)by, entry_text(log_at(position)), (ull)log_kept());
    else if (needs)
        finding("reuse", "%s puts %s %llu over %s, which %s still needs", host->name, what, (ull)by,
                entry_text(log_at(position)), needs->name);
    else
        return true;
    return false;
}

/* ---- claims ---------------------------------------------------------------------------------- */

static uint64_t slot_key(uint32_t lane, uint64_t slot)
{
    return (uint64_t)lane << 56 | (slot & ((1ULL << 56) - 1));
}

static void claim_lines(uint64_t word, uint32_t claim)
{
    uint64_t line = payload_address(word) / LINE_BYTES;
    uint64_t end = (payload_address(word) + payload_bytes(word) + LINE_BYTES - 1) / LINE_BYTES;
    for (; line < end; line++)
        line_claims[line] = claim;
}

static uint32_t claim_add(const struct claim *claim)
{
    if (!payload_truth(claim->word))
        return 0; /* it leads nowhere */
    claims = array_grow(claims, &claim_capacity, claim_count + 1, sizeof *claims);
    claims[claim_count] = *claim;
    claim_lines(claim->word, (uint32_t)claim_count);
    return (uint32_t)claim_count++;
}

static void committed(const struct committed *committed)
{
    uint64_t number;
    if (is_of_slot(&committed->entry) &&
        map_get(&claim_of_slot, slot_key(committed->entry.lane, committed->slot), &number) &&
        number)
        claims[number].position = committed->position;
}

static void judge_claim(const struct host *host, const struct claim *claim, uint64_t offset)
{
    const char *where = place_text(offset);
    if (claim->position == NO_POSITION || claim->position >= log_end()) {
        finding("reuse",
                "%s stores to %s, where the batch of lane %u slot %llu stands, which has no "
                "outcome",
                host->name, where, claim->lane, (ull)claim->slot);
        return;
    }
    const struct committed *of = log_at(claim->position);
    if (of->entry.kind != ENTRY_DATA && of->entry.kind != ENTRY_META)
        return;
    const struct host *reads = who_reads(claim->position);
    if (judge_needed(host, claim->position, "BLog bytes at", offset) && reads)
        finding("reuse",
                "%s stores to %s, the payload of %s, which %s reads: it was told that it "
                "stands, and pins it",
                host->name, where, entry_text(of), reads->name);
}

static void blog_stored(const struct host *host, uint64_t offset, uint64_t bytes)
{
    uint64_t end = (offset + bytes + LINE_BYTES - 1) / LINE_BYTES;
    uint32_t last = 0;
    for (uint64_t line = offset / LINE_BYTES; line < end; line++) {
        uint32_t claim = line_claims[line];
        line_claims[line] = 0;
        if (claim && claim != last)
            judge_claim(host, &claims[claim], line * LINE_BYTES);
        last = claim ? claim : last;
    }
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void slot_stored(const struct host *host, const unsigned char line[64])
{
    struct pbr_entry_shared slot;
    uint32_t lane = line_place()->major, slots = memory_geometry()->lane_slots;
    memcpy(&slot, line, sizeof slot);
    if (!log_meta() || !line_crc_is_right(&slot) || lane >= LANE_MAX ||
        slot.lane_generation != log_meta()->lanes[lane].generation)
        return;
    if (slot.index >= slots && slots_position(lane, slot.index - slots) == NO_POSITION)
        finding("reuse",
                "%s publishes slot %llu of lane %u over slot %llu, which has no outcome yet",
                host->name, (ull)slot.index, lane, (ull)slot.index - slots);
    struct claim claim = {
        .word = slot.payload, .slot = slot.index, .position = NO_POSITION, .lane = lane};
    map_put(&claim_of_slot, slot_key(lane, slot.index), claim_add(&claim));
}

static void goi_stored(const struct host *host, const unsigned char line[64])
{
    struct goi_entry_shared entry;
    uint64_t position, ring = memory_areas()->goi_entries;
    memcpy(&entry, line, sizeof entry);
    if (!goi_line_position(&entry, line_place()->minor, &position) || position < log_end())
        return;
    if (entry.lane == LANE_SEQUENCER && entry.kind == ENTRY_META)
        claim_add(
            &(struct claim){.word = entry.payload, .position = position, .lane = LANE_SEQUENCER});
    if (position < ring)
        return;
    uint64_t old = position - ring;
    if (old >= log_end())
        finding("reuse", "%s writes position %llu, a ring and more ahead of the log's end at %llu",
                host->name, (ull)position, (ull)log_end());
    else if (judge_needed(host, old, "position", position) && old >= checkpoint_covers)
        finding("reuse",
                "%s puts position %llu over %s; the newest checkpoint in memory covers what "
                "is below %llu",
                host->name, (ull)position, entry_text(log_at(old)), (ull)checkpoint_covers);
}

/* What it says it does not need any more, its replica must have copied. */
static void pins_stored(const struct host *host, const unsigned char line[64])
{
    uint64_t needed;
    memcpy(&needed, line + offsetof(struct node_read_shared, needed), sizeof needed);
    if (needed > copied[host->number])
        finding("reuse",
                "%s says it needs nothing below position %llu, but its replica has copied "
                "up to %llu only",
                host->name, (ull)needed, (ull)copied[host->number]);
    forget_pins(host);
}

static void line_stored(const struct host *host, uint64_t offset, const unsigned char line[64])
{
    switch (line_place()->area) {
    case PLACE_LANE_SLOT:
        slot_stored(host, line);
        break;
    case PLACE_GOI:
        goi_stored(host, line);
        break;
    case PLACE_NODE_READ:
        if (line_place()->major == host->number)
            pins_stored(host, line);
        break;
    default:
        break;
    }
}

static void checkpoint_reached(const unsigned char before[64], const unsigned char after[64])
{
    struct checkpoint_shared header;
    memcpy(&header, after, sizeof header);
    if (!line_crc_is_right(&header) || !memcmp(before, after, 64))
        return;
    COVER(CHECKPOINT);
    if (!log_meta() || log_is_of_workspace(line_place()->major))
        checkpoint_covers = max_u64(checkpoint_covers, header.covers);
}

static void segment_reached(const unsigned char before[64], const unsigned char after[64])
{
    struct segment_shared segment;
    memcpy(&segment, after, sizeof segment);
    if (line_crc_is_right(&segment) && memcmp(before, after, 64) && segment.generation > 2 &&
        (segment.generation & 1))
        COVER(SEGMENT_REUSED);
}

static void line_reached(const struct host *host, uint64_t offset, const unsigned char before[64],
                         const unsigned char after[64])
{
    if (line_place()->area == PLACE_CHECKPOINT_HEADER)
        checkpoint_reached(before, after);
    else if (line_place()->area == PLACE_SEGMENT_LINE)
        segment_reached(before, after);
}

const struct checker check_reuse = {
    .name = "reuse",
    .invariant = "a slot, entry or segment is never overwritten while anyone may still need it",
    .begin = begin,
    .committed = committed,
    .line_stored = line_stored,
    .line_reached = line_reached,
    .blog_stored = blog_stored,
};

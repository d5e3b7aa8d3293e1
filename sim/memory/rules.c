/*
 * What every store and load must keep, whether or not anybody is hurt by it in this seed: one
 * writer a line; nothing is published before what it refers to is in memory; and where two hosts
 * each say something and then look at what the other says, neither looks before its own word is in
 * memory.
 */
#include <string.h>

#include "sim/memory/internal.h"

/* A process that is dead may still have the line in its host's cache; without power it cannot. */
static bool may_still_write(uint32_t owner)
{
    return owner != NOBODY && world_host(owner)->powered;
}

/* What the one before stored is in memory, and the log has given the line to the other. */
static bool passes_on(uint8_t from, const struct host *to, uint32_t line)
{
    uint64_t offset = (uint64_t)line * CACHE_LINE;
    struct place place = place_of(offset);
    return place.area == PLACE_SEGMENT_LINE && memory.watch.segment_passes &&
           memory_is_settled(world_host(from), offset, CACHE_LINE) &&
           memory.watch.segment_passes(to, place.major);
}

void rules_writer(struct host *host, uint64_t offset, uint64_t bytes)
{
    if (!memory.formatted)
        return;
    for (uint64_t line = offset / CACHE_LINE; line * CACHE_LINE < offset + bytes; line++) {
        uint8_t owner = memory.owner[line];
        if (owner == host->number)
            continue;
        if (may_still_write(owner) && !passes_on(owner, host, (uint32_t)line))
            finding("memory", "%s and %s both write %s", world_host(owner)->name, host->name,
                    place_text(max_u64(offset, line * CACHE_LINE)));
        memory.owner[line] = (uint8_t)host->number;
    }
}

/* What stands behind a payload word must be in memory before the record that names it. */
static void rule_payload(const struct host *host, uint64_t offset, uint64_t word)
{
    uint64_t address = payload_address(word);
    if (address + payload_bytes(word) > memory.bytes || payload_bytes(word) == 0)
        return; /* reported by who reads it */
    if (!memory_is_settled(host, address, payload_bytes(word)))
        finding("memory",
                "%s publishes %s before its payload, %u bytes at %s, is written back and drained",
                host->name, place_text(offset), payload_bytes(word), place_text(address));
}

static void rule_lane_slot(const struct host *host, uint64_t offset, const void *data)
{
    struct pbr_entry_shared entry;
    memcpy(&entry, data, sizeof entry);
    rule_payload(host, offset, entry.payload);
}

/* The sequencer's own META; the payload of a lane's entry is its broker's. */
static void rule_goi(const struct host *host, uint64_t offset, const void *data)
{
    struct goi_entry_shared entry;
    memcpy(&entry, data, sizeof entry);
    if (entry.lane == LANE_SEQUENCER && entry.kind == ENTRY_META)
        rule_payload(host, offset, entry.payload);
}

static void rule_committed(const struct host *host, uint64_t offset, const void *data)
{
    uint64_t now, before = memory_intended_u64(host, offset);
    memcpy(&now, data, sizeof now);
    for (uint64_t position = before; position < now; position++) {
        uint64_t at = memory.areas.goi + position % memory.areas.goi_entries * LINE_BYTES;
        if (memory_is_settled(host, at, LINE_BYTES))
            continue;
        finding("memory", "%s publishes %s = %llu before the entry of position %llu is drained",
                host->name, place_text(offset), (unsigned long long)now,
                (unsigned long long)position);
        return;
    }
}

static void rule_checkpoint(const struct host *host, uint64_t offset, const void *data)
{
    struct checkpoint_shared header;
    memcpy(&header, data, sizeof header);
    if (header.bytes <= memory.areas.checkpoint_bytes &&
        !memory_is_settled(host, offset + LINE_BYTES, header.bytes))
        finding("memory", "%s publishes %s before its body, %llu bytes, is drained", host->name,
                place_text(offset), (unsigned long long)header.bytes);
}

void rules_store(struct host *host, uint64_t offset, const void *data, uint32_t bytes)
{
    rules_writer(host, offset, bytes);
    switch (place_of(offset).area) {
    case PLACE_LANE_SLOT:
        rule_lane_slot(host, offset, data);
        break;
    case PLACE_GOI:
        rule_goi(host, offset, data);
        break;
    case PLACE_COMMITTED:
        rule_committed(host, offset, data);
        break;
    case PLACE_CHECKPOINT_HEADER:
        rule_checkpoint(host, offset, data);
        break;
    default:
        break;
    }
}

/* ---- publish, drain, look -------------------------------------------------------------------- */

/* A pin that is lower than memory says yet; one that rises may come late. */
static bool lowers_pin(const struct host *host, uint64_t offset)
{
    uint64_t line = align_down(offset, LINE_BYTES), in_memory;
    uint64_t reading = line + offsetof(struct node_read_shared, reading);
    memcpy(&in_memory, memory.truth + reading, sizeof in_memory);
    return memory_intended_u64(host, reading) < in_memory;
}

/* Whether a store that waits in this fiber's buffer had to be in memory before that load. */
static bool comes_too_late(const struct host *host, uint64_t pending, enum place_area loaded)
{
    switch (place_of(pending).area) {
    case PLACE_SEGMENT_LINE: /* R5: the owner's raise, then the nodes' pins */
        return loaded == PLACE_NODE_READ;
    case PLACE_NODE_READ: /* R5: the reader's pin, then the generation */
        return loaded == PLACE_SEGMENT_LINE && lowers_pin(host, pending);
    case PLACE_EPOCH_SLOT: /* R3: the switch, then where the predecessor stands */
        return loaded == PLACE_COMMITTED;
    default:
        return false;
    }
}

void rules_observe(const struct host *host, uint64_t offset)
{
    const struct cpu *cpu = cpu_current();
    if (!memory.formatted || cpu->count == 0 || cpu->host != host)
        return;
    enum place_area loaded = place_of(offset).area;
    for (uint32_t i = 0; i < cpu->count; i++) {
        uint64_t pending = cpu->items[i].offset;
        if (!comes_too_late(host, pending, loaded))
            continue;
        finding("memory", "%s looks at %s before its own store to %s is drained", host->name,
                place_text(offset), place_text(pending));
        return;
    }
}

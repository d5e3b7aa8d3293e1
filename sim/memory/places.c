/* Names for addresses of the region: which struct stands there, and which field of it. */
#include <stdio.h>

#include "sim/memory/internal.h"

struct field {
    uint32_t at;
    const char *name;
};

#define FIELD(type, name)                                                                          \
    {                                                                                              \
        offsetof(struct type, name), #type "." #name                                               \
    }

static const struct field epoch_slot_fields[] = {
    FIELD(epoch_slot_shared, epoch), FIELD(epoch_slot_shared, sequencer),
    FIELD(epoch_slot_shared, workspace), FIELD(epoch_slot_shared, crc)};
static const struct field committed_fields[] = {FIELD(committed_shared, committed)};
static const struct field interval_fields[] = {
    FIELD(interval_shared, index),      FIELD(interval_shared, owner_epoch),
    FIELD(interval_shared, epoch),      FIELD(interval_shared, end),
    FIELD(interval_shared, next_start), FIELD(interval_shared, crc)};
static const struct field checkpoint_fields[] = {
    FIELD(checkpoint_shared, sequence), FIELD(checkpoint_shared, owner_epoch),
    FIELD(checkpoint_shared, covers),   FIELD(checkpoint_shared, bytes),
    FIELD(checkpoint_shared, body_crc), FIELD(checkpoint_shared, crc)};
static const struct field request_fields[] = {
    FIELD(node_request_shared, incarnation),  FIELD(node_request_shared, roles),
    FIELD(node_request_shared, lanes_wanted), FIELD(node_request_shared, store_uuid),
    FIELD(node_request_shared, host),         FIELD(node_request_shared, port),
    FIELD(node_request_shared, life),         FIELD(node_request_shared, crc)};
static const struct field beat_fields[] = {FIELD(node_beat_shared, heartbeat),
                                           FIELD(node_beat_shared, epoch_floor),
                                           FIELD(node_beat_shared, withdrawn)};
static const struct field read_fields[] = {
    FIELD(node_read_shared, read_position), FIELD(node_read_shared, needed),
    FIELD(node_read_shared, store_synced), FIELD(node_read_shared, reading)};
static const struct field completion_fields[] = {FIELD(completion_shared, synced),
                                                 FIELD(completion_shared, copied)};
static const struct field lane_head_fields[] = {FIELD(lane_head_shared, retry_below)};
static const struct field pbr_fields[] = {FIELD(pbr_entry_shared, index),
                                          FIELD(pbr_entry_shared, payload),
                                          FIELD(pbr_entry_shared, session),
                                          FIELD(pbr_entry_shared, client_sequence),
                                          FIELD(pbr_entry_shared, timestamp_ms),
                                          FIELD(pbr_entry_shared, topic),
                                          FIELD(pbr_entry_shared, message_count),
                                          FIELD(pbr_entry_shared, control_epoch),
                                          FIELD(pbr_entry_shared, lane_generation),
                                          FIELD(pbr_entry_shared, broker),
                                          FIELD(pbr_entry_shared, kind),
                                          FIELD(pbr_entry_shared, flags),
                                          FIELD(pbr_entry_shared, crc)};
static const struct field goi_fields[] = {
    FIELD(goi_entry_shared, stamp),        FIELD(goi_entry_shared, message_count),
    FIELD(goi_entry_shared, base_offset),  FIELD(goi_entry_shared, payload),
    FIELD(goi_entry_shared, session),      FIELD(goi_entry_shared, client_sequence),
    FIELD(goi_entry_shared, timestamp_ms), FIELD(goi_entry_shared, topic),
    FIELD(goi_entry_shared, pbr_index),    FIELD(goi_entry_shared, epoch),
    FIELD(goi_entry_shared, lane),         FIELD(goi_entry_shared, kind),
    FIELD(goi_entry_shared, flags),        FIELD(goi_entry_shared, reason),
    FIELD(goi_entry_shared, crc)};
static const struct field segment_fields[] = {
    FIELD(segment_shared, generation), FIELD(segment_shared, owner), FIELD(segment_shared, lane),
    FIELD(segment_shared, crc)};

/* How an area is told: its words, with what its numbers are. */
static const struct {
    const char *format; /* of major and minor */
    const struct field *fields;
    unsigned field_count;
} names[PLACE_NONE] = {
#define NAME(area, format, fields) [area] = {format, fields, COUNT_OF(fields)}
    [PLACE_SUPERBLOCK] = {"superblock", NULL, 0},
    NAME(PLACE_EPOCH_SLOT, "epoch slot %u", epoch_slot_fields),
    NAME(PLACE_COMMITTED, "workspace %u", committed_fields),
    NAME(PLACE_INTERVAL, "workspace %u interval %u", interval_fields),
    NAME(PLACE_CHECKPOINT_HEADER, "workspace %u checkpoint %u", checkpoint_fields),
    [PLACE_CHECKPOINT_BODY] = {"workspace %u body of checkpoint %u", NULL, 0},
    NAME(PLACE_NODE_REQUEST, "node %u", request_fields),
    NAME(PLACE_NODE_BEAT, "node %u", beat_fields),
    NAME(PLACE_NODE_READ, "node %u", read_fields),
    NAME(PLACE_COMPLETION, "completion of lane %u by node %u", completion_fields),
    NAME(PLACE_LANE_HEAD, "lane %u", lane_head_fields),
    NAME(PLACE_LANE_SLOT, "lane %u slot %u", pbr_fields),
    NAME(PLACE_GOI, "GOI %u index %u", goi_fields),
    [PLACE_SEGMENT_BITMAP] = {"segment bitmap", NULL, 0},
    NAME(PLACE_SEGMENT_LINE, "segment %u", segment_fields),
    [PLACE_BLOG] = {"BLog segment %u", NULL, 0},
#undef NAME
};

static struct place workspace_place(uint64_t at)
{
    const struct region_areas *areas = &memory.areas;
    struct place place = {.major = (uint32_t)(at / areas->workspace_bytes)};
    uint64_t within = at % areas->workspace_bytes;
    uint64_t halves = areas->workspace_bytes - 2 * areas->checkpoint_bytes;
    place.within = (uint32_t)(within % LINE_BYTES);
    if (within < LINE_BYTES) {
        place.area = PLACE_COMMITTED;
    } else if (within < halves) {
        place.area = PLACE_INTERVAL;
        place.minor = (uint32_t)(within / LINE_BYTES - 1);
    } else {
        place.minor = (uint32_t)((within - halves) / areas->checkpoint_bytes);
        within = (within - halves) % areas->checkpoint_bytes;
        place.area = within < LINE_BYTES ? PLACE_CHECKPOINT_HEADER : PLACE_CHECKPOINT_BODY;
        place.within = (uint32_t)within;
    }
    return place;
}

static struct place node_place(uint64_t at)
{
    static const enum place_area lines[] = {PLACE_NODE_REQUEST, PLACE_NODE_BEAT, PLACE_NODE_READ};
    return (struct place){.area = lines[at % sizeof(struct node_shared) / LINE_BYTES],
                          .major = (uint32_t)(at / sizeof(struct node_shared)),
                          .within = (uint32_t)(at % LINE_BYTES)};
}

static struct place lane_place(uint64_t at)
{
    uint64_t line = at % memory.areas.lane_bytes / LINE_BYTES;
    return (struct place){.area = line ? PLACE_LANE_SLOT : PLACE_LANE_HEAD,
                          .major = (uint32_t)(at / memory.areas.lane_bytes),
                          .minor = line ? (uint32_t)line - 1 : 0,
                          .within = (uint32_t)(at % LINE_BYTES)};
}

struct place place_of(uint64_t offset)
{
    const struct region_areas *a = &memory.areas;
    uint32_t within = (uint32_t)(offset % LINE_BYTES);
    if (offset >= a->blog) {
        uint64_t at = offset - a->blog;
        return (struct place){PLACE_BLOG, (uint32_t)(at / memory.geometry.segment_bytes), 0,
                              (uint32_t)(at % memory.geometry.segment_bytes)};
    }
    if (offset >= a->segment_table)
        return (struct place){PLACE_SEGMENT_LINE,
                              (uint32_t)((offset - a->segment_table) / LINE_BYTES), 0, within};
    if (offset >= a->segment_bitmap)
        return (struct place){.area = PLACE_SEGMENT_BITMAP, .within = within};
    if (offset >= a->goi)
        return (struct place){PLACE_GOI, 0, (uint32_t)((offset - a->goi) / LINE_BYTES), within};
    if (offset >= a->lanes)
        return lane_place(offset - a->lanes);
    if (offset >= a->completions) {
        uint32_t line = (uint32_t)((offset - a->completions) / LINE_BYTES);
        return (struct place){PLACE_COMPLETION, line / NODE_MAX, line % NODE_MAX, within};
    }
    if (offset >= a->nodes)
        return node_place(offset - a->nodes);
    if (offset >= a->workspaces)
        return workspace_place(offset - a->workspaces);
    if (offset >= a->epoch_slots)
        return (struct place){PLACE_EPOCH_SLOT, (uint32_t)((offset - a->epoch_slots) / LINE_BYTES),
                              0, within};
    return (struct place){.area = PLACE_SUPERBLOCK, .within = (uint32_t)offset};
}

const char *place_text(uint64_t offset)
{
    static char texts[4][112];
    static unsigned next;
    char *text = texts[next++ % COUNT_OF(texts)];
    struct place place = place_of(offset);
    const struct field *field = NULL;
    for (unsigned i = 0; i < names[place.area].field_count; i++)
        if (names[place.area].fields[i].at <= place.within)
            field = &names[place.area].fields[i];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int used = snprintf(text, sizeof texts[0], names[place.area].format, place.major, place.minor);
#pragma GCC diagnostic pop
    size_t rest = sizeof texts[0] - (size_t)used;
    if (field)
        snprintf(text + used, rest, ", %s", field->name);
    else
        snprintf(text + used, rest, ", byte %u", place.within);
    return text;
}

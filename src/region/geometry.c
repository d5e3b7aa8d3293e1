/* How a region is cut: the areas follow each other in a fixed order, each aligned to 4 KiB. */
#include "region/region.h"

#include "base/bits.h"
#include "base/units.h"

#define AREA_ALIGN       4096
#define MIN_BLOG         16
#define REGION_BYTES_MAX (1ULL << 46) /* a payload word has 40 bits of 64-byte units */

/* What one item of the meta state takes in a checkpoint at most. */
#define CHECKPOINT_TOPIC_BYTES   320
#define CHECKPOINT_SESSION_BYTES 544 /* 384, and some more places than sessions: meta/state.c */
#define CHECKPOINT_NODE_BYTES    128
#define CHECKPOINT_LANE_BYTES    192 /* and a bit a slot */

struct geometry geometry_dev(void)
{
    return (struct geometry){
        .region_bytes = 1ULL << 30,
        .segment_bytes = 16 << 20,
        .lanes = 16,
        .lane_slots = 8192,
        .goi_segments = 64,
        .goi_segment_entries = 16384,
        .topics = 256,
        .sessions = 4096,
    };
}

struct geometry geometry_test(void)
{
    return (struct geometry){
        .region_bytes = 64 << 20,
        .segment_bytes = 256 << 10,
        .lanes = 8,
        .lane_slots = 8,
        .goi_segments = 16,
        .goi_segment_entries = 8,
        .topics = 16,
        .sessions = 256,
    };
}

static uint64_t checkpoint_bytes(const struct geometry *geometry)
{
    uint64_t lane_bytes = CHECKPOINT_LANE_BYTES + geometry->lane_slots / 8;
    uint64_t bytes = LINE_BYTES + (uint64_t)geometry->topics * CHECKPOINT_TOPIC_BYTES +
                     (uint64_t)geometry->sessions * CHECKPOINT_SESSION_BYTES +
                     NODE_MAX * CHECKPOINT_NODE_BYTES + geometry->lanes * lane_bytes;
    return align_up(bytes, AREA_ALIGN);
}

/* Places `bytes` at *at and returns where. */
static uint64_t place(uint64_t *at, uint64_t bytes)
{
    uint64_t start = *at;
    *at = align_up(start + bytes, AREA_ALIGN);
    return start;
}

void region_areas_compute(const struct geometry *geometry, struct region_areas *areas)
{
    uint64_t at = SUPERBLOCK_BYTES;
    uint64_t segments_at_most = geometry->region_bytes / geometry->segment_bytes;
    *areas = (struct region_areas){
        .checkpoint_bytes = checkpoint_bytes(geometry),
        .lane_bytes = (1 + (uint64_t)geometry->lane_slots) * LINE_BYTES,
        .goi_entries = (uint64_t)geometry->goi_segments * geometry->goi_segment_entries,
    };
    areas->workspace_bytes =
        align_up((1 + INTERVAL_MAX) * LINE_BYTES, AREA_ALIGN) + 2 * areas->checkpoint_bytes;
    areas->epoch_slots = place(&at, EPOCH_SLOT_COUNT * LINE_BYTES);
    areas->workspaces = place(&at, WORKSPACE_COUNT * areas->workspace_bytes);
    areas->nodes = place(&at, NODE_MAX * sizeof(struct node_shared));
    areas->completions = place(&at, (LANE_MAX + 1) * NODE_MAX * LINE_BYTES);
    areas->lanes = place(&at, geometry->lanes * areas->lane_bytes);
    areas->goi = place(&at, areas->goi_entries * LINE_BYTES);
    areas->segment_bitmap = place(&at, (segments_at_most + 63) / 64 * 8);
    areas->segment_table = place(&at, segments_at_most * LINE_BYTES);
    areas->blog = align_up(at, geometry->segment_bytes);
    if (areas->blog < geometry->region_bytes)
        areas->segments =
            (uint32_t)((geometry->region_bytes - areas->blog) / geometry->segment_bytes);
}

/* ---- checks ---------------------------------------------------------------------------------- */

struct range {
    const char *option; /* the daemon's, which is how people know the field */
    uint64_t value, min, max;
    bool power_of_two;
};

static int range_check(const struct range *range, struct error *err)
{
    bool wrong = range->value < range->min || range->value > range->max ||
                 (range->power_of_two && !is_power_of_two(range->value));
    if (!wrong)
        return EMB_OK;
    return error_set(err, EMB_ERR_INVALID_SETTING, "%s is %llu; %s from %llu to %llu is accepted",
                     range->option, (unsigned long long)range->value,
                     range->power_of_two ? "a power of two" : "a number",
                     (unsigned long long)range->min, (unsigned long long)range->max);
}

static int segments_check(const struct geometry *geometry, struct error *err)
{
    struct region_areas areas;
    char region[UNITS_TEXT_BYTES], segment[UNITS_TEXT_BYTES], least[UNITS_TEXT_BYTES];

    region_areas_compute(geometry, &areas);
    if (areas.segments >= MIN_BLOG)
        return EMB_OK;
    units_size_text(geometry->region_bytes, region);
    units_size_text(geometry->segment_bytes, segment);
    units_size_text(areas.blog + (uint64_t)MIN_BLOG * geometry->segment_bytes, least);
    return error_set(
        err, EMB_ERR_INVALID_SETTING,
        "region-size is %s, which leaves %u segments of %s beside the rings and tables; "
        "at least %d are accepted, which takes %s",
        region, areas.segments, segment, MIN_BLOG, least);
}

int geometry_check(const struct geometry *geometry, struct error *err)
{
    const struct range ranges[] = {
        {"region-size", geometry->region_bytes, 1 << 20, REGION_BYTES_MAX, false},
        {"segment-size", geometry->segment_bytes, 4096, 1U << 31, true},
        {"lanes", geometry->lanes, 1, LANE_MAX, false},
        {"lane-slots", geometry->lane_slots, 8, 1 << 20, true},
        {"goi-segments", geometry->goi_segments, 16, 1 << 16, false},
        {"goi-segment-entries", geometry->goi_segment_entries, 8, 1 << 20, true},
        {"topics", geometry->topics, 1, 4096, false},
        {"sessions", geometry->sessions, 1, 1000000, false},
    };
    for (unsigned i = 0; i < COUNT_OF(ranges); i++) {
        int code = range_check(&ranges[i], err);
        if (code != EMB_OK)
            return code;
    }
    if (geometry->region_bytes % AREA_ALIGN)
        return error_set(err, EMB_ERR_INVALID_SETTING,
                         "region-size is %llu; a multiple of %d is accepted",
                         (unsigned long long)geometry->region_bytes, AREA_ALIGN);
    return segments_check(geometry, err);
}

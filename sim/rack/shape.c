/* The rack's shape: everything small, so that all that can wrap or fill up does. */
#include <stdio.h>

#include "base/assert.h"
#include "base/bits.h"
#include "sim/rack/internal.h"

#define SEQUENCER_SEGMENTS 4

static uint64_t draw(uint64_t low, uint64_t high)
{
    return choose_between(CHOICE_SHAPE, low, high);
}

static uint32_t draw_power(unsigned low_bits, unsigned high_bits)
{
    return 1u << draw(low_bits, high_bits);
}

/* region_bytes such that there are just so many segments. */
static void fit_region(struct geometry *g, uint32_t segments)
{
    struct region_areas areas = {0};
    g->region_bytes = 1 << 20;
    while (region_areas_compute(g, &areas), areas.segments < segments)
        g->region_bytes += g->segment_bytes;
}

static void geometry_draw(struct shape *shape)
{
    struct geometry *g = &shape->geometry;
    *g = (struct geometry){.segment_bytes = draw_power(14, draw(0, 5) ? 15 : 16),
                           .lanes = shape->nodes + (uint32_t)draw(0, 2),
                           .lane_slots = draw_power(3, 6),
                           .goi_segments = (uint32_t)draw(16, 20),
                           .goi_segment_entries = draw_power(3, draw(0, 3) ? 3 : 5),
                           .topics = 4,
                           .sessions = (uint32_t)draw(16, 48)};
    uint32_t each = (uint32_t)draw(3, 8);
    uint32_t segments = SEQUENCER_SEGMENTS + shape->nodes * each;
    fit_region(g, segments < 16 ? 16 : segments);
    ASSERT(geometry_check(g, NULL) == EMB_OK);
}

static void env_draw(struct env_shape *env)
{
    *env = (struct env_shape){.latency_least_ns = draw(2, 20) * US,
                              .window_bytes = draw_power(12, 18),
                              .short_transfers = draw(0, 1),
                              .sendfile = draw(0, 9) < 4,
                              .write_least_ns = draw(5, 50) * US,
                              .sync_least_ns = draw(20, 400) * US,
                              .disk_bytes = 256 << 20};
    env->latency_most_ns = env->latency_least_ns + choose_skewed(CHOICE_SHAPE, 1 * US, 200 * US);
    env->write_most_ns = env->write_least_ns + choose_skewed(CHOICE_SHAPE, 10 * US, 1 * MS);
    env->sync_most_ns = env->sync_least_ns + choose_skewed(CHOICE_SHAPE, 50 * US, 5 * MS);
}

static void replicas_draw(struct shape *shape)
{
    static const uint8_t wanted[] = {0, 1, 2, 2, 2, 2, 2, 3, 3};
    uint32_t replicas = wanted[draw(0, sizeof wanted - 1)];
    shape->replicas = replicas < shape->nodes ? replicas : shape->nodes;
}

/* Who comes later, and goes. The last node, so that clients know the first so many. */
static void moves_draw(struct shape *shape)
{
    shape->last_has_no_store = shape->replicas < shape->nodes && draw(0, 1);
    bool late = shape->nodes > 1 && shape->replicas < shape->nodes && draw(0, 2) == 0;
    shape->late_ns = late ? choose_skewed(CHOICE_SHAPE, MS / 10, 120 * MS) : 0;
    if (shape->nodes > 1 && shape->last_has_no_store && draw(0, 1)) {
        shape->leaves_ns = choose_skewed(CHOICE_SHAPE, MS, 80 * MS);
        shape->away_ns = choose_skewed(CHOICE_SHAPE, MS / 10, 50 * MS);
    }
    bool last_counts = !shape->last_has_no_store && !late;
    uint32_t stores = shape->nodes - 1 + last_counts;
    shape->stores_expected = shape->replicas ? (uint32_t)draw(shape->replicas, stores) : 0;
}

static unsigned moves_tell(const struct shape *shape, char *text, size_t text_bytes)
{
    int used = 0;
    if (shape->late_ns)
        used = snprintf(text, text_bytes, "the last node starts after %.2f ms, ",
                        (double)shape->late_ns / 1e6);
    if (shape->leaves_ns)
        used += snprintf(text + used, text_bytes - (size_t)used,
                         "it leaves after %.2f ms for %.2f ms, ", (double)shape->leaves_ns / 1e6,
                         (double)shape->away_ns / 1e6);
    return (unsigned)used;
}

static void cover(const struct shape *shape)
{
    if (shape->coherence == MEM_SOFTWARE)
        COVER(RACK_SOFTWARE);
    else
        COVER(RACK_HARDWARE);
    if (shape->hosts == 1)
        COVER(RACK_ONE_HOST);
    if (shape->seat_place == SEAT_ALONE)
        COVER(RACK_SEAT_ALONE);
    if (shape->replicas == 0)
        COVER(RACK_NO_REPLICAS);
    if (shape->replicas >= 3)
        COVER(RACK_THREE_REPLICAS);
}

static const char *const seat_places[] = {
    [SEAT_WITH_NODE] = "with node 0", [SEAT_APART] = "beside node 0", [SEAT_ALONE] = "alone"};

void shape_draw(struct shape *shape, char *text, size_t text_bytes)
{
    static const uint8_t nodes[] = {1, 2, 2, 3, 3, 3, 4};
    static const uint8_t places[] = {SEAT_WITH_NODE, SEAT_APART, SEAT_ALONE};
    *shape = (struct shape){.nodes = nodes[draw(0, sizeof nodes - 1)],
                            .coherence = draw(0, 9) < 6 ? MEM_SOFTWARE : MEM_HARDWARE,
                            .seat_place = places[draw(0, sizeof places - 1)],
                            .store_file_bytes = draw_power(16, 20),
                            .sync_bytes = draw_power(14, 20),
                            .backpressure_ms = (uint32_t)draw(10, 200),
                            .deliver_stall_ms = (uint32_t)draw(2, 60)};
    shape->hosts = shape->nodes + (shape->seat_place == SEAT_ALONE);
    replicas_draw(shape);
    geometry_draw(shape);
    shape->store_staging_bytes = shape->geometry.segment_bytes * draw_power(2, 5);
    env_draw(&shape->env);
    moves_draw(shape);
    cover(shape);
    const struct geometry *g = &shape->geometry;
    int used = snprintf(
        text, text_bytes,
        "%u-node rack, sequencer %s, %s-coherent, %u replicas, %u lanes of %u slots, GOI %ux%u, "
        "segments of %u KiB; ",
        shape->nodes, seat_places[shape->seat_place],
        shape->coherence == MEM_SOFTWARE ? "software" : "hardware", shape->replicas, g->lanes,
        g->lane_slots, g->goi_segments, g->goi_segment_entries, g->segment_bytes >> 10);
    used += (int)moves_tell(shape, text + used, text_bytes - (size_t)used);
    if (used > 0 && (size_t)used < text_bytes)
        workload_draw(&shape->workload, g->segment_bytes, shape->replicas, text + used,
                      (unsigned)(text_bytes - (size_t)used));
}

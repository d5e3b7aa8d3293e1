/* Geometry, formatting, attaching, payload addresses, and what region_check finds. */
#include <stdlib.h>

#include "region/test_rack.h"

/* ---- geometry -------------------------------------------------------------------------------- */

static void geometries_leave_room(void **state)
{
    struct geometry geometries[] = {geometry_dev(), geometry_test()};
    for (int i = 0; i < 2; i++) {
        const struct geometry *g = &geometries[i];
        struct region_areas a;
        assert_int_equal(geometry_check(g, NULL), EMB_OK);
        region_areas_compute(g, &a);
        uint64_t order[] = {SUPERBLOCK_BYTES, a.epoch_slots, a.workspaces,   a.nodes,
                            a.completions,    a.lanes,       a.goi,          a.segment_bitmap,
                            a.segment_table,  a.blog,        g->region_bytes};
        for (unsigned k = 1; k < COUNT_OF(order); k++) {
            assert_true(order[k] >= order[k - 1]);
            assert_int_equal(order[k] % 4096, 0);
        }
        uint64_t half = 64 + g->topics * 320ULL + g->sessions * 544ULL + NODE_MAX * 128ULL +
                        g->lanes * (192ULL + g->lane_slots / 8);
        assert_true(a.checkpoint_bytes >= half && a.checkpoint_bytes % 4096 == 0);
        assert_true(a.workspaces + 16 * a.workspace_bytes <= a.nodes);
        assert_true(a.nodes + 32 * 192 <= a.completions);
        assert_true(a.completions + 65 * 32 * 64 <= a.lanes);
        assert_true(a.lanes + g->lanes * (64ULL + g->lane_slots * 64ULL) <= a.goi);
        assert_int_equal(a.goi_entries, (uint64_t)g->goi_segments * g->goi_segment_entries);
        assert_true(a.goi + a.goi_entries * 64 <= a.segment_bitmap);
        assert_true(a.segment_bitmap + a.segments / 8 <= a.segment_table);
        assert_true(a.segment_table + a.segments * 64ULL <= a.blog);
        assert_int_equal(a.blog % g->segment_bytes, 0);
        assert_true(a.blog + (uint64_t)a.segments * g->segment_bytes <= g->region_bytes);
        assert_true(a.segments >= 16);
    }
}

static void expect_refused(struct geometry geometry, const char *field, const char *value)
{
    struct error err = {0};
    assert_int_equal(geometry_check(&geometry, &err), EMB_ERR_INVALID_SETTING);
    assert_non_null(strstr(err.text, field));
    assert_non_null(strstr(err.text, value));
    assert_non_null(strstr(err.text, "accepted"));
}

#define REFUSED(field, option, number)                                                             \
    do {                                                                                           \
        struct geometry geometry_ = geometry_test();                                               \
        geometry_.field = (number);                                                                \
        char value_[32];                                                                           \
        snprintf(value_, sizeof value_, "is %llu", (unsigned long long)geometry_.field);           \
        expect_refused(geometry_, option " is", value_);                                           \
    } while (0)

static void impossible_geometries_are_named(void **state)
{
    REFUSED(region_bytes, "region-size", 0);
    REFUSED(region_bytes, "region-size", UINT64_MAX);
    REFUSED(region_bytes, "region-size", (64 << 20) + 64);
    REFUSED(segment_bytes, "segment-size", 2048);
    REFUSED(segment_bytes, "segment-size", 3 << 20);
    REFUSED(lanes, "lanes", 0);
    REFUSED(lanes, "lanes", 65);
    REFUSED(lane_slots, "lane-slots", 4);
    REFUSED(lane_slots, "lane-slots", 12);
    REFUSED(lane_slots, "lane-slots", 1U << 31);
    REFUSED(goi_segments, "goi-segments", 15);
    REFUSED(goi_segment_entries, "goi-segment-entries", 7);
    REFUSED(topics, "topics", 0);
    REFUSED(topics, "topics", 4097);
    REFUSED(sessions, "sessions", 0);
    REFUSED(sessions, "sessions", 1000001);
    struct geometry small = geometry_test();
    small.region_bytes = 2 << 20;
    expect_refused(small, "region-size is 2MiB", "leaves");
    struct geometry large = geometry_test();
    large.sessions = 1000000; /* possible, but not in 64 MiB */
    expect_refused(large, "region-size is 64MiB", "0 segments of 256KiB");
}

/* ---- superblock ------------------------------------------------------------------------------ */

static void round_trip(struct rack *rack)
{
    struct geometry wanted = geometry_test();
    for (int i = 0; i < 2; i++) {
        const struct geometry *found = &rack->hosts[i].geometry;
        assert_int_equal(found->region_bytes, wanted.region_bytes);
        assert_memory_equal(&found->segment_bytes, &wanted.segment_bytes, 7 * sizeof(uint32_t));
        assert_memory_equal(rack->hosts[i].uuid, rack_uuid, 16);
        assert_int_equal(rack->hosts[i].epoch_floor, 0);
    }
    assert_int_equal(rack->hosts[0].mem.coherence, rack->hosts[1].mem.coherence);
    assert_true(region_is_formatted(rack->hosts[1].base, rack->bytes));
    assert_int_equal(region_check(&rack->hosts[1], NULL, NULL), 0);
}

static void what_was_formatted_is_attached(void **state)
{
    rack_each_mode(round_trip);
}

/* Memory that held another region, whose lines are valid in themselves. */
static void formatting_forgets_an_earlier_region(void **state)
{
    struct rack rack;
    struct epoch_view view = {.epoch = 8, .sequencer = 1, .workspace = 3, .slot = 2};
    struct goi_entry_shared goi = {.kind = ENTRY_DATA};
    struct pbr_entry_shared pbr = {.kind = ENTRY_DATA};
    struct interval interval = {.epoch = 1};
    struct node_request_shared request = {.incarnation = 1};
    struct checkpoint_shared header = {.sequence = 1, .owner_epoch = 8};
    rack_open(&rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    struct region *region = &rack.hosts[0];
    region_epoch_publish(region, &view);
    region_goi_publish(region, 5, &goi);
    region_lane_publish(region, 1, 1, 5, &pbr);
    region_interval_publish(region, 15, 8, 63, &interval);
    region_checkpoint_publish(region, 15, 1, &header);
    region_committed_publish(region, 15, 99);
    region_node_request_publish(region, 31, &request);
    region_segment_publish(region, region->areas.segments - 1, 5, 1, 1);
    mem_publish_u64(&region->mem, &region_completion(region, 64, 31)->copied, 5);
    assert_true(mem_bitmap_take_at(&region->mem, region_segment_bitmap(region), 7));

    struct geometry geometry = geometry_test();
    assert_int_equal(region_format(region->base, &geometry, MEM_HARDWARE, rack_uuid, NULL), EMB_OK);
    assert_int_equal(region_attach(region, region->base, rack.bytes, 0, NULL), EMB_OK);
    void *bytes;
    region_epoch_look(region, &view);
    assert_int_equal(view.epoch, 0);
    assert_false(region_goi_observe(region, 5, &goi));
    assert_int_equal(region_lane_observe(region, 1, 1, 5, &pbr), LANE_NOT_YET);
    assert_false(region_interval_observe(region, 15, 8, 63, &interval));
    assert_int_equal(region_checkpoint_load(region, 15, 8, &header, &bytes), EMB_ERR_NOT_FOUND);
    assert_int_equal(region_committed_observe(region, 15), 0);
    assert_false(region_node_request_observe(region, 31, &request));
    assert_int_equal(region_segment_generation(region, region->areas.segments - 1), 0);
    assert_int_equal(mem_observe_u64(&region->mem, &region_completion(region, 64, 31)->copied), 0);
    assert_true(mem_bitmap_take_at(&region->mem, region_segment_bitmap(region), 7));
    rack_close(&rack);
}

static struct superblock_shared *superblock_of(struct rack *rack)
{
    return (struct superblock_shared *)rack->hosts[0].base;
}

static void seal(struct superblock_shared *superblock)
{
    superblock->crc = crc32c(superblock, offsetof(struct superblock_shared, crc));
}

static void expect_attach(struct rack *rack, uint64_t bytes, int code, const char *part)
{
    struct error err = {0};
    struct region region;
    assert_int_equal(region_attach(&region, rack->hosts[1].base, bytes, MEM_WRITEBACK_AUTO, &err),
                     code);
    assert_int_equal(err.code, code);
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
}

static void foreign_and_truncated_regions_are_refused(void **state)
{
    struct rack rack;
    rack_open(&rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    expect_attach(&rack, 100, EMB_ERR_CORRUPT, "truncated: it has 100 bytes");
    expect_attach(&rack, rack.bytes - 4096, EMB_ERR_CORRUPT,
                  "truncated: it has 67104768 bytes, its superblock says 67108864");
    assert_false(region_is_formatted(rack.hosts[0].base, 4095));
    superblock_of(&rack)->magic = 0x1122334455667788;
    expect_attach(&rack, rack.bytes, EMB_ERR_CORRUPT, "no Embarcadero region");
    expect_attach(&rack, rack.bytes, EMB_ERR_CORRUPT, "1122334455667788");
    assert_false(region_is_formatted(rack.hosts[0].base, rack.bytes));
    memset(rack.hosts[0].base, 0, 4096);
    expect_attach(&rack, rack.bytes, EMB_ERR_CORRUPT, "no Embarcadero region");
    rack_close(&rack);
}

static void a_corrupted_superblock_is_refused_wherever_it_is(void **state)
{
    struct rack rack;
    rack_open(&rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    for (size_t at = 8; at < SUPERBLOCK_BYTES; at += at < 256 ? 1 : 61) {
        rack.hosts[0].base[at] ^= 4;
        expect_attach(&rack, rack.bytes, EMB_ERR_CORRUPT, "superblock is corrupted: its CRC is");
        assert_false(region_is_formatted(rack.hosts[0].base, rack.bytes));
        rack.hosts[0].base[at] ^= 4;
    }
    expect_attach(&rack, rack.bytes, EMB_OK, "");
    rack_close(&rack);
}

static void other_builds_are_refused_by_name(void **state)
{
    struct rack rack;
    rack_open(&rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    struct superblock_shared *superblock = superblock_of(&rack);
    superblock->layout_version = LAYOUT_VERSION - 1;
    seal(superblock);
    expect_attach(&rack, rack.bytes, EMB_ERR_VERSION,
                  "layout version 1, which is older; this build reads 2");
    superblock->layout_version = LAYOUT_VERSION + 1;
    seal(superblock);
    expect_attach(&rack, rack.bytes, EMB_ERR_VERSION, "3, which is newer");
    superblock->layout_version = LAYOUT_VERSION;
    superblock->struct_bytes[6] = 128;
    seal(superblock);
    expect_attach(&rack, rack.bytes, EMB_ERR_MISMATCH,
                  "GOI entry has 128 bytes; this build's has 64");
    superblock->struct_bytes[6] = 64;
    superblock->coherence = 3;
    seal(superblock);
    expect_attach(&rack, rack.bytes, EMB_ERR_CORRUPT, "coherence is 3");
    superblock->coherence = 1;
    superblock->lane_slots = 9;
    seal(superblock);
    expect_attach(&rack, rack.bytes, EMB_ERR_CORRUPT, "impossible: lane-slots is 9");
    superblock->lane_slots = 8;
    superblock->segment_bytes = 0;
    seal(superblock);
    expect_attach(&rack, rack.bytes, EMB_ERR_CORRUPT, "impossible: segment-size is 0");
    rack_close(&rack);
}

static void a_missing_writeback_is_refused(void **state)
{
    struct rack rack;
    struct error err;
    struct region region;
    if (!mem_writeback_available(MEM_WRITEBACK_CLFLUSHOPT)) {
        print_message("skipped: this CPU has no clflushopt\n");
        skip();
    }
    rack_open(&rack, MEM_SOFTWARE, MEM_WRITEBACK_CLFLUSHOPT);
    assert_int_equal(
        region_attach(&region, rack.hosts[0].base, rack.bytes, MEM_WRITEBACK_DC_CVAC, &err),
        EMB_ERR_NOT_SUPPORTED);
    assert_non_null(strstr(err.text, "clflushopt"));
    rack_close(&rack);
}

/* ---- payload --------------------------------------------------------------------------------- */

static void payload_outside_its_segment_is_refused(void **state)
{
    struct rack rack;
    rack_open(&rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    struct region *region = &rack.hosts[0];
    uint32_t segment_bytes = region->geometry.segment_bytes;
    uint64_t first = region->areas.blog;
    uint64_t end = first + (uint64_t)region->areas.segments * segment_bytes;
    assert_ptr_equal(region_payload(region, payload_word(first, 1)), region->base + first);
    assert_ptr_equal(region_payload(region, payload_word(first, segment_bytes)),
                     region->base + first);
    assert_null(region_payload(region, payload_word(first, segment_bytes + 1)));
    assert_null(region_payload(region, payload_word(first, 0)));
    assert_null(region_payload(region, payload_word(first - 64, 64)));
    assert_non_null(region_payload(region, payload_word(end - 64, 64)));
    assert_null(region_payload(region, payload_word(end - 64, 65)));
    assert_null(region_payload(region, payload_word(end, 1)));
    assert_null(region_payload(region, UINT64_MAX));
    assert_null(region_payload(region, 0));
    assert_int_equal(region_segment_of(region, first + segment_bytes), 1);
    assert_int_equal(region_segment_of(region, first + segment_bytes - 1), 0);
    assert_int_equal(region_segment_of(region, end), UINT32_MAX);
    assert_int_equal(region_segment_of(region, 0), UINT32_MAX);
    assert_int_equal(region_segment_address(region, 1), first + segment_bytes);
    rack_close(&rack);
}

/* ---- check ----------------------------------------------------------------------------------- */

struct findings {
    int count;
    char last[256];
};

static void found(void *arg, const char *problem)
{
    struct findings *findings = arg;
    findings->count++;
    snprintf(findings->last, sizeof findings->last, "%s", problem);
}

/* A region in use: epoch 6 in workspace 2, its own positions from 32 to 200. */
static void fill(struct region *region)
{
    struct epoch_view view = {.epoch = 6, .sequencer = 1, .workspace = 2, .slot = 4};
    struct interval intervals[2] = {{0, 0, 0}, {.epoch = 5, .end = 20, .next_start = 32}};
    struct node_request_shared request = {.incarnation = 1, .host = "h"};
    struct pbr_entry_shared pbr = {.kind = ENTRY_DATA};
    uint64_t capacity;
    region_epoch_publish(region, &view);
    for (uint64_t i = 0; i < 2; i++)
        region_interval_publish(region, 2, 6, i, &intervals[i]);
    for (uint64_t position = 32; position < 200; position++) {
        struct goi_entry_shared entry = {
            .kind = ENTRY_DATA, .epoch = 6, .payload = payload_word(region->areas.blog, 64)};
        region_goi_publish(region, position, &entry);
    }
    region_committed_publish(region, 2, 200);
    unsigned char *body = region_checkpoint_body(region, 2, 1, &capacity);
    memset(body, 7, 100);
    struct checkpoint_shared header = {
        .sequence = 4, .owner_epoch = 6, .bytes = 100, .body_crc = crc32c(body, 100)};
    region_checkpoint_publish(region, 2, 1, &header);
    region_node_request_publish(region, 3, &request);
    region_segment_publish(region, 5, 1, 3, 2);
    region_lane_publish(region, 2, 1, 77, &pbr);
}

/* One flipped byte in the line: exactly one problem, which names it. */
static void expect_found(struct region *region, void *line, int at, const char *part)
{
    struct findings findings = {0};
    rack_flip(region, line, at);
    assert_int_equal(region_check(region, found, &findings), 1);
    assert_int_equal(findings.count, 1);
    if (!strstr(findings.last, part))
        fail_msg("\"%s\" is not in: %s", part, findings.last);
    rack_flip(region, line, at);
    assert_int_equal(region_check(region, NULL, NULL), 0);
}

static void planted(struct rack *rack)
{
    struct region *region = &rack->hosts[0];
    uint64_t capacity;
    fill(region);
    assert_int_equal(region_check(region, NULL, NULL), 0);
    expect_found(region, region_interval_line(region, 2, 0), 33, "interval 0");
    expect_found(region, region_checkpoint_line(region, 2, 1), 17, "checkpoint header 1");
    expect_found(region, region_checkpoint_body(region, 2, 1, &capacity), 50, "has the body");
    expect_found(region, &region_node(region, 3)->request, 40, "node request 3");
    expect_found(region, region_segment_line(region, 5), 1, "segment 5");
    expect_found(region, region_lane_line(region, 2, 77), 60, "PBR slot 5");
    expect_found(region, region_goi_line(region, 150), 20, "GOI position 150");
    expect_found(region, region_goi_line(region, 199), 0, "GOI position 199");
    expect_found(region, region_epoch_line(region, 4), 9, "epoch slot 4");
}

static void planted_damage_is_found(void **state)
{
    rack_each_mode(planted);
}

static void valid_lines_that_cannot_be_are_found(void **state)
{
    struct rack rack;
    struct findings findings = {0};
    rack_open(&rack, MEM_HARDWARE, MEM_WRITEBACK_AUTO);
    struct region *region = &rack.hosts[0];
    fill(region);
    struct goi_entry_shared entry = {.kind = ENTRY_DATA, .epoch = 5, .payload = 1};
    region_goi_publish(region, 100, &entry);
    assert_int_equal(region_check(region, found, &findings), 2); /* epoch and payload */
    assert_non_null(strstr(findings.last, "is in no segment"));
    entry = (struct goi_entry_shared){.kind = 9, .epoch = 6};
    region_goi_publish(region, 100, &entry);
    region_segment_publish(region, 9, 1, 99, 2);
    assert_int_equal(region_check(region, found, &findings), 2);
    assert_non_null(strstr(findings.last, "segment 9: owner 99"));
    rack_close(&rack);
}

/* As the tool sees it: nothing may be written, in no mode. */
static void read_only(struct rack *rack)
{
    struct region region;
    fill(&rack->hosts[0]);
    assert_int_equal(mprotect(rack->hosts[1].base, rack->bytes, PROT_READ), 0);
    assert_int_equal(region_attach(&region, rack->hosts[1].base, rack->bytes,
                                   rack->hosts[0].mem.writeback, NULL),
                     EMB_OK);
    if (!RACK_ONE_MAPPING)
        rack_flip(&rack->hosts[0], region_goi_line(&rack->hosts[0], 150), 20);
    assert_int_equal(region_check(&region, NULL, NULL), !RACK_ONE_MAPPING);
}

static void a_read_only_mapping_can_be_checked(void **state)
{
    rack_each_mode(read_only);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(geometries_leave_room),
        cmocka_unit_test(impossible_geometries_are_named),
        cmocka_unit_test(what_was_formatted_is_attached),
        cmocka_unit_test(formatting_forgets_an_earlier_region),
        cmocka_unit_test(foreign_and_truncated_regions_are_refused),
        cmocka_unit_test(a_corrupted_superblock_is_refused_wherever_it_is),
        cmocka_unit_test(other_builds_are_refused_by_name),
        cmocka_unit_test(a_missing_writeback_is_refused),
        cmocka_unit_test(payload_outside_its_segment_is_refused),
        cmocka_unit_test(planted_damage_is_found),
        cmocka_unit_test(a_read_only_mapping_can_be_checked),
        cmocka_unit_test(valid_lines_that_cannot_be_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

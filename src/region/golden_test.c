/*
 * The bytes of the two records of the log, as docs/formats.md gives them. They were computed by an
 * independent script with its own CRC32C.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "region/region.h"

static const char pbr_bytes[] = "07000000010000005634120000bc0a0001004d0000000000e803000000000000"
                                "7b68e5cf8b0105000300000009000000030000000201000000000000d1ca1e8b";
static const char goi_bytes[] = "090000000300000092100000000000005634120000bc0a0001004d0000000000"
                                "e8030000000000007b68e5cf8b01050007000000090000000201010067aa59bd";

static void begin(struct region *region, void **memory)
{
    struct geometry g = geometry_test();
    uint8_t uuid[16] = {0};
    *memory = aligned_alloc(4096, g.region_bytes);
    assert_non_null(*memory);
    assert_int_equal(region_format(*memory, &g, MEM_HARDWARE, uuid, NULL), EMB_OK);
    assert_int_equal(region_attach(region, *memory, g.region_bytes, MEM_WRITEBACK_AUTO, NULL),
                     EMB_OK);
}

static void expect_bytes(const void *line, const char *hex)
{
    char text[2 * LINE_BYTES + 1];
    for (int i = 0; i < LINE_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", ((const unsigned char *)line)[i]);
    assert_string_equal(text, hex);
}

static void a_pbr_entry_is_these_bytes(void **state)
{
    struct region region;
    void *memory;
    begin(&region, &memory);
    struct pbr_entry_shared entry = {.payload = payload_word(0x123456ULL * LINE_BYTES, 0xabc),
                                     .session = 77 << 16 | 1,
                                     .client_sequence = 1000,
                                     .topic = 5,
                                     .message_count = 3,
                                     .control_epoch = 9,
                                     .broker = 2,
                                     .kind = ENTRY_DATA};
    put_u48(entry.timestamp_ms, 1700000000123);
    region_lane_publish(&region, 0, 3, 0x100000007, &entry);
    expect_bytes(&entry, pbr_bytes);
    expect_bytes(region.base + region.areas.lanes + LINE_BYTES * (1 + 7), pbr_bytes);
    free(memory);
}

static void a_goi_entry_is_these_bytes(void **state)
{
    struct region region;
    void *memory;
    begin(&region, &memory);
    struct goi_entry_shared entry = {.message_count = 3,
                                     .base_offset = 4242,
                                     .payload = payload_word(0x123456ULL * LINE_BYTES, 0xabc),
                                     .session = 77 << 16 | 1,
                                     .client_sequence = 1000,
                                     .topic = 5,
                                     .pbr_index = 7,
                                     .epoch = 9,
                                     .lane = 2,
                                     .kind = ENTRY_DATA,
                                     .flags = ENTRY_ASKS_SYNC};
    put_u48(entry.timestamp_ms, 1700000000123);
    uint64_t position = 0x200000009;
    region_goi_publish(&region, position, &entry);
    expect_bytes(&entry, goi_bytes);
    expect_bytes(region.base + region.areas.goi +
                     LINE_BYTES * (position % region.areas.goi_entries),
                 goi_bytes);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pbr_entry_is_these_bytes),
        cmocka_unit_test(a_goi_entry_is_these_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

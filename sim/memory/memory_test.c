/*
 * The model of the memory itself: what each call of mem promises, and no more than that. Each test
 * runs many seeds, so that what may happen is seen to happen, and what must not never does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sim/bugs/planted.h"
#include "sim/core/internal.h"
#include "sim/memory/internal.h"

#define SEEDS 300

/* The planted bugs are not linked here. */
bool planted(enum bug bug)
{
    return false;
}

bool planted_forgets_drain(void)
{
    return false;
}

bool planted_is_predecessor(uint32_t lane, uint32_t node)
{
    return false;
}

static struct {
    enum mem_coherence coherence;
    struct host *hosts[2];
    struct mem mem[2];
    unsigned seen_old, seen_new, seen_half, order_broken;
} t;

static unsigned char *at(int host, uint64_t offset)
{
    return memory_mapping(t.hosts[host]) + offset;
}

/* Two words, each in a line of its own; and a line. */
static struct pub_u64 *word(int host, int number)
{
    return (struct pub_u64 *)at(host, memory_areas()->nodes + 64 + 192 * (uint64_t)number);
}

static unsigned char *payload(int host)
{
    return at(host, memory_areas()->blog);
}

static void begin(uint64_t seed, enum mem_coherence coherence)
{
    static const struct geometry geometry = {.region_bytes = 2 << 20,
                                             .segment_bytes = 16 << 10,
                                             .lanes = 2,
                                             .lane_slots = 8,
                                             .goi_segments = 16,
                                             .goi_segment_entries = 8,
                                             .topics = 4,
                                             .sessions = 16};
    static const uint8_t uuid[16] = {1};
    world_begin(seed, TRACE_NOTHING);
    t.coherence = coherence;
    memory_begin(geometry.region_bytes, coherence, 2);
    for (int i = 0; i < 2; i++) {
        t.hosts[i] = world_add_host(i ? "host1" : "host0", true);
        assert_int_equal(mem_init(&t.mem[i], coherence, MEM_WRITEBACK_AUTO, NULL), EMB_OK);
    }
    assert_int_equal(region_format(at(0, 0), &geometry, coherence, uuid, NULL), EMB_OK);
    memory_formatted(&geometry, coherence);
    world_on_accident(memory_accident);
    where_catch_faults(); /* cmocka takes the signal for itself before each test */
}

/* Runs two fibers, one a host, in many seeds of both coherences. */
static void run_both(void (*zero)(void *), void (*one)(void *), enum mem_coherence coherence)
{
    t.seen_old = t.seen_new = t.seen_half = t.order_broken = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        begin(seed, coherence);
        fiber_start("zero", t.hosts[0], zero, NULL);
        fiber_start("one", t.hosts[1], one, NULL);
        world_run(NULL, 100 * MS);
        assert_false(world_has_finding());
        world_end();
    }
}

/* ---- a record and its payload ---------------------------------------------------------------- */

static void writer_of_payload(void *arg)
{
    memset(payload(0), 'x', 300);
    memory_stored(payload(0), 300);
    mem_write_back(&t.mem[0], payload(0), 300);
    mem_drain(&t.mem[0]);
    mem_publish_u64(&t.mem[0], word(0, 0), 1);
}

static void reader_of_payload(void *arg)
{
    for (int i = 0; i < 200; i++) {
        if (mem_observe_u64(&t.mem[1], word(1, 0)) == 1) {
            mem_observe_range(&t.mem[1], payload(1), 300);
            for (int b = 0; b < 300; b++)
                assert_int_equal(payload(1)[b], 'x');
            t.seen_new++;
            return;
        }
        t.seen_old++;
        fiber_sleep(choose_below(CHOICE_SCHEDULE, 20 * US));
    }
}

static void what_a_record_refers_to_is_there(void **state)
{
    run_both(writer_of_payload, reader_of_payload, MEM_SOFTWARE);
    assert_true(t.seen_new > SEEDS / 2 && t.seen_old > SEEDS);
    run_both(writer_of_payload, reader_of_payload, MEM_HARDWARE);
    assert_true(t.seen_new > SEEDS / 2);
}

/* ---- store-load: the drain of both sides ----------------------------------------------------- */

static uint64_t saw[2];
static bool drains;

static void cross(int self)
{
    fiber_sleep(choose_below(CHOICE_SCHEDULE, 300));
    mem_publish_u64(&t.mem[self], word(self, self), 1);
    if (drains)
        mem_drain(&t.mem[self]);
    saw[self] = mem_observe_u64(&t.mem[self], word(self, 1 - self));
    fiber_sleep(50 * MS);
    if (self == 0)
        t.order_broken += saw[0] == 0 && saw[1] == 0;
}

static void cross_zero(void *arg)
{
    cross(0);
}

static void cross_one(void *arg)
{
    cross(1);
}

/* Dekker: with drains one of the two sees the other; without, both may miss each other. */
static void a_drain_keeps_later_loads_behind(void **state)
{
    for (int mode = MEM_HARDWARE; mode <= MEM_SOFTWARE; mode++) {
        drains = true;
        run_both(cross_zero, cross_one, (enum mem_coherence)mode);
        assert_int_equal(t.order_broken, 0);
        drains = false;
        run_both(cross_zero, cross_one, (enum mem_coherence)mode);
        assert_true(t.order_broken > 0);
    }
}

/* ---- order of publishes without a drain ------------------------------------------------------ */

static void two_words(void *arg)
{
    mem_publish_u64(&t.mem[0], word(0, 0), 1);
    mem_publish_u64(&t.mem[0], word(0, 1), 1);
}

static void both_words(void *arg)
{
    for (int i = 0; i < 50; i++) {
        uint64_t second = mem_observe_u64(&t.mem[1], word(1, 1));
        uint64_t first = mem_observe_u64(&t.mem[1], word(1, 0));
        t.order_broken += second == 1 && first == 0;
        fiber_sleep(choose_below(CHOICE_SCHEDULE, 5 * US));
    }
}

static void publishes_have_an_order_on_coherent_memory_alone(void **state)
{
    run_both(two_words, both_words, MEM_HARDWARE);
    assert_int_equal(t.order_broken, 0);
    run_both(two_words, both_words, MEM_SOFTWARE);
    assert_true(t.order_broken > 0);
}

/* ---- a line --------------------------------------------------------------------------------- */

static void line_writer(void *arg)
{
    for (uint64_t value = 1; value <= 5; value++) {
        uint64_t words[8] = {value, value, value, value, value, value, value, value};
        mem_publish_line(&t.mem[0], at(0, memory_areas()->goi), words);
        fiber_sleep(choose_below(CHOICE_SCHEDULE, 3 * US));
    }
}

static void line_reader(void *arg)
{
    uint64_t words[8];
    for (int i = 0; i < 40; i++) {
        mem_observe_line(&t.mem[1], words, at(1, memory_areas()->goi));
        for (int w = 1; w < 8; w++) {
            t.order_broken += words[w] < words[0];
            t.seen_half += words[w] != words[0];
        }
        fiber_sleep(choose_below(CHOICE_SCHEDULE, US));
    }
}

/* One piece where a write-back carries it; else the first word comes last, and no more is sure. */
static void a_line_is_as_whole_as_promised(void **state)
{
    run_both(line_writer, line_reader, MEM_SOFTWARE);
    assert_int_equal(t.seen_half, 0);
    run_both(line_writer, line_reader, MEM_HARDWARE);
    assert_int_equal(t.order_broken, 0);
    assert_true(t.seen_half > 0);
}

/* ---- stale, evicted, lost -------------------------------------------------------------------- */

static void writer_without_write_back(void *arg)
{
    memset(payload(0), 'y', 64);
    memory_stored(payload(0), 64);
    fiber_sleep(choose_below(CHOICE_SCHEDULE, 30 * US));
    if (choose_one_in(CHOICE_SCHEDULE, 2))
        memory_power_lost(t.hosts[0]);
}

static void late_reader(void *arg)
{
    for (int i = 0; i < 20; i++)
        fiber_sleep(10 * US);
    mem_observe_range(&t.mem[1], payload(1), 64);
    assert_true(payload(1)[0] == 'y' || payload(1)[0] == 0);
    assert_int_equal(payload(1)[0], payload(1)[63]);
    t.seen_new += payload(1)[0] == 'y';
    t.seen_old += payload(1)[0] == 0;
}

static void what_is_not_written_back_may_be_evicted_or_lost(void **state)
{
    run_both(writer_without_write_back, late_reader, MEM_SOFTWARE);
    assert_true(t.seen_new > 0 && t.seen_old > 0);
}

/* ---- what it finds --------------------------------------------------------------------------- */

static void expect_finding(enum mem_coherence coherence, void (*act)(void *), const char *part)
{
    begin(1, coherence);
    fiber_start("act", t.hosts[0], act, NULL);
    world_run(NULL, MS);
    assert_true(world_has_finding());
    assert_string_equal(world_finding()->checker, "memory");
    if (!strstr(world_finding()->text, part))
        fail_msg("%s", world_finding()->text);
    world_end();
}

static void write_elsewhere(void *arg)
{
    mem_publish_u64(&t.mem[1], word(1, 0), 1);
    mem_publish_u64(&t.mem[0], word(0, 0), 2);
}

static void touch_directly(void *arg)
{
    assert_int_equal(*(volatile uint64_t *)&word(0, 0)->value, 0);
}

static void read_unobserved(void *arg)
{
    memory_stored(payload(1), 64);
    mem_write_back(&t.mem[1], payload(1), 64);
    mem_drain(&t.mem[1]);
    memory_read(payload(0), 64, "test");
}

static void publish_lane_slot(bool drained)
{
    struct pbr_entry_shared entry = {.payload = payload_word(memory_areas()->blog, 100)};
    memory_stored(payload(0), 100);
    mem_write_back(&t.mem[0], payload(0), 100);
    if (drained)
        mem_drain(&t.mem[0]);
    mem_publish_line(&t.mem[0], at(0, memory_areas()->lanes + 64), &entry);
}

static void publish_undrained(void *arg)
{
    publish_lane_slot(false);
}

static void publish_drained(void *arg)
{
    publish_lane_slot(true);
}

static void broken_rules_are_found(void **state)
{
    expect_finding(MEM_SOFTWARE, write_elsewhere, "both write node 0, node_beat_shared.heartbeat");
    expect_finding(MEM_HARDWARE, write_elsewhere, "both write node 0");
    expect_finding(MEM_SOFTWARE, touch_directly, "plain access");
    expect_finding(MEM_HARDWARE, touch_directly, "node_beat_shared.heartbeat");
    expect_finding(MEM_SOFTWARE, read_unobserved, "without an observe");
    expect_finding(MEM_SOFTWARE, publish_undrained, "lane 0 slot 0");
    begin(1, MEM_SOFTWARE);
    fiber_start("act", t.hosts[0], publish_drained, NULL);
    world_run(NULL, MS);
    assert_false(world_has_finding());
    world_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_record_refers_to_is_there),
        cmocka_unit_test(a_drain_keeps_later_loads_behind),
        cmocka_unit_test(publishes_have_an_order_on_coherent_memory_alone),
        cmocka_unit_test(a_line_is_as_whole_as_promised),
        cmocka_unit_test(what_is_not_written_back_may_be_evicted_or_lost),
        cmocka_unit_test(broken_rules_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

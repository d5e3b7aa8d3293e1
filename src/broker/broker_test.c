/* Slots, answers that wait, back-pressure and what is in flight: the parts that decide alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/random.h"
#include "broker/inflight.h"
#include "broker/list.h"
#include "broker/pending.h"
#include "broker/pressure.h"
#include "broker/slots.h"

/* ---- lists ----------------------------------------------------------------------------------- */

struct item {
    int number;
    struct list link;
};

static void assert_items(const struct list *list, const int *numbers, int count)
{
    const struct list *at = list->next;
    for (int i = 0; i < count; i++, at = at->next) {
        assert_ptr_not_equal(at, list);
        assert_int_equal(CONTAINER_OF(at, struct item, link)->number, numbers[i]);
    }
    assert_ptr_equal(at, list);
}

static void list_keeps_order_and_can_be_left(void **state)
{
    (void)state;
    struct list list, taken;
    struct item items[4];
    list_init(&list);
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        list_init(&items[i].link);
        assert_false(list_linked(&items[i].link));
        list_append(&list, &items[i].link);
    }
    assert_items(&list, (int[]){0, 1, 2, 3}, 4);
    list_remove(&items[1].link);
    assert_false(list_linked(&items[1].link));
    list_remove(&items[1].link);
    list_append(&list, &items[0].link);
    assert_items(&list, (int[]){2, 3, 0}, 3);
    list_take(&list, &taken);
    assert_true(list_empty(&list));
    assert_items(&taken, (int[]){2, 3, 0}, 3);
    list_append(&list, &items[3].link);
    assert_items(&taken, (int[]){2, 0}, 2);
    assert_items(&list, (int[]){3}, 1);
    list_append_all(&list, &taken);
    assert_true(list_empty(&taken));
    assert_items(&list, (int[]){3, 2, 0}, 3);
    list_append_all(&list, &taken);
    list_append_all(&taken, &list);
    assert_items(&taken, (int[]){3, 2, 0}, 3);
    list_remove(&items[2].link);
    assert_items(&taken, (int[]){3, 0}, 2);
    struct list none;
    list_init(&none);
    list_take(&none, &taken);
    assert_true(list_empty(&taken));
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void slots_keep_a_reserve_for_meta(void **state)
{
    (void)state;
    const uint32_t capacities[] = {8, 16, 64};
    for (size_t i = 0; i < COUNT_OF(capacities); i++) {
        struct slot_ring ring;
        assert_int_equal(slot_ring_init(&ring, capacities[i], 0), EMB_OK);
        uint32_t data = 0;
        for (; slot_ring_has_room(&ring, false); data++)
            slot_ring_push(&ring, &(struct lane_slot){0});
        assert_int_equal(data, capacities[i] - (capacities[i] > 8 ? 2 : 1));
        for (; slot_ring_has_room(&ring, true); data++)
            slot_ring_push(&ring, &(struct lane_slot){0});
        assert_int_equal(data, capacities[i]);
        assert_int_equal(slot_ring_used(&ring), capacities[i]);
        slot_ring_free(&ring);
    }
}

static void slots_are_reused_only_below_the_oldest_open_one(void **state)
{
    (void)state;
    struct slot_ring ring;
    struct lane_slot slot;
    assert_int_equal(slot_ring_init(&ring, 8, 0), EMB_OK);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(slot_ring_push(&ring, &(struct lane_slot){.correlation = 100 + i}), i);
    for (uint64_t i = 1; i < 8; i++) {
        assert_true(slot_ring_release(&ring, i, &slot));
        assert_int_equal(slot.correlation, 100 + i);
        assert_false(slot_ring_has_room(&ring, true));
    }
    assert_true(slot_ring_release(&ring, 0, &slot));
    assert_int_equal(slot.correlation, 100);
    assert_int_equal(ring.released, 8);
    assert_int_equal(slot_ring_used(&ring), 0);
    slot_ring_free(&ring);
}

static void slots_refuse_outcomes_that_are_not_awaited(void **state)
{
    (void)state;
    struct slot_ring ring;
    struct lane_slot slot;
    assert_int_equal(slot_ring_init(&ring, 8, 0), EMB_OK);
    assert_false(slot_ring_release(&ring, 0, &slot));
    slot_ring_push(&ring, &(struct lane_slot){0});
    slot_ring_push(&ring, &(struct lane_slot){0});
    assert_false(slot_ring_release(&ring, 2, &slot));
    assert_true(slot_ring_release(&ring, 1, &slot));
    assert_false(slot_ring_release(&ring, 1, &slot));
    assert_false(slot_ring_release(&ring, UINT64_MAX, &slot));
    assert_true(slot_ring_release(&ring, 0, &slot));
    assert_false(slot_ring_release(&ring, 0, &slot));
    slot_ring_free(&ring);
}

/* Against a model that only counts, through many laps. */
static void slots_wrap_without_end(void **state)
{
    (void)state;
    struct slot_ring ring;
    struct random_state random;
    struct lane_slot slot;
    bool open[8] = {false};
    uint64_t next = 0;
    random_seed(&random, 7);
    assert_int_equal(slot_ring_init(&ring, 8, 0), EMB_OK);
    for (int i = 0; i < 20000; i++) {
        if (random_below(&random, 2) && slot_ring_has_room(&ring, true)) {
            assert_false(open[next % 8]);
            assert_int_equal(slot_ring_push(&ring, &(struct lane_slot){.correlation = ~next}),
                             next);
            open[next++ % 8] = true;
        } else if (next) {
            uint64_t index = next - 1 - random_below(&random, min_u64(next, 8));
            bool was = open[index % 8] && index >= ring.released;
            assert_int_equal(slot_ring_release(&ring, index, &slot), was);
            if (was)
                assert_int_equal(slot.correlation, ~index);
            open[index % 8] &= !was;
        }
        assert_true(ring.next - ring.released <= 8);
        assert_true(ring.released == ring.next || open[ring.released % 8]);
    }
    assert_true(next > 1000);
    slot_ring_free(&ring);
}

static void slots_know_what_lies_half_a_ring_behind(void **state)
{
    (void)state;
    struct slot_ring ring;
    struct lane_slot slot;
    assert_int_equal(slot_ring_init(&ring, 8, 0), EMB_OK);
    for (uint64_t i = 0; i < 7; i++)
        slot_ring_push(&ring, &(struct lane_slot){0});
    assert_int_equal(slot_ring_half_behind(&ring), 3);
    for (uint64_t i = 0; i < 3; i++)
        assert_true(slot_ring_release(&ring, i, &slot));
    assert_int_equal(slot_ring_used(&ring), 4);
    slot_ring_free(&ring);
    assert_int_equal(slot_ring_init(&ring, 64, 0), EMB_OK);
    slot_ring_push(&ring, &(struct lane_slot){0});
    assert_int_equal(slot_ring_half_behind(&ring), 0);
    slot_ring_free(&ring);
}

/* ---- back-pressure --------------------------------------------------------------------------- */

static struct pressure_levels levels(uint64_t slots_used, uint64_t bytes_used)
{
    return (struct pressure_levels){
        .slots_used = slots_used, .slots = 100, .bytes_used = bytes_used, .bytes = 1000};
}

static void update(struct pressure *pressure, struct pressure_levels now, uint64_t now_ns)
{
    pressure_update(pressure, &now, now_ns);
}

static void pressure_has_hysteresis(void **state)
{
    (void)state;
    struct pressure p = {0};
    pressure_set(&p, 80, 50, 1000);
    update(&p, levels(80, 800), 1);
    assert_false(p.paused);
    update(&p, levels(81, 0), 2);
    assert_true(p.paused);
    update(&p, levels(51, 0), 3);
    assert_true(p.paused);
    update(&p, levels(50, 501), 4);
    assert_true(p.paused);
    update(&p, levels(50, 500), 5);
    assert_false(p.paused);
    update(&p, levels(51, 801), 6);
    assert_true(p.paused);
    assert_int_equal(p.pauses, 2);
    assert_int_equal(p.paused_ns, 6);
}

static void pressure_refuses_after_its_time(void **state)
{
    (void)state;
    struct pressure p = {0};
    pressure_set(&p, 80, 50, 1000);
    update(&p, levels(90, 0), 5000);
    assert_false(p.refusing);
    update(&p, levels(60, 0), 5999);
    assert_false(p.refusing);
    update(&p, levels(60, 0), 6000);
    assert_true(p.refusing);
    update(&p, levels(50, 0), 6001);
    assert_false(p.refusing || p.paused);
    update(&p, levels(90, 0), 6500);
    assert_true(p.paused && !p.refusing);
}

static void pressure_begins_when_a_batch_finds_no_place(void **state)
{
    (void)state;
    struct pressure p = {0};
    struct pressure_levels low = levels(60, 600);
    pressure_set(&p, 80, 50, 1000);
    low.blocked = true;
    update(&p, low, 1);
    assert_true(p.paused);
    low.blocked = false;
    update(&p, low, 2);
    assert_true(p.paused);
    low.idle = true;
    update(&p, low, 3);
    assert_false(p.paused);
    low.blocked = true;
    update(&p, low, 4);
    assert_false(p.paused);
}

/* A ring of eight: pausing at seven, giving half a ring back, resuming at four. */
static void pressure_leaves_progress_with_eight_slots(void **state)
{
    (void)state;
    struct pressure p = {0};
    struct slot_ring ring;
    struct lane_slot slot;
    pressure_set(&p, 80, 50, 1000);
    assert_int_equal(slot_ring_init(&ring, 8, 0), EMB_OK);
    while (!p.paused) {
        assert_true(slot_ring_has_room(&ring, false));
        slot_ring_push(&ring, &(struct lane_slot){0});
        update(&p, (struct pressure_levels){slot_ring_used(&ring), 8, 0, 1, false, false}, 1);
    }
    for (uint64_t i = ring.released; i < slot_ring_half_behind(&ring); i++)
        assert_true(slot_ring_release(&ring, i, &slot));
    update(&p, (struct pressure_levels){slot_ring_used(&ring), 8, 0, 1, false, false}, 2);
    assert_false(p.paused);
    slot_ring_free(&ring);
}

/* ---- answers that wait ----------------------------------------------------------------------- */

static void answers_leave_below_d_in_order(void **state)
{
    (void)state;
    struct pending_queue queue;
    struct pending_answer answer;
    pending_init(&queue);
    assert_false(pending_take(&queue, UINT64_MAX, &answer));
    for (uint64_t position = 10; position < 50; position += 2)
        assert_true(pending_push(
            &queue, &(struct pending_answer){.position = position, .connection = ~position}));
    assert_false(pending_take(&queue, 10, &answer));
    for (uint64_t durable = 11, expected = 10; durable <= 50; durable++)
        while (pending_take(&queue, durable, &answer)) {
            assert_true(answer.position < durable);
            assert_int_equal(answer.position, expected);
            assert_int_equal(answer.connection, ~expected);
            expected += 2;
        }
    assert_int_equal(ring_count(&queue.answers), 0);
    pending_free(&queue);
}

/* ---- in flight ------------------------------------------------------------------------------- */

static struct inflight_batch sent(uint64_t position, uint64_t end_bytes)
{
    return (struct inflight_batch){
        .position = position, .end_bytes = end_bytes, .entry = {.payload = position * 3}};
}

static void push(struct inflight *inflight, uint64_t position, uint64_t end_bytes)
{
    struct inflight_batch batch = sent(position, end_bytes);
    assert_true(inflight_push(inflight, &batch));
}

static void inflight_is_read_when_all_its_bytes_are_acked(void **state)
{
    (void)state;
    struct inflight inflight;
    inflight_init(&inflight);
    assert_null(inflight_lowest(&inflight));
    push(&inflight, 5, 1000);
    push(&inflight, 9, 3000);
    push(&inflight, 12, 3500);
    assert_int_equal(inflight_acked(&inflight, 999), 0);
    assert_int_equal(inflight_lowest(&inflight)->position, 5);
    assert_int_equal(inflight_acked(&inflight, 1000), 1);
    assert_int_equal(inflight_lowest(&inflight)->position, 9);
    assert_int_equal(inflight_lowest(&inflight)->entry.payload, 27);
    assert_int_equal(inflight_acked(&inflight, 3600), 2);
    assert_null(inflight_lowest(&inflight));
    inflight_free(&inflight);
}

static void inflight_pins_the_lowest_after_a_seek_backwards(void **state)
{
    (void)state;
    struct inflight inflight;
    inflight_init(&inflight);
    push(&inflight, 50, 100);
    push(&inflight, 51, 200);
    push(&inflight, 3, 300);
    push(&inflight, 4, 400);
    assert_int_equal(inflight_lowest(&inflight)->position, 3);
    assert_int_equal(inflight_acked(&inflight, 200), 2);
    assert_int_equal(inflight_lowest(&inflight)->position, 3);
    assert_int_equal(inflight_acked(&inflight, 300), 1);
    assert_int_equal(inflight_lowest(&inflight)->position, 4);
    inflight_free(&inflight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_keeps_order_and_can_be_left),
        cmocka_unit_test(slots_keep_a_reserve_for_meta),
        cmocka_unit_test(slots_are_reused_only_below_the_oldest_open_one),
        cmocka_unit_test(slots_refuse_outcomes_that_are_not_awaited),
        cmocka_unit_test(slots_wrap_without_end),
        cmocka_unit_test(slots_know_what_lies_half_a_ring_behind),
        cmocka_unit_test(pressure_has_hysteresis),
        cmocka_unit_test(pressure_refuses_after_its_time),
        cmocka_unit_test(pressure_begins_when_a_batch_finds_no_place),
        cmocka_unit_test(pressure_leaves_progress_with_eight_slots),
        cmocka_unit_test(answers_leave_below_d_in_order),
        cmocka_unit_test(inflight_is_read_when_all_its_bytes_are_acked),
        cmocka_unit_test(inflight_pins_the_lowest_after_a_seek_backwards),
    };
    return cmocka_run_group_tests_name("broker", tests, NULL, NULL);
}

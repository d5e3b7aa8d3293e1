/*
 * Twenty times the region's size goes through it: everything that is a ring wraps (lanes of 8
 * slots, a GOI of 16 segments of 8, BLog segments of 256 KiB), from two publishers that stripe over
 * four brokers, durable on two replicas, in order, while a subscriber follows and checks each byte.
 */
#include <stdio.h>
#include <sys/statvfs.h>

#include "tests/flow.h"
#include "tests/raw.h"

#define LEAST_BYTES (100u << 10)
#define MOST_BYTES  (200u << 10)
#define MEAN_BYTES  ((LEAST_BYTES + MOST_BYTES) / 2)
#define LAPS_FULL   21u /* of the region, in the first mode; the mean size is only nearly exact */
#define LAPS_OTHERS 5u
#define WRITES      2u /* each byte is written by two replicas */

static void need_disk(const struct rig *rig, uint64_t bytes)
{
    struct statvfs on;
    assert_int_equal(statvfs(rig->directory, &on), 0);
    uint64_t unused = (uint64_t)on.f_bavail * on.f_frsize;
    if (unused < bytes)
        rig_skip("the stores need %llu MiB, %llu MiB are free", (unsigned long long)(bytes >> 20),
                 (unsigned long long)(unused >> 20));
}

/* A daemon's counters are up to 10 ms old. */
static bool nothing_is_held(void *arg)
{
    struct sequencer_counters counters;
    rig_counters(arg, &counters);
    return counters.held_now == 0;
}

static void assert_everything_wrapped(struct rig *rig, const struct flow *reader, uint32_t laps)
{
    const struct geometry *geometry = &rig->options.geometry;
    struct sequencer_counters counters;
    rig_wait_until(nothing_is_held, rig, "nothing was held");
    rig_counters(rig, &counters);
    print_message("%s: %llu MiB, %llu batches, held %llu, released %llu, RETRY %llu, waited %llu, "
                  "passes %llu, counter advances %llu\n",
                  rig->mode->name, (unsigned long long)(reader->bytes >> 20),
                  (unsigned long long)counters.data, (unsigned long long)counters.held,
                  (unsigned long long)counters.released, (unsigned long long)counters.retry,
                  (unsigned long long)counters.waited, (unsigned long long)counters.passes,
                  (unsigned long long)counters.counter_advances);
    assert_true(reader->bytes > (laps - 1ull) * geometry->region_bytes);
    uint64_t goi_entries = (uint64_t)geometry->goi_segments * geometry->goi_segment_entries;
    assert_true(counters.committed > laps * goi_entries);
    assert_true(counters.data > (uint64_t)laps * rig->options.nodes * geometry->lane_slots);
    assert_true(counters.held > 0);
    assert_true(counters.released > 0);
    assert_true(counters.retry >= 2);
    assert_int_equal(counters.fences, 0);
}

/*
 * A session whose first batch is missing, all of it through one lane: what is held half a ring
 * behind the newest slot is given back, to be sent again unchanged.
 */
static void hold_until_retry(struct rig *rig)
{
    struct raw_batch batches[7];
    uint64_t sent[7];
    struct raw *raw = raw_open(rig, 0);
    rig_topic(rig, "held", EMB_ORDER_CLIENT, 2);
    raw_hello(raw);
    raw_publish_open(raw, "held", 2);
    for (uint64_t i = 0; i < 7; i++)
        raw_batch_make(raw, i, 1, &batches[i]);
    for (int i = 1; i < 7; i++)
        sent[i] = raw_produce(raw, &batches[i]);
    assert_int_equal(raw_ack(raw, sent[1]).status, EMB_ERR_RETRY);
    assert_int_equal(raw_ack(raw, sent[2]).status, EMB_ERR_RETRY);
    for (int i = 0; i < 3; i++)
        sent[i] = raw_produce(raw, &batches[i]);
    for (uint64_t i = 0; i < 7; i++) {
        struct ack_item item = raw_ack(raw, sent[i]);
        if (item.status == EMB_ERR_RETRY) /* the newer ones may have pushed it back, too */
            item = raw_settle(raw, &batches[i]);
        assert_int_equal(item.status, EMB_OK);
        assert_int_equal(item.base_offset, i);
        assert_false(item.duplicate);
    }
    raw_close(raw, false);
}

static void everything_wraps(void **state)
{
    struct rig *rig = *state;
    uint32_t laps = rig->mode->coherence == MEM_HARDWARE ? LAPS_FULL : LAPS_OTHERS;
    uint64_t bytes = (uint64_t)laps * rig->options.geometry.region_bytes;
    uint64_t each = bytes / MEAN_BYTES / 2;
    need_disk(rig, bytes * WRITES + (1ull << 30));
    rig_start(rig);
    rig_topic(rig, "wrap", EMB_ORDER_CLIENT, 2);
    struct flow *reader = flow_reader(rig, "wrap", 2 * each);
    struct flow *publishers[2];
    reader->content = (struct content){LEAST_BYTES, MOST_BYTES, true};
    reader->first_broker = 2;
    for (uint32_t i = 0; i < 2; i++) {
        publishers[i] = flow_publisher(rig, "wrap", i, each);
        publishers[i]->content = reader->content;
        publishers[i]->paced_by[0] = reader;
        flow_start(publishers[i]);
    }
    flow_start(reader);
    flow_join(publishers[0]);
    flow_join(publishers[1]);
    flow_join(reader);
    flow_assert_complete(reader, 2, each);
    flow_assert_offsets(publishers[0], reader);
    flow_assert_offsets(publishers[1], reader);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(publishers[i]->stats.acked_messages, each);
        assert_int_equal(publishers[i]->stats.duplicates, 0);
    }
    hold_until_retry(rig);
    assert_everything_wrapped(rig, reader, laps);
    rig_stop(rig);
}

int main(void)
{
    const struct rig_case cases[] = {{"everything_wraps", everything_wraps, RIG_EVERYWHERE}};
    return rig_run("e2e-wrap", cases, sizeof cases / sizeof cases[0]);
}

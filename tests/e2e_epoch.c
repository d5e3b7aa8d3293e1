/*
 * A higher epoch is granted while a rack works: from then on nothing that the old sequencer writes
 * is acted upon - no ack, no delivery, no replication, no reuse - and the sequencer itself stops.
 */
#include <stdio.h>
#include <string.h>

#include "base/flag.h"
#include "tests/rig.h"

#define TOPIC "epochs"

/* A view of the region of this thread's own, beside those of the rack's threads. */
struct seen {
    uint64_t position[4]; /* what each node has followed */
    uint64_t synced[4];   /* what its store has */
    uint64_t retired;     /* how often segments were taken back for reuse */
};

struct watcher {
    struct env_map *map;
    struct region region;
    struct seen last;
    int unchanged; /* looks in a row that saw the same */
};

static void watch(struct rig *rig, struct watcher *watcher)
{
    assert_int_equal(env_map_open(rig->env, rig->region_url, 0, 0, &watcher->map, NULL), EMB_OK);
    assert_int_equal(region_attach(&watcher->region, env_map_base(watcher->map),
                                   env_map_bytes(watcher->map), rig->mode->writeback, NULL),
                     EMB_OK);
}

static struct seen look(struct watcher *watcher)
{
    struct seen seen = {0};
    struct region *region = &watcher->region;
    for (uint32_t node = 0; node < 4; node++) {
        struct node_read_shared *line = region_node_read(region, node);
        seen.position[node] = mem_observe_u64(&region->mem, &line->read_position);
        seen.synced[node] = mem_observe_u64(&region->mem, &line->store_synced);
    }
    for (uint32_t segment = 0; segment < region->areas.segments; segment++)
        seen.retired += region_segment_generation(region, segment) / 2;
    return seen;
}

/* Nothing more comes: all nodes stand at one position, and no store moves any further. */
static bool has_settled(void *arg)
{
    struct watcher *watcher = arg;
    struct seen seen = look(watcher);
    bool same = memcmp(&seen, &watcher->last, sizeof seen) == 0;
    watcher->last = seen;
    watcher->unchanged = same ? watcher->unchanged + 1 : 0;
    for (uint32_t node = 1; node < 4; node++)
        if (seen.position[node] != seen.position[0])
            return false;
    return watcher->unchanged >= 100;
}

static bool sequencer_has_stopped(void *arg)
{
    struct rig *rig = arg;
    return rack_failure(rig->rack, NULL) == EMB_ERR_STALE_EPOCH;
}

static void count_result(void *arg, const struct emb_result *result)
{
    struct flag *acked = arg;
    if (result->code == EMB_OK)
        flag_store_release(acked, flag_load_acquire(acked) + result->count);
}

static struct emb_publisher *open_publisher(struct rig *rig, int acks, struct flag *acked)
{
    struct emb_publisher_options options;
    struct emb_publisher *publisher;
    emb_publisher_options_init(&options);
    options.acks = acks;
    options.on_result = count_result;
    options.arg = acked;
    ASSERT_CODE(emb_publisher_open(rig->client, TOPIC, &options, &publisher, NULL), EMB_OK);
    return publisher;
}

/* Enough single batches that the sequencer, whose segments hold eight entries, must look. */
static void publish_until_stopped(struct rig *rig, struct emb_publisher *publisher)
{
    struct emb_message message = {.value = "late", .value_bytes = 4};
    for (int i = 0; i < 64 && !sequencer_has_stopped(rig); i++) {
        ASSERT_CODE(emb_publish(publisher, &message, 0, 1000, NULL), EMB_OK);
        emb_publisher_flush(publisher, 2, NULL);
    }
}

static void a_higher_epoch_ends_every_act(void **state)
{
    struct rig *rig = *state;
    struct watcher watcher = {0};
    struct flag acked;
    flag_init(&acked, 0);
    rig_start(rig);
    rig_topic(rig, TOPIC, EMB_ORDER_CLIENT, 2);
    watch(rig, &watcher);
    struct emb_publisher *publisher = open_publisher(rig, EMB_ACKS_ORDERED, &acked);
    struct emb_subscriber_options reading;
    struct emb_subscriber *subscriber;
    emb_subscriber_options_init(&reading);
    reading.level = EMB_LEVEL_LATEST;
    ASSERT_CODE(emb_subscriber_open(rig->client, TOPIC, &reading, &subscriber, NULL), EMB_OK);
    struct emb_message message = {.value = "early", .value_bytes = 5}, read;
    ASSERT_CODE(emb_publish_wait(publisher, &message, rig_patience_ms(), NULL, NULL), EMB_OK);
    assert_int_equal(emb_subscriber_next(subscriber, &read, rig_patience_ms(), NULL), 1);
    rig_wait_until(has_settled, &watcher, "nodes and stores to stand still");

    struct seen before = look(&watcher);
    uint64_t acked_before = flag_load_acquire(&acked);
    struct epoch_view higher = {.epoch = 99, .sequencer = 31, .workspace = 9, .slot = 9};
    region_epoch_publish(&watcher.region, &higher);
    publish_until_stopped(rig, publisher);
    rig_wait_until(sequencer_has_stopped, rig, "the sequencer to stop for good");

    struct seen after = look(&watcher);
    assert_memory_equal(&before, &after, sizeof before); /* not followed, stored or reused */
    assert_int_equal(flag_load_acquire(&acked), acked_before);
    assert_int_equal(emb_subscriber_next(subscriber, &read, 0, NULL), 0);
    emb_subscriber_close(subscriber);
    emb_publisher_close(publisher, 0, NULL);
    emb_client_close(rig->client, NULL);
    rig->client = NULL;
    rack_stop(rig->rack, false);
    rig->rack = NULL;
    env_map_close(watcher.map);
}

int main(void)
{
    const struct rig_case cases[] = {
        {"a_higher_epoch_ends_every_act", a_higher_epoch_ends_every_act, RIG_IN_PROCESS},
    };
    return rig_run("e2e-epoch", cases, sizeof cases / sizeof cases[0]);
}

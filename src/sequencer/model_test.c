/*
 * The sequencer with random topics, sessions, brokers, slow readers and slow stores on a tiny ring.
 * How it works: `world` plays clients, brokers and stores; the oracle (oracle_test.h) judges what
 * the sequencer makes of it. SEED=n in the environment runs one seed.
 */
#include <stdio.h>
#include <string.h>

#include "sequencer/oracle_test.h"

#define SEEDS 90
#define STEPS 1200

static bool chance(struct world *w, unsigned percent)
{
    return random_below(&w->random, 100) < percent;
}

static uint64_t below(struct world *w, uint64_t end)
{
    return random_below(&w->random, end);
}

/* ---- clients and brokers --------------------------------------------------------------------- */

static bool node_free(const struct world *w, uint32_t node)
{
    return has_slot(&w->rig, node) && w->rig.published[node] < SLOTS_MOST;
}

/* The rig has published the node's newest slot: this is what the model knows of it. */
static void note_slot(struct world *w, uint32_t node)
{
    uint64_t index = w->rig.published[node] - 1;
    struct slot *slot = &w->slots[node][index];
    *slot = (struct slot){.published_turn = w->turn};
    assert_int_equal(
        region_lane_observe(&w->rig.seat, lane_of(&w->rig, node), 1, index, &slot->entry),
        LANE_THERE);
}

static void ask(struct world *w, const struct meta_record *record)
{
    uint32_t node = (uint32_t)below(w, w->rig.nodes);
    if (!node_free(w, node))
        return;
    request(&w->rig, node, record);
    note_slot(w, node);
}

static void send(struct world *w, uint16_t topic, uint64_t session, uint64_t first, uint32_t count)
{
    uint32_t node = (uint32_t)below(w, w->rig.nodes);
    if (!node_free(w, node))
        return;
    data(&w->rig, node, topic, session, first, count);
    note_slot(w, node);
}

static void topic_step(struct world *w)
{
    static const uint8_t orders[] = {0, 1, 2, 5, 5, 5};
    struct meta_record record = {.type = META_TOPIC_CREATE, .version = 1};
    if (chance(w, 97)) {
        record.topic_create.order = orders[below(w, COUNT_OF(orders))];
        record.topic_create.replicas = w->stores ? (uint8_t)below(w, 3) : 0;
        record.topic_create.durability = chance(w, 30);
        record.topic_create.gap = record.topic_create.order == 5 && chance(w, 50);
        snprintf(record.topic_create.name, 8, "t%u", (unsigned)below(w, 40));
    } else {
        record = (struct meta_record){.type = META_TOPIC_DELETE, .version = 1};
        record.topic_delete.topic = 1 + (uint32_t)below(w, 17);
    }
    ask(w, &record);
}

static void session_step(struct world *w)
{
    struct meta_record record = {.type = META_SESSION_OPEN, .version = 1};
    record.session_open.topic = 1 + (uint32_t)below(w, 16);
    if (w->client_count && chance(w, 10)) {
        record = (struct meta_record){.type = META_SESSION_END, .version = 1};
        record.session_end.session = w->clients[below(w, (uint64_t)w->client_count)].id;
        record.session_end.reason = META_END_CLOSED;
    }
    ask(w, &record);
}

static void make_batch(struct world *w, struct client *c)
{
    if (c->todos == TODO_MOST || c->made > MESSAGES_MOST - 64)
        return;
    struct batch batch = {.first = c->made, .count = 1 + (uint32_t)below(w, 4)};
    c->made += batch.count;
    if (!chance(w, 3)) /* else it gets lost on its way: a gap for ever */
        c->todo[c->todos++] = batch;
}

/* One of the batches in flight, in any order; some twice, and now and then one cut anew. */
static void client_step(struct world *w, struct client *c)
{
    if ((c->ended || w->topics[c->topic].deleted) && chance(w, 95))
        return;
    make_batch(w, c);
    if (chance(w, 4) && c->made > 0) {
        send(w, c->topic, c->id, below(w, c->made), 1 + (uint32_t)below(w, 8));
        return;
    }
    if (c->todos == 0)
        return;
    int at = chance(w, 60) ? 0 : (int)below(w, (uint64_t)c->todos);
    struct batch batch = c->todo[at];
    send(w, c->topic, c->id, batch.first, batch.count);
    if (chance(w, 10))
        return;
    memmove(&c->todo[at], &c->todo[at + 1], (size_t)(c->todos - at - 1) * sizeof batch);
    c->todos--;
}

static void plain_step(struct world *w)
{
    uint16_t topic = (uint16_t)(1 + below(w, 16));
    if (w->topics[topic].there && w->topics[topic].order < TOPIC_ORDER_TOKEN)
        send(w, topic, NO_SESSION, NO_SEQUENCE, 1 + (uint32_t)below(w, 3));
}

/* ---- stores ---------------------------------------------------------------------------------- */

/* Publishes a word of the node's store for each chain it is a member of, as a replica does. */
static void say_done(struct world *w, uint32_t node)
{
    const struct meta_state *meta = follower_meta(w->rig.followers[node]);
    struct region *region = &w->rig.regions[node];
    for (uint32_t lane = 0; lane <= LANE_MAX; lane++) {
        const struct meta_chain *chain = &meta->lanes[lane].chain;
        uint64_t copied = w->copied[node], synced = w->synced[node];
        for (uint32_t i = 0; i < chain->count; i++) {
            struct completion_shared *line = region_completion(region, lane, chain->members[i]);
            if (chain->members[i] == node) {
                mem_publish_u64(&region->mem, &line->copied, completion_word(1, copied));
                mem_publish_u64(&region->mem, &line->synced, completion_word(1, synced));
                break;
            }
            uint64_t word = mem_observe_u64(&region->mem, &line->copied);
            copied = min_u64(copied, completion_position(word));
            word = mem_observe_u64(&region->mem, &line->synced);
            synced = min_u64(synced, completion_position(word));
        }
    }
    mem_drain(&region->mem);
}

static void store_turn(struct world *w, uint32_t node)
{
    uint64_t end = follower_position(w->rig.followers[node]);
    if (!w->stores)
        return;
    w->copied[node] += below(w, end - w->copied[node] + 1);
    if (chance(w, 50))
        w->synced[node] += below(w, w->copied[node] - w->synced[node] + 1);
    follower_set_needed(w->rig.followers[node], w->copied[node]);
    say_done(w, node);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void take_outcome(struct world *w, uint32_t node, const struct outcome *o)
{
    const struct goi_entry_shared *e = &w->log[o->position].entry;
    note_outcome(&w->rig, node, o);
    assert_int_equal(o->slot, e->pbr_index);
    assert_int_equal(o->kind, e->kind);
    assert_int_equal(o->base_offset, e->base_offset);
    struct client *c = client_of(w, o->session);
    if (o->kind == ENTRY_RETRY && c && c->todos < TODO_MOST && !chance(w, 10))
        c->todo[c->todos++] = (struct batch){o->client_sequence, o->message_count};
}

static void world_turn(struct world *w, uint64_t step_ns)
{
    w->turn++;
    w->rig.now_ns += step_ns;
    sequencer_do_work(w->rig.sequencer, w->rig.now_ns);
    check_log(w);
    for (uint32_t node = 0; node < w->rig.nodes; node++) {
        struct outcome outcome;
        if (w->slow[node] && !chance(w, 3))
            continue;
        turn_follower(&w->rig, node);
        while (follower_outcome_take(w->rig.followers[node], &outcome))
            take_outcome(w, node, &outcome);
        check_durable(w, node);
        store_turn(w, node);
        if (follower_position(w->rig.followers[node]) == w->checked)
            check_state(w, follower_meta(w->rig.followers[node]));
    }
}

/* A broker is short of space: held slots below some index stand in its way. */
static void want_back(struct world *w, uint32_t node)
{
    uint64_t open = w->rig.published[node] - w->rig.released[node];
    uint64_t index = w->rig.released[node] + below(w, open + 1);
    if (index <= w->retry_below[node])
        return;
    w->retry_below[node] = index;
    region_retry_below_publish(&w->rig.regions[node], lane_of(&w->rig, node), index);
}

static void world_step(struct world *w)
{
    static const uint64_t steps_ns[] = {0, 20000, 200000, MS};
    for (uint64_t i = below(w, 12); i > 0; i--) {
        if (w->client_count && chance(w, 75)) {
            uint64_t newest = min_u64((uint64_t)w->client_count, 12);
            client_step(w, &w->clients[(uint64_t)w->client_count - 1 - below(w, newest)]);
        } else if (chance(w, 60)) {
            plain_step(w);
        } else if (chance(w, 20)) {
            topic_step(w);
        } else if (w->client_count < SESSIONS_MOST - 32) {
            session_step(w);
        }
    }
    uint32_t node = (uint32_t)below(w, w->rig.nodes);
    if (chance(w, w->slow[node] ? 1 : 2))
        w->slow[node] = !w->slow[node];
    if (chance(w, 2))
        want_back(w, node);
    world_turn(w, steps_ns[below(w, COUNT_OF(steps_ns))]);
    if (w->turn % 16 == 0)
        check_checkpoint(w);
}

/* Readers read on and clients are silent: gaps grow old, and every slot gets its outcome. */
static void drain(struct world *w)
{
    memset(w->slow, 0, sizeof w->slow);
    for (int i = 0; i < 200; i++)
        world_turn(w, MS);
    for (uint32_t node = 0; node < w->rig.nodes; node++)
        assert_int_equal(w->rig.released[node], w->rig.published[node]);
    assert_int_equal(counters_of(&w->rig).held_now, 0);
    check_checkpoint(w);
}

static void run(struct world *w, uint64_t seed, struct sequencer_counters *sum)
{
    memset(w, 0, sizeof *w);
    random_seed(&w->random, seed);
    struct geometry g = geometry_tiny();
    g.region_bytes = 3 << 20;
    g.lane_slots = 8u << seed % 4;
    g.segment_bytes = 16 << 10; /* the sequencer's own META goes round, too */
    struct sequencer_options options = {.fence_timeout_ns = FENCE_NS, .skip_timeout_ns = SKIP_NS};
    w->stores = seed % 3 == 0;
    if (w->stores) {
        options.chain_length = 2;
        options.stores_expected = NODES_MOST;
    }
    begin_with(&w->rig, &g, seed % 2 ? MEM_SOFTWARE : MEM_HARDWARE, NODES_MOST, options);
    for (uint32_t node = 0; w->stores && node < w->rig.nodes; node++) {
        follower_set_needed(w->rig.followers[node], 0);
        ask_admission(&w->rig, node, ROLE_BROKER | ROLE_REPLICA);
    }
    for (int i = 0; i < 10; i++)
        world_turn(w, MS);
    for (int i = 0; i < STEPS; i++)
        world_step(w);
    drain(w);
    struct sequencer_counters c = counters_of(&w->rig);
    const uint64_t *from = &c.passes;
    for (size_t i = 0; i < sizeof c / sizeof *from; i++)
        (&sum->passes)[i] += from[i];
    end(&w->rig);
}

static void the_log_is_what_the_model_says(void **state)
{
    struct world *w = malloc(sizeof *w);
    struct sequencer_counters sum = {0};
    const char *only = getenv("SEED");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        if (only && seed != strtoull(only, NULL, 10))
            continue;
        print_message("seed %llu\n", (unsigned long long)seed);
        run(w, seed, &sum);
    }
    free(w);
    print_message("%llu entries: %llu data, %llu nop, %llu rejected, %llu retry, %llu skip, %llu "
                  "fences, %llu released, %llu waited, %llu checkpoints\n",
                  (unsigned long long)sum.committed, (unsigned long long)sum.data,
                  (unsigned long long)sum.nop, (unsigned long long)sum.rejected,
                  (unsigned long long)sum.retry, (unsigned long long)sum.skip,
                  (unsigned long long)sum.fences, (unsigned long long)sum.released,
                  (unsigned long long)sum.waited, (unsigned long long)sum.checkpoints);
    assert_true(sum.nop && sum.rejected && sum.retry && sum.skip && sum.fences);
    assert_true(sum.released && sum.waited && sum.checkpoints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_log_is_what_the_model_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

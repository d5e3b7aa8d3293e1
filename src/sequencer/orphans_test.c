/* Nodes that leave their segments behind, and who gets them: the sequencer with real BLogs. */
#include <string.h>

#include "base/random.h"
#include "region/blog.h"
#include "sequencer/rig_test.h"

#define LEAVER 1
#define JOINER 2
#define POOL   15 /* the rest is the rig's own */
#define SPARE  4

struct owner {
    struct segment_source source;
    struct blog blog;
    bool open;
    uint64_t incarnation;
};

struct pool {
    struct rig rig;
    struct segment_source all;
    struct owner owners[NODES_MOST];
    uint16_t topic;
};

static struct geometry geometry_of(uint32_t segments, uint32_t segment_bytes)
{
    struct geometry g = geometry_tiny();
    struct region_areas areas = {0};
    g.segment_bytes = segment_bytes;
    g.region_bytes = 1 << 20;
    while (region_areas_compute(&g, &areas), areas.segments < segments)
        g.region_bytes += g.segment_bytes;
    return g;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static const struct meta_lane *granted(struct pool *p, uint32_t node)
{
    return &follower_meta(p->rig.followers[0])->lanes[lane_of(&p->rig, node)];
}

static void open_blog(struct pool *p, uint32_t node)
{
    struct owner *owner = &p->owners[node];
    struct region *region = &p->rig.regions[node];
    segment_source_shared(&owner->source, region);
    assert_int_equal(
        blog_init(&owner->blog, region, &owner->source, node, lane_of(&p->rig, node), POOL),
        EMB_OK);
    owner->open = true;
}

/* A new process of the node. */
static void come(struct pool *p, uint32_t node)
{
    struct rig *rig = &p->rig;
    uint64_t incarnation = ++p->owners[node].incarnation;
    struct follower_options options = {
        .region = &rig->regions[node], .node = node, .incarnation = incarnation};
    struct node_request_shared ask = {
        .incarnation = incarnation, .roles = ROLE_BROKER, .lanes_wanted = 1, .port = 1};
    follower_destroy(rig->followers[node]);
    assert_int_equal(follower_create(&options, &rig->followers[node], NULL), EMB_OK);
    region_node_request_publish(&rig->regions[node], node, &ask);
    mem_drain(&rig->regions[node].mem);
    rig->nodes = node >= rig->nodes ? node + 1 : rig->nodes;
    for (int i = 0; i < 400 && !follower_is_current(rig->followers[node]); i++)
        turn(rig);
    assert_true(follower_is_current(rig->followers[node]));
    rig->published[node] = rig->released[node] = granted(p, node)->start;
    open_blog(p, node);
    assert_int_equal(blog_adopt(&p->owners[node].blog, granted(p, node)->granted_position), EMB_OK);
}

static void leave(struct pool *p, uint32_t node)
{
    struct rig *rig = &p->rig;
    struct meta_record record = {.type = META_NODE_LEAVE, .version = 1};
    record.leave.node = node;
    record.leave.incarnation = p->owners[node].incarnation;
    record.leave.lane_ends[0] = rig->published[node] + 1;
    request(rig, node, &record);
    turn(rig);
    assert_false(follower_meta(rig->followers[0])->nodes[node].live);
    rig->released[node] = rig->published[node];
    blog_free(&p->owners[node].blog);
    p->owners[node].open = false;
}

static void reclaim(struct pool *p, uint32_t node)
{
    struct follower *follower = p->rig.followers[node];
    struct blog_horizon horizon = {.kept = follower_kept(follower),
                                   .live_nodes = follower_live_nodes(follower)};
    blog_reclaim(&p->owners[node].blog, &horizon);
}

/* A batch that takes a whole segment; false: there is none. */
static bool fill_one(struct pool *p, uint32_t node, struct goi_entry_shared *entry, uint64_t *at)
{
    struct rig *rig = &p->rig;
    struct blog *blog = &p->owners[node].blog;
    struct blog_space space;
    if (!blog_reserve(blog, blog_batch_max(blog), &space))
        return false;
    memset(space.bytes, 'a' + (int)node, 100);
    blog_published(blog, &space, rig->published[node]);
    publish(rig, node,
            (struct pbr_entry_shared){.kind = ENTRY_DATA,
                                      .payload = payload_word(space.address, 100),
                                      .session = NO_SESSION,
                                      .client_sequence = NO_SEQUENCE,
                                      .topic = p->topic,
                                      .message_count = 1});
    turn(rig);
    assert_int_equal(rig->last.kind, ENTRY_DATA);
    blog_outcome(blog, space.held, rig->last.position);
    if (at)
        *at = rig->last.position;
    return !entry || follower_entry(rig->followers[0], rig->last.position, entry, NULL) == EMB_OK;
}

static void fill_all(struct pool *p, uint32_t node)
{
    while (fill_one(p, node, NULL, NULL))
        continue;
}

/* ---- the memory ------------------------------------------------------------------------------ */

static struct segment_shared line_of(struct pool *p, uint32_t segment)
{
    struct segment_shared line;
    bool used = region_segment_observe(&p->rig.seat, segment, &line);
    return used ? line : (struct segment_shared){.owner = NODE_MAX, .lane = LANE_NONE};
}

static bool is_taken(struct pool *p, uint32_t segment)
{
    struct region *region = &p->rig.seat;
    const struct pub_u64 *words = (void *)(region->base + region->areas.segment_bitmap);
    return mem_observe_u64(&region->mem, &words[segment / 64]) >> segment % 64 & 1;
}

static uint32_t count_free(struct pool *p)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < POOL; i++)
        count += !is_taken(p, i);
    assert_int_equal(count, segment_source_free(&p->all, UINT32_MAX));
    return count;
}

static uint32_t count_owned(struct pool *p, uint32_t node, bool living)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < POOL; i++) {
        struct segment_shared line = line_of(p, i);
        count += line.owner == node && line.lane != LANE_SEQUENCER &&
                 segment_is_living(line.generation) == living;
    }
    return count;
}

/* What the BLogs think they have is disjoint, says so in its line, and is taken; what is taken
   names its owner. */
static void assert_consistent(struct pool *p)
{
    bool owned[POOL] = {false};
    for (uint32_t node = 0; node < NODES_MOST; node++) {
        const struct owner *owner = &p->owners[node];
        for (uint32_t i = 0; owner->open && i < owner->blog.place_count; i++) {
            const struct blog_segment *place = &owner->blog.places[i];
            if (place->state == BLOG_EMPTY)
                continue;
            struct segment_shared line = line_of(p, place->segment);
            assert_int_equal(line.owner, node);
            assert_int_equal(line.generation, place->generation);
            assert_false(owned[place->segment]);
            owned[place->segment] = true;
        }
    }
    for (uint32_t i = 0; i < POOL; i++)
        assert_int_equal(is_taken(p, i), line_of(p, i).owner != NODE_MAX);
}

static void begin_pool_with(struct pool *p, struct sequencer_options options, uint32_t roles)
{
    struct geometry g = geometry_of(24, 64 << 10);
    *p = (struct pool){.topic = 0};
    begin_with(&p->rig, &g, MEM_HARDWARE, 2, options);
    ask_admission(&p->rig, 0, roles);
    assert_int_equal(p->rig.seat.areas.segments, 24);
    uint64_t bytes = g.region_bytes;
    assert_int_equal(
        region_attach(&p->rig.regions[JOINER], p->rig.memory, bytes, MEM_WRITEBACK_AUTO, NULL),
        EMB_OK);
    segment_source_shared(&p->all, &p->rig.seat);
    for (uint32_t i = POOL; i < 24; i++)
        segment_source_claim(&p->all, i);
    turns(&p->rig, 6);
    p->topic = create_topic(&p->rig, "t", TOPIC_ORDER_TOTAL, TOPIC_GAP_FENCE);
    for (uint32_t node = 0; node < 2; node++) {
        p->owners[node].incarnation = 7; /* of the rig */
        open_blog(p, node);
    }
    assert_consistent(p);
}

static void begin_pool(struct pool *p)
{
    begin_pool_with(p, (struct sequencer_options){0}, ROLE_BROKER);
}

static void end_pool(struct pool *p)
{
    assert_consistent(p);
    for (uint32_t node = 0; node < NODES_MOST; node++)
        if (p->owners[node].open)
            blog_free(&p->owners[node].blog);
    end(&p->rig);
}

/* ---- what becomes of them -------------------------------------------------------------------- */

static uint32_t count_of_sequencer(struct pool *p)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < POOL; i++)
        count += line_of(p, i).owner == LEAVER && line_of(p, i).lane == LANE_SEQUENCER;
    return count;
}

/* All of it, but what the sequencer itself holds, here by the same number. */
static void a_newcomer_gets_what_was_left(void **state)
{
    struct pool p;
    begin_pool_with(&p, (struct sequencer_options){.node = LEAVER}, ROLE_BROKER);
    uint32_t of_sequencer = count_of_sequencer(&p);
    assert_true(of_sequencer > 0);
    fill_all(&p, LEAVER);
    assert_int_equal(count_free(&p), 0);
    leave(&p, LEAVER);
    come(&p, JOINER);
    while (count_owned(&p, JOINER, true) < POOL - of_sequencer) {
        assert_true(fill_one(&p, JOINER, NULL, NULL));
        assert_consistent(&p);
    }
    turns(&p.rig, 5);
    assert_int_equal(count_of_sequencer(&p), of_sequencer);
    end_pool(&p);
}

static void history_stays_while_there_is_room(void **state)
{
    struct pool p;
    struct goi_entry_shared entry[8];
    uint64_t at[8];
    begin_pool(&p);
    for (int i = 0; i < 8; i++)
        assert_true(fill_one(&p, LEAVER, &entry[i], &at[i]));
    leave(&p, LEAVER);
    assert_true(count_free(&p) > SPARE);
    turns(&p.rig, 50);
    assert_int_equal(count_owned(&p, LEAVER, true), 8);
    struct follower *reader = p.rig.followers[0];
    for (int i = 0; i < 8; i++) {
        follower_reading(reader, at[i]);
        assert_true(follower_payload_stands(reader, at[i], &entry[i]));
        assert_int_equal(follower_payload(reader, &entry[i])[99], 'a' + LEAVER);
    }
    follower_reading(reader, NO_POSITION);
    /* No more than what others take, one by one. */
    while (count_free(&p) > SPARE)
        assert_true(fill_one(&p, 0, NULL, NULL));
    for (uint32_t left = 8; left-- > 0;) {
        assert_true(fill_one(&p, 0, NULL, NULL));
        turn(&p.rig);
        assert_int_equal(count_free(&p), SPARE);
        assert_int_equal(count_owned(&p, LEAVER, true), left);
        assert_consistent(&p);
    }
    end_pool(&p);
}

/* Until the pool is short of `lacks` segments: nothing may be given back meanwhile. */
static void fill_until_short(struct pool *p, uint32_t lacks)
{
    while (count_free(p) > SPARE - lacks)
        assert_true(fill_one(p, 0, NULL, NULL));
}

static void a_reader_holds_what_it_pinned(void **state)
{
    struct pool p;
    struct goi_entry_shared entry;
    uint64_t at;
    begin_pool(&p);
    for (int i = 0; i < 6; i++)
        assert_true(fill_one(&p, LEAVER, &entry, &at));
    leave(&p, LEAVER);
    struct follower *reader = p.rig.followers[0];
    follower_reading(reader, at);
    assert_true(follower_payload_stands(reader, at, &entry));
    fill_until_short(&p, 2);
    turns(&p.rig, 20);
    assert_int_equal(count_free(&p), SPARE - 2);
    assert_int_equal(count_owned(&p, LEAVER, false), 2); /* wait for it; no more than is lacking */
    assert_int_equal(count_owned(&p, LEAVER, true), 4);
    assert_int_equal(follower_payload(reader, &entry)[99], 'a' + LEAVER);
    assert_consistent(&p);
    follower_reading(reader, NO_POSITION);
    turns(&p.rig, 2);
    assert_int_equal(count_free(&p), SPARE);
    assert_int_equal(count_owned(&p, LEAVER, false), 0);
    assert_int_equal(count_owned(&p, LEAVER, true), 4);
    end_pool(&p);
}

/* Retired and waiting for an earlier reader, it takes in no new ones: no row of readers keeps it
   for ever. */
static void who_comes_too_late_finds_it_retired(void **state)
{
    struct pool p;
    struct goi_entry_shared entry;
    uint64_t at;
    begin_pool(&p);
    assert_true(fill_one(&p, LEAVER, &entry, &at));
    leave(&p, LEAVER);
    struct follower *reader = p.rig.followers[0];
    follower_reading(reader, at);
    fill_until_short(&p, 2);
    turns(&p.rig, 3);
    assert_false(follower_payload_stands(reader, at, &entry));
    follower_reading(reader, NO_POSITION);
    end_pool(&p);
}

static void a_slow_node_holds_what_it_needs(void **state)
{
    struct pool p;
    begin_pool(&p);
    for (int i = 0; i < 6; i++)
        assert_true(fill_one(&p, LEAVER, NULL, NULL));
    struct follower *slow = p.rig.followers[0];
    follower_set_needed(slow, follower_position(slow)); /* its replica has copied as far */
    leave(&p, LEAVER);
    fill_until_short(&p, 3);
    turns(&p.rig, 20);
    assert_int_equal(count_free(&p), SPARE - 3);
    assert_int_equal(count_owned(&p, LEAVER, false), 3);
    follower_set_needed(slow, NO_POSITION);
    turns(&p.rig, 2);
    assert_int_equal(count_free(&p), SPARE);
    end_pool(&p);
}

/* The node's replica has it on its disk. */
static void say_synced(struct pool *p, uint32_t lane)
{
    uint64_t word = completion_word(1, follower_position(p->rig.followers[0]));
    struct completion_shared *line = region_completion(&p->rig.regions[0], lane, 0);
    mem_publish_u64(&p->rig.regions[0].mem, &line->copied, word);
    mem_publish_u64(&p->rig.regions[0].mem, &line->synced, word);
}

/* Its leave stands on no disk yet. */
static void what_is_not_kept_is_not_touched(void **state)
{
    struct pool p;
    begin_pool_with(&p, (struct sequencer_options){.chain_length = 1, .stores_expected = 1},
                    ROLE_BROKER | ROLE_REPLICA);
    fill_all(&p, LEAVER);
    uint32_t owned = count_owned(&p, LEAVER, true), lane = lane_of(&p.rig, LEAVER);
    leave(&p, LEAVER);
    turns(&p.rig, 20);
    assert_int_equal(count_owned(&p, LEAVER, true), owned);
    assert_int_equal(count_free(&p), 0);
    say_synced(&p, lane_of(&p.rig, 0));
    say_synced(&p, lane);
    say_synced(&p, LANE_SEQUENCER);
    turns(&p.rig, 3);
    assert_int_equal(count_free(&p), SPARE);
    end_pool(&p);
}

static void who_comes_back_in_the_middle_has_the_rest(void **state)
{
    struct pool p;
    struct goi_entry_shared entry;
    uint64_t at;
    begin_pool(&p);
    for (int i = 0; i < 7; i++)
        assert_true(fill_one(&p, LEAVER, &entry, &at));
    leave(&p, LEAVER);
    fill_until_short(&p, 0);
    assert_true(fill_one(&p, 0, NULL, NULL));
    turns(&p.rig, 2);
    assert_int_equal(count_owned(&p, LEAVER, true), 6); /* one went */
    struct follower *reader = p.rig.followers[0];
    follower_reading(reader, at);
    fill_until_short(&p, 3);
    turns(&p.rig, 2);
    assert_int_equal(count_owned(&p, LEAVER, true), 3);
    assert_int_equal(count_owned(&p, LEAVER, false), 3); /* three wait */
    come(&p, LEAVER);
    assert_int_equal(p.owners[LEAVER].blog.owned, 6);
    assert_consistent(&p);
    follower_reading(reader, NO_POSITION); /* nobody holds them any more, but they have an owner */
    turns(&p.rig, 20);
    assert_int_equal(count_owned(&p, LEAVER, true), 3);
    assert_int_equal(count_owned(&p, LEAVER, false), 3);
    assert_consistent(&p);
    reclaim(&p, LEAVER);
    for (int i = 0; i < 4; i++)
        assert_true(fill_one(&p, LEAVER, NULL, NULL));
    assert_consistent(&p);
    leave(&p, LEAVER);
    turns(&p.rig, 3); /* and it is gone through from the beginning */
    assert_int_equal(count_free(&p), SPARE);
    end_pool(&p);
}

/* It takes anew what had been given back for it, and leaves again. */
static void who_leaves_again_leaves_all_again(void **state)
{
    struct pool p;
    begin_pool(&p);
    for (int i = 0; i < 3; i++)
        assert_true(fill_one(&p, LEAVER, NULL, NULL));
    leave(&p, LEAVER);
    fill_until_short(&p, 0);
    assert_true(fill_one(&p, 0, NULL, NULL));
    turns(&p.rig, 2);
    assert_int_equal(count_owned(&p, LEAVER, true), 2);
    come(&p, LEAVER);
    assert_true(fill_one(&p, LEAVER, NULL, NULL));
    assert_int_equal(count_owned(&p, LEAVER, true), 3);
    leave(&p, LEAVER);
    while (fill_one(&p, 0, NULL, NULL))
        turn(&p.rig);
    assert_int_equal(count_owned(&p, LEAVER, true) + count_owned(&p, LEAVER, false), 0);
    end_pool(&p);
}

/* The one that left first, at the lowest position, gives first. */
static void the_first_to_leave_gives_first(void **state)
{
    struct pool p;
    begin_pool(&p);
    come(&p, JOINER);
    for (int i = 0; i < 2; i++) {
        assert_true(fill_one(&p, LEAVER, NULL, NULL));
        assert_true(fill_one(&p, JOINER, NULL, NULL));
    }
    leave(&p, JOINER);
    leave(&p, LEAVER);
    fill_until_short(&p, 0);
    for (uint32_t i = 1; i <= 4; i++) {
        assert_true(fill_one(&p, 0, NULL, NULL));
        turns(&p.rig, 3);
        assert_int_equal(count_owned(&p, JOINER, true), i < 2 ? 2 - i : 0);
        assert_int_equal(count_owned(&p, LEAVER, true), i < 2 ? 2 : 4 - i);
    }
    end_pool(&p);
}

/* A large table: what is far from its beginning is found, some hundred lines in a pass. */
static void the_table_is_gone_through_in_slices(void **state)
{
    struct pool p = {.topic = 0};
    struct geometry g = geometry_of(3000, 4096);
    begin_with(&p.rig, &g, MEM_HARDWARE, 2, (struct sequencer_options){0});
    turns(&p.rig, 6);
    segment_source_shared(&p.all, &p.rig.seat);
    uint32_t segments = p.rig.seat.areas.segments, far = segments - 7;
    for (uint32_t i = 0; i < segments; i++)
        segment_source_claim(&p.all, i);
    region_segment_publish(&p.rig.regions[LEAVER], far, 5, LEAVER, 0);
    p.owners[LEAVER].incarnation = 7;
    leave(&p, LEAVER);
    turns(&p.rig, 2);
    assert_true(is_taken(&p, far));
    turns(&p.rig, (int)segments / 512);
    assert_false(is_taken(&p, far));
    assert_int_equal(segment_source_free(&p.all, UINT32_MAX), 1);
    assert_int_equal(line_of(&p, far).owner, NODE_MAX);
    assert_int_equal(line_of(&p, far).generation, 6);
    end(&p.rig);
}

/* A node's own part stays its own. */
static void partitions_are_left_alone(void **state)
{
    struct pool p = {.topic = 0};
    struct geometry g = geometry_of(24, 64 << 10);
    begin_with(&p.rig, &g, MEM_SOFTWARE, 2, (struct sequencer_options){0});
    turns(&p.rig, 6);
    for (uint32_t i = 0; i < POOL; i++)
        region_segment_publish(&p.rig.regions[LEAVER], i, 1, LEAVER, 1);
    mem_drain(&p.rig.regions[LEAVER].mem);
    p.owners[LEAVER].incarnation = 7;
    leave(&p, LEAVER);
    turns(&p.rig, 20);
    assert_int_equal(count_owned(&p, LEAVER, true), POOL);
    end(&p.rig);
}

/* One that was overtaken writes nothing: that leave may never have been. */
static void an_overtaken_sequencer_touches_nothing(void **state)
{
    struct pool p;
    begin_pool(&p);
    fill_all(&p, LEAVER);
    uint32_t owned = count_owned(&p, LEAVER, true);
    leave(&p, LEAVER);
    struct epoch_view higher = {.epoch = 2, .slot = 2, .sequencer = 1, .workspace = 1};
    region_epoch_publish(&p.rig.regions[0], &higher);
    for (int i = 0; i < 5; i++)
        sequencer_do_work(p.rig.sequencer, p.rig.now_ns += MS);
    assert_int_equal(sequencer_failure(p.rig.sequencer, NULL), EMB_ERR_STALE_EPOCH);
    assert_int_equal(count_owned(&p, LEAVER, true), owned);
    end_pool(&p);
}

/* ---- by chance ------------------------------------------------------------------------------- */

static void act_by_chance(struct pool *p, struct random_state *random)
{
    uint32_t node = (uint32_t)random_below(random, NODES_MOST);
    struct owner *owner = &p->owners[node];
    struct follower *reader = p->rig.followers[0];
    uint64_t end = follower_position(reader);
    switch (random_below(random, 12)) {
    case 0:
        if (node && owner->open)
            leave(p, node);
        break;
    case 1:
    case 2:
        if (!owner->open)
            come(p, node);
        break;
    case 3:
        follower_reading(reader, end - random_below(random, 10));
        break;
    case 4:
    case 5:
        follower_reading(reader, NO_POSITION);
        break;
    default:
        if (!owner->open)
            break;
        reclaim(p, node);
        fill_one(p, node, NULL, NULL);
    }
}

static void no_segment_ever_has_two_owners(void **state)
{
    uint64_t given = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct pool p;
        struct random_state random;
        random_seed(&random, seed);
        begin_pool(&p);
        for (int i = 0; i < 400; i++) {
            act_by_chance(&p, &random);
            turn(&p.rig);
            assert_consistent(&p);
        }
        given += counters_of(&p.rig).orphans;
        end_pool(&p);
    }
    assert_true(given > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_newcomer_gets_what_was_left),
        cmocka_unit_test(history_stays_while_there_is_room),
        cmocka_unit_test(a_reader_holds_what_it_pinned),
        cmocka_unit_test(who_comes_too_late_finds_it_retired),
        cmocka_unit_test(a_slow_node_holds_what_it_needs),
        cmocka_unit_test(what_is_not_kept_is_not_touched),
        cmocka_unit_test(who_comes_back_in_the_middle_has_the_rest),
        cmocka_unit_test(who_leaves_again_leaves_all_again),
        cmocka_unit_test(the_first_to_leave_gives_first),
        cmocka_unit_test(the_table_is_gone_through_in_slices),
        cmocka_unit_test(partitions_are_left_alone),
        cmocka_unit_test(an_overtaken_sequencer_touches_nothing),
        cmocka_unit_test(no_segment_ever_has_two_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

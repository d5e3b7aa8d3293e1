#include "cluster/elector.h"
#include "cluster/rig_test.h"

#define NODE 2

static int campaign_of(struct rig *rig, uint32_t node, struct epoch_view *view, struct error *err)
{
    struct elector *elector;
    struct elector_fixed_options options = {
        .region = &rig->region, .node = node, .sequencer = NODE};
    assert_int_equal(elector_fixed_create(&options, &elector, err), EMB_OK);
    assert_string_equal(elector->kind->name, "fixed");
    int result = elector_campaign(elector, 0, view, err);
    elector_destroy(elector);
    return result;
}

static void publish(struct rig *rig, uint64_t epoch, uint32_t node, uint32_t workspace)
{
    struct epoch_view view = {.epoch = epoch,
                              .sequencer = node,
                              .workspace = workspace,
                              .slot = (uint32_t)(epoch % EPOCH_SLOT_COUNT)};
    region_epoch_publish(&rig->region, &view);
}

static void the_first_epoch_is_one_and_published(void **state)
{
    struct rig *rig = *state;
    struct epoch_view granted, seen;
    assert_int_equal(campaign_of(rig, NODE, &granted, NULL), EMB_OK);
    assert_int_equal(granted.epoch, 1);
    assert_int_equal(granted.sequencer, NODE);
    assert_int_equal(granted.slot, 1);
    assert_int_equal(granted.workspace, 1);
    region_epoch_look(&rig->region, &seen);
    assert_int_equal(seen.epoch, 1);
    assert_int_equal(seen.sequencer, NODE);
    assert_int_equal(seen.workspace, 1);
    assert_int_equal(seen.slot, 1);
    assert_true(region_epoch_is(&rig->region, 1));
}

static void each_grant_is_above_all_before_and_ends_them(void **state)
{
    struct rig *rig = *state;
    struct epoch_view granted;
    for (uint64_t epoch = 1; epoch <= 40; epoch++) {
        rig_attach(rig); /* as after a restart: no floor is remembered */
        assert_int_equal(campaign_of(rig, NODE, &granted, NULL), EMB_OK);
        assert_int_equal(granted.epoch, epoch);
        assert_int_equal(granted.slot, epoch % EPOCH_SLOT_COUNT);
        assert_int_equal(granted.workspace, epoch % WORKSPACE_COUNT);
        assert_true(region_epoch_is(&rig->region, epoch));
        assert_false(region_epoch_is(&rig->region, epoch - 1));
    }
}

static void other_nodes_are_granted_nothing(void **state)
{
    struct rig *rig = *state;
    struct epoch_view granted;
    struct error err;
    assert_int_equal(campaign_of(rig, NODE + 1, &granted, &err), EMB_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "node 3"));
    assert_non_null(strstr(err.text, "node 2"));
    region_epoch_look(&rig->region, &granted);
    assert_int_equal(granted.epoch, 0);
}

static void ask(struct rig *rig, uint32_t node, uint32_t roles)
{
    struct node_request_shared request = {
        .incarnation = 7, .roles = roles, .host = "elsewhere", .port = 9651};
    region_node_request_publish(&rig->region, node, &request);
    mem_drain(&rig->region.mem);
}

/* Each of the two asks before it looks, so that at least one finds the other. */
static void who_is_not_alone_with_the_role_is_granted_nothing(void **state)
{
    struct rig *rig = *state;
    struct epoch_view granted;
    struct error err;
    ask(rig, NODE, ROLE_BROKER | ROLE_SEQUENCER);
    ask(rig, 0, ROLE_BROKER | ROLE_REPLICA | ROLE_STANDBY);
    ask(rig, 7, ROLE_BROKER | ROLE_SEQUENCER);
    assert_int_equal(campaign_of(rig, NODE, &granted, &err), EMB_ERR_EXISTS);
    assert_non_null(strstr(err.text, "node 7"));
    assert_non_null(strstr(err.text, "elsewhere:9651"));
    region_epoch_look(&rig->region, &granted);
    assert_int_equal(granted.epoch, 0);
    ask(rig, 7, 0); /* it has taken its request back */
    assert_int_equal(campaign_of(rig, NODE, &granted, &err), EMB_OK);
}

static void floors_that_nodes_have_seen_count(void **state)
{
    struct rig *rig = *state;
    struct epoch_view granted;
    mem_publish_u64(&rig->region.mem, &region_node_beat(&rig->region, 9)->epoch_floor, 70);
    mem_drain(&rig->region.mem);
    assert_int_equal(campaign_of(rig, NODE, &granted, NULL), EMB_OK);
    assert_int_equal(granted.epoch, 71);
    rig->region.epoch_floor = 99;
    assert_int_equal(campaign_of(rig, NODE, &granted, NULL), EMB_OK);
    assert_int_equal(granted.epoch, 100);
}

static void what_another_node_was_granted_is_not_taken(void **state)
{
    struct rig *rig = *state;
    struct epoch_view granted;
    publish(rig, 5, 0, 5);  /* slot 5 and workspace 5 are node 0's */
    publish(rig, 20, 0, 6); /* slot 4 and workspace 6 */
    assert_int_equal(campaign_of(rig, NODE, &granted, NULL), EMB_OK);
    assert_int_equal(granted.epoch, 23);
    assert_int_equal(granted.slot, 7);
    assert_int_equal(granted.workspace, 7);
}

static void the_predecessors_workspace_is_not_taken(void **state)
{
    struct rig *rig = *state;
    struct epoch_view granted;
    publish(rig, 3, NODE, 4);
    assert_int_equal(campaign_of(rig, NODE, &granted, NULL), EMB_OK);
    assert_int_equal(granted.epoch, 5);
    assert_int_equal(granted.workspace, 5);
}

static void without_a_free_slot_nothing_is_granted(void **state)
{
    struct rig *rig = *state;
    struct epoch_view granted;
    struct error err;
    for (uint64_t epoch = 1; epoch <= EPOCH_SLOT_COUNT; epoch++)
        publish(rig, epoch, 0, (uint32_t)(epoch % WORKSPACE_COUNT));
    assert_int_equal(campaign_of(rig, NODE, &granted, &err), EMB_ERR_LIMIT);
    assert_non_null(strstr(err.text, "node 0"));
    region_epoch_look(&rig->region, &granted);
    assert_int_equal(granted.epoch, EPOCH_SLOT_COUNT);
    assert_int_equal(granted.sequencer, 0);
}

static void a_damaged_slot_holds_nothing_up(void **state)
{
    struct rig *rig = *state;
    struct epoch_view granted;
    struct epoch_slot_shared line = {.epoch = 900, .sequencer = 0, .workspace = 1, .crc = 1};
    mem_publish_line(&rig->region.mem, rig->region.base + rig->region.areas.epoch_slots + 64,
                     &line);
    mem_drain(&rig->region.mem);
    assert_int_equal(campaign_of(rig, NODE, &granted, NULL), EMB_OK);
    assert_int_equal(granted.epoch, 1);
}

static void epoch_numbers_end(void **state)
{
    struct rig *rig = *state;
    struct epoch_view granted;
    struct error err;
    publish(rig, UINT32_MAX - 1, NODE, (UINT32_MAX - 1) % WORKSPACE_COUNT);
    assert_int_equal(campaign_of(rig, NODE, &granted, NULL), EMB_OK);
    assert_int_equal(granted.epoch, UINT32_MAX);
    assert_int_equal(campaign_of(rig, NODE, &granted, &err), EMB_ERR_LIMIT);
    assert_non_null(strstr(err.text, "4294967295"));
    elector_destroy(NULL);
}

#define TESTS(IN)                                                                                  \
    {                                                                                              \
        IN(the_first_epoch_is_one_and_published),                                                  \
            IN(each_grant_is_above_all_before_and_ends_them), IN(other_nodes_are_granted_nothing), \
            IN(who_is_not_alone_with_the_role_is_granted_nothing),                                 \
            IN(floors_that_nodes_have_seen_count), IN(what_another_node_was_granted_is_not_taken), \
            IN(the_predecessors_workspace_is_not_taken),                                           \
            IN(without_a_free_slot_nothing_is_granted), IN(a_damaged_slot_holds_nothing_up),       \
            IN(epoch_numbers_end),                                                                 \
    }

int main(void)
{
    const struct CMUnitTest hardware[] = TESTS(IN_HARDWARE);
    const struct CMUnitTest software[] = TESTS(IN_SOFTWARE);
    int failed = cmocka_run_group_tests_name("hardware", hardware, NULL, NULL);
    if (mem_writeback_available(MEM_WRITEBACK_AUTO))
        failed += cmocka_run_group_tests_name("software", software, NULL, NULL);
    return failed;
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cli/store_verify.h"
#include "layout/entry.h"

/* Three stores of nodes 0 to 2; lane 0 has the chain 0,1, from position 20 on 0,2. */
struct rig {
    struct catalog catalog;
    struct catalog_store stores[3];
    struct catalog_batch batches[3][4];
    struct catalog_topic topic;
    struct catalog_chain chains[2];
    char said[512];
};

static struct catalog_batch batch_at(uint64_t position, bool with_payload)
{
    return (struct catalog_batch){.position = position,
                                  .base_offset = position,
                                  .payload_bytes = with_payload ? 100 : 0,
                                  .payload_crc = with_payload ? 7 : 0,
                                  .entry_crc = (uint32_t)position,
                                  .message_count = 5,
                                  .topic = 3,
                                  .flags = ENTRY_ASKS_SYNC};
}

static void rig_make(struct rig *rig)
{
    *rig = (struct rig){
        .topic = {.id = 3, .copies = UINT32_MAX, .name = "t"},
        .chains = {{.lane = 0, .version = 1, .count = 2, .members = {0, 1}},
                   {.position = 20, .lane = 0, .version = 2, .count = 2, .members = {0, 2}}},
    };
    for (uint32_t i = 0; i < 3; i++) {
        rig->stores[i] = (struct catalog_store){.path = i == 0   ? "zero"
                                                        : i == 1 ? "one"
                                                                 : "two",
                                                .summary = {.node = i, .synced_position = 100},
                                                .batches = rig->batches[i],
                                                .batch_count = 2};
        rig->batches[i][0] = batch_at(10, i != 2);
        rig->batches[i][1] = batch_at(30, i != 1);
    }
    rig->catalog = (struct catalog){.stores = rig->stores,
                                    .store_count = 3,
                                    .topics = &rig->topic,
                                    .topic_count = 1,
                                    .chains = rig->chains,
                                    .chain_count = 2};
}

static void listen_to(void *arg, const char *problem)
{
    struct rig *rig = arg;
    strncat(rig->said, problem, sizeof rig->said - strlen(rig->said) - 1);
}

static void assert_problems(struct rig *rig, int64_t count, const char *said)
{
    assert_int_equal(store_verify(&rig->catalog, listen_to, rig), count);
    if (!strstr(rig->said, said))
        fail_msg("\"%s\" does not say \"%s\"", rig->said, said);
}

static void test_whole(void **state)
{
    struct rig rig;
    rig_make(&rig);
    assert_problems(&rig, 0, "");
    assert_int_equal(rig.topic.batches, 2);
    assert_int_equal(rig.topic.messages, 10);
    assert_int_equal(rig.topic.bytes, 200);
    assert_int_equal(rig.topic.copies, 2);
}

/* A store that has lost its end does not know how far it had come; the others do. */
static void test_lost_end(void **state)
{
    struct rig rig;
    rig_make(&rig);
    rig.stores[2].summary.synced_position = 20;
    rig.stores[2].batch_count = 1;
    rig.stores[0].summary.durable_position = 30;
    assert_problems(&rig, 0, "");
    rig.stores[0].summary.durable_position = 31;
    assert_problems(&rig, 1, "position 30: two is in the chain of lane 0 and lacks the batch");
    assert_int_equal(rig.stores[2].missing, 1);
}

static void test_given_twice(void **state)
{
    struct rig rig;
    rig_make(&rig);
    rig.stores[0].summary.files = rig.stores[1].summary.files = 1;
    rig.stores[1].summary.node = 0;
    rig.catalog.store_count = 2;
    rig.catalog.chain_count = 0;
    assert_problems(&rig, 1, "zero and one are the same store of node 0");
}

static void test_missing_on_a_member(void **state)
{
    struct rig rig;
    rig_make(&rig);
    rig.batches[2][1].payload_bytes = 0;
    assert_problems(&rig, 1, "position 30: two is in the chain of lane 0 and lacks the batch");
    assert_int_equal(rig.stores[2].missing, 1);
    assert_int_equal(rig.topic.copies, 1);
}

static void test_missing_entry(void **state)
{
    struct rig rig;
    rig_make(&rig);
    rig.batches[1][0] = rig.batches[1][1];
    rig.stores[1].batch_count = 1;
    assert_problems(&rig, 1, "position 10: one is in the chain");
}

/* What a store had not synced yet, and what asks for no replica, is not missed. */
static void test_not_asked_for(void **state)
{
    struct rig rig;
    rig_make(&rig);
    rig.batches[2][1].payload_bytes = 0;
    rig.stores[2].summary.synced_position = 30;
    assert_problems(&rig, 0, "");
    rig.stores[2].summary.synced_position = 31;
    assert_problems(&rig, 1, "position 30");
    for (int i = 0; i < 3; i++)
        rig.batches[i][1].flags = 0;
    assert_problems(&rig, 0, "");
}

static void test_copies_differ(void **state)
{
    struct rig rig;
    rig_make(&rig);
    rig.batches[1][0].payload_crc = 8;
    assert_problems(&rig, 1, "position 10: the batch in one is not that of the others");
    rig_make(&rig);
    rig.batches[2][0].entry_crc = 99;
    assert_problems(&rig, 1, "position 10: the entry in two is not that of the others");
}

static void test_walk_merges(void **state)
{
    struct rig rig;
    struct catalog_walk walk;
    rig_make(&rig);
    rig.batches[0][2] = batch_at(31, true);
    rig.stores[0].batch_count = 3;
    rig.stores[2].batch_count = 0;
    assert_int_equal(walk_begin(&walk, &rig.catalog), EMB_OK);
    const uint64_t positions[] = {10, 30, 31};
    for (int i = 0; i < 3; i++) {
        assert_true(walk_next(&walk));
        assert_int_equal(walk.position, positions[i]);
        assert_ptr_equal(walk_batch(&walk), &rig.batches[0][i]);
        assert_ptr_equal(walk.at[1], i < 2 ? &rig.batches[1][i] : NULL);
        assert_null(walk.at[2]);
    }
    assert_false(walk_next(&walk));
    walk_end(&walk);
}

static void test_chain_in_force(void **state)
{
    struct rig rig;
    rig_make(&rig);
    assert_int_equal(catalog_chain_at(&rig.catalog, 0, 19)->version, 1);
    assert_int_equal(catalog_chain_at(&rig.catalog, 0, 20)->version, 2);
    assert_null(catalog_chain_at(&rig.catalog, 1, 20));
    assert_ptr_equal(catalog_topic_find(&rig.catalog, "t"), &rig.topic);
    assert_ptr_equal(catalog_topic_find(&rig.catalog, "3"), &rig.topic);
    assert_null(catalog_topic_find(&rig.catalog, "4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),          cmocka_unit_test(test_missing_on_a_member),
        cmocka_unit_test(test_lost_end),       cmocka_unit_test(test_given_twice),
        cmocka_unit_test(test_missing_entry),  cmocka_unit_test(test_not_asked_for),
        cmocka_unit_test(test_copies_differ),  cmocka_unit_test(test_walk_merges),
        cmocka_unit_test(test_chain_in_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

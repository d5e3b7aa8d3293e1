#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "batch/batch.h"
#include "meta/meta.h"

#define TOPICS   4
#define SESSIONS 8

static struct meta_record record_of(enum meta_type type)
{
    return (struct meta_record){.type = (uint8_t)type, .version = 1};
}

static struct meta_record topic_record(const char *name, uint8_t order, uint8_t replicas)
{
    struct meta_record record = record_of(META_TOPIC_CREATE);
    record.topic_create.order = order;
    record.topic_create.replicas = replicas;
    strncpy(record.topic_create.name, name, TOPIC_NAME_MAX);
    return record;
}

/* Decides and, if granted, applies. */
static int ask(struct meta_state *state, uint64_t position, const struct meta_record *record,
               struct goi_entry_shared *entry)
{
    *entry = (struct goi_entry_shared){.kind = ENTRY_META};
    int rc = meta_decide(state, record, entry);
    if (rc == EMB_OK)
        meta_apply(state, position, entry, record);
    return rc;
}

static void apply_chain_of_two(struct meta_state *state)
{
    struct meta_record chain = record_of(META_CHAIN);
    chain.chain.lane = LANE_SEQUENCER;
    chain.chain.version = 1;
    chain.chain.count = 2;
    chain.chain.members[1] = 1;
    meta_apply(state, 1, &(struct goi_entry_shared){.kind = ENTRY_META}, &chain);
}

static void state_with_topic(struct meta_state *state)
{
    assert_int_equal(meta_state_init(state, TOPICS, SESSIONS), EMB_OK);
    apply_chain_of_two(state);
    state->producer_mark = state->producer_usable = 1000;
    struct meta_record record = topic_record("orders", TOPIC_ORDER_CLIENT, 2);
    struct goi_entry_shared entry;
    assert_int_equal(ask(state, 2, &record, &entry), EMB_OK);
    assert_int_equal(entry.topic, 1);
}

static uint64_t open_session(struct meta_state *state, uint64_t position)
{
    struct meta_record record = record_of(META_SESSION_OPEN);
    record.session_open.topic = 1;
    struct goi_entry_shared entry;
    assert_int_equal(ask(state, position, &record, &entry), EMB_OK);
    return entry.session;
}

static void end_session(struct meta_state *state, uint64_t position, uint64_t session)
{
    struct meta_record record = record_of(META_SESSION_END);
    record.session_end.session = session;
    struct goi_entry_shared entry;
    assert_int_equal(ask(state, position, &record, &entry), EMB_OK);
}

static void records_survive_a_batch(void **unused)
{
    struct meta_record record = topic_record("a.b-c_d", 2, 0), back;
    unsigned char bytes[META_BATCH_BYTES];
    uint32_t count = meta_batch_build(bytes, &record, 12345);
    assert_true(count <= META_BATCH_BYTES);
    assert_int_equal(meta_batch_read(bytes, count, &back, NULL), EMB_OK);
    assert_memory_equal(&record, &back, sizeof record);
    for (uint32_t bit = 21 * 8; bit < count * 8; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_not_equal(meta_batch_read(bytes, count, &back, NULL), EMB_OK);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_int_not_equal(meta_batch_read(bytes, count - 1, &back, NULL), EMB_OK);
}

static void bad_records_are_refused(void **unused)
{
    struct meta_record good[4] = {record_of(META_NODE_ADMIT), record_of(META_CHAIN),
                                  record_of(META_TOPIC_CREATE), record_of(META_TYPE_END)};
    good[0].admit.node = NODE_MAX;
    good[1].chain.count = CHAIN_MAX + 1;
    memset(good[2].topic_create.name, 'x', sizeof good[2].topic_create.name);
    for (int i = 0; i < 4; i++) {
        unsigned char bytes[META_BATCH_BYTES];
        uint32_t count = meta_batch_build(bytes, &good[i], 1);
        struct meta_record back;
        struct error err = {0};
        assert_int_equal(meta_batch_read(bytes, count, &back, &err), EMB_ERR_CORRUPT_BATCH);
        assert_non_null(strstr(err.text, "META record"));
    }
}

static void topics_are_judged(void **unused)
{
    struct meta_state state;
    state_with_topic(&state);
    struct goi_entry_shared entry;
    struct meta_record again = topic_record("orders", 5, 2);
    assert_int_equal(ask(&state, 3, &again, &entry), EMB_ERR_TOPIC_EXISTS);
    struct meta_record wide = topic_record("wide", 5, 3);
    assert_int_equal(ask(&state, 3, &wide, &entry), EMB_ERR_INVALID_SETTING);
    struct meta_record bad = topic_record("a/b", 5, 2);
    assert_int_equal(ask(&state, 3, &bad, &entry), EMB_ERR_INVALID_TOPIC);
    for (int i = 0; i < TOPICS - 1; i++) {
        struct meta_record more = topic_record((char[]){'t', (char)('0' + i), 0}, 0, 0);
        assert_int_equal(ask(&state, 4, &more, &entry), EMB_OK);
        assert_int_equal(entry.topic, i + 2);
    }
    struct meta_record full = topic_record("full", 0, 0);
    assert_int_equal(ask(&state, 5, &full, &entry), EMB_ERR_LIMIT);
    struct meta_record delete = record_of(META_TOPIC_DELETE);
    delete.topic_delete.topic = 1;
    assert_int_equal(ask(&state, 6, &delete, &entry), EMB_OK);
    assert_int_equal(ask(&state, 7, &delete, &entry), EMB_ERR_UNKNOWN_TOPIC);
    assert_null(meta_topic_by_name(&state, "orders"));
    assert_true(meta_topic_by_id(&state, 1)->deleted);
    meta_state_free(&state);
}

static void sessions_come_and_go(void **unused)
{
    struct meta_state state;
    state_with_topic(&state);
    uint64_t open[SESSIONS], first = open_session(&state, 3);
    end_session(&state, 4, first);
    for (int i = 0; i < SESSIONS; i++)
        open[i] = open_session(&state, 5 + (uint64_t)i);
    struct meta_record more = record_of(META_SESSION_OPEN);
    more.session_open.topic = 1;
    struct goi_entry_shared entry;
    assert_int_equal(ask(&state, 20, &more, &entry), EMB_ERR_LIMIT);
    assert_true(meta_session_find(&state, first)->ended);
    struct meta_record end = record_of(META_SESSION_END);
    end.session_end.session = first;
    assert_int_equal(ask(&state, 20, &end, &entry), EMB_ERR_SESSION_FENCED);
    /* Many lives: places are used again, the open ones are always found, ids never come twice. */
    uint64_t last = 0;
    for (uint64_t i = 0; i < 500; i++) {
        end_session(&state, 30 + i, open[i % SESSIONS]);
        open[i % SESSIONS] = open_session(&state, 31 + i);
        assert_true(open[i % SESSIONS] > last);
        last = open[i % SESSIONS];
        for (int k = 0; k < SESSIONS; k++)
            assert_int_equal(meta_session_find(&state, open[k])->session, open[k]);
    }
    assert_int_equal(state.session_count, SESSIONS);
    state.producer_usable = state.next_producer;
    end_session(&state, 600, open[0]);
    assert_int_equal(ask(&state, 601, &more, &entry), EMB_ERR_UNAVAILABLE);
    meta_state_free(&state);
}

static void apply_batch(struct meta_state *state, uint64_t position, uint64_t session,
                        uint64_t sequence, uint32_t count)
{
    struct goi_entry_shared entry = {.kind = ENTRY_DATA,
                                     .topic = 1,
                                     .session = session,
                                     .client_sequence = sequence,
                                     .message_count = count,
                                     .base_offset = meta_topic_by_id(state, 1)->next_offset};
    meta_apply(state, position, &entry, NULL);
}

static void windows_remember_the_last_batches(void **unused)
{
    struct meta_state state;
    state_with_topic(&state);
    uint64_t id = open_session(&state, 3);
    for (uint64_t i = 0; i < 20; i++)
        apply_batch(&state, 10 + i, id, i * 5, 5);
    const struct meta_session *session = meta_session_find(&state, id);
    assert_int_equal(session->next, 100);
    assert_int_equal(meta_session_batch(session, 95)->base_offset, 95);
    assert_int_equal(meta_session_batch(session, 20)->base_offset, 20);
    assert_int_equal(meta_session_batch(session, 20)->message_count, 5);
    assert_null(meta_session_batch(session, 15));
    assert_null(meta_session_batch(session, 96));
    meta_state_free(&state);
}

static size_t encode_all(const struct meta_state *state, uint64_t position, unsigned items,
                         unsigned char *bytes, size_t capacity)
{
    struct meta_cursor cursor = {0};
    size_t used = 0;
    while (!meta_encode_done(&cursor)) {
        int64_t more = meta_encode(state, &cursor, position, items, bytes + used, capacity - used);
        assert_true(more >= 0);
        used += (size_t)more;
    }
    return used;
}

/* A state decoded from a checkpoint and fed the entries since its first item equals the other. */
static void encoded_state_and_replay_equal_the_original(void **unused)
{
    enum { CAPACITY = 65536, ENTRIES = 60 };
    struct meta_state state, loaded;
    state_with_topic(&state);
    assert_int_equal(meta_state_init(&loaded, TOPICS, SESSIONS), EMB_OK);
    uint64_t id = open_session(&state, 3);
    unsigned char *bytes = malloc(CAPACITY), *again = malloc(CAPACITY);
    size_t used = 0;
    struct meta_cursor cursor = {0};
    for (uint64_t i = 0; i < ENTRIES; i++) {
        apply_batch(&state, 10 + i, id, i * 3, 3);
        if (i >= 10 && !meta_encode_done(&cursor)) { /* slices while entries go on */
            int64_t more = meta_encode(&state, &cursor, 11 + i, 1, bytes + used, CAPACITY - used);
            assert_true(more >= 0);
            used += (size_t)more;
        }
    }
    assert_true(meta_encode_done(&cursor));
    assert_int_equal(meta_decode(&loaded, bytes, used, NULL), EMB_OK);
    for (uint64_t i = 10; i < ENTRIES; i++) {
        struct goi_entry_shared entry = {.kind = ENTRY_DATA,
                                         .topic = 1,
                                         .session = id,
                                         .client_sequence = i * 3,
                                         .message_count = 3,
                                         .base_offset = i * 3};
        meta_apply(&loaded, 10 + i, &entry, NULL);
    }
    size_t a = encode_all(&state, 1000, 7, bytes, CAPACITY);
    size_t b = encode_all(&loaded, 1000, 3, again, CAPACITY);
    assert_int_equal(a, b);
    assert_memory_equal(bytes, again, a);
    free(bytes);
    free(again);
    meta_state_free(&state);
    meta_state_free(&loaded);
}

/* Items are of different positions, so a whole checkpoint can hold more open sessions than there
   ever were at once, and ended ones beside a full house. */
static void as_many_sessions_are_loaded_as_have_places(void **unused)
{
    enum { CAPACITY = 65536 };
    struct meta_state state, loaded;
    state_with_topic(&state);
    unsigned char *bytes = malloc(CAPACITY);
    uint64_t open[SESSIONS];
    uint64_t ended = open_session(&state, 3);
    for (int i = 0; i < SESSIONS - 1; i++)
        open[i] = open_session(&state, 4 + (uint64_t)i);
    end_session(&state, 20, ended);
    struct meta_cursor cursor = {0};
    size_t used = 0;
    while (cursor.stage < 4 || cursor.item < SESSIONS)
        used += (size_t)meta_encode(&state, &cursor, 21, 1, bytes + used, CAPACITY - used);
    for (int i = 0; i < SESSIONS - 1; i++)
        end_session(&state, 21 + (uint64_t)i, open[i]);
    for (int i = 0; i < SESSIONS; i++)
        open[i] = open_session(&state, 40 + (uint64_t)i);
    while (!meta_encode_done(&cursor))
        used += (size_t)meta_encode(&state, &cursor, 60, 1, bytes + used, CAPACITY - used);
    struct error err = {0};
    assert_int_equal(meta_state_init(&loaded, TOPICS, SESSIONS), EMB_OK);
    if (meta_decode(&loaded, bytes, used, &err))
        fail_msg("%s", err.text);
    uint32_t later = state.session_places - SESSIONS; /* the rest took places already encoded */
    assert_int_equal(loaded.session_count, SESSIONS - 1 + later);
    for (uint32_t i = 0; i < later; i++)
        assert_false(meta_session_find(&loaded, open[i])->ended);
    assert_true(meta_session_find(&loaded, ended)->ended);
    free(bytes);
    meta_state_free(&state);
    meta_state_free(&loaded);
}

/* What a sequencer would never write is told apart before it is applied. */
static void entries_that_break_the_rules_are_told(void **unused)
{
    struct meta_state state;
    state_with_topic(&state);
    struct meta_record topic = topic_record("x", 2, 0), open = record_of(META_SESSION_OPEN);
    uint64_t session = open_session(&state, 3);
    struct goi_entry_shared meta = {.kind = ENTRY_META, .lane = 3, .topic = 2};
    assert_true(meta_entry_holds(&state, &meta, &topic));
    meta.topic = 0;
    assert_false(meta_entry_holds(&state, &meta, &topic));
    meta.topic = TOPICS + 1;
    assert_false(meta_entry_holds(&state, &meta, &topic));
    meta.session = session + (1 << 16);
    assert_true(meta_entry_holds(&state, &meta, &open));
    meta.session = 0;
    assert_false(meta_entry_holds(&state, &meta, &open));
    meta.session = NO_SESSION;
    assert_false(meta_entry_holds(&state, &meta, &open));
    assert_false(meta_entry_holds(&state, &meta, NULL));
    struct goi_entry_shared data = {.kind = ENTRY_DATA, .lane = LANE_SEQUENCER};
    assert_true(meta_entry_holds(&state, &data, NULL));
    data.lane = LANE_SEQUENCER + 1;
    assert_false(meta_entry_holds(&state, &data, NULL));
    data = (struct goi_entry_shared){.kind = ENTRY_SKIP + 1};
    assert_false(meta_entry_holds(&state, &data, NULL));
    data.kind = 0;
    assert_false(meta_entry_holds(&state, &data, NULL));
    for (meta.session = session + 65536; meta_entry_holds(&state, &meta, &open);
         meta.session += 65536)
        meta_apply(&state, 9, &meta, &open);
    assert_int_equal(state.session_count, state.session_places);
    meta_state_free(&state);
}

static void damaged_state_is_refused(void **unused)
{
    struct meta_state state, loaded;
    state_with_topic(&state);
    open_session(&state, 3);
    unsigned char bytes[8192];
    size_t used = encode_all(&state, 9, 100, bytes, sizeof bytes);
    for (size_t cut = 1; cut < used; cut++) {
        assert_int_equal(meta_state_init(&loaded, TOPICS, SESSIONS), EMB_OK);
        struct error err;
        int rc = meta_decode(&loaded, bytes, cut, &err);
        if (rc)
            assert_non_null(strstr(err.text, "META state"));
        meta_state_free(&loaded);
    }
    bytes[0] = 77;
    assert_int_equal(meta_state_init(&loaded, TOPICS, SESSIONS), EMB_OK);
    assert_int_equal(meta_decode(&loaded, bytes, used, NULL), EMB_ERR_CORRUPT);
    meta_state_free(&loaded);
    meta_state_free(&state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_survive_a_batch),
        cmocka_unit_test(bad_records_are_refused),
        cmocka_unit_test(topics_are_judged),
        cmocka_unit_test(sessions_come_and_go),
        cmocka_unit_test(windows_remember_the_last_batches),
        cmocka_unit_test(encoded_state_and_replay_equal_the_original),
        cmocka_unit_test(as_many_sessions_are_loaded_as_have_places),
        cmocka_unit_test(entries_that_break_the_rules_are_told),
        cmocka_unit_test(damaged_state_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "replica/replica.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "replica/state.h"

#define SYNC_BYTES_DEFAULT     (64ULL << 20)
#define SYNC_PERIOD_NS_DEFAULT 250000000ULL

/* What stands in the region of an earlier incarnation: this one's words rise above it. */
static void load_published(struct replica *replica)
{
    struct mem *mem = &replica->region->mem;
    for (uint32_t lane = 0; lane <= LANE_MAX; lane++) {
        struct completion_shared *line = region_completion(replica->region, lane, replica->node);
        replica->lanes[lane].synced_word = mem_observe_u64(mem, &line->synced);
        replica->lanes[lane].copied_word = mem_observe_u64(mem, &line->copied);
        replica->lanes[lane].place = -1;
    }
}

int replica_create(const struct replica_options *options, struct replica **replica,
                   struct error *err)
{
    ASSERT(options->follower && options->store && options->region && options->node < NODE_MAX);
    struct replica *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the replica of node %u",
                         options->node);
    made->follower = options->follower;
    made->store = options->store;
    made->region = options->region;
    made->node = options->node;
    made->sync_bytes = options->sync_bytes ? options->sync_bytes : SYNC_BYTES_DEFAULT;
    made->sync_period_ns =
        options->sync_period_ns ? options->sync_period_ns : SYNC_PERIOD_NS_DEFAULT;
    load_published(made);
    /* Before the follower's next turn, so that nothing is ever let go too early. */
    follower_set_needed(made->follower, 0);
    *replica = made;
    return EMB_OK;
}

void replica_destroy(struct replica *replica)
{
    if (!replica)
        return;
    follower_set_needed(replica->follower, NO_POSITION);
    free(replica);
}

int replica_fail(struct replica *replica, int code, const char *format, ...)
{
    char reason[ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    replica->item.there = false;
    /* It will never read payload again; that it is a member of chains still holds up reuse. */
    follower_set_needed(replica->follower, NO_POSITION);
    return error_set(&replica->failure, code, "replica of node %u: %.280s", replica->node, reason);
}

static bool store_works(struct replica *replica)
{
    struct error err = {0};
    int result = store_failure(replica->store, &err);
    if (result != EMB_OK)
        replica_fail(replica, result, "%s", err.text);
    return result == EMB_OK;
}

static void tell_follower(struct replica *replica)
{
    follower_set_store_synced(replica->follower, store_synced(replica->store));
    if (replica->cursor == replica->needed_told)
        return;
    replica->needed_told = replica->cursor;
    follower_set_needed(replica->follower, replica->cursor);
}

/*
 * The log begins with the node's admission: from there on all chains that name this store are set.
 * What came before is in the snapshot, as far as it is META; of DATA nothing before can be in its
 * care. The snapshot may be of a later position: its items say so (meta/encode.c).
 */
static bool begin(struct replica *replica)
{
    struct error err;
    uint64_t first = follower_admitted(replica->follower);
    if (replica->failure.code != EMB_OK || !follower_is_current(replica->follower))
        return false;
    int result = store_begin(replica->store, first, &err);
    if (result != EMB_OK) {
        replica_fail(replica, result, "%s", err.text);
        return false;
    }
    replica->begun = true;
    replica->cursor = replica->needed_told = replica->sync_covers_end = first;
    follower_set_needed(replica->follower, first);
    return true;
}

int replica_do_work(struct replica *replica, uint64_t now_ns)
{
    if (!replica->begun && !begin(replica))
        return 0;
    int work = store_do_work(replica->store, now_ns);
    if (replica->failure.code != EMB_OK)
        return work; /* completions are taken to the last: until then they wake the poller */
    replica->counters.turns++;
    if (store_works(replica))
        work += replica_copy(replica, now_ns);
    if (replica->failure.code == EMB_OK)
        work += replica_sync(replica, now_ns);
    if (replica->failure.code == EMB_OK) {
        work += replica_publish(replica);
        tell_follower(replica);
    }
    return work;
}

int replica_failure(const struct replica *replica, struct error *err)
{
    if (err)
        *err = replica->failure;
    return replica->failure.code;
}

uint64_t replica_position(const struct replica *replica)
{
    return replica->cursor;
}

void replica_counters(const struct replica *replica, struct replica_counters *counters)
{
    *counters = replica->counters;
}

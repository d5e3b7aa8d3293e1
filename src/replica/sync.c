/*
 * How it works: group commit. A sync begins as soon as something wants one and none is under way;
 * what is appended meanwhile is the next group. So groups are as small as the disk is fast and as
 * large as it is slow, without a timer. What asks no more than to be copied is written at once, and
 * synced in its time.
 */
#include "replica/state.h"

static bool is_due(const struct replica *replica, uint64_t now_ns)
{
    if (replica->sync_wanted_end > replica->sync_covers_end)
        return true;
    if (store_unsynced_bytes(replica->store) >= replica->sync_bytes)
        return true;
    return replica->copy_wanted_end > replica->sync_covers_end &&
           now_ns - replica->copy_wanted_ns >= replica->sync_period_ns;
}

static int fail_with_store(struct replica *replica, int result)
{
    struct error err = {0};
    store_failure(replica->store, &err);
    replica_fail(replica, result, "%s", err.text[0] ? err.text : error_text(result));
    return 0;
}

/* One flush at a time, so that small batches share their padding. */
static int replica_flush(struct replica *replica)
{
    if (replica->copy_wanted_end <= max_u64(replica->flush_covers_end, replica->sync_covers_end) ||
        store_copied(replica->store) < replica->flush_covers_end)
        return 0;
    replica->flush_covers_end = store_appended(replica->store);
    int result = store_flush(replica->store);
    return result ? fail_with_store(replica, result) : 1;
}

int replica_sync(struct replica *replica, uint64_t now_ns)
{
    if (store_sync_under_way(replica->store) || !is_due(replica, now_ns))
        return replica_flush(replica);
    uint64_t covers_end = store_appended(replica->store);
    int result = store_sync(replica->store, follower_durable(replica->follower));
    if (result == EMB_ERR_BUSY)
        return 0;
    if (result != EMB_OK)
        return fail_with_store(replica, result);
    replica->sync_covers_end = covers_end;
    replica->counters.syncs++;
    return 1;
}

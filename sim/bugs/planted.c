#include "sim/bugs/planted.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "sim/check/check.h"

static enum bug selected;

static const struct planted_bug bugs[BUG_COUNT] = {
    [BUG_PAYLOAD_NOT_WRITTEN_BACK] = {"payload-not-written-back",
                                      "payload stays in its writer's cache", "memory", 100},
    [BUG_PBR_NOT_WRITTEN_BACK] = {"pbr-not-written-back",
                                  "PBR entries reach memory by eviction only", "progress|slots",
                                  300},
    [BUG_GOI_NOT_WRITTEN_BACK] = {"goi-not-written-back",
                                  "GOI entries reach memory by eviction only", "memory", 100},
    [BUG_COMMITTED_NOT_WRITTEN_BACK] = {"committed-not-written-back",
                                        "committed_seq reaches memory by eviction only",
                                        "progress|slots", 300},
    [BUG_LINE_NOT_INVALIDATED] = {"line-not-invalidated", "an observe reads the line its cache has",
                                  "progress", 100},
    [BUG_PAYLOAD_NOT_INVALIDATED] = {"payload-not-invalidated",
                                     "payload is read from a stale cache", "memory", 100},
    [BUG_DRAIN_IS_STORE_FENCE] = {"drain-is-store-fence",
                                  "a drain orders stores, but not later loads",
                                  "acks|readers|stores|memory|reuse", 100},
    [BUG_COMMITTED_BEFORE_DRAIN] = {"committed-before-drain",
                                    "committed_seq is published before its entries are drained",
                                    "memory|acks|readers|stores", 100},
    [BUG_PAYLOAD_NOT_DRAINED] = {"payload-not-drained",
                                 "a PBR entry is published before its payload is drained", "memory",
                                 100},
    [BUG_PIN_NOT_DRAINED] = {"pin-not-drained",
                             "a reader looks at a segment before its pin is drained",
                             "memory|reuse", 200},
    [BUG_RETIREMENT_NOT_DRAINED] = {"retirement-not-drained",
                                    "an owner looks at pins before its raise is drained",
                                    "memory|reuse", 200},
    [BUG_PLAIN_READ] = {"plain-read", "committed_seq is read without mem", "memory", 10},
    [BUG_TWO_WRITERS] = {"two-writers", "a node writes its neighbour's line", "memory", 100},
    [BUG_EPOCH_NOT_CHECKED] = {"epoch-not-checked", "the epoch is not checked after a read",
                               "acks|readers|stores", 200},
    [BUG_EPOCH_CHECKED_IN_GROUP] = {"epoch-checked-in-group",
                                    "the epoch is checked before what it guards is read",
                                    "acks|readers|stores", 2000},
    [BUG_RECOVERED_BEFORE_FENCED] = {"recovered-before-fenced",
                                     "a successor reads where the log ends, then fences",
                                     "acks|readers|stores|reuse", 400},
    [BUG_ACK_BEFORE_SYNC] = {"ack-before-sync", "D is taken to be what was committed",
                             "acks|readers", 100},
    [BUG_PROGRESS_BEFORE_SYNC] = {"progress-before-sync",
                                  "a replica publishes what it has only appended", "acks|readers",
                                  100},
    [BUG_PROGRESS_AHEAD_OF_PREDECESSOR] = {"progress-ahead-of-predecessor",
                                           "a replica does not wait for the one before it",
                                           "acks|readers", 100},
    [BUG_DUPLICATE_ACKED_EARLY] = {"duplicate-acked-early",
                                   "a duplicate is acknowledged before its original is durable",
                                   "acks", 400},
    [BUG_DUPLICATE_COMMITTED] = {"duplicate-committed", "a duplicate is committed again",
                                 "sessions|offsets", 100},
    [BUG_STRADDLE_AS_DUPLICATE] = {"straddle-as-duplicate",
                                   "a straddling batch is taken for a duplicate", "sessions|acks",
                                   100},
    [BUG_GAP_SKIPPED_SILENTLY] = {"gap-skipped-silently", "a gap is passed over without an entry",
                                  "sessions", 200},
    [BUG_HELD_COMMITTED] = {"held-committed", "a batch that should wait is committed", "sessions",
                            100},
    [BUG_HOLD_FORGETS] = {"hold-forgets", "a held batch is forgotten", "progress|slots", 100},
    [BUG_RETRY_ACKED] = {"retry-acked", "what must be sent again is told to be in the log",
                         "sessions|acks", 100},
    [BUG_PBR_SLOT_REUSED_EARLY] = {"pbr-slot-reused-early",
                                   "a slot is reused before its outcome is known", "reuse", 100},
    [BUG_GOI_SEGMENT_REUSED_EARLY] = {"goi-segment-reused-early",
                                      "the GOI is written over before nodes have read it", "reuse",
                                      2000},
    [BUG_BLOG_SEGMENT_REUSED_EARLY] = {"blog-segment-reused-early",
                                       "a BLog segment is reused while it is needed", "reuse", 100},
    [BUG_NEEDED_AHEAD] = {"needed-ahead",
                          "a node says it needs less than its replica has yet to copy", "reuse",
                          200},
    [BUG_OFFSET_HOLE] = {"offset-hole", "an offset is left out", "offsets", 100},
    [BUG_TORN_FRAME_ACCEPTED] = {"torn-frame-accepted",
                                 "recovery believes a frame whose CRC is wrong", "stores", 400},
    [BUG_JOINER_TRUSTS_CHECKPOINT] = {"joiner-trusts-checkpoint",
                                      "a node that joins takes all its checkpoint covers to be "
                                      "durable",
                                      "acks|readers|reuse", 4000},
    [BUG_STORE_BEGINS_LATE] = {"store-begins-late",
                               "a store that joins begins where its node reads, not at its "
                               "admission",
                               "acks|readers|stores|reuse", 100},
    [BUG_SNAPSHOT_OF_LATER] = {"snapshot-of-later",
                               "a snapshot says that it holds more than it does", "stores", 100},
    [BUG_LANE_BEGINS_ANEW] = {"lane-begins-anew", "a lane granted again begins at index 0",
                              "progress|slots|reuse", 400},
    [BUG_SEGMENTS_NOT_ADOPTED] = {"segments-not-adopted",
                                  "a node that comes back forgets what it left in its segments",
                                  "reuse|progress", 400},
    [BUG_NEVER_LET_GO] = {"never-let-go",
                          "who was admitted while it took its request back stays admitted",
                          "progress|reuse", 400},
    [BUG_ORPHANS_FREED_EARLY] = {"orphans-freed-early",
                                 "the sequencer takes what a node has left for settled at once",
                                 "memory|reuse", 400},
    [BUG_ORPHANS_NOT_RETURNED] = {"orphans-not-returned",
                                  "the sequencer goes on with the segments of a node that is back",
                                  "memory|reuse", 4000},
    [BUG_FOREIGN_DELIVERY] = {"foreign-delivery", "a delivery carries another batch's payload",
                              "bytes|readers", 100},
};

const struct planted_bug *planted_bug(enum bug bug)
{
    ASSERT(bug > BUG_NONE && bug < BUG_COUNT);
    return &bugs[bug];
}

enum bug planted_find(const char *name)
{
    for (int bug = BUG_NONE + 1; bug < BUG_COUNT; bug++)
        if (strcmp(bugs[bug].name, name) == 0)
            return (enum bug)bug;
    return BUG_NONE;
}

void planted_select(enum bug bug)
{
    selected = bug;
    planted_readers_begin();
}

bool planted(enum bug bug)
{
    return __builtin_expect(selected == bug, 0);
}

bool planted_is_predecessor(uint32_t lane, uint32_t node)
{
    const struct meta_chain *chain = log_chain(lane);
    for (int i = 0; chain && i + 1 < chain->count; i++)
        if (chain->members[i] == node)
            return true;
    return false;
}

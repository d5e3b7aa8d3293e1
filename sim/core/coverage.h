/*
 * What the seeds made happen, counted, so that nothing is silently never exercised. One row a
 * counter: name, and what it counts. The one thread; summed over seeds by run/.
 */
#ifndef SIM_CORE_COVERAGE_H
#define SIM_CORE_COVERAGE_H

#include <stdint.h>

#define COVERAGE(X)                                                                                \
    /* the rack */                                                                                 \
    X(RACK_SOFTWARE, "racks with software-coherent memory")                                        \
    X(RACK_HARDWARE, "racks with hardware-coherent memory")                                        \
    X(RACK_ONE_HOST, "racks of one host")                                                          \
    X(RACK_SEAT_ALONE, "racks whose sequencer has a host of its own")                              \
    X(RACK_NO_REPLICAS, "racks without replicas")                                                  \
    X(RACK_THREE_REPLICAS, "racks with three replicas or more")                                    \
    /* scheduling */                                                                               \
    X(PREEMPTED, "agents interrupted in their turn")                                               \
    X(PREEMPTED_LONG, "and for long")                                                              \
    /* memory */                                                                                   \
    X(EVICTED, "dirty lines evicted by chance")                                                    \
    X(REFETCHED, "clean lines read again by chance")                                               \
    X(STALE_KEPT, "observes of a line that was stale in the cache")                                \
    X(LATE_WRITE_BACK, "write-backs that took effect late")                                        \
    X(DIRTY_LOST, "dirty lines lost with their host")                                              \
    X(LANE_WRAPPED, "lanes that came round")                                                       \
    X(GOI_WRAPPED, "times the GOI came round")                                                     \
    X(SEGMENT_REUSED, "BLog segments that began another life")                                     \
    /* network */                                                                                  \
    X(CONNECTION_BROKEN, "connections broken")                                                     \
    X(CONNECTION_STALLED, "connections stalled")                                                   \
    X(PARTITIONED, "partitions")                                                                   \
    X(SHORT_RECEIVE, "receives cut short")                                                         \
    X(SHORT_SEND, "sends cut short")                                                               \
    X(SENDFILE, "sends by reference to the region")                                                \
    /* disk */                                                                                     \
    X(SYNC, "syncs")                                                                               \
    X(SYNC_SLOW, "syncs that took long")                                                           \
    X(SYNC_FAILED, "syncs that failed")                                                            \
    X(WRITE_FAILED, "writes that failed")                                                          \
    X(DISK_FULL, "writes or reservations refused for want of space")                               \
    X(WRITE_LOST, "unsynced writes lost in a crash")                                               \
    X(WRITE_TORN, "unsynced writes torn in a crash")                                               \
    X(NAME_LOST, "file names lost in a crash")                                                     \
    X(ROT, "bits of old data that changed")                                                        \
    X(FILE_ROLLED, "store files begun after the first")                                            \
    /* hosts */                                                                                    \
    X(HOST_PAUSED, "hosts paused")                                                                 \
    X(HOST_KILLED, "processes killed")                                                             \
    X(HOST_POWER_LOST, "hosts that lost power")                                                    \
    X(HOST_RESTART_REFUSED, "restarts refused, as they must be today")                             \
    X(NODE_LATE, "nodes that joined a log under way")                                              \
    X(NODE_LEFT, "nodes that left")                                                                \
    X(NODE_BACK, "and came back")                                                                  \
    X(SEGMENT_ORPHANED, "segments that a node had left behind, given back for it")                 \
    X(CLOCK_SKEWED, "hosts whose clock runs fast or slow")                                         \
    X(EPOCH_RAISED, "higher epochs granted under a working sequencer")                             \
    /* protocol */                                                                                 \
    X(BATCH, "batches published")                                                                  \
    X(BATCH_LARGE, "batches of 16 KiB and more")                                                   \
    X(ACK_ORDERED, "acknowledgements at level 1")                                                  \
    X(ACK_DURABLE, "acknowledgements at level 2")                                                  \
    X(ACK_DUPLICATE, "duplicates acknowledged")                                                    \
    X(DUPLICATE_SENT, "batches sent twice on purpose")                                             \
    X(STRADDLE_SENT, "batches sent that straddle")                                                 \
    X(GAP_MADE, "batches left out on purpose")                                                     \
    X(REJECTED, "slots rejected")                                                                  \
    X(RETRY, "slots answered RETRY")                                                               \
    X(SKIP, "ranges declared lost")                                                                \
    X(FENCE, "sessions fenced")                                                                    \
    X(HELD, "batches held")                                                                        \
    X(RELEASED, "held batches committed by a cascade")                                             \
    X(WAITED, "batches that waited for room in the GOI")                                           \
    X(BACKPRESSURE, "batches refused by back-pressure")                                            \
    X(PAUSE_ROOM, "times that back-pressure began")                                                \
    X(SESSION_LOST, "sessions ended with their connection")                                        \
    X(SESSION_OPENED, "sessions opened")                                                           \
    X(CHECKPOINT, "checkpoints written")                                                           \
    X(DELIVERED, "batches delivered")                                                              \
    X(READ_OLD, "batches opened that a pin alone keeps in memory")                                 \
    X(OUT_OF_RANGE, "subscribers told that their offset is gone")                                  \
    X(RESUBSCRIBED, "subscriptions made anew after a loss")                                        \
    X(STORE_RECOVERED, "stores scanned after power was lost")                                      \
    X(STORE_TORN, "and found torn at the end")

enum coverage_counter {
#define COVERAGE_ENUM(name, text) COVER_##name,
    COVERAGE(COVERAGE_ENUM)
#undef COVERAGE_ENUM
        COVER_COUNT
};

struct coverage {
    uint64_t counts[COVER_COUNT];
};

/* Of the present world. */
struct coverage *coverage_of_world(void);
const char *coverage_text(enum coverage_counter counter);
const char *coverage_name(enum coverage_counter counter);

#define COVER(name)            (coverage_of_world()->counts[COVER_##name]++)
#define COVER_ADD(name, count) (coverage_of_world()->counts[COVER_##name] += (count))

#endif

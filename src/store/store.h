/*
 * A store: one replica's log on one disk. It appends every GOI entry in order of position, with
 * the payload of those in its care, and knows up to which position all of that is written and
 * synced. Append-only files of frames; a synced 4 KiB block is never written again.
 *
 * Owner and only caller: one replica agent (one thread). Nothing blocks but open, close, scan.
 * Lifetime: store_open to store_close. Design: 3-protocol, "3. Replicate". Format: README.md and
 * docs/formats.md.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "env/env.h"
#include "layout/entry.h"

struct store;

/* Writes the whole meta state into bytes; its size, or EMB_ERR_NO_SPACE if capacity is less. */
typedef int64_t store_snapshot_fn(void *arg, void *bytes, size_t capacity);

struct store_options {
    const char *path;    /* directory */
    bool create;         /* make it if missing */
    bool locked;         /* the caller holds the directory's lock, and keeps it for the store */
    uint32_t node;       /* whose store it is */
    uint32_t life;       /* of the log */
    uint64_t file_bytes; /* of log behind the snapshot, then a new file; 0: 256 MiB */
    uint64_t
        preallocate_bytes;  /* ahead of the end, so that a full disk still takes META; 0: 64 MiB */
    uint64_t staging_bytes; /* written but not yet on disk, at most; 0: 32 MiB */
    bool direct;            /* past the page cache where possible (normally true) */
    store_snapshot_fn *snapshot; /* called when a file is begun */
    void *snapshot_arg;
};

/*
 * Opens a directory without a log and locks it, unless the caller has; the store gets its UUID.
 * Nothing is written yet. EMB_ERR_NOT_FOUND missing (and not create), EMB_ERR_PERMISSION,
 * EMB_ERR_BUSY locked by another process (named), EMB_ERR_EXISTS it already holds a log (named;
 * never overwritten).
 */
int store_open(struct env *env, struct env_poller *poller, const struct store_options *options,
               struct store **store, struct error *err);
/*
 * Begins the log at a position, with a snapshot that holds everything below it; once, before the
 * first append. Blocks for one sync of the directory. On failure no file is left, and the store has
 * failed: its error.
 */
int store_begin(struct store *store, uint64_t first_position, struct error *err);
/*
 * Waits for writes under way. Does not sync by itself: what is not synced may be lost. Gives
 * reserved space back.
 */
void store_close(struct store *store);

/*
 * Appends one entry; positions rise (a jump is allowed: an interval ended). payload NULL: entry
 * only. The bytes are copied: they may be reused when this returns; the batch's own CRC has been
 * checked by the caller. EMB_OK, EMB_ERR_BUSY (staging is full or a file is being closed: call
 * again after store_do_work has returned work), EMB_ERR_BATCH_TOO_LARGE (above BATCH_MAX_BYTES or
 * more than the staging can ever hold; nothing is appended), or the store's failure.
 */
int store_append(struct store *store, uint64_t position, const struct goi_entry_shared *entry,
                 const void *payload, size_t payload_bytes);

/*
 * Makes all that is appended so far stable, in the background: pads to 4 KiB, records
 * durable_position (the D this node knew), writes and syncs. EMB_ERR_BUSY while an earlier sync
 * is under way. No-op (EMB_OK) when nothing was appended since the last one.
 */
int store_sync(struct store *store, uint64_t durable_position);
/*
 * Begins to write all that is appended so far, without a sync: pads to 4 KiB. What is written
 * counts for store_copied. No-op (EMB_OK) when nothing was appended since the last flush or sync.
 */
int store_flush(struct store *store);
bool store_sync_under_way(const struct store *store);
/* Appended, but not covered by a finished or started sync. */
uint64_t store_unsynced_bytes(const struct store *store);

/*
 * Submits full buffers and takes completions; returns work done. When a file is full it also
 * begins the next, which blocks for one sync of the directory.
 */
int store_do_work(struct store *store, uint64_t now_ns);

/*
 * First position not yet appended / whose write is not finished / not yet synced. Rising. The last
 * part of a buffer is only written by a sync, so that store_copied may stand still until then.
 */
uint64_t store_appended(const struct store *store);
uint64_t store_copied(const struct store *store);
uint64_t store_synced(const struct store *store);
/* EMB_OK, or why the store has ended (a failed write or sync): it takes nothing more, for good. */
int store_failure(const struct store *store, struct error *err);
const uint8_t *store_uuid(const struct store *store); /* 16 bytes */

struct store_counters {
    uint64_t appended_bytes;
    uint64_t payload_bytes;
    uint64_t entries;
    uint64_t syncs;
    uint64_t sync_ns_total;
    uint64_t files;
    const char *engine; /* "io_uring" or "thread" */
};
void store_counters(const struct store *store, struct store_counters *counters);

/* ---- reading a store that nobody has open for writing ---------------------------------------- */

enum store_frame_kind {
    STORE_FRAME_ENTRY = 1,    /* entry, and payload if payload_bytes > 0 */
    STORE_FRAME_SYNC = 2,     /* durable_position */
    STORE_FRAME_SNAPSHOT = 3, /* payload: the meta state */
    STORE_FRAME_PAD = 4,
};

struct store_frame {
    enum store_frame_kind kind;
    const char *file;
    uint64_t file_offset;
    uint64_t position;
    struct goi_entry_shared entry;
    const void *payload; /* valid during the callback */
    size_t payload_bytes;
    uint64_t durable_position;
};

struct store_summary {
    uint8_t uuid[16];
    uint32_t node;
    uint32_t life;
    uint64_t files;
    uint64_t bytes;
    uint64_t entries;
    uint64_t payloads;
    uint64_t payload_bytes;
    uint64_t first_position;
    uint64_t end_position;     /* after the last whole entry */
    uint64_t synced_position;  /* after the last entry before a sync record */
    uint64_t durable_position; /* the highest recorded */
    uint64_t corrupt; /* frames or batches that fail their CRC in what was synced for certain */
    bool torn_tail;   /* unfinished frames after that: normal after a crash */
};

/*
 * Reads every file in order, checks every CRC (of frames, entries and batches) and calls fn (may
 * be NULL) for each whole frame; a non-zero result ends the scan and is returned.
 * *err names file, offset and reason of the first corruption. EMB_ERR_NOT_FOUND: no store there;
 * EMB_ERR_BUSY: open for writing; EMB_ERR_VERSION; EMB_ERR_CORRUPT: *summary is filled all the
 * same. A sync is certain once the next one was recorded, or a clean close; damage in the last
 * group before a crash cannot be told from a write that the crash cut short, and counts as torn.
 */
int store_scan(struct env *env, const char *path,
               int (*fn)(void *arg, const struct store_frame *frame), void *arg,
               struct store_summary *summary, struct error *err);

#endif

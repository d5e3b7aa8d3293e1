/*
 * A store's state while it is written, shared by the files that write it: store.c (the contract),
 * roll.c (from one file to the next), progress.c (what is under way). Writer and reader: the
 * store's agent. Lifetime: store_open to store_close. Design: README.md.
 */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include "store/frame.h"
#include "store/staging.h"
#include "store/store.h"

/* A PAD and a SYNC frame need no more; kept free in the staging, so that a sync always fits. */
#define STORE_SYNC_RESERVE (2u * STORE_BLOCK_BYTES)

struct store_file {
    struct env_file *file; /* NULL: not begun yet */
    char name[STORE_NAME_BYTES];
    uint64_t first_position;
    uint64_t index;
    uint64_t head_bytes;  /* header block and snapshot */
    uint64_t stream_from; /* stream offset of what stands behind the head */
    uint64_t stream_end;  /* where the next file begins; only known when it is being closed */
    uint64_t end_position;
    uint64_t reserved_bytes;
    uint64_t synced_bytes; /* of the file, by a sync that has ended */
    bool has_entries;
    bool cannot_reserve;
};

/* Of the current file. Nothing of a file is written before its predecessor is synced. */
enum store_phase {
    STORE_WAITS, /* for the closing file */
    STORE_HEAD,  /* its head is being written */
    STORE_READY,
};

struct store_sync_state {
    bool active;
    bool submitted;
    bool closes;       /* a file, before the next may begin */
    uint64_t end;      /* stream offset */
    uint64_t position; /* synced up to here when it is done */
    struct env_file *file;
    uint64_t started_ns;
};

struct store {
    struct env *env;
    struct env_dir *dir;
    struct env_io *io;
    struct store_options options; /* defaults filled in; path is owned */
    uint8_t uuid[16];
    struct staging staging;
    struct store_file current;
    struct store_file closing; /* file NULL: none */
    enum store_phase phase;
    bool begun; /* store_begin has been there */
    void *head; /* of the current file, until it is written */
    struct store_sync_state sync;
    uint64_t appended;
    uint64_t synced;
    uint64_t durable_position;
    uint64_t unsynced_bytes;
    struct error failure;
    struct store_counters counters;
};

/* The first failure ends the store; later ones are its consequences. */
int store_fail(struct store *store, int code, const char *file, const char *what, uint64_t offset);

static inline uint64_t store_file_offset(const struct store_file *file, uint64_t stream_offset)
{
    return file->head_bytes + (stream_offset - file->stream_from);
}

/* ---- store.c --------------------------------------------------------------------------------- */

/* Appends a PAD and a SYNC frame, which ends a block, and flushes. */
void store_put_sync(struct store *store, bool last);

/* ---- roll.c ---------------------------------------------------------------------------------- */

/* Prepares the head of a file that begins with this position, the snapshot with it. */
int store_prepare_file(struct store *store, struct store_file *file, uint64_t first_position,
                       uint64_t index, struct error *err);
/* Creates the current file in the directory and starts to write its head. Blocks shortly. */
int store_begin_file(struct store *store, struct error *err);
/* Ends the current file and makes the next one current. EMB_ERR_BUSY while another is closing. */
int store_roll(struct store *store, uint64_t position);
/* The closing file is synced: lets go of it and begins the next. */
void store_closed_file(struct store *store);
/* Keeps space reserved ahead of what is about to be written, where it could not be at once. */
void store_reserve_ahead(struct store *store, uint64_t offset);

/* ---- progress.c ------------------------------------------------------------------------------ */

/* Gives what is ready to be written to the queue; how many writes. */
int store_submit(struct store *store);

#endif

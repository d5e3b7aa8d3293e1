/*
 * What is appended but not yet on disk: a ring of memory that holds a stretch of one endless
 * stream of bytes. It is cut into chunks; a full chunk is written at once, part of one only after
 * a flush. Stream offsets never restart; files are cut out of the stream by the store.
 *
 * Writer, reader, owner: the store's agent. Lifetime: the store's. Design: README.md.
 */
#ifndef STORE_STAGING_H
#define STORE_STAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAGING_WRITES_MAX 32u /* under way at once */

/* One write: stream offsets, multiples of 4096, never across the end of a chunk. */
struct staging_piece {
    uint64_t from;
    uint64_t end;
    uint64_t position; /* first whose frame does not end at or before `end` */
    bool finished;
};

struct staging {
    unsigned char *bytes;
    uint64_t capacity;
    uint64_t chunk_bytes;
    uint64_t tail;            /* copied in up to here */
    uint64_t flushed;         /* to be written up to here, though it is no chunk's end */
    uint64_t submitted;       /* given to be written */
    uint64_t done;            /* written, without a hole */
    uint64_t done_position;   /* first whose frame is not written whole */
    uint64_t flush_position;  /* the same for what was flushed */
    uint64_t *chunk_position; /* the same for each chunk's end */
    struct staging_piece pieces[STAGING_WRITES_MAX];
    uint64_t piece_next; /* number of the next write */
    uint64_t piece_done; /* writes below are finished */
};

/* The capacity becomes a multiple of 64 KiB. The pages are touched. False: no memory. */
bool staging_init(struct staging *staging, uint64_t bytes, uint64_t first_position);
void staging_free(struct staging *staging);

static inline bool staging_fits(const struct staging *staging, uint64_t bytes)
{
    return staging->tail + bytes <= staging->done + staging->capacity;
}

/* The caller has asked staging_fits. */
void staging_put(struct staging *staging, const void *bytes, size_t count);
void staging_put_zeros(struct staging *staging, size_t count);
/* A frame that began at stream offset `from` ends at the tail; before and after it stands there. */
void staging_frame_ends(struct staging *staging, uint64_t from, uint64_t position_before,
                        uint64_t position_after);
/* All up to the tail, which ends a block, is to be written. */
void staging_flush(struct staging *staging, uint64_t position);

/* The next bytes to write below `limit`; false when there are none, or too many under way. */
bool staging_next(const struct staging *staging, uint64_t limit, struct staging_piece *piece);
/* They are being written; the number by which staging_finish knows them. */
uint64_t staging_submit(struct staging *staging, const struct staging_piece *piece);
void staging_finish(struct staging *staging, uint64_t number);

static inline const void *staging_at(const struct staging *staging, uint64_t stream_offset)
{
    return staging->bytes + stream_offset % staging->capacity;
}

static inline const struct staging_piece *staging_piece(const struct staging *staging,
                                                        uint64_t number)
{
    return &staging->pieces[number % STAGING_WRITES_MAX];
}

#endif

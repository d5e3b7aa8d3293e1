#include "store/staging.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "store/format.h"

#define CHUNKS 16u

bool staging_init(struct staging *staging, uint64_t bytes, uint64_t first_position)
{
    memset(staging, 0, sizeof(*staging));
    staging->capacity = align_up(max_u64(bytes, 1), (uint64_t)CHUNKS * STORE_BLOCK_BYTES);
    staging->chunk_bytes = staging->capacity / CHUNKS;
    staging->done_position = staging->flush_position = first_position;
    staging->bytes = aligned_alloc(STORE_BLOCK_BYTES, staging->capacity);
    staging->chunk_position = calloc(CHUNKS, sizeof(*staging->chunk_position));
    if (!staging->bytes || !staging->chunk_position) {
        staging_free(staging);
        return false;
    }
    memset(staging->bytes, 0, staging->capacity); /* else the first appends pay for page faults */
    return true;
}

void staging_free(struct staging *staging)
{
    free(staging->bytes);
    free(staging->chunk_position);
    staging->bytes = NULL;
    staging->chunk_position = NULL;
}

void staging_put(struct staging *staging, const void *bytes, size_t count)
{
    ASSERT(staging_fits(staging, count));
    uint64_t at = staging->tail % staging->capacity;
    size_t first = min_u64(count, staging->capacity - at);
    memcpy(staging->bytes + at, bytes, first);
    if (count > first)
        memcpy(staging->bytes, (const char *)bytes + first, count - first);
    staging->tail += count;
}

void staging_put_zeros(struct staging *staging, size_t count)
{
    static const unsigned char zeros[STORE_FRAME_ALIGN];
    ASSERT(count <= sizeof(zeros));
    if (count)
        staging_put(staging, zeros, count);
}

static uint64_t *chunk_position_at(const struct staging *staging, uint64_t chunk_end)
{
    return &staging->chunk_position[chunk_end / staging->chunk_bytes % CHUNKS];
}

void staging_frame_ends(struct staging *staging, uint64_t from, uint64_t position_before,
                        uint64_t position_after)
{
    uint64_t chunk = staging->chunk_bytes;
    for (uint64_t end = (from / chunk + 1) * chunk; end <= staging->tail; end += chunk)
        *chunk_position_at(staging, end) = end == staging->tail ? position_after : position_before;
}

void staging_flush(struct staging *staging, uint64_t position)
{
    ASSERT(staging->tail % STORE_BLOCK_BYTES == 0);
    staging->flushed = staging->tail;
    staging->flush_position = position;
}

bool staging_next(const struct staging *staging, uint64_t limit, struct staging_piece *piece)
{
    uint64_t chunk = staging->chunk_bytes;
    uint64_t ready = max_u64(staging->tail / chunk * chunk, staging->flushed);
    uint64_t chunk_end = (staging->submitted / chunk + 1) * chunk;
    if (staging->submitted >= min_u64(ready, limit) ||
        staging->piece_next - staging->piece_done == STAGING_WRITES_MAX)
        return false;
    piece->from = staging->submitted;
    piece->end = min_u64(chunk_end, min_u64(ready, limit));
    /* What is no chunk's end is the flush, or a limit, which is set together with a flush. */
    piece->position =
        piece->end == chunk_end ? *chunk_position_at(staging, chunk_end) : staging->flush_position;
    piece->finished = false;
    return true;
}

uint64_t staging_submit(struct staging *staging, const struct staging_piece *piece)
{
    ASSERT(piece->from == staging->submitted && piece->end > piece->from);
    staging->submitted = piece->end;
    staging->pieces[staging->piece_next % STAGING_WRITES_MAX] = *piece;
    return staging->piece_next++;
}

void staging_finish(struct staging *staging, uint64_t number)
{
    ASSERT(number >= staging->piece_done && number < staging->piece_next);
    staging->pieces[number % STAGING_WRITES_MAX].finished = true;
    while (staging->piece_done < staging->piece_next) {
        const struct staging_piece *piece = staging_piece(staging, staging->piece_done);
        if (!piece->finished)
            return;
        staging->done = piece->end;
        staging->done_position = piece->position;
        staging->piece_done++;
    }
}

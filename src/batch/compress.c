/*
 * How it works: a frame rarely says how much comes out of it, so the output starts at a guess and
 * the frame is decompressed anew into twice the room until it fits or max_bytes is reached.
 * Starting anew costs at most as much again, and keeps the decoders from windows of a size that the
 * frame chooses.
 */
#include "batch/compress.h"

#include <inttypes.h>
#include <lz4frame.h>
#include <stdint.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/bits.h"

#define GUESS_FACTOR    4u
#define GUESS_MIN_BYTES (64u << 10)

enum outcome { DONE, ROOM_TOO_SMALL, CORRUPT, NO_MEMORY };

/* Kafka's reader refuses frames whose blocks depend on each other. */
static LZ4F_preferences_t lz4_preferences(int level)
{
    return (LZ4F_preferences_t){
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level,
    };
}

size_t compress_bound(size_t bytes)
{
    LZ4F_preferences_t preferences = lz4_preferences(0);
    return max_u64(LZ4F_compressFrameBound(bytes, &preferences), ZSTD_compressBound(bytes));
}

static ssize_t compress_lz4(int level, const void *from, size_t bytes, void *to, size_t capacity)
{
    LZ4F_preferences_t preferences = lz4_preferences(level);
    if (capacity < LZ4F_compressFrameBound(bytes, &preferences))
        return EMB_ERR_INTERNAL;
    size_t result = LZ4F_compressFrame(to, capacity, from, bytes, &preferences);
    return LZ4F_isError(result) ? EMB_ERR_NO_MEMORY : (ssize_t)result;
}

static ssize_t compress_zstd(int level, const void *from, size_t bytes, void *to, size_t capacity)
{
    size_t result = ZSTD_compress(to, capacity, from, bytes, level);
    if (!ZSTD_isError(result))
        return (ssize_t)result;
    return ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation ? EMB_ERR_NO_MEMORY
                                                                     : EMB_ERR_INTERNAL;
}

ssize_t compress_frame(enum batch_compression compression, int level, const void *from,
                       size_t bytes, void *to, size_t capacity)
{
    switch (compression) {
    case BATCH_LZ4:
        return compress_lz4(level, from, bytes, to, capacity);
    case BATCH_ZSTD:
        return compress_zstd(level, from, bytes, to, capacity);
    case BATCH_NONE:
        break;
    }
    return EMB_ERR_INTERNAL;
}

static enum outcome lz4_decode(LZ4F_dctx *context, const unsigned char *from, size_t bytes,
                               unsigned char *to, size_t *to_bytes)
{
    LZ4F_decompressOptions_t options = {.stableDst = 1};
    size_t capacity = *to_bytes, produced = 0, consumed = 0, hint = 1;
    while (hint != 0) {
        size_t out = capacity - produced, in = bytes - consumed;
        hint = LZ4F_decompress(context, to + produced, &out, from + consumed, &in, &options);
        if (LZ4F_isError(hint))
            return CORRUPT;
        produced += out;
        consumed += in;
        if (hint != 0 && out == 0 && in == 0)
            return produced == capacity ? ROOM_TOO_SMALL : CORRUPT;
    }
    *to_bytes = produced;
    return consumed == bytes ? DONE : CORRUPT;
}

static enum outcome decompress_lz4(const void *from, size_t bytes, void *to, size_t *to_bytes)
{
    LZ4F_dctx *context;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return NO_MEMORY;
    enum outcome outcome = lz4_decode(context, from, bytes, to, to_bytes);
    LZ4F_freeDecompressionContext(context);
    return outcome;
}

static enum outcome decompress_zstd(const void *from, size_t bytes, void *to, size_t *to_bytes)
{
    size_t result = ZSTD_decompress(to, *to_bytes, from, bytes);
    if (!ZSTD_isError(result)) {
        *to_bytes = result;
        return DONE;
    }
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_dstSize_tooSmall:
        return ROOM_TOO_SMALL;
    case ZSTD_error_memory_allocation:
        return NO_MEMORY;
    default:
        return CORRUPT;
    }
}

/* How much room to begin with: what a zstd frame says it holds, if it says so, else a guess. */
static size_t room_guess(enum batch_compression compression, const void *from, size_t bytes)
{
    if (compression == BATCH_ZSTD) {
        unsigned long long said = ZSTD_getFrameContentSize(from, bytes);
        if (said < ZSTD_CONTENTSIZE_ERROR)
            return max_u64(said, 1);
    }
    return bytes * GUESS_FACTOR + GUESS_MIN_BYTES;
}

static int outcome_error(enum outcome outcome, size_t bytes, size_t max_bytes, struct error *err)
{
    switch (outcome) {
    case DONE:
        return EMB_OK;
    case ROOM_TOO_SMALL:
        return error_set(err, EMB_ERR_BATCH_TOO_LARGE,
                         "the batch's %zu compressed bytes hold more than %zu, which is the limit",
                         bytes, max_bytes);
    case NO_MEMORY:
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory to decompress a batch of %zu bytes",
                         bytes);
    case CORRUPT:
        break;
    }
    return error_set(err, EMB_ERR_CORRUPT_BATCH,
                     "the batch's %zu compressed bytes are not one whole lz4 or zstd frame, as its "
                     "attributes say",
                     bytes);
}

int decompress_frame(enum batch_compression compression, const void *from, size_t bytes,
                     size_t max_bytes, void **to, size_t *to_bytes, struct error *err)
{
    size_t room = min_u64(room_guess(compression, from, bytes), max_bytes);
    for (;;) {
        enum outcome outcome = NO_MEMORY;
        *to_bytes = room;
        *to = malloc(max_u64(room, 1));
        if (*to)
            outcome = compression == BATCH_LZ4 ? decompress_lz4(from, bytes, *to, to_bytes)
                                               : decompress_zstd(from, bytes, *to, to_bytes);
        if (outcome == DONE)
            return EMB_OK;
        free(*to);
        *to = NULL;
        if (outcome != ROOM_TOO_SMALL || room == max_bytes)
            return outcome_error(outcome, bytes, max_bytes, err);
        room = min_u64(room * 2, max_bytes);
    }
}

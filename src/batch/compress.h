/*
 * Compression of a batch's records, in the formats that Kafka uses: one LZ4 frame (not a bare
 * block) with independent blocks, or one Zstandard frame. Only for src/batch; any thread;
 * allocates.
 */
#ifndef BATCH_COMPRESS_H
#define BATCH_COMPRESS_H

#include <stddef.h>
#include <sys/types.h>

#include "batch/batch.h"

/* Bytes that compress_frame may need for `bytes` of records, whatever the format. */
size_t compress_bound(size_t bytes);
/* The frame's bytes, EMB_ERR_INTERNAL (no such format, room too small) or EMB_ERR_NO_MEMORY. */
ssize_t compress_frame(enum batch_compression compression, int level, const void *from,
                       size_t bytes, void *to, size_t capacity);
/*
 * Decompresses one whole frame into *to, which the caller frees. No more than max_bytes are ever
 * allocated for it, whatever the frame says of itself. EMB_OK, EMB_ERR_CORRUPT_BATCH,
 * EMB_ERR_BATCH_TOO_LARGE (more than max_bytes come out) or EMB_ERR_NO_MEMORY.
 */
int decompress_frame(enum batch_compression compression, const void *from, size_t bytes,
                     size_t max_bytes, void **to, size_t *to_bytes, struct error *err);

#endif

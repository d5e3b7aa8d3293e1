/*
 * What stands in a store's files, byte for byte. Writer: frame.c for the one agent that owns the
 * store. Readers: scan.c. Lifetime: as long as the disk; a change needs a new STORE_VERSION.
 * Little-endian. Tables: docs/formats.md, "Store". Design: 3-protocol, "3. Replicate".
 */
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "layout/entry.h"

#define STORE_VERSION      1u
#define STORE_BLOCK_BYTES  4096u /* what is synced is never written again in part */
#define STORE_FRAME_ALIGN  32u
#define STORE_FILE_MAGIC   0x45524f5453424d45ULL /* "EMBSTORE" */
#define STORE_FRAME_MAGIC  0x46424d45u           /* "EMBF" */
#define STORE_NAME_DIGITS  20
#define STORE_NAME_BYTES   (STORE_NAME_DIGITS + sizeof(".log"))
#define STORE_BATCH_PREFIX 61u /* of a batch; its own CRC begins within these */

/*
 * The first block of a file.
 *   0 magic:8  8 version:4  12 block_bytes:4  16 uuid:16  32 node:4  36 life:4
 *  40 first_position:8  48 file_index:8 (0, 1, 2, ... within the store)  56 zero  4092 crc:4
 */
struct store_file_header {
    uint64_t magic;
    uint32_t version;
    uint32_t block_bytes;
    uint8_t uuid[16];
    uint32_t node;
    uint32_t life;
    uint64_t first_position;
    uint64_t file_index;
    uint8_t zero[4036];
    uint32_t crc;
};

enum store_frame_flags {
    STORE_FLAG_WHOLE = 1, /* the CRC covers all of the frame, not only an entry's first bytes */
    STORE_FLAG_LAST = 2,  /* SYNC: nothing follows in this file */
};

/*
 * Before each frame, at a multiple of 32 bytes.
 *   0 magic:4  4 kind:1  5 flags:1  6 reserved:2  8 total_bytes:4 (with this header, multiple of
 * 32) 12 payload_bytes:4  16 position:8  24 reserved:4  28 crc:4 The CRC32C covers the file's first
 * position:8 and the frame's offset in the file:8, which are not written, so that a frame is right
 * in one place only; then bytes 0 to 27; then the frame's body: all of it, or without
 * STORE_FLAG_WHOLE the entry and the first 61 bytes of the payload.
 */
struct store_frame_header {
    uint32_t magic;
    uint8_t kind;
    uint8_t flags;
    uint16_t reserved;
    uint32_t total_bytes;
    uint32_t payload_bytes;
    uint64_t position;
    uint32_t reserved2;
    uint32_t crc;
};

/*
 * A SYNC frame: the last 64 bytes of a block, so that it is found without the frames before it. It
 * is written before the sync that it stands for, so it does not prove that one, but those before:
 * synced_bytes of the file were synced when it was made.
 *  32 durable_position:8  40 synced_bytes:8  48 uuid:16
 */
struct store_sync_frame {
    struct store_frame_header header;
    uint64_t durable_position;
    uint64_t synced_bytes;
    uint8_t uuid[16];
};

/* What an ENTRY frame starts with: the payload follows, then zeros. */
struct store_entry_frame {
    struct store_frame_header header;
    struct goi_entry_shared entry;
};

_Static_assert(sizeof(struct store_file_header) == STORE_BLOCK_BYTES, "one block");
_Static_assert(offsetof(struct store_file_header, uuid) == 16, "store format");
_Static_assert(offsetof(struct store_file_header, first_position) == 40, "store format");
_Static_assert(offsetof(struct store_file_header, crc) == 4092, "store format");
_Static_assert(sizeof(struct store_frame_header) == STORE_FRAME_ALIGN, "store format");
_Static_assert(offsetof(struct store_frame_header, position) == 16, "store format");
_Static_assert(offsetof(struct store_frame_header, crc) == 28, "store format");
_Static_assert(sizeof(struct store_sync_frame) == 64, "store format");
_Static_assert(offsetof(struct store_sync_frame, uuid) == 48, "store format");
_Static_assert(sizeof(struct store_entry_frame) == 96, "store format");

/* Bytes that a frame with this much after its header takes. */
static inline uint64_t store_frame_total(uint64_t body_bytes)
{
    return align_up(sizeof(struct store_frame_header) + body_bytes, STORE_FRAME_ALIGN);
}

/* Bytes of the PAD frame that a SYNC frame at or after `offset` needs before it; 0: none. */
static inline uint64_t store_pad_bytes(uint64_t offset)
{
    uint64_t end = align_up(offset + sizeof(struct store_sync_frame), STORE_BLOCK_BYTES);
    return end - sizeof(struct store_sync_frame) - offset;
}

#endif

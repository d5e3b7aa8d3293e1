/*
 * Building and checking single frames and file headers, in the caller's memory. Pure; any thread.
 * Writer of what it builds: the store's agent; reader: a scan. Design: format.h.
 */
#ifndef STORE_FRAME_H
#define STORE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "store/format.h"
#include "store/store.h"

/* Where a frame stands; part of what its CRC covers. */
struct frame_place {
    uint64_t file_first_position;
    uint64_t offset;
};

/* An ENTRY frame up to where the payload can be copied as it is. */
struct frame_entry_head {
    struct store_entry_frame frame;
    unsigned char prefix[STORE_BATCH_PREFIX]; /* of the payload */
    unsigned char unused[3];
};

void frame_file_header(struct store_file_header *header, const uint8_t uuid[16], uint32_t node,
                       uint32_t life, uint64_t first_position, uint64_t file_index);
bool frame_file_header_is_whole(const struct store_file_header *header);

/*
 * Fills *head and returns how many of its bytes are to be written; payload bytes from
 * STORE_BATCH_PREFIX on follow them, then zeros up to total_bytes. Payload of kinds that are no
 * batches is covered by the CRC whole.
 */
size_t frame_entry(struct frame_entry_head *head, struct frame_place place, uint64_t position,
                   const struct goi_entry_shared *entry, const void *payload, size_t payload_bytes);
void frame_sync(struct store_sync_frame *frame, struct frame_place place, uint64_t position,
                uint64_t durable_position, uint64_t synced_bytes, const uint8_t uuid[16],
                bool last);
/* Writes a PAD frame of total_bytes (a multiple of 32) with its zeros. */
void frame_pad(void *bytes, struct frame_place place, uint64_t position, uint64_t total_bytes);
/* Completes a SNAPSHOT frame whose payload stands behind room for the header; its total bytes. */
uint64_t frame_snapshot(void *bytes, struct frame_place place, uint64_t position,
                        uint64_t payload_bytes);

/* Whether the header makes sense for its kind and fits into `available` bytes. Not the CRC. */
bool frame_header_is_sane(const struct store_frame_header *header, uint64_t available);
/* Whether the CRC of a sane frame, whose total_bytes stand at `bytes`, is right. */
bool frame_is_whole(const void *bytes, struct frame_place place);

/* NAME is `position`.log with 20 digits. */
void frame_file_name(char name[STORE_NAME_BYTES], uint64_t first_position);
/* False if it is not the name of a store's file. */
bool frame_file_name_read(const char *name, uint64_t *first_position);

#endif

#include "store/frame.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "batch/batch.h"

_Static_assert(STORE_BATCH_PREFIX == BATCH_HEADER_BYTES, "what a frame covers of a batch");

void frame_file_header(struct store_file_header *header, const uint8_t uuid[16], uint32_t node,
                       uint32_t life, uint64_t first_position, uint64_t file_index)
{
    memset(header, 0, sizeof(*header));
    header->magic = STORE_FILE_MAGIC;
    header->version = STORE_VERSION;
    header->block_bytes = STORE_BLOCK_BYTES;
    memcpy(header->uuid, uuid, sizeof(header->uuid));
    header->node = node;
    header->life = life;
    header->first_position = first_position;
    header->file_index = file_index;
    header->crc = crc32c(header, offsetof(struct store_file_header, crc));
}

bool frame_file_header_is_whole(const struct store_file_header *header)
{
    return header->magic == STORE_FILE_MAGIC &&
           header->crc == crc32c(header, offsetof(struct store_file_header, crc));
}

static uint32_t frame_crc(const struct store_frame_header *header, struct frame_place place,
                          const void *body, size_t body_bytes)
{
    uint64_t where[2] = {place.file_first_position, place.offset};
    uint32_t crc = crc32c(where, sizeof(where));
    crc = crc32c_extend(crc, header, offsetof(struct store_frame_header, crc));
    return crc32c_extend(crc, body, body_bytes);
}

static void header_fill(struct store_frame_header *header, enum store_frame_kind kind,
                        unsigned flags, uint64_t position, uint64_t total_bytes,
                        uint64_t payload_bytes)
{
    memset(header, 0, sizeof(*header));
    header->magic = STORE_FRAME_MAGIC;
    header->kind = (uint8_t)kind;
    header->flags = (uint8_t)flags;
    header->total_bytes = (uint32_t)total_bytes;
    header->payload_bytes = (uint32_t)payload_bytes;
    header->position = position;
}

static bool entry_carries_batch(const struct goi_entry_shared *entry)
{
    return entry->kind == ENTRY_DATA || entry->kind == ENTRY_META;
}

size_t frame_entry(struct frame_entry_head *head, struct frame_place place, uint64_t position,
                   const struct goi_entry_shared *entry, const void *payload, size_t payload_bytes)
{
    struct store_entry_frame *frame = &head->frame;
    size_t prefix = min_u64(payload_bytes, STORE_BATCH_PREFIX);
    unsigned flags = entry_carries_batch(entry) ? 0 : STORE_FLAG_WHOLE;
    header_fill(&frame->header, STORE_FRAME_ENTRY, flags, position,
                store_frame_total(sizeof(*entry) + payload_bytes), payload_bytes);
    frame->entry = *entry;
    if (prefix)
        memcpy(head->prefix, payload, prefix);
    uint32_t crc = frame_crc(&frame->header, place, &frame->entry, sizeof(*entry) + prefix);
    if ((flags & STORE_FLAG_WHOLE) && payload_bytes > prefix)
        crc = crc32c_extend(crc, (const char *)payload + prefix, payload_bytes - prefix);
    frame->header.crc = crc;
    return sizeof(*frame) + prefix;
}

void frame_sync(struct store_sync_frame *frame, struct frame_place place, uint64_t position,
                uint64_t durable_position, uint64_t synced_bytes, const uint8_t uuid[16], bool last)
{
    header_fill(&frame->header, STORE_FRAME_SYNC, STORE_FLAG_WHOLE | (last ? STORE_FLAG_LAST : 0u),
                position, sizeof(*frame), 0);
    frame->durable_position = durable_position;
    frame->synced_bytes = synced_bytes;
    memcpy(frame->uuid, uuid, sizeof(frame->uuid));
    frame->header.crc = frame_crc(&frame->header, place, &frame->header + 1,
                                  sizeof(*frame) - sizeof(frame->header));
}

void frame_pad(void *bytes, struct frame_place place, uint64_t position, uint64_t total_bytes)
{
    struct store_frame_header *header = bytes;
    ASSERT(total_bytes >= sizeof(*header) && total_bytes % STORE_FRAME_ALIGN == 0);
    memset(bytes, 0, total_bytes);
    header_fill(header, STORE_FRAME_PAD, STORE_FLAG_WHOLE, position, total_bytes, 0);
    header->crc = frame_crc(header, place, header + 1, total_bytes - sizeof(*header));
}

uint64_t frame_snapshot(void *bytes, struct frame_place place, uint64_t position,
                        uint64_t payload_bytes)
{
    struct store_frame_header *header = bytes;
    uint64_t total_bytes = store_frame_total(payload_bytes);
    memset((char *)bytes + sizeof(*header) + payload_bytes, 0,
           total_bytes - sizeof(*header) - payload_bytes);
    header_fill(header, STORE_FRAME_SNAPSHOT, STORE_FLAG_WHOLE, position, total_bytes,
                payload_bytes);
    header->crc = frame_crc(header, place, header + 1, total_bytes - sizeof(*header));
    return total_bytes;
}

/* What total_bytes must be for the kind; 0 for an unknown kind. */
static uint64_t total_expected(const struct store_frame_header *header)
{
    switch (header->kind) {
    case STORE_FRAME_ENTRY:
        return header->payload_bytes > BATCH_MAX_BYTES
                   ? 0
                   : store_frame_total(sizeof(struct goi_entry_shared) + header->payload_bytes);
    case STORE_FRAME_SYNC:
        return header->payload_bytes ? 0 : sizeof(struct store_sync_frame);
    case STORE_FRAME_SNAPSHOT:
        return store_frame_total(header->payload_bytes);
    case STORE_FRAME_PAD:
        return header->payload_bytes ? 0 : align_up(header->total_bytes, STORE_FRAME_ALIGN);
    default:
        return 0;
    }
}

bool frame_header_is_sane(const struct store_frame_header *header, uint64_t available)
{
    return header->magic == STORE_FRAME_MAGIC && header->total_bytes >= sizeof(*header) &&
           header->total_bytes <= available && header->total_bytes == total_expected(header) &&
           (header->kind != STORE_FRAME_PAD || header->total_bytes <= 2 * STORE_BLOCK_BYTES);
}

static bool is_zero(const unsigned char *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (bytes[i])
            return false;
    return true;
}

bool frame_is_whole(const void *bytes, struct frame_place place)
{
    struct store_frame_header header;
    memcpy(&header, bytes, sizeof(header));
    const unsigned char *body = (const unsigned char *)bytes + sizeof(header);
    uint64_t body_bytes = header.total_bytes - sizeof(header);
    uint64_t covered = body_bytes;
    if (header.kind == STORE_FRAME_ENTRY) {
        uint64_t used = sizeof(struct goi_entry_shared) + header.payload_bytes;
        if (!is_zero(body + used, body_bytes - used))
            return false;
        covered = used;
        if (!(header.flags & STORE_FLAG_WHOLE))
            covered = min_u64(used, sizeof(struct goi_entry_shared) + STORE_BATCH_PREFIX);
    }
    return header.crc == frame_crc(&header, place, body, covered);
}

void frame_file_name(char name[STORE_NAME_BYTES], uint64_t first_position)
{
    snprintf(name, STORE_NAME_BYTES, "%020llu.log", (unsigned long long)first_position);
}

bool frame_file_name_read(const char *name, uint64_t *first_position)
{
    uint64_t value = 0;
    if (strlen(name) != STORE_NAME_BYTES - 1 || strcmp(name + STORE_NAME_DIGITS, ".log") != 0)
        return false;
    for (int i = 0; i < STORE_NAME_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(name[i] - '0'), &value))
            return false;
    }
    *first_position = value;
    return true;
}

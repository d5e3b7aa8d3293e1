/*
 * Fuzz target: a store written by somebody else, on a disk in memory. The input says what stands
 * in two files: frames with right CRCs and any contents, raw bytes, and at the end bytes that are
 * flipped. A scan must come back, hand out only what lies in the file, and positions that rise.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"
#include "base/fuzz_input.h"
#include "batch/batch.h"
#include "meta/meta.h"
#include "store/fake_env.h"
#include "store/frame.h"

#define PATH      "/disk/store"
#define FILE_MOST (256u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

enum op { OP_END, OP_ENTRY, OP_SYNC, OP_PAD, OP_SNAPSHOT, OP_RAW, OP_BLOCK, OP_COUNT };

struct image {
    unsigned char bytes[FILE_MOST];
    uint64_t used;
    uint64_t first_position;
    uint64_t position;
    uint8_t uuid[16];
};

/* Frames begin at multiples of 32: what is put in between takes as much. */
static unsigned char *room(struct image *image, uint64_t bytes)
{
    bytes = align_up(bytes, STORE_FRAME_ALIGN);
    if (image->used + bytes > FILE_MOST)
        return NULL;
    unsigned char *at = image->bytes + image->used;
    image->used += bytes;
    return at;
}

static struct frame_place place(const struct image *image)
{
    return (struct frame_place){image->first_position, image->used};
}

/* A payload from the input, or a batch that holds, by the kind of the entry. */
static const void *payload_take(struct fuzz_input *in, struct goi_entry_shared *entry,
                                unsigned char batch[META_BATCH_BYTES], size_t *bytes)
{
    struct batch_builder builder;
    struct record record = {.value = "value", .value_bytes = 5};
    void *finished = NULL;
    if (entry->kind != ENTRY_DATA || (input_u8(in) & 1))
        return input_bytes(in, input_u8(in), bytes);
    batch_builder_init(&builder, batch, META_BATCH_BYTES);
    ASSERT(batch_append(&builder, &record));
    *bytes =
        (size_t)batch_finish(&builder, NO_SESSION, NO_SEQUENCE, BATCH_NONE, 0, NULL, 0, &finished);
    entry->session = NO_SESSION;
    entry->client_sequence = NO_SEQUENCE;
    entry->message_count = 1;
    put_u48(entry->timestamp_ms, 0);
    return finished;
}

static void put_entry(struct image *image, struct fuzz_input *in)
{
    struct goi_entry_shared entry;
    struct frame_entry_head head = {0};
    unsigned char batch[META_BATCH_BYTES];
    size_t bytes;
    input_fill(in, &entry, sizeof entry);
    const unsigned char *payload = payload_take(in, &entry, batch, &bytes);
    image->position += input_u8(in);
    entry.crc = crc32c_extend(crc32c(&entry, offsetof(struct goi_entry_shared, crc)),
                              &image->position, sizeof image->position);
    size_t put = frame_entry(&head, place(image), image->position, &entry, payload, bytes);
    unsigned char *to = room(image, head.frame.header.total_bytes);
    if (!to)
        return;
    memcpy(to, &head, put);
    if (bytes > STORE_BATCH_PREFIX)
        memcpy(to + put, payload + STORE_BATCH_PREFIX, bytes - STORE_BATCH_PREFIX);
}

static void put_sync(struct image *image, struct fuzz_input *in)
{
    struct store_sync_frame frame;
    uint8_t flags = input_u8(in);
    uint64_t synced = flags & 2 ? input_u64(in) : image->used;
    frame_sync(&frame, place(image), image->position, input_u16(in), synced, image->uuid,
               flags & 1);
    unsigned char *to = room(image, sizeof frame);
    if (to)
        memcpy(to, &frame, sizeof frame);
}

static void put_pad(struct image *image, struct fuzz_input *in)
{
    uint64_t bytes = input_u8(in) & 1 ? store_pad_bytes(image->used)
                                      : STORE_FRAME_ALIGN * (1 + (uint64_t)input_u8(in));
    struct frame_place at = place(image);
    unsigned char *to = bytes ? room(image, bytes) : NULL;
    if (to)
        frame_pad(to, at, image->position, bytes);
}

static void put_snapshot(struct image *image, struct fuzz_input *in)
{
    size_t count;
    const uint8_t *bytes = input_bytes(in, input_u8(in), &count);
    struct frame_place at = place(image);
    unsigned char *to = room(image, store_frame_total(count));
    if (!to)
        return;
    memcpy(to + sizeof(struct store_frame_header), bytes, count);
    frame_snapshot(to, at, image->position, count);
}

static void put_raw(struct image *image, struct fuzz_input *in)
{
    size_t count;
    const uint8_t *bytes = input_bytes(in, input_u8(in), &count);
    unsigned char *to = room(image, count);
    if (to && count)
        memcpy(to, bytes, count);
}

static void image_begin(struct image *image, struct fuzz_input *in, uint64_t index)
{
    struct store_file_header header;
    uint8_t flags = input_u8(in);
    image->used = 0;
    image->first_position += flags & 0xf;
    image->position = image->first_position;
    memset(image->uuid, flags >> 7, sizeof image->uuid);
    memset(image->bytes, 0, sizeof image->bytes);
    frame_file_header(&header, image->uuid, 1, 1, image->first_position + (flags >> 6 & 1),
                      index + (flags >> 5 & 1));
    memcpy(room(image, sizeof header), &header, sizeof header);
}

static void image_fill(struct image *image, struct fuzz_input *in)
{
    for (;;) {
        switch ((enum op)(input_u8(in) % OP_COUNT)) {
        case OP_ENTRY:
            put_entry(image, in);
            break;
        case OP_SYNC:
            put_sync(image, in);
            break;
        case OP_PAD:
            put_pad(image, in);
            break;
        case OP_SNAPSHOT:
            put_snapshot(image, in);
            break;
        case OP_RAW:
            put_raw(image, in);
            break;
        case OP_BLOCK: /* where a SYNC frame would stand */
            image->used = min_u64(FILE_MOST, image->used + store_pad_bytes(image->used));
            break;
        default:
            return;
        }
    }
}

static void image_write(struct env *env, struct image *image, struct fuzz_input *in)
{
    char name[STORE_NAME_BYTES];
    struct env_dir *dir;
    struct env_file *file;
    for (int flips = input_u8(in) % 4; flips > 0; flips--) {
        uint64_t at = input_u32(in) % image->used;
        image->bytes[at] ^= input_u8(in);
    }
    uint64_t bytes = image->used - input_u16(in) % image->used;
    frame_file_name(name, image->first_position);
    ASSERT(env_dir_open(env, PATH, ENV_DIR_CREATE, &dir, NULL) == EMB_OK);
    ASSERT(env_file_open(dir, name, ENV_FILE_CREATE, &file, NULL) == EMB_OK);
    fake_resize(file, bytes);
    memcpy(file->now.bytes, image->bytes, bytes);
    env_dir_close(dir);
}

static int frame_look(void *arg, const struct store_frame *frame)
{
    uint64_t *next = arg;
    static volatile uint32_t seen; /* every byte handed out is read */
    seen = crc32c(frame->payload, frame->payload_bytes);
    (void)seen;
    if (frame->kind == STORE_FRAME_ENTRY) {
        ASSERT(frame->position >= *next);
        *next = frame->position + 1;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct image image;
    struct fuzz_input in = {bytes, count};
    struct store_summary summary;
    struct error err;
    struct env *env = fake_create(1);
    uint64_t next = 0;
    image.first_position = 100;
    for (uint64_t i = 0; i < 2 && in.left; i++) {
        image_begin(&image, &in, i);
        image_fill(&image, &in);
        image_write(env, &image, &in);
        image.first_position = max_u64(image.position, image.first_position + 1);
    }
    (void)store_scan(env, PATH, frame_look, &next, &summary, &err);
    fake_destroy(env);
    return 0;
}

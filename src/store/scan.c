/*
 * How it works. Files are read in the order of their names, frames one after another. A frame that
 * is not whole is either damage or the unfinished end of the log. Which one is told by what comes
 * behind it: SYNC frames stand at the ends of blocks, so they are found without knowing where
 * frames begin, and each says up to where the file had been synced when it was made. Below that it
 * is damage, and reading goes on at the next SYNC frame; else, in the last file, the torn tail. A
 * SYNC frame does not prove its own sync: the power may have gone before that had ended. Files
 * before the last are proven whole: the next is only created once their last sync has ended.
 */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "batch/batch.h"
#include "store/frame.h"

#define WINDOW_BYTES (4ULL << 20)

struct scan_file {
    struct env_file *file;
    char name[STORE_NAME_BYTES];
    uint64_t first_position;
    uint64_t bytes;
    bool last;                  /* of the store: only here may the end be torn */
    bool ended;                 /* its last SYNC frame was seen */
    uint64_t sync_at;           /* a SYNC frame known to stand ahead; 0: none */
    uint64_t sync_synced_bytes; /* what it says */
    uint64_t proven;            /* bytes that were synced for certain */
    bool knows_proven;
};

struct scan {
    struct env_dir *dir;
    const char *path;
    int (*fn)(void *arg, const struct store_frame *frame);
    void *arg;
    struct store_summary *summary;
    struct error *err;
    uint64_t *names; /* first positions */
    size_t name_count;
    bool no_memory;
    uint64_t next_index; /* of the next file */
    bool knows_uuid;
    struct scan_file at;
    unsigned char *window; /* of the file */
    uint64_t window_room;
    uint64_t window_from;
    uint64_t window_bytes;
};

/* What became of one frame. */
enum verdict {
    FRAME_GOOD,
    FRAME_BAD,      /* its length cannot be believed */
    FRAME_BAD_BODY, /* the frame is right, what it carries is not */
};

static void corrupt(struct scan *scan, uint64_t offset, const char *reason)
{
    if (scan->summary->corrupt++ == 0)
        error_set(scan->err, EMB_ERR_CORRUPT, "store %s: file %s at offset %llu: %s", scan->path,
                  scan->at.name, (unsigned long long)offset, reason);
}

/* The bytes at an offset, all within the file; NULL: *rc says why. */
static const unsigned char *view(struct scan *scan, uint64_t offset, uint64_t bytes, int *rc)
{
    if (offset >= scan->window_from && offset + bytes <= scan->window_from + scan->window_bytes)
        return scan->window + (offset - scan->window_from);
    if (bytes > scan->window_room) {
        free(scan->window);
        scan->window_room = max_u64(min_u64(WINDOW_BYTES, scan->at.bytes), bytes);
        scan->window = malloc(scan->window_room);
        if (!scan->window) {
            scan->window_room = scan->window_bytes = 0;
            *rc = error_set(scan->err, EMB_ERR_NO_MEMORY, "store %s: no memory to read %llu bytes",
                            scan->path, (unsigned long long)bytes);
            return NULL;
        }
    }
    uint64_t wanted = min_u64(scan->window_room, scan->at.bytes - offset);
    ssize_t got = env_file_read(scan->at.file, scan->window, wanted, offset);
    scan->window_from = offset;
    scan->window_bytes = got > 0 ? (uint64_t)got : 0;
    if (scan->window_bytes >= bytes)
        return scan->window;
    *rc = error_set(scan->err, got < 0 ? (int)got : EMB_ERR_IO,
                    "store %s: reading file %s at offset %llu failed", scan->path, scan->at.name,
                    (unsigned long long)offset);
    return NULL;
}

static struct frame_place place_at(const struct scan *scan, uint64_t offset)
{
    return (struct frame_place){scan->at.first_position, offset};
}

static bool is_own_sync(const struct scan *scan, const unsigned char *bytes, uint64_t offset)
{
    struct store_sync_frame frame;
    memcpy(&frame, bytes, sizeof(frame));
    return frame.header.kind == STORE_FRAME_SYNC &&
           frame_header_is_sane(&frame.header, sizeof(frame)) &&
           frame_is_whole(bytes, place_at(scan, offset)) &&
           (!scan->knows_uuid || memcmp(frame.uuid, scan->summary->uuid, 16) == 0);
}

/* The first SYNC frame at or behind an offset, in at.sync_at (0: none). */
static int find_sync(struct scan *scan, uint64_t from)
{
    int rc = EMB_OK;
    if (scan->at.sync_at >= from && scan->at.sync_at)
        return EMB_OK;
    scan->at.sync_at = 0;
    uint64_t at = from + store_pad_bytes(from);
    for (; at + sizeof(struct store_sync_frame) <= scan->at.bytes; at += STORE_BLOCK_BYTES) {
        const unsigned char *bytes = view(scan, at, sizeof(struct store_sync_frame), &rc);
        if (!bytes)
            return rc;
        if (is_own_sync(scan, bytes, at)) {
            scan->at.sync_at = at;
            memcpy(&scan->at.sync_synced_bytes,
                   bytes + offsetof(struct store_sync_frame, synced_bytes), sizeof(uint64_t));
            return EMB_OK;
        }
    }
    return EMB_OK;
}

/* How much of the file was synced for certain, by what the SYNC frames from an offset on say. */
static int find_proven(struct scan *scan, uint64_t from)
{
    if (!scan->at.last)
        scan->at.proven = UINT64_MAX;
    if (scan->at.knows_proven || !scan->at.last)
        return EMB_OK;
    scan->at.knows_proven = true;
    for (uint64_t at = from;; at = scan->at.sync_at + sizeof(struct store_sync_frame)) {
        int rc = find_sync(scan, at);
        if (rc || !scan->at.sync_at)
            return rc;
        scan->at.proven = max_u64(scan->at.proven, scan->at.sync_synced_bytes);
    }
}

/* Whether there is anything but zeros from here to the end of the file. */
static int find_nonzero(struct scan *scan, uint64_t from, bool *found)
{
    int rc = EMB_OK;
    *found = false;
    for (uint64_t at = from; at < scan->at.bytes; at += STORE_BLOCK_BYTES) {
        uint64_t count = min_u64(STORE_BLOCK_BYTES, scan->at.bytes - at);
        const unsigned char *bytes = view(scan, at, count, &rc);
        if (!bytes)
            return rc;
        for (uint64_t i = 0; i < count; i++)
            if (bytes[i]) {
                *found = true;
                return EMB_OK;
            }
    }
    return EMB_OK;
}

static bool entry_is_right(const struct store_frame *frame)
{
    uint32_t crc = crc32c(&frame->entry, offsetof(struct goi_entry_shared, crc));
    return crc32c_extend(crc, &frame->position, sizeof(frame->position)) == frame->entry.crc;
}

/* The entry of a META batch may name what the sequencer assigned; its batch has no producer. */
static bool batch_is_right(const struct store_frame *frame, struct error *why)
{
    const struct goi_entry_shared *entry = &frame->entry;
    bool meta = entry->kind == ENTRY_META;
    struct batch_identity identity = {
        .session = meta ? NO_SESSION : entry->session,
        .client_sequence = meta ? NO_SEQUENCE : entry->client_sequence,
        .message_count = entry->message_count,
        .max_timestamp_ms = get_u48(entry->timestamp_ms),
    };
    if (frame->payload_bytes == 0 || (entry->kind != ENTRY_DATA && entry->kind != ENTRY_META))
        return true;
    return batch_check(frame->payload, frame->payload_bytes, &identity, why) == EMB_OK;
}

static enum verdict entry_judge(const struct scan *scan, const struct store_frame *frame,
                                struct error *why)
{
    if (frame->position < scan->summary->end_position)
        error_set(why, EMB_ERR_CORRUPT, "position %llu goes back, %llu or above is expected",
                  (unsigned long long)frame->position,
                  (unsigned long long)scan->summary->end_position);
    else if (!entry_is_right(frame))
        error_set(why, EMB_ERR_CORRUPT, "the CRC of entry %llu is wrong",
                  (unsigned long long)frame->position);
    else if (batch_is_right(frame, why))
        return FRAME_GOOD;
    return FRAME_BAD_BODY;
}

/* Splits a whole frame into what a caller is told of it. */
static void frame_fill(const struct scan *scan, const unsigned char *bytes, uint64_t offset,
                       struct store_frame *frame)
{
    struct store_frame_header header;
    memcpy(&header, bytes, sizeof(header));
    *frame = (struct store_frame){
        .kind = header.kind,
        .file = scan->at.name,
        .file_offset = offset,
        .position = header.position,
        .payload_bytes = header.payload_bytes,
    };
    const unsigned char *body = bytes + sizeof(header);
    if (header.kind == STORE_FRAME_ENTRY) {
        memcpy(&frame->entry, body, sizeof(frame->entry));
        body += sizeof(frame->entry);
    }
    if (header.kind == STORE_FRAME_SYNC)
        memcpy(&frame->durable_position, body, sizeof(frame->durable_position));
    frame->payload = header.payload_bytes ? body : NULL;
}

/* Reads the frame at an offset; *total_bytes is what it takes unless it is FRAME_BAD. */
static int frame_read(struct scan *scan, uint64_t offset, struct store_frame *frame,
                      uint64_t *total_bytes, enum verdict *verdict, struct error *why)
{
    int rc = EMB_OK;
    struct store_frame_header header;
    uint64_t available = scan->at.bytes - offset;
    *verdict = FRAME_BAD;
    error_set(why, EMB_ERR_CORRUPT, "no frame where one must begin");
    if (available < sizeof(header))
        return EMB_OK;
    const unsigned char *bytes = view(scan, offset, sizeof(header), &rc);
    if (!bytes)
        return rc;
    memcpy(&header, bytes, sizeof(header));
    if (!frame_header_is_sane(&header, available))
        return EMB_OK;
    bytes = view(scan, offset, header.total_bytes, &rc);
    if (!bytes)
        return rc;
    error_set(why, EMB_ERR_CORRUPT, "the CRC of a frame is wrong");
    if (!frame_is_whole(bytes, place_at(scan, offset)))
        return EMB_OK;
    if (header.kind == STORE_FRAME_SYNC)
        scan->at.ended = header.flags & STORE_FLAG_LAST;
    frame_fill(scan, bytes, offset, frame);
    *total_bytes = header.total_bytes;
    *verdict = frame->kind == STORE_FRAME_ENTRY ? entry_judge(scan, frame, why) : FRAME_GOOD;
    return EMB_OK;
}

static int frame_deliver(struct scan *scan, const struct store_frame *frame)
{
    struct store_summary *summary = scan->summary;
    if (frame->kind == STORE_FRAME_ENTRY) {
        summary->entries++;
        summary->payloads += frame->payload != NULL;
        summary->payload_bytes += frame->payload_bytes;
        summary->end_position = frame->position + 1;
    }
    if (frame->kind == STORE_FRAME_SYNC) {
        summary->end_position = max_u64(summary->end_position, frame->position);
        summary->synced_position = max_u64(summary->synced_position, frame->position);
        summary->durable_position = max_u64(summary->durable_position, frame->durable_position);
    }
    return scan->fn ? scan->fn(scan->arg, frame) : 0;
}

/*
 * Something at an offset is not whole; `resume` is behind it, or the offset itself if that is not
 * known. *next is where to read on; 0: nowhere.
 */
static int damage(struct scan *scan, uint64_t offset, uint64_t resume, const char *reason,
                  uint64_t *next)
{
    bool more = false;
    int rc = find_proven(scan, offset);
    if (rc == EMB_OK && offset < scan->at.proven) {
        corrupt(scan, offset, reason);
        rc = find_sync(scan, resume);
        *next = resume > offset ? resume : scan->at.sync_at;
        return rc;
    }
    *next = 0;
    if (rc == EMB_OK)
        rc = find_nonzero(scan, offset, &more);
    scan->summary->torn_tail |= more;
    return rc;
}

static int frames_read(struct scan *scan)
{
    struct store_frame frame;
    struct error why;
    enum verdict verdict;
    uint64_t offset = STORE_BLOCK_BYTES, total_bytes = 0;
    while (offset && offset < scan->at.bytes && !scan->at.ended) {
        int rc = frame_read(scan, offset, &frame, &total_bytes, &verdict, &why);
        if (rc == EMB_OK && verdict == FRAME_GOOD) {
            rc = frame_deliver(scan, &frame);
            offset += total_bytes;
            scan->summary->bytes += total_bytes;
        } else if (rc == EMB_OK) {
            uint64_t resume = verdict == FRAME_BAD ? offset : offset + total_bytes;
            rc = damage(scan, offset, resume, why.text, &offset);
        }
        if (rc)
            return rc;
    }
    if (offset && !scan->at.ended && !scan->at.last)
        corrupt(scan, offset, "the file ends without its last sync record, but another follows");
    return EMB_OK;
}

/* A file whose header is not whole: begun and no more, or damaged. */
static int header_missing(struct scan *scan, bool *readable)
{
    int rc = find_proven(scan, STORE_BLOCK_BYTES);
    *readable = rc == EMB_OK && scan->at.proven > 0;
    if (rc)
        return rc;
    if (*readable)
        corrupt(scan, 0, "the header of the file is damaged");
    else
        scan->summary->torn_tail = true;
    return EMB_OK;
}

static int header_version(struct scan *scan, const struct store_file_header *header)
{
    if (header->version == STORE_VERSION && header->block_bytes == STORE_BLOCK_BYTES)
        return EMB_OK;
    return error_set(scan->err, EMB_ERR_VERSION,
                     "store %s: file %s has format version %u with blocks of %u bytes; this build "
                     "reads version %u with %u",
                     scan->path, scan->at.name, header->version, header->block_bytes, STORE_VERSION,
                     STORE_BLOCK_BYTES);
}

/* A whole header: does it belong here? */
static void header_take(struct scan *scan, const struct store_file_header *header, bool *readable)
{
    struct store_summary *summary = scan->summary;
    *readable = false;
    if (header->first_position != scan->at.first_position) {
        corrupt(scan, 40, "the file's name is not its first position: it was renamed");
        return;
    }
    if (scan->knows_uuid && memcmp(summary->uuid, header->uuid, sizeof(summary->uuid)) != 0) {
        corrupt(scan, 16, "the file belongs to another store");
        return;
    }
    if (scan->knows_uuid && header->file_index != scan->next_index)
        corrupt(scan, 48, "files are missing before this one");
    *readable = true;
    memcpy(summary->uuid, header->uuid, sizeof(summary->uuid));
    scan->knows_uuid = true;
    summary->node = header->node;
    summary->life = header->life;
    scan->next_index = header->file_index + 1;
}

static int header_read(struct scan *scan, bool *readable)
{
    int rc = EMB_OK;
    struct store_file_header header;
    memset(&header, 0, sizeof(header));
    if (scan->at.bytes >= sizeof(header)) {
        const unsigned char *bytes = view(scan, 0, sizeof(header), &rc);
        if (!bytes)
            return rc;
        memcpy(&header, bytes, sizeof(header));
    }
    if (!frame_file_header_is_whole(&header)) {
        scan->next_index++;
        return header_missing(scan, readable);
    }
    rc = header_version(scan, &header);
    if (rc == EMB_OK)
        header_take(scan, &header, readable);
    return rc;
}

static int file_read(struct scan *scan)
{
    bool readable = false;
    int rc = header_read(scan, &readable);
    if (rc || !readable)
        return rc;
    scan->summary->bytes += STORE_BLOCK_BYTES;
    return frames_read(scan);
}

static int file_scan(struct scan *scan, size_t i)
{
    memset(&scan->at, 0, sizeof(scan->at));
    scan->window_bytes = 0;
    scan->at.first_position = scan->names[i];
    scan->at.last = i + 1 == scan->name_count;
    frame_file_name(scan->at.name, scan->names[i]);
    int rc = env_file_open(scan->dir, scan->at.name, 0, &scan->at.file, scan->err);
    if (rc)
        return rc;
    scan->at.bytes = env_file_bytes(scan->at.file);
    scan->summary->files++;
    rc = file_read(scan);
    env_file_close(scan->at.file);
    return rc;
}

static void name_add(void *arg, const char *name)
{
    struct scan *scan = arg;
    uint64_t position;
    if (!frame_file_name_read(name, &position))
        return;
    uint64_t *names = realloc(scan->names, (scan->name_count + 1) * sizeof(*names));
    if (!names) {
        scan->no_memory = true;
        return;
    }
    scan->names = names;
    names[scan->name_count++] = position;
}

static int names_read(struct scan *scan)
{
    scan->name_count = 0;
    int rc = env_dir_list(scan->dir, name_add, scan, scan->err);
    if (rc == EMB_OK && scan->no_memory)
        rc = error_set(scan->err, EMB_ERR_NO_MEMORY, "store %s: no memory for its list of files",
                       scan->path);
    return rc;
}

/* Locked only once a log was seen: a look at a foreign directory leaves no lock file there. */
static int directory_open(struct scan *scan, struct env *env)
{
    int rc = env_dir_open(env, scan->path, 0, &scan->dir, scan->err);
    if (rc == EMB_OK)
        rc = names_read(scan);
    if (rc)
        return rc;
    if (scan->name_count == 0)
        return error_set(scan->err, EMB_ERR_NOT_FOUND,
                         "directory %s holds no store: no file is named like %020d.log", scan->path,
                         0);
    struct env_dir *locked = NULL;
    rc = env_dir_open(env, scan->path, ENV_DIR_LOCK, &locked, scan->err);
    if (rc == EMB_ERR_PERMISSION) /* read-only: nobody writes it from here */
        return EMB_OK;
    if (rc)
        return rc;
    env_dir_close(scan->dir);
    scan->dir = locked;
    return names_read(scan);
}

int store_scan(struct env *env, const char *path,
               int (*fn)(void *arg, const struct store_frame *frame), void *arg,
               struct store_summary *summary, struct error *err)
{
    struct error unused;
    struct scan scan = {.path = path, .fn = fn, .arg = arg, .summary = summary};
    scan.err = err ? err : &unused;
    memset(summary, 0, sizeof(*summary));
    int rc = directory_open(&scan, env);
    if (rc == EMB_OK) {
        summary->first_position = summary->end_position = scan.names[0];
        summary->synced_position = scan.names[0];
    }
    for (size_t i = 0; rc == EMB_OK && i < scan.name_count; i++)
        rc = file_scan(&scan, i);
    if (scan.dir)
        env_dir_close(scan.dir);
    free(scan.window);
    free(scan.names);
    if (rc == EMB_OK && summary->corrupt)
        rc = EMB_ERR_CORRUPT;
    return rc;
}

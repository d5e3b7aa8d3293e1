/*
 * Files of a simulated disk.
 *
 * How it works. A file has two images: `current`, which reads see, and `durable`, which is what a
 * crash surely leaves. They differ only in blocks that have a mark. A write changes the current
 * image and marks its blocks with its number; a sync copies those blocks whose mark is not above
 * the number of writes that had completed at its submission. A block that is written again while a
 * sync covers its older bytes goes to the durable image at once, as the disk may do at any time.
 * Images reach up to the last block that was written: reserved space costs nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "sim/env/internal.h"

#define MARK(write)  ((write) << 1)
#define MARK_UNSURE  1u
#define FIRST_BLOCKS 64u

/* ---- images ---------------------------------------------------------------------------------- */

static void image_grow(struct image *image, uint64_t size)
{
    if (size <= image->size)
        return;
    if (size > image->room) {
        image->room =
            max_u64(align_up(size, BLOCK), max_u64(image->room * 2, FIRST_BLOCKS * BLOCK));
        image->bytes = realloc(image->bytes, image->room);
        ASSERT(image->bytes);
    }
    size = align_up(size, BLOCK);
    memset(image->bytes + image->size, 0, size - image->size);
    image->size = size;
}

const unsigned char *image_block(const struct image *image, uint64_t block)
{
    static const unsigned char zeros[BLOCK];
    return (block + 1) * BLOCK <= image->size ? image->bytes + block * BLOCK : zeros;
}

void image_put(struct image *image, uint64_t block, const unsigned char *bytes)
{
    image_grow(image, (block + 1) * BLOCK);
    memcpy(image->bytes + block * BLOCK, bytes, BLOCK);
}

/* ---- directories and files ------------------------------------------------------------------- */

struct disk *disk_of(const struct host *host)
{
    struct disk *disk = &simulated.disks[host->number];
    disk->host = world_host(host->number);
    return disk;
}

void disk_begin(void)
{
    for (uint32_t i = 0; i < HOSTS_MAX; i++)
        TAILQ_INIT(&simulated.disks[i].dirs);
}

static bool path_is_same(const char *a, const char *b)
{
    size_t a_bytes = strlen(a), b_bytes = strlen(b);
    while (a_bytes > 1 && a[a_bytes - 1] == '/')
        a_bytes--;
    while (b_bytes > 1 && b[b_bytes - 1] == '/')
        b_bytes--;
    return a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0;
}

struct disk_dir *disk_dir_find(struct disk *disk, const char *path, bool create)
{
    struct disk_dir *at, *dir;
    for (at = TAILQ_FIRST(&disk->dirs); at; at = TAILQ_NEXT(at, link))
        if (path_is_same(at->path, path))
            return at;
    if (!create)
        return NULL;
    dir = room_of(sizeof(*dir));
    dir->disk = disk;
    dir->path = strdup(path);
    ASSERT(dir->path);
    TAILQ_INIT(&dir->files);
    for (at = TAILQ_FIRST(&disk->dirs); at && strcmp(at->path, path) < 0;)
        at = TAILQ_NEXT(at, link);
    if (at)
        TAILQ_INSERT_BEFORE(at, dir, link);
    else
        TAILQ_INSERT_TAIL(&disk->dirs, dir, link);
    return dir;
}

struct disk_file *disk_file_find(struct disk_dir *dir, const char *name)
{
    struct disk_file *at = TAILQ_FIRST(&dir->files);
    while (at && (!at->linked || strcmp(at->name, name) != 0))
        at = TAILQ_NEXT(at, link);
    return at;
}

struct disk_file *disk_file_make(struct disk_dir *dir, const char *name)
{
    struct disk_file *file = room_of(sizeof(*file));
    file->disk = dir->disk;
    file->number = ++dir->disk->files_made;
    file->name = strdup(name);
    ASSERT(file->name);
    file->linked = true;
    file->holders = 1;
    TAILQ_INSERT_TAIL(&dir->files, file, link);
    TRACE("disk-create", dir->disk->host->number, file->number, "%s creates %s/%s",
          dir->disk->host->name, dir->path, name);
    return file;
}

static void file_free(struct disk_file *file)
{
    free(file->current.bytes);
    free(file->durable.bytes);
    free(file->marks);
    free(file->name);
    free(file);
}

void disk_file_release(struct disk_file *file)
{
    ASSERT(file->holders > 0);
    if (--file->holders == 0)
        file_free(file);
}

/* Not durably: a crash may bring it back, so it stays in the directory, unseen. */
void disk_file_unlink(struct disk_dir *dir, struct disk_file *file, bool durably)
{
    if (file->linked)
        file->disk->used -= file->reserved;
    file->linked = false;
    if (file->name_durable && !durably)
        return;
    TAILQ_REMOVE(&dir->files, file, link);
    disk_file_release(file);
}

static void dir_free(struct disk_dir *dir)
{
    struct disk_file *file;
    while ((file = TAILQ_FIRST(&dir->files)))
        disk_file_unlink(dir, file, true);
    TAILQ_REMOVE(&dir->disk->dirs, dir, link);
    free(dir->path);
    free(dir);
}

void disk_free(void)
{
    for (uint32_t i = 0; i < HOSTS_MAX; i++)
        while (!TAILQ_EMPTY(&simulated.disks[i].dirs))
            dir_free(TAILQ_FIRST(&simulated.disks[i].dirs));
}

/* ---- space and size -------------------------------------------------------------------------- */

int disk_reserve(struct disk_file *file, uint64_t bytes)
{
    struct disk *disk = file->disk;
    bytes = align_up(bytes, BLOCK);
    if (bytes <= file->reserved)
        return EMB_OK;
    uint64_t more = bytes - file->reserved;
    if (disk->full_to_ns > world_now_ns() || disk->used + more > simulated.shape.disk_bytes) {
        TRACE("disk-full", disk->host->number, more, "%s has no space for %llu bytes more of %s",
              disk->host->name, (unsigned long long)more, file->name);
        COVER(DISK_FULL);
        return EMB_ERR_NO_SPACE;
    }
    if (file->linked)
        disk->used += more;
    file->reserved = bytes;
    return EMB_OK;
}

static void marks_grow(struct disk_file *file, uint64_t blocks)
{
    if (blocks <= file->marks_room)
        return;
    uint64_t room = max_u64(blocks, max_u64(file->marks_room * 2, FIRST_BLOCKS));
    file->marks = realloc(file->marks, room * sizeof(*file->marks));
    ASSERT(file->marks);
    memset(file->marks + file->marks_room, 0, (room - file->marks_room) * sizeof(*file->marks));
    file->marks_room = room;
}

static bool mark_is_covered(uint64_t mark, uint64_t writes)
{
    return mark != 0 && !(mark & MARK_UNSURE) && mark <= MARK(writes);
}

/* Before their bytes change. */
static void blocks_mark(struct disk_file *file, uint64_t from, uint64_t to)
{
    bool none = file->dirty_from == file->dirty_to;
    marks_grow(file, to);
    file->writes++;
    for (uint64_t block = from; block < to; block++) {
        if (file->syncs > 0 && mark_is_covered(file->marks[block], file->covered_writes))
            image_put(&file->durable, block, image_block(&file->current, block));
        file->marks[block] = MARK(file->writes);
    }
    file->dirty_from = none ? from : min_u64(file->dirty_from, from);
    file->dirty_to = none ? to : max_u64(file->dirty_to, to);
}

static void size_set(struct disk_file *file, uint64_t size)
{
    if (file->size == size)
        return;
    file->size = size;
    file->size_changes++;
}

static void file_cut(struct disk_file *file, uint64_t size)
{
    struct image *current = &file->current;
    uint64_t reserved = align_up(size, BLOCK);
    if (size < current->size) {
        blocks_mark(file, size / BLOCK, current->size / BLOCK);
        memset(current->bytes + size, 0, current->size - size);
    }
    if (reserved >= file->reserved)
        return;
    if (file->linked)
        file->disk->used -= file->reserved - reserved;
    file->reserved = reserved;
}

void disk_file_resize(struct disk_file *file, uint64_t size)
{
    if (size < file->size)
        file_cut(file, size);
    size_set(file, size);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

int disk_file_write(struct disk_file *file, const unsigned char *bytes, uint64_t count,
                    uint64_t offset)
{
    uint64_t end = offset + count;
    int rc = disk_reserve(file, end);
    if (rc || count == 0)
        return rc;
    blocks_mark(file, offset / BLOCK, align_up(end, BLOCK) / BLOCK);
    image_grow(&file->current, end);
    memcpy(file->current.bytes + offset, bytes, count);
    if (end > file->size)
        size_set(file, end);
    return EMB_OK;
}

void disk_file_read(const struct disk_file *file, unsigned char *bytes, uint64_t count,
                    uint64_t offset)
{
    uint64_t size = file->current.size;
    uint64_t there = offset < size ? min_u64(count, size - offset) : 0;
    if (there > 0)
        memcpy(bytes, file->current.bytes + offset, there);
    memset(bytes + there, 0, count - there);
}

/* ---- syncs ----------------------------------------------------------------------------------- */

void disk_sync_apply(struct disk_file *file, const struct io_op *op)
{
    uint64_t first = 0, end = 0;
    for (uint64_t block = file->dirty_from; block < file->dirty_to; block++) {
        if (mark_is_covered(file->marks[block], op->covered)) {
            image_put(&file->durable, block, image_block(&file->current, block));
            file->marks[block] = 0;
        }
        if (file->marks[block] == 0)
            continue;
        first = end ? first : block;
        end = block + 1;
    }
    file->dirty_from = first;
    file->dirty_to = end;
    if (op->size_change >= file->durable_size_change) {
        file->durable_size = op->size;
        file->durable_size_change = op->size_change;
    }
    if (simulated.watch_sync)
        simulated.watch_sync(file->disk->host, file->name, file->durable.bytes,
                             min_u64(file->durable.size, file->durable_size));
}

void disk_sync_fail(struct disk_file *file, const struct io_op *op)
{
    for (uint64_t block = file->dirty_from; block < file->dirty_to; block++)
        if (mark_is_covered(file->marks[block], op->covered))
            file->marks[block] |= MARK_UNSURE;
}

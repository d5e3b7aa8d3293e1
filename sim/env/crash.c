/* Faults of the disks, and what checks see of them. */
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "sim/env/internal.h"

#define SECTORS   (BLOCK / SECTOR)
#define NEW_BYTES 65536u /* at a file's end: rot is for older ones */
#define ROT_TRIES 8

/* ---- loss of power --------------------------------------------------------------------------- */

/* So that some crashes lose nearly all, some hardly anything. */
struct crash {
    unsigned lost_percent, torn_percent;
    uint32_t lost, torn, kept;
};

static void block_tear(struct disk_file *file, uint64_t block)
{
    unsigned char mixed[BLOCK];
    uint64_t sectors = choose_between(CHOICE_DISK, 1, (1u << SECTORS) - 2);
    memcpy(mixed, image_block(&file->durable, block), BLOCK);
    for (unsigned i = 0; i < SECTORS; i++)
        if (sectors >> i & 1)
            memcpy(mixed + i * SECTOR, image_block(&file->current, block) + i * SECTOR, SECTOR);
    image_put(&file->current, block, mixed);
}

static void block_crash(struct disk_file *file, uint64_t block, struct crash *crash)
{
    if (choose_percent(CHOICE_DISK, crash->torn_percent)) {
        block_tear(file, block);
        crash->torn++;
    } else if (choose_percent(CHOICE_DISK, crash->lost_percent)) {
        image_put(&file->current, block, image_block(&file->durable, block));
        crash->lost++;
    } else {
        crash->kept++;
    }
    image_put(&file->durable, block, image_block(&file->current, block));
    file->marks[block] = 0;
}

static void file_crash(struct disk_file *file)
{
    static const struct crash kinds[] = {{50, 20, 0, 0, 0}, {100, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
    struct crash crash = kinds[choose_below(CHOICE_DISK, 4) % COUNT_OF(kinds)];
    for (uint64_t block = file->dirty_from; block < file->dirty_to; block++)
        if (file->marks[block] != 0)
            block_crash(file, block, &crash);
    file->dirty_from = file->dirty_to = 0;
    COVER_ADD(WRITE_LOST, crash.lost);
    COVER_ADD(WRITE_TORN, crash.torn);
    TRACE("disk-crash", crash.lost, crash.torn, "%s: of %s %u blocks lost, %u torn, %u kept",
          file->disk->host->name, file->name, crash.lost, crash.torn, crash.kept);
}

/* The blocks go first: those past the chosen size must be zeros in both images. */
static void size_crash(struct disk_file *file)
{
    uint64_t size = file->size;
    if (size != file->durable_size && choose_one_in(CHOICE_DISK, 2))
        size = file->durable_size;
    disk_file_resize(file, size);
    for (uint64_t block = file->dirty_from; block < file->dirty_to; block++) {
        image_put(&file->durable, block, image_block(&file->current, block));
        file->marks[block] = 0;
    }
    file->dirty_from = file->dirty_to = 0;
    file->durable_size = size;
    file->durable_size_change = file->size_changes;
    uint64_t reserved = align_up(size, BLOCK);
    file->disk->used += reserved - file->reserved;
    file->reserved = reserved;
}

static void name_lose(struct disk_dir *dir, struct disk_file *file)
{
    COVER(NAME_LOST);
    TRACE("disk-name-lost", dir->disk->host->number, file->number, "%s loses the name %s/%s",
          dir->disk->host->name, dir->path, file->name);
    disk_file_unlink(dir, file, true);
}

/* A removal that was not synced: the old file is there again, unless the name has a new owner. */
static void name_restore(struct disk_dir *dir, struct disk_file *file)
{
    if (disk_file_find(dir, file->name) || choose_one_in(CHOICE_DISK, 2)) {
        disk_file_unlink(dir, file, true);
        return;
    }
    file->linked = true;
    dir->disk->used += file->reserved;
    TRACE("disk-name-back", dir->disk->host->number, file->number, "%s finds %s/%s again",
          dir->disk->host->name, dir->path, file->name);
}

static void names_crash(struct disk_dir *dir)
{
    struct disk_file *file, *next;
    for (file = TAILQ_FIRST(&dir->files); file; file = next) {
        next = TAILQ_NEXT(file, link);
        if (file->linked && !file->name_durable && choose_one_in(CHOICE_DISK, 2))
            name_lose(dir, file);
    }
    for (file = TAILQ_FIRST(&dir->files); file; file = next) {
        next = TAILQ_NEXT(file, link);
        if (!file->linked)
            name_restore(dir, file);
    }
}

void disk_crash(struct disk *disk)
{
    for (struct disk_dir *dir = TAILQ_FIRST(&disk->dirs); dir; dir = TAILQ_NEXT(dir, link)) {
        names_crash(dir);
        for (struct disk_file *file = TAILQ_FIRST(&dir->files); file;
             file = TAILQ_NEXT(file, link)) {
            file->name_durable = true;
            file_crash(file);
            size_crash(file);
        }
    }
}

/* ---- other faults ---------------------------------------------------------------------------- */

void disk_slow(struct host *host, uint64_t until_ns)
{
    TRACE("disk-slow", host->number, until_ns, "syncs of %s are slow", host->name);
    disk_of(host)->slow_to_ns = until_ns;
}

void disk_fail_sync(struct host *host)
{
    disk_of(host)->failing_syncs++;
}

void disk_fail_write(struct host *host)
{
    disk_of(host)->failing_writes++;
}

void disk_fill(struct host *host, uint64_t until_ns)
{
    TRACE("disk-fill", host->number, until_ns, "the disk of %s is full", host->name);
    disk_of(host)->full_to_ns = until_ns;
}

static uint64_t old_bytes(const struct disk_file *file)
{
    uint64_t bytes = min_u64(file->durable.size, file->durable_size);
    return file->linked && bytes > NEW_BYTES ? bytes - NEW_BYTES : 0;
}

static bool file_rot(struct disk_file *file, uint64_t at)
{
    uint64_t block = at / BLOCK;
    if (block < file->marks_room && file->marks[block] != 0)
        return false;
    unsigned char bit = (unsigned char)(1u << choose_below(CHOICE_DISK, 8));
    file->durable.bytes[at] ^= bit;
    file->current.bytes[at] ^= bit;
    COVER(ROT);
    TRACE("disk-rot", file->disk->host->number, at, "%s: a bit of byte %llu of %s changes",
          file->disk->host->name, (unsigned long long)at, file->name);
    return true;
}

/* The file that has the byte `at` of all old bytes of the disk; *at becomes its offset. */
static struct disk_file *file_at(struct disk *disk, uint64_t *at, uint64_t *total)
{
    *total = 0;
    for (struct disk_dir *dir = TAILQ_FIRST(&disk->dirs); dir; dir = TAILQ_NEXT(dir, link))
        for (struct disk_file *file = TAILQ_FIRST(&dir->files); file;
             file = TAILQ_NEXT(file, link)) {
            uint64_t bytes = old_bytes(file);
            *total += bytes;
            if (*at < bytes)
                return file;
            *at -= bytes;
        }
    return NULL;
}

bool disk_rot(struct host *host)
{
    struct disk *disk = disk_of(host);
    uint64_t at = UINT64_MAX, total;
    file_at(disk, &at, &total);
    for (int i = 0; total > 0 && i < ROT_TRIES; i++) {
        uint64_t ignored;
        at = choose_below(CHOICE_DISK, total);
        struct disk_file *file = file_at(disk, &at, &ignored);
        if (file_rot(file, at))
            return true;
    }
    return false;
}

/* ---- checks ---------------------------------------------------------------------------------- */

void disk_watch_syncs(disk_sync_fn *fn)
{
    simulated.watch_sync = fn;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct disk_file *const *)a)->name, (*(struct disk_file *const *)b)->name);
}

static void dir_files(struct disk_dir *dir,
                      void (*fn)(void *arg, const char *name, const unsigned char *durable,
                                 uint64_t durable_bytes),
                      void *arg)
{
    size_t count = 0, i = 0;
    struct disk_file *file;
    for (file = TAILQ_FIRST(&dir->files); file; file = TAILQ_NEXT(file, link))
        count += file->linked;
    struct disk_file **sorted = room_of((count + 1) * sizeof(struct disk_file *));
    for (file = TAILQ_FIRST(&dir->files); file; file = TAILQ_NEXT(file, link))
        if (file->linked)
            sorted[i++] = file;
    qsort(sorted, count, sizeof(*sorted), by_name);
    for (i = 0; i < count; i++)
        fn(arg, sorted[i]->name, sorted[i]->durable.bytes,
           min_u64(sorted[i]->durable.size, sorted[i]->durable_size));
    free(sorted);
}

static bool path_is_below(const char *path, const char *top)
{
    size_t bytes = strlen(top);
    while (bytes > 0 && top[bytes - 1] == '/')
        bytes--;
    return strncmp(path, top, bytes) == 0 && (path[bytes] == '\0' || path[bytes] == '/');
}

void disk_files(struct host *host, const char *path,
                void (*fn)(void *arg, const char *name, const unsigned char *durable,
                           uint64_t durable_bytes),
                void *arg)
{
    struct disk *disk = disk_of(host);
    for (struct disk_dir *dir = TAILQ_FIRST(&disk->dirs); dir; dir = TAILQ_NEXT(dir, link))
        if (path_is_below(dir->path, path))
            dir_files(dir, fn, arg);
}

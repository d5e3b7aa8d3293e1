/* The calls of env.h on directories and files. They take no time, in fibers or outside of them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "sim/env/internal.h"
#include "sim/memory/memory.h"

static bool name_is_good(const char *name)
{
    return name[0] != '\0' && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0 && strcmp(name, LOCK_NAME) != 0;
}

/* ---- directories ----------------------------------------------------------------------------- */

int env_dir_open(struct env *env, const char *path, unsigned flags, struct env_dir **dir,
                 struct error *err)
{
    if (path[0] == '\0')
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "directory \"\": a path is needed");
    struct disk_dir *found = disk_dir_find(disk_of(env->host), path, (flags & ENV_DIR_CREATE) != 0);
    if (!found)
        return error_set(err, EMB_ERR_NOT_FOUND, "directory %s: No such file or directory", path);
    if ((flags & ENV_DIR_LOCK) && found->locker)
        return error_set(err, EMB_ERR_BUSY,
                         "directory %s is in use by process %u; stop it or choose another "
                         "directory",
                         path, found->locker->number);
    struct env_dir *opened = room_of(sizeof(*opened));
    opened->env = env;
    opened->dir = found;
    opened->locks = (flags & ENV_DIR_LOCK) != 0;
    if (opened->locks)
        found->locker = env;
    TAILQ_INSERT_TAIL(&env->dirs, opened, link);
    *dir = opened;
    return EMB_OK;
}

static void dir_unlock(struct env_dir *dir)
{
    if (dir->locks)
        dir->dir->locker = NULL;
    dir->locks = false;
}

void env_dir_close(struct env_dir *dir)
{
    if (!dir)
        return;
    dir_unlock(dir);
    TAILQ_REMOVE(&dir->env->dirs, dir, link);
    free(dir);
}

static int names_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names are gathered first, so that fn may create and remove files. */
int env_dir_list(struct env_dir *dir, void (*fn)(void *arg, const char *name), void *arg,
                 struct error *err)
{
    size_t room = 1, count = 0;
    struct disk_file *file;
    for (file = TAILQ_FIRST(&dir->dir->files); file; file = TAILQ_NEXT(file, link))
        room++;
    char **names = room_of(room * sizeof(*names));
    for (file = TAILQ_FIRST(&dir->dir->files); file; file = TAILQ_NEXT(file, link))
        if (file->linked)
            ASSERT((names[count++] = strdup(file->name)));
    qsort(names, count, sizeof(*names), names_compare);
    for (size_t i = 0; i < count; i++) {
        fn(arg, names[i]);
        free(names[i]);
    }
    free(names);
    return EMB_OK;
}

/* It blocks its caller, as a sync does; at its end the names are durable. */
int env_dir_sync(struct env_dir *dir, struct error *err)
{
    struct disk_file *next;
    if (fiber_current())
        fiber_sleep(choose_between(CHOICE_DISK, simulated.shape.sync_least_ns,
                                   simulated.shape.sync_most_ns));
    for (struct disk_file *file = TAILQ_FIRST(&dir->dir->files); file; file = next) {
        next = TAILQ_NEXT(file, link);
        if (file->linked)
            file->name_durable = true;
        else
            disk_file_unlink(dir->dir, file, true);
    }
    TRACE("disk-dir-sync", dir->env->host->number, 0, "%s syncs the directory %s",
          dir->env->host->name, dir->dir->path);
    return EMB_OK;
}

int env_dir_remove(struct env_dir *dir, const char *name, struct error *err)
{
    if (!name_is_good(name))
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "file name \"%s\" is not one to remove",
                         name);
    struct disk_file *file = disk_file_find(dir->dir, name);
    if (!file)
        return error_set(err, EMB_ERR_NOT_FOUND, "removing %s/%s: No such file or directory",
                         dir->dir->path, name);
    TRACE("disk-remove", dir->env->host->number, file->number, "%s removes %s/%s",
          dir->env->host->name, dir->dir->path, name);
    disk_file_unlink(dir->dir, file, false);
    return EMB_OK;
}

const char *env_dir_filesystem(struct env_dir *dir, uint64_t *free_bytes)
{
    const struct disk *disk = dir->dir->disk;
    if (free_bytes)
        *free_bytes = disk->full_to_ns > world_now_ns() || disk->used > simulated.shape.disk_bytes
                          ? 0
                          : simulated.shape.disk_bytes - disk->used;
    return "simfs";
}

/* ---- files ----------------------------------------------------------------------------------- */

int env_file_open(struct env_dir *dir, const char *name, unsigned flags, struct env_file **file,
                  struct error *err)
{
    fiber_preempt_point();
    if (!name_is_good(name))
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "file name \"%s\": a plain name other than " LOCK_NAME " is needed", name);
    struct disk_file *found = disk_file_find(dir->dir, name);
    if (found && (flags & ENV_FILE_CREATE))
        return error_set(err, EMB_ERR_EXISTS, "file %s/%s: File exists", dir->dir->path, name);
    if (!found && !(flags & ENV_FILE_CREATE))
        return error_set(err, EMB_ERR_NOT_FOUND, "file %s/%s: No such file or directory",
                         dir->dir->path, name);
    struct env_file *opened = room_of(sizeof(*opened));
    opened->env = dir->env;
    opened->file = found ? found : disk_file_make(dir->dir, name);
    opened->file->holders++;
    opened->writable = (flags & (ENV_FILE_CREATE | ENV_FILE_WRITE)) != 0;
    opened->direct = (flags & ENV_FILE_DIRECT) != 0;
    TAILQ_INSERT_TAIL(&dir->env->files, opened, link);
    *file = opened;
    return EMB_OK;
}

static void file_let_go(struct env_file *file)
{
    if (file->file)
        disk_file_release(file->file);
    file->file = NULL;
}

void env_file_close(struct env_file *file)
{
    if (!file)
        return;
    file_let_go(file);
    TAILQ_REMOVE(&file->env->files, file, link);
    free(file);
}

void files_let_go(struct env *env)
{
    for (struct env_dir *dir = TAILQ_FIRST(&env->dirs); dir; dir = TAILQ_NEXT(dir, link))
        dir_unlock(dir);
    for (struct env_file *file = TAILQ_FIRST(&env->files); file; file = TAILQ_NEXT(file, link))
        file_let_go(file);
}

uint64_t env_file_bytes(struct env_file *file)
{
    return file->file->size;
}

ssize_t env_file_read(struct env_file *file, void *bytes, size_t count, uint64_t offset)
{
    uint64_t size = file->file->size;
    if (offset >= size || count == 0)
        return 0;
    count = min_u64(count, size - offset);
    disk_file_read(file->file, bytes, count, offset);
    memory_stored(bytes, count);
    return (ssize_t)count;
}

int env_file_write(struct env_file *file, const void *bytes, size_t count, uint64_t offset)
{
    ASSERT(file->writable);
    return disk_file_write(file->file, bytes, count, offset);
}

int env_file_preallocate(struct env_file *file, uint64_t bytes, struct error *err)
{
    fiber_preempt_point();
    ASSERT(file->writable);
    if (disk_reserve(file->file, bytes))
        return error_set(err, EMB_ERR_NO_SPACE,
                         "reserving %" PRIu64 " bytes for file %s: No space left on device", bytes,
                         file->file->name);
    if (bytes > file->file->size)
        disk_file_resize(file->file, bytes);
    return EMB_OK;
}

int env_file_truncate(struct env_file *file, uint64_t bytes, struct error *err)
{
    ASSERT(file->writable);
    disk_file_resize(file->file, bytes);
    return EMB_OK;
}

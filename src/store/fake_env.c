#include "store/fake_env.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

#define BLOCK 4096u

struct env_dir {
    struct env *env;
    bool locked;
};

struct fake_op {
    bool is_sync;
    struct env_file *file;
    const void *bytes;
    size_t count;
    uint64_t offset;
    uint64_t cookie;
    struct fake_image covered; /* by a sync: what was written when it was submitted */
};

struct env_io {
    struct env *env;
    struct fake_op ops[256];
    unsigned count;
    unsigned depth;
};

static void image_resize(struct fake_image *image, uint64_t size)
{
    unsigned char *bytes = realloc(image->bytes, size + 1);
    ASSERT(bytes);
    if (size > image->size)
        memset(bytes + image->size, 0, size - image->size);
    image->bytes = bytes;
    image->size = size;
}

static void image_copy(struct fake_image *to, const struct fake_image *from)
{
    image_resize(to, from->size);
    if (from->size)
        memcpy(to->bytes, from->bytes, from->size);
}

static void image_free(struct fake_image *image)
{
    free(image->bytes);
    *image = (struct fake_image){0};
}

struct env *fake_create(uint64_t seed)
{
    struct env *env = calloc(1, sizeof(*env));
    ASSERT(env);
    random_seed(&env->random, seed);
    return env;
}

void fake_destroy(struct env *env)
{
    for (int i = 0; i < FAKE_FILES; i++) {
        image_free(&env->files[i].now);
        image_free(&env->files[i].durable);
    }
    free(env);
}

void fake_resize(struct env_file *file, uint64_t size)
{
    image_resize(&file->now, size);
}

static void file_crash(struct env_file *file)
{
    struct random_state *random = &file->env->random;
    struct fake_image left = {0};
    uint64_t size = random_below(random, 2) ? file->now.size : file->durable.size;
    image_copy(&left, &file->durable);
    image_resize(&left, size);
    for (uint64_t at = 0; at < size; at += BLOCK)
        if (at < file->now.size && random_below(random, 2))
            memcpy(left.bytes + at, file->now.bytes + at,
                   min_u64(BLOCK, min_u64(size, file->now.size) - at));
    image_copy(&file->now, &left);
    image_free(&left);
}

void fake_crash(struct env *env)
{
    env->locked = false;
    for (int i = 0; i < FAKE_FILES; i++) {
        struct env_file *file = &env->files[i];
        if (!file->exists)
            continue;
        if (!file->name_is_durable && random_below(&env->random, 2))
            file->exists = false;
        else
            file_crash(file);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct env_file *const *)a)->name, (*(struct env_file *const *)b)->name);
}

static int files_sorted(struct env *env, struct env_file **sorted)
{
    int count = 0;
    for (int i = 0; i < FAKE_FILES; i++)
        if (env->files[i].exists)
            sorted[count++] = &env->files[i];
    qsort(sorted, (size_t)count, sizeof(*sorted), by_name);
    return count;
}

struct env_file *fake_file(struct env *env, int n)
{
    struct env_file *sorted[FAKE_FILES];
    return n >= 0 && n < files_sorted(env, sorted) ? sorted[n] : NULL;
}

int fake_file_count(struct env *env)
{
    struct env_file *sorted[FAKE_FILES];
    return files_sorted(env, sorted);
}

/* ---- env.h, as far as a store uses it -------------------------------------------------------- */

void env_random(struct env *env, void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)(0xa0 + i);
}

int env_dir_open(struct env *env, const char *path, unsigned flags, struct env_dir **dir,
                 struct error *err)
{
    if (!env->has_directory && !(flags & ENV_DIR_CREATE))
        return error_set(err, EMB_ERR_NOT_FOUND, "directory %s", path);
    if ((flags & ENV_DIR_LOCK) && env->locked)
        return error_set(err, EMB_ERR_BUSY, "directory %s is locked", path);
    env->has_directory = true;
    env->locked |= (flags & ENV_DIR_LOCK) != 0;
    *dir = calloc(1, sizeof(**dir));
    ASSERT(*dir);
    (*dir)->env = env;
    (*dir)->locked = flags & ENV_DIR_LOCK;
    return EMB_OK;
}

void env_dir_close(struct env_dir *dir)
{
    if (dir && dir->locked)
        dir->env->locked = false;
    free(dir);
}

int env_dir_list(struct env_dir *dir, void (*fn)(void *arg, const char *name), void *arg,
                 struct error *err)
{
    struct env_file *sorted[FAKE_FILES];
    int count = files_sorted(dir->env, sorted);
    for (int i = 0; i < count; i++)
        fn(arg, sorted[i]->name);
    return EMB_OK;
}

static bool counts_down(int *count)
{
    return *count > 0 && --*count == 0;
}

int env_dir_sync(struct env_dir *dir, struct error *err)
{
    if (counts_down(&dir->env->fail_dir_sync))
        return error_set(err, EMB_ERR_IO, "syncing the directory");
    for (int i = 0; i < FAKE_FILES; i++)
        dir->env->files[i].name_is_durable |= dir->env->files[i].exists;
    return EMB_OK;
}

static struct env_file *file_find(struct env *env, const char *name)
{
    for (int i = 0; i < FAKE_FILES; i++)
        if (env->files[i].exists && strcmp(env->files[i].name, name) == 0)
            return &env->files[i];
    return NULL;
}

int env_dir_remove(struct env_dir *dir, const char *name, struct error *err)
{
    struct env_file *file = file_find(dir->env, name);
    if (!file)
        return error_set(err, EMB_ERR_NOT_FOUND, "file %s", name);
    file->exists = false;
    return EMB_OK;
}

int env_file_open(struct env_dir *dir, const char *name, unsigned flags, struct env_file **file,
                  struct error *err)
{
    *file = file_find(dir->env, name);
    if (!(flags & ENV_FILE_CREATE))
        return *file ? EMB_OK : error_set(err, EMB_ERR_NOT_FOUND, "file %s", name);
    ASSERT(!*file);
    for (int i = 0; i < FAKE_FILES; i++) {
        struct env_file *free_file = &dir->env->files[i];
        if (free_file->exists)
            continue;
        image_free(&free_file->now);
        image_free(&free_file->durable);
        memset(free_file, 0, sizeof(*free_file));
        free_file->env = dir->env;
        free_file->exists = true;
        strncpy(free_file->name, name, sizeof(free_file->name) - 1);
        *file = free_file;
        return EMB_OK;
    }
    return error_set(err, EMB_ERR_LIMIT, "too many files");
}

void env_file_close(struct env_file *file)
{
}

uint64_t env_file_bytes(struct env_file *file)
{
    return file->now.size;
}

ssize_t env_file_read(struct env_file *file, void *bytes, size_t count, uint64_t offset)
{
    if (offset >= file->now.size)
        return 0;
    count = min_u64(count, file->now.size - offset);
    memcpy(bytes, file->now.bytes + offset, count);
    return (ssize_t)count;
}

static bool can_grow(struct env *env, const struct env_file *growing, uint64_t size)
{
    uint64_t used = 0;
    for (int i = 0; i < FAKE_FILES; i++)
        if (env->files[i].exists && &env->files[i] != growing)
            used += env->files[i].now.size;
    return env->capacity_bytes == 0 ||
           used + max_u64(growing->now.size, size) <= env->capacity_bytes;
}

int env_file_preallocate(struct env_file *file, uint64_t bytes, struct error *err)
{
    if (file->env->refuse_preallocation)
        return error_set(err, EMB_ERR_NOT_SUPPORTED, "no preallocation");
    if (!can_grow(file->env, file, bytes))
        return error_set(err, EMB_ERR_NO_SPACE, "full");
    if (bytes > file->now.size)
        image_resize(&file->now, bytes);
    return EMB_OK;
}

int env_file_truncate(struct env_file *file, uint64_t bytes, struct error *err)
{
    image_resize(&file->now, bytes);
    return EMB_OK;
}

int env_io_create(struct env_poller *poller, unsigned depth, struct env_io **io, struct error *err)
{
    *io = calloc(1, sizeof(**io));
    ASSERT(*io);
    (*io)->env = (struct env *)poller; /* the tests pass their disk as the poller */
    (*io)->depth = depth;
    return EMB_OK;
}

static int64_t op_finish(struct env *env, struct fake_op *op)
{
    if (op->is_sync) {
        env->syncs++;
        bool failed = counts_down(&env->fail_sync);
        if (!failed)
            image_copy(&op->file->durable, &op->covered);
        image_free(&op->covered);
        return failed ? EMB_ERR_IO : 0;
    }
    env->writes++;
    uint64_t end = op->offset + op->count;
    if (counts_down(&env->fail_write))
        return EMB_ERR_IO;
    if (!can_grow(env, op->file, end))
        return EMB_ERR_NO_SPACE;
    if (end > op->file->now.size)
        image_resize(&op->file->now, end);
    for (uint64_t at = op->offset; at < end && at < op->file->durable.size; at++)
        env->written_twice += op->file->durable.bytes[at] != 0;
    memcpy(op->file->now.bytes + op->offset, op->bytes, op->count);
    return (int64_t)op->count;
}

/* Ends one operation, any of those under way. */
static struct env_completion op_take(struct env_io *io)
{
    unsigned which = (unsigned)random_below(&io->env->random, io->count);
    struct fake_op op = io->ops[which];
    io->ops[which] = io->ops[--io->count];
    return (struct env_completion){.cookie = op.cookie, .result = op_finish(io->env, &op)};
}

void env_io_destroy(struct env_io *io)
{
    while (io->count)
        op_take(io);
    free(io);
}

int env_io_write(struct env_io *io, struct env_file *file, const void *bytes, size_t count,
                 uint64_t offset, uint64_t cookie)
{
    ASSERT(count > 0 && count % BLOCK == 0 && offset % BLOCK == 0 && (uintptr_t)bytes % BLOCK == 0);
    if (io->count == io->depth)
        return EMB_ERR_BUSY;
    io->ops[io->count++] = (struct fake_op){
        .file = file, .bytes = bytes, .count = count, .offset = offset, .cookie = cookie};
    return EMB_OK;
}

int env_io_sync(struct env_io *io, struct env_file *file, uint64_t cookie)
{
    if (io->count == io->depth)
        return EMB_ERR_BUSY;
    struct fake_op *op = &io->ops[io->count++];
    *op = (struct fake_op){.is_sync = true, .file = file, .cookie = cookie};
    image_copy(&op->covered, &file->now);
    return EMB_OK;
}

int env_io_poll(struct env_io *io, struct env_completion *completions, int max)
{
    int taken = 0;
    if (io->env->hold)
        return 0;
    uint64_t most = random_below(&io->env->random, 4);
    while (taken < max && (uint64_t)taken < most && io->count)
        completions[taken++] = op_take(io);
    return taken;
}

const char *env_io_engine(struct env_io *io)
{
    return "fake";
}

/*
 * Files. One that is to be written past the page cache has two descriptors: env_io_write uses the
 * direct one, the blocking calls, whose bytes need no alignment, the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "env/posix/posix.h"

bool posix_name_is_good(const char *name)
{
    return name[0] != '\0' && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0 && strcmp(name, POSIX_LOCK_NAME) != 0;
}

static int file_enter(struct env_dir *dir, unsigned flags, struct env_file *file, struct error *err)
{
    int how = O_CLOEXEC | O_NONBLOCK; /* a pipe in the way must not hang the opening */
    how |= flags & (ENV_FILE_CREATE | ENV_FILE_WRITE) ? O_RDWR : O_RDONLY;
    int create = flags & ENV_FILE_CREATE ? O_CREAT | O_EXCL : 0;
    file->fd = openat(dir->fd, file->name, how | create, 0644);
    if (file->fd < 0)
        return posix_error(err, errno, "file %s/%s", dir->path, file->name);
    struct stat found;
    if (fstat(file->fd, &found) != 0 || !S_ISREG(found.st_mode))
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "%s/%s is not a regular file", dir->path,
                         file->name);
    if (!(flags & ENV_FILE_DIRECT))
        return EMB_OK;
    file->direct_fd = openat(dir->fd, file->name, how | O_DIRECT);
    if (file->direct_fd < 0 && errno != EINVAL)
        return posix_error(err, errno, "file %s/%s, past the page cache", dir->path, file->name);
    return EMB_OK;
}

static void file_free(struct env_file *file)
{
    if (file->direct_fd >= 0)
        close(file->direct_fd);
    if (file->fd >= 0)
        close(file->fd);
    free(file->name);
    free(file);
}

int env_file_open(struct env_dir *dir, const char *name, unsigned flags, struct env_file **file,
                  struct error *err)
{
    if (!posix_name_is_good(name))
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "file name \"%s\": a plain name other than " POSIX_LOCK_NAME " is needed",
                         name);
    struct env_file *opened = calloc(1, sizeof(*opened));
    if (opened)
        opened->name = strdup(name);
    if (!opened || !opened->name) {
        free(opened);
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for file %s", name);
    }
    opened->fd = opened->direct_fd = -1;
    int rc = file_enter(dir, flags, opened, err);
    if (rc)
        file_free(opened);
    else
        *file = opened;
    return rc;
}

void env_file_close(struct env_file *file)
{
    if (!file)
        return;
    file->closed = true;
    if (file->under_way == 0)
        file_free(file);
}

void posix_file_hold(struct env_file *file)
{
    ASSERT(!file->closed);
    file->under_way++;
}

void posix_file_release(struct env_file *file)
{
    ASSERT(file->under_way > 0);
    file->under_way--;
    if (file->closed && file->under_way == 0)
        file_free(file);
}

uint64_t env_file_bytes(struct env_file *file)
{
    struct stat found;
    return fstat(file->fd, &found) == 0 ? (uint64_t)found.st_size : 0;
}

ssize_t env_file_read(struct env_file *file, void *bytes, size_t count, uint64_t offset)
{
    size_t done = 0;
    while (done < count) {
        ssize_t got = pread(file->fd, (char *)bytes + done, count - done, (off_t)(offset + done));
        if (got == 0)
            break;
        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            return posix_code(errno);
    }
    return (ssize_t)done;
}

int env_file_write(struct env_file *file, const void *bytes, size_t count, uint64_t offset)
{
    size_t done = 0;
    while (done < count) {
        ssize_t put =
            pwrite(file->fd, (const char *)bytes + done, count - done, (off_t)(offset + done));
        if (put > 0)
            done += (size_t)put;
        else if (put == 0)
            return EMB_ERR_IO;
        else if (errno != EINTR)
            return posix_code(errno);
    }
    return EMB_OK;
}

int env_file_preallocate(struct env_file *file, uint64_t bytes, struct error *err)
{
    if (bytes == 0)
        return EMB_OK;
    int failed;
    do {
        failed = fallocate(file->fd, 0, 0, (off_t)bytes) == 0 ? 0 : errno;
    } while (failed == EINTR);
    /* libc reserves by writing where the file system cannot. */
    if (failed == EOPNOTSUPP)
        failed = posix_fallocate(file->fd, 0, (off_t)bytes);
    if (failed)
        return posix_error(err, failed, "reserving %llu bytes for file %s",
                           (unsigned long long)bytes, file->name);
    return EMB_OK;
}

int env_file_truncate(struct env_file *file, uint64_t bytes, struct error *err)
{
    if (ftruncate(file->fd, (off_t)bytes) != 0)
        return posix_error(err, errno, "setting file %s to %llu bytes", file->name,
                           (unsigned long long)bytes);
    return EMB_OK;
}

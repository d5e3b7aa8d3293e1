/* The one file of this room that asks the system for anything: a configuration's bytes. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(struct error *err, int code, const char *path, const char *why)
{
    return error_set(err, code, "%.200s: %s; accepted: a file that this user may read", path, why);
}

static int code_of(int system_error)
{
    return system_error == ENOENT   ? EMB_ERR_NOT_FOUND
           : system_error == EACCES ? EMB_ERR_PERMISSION
                                    : EMB_ERR_IO;
}

/* A pipe without writer must not hang the opening. */
static int open_regular(const char *path, int *fd, struct error *err)
{
    struct stat found = {0};
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return refuse(err, code_of(errno), path, strerror(errno));
    if (fstat(*fd, &found) == 0 && S_ISREG(found.st_mode))
        return EMB_OK;
    close(*fd);
    return refuse(err, EMB_ERR_INVALID_ARGUMENT, path,
                  S_ISDIR(found.st_mode) ? "is a directory" : "is no regular file");
}

/* Up to `capacity` bytes, fewer only at the end; -1 on failure. */
static ssize_t read_whole(int fd, char *bytes, size_t capacity)
{
    size_t count = 0;
    while (count < capacity) {
        ssize_t got = read(fd, bytes + count, capacity - count);
        if (got < 0 && errno != EINTR)
            return -1;
        if (got == 0)
            break;
        count += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)count;
}

int config_read_file(void *arg, const char *path, char *bytes, size_t capacity, size_t *count,
                     struct error *err)
{
    (void)arg;
    char more;
    int fd, result = open_regular(path, &fd, err);
    if (result != EMB_OK)
        return result;
    ssize_t got = read_whole(fd, bytes, capacity);
    ssize_t beyond = got == (ssize_t)capacity ? read_whole(fd, &more, 1) : 0;
    int why = errno;
    close(fd);
    if (got < 0 || beyond < 0)
        return refuse(err, EMB_ERR_IO, path, strerror(why));
    if (beyond > 0)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "%.200s is too large; accepted: at most %zu bytes", path, capacity);
    *count = (size_t)got;
    return EMB_OK;
}

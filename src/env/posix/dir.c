/* Directories: opening, locking, listing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bits.h"
#include "env/posix/posix.h"

#define DIRECTORY_MODE 0755

/* The new directory's name stands in its parent: without this a crash may lose it whole. */
static int parent_sync(char *path)
{
    char *slash = strrchr(path, '/');
    const char *parent = !slash ? "." : slash == path ? "/" : path;
    if (slash)
        *slash = '\0';
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash)
        *slash = '/';
    if (fd < 0)
        return errno;
    int failed = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return failed;
}

static int make_one(char *path)
{
    if (mkdir(path, DIRECTORY_MODE) != 0)
        return errno == EEXIST ? 0 : errno;
    return parent_sync(path);
}

/* Makes each part of the path that is missing; errno of the first that cannot be made. */
static int make_all(char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    for (char *at = path + 1; *at; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        int failed = make_one(path);
        *at = '/';
        /* On a read-only file system mkdir may say so of a directory that is there. */
        if (failed && failed != EROFS && failed != EACCES)
            return failed;
    }
    return make_one(path);
}

static int lock_refused(const struct env_dir *dir, int lock_fd, struct error *err)
{
    char holder[32] = "";
    ssize_t got = pread(lock_fd, holder, sizeof(holder) - 1, 0);
    holder[got > 0 ? got : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    return error_set(err, EMB_ERR_BUSY,
                     "directory %s is in use by process %s; stop it or choose another directory",
                     dir->path, holder[0] ? holder : "(not known yet)");
}

/* The kernel lets go of the lock when its holder dies; the file itself stays. */
static int dir_lock(struct env_dir *dir, struct error *err)
{
    int fd = openat(dir->fd, POSIX_LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return posix_error(err, errno, "lock file %s/" POSIX_LOCK_NAME, dir->path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int rc = errno == EWOULDBLOCK
                     ? lock_refused(dir, fd, err)
                     : posix_error(err, errno, "locking %s/" POSIX_LOCK_NAME, dir->path);
        close(fd);
        return rc;
    }
    /* The number is for people only: a full disk must not keep a node from starting. */
    if (ftruncate(fd, 0) == 0)
        dprintf(fd, "%ld\n", (long)getpid());
    dir->lock_fd = fd;
    return EMB_OK;
}

static int dir_enter(struct env_dir *dir, unsigned flags, struct error *err)
{
    if (flags & ENV_DIR_CREATE) {
        int failed = make_all(dir->path);
        if (failed && access(dir->path, F_OK) != 0)
            return posix_error(err, failed, "making directory %s", dir->path);
    }
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0)
        return posix_error(err, errno, "directory %s", dir->path);
    if ((flags & ENV_DIR_WRITE) && faccessat(dir->fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return error_set(err, EMB_ERR_PERMISSION,
                         "directory %s cannot be written: %s; make it writable or choose another",
                         dir->path, strerror(errno));
    return flags & ENV_DIR_LOCK ? dir_lock(dir, err) : EMB_OK;
}

int env_dir_open(struct env *env, const char *path, unsigned flags, struct env_dir **dir,
                 struct error *err)
{
    if (path[0] == '\0')
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "directory \"\": a path is needed");
    struct env_dir *opened = calloc(1, sizeof(*opened));
    if (opened)
        opened->path = strdup(path);
    if (!opened || !opened->path) {
        free(opened);
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for directory %s", path);
    }
    opened->fd = opened->lock_fd = -1;
    int rc = dir_enter(opened, flags, err);
    if (rc)
        env_dir_close(opened);
    else
        *dir = opened;
    return rc;
}

void env_dir_close(struct env_dir *dir)
{
    if (!dir)
        return;
    if (dir->lock_fd >= 0)
        close(dir->lock_fd);
    if (dir->fd >= 0)
        close(dir->fd);
    free(dir->path);
    free(dir);
}

struct names {
    char **list;
    size_t count, room;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
}

static bool names_add(struct names *names, const char *name)
{
    if (names->count == names->room) {
        size_t room = names->room ? names->room * 2 : 64;
        char **list = realloc(names->list, room * sizeof(*list));
        if (!list)
            return false;
        names->list = list;
        names->room = room;
    }
    names->list[names->count] = strdup(name);
    return names->list[names->count] && ++names->count;
}

static int names_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_listed(int fd, const struct dirent *entry)
{
    struct stat found;
    if (strcmp(entry->d_name, POSIX_LOCK_NAME) == 0)
        return false;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_REG;
    return fstatat(fd, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(found.st_mode);
}

/* 0 or an errno. */
static int names_read(int dir_fd, struct names *names)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    DIR *stream = fdopendir(fd);
    if (!stream) {
        int failed = errno;
        close(fd);
        return failed;
    }
    const struct dirent *entry;
    int failed = 0;
    while (!failed && (errno = 0, entry = readdir(stream)))
        if (is_listed(fd, entry) && !names_add(names, entry->d_name))
            failed = ENOMEM;
    if (!failed)
        failed = errno;
    closedir(stream);
    return failed;
}

/* The names are gathered first, so that fn may create and remove files. */
int env_dir_list(struct env_dir *dir, void (*fn)(void *arg, const char *name), void *arg,
                 struct error *err)
{
    struct names names = {0};
    int failed = names_read(dir->fd, &names);
    if (failed) {
        names_free(&names);
        return posix_error(err, failed, "listing directory %s", dir->path);
    }
    if (names.count)
        qsort(names.list, names.count, sizeof(*names.list), names_compare);
    for (size_t i = 0; i < names.count; i++)
        fn(arg, names.list[i]);
    names_free(&names);
    return EMB_OK;
}

int env_dir_sync(struct env_dir *dir, struct error *err)
{
    if (fsync(dir->fd) != 0)
        return posix_error(err, errno, "syncing directory %s", dir->path);
    return EMB_OK;
}

int env_dir_remove(struct env_dir *dir, const char *name, struct error *err)
{
    if (!posix_name_is_good(name))
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "file name \"%s\" is not one to remove",
                         name);
    if (unlinkat(dir->fd, name, 0) != 0)
        return posix_error(err, errno, "removing %s/%s", dir->path, name);
    return EMB_OK;
}

const char *posix_filesystem_name(long type)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } known[] = {
        {EXT4_SUPER_MAGIC, "ext4"},
        {XFS_SUPER_MAGIC, "xfs"},
        {BTRFS_SUPER_MAGIC, "btrfs"},
        {TMPFS_MAGIC, "tmpfs"},
        {RAMFS_MAGIC, "ramfs"},
        {OVERLAYFS_SUPER_MAGIC, "overlay"},
        {F2FS_SUPER_MAGIC, "f2fs"},
        {NFS_SUPER_MAGIC, "nfs"},
        {V9FS_MAGIC, "9p"},
        {0x2fc12fc1, "zfs"},
        {0xca451a4e, "bcachefs"},
        {0x65735546, "fuse"},
        {HUGETLBFS_MAGIC, "hugetlbfs"},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (known[i].magic == (unsigned long)(unsigned)type)
            return known[i].name;
    return "unknown";
}

const char *env_dir_filesystem(struct env_dir *dir, uint64_t *free_bytes)
{
    struct statfs found;
    if (fstatfs(dir->fd, &found) != 0) {
        if (free_bytes)
            *free_bytes = 0;
        return "unknown";
    }
    if (free_bytes)
        *free_bytes = (uint64_t)found.f_bavail * (uint64_t)found.f_frsize;
    return posix_filesystem_name(found.f_type);
}

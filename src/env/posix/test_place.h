/*
 * Where the tests of this folder work: a temporary directory, and small file systems mounted in a
 * mount namespace of the test's own, which end with it. Used by one test program's main thread.
 */
#ifndef ENV_POSIX_TEST_PLACE_H
#define ENV_POSIX_TEST_PLACE_H

#include <ftw.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* cmocka's comparisons of codes, which are negative. */
#define ASSERT_CODE(value, code) assert_int_equal((int)(value), (int)(code))

static inline char *place_make(void)
{
    const char *root = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/embarcadero-env-XXXXXX", root && root[0] ? root : "/tmp") < 0)
        return NULL;
    return mkdtemp(path);
}

static inline int place_remove_one(const char *path, const struct stat *found, int type,
                                   struct FTW *where)
{
    return remove(path);
}

static inline void place_remove(char *path)
{
    nftw(path, place_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    free(path);
}

/* path/name in static storage of the caller's frame. */
static inline const char *place_join(char *room, size_t bytes, const char *path, const char *name)
{
    snprintf(room, bytes, "%s/%s", path, name);
    return room;
}

/* Skips the test where it may not mount. */
static inline void place_mount(const char *path, const char *options)
{
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", path, "tmpfs", 0, options) == 0)
        return;
    print_message("skipped: no file system can be mounted here\n");
    skip();
}

static inline void place_unmount(const char *path)
{
    umount2(path, MNT_DETACH);
}

#endif

#include "tools/demo_place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "env/env.h"

#define BLOCK_BYTES     4096
#define LINE_TEXT_BYTES 4096
#define RAM_SYNC_NS     15000u /* no disk has stored 4 KiB in this time */

static bool is_memory(long type)
{
    return type == TMPFS_MAGIC || type == RAMFS_MAGIC;
}

/* The upperdir= of the overlay that the directory is on; "" if the kernel does not show it. */
static void upper_directory(const char *directory, char upper[PATH_MAX])
{
    char real[PATH_MAX], line[LINE_TEXT_BYTES], point[PATH_MAX];
    size_t best = 0;
    upper[0] = '\0';
    FILE *mounts = realpath(directory, real) ? fopen("/proc/self/mountinfo", "r") : NULL;
    while (mounts && fgets(line, sizeof line, mounts)) {
        const char *options = strstr(line, " - overlay ");
        if (!options || sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1)
            continue;
        size_t length = strcmp(point, "/") == 0 ? 0 : strlen(point);
        const char *at = strstr(options, "upperdir=");
        if (!at || length < best || strncmp(real, point, length) != 0 || real[length] != '/')
            continue;
        best = length;
        at += strlen("upperdir=");
        snprintf(upper, PATH_MAX, "%.*s", (int)strcspn(at, ", \n"), at);
    }
    if (mounts)
        fclose(mounts);
}

static int refuse(const char *directory, const char *what, struct error *err)
{
    return error_set(err, EMB_ERR_NOT_SUPPORTED,
                     "%s is on %s, which keeps nothing: a durable log cannot be shown there. Set "
                     "DEMO_DIR to a directory on a disk",
                     directory, what);
}

static int refuse_memory(const char *directory, const struct statfs *info,
                         const struct place *place, struct error *err)
{
    char upper[PATH_MAX];
    struct statfs upper_info;
    if (is_memory(info->f_type))
        return refuse(directory, place->filesystem, err);
    if (info->f_type != OVERLAYFS_SUPER_MAGIC)
        return EMB_OK;
    upper_directory(directory, upper);
    if (upper[0] && statfs(upper, &upper_info) == 0)
        return is_memory(upper_info.f_type)
                   ? refuse(directory, "an overlayfs whose upper directory is in memory", err)
                   : EMB_OK;
    return place->sync_ns < RAM_SYNC_NS
               ? refuse(directory, "an overlayfs that syncs in no time, so is in memory", err)
               : EMB_OK;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Appending, as a log does. */
static int measure_sync(int fd, const char *path, uint64_t *median_ns, struct error *err)
{
    static const char block[BLOCK_BYTES] = "embarcadero";
    uint64_t times[PLACE_ROUNDS];
    struct env *env = env_create();
    if (!env)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory");
    int rc = EMB_OK;
    for (int i = 0; i < PLACE_ROUNDS && rc == EMB_OK; i++) {
        uint64_t begin_ns = env_now_ns(env);
        if (write(fd, block, sizeof block) != BLOCK_BYTES || fdatasync(fd) != 0)
            rc = error_set(err, EMB_ERR_IO, "%s cannot be written and synced: %s", path,
                           strerror(errno));
        times[i] = env_now_ns(env) - begin_ns;
    }
    env_destroy(env);
    if (rc)
        return rc;
    qsort(times, PLACE_ROUNDS, sizeof times[0], compare_times);
    *median_ns = times[PLACE_ROUNDS / 2];
    return EMB_OK;
}

static int describe(const char *directory, struct place *place, struct error *err)
{
    struct env_dir *dir;
    struct env *env = env_create();
    if (!env)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory");
    int rc = env_dir_open(env, directory, ENV_DIR_WRITE, &dir, err);
    if (rc == EMB_OK) {
        place->filesystem = env_dir_filesystem(dir, &place->free_bytes);
        env_dir_close(dir);
    }
    env_destroy(env);
    return rc;
}

int place_measure(const char *directory, struct place *place, struct error *err)
{
    char path[PATH_MAX];
    struct statfs info;
    int rc = describe(directory, place, err);
    if (rc)
        return rc;
    snprintf(path, sizeof path, "%s/sync-XXXXXX", directory);
    int fd = mkstemp(path);
    if (fd < 0 || fstatfs(fd, &info) != 0) {
        rc = error_set(err, EMB_ERR_IO, "%s: %s", path, strerror(errno));
    } else {
        rc = measure_sync(fd, path, &place->sync_ns, err);
    }
    if (fd >= 0) {
        unlink(path);
        close(fd);
    }
    return rc ? rc : refuse_memory(directory, &info, place, err);
}

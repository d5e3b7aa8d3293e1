/*
 * The size of a new region against what is free. Pages of a file in memory are taken when they are
 * first touched, and a failure then is a SIGBUS: so what cannot fit is refused at creation.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/bits.h"
#include "env/posix/posix.h"

/* What the kernel thinks it can give without swapping; no limit if it does not say. */
static uint64_t memory_available(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file)
        return UINT64_MAX;
    char line[128];
    uint64_t kib, bytes = UINT64_MAX;
    while (bytes == UINT64_MAX && fgets(line, sizeof(line), file))
        if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1)
            bytes = kib * 1024;
    fclose(file);
    return bytes;
}

static bool is_memory(const struct statfs *found)
{
    return found->f_type == TMPFS_MAGIC || found->f_type == RAMFS_MAGIC;
}

static void size_print(uint64_t bytes, char *text, size_t room)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1024 && unit + 1 < COUNT_OF(units)) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        snprintf(text, room, "%" PRIu64 " bytes", bytes);
    else
        snprintf(text, room, "%.1f %s (%" PRIu64 " bytes)", value, units[unit], bytes);
}

int posix_size_check(int fd, const char *url, uint64_t bytes, struct error *err)
{
    struct statfs found;
    if (fstatfs(fd, &found) != 0)
        return posix_error(err, errno, "file system of %s", url);
    const char *where = "on the file system";
    uint64_t free_bytes = (uint64_t)found.f_bavail * (uint64_t)found.f_frsize;
    if (found.f_blocks == 0)
        free_bytes = UINT64_MAX; /* without a limit of its own, as ramfs */
    uint64_t memory = is_memory(&found) ? memory_available() : UINT64_MAX;
    if (memory < free_bytes) {
        free_bytes = memory;
        where = "in memory";
    }
    if (bytes <= free_bytes)
        return EMB_OK;
    char asked[64], there[64];
    size_print(bytes, asked, sizeof(asked));
    size_print(free_bytes, there, sizeof(there));
    return error_set(err, EMB_ERR_NO_SPACE,
                     "region %s of %s does not fit: %s are free %s; choose a smaller region", url,
                     asked, there, where);
}

int posix_size_set(int fd, const char *url, uint64_t bytes, struct error *err)
{
    struct statfs found;
    if (fstatfs(fd, &found) == 0 && !is_memory(&found)) {
        /* On a disk reserving is quick, and spares the SIGBUS when others fill it. */
        if (fallocate(fd, 0, 0, (off_t)bytes) == 0)
            return EMB_OK;
        if (errno != EOPNOTSUPP && errno != EINTR)
            return posix_error(err, errno, "reserving %" PRIu64 " bytes for region %s", bytes, url);
    }
    if (ftruncate(fd, (off_t)bytes) != 0)
        return posix_error(err, errno, "setting region %s to %" PRIu64 " bytes", url, bytes);
    return EMB_OK;
}

/* Mapping shared memory by its url. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bits.h"
#include "env/posix/posix.h"

#define PAGE_BYTES      4096u
#define HUGE_PAGE_BYTES (2u << 20)
#define SHM_NAME_BYTES  250 /* with the slash in front and the end */

enum map_kind { MAP_KIND_SHM, MAP_KIND_FILE, MAP_KIND_DAX };

struct map_url {
    enum map_kind kind;
    const char *text; /* the whole url */
    const char *path; /* of file and dax */
    char shm_name[SHM_NAME_BYTES + 2];
};

static bool shm_name_is_good(const char *name)
{
    size_t length =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return length > 0 && length < SHM_NAME_BYTES && name[length] == '\0' && name[0] != '.';
}

static int url_parse_shm(const char *name, struct map_url *url, struct error *err)
{
    if (!shm_name_is_good(name))
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "region %.64s: the name after shm: is 1 to 249 letters, digits, '-', '_' "
                         "and '.', not first",
                         url->text);
    url->kind = MAP_KIND_SHM;
    url->shm_name[0] = '/';
    memcpy(url->shm_name + 1, name, strlen(name) + 1); /* its length was checked */
    return EMB_OK;
}

static int url_parse(const char *text, struct map_url *url, struct error *err)
{
    memset(url, 0, sizeof(*url));
    url->text = text;
    if (strncmp(text, "shm:", 4) == 0)
        return url_parse_shm(text + 4, url, err);
    if (strncmp(text, "file:", 5) == 0 && text[5] != '\0') {
        url->kind = MAP_KIND_FILE;
        url->path = text + 5;
        return EMB_OK;
    }
    if (strncmp(text, "dax:/dev/", 9) == 0 && text[9] != '\0') {
        url->kind = MAP_KIND_DAX;
        url->path = text + 4;
        return EMB_OK;
    }
    return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                     "region \"%.64s\": shm:NAME, file:PATH or dax:/dev/daxX.Y is needed", text);
}

static int url_open(const struct map_url *url, int how)
{
    how |= O_CLOEXEC | O_NONBLOCK; /* a pipe in the way must not hang the opening */
    return url->kind == MAP_KIND_SHM ? shm_open(url->shm_name, how, 0660)
                                     : open(url->path, how, 0660);
}

static int url_remove(const struct map_url *url)
{
    return url->kind == MAP_KIND_SHM ? shm_unlink(url->shm_name) : unlink(url->path);
}

/* Huge pages need an address that is a multiple of theirs, which plain mmap does not promise. */
static void *map_aligned(int fd, uint64_t bytes, uint64_t align, int protection)
{
    size_t wanted = align_up(bytes, PAGE_BYTES), reserved = wanted + align;
    unsigned char *start =
        mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return MAP_FAILED;
    unsigned char *base = (unsigned char *)align_up((uintptr_t)start, align);
    if (mmap(base, bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        int failed = errno;
        munmap(start, reserved);
        errno = failed;
        return MAP_FAILED;
    }
    if (base > start)
        munmap(start, (size_t)(base - start));
    munmap(base + wanted, reserved - wanted - (size_t)(base - start));
    return base;
}

/* Takes the descriptor over, also when it fails. */
static int map_fd(int fd, uint64_t bytes, uint64_t align, unsigned flags, struct env_map **map,
                  struct error *err)
{
    struct env_map *created = calloc(1, sizeof(*created));
    struct stat found;
    bool read_only = (flags & ENV_MAP_READ_ONLY) != 0;
    void *base = MAP_FAILED;
    errno = ENOMEM;
    if (created)
        base = map_aligned(fd, bytes, align, read_only ? PROT_READ : PROT_READ | PROT_WRITE);
    if (base == MAP_FAILED) {
        int failed = errno;
        free(created);
        close(fd);
        return posix_error(err, failed, "mapping %" PRIu64 " bytes", bytes);
    }
    madvise(base, bytes, MADV_HUGEPAGE); /* refused: env_map_huge tells */
    created->fd = fd;
    created->base = base;
    created->bytes = bytes;
    created->read_only = read_only;
    created->can_sendfile = fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
    *map = created;
    return EMB_OK;
}

static int size_is_possible(const char *url, uint64_t bytes, struct error *err)
{
    if (bytes == 0 || bytes % PAGE_BYTES != 0 || bytes > INT64_MAX)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "region %s of %" PRIu64 " bytes: a multiple of %u is needed", url, bytes,
                         PAGE_BYTES);
    return EMB_OK;
}

/* The kernel lets go of it when the last descriptor is closed, so also when its holder dies. What
   was removed meanwhile is not what the url names any more. */
static int map_lock(int fd, const char *name, unsigned flags, struct error *err)
{
    struct stat found;
    if (!(flags & (ENV_MAP_CREATE | ENV_MAP_LOCK)))
        return EMB_OK;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno != EWOULDBLOCK
                   ? posix_error(err, errno, "locking region %s", name)
                   : error_set(err, EMB_ERR_BUSY,
                               "region %s is held by another process of this host: the sequencer "
                               "that works on it, or one that formats it",
                               name);
    if (fstat(fd, &found) == 0 && found.st_nlink == 0)
        return error_set(err, EMB_ERR_UNAVAILABLE, "region %s was removed just now", name);
    return EMB_OK;
}

static uint64_t align_for(uint64_t bytes)
{
    return bytes >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : PAGE_BYTES;
}

static int map_create(const struct map_url *url, uint64_t bytes, unsigned flags,
                      struct env_map **map, struct error *err)
{
    int rc = size_is_possible(url->text, bytes, err);
    if (rc)
        return rc;
    int fd = url_open(url, O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0 && errno == EEXIST)
        return error_set(err, EMB_ERR_EXISTS,
                         "region %s is already there; attach to it or remove it first", url->text);
    if (fd < 0)
        return posix_error(err, errno, "creating region %s", url->text);
    /* Before it has a size: until then nobody else takes the lock. */
    rc = map_lock(fd, url->text, flags, err);
    if (!rc)
        rc = posix_size_check(fd, url->text, bytes, err);
    if (!rc)
        rc = posix_size_set(fd, url->text, bytes, err);
    if (rc)
        close(fd);
    else
        rc = map_fd(fd, bytes, align_for(bytes), flags, map, err);
    if (rc)
        url_remove(url);
    return rc;
}

static int size_found(const struct map_url *url, int fd, uint64_t *bytes, struct error *err)
{
    struct stat found;
    if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode))
        return error_set(err, EMB_ERR_INVALID_ARGUMENT, "region %s is not a regular file",
                         url->text);
    *bytes = (uint64_t)found.st_size;
    if (*bytes == 0)
        return error_set(err, EMB_ERR_UNAVAILABLE,
                         "region %s is empty: it is being created just now, or its creation was "
                         "interrupted; in that case remove it",
                         url->text);
    if (*bytes % PAGE_BYTES != 0)
        return error_set(err, EMB_ERR_CORRUPT,
                         "region %s has %" PRIu64 " bytes, no multiple of %u: it was truncated or "
                         "is no region",
                         url->text, *bytes, PAGE_BYTES);
    return EMB_OK;
}

static int map_attach(const struct map_url *url, unsigned flags, struct env_map **map,
                      struct error *err)
{
    int fd = url_open(url, flags & ENV_MAP_READ_ONLY ? O_RDONLY : O_RDWR);
    if (fd < 0)
        return posix_error(err, errno, "region %s", url->text);
    uint64_t bytes = 0;
    int rc = size_found(url, fd, &bytes, err);
    if (!rc)
        rc = map_lock(fd, url->text, flags, err);
    if (rc) {
        close(fd);
        return rc;
    }
    return map_fd(fd, bytes, align_for(bytes), flags, map, err);
}

int posix_map_device(const char *path, uint64_t device_bytes, uint64_t align, uint64_t wanted_bytes,
                     unsigned flags, struct env_map **map, struct error *err)
{
    if (wanted_bytes > device_bytes)
        return error_set(err, EMB_ERR_NO_SPACE,
                         "region of %" PRIu64 " bytes does not fit: device %s has %" PRIu64,
                         wanted_bytes, path, device_bytes);
    if (device_bytes == 0 || !is_power_of_two(align) || align < PAGE_BYTES ||
        device_bytes % align != 0)
        return error_set(err, EMB_ERR_MISMATCH,
                         "device %s has %" PRIu64 " bytes, no multiple of its alignment %" PRIu64,
                         path, device_bytes, align);
    int fd = open(path, (flags & ENV_MAP_READ_ONLY ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (fd < 0)
        return posix_error(err, errno, "device %s", path);
    int rc = map_lock(fd, path, flags, err);
    if (rc) {
        close(fd);
        return rc;
    }
    return map_fd(fd, device_bytes, align, flags, map, err);
}

int env_map_open(struct env *env, const char *url, uint64_t bytes, unsigned flags,
                 struct env_map **map, struct error *err)
{
    struct map_url parsed;
    int rc = url_parse(url, &parsed, err);
    if (rc)
        return rc;
    if (parsed.kind == MAP_KIND_DAX) {
        uint64_t found, align;
        rc = posix_dax_find(parsed.path, &found, &align, err);
        return rc ? rc : posix_map_device(parsed.path, found, align, bytes, flags, map, err);
    }
    if (flags & ENV_MAP_CREATE)
        return map_create(&parsed, bytes, flags, map, err);
    return map_attach(&parsed, flags, map, err);
}

void env_map_close(struct env_map *map)
{
    if (!map)
        return;
    munmap(map->base, map->bytes);
    close(map->fd);
    free(map);
}

int env_map_remove(struct env *env, const char *url, struct error *err)
{
    struct map_url parsed;
    int rc = url_parse(url, &parsed, err);
    if (rc || parsed.kind == MAP_KIND_DAX)
        return rc;
    return url_remove(&parsed) == 0 ? EMB_OK : posix_error(err, errno, "removing region %s", url);
}

unsigned char *env_map_base(struct env_map *map)
{
    return map->base;
}

uint64_t env_map_bytes(struct env_map *map)
{
    return map->bytes;
}

bool env_map_huge(struct env_map *map)
{
    return posix_range_is_huge(map->base, map->bytes);
}

bool env_map_can_sendfile(struct env_map *map)
{
    return map->can_sendfile;
}

int posix_map_fd(const struct env_map *map)
{
    return map->fd;
}

/* Reading a byte of each page maps it and changes nothing, which a write could not promise. */
static void pages_read(const unsigned char *from, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += PAGE_BYTES)
        (void)*(const volatile unsigned char *)(from + at);
}

void env_map_prefault(struct env_map *map, uint64_t offset, uint64_t bytes)
{
    ASSERT(offset <= map->bytes && bytes <= map->bytes - offset);
    uint64_t start = align_down(offset, PAGE_BYTES);
    uint64_t length = align_up(offset + bytes, PAGE_BYTES) - start;
    if (length == 0)
        return;
    int advice = map->read_only ? MADV_POPULATE_READ : MADV_POPULATE_WRITE;
    int rc;
    do {
        rc = madvise(map->base + start, length, advice);
    } while (rc != 0 && (errno == EINTR || errno == EAGAIN));
    if (rc != 0 && errno == EINVAL) /* an older kernel */
        pages_read(map->base + start, length);
}

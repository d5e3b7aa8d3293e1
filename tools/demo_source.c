#include "tools/demo_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"

#define LENGTHS_BYTES (2 * sizeof(uint32_t))

int mapping_open(struct mapping *mapping, const char *path, struct error *err)
{
    struct stat info;
    *mapping = (struct mapping){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        int rc = error_set(err, EMB_ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return rc;
    }
    void *at =
        info.st_size ? mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (at == MAP_FAILED)
        return error_set(err, EMB_ERR_IO, "%s: %s", path,
                         info.st_size ? strerror(errno) : "the file is empty");
    mapping->at = at;
    mapping->bytes = (uint64_t)info.st_size;
    return EMB_OK;
}

void mapping_close(struct mapping *mapping)
{
    if (mapping->at)
        munmap((void *)(uintptr_t)mapping->at, mapping->bytes);
    mapping->at = NULL;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static const char *line_end(const struct mapping *mapping, const char *at)
{
    const char *limit = mapping->at + mapping->bytes;
    const char *end = memchr(at, '\n', (size_t)(limit - at));
    return end ? end : limit;
}

static uint64_t lines_count(const struct mapping *mapping)
{
    uint64_t lines = 0;
    const char *limit = mapping->at + mapping->bytes;
    for (const char *at = mapping->at; at < limit; at = line_end(mapping, at) + 1)
        lines++;
    return lines;
}

int source_open(struct source *source, const char *path, struct error *err)
{
    *source = (struct source){0};
    int rc = mapping_open(&source->mapping, path, err);
    if (rc)
        return rc;
    source->lines = lines_count(&source->mapping);
    source->starts = calloc(source->lines + 1, sizeof *source->starts);
    if (!source->starts) {
        mapping_close(&source->mapping);
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for an index of %s", path);
    }
    const char *at = source->mapping.at;
    for (uint64_t i = 0; i < source->lines; i++) {
        const char *end = line_end(&source->mapping, at);
        source->value_bytes += (uint64_t)(end - at);
        source->longest = max_u64(source->longest, (uint64_t)(end - at));
        at = end + 1;
        source->starts[i + 1] = (uint64_t)(at - source->mapping.at);
    }
    return EMB_OK;
}

void source_close(struct source *source)
{
    free(source->starts);
    mapping_close(&source->mapping);
}

struct bytes source_line(const struct source *source, uint64_t line)
{
    uint64_t start = source->starts[line];
    return (struct bytes){source->mapping.at + start, source->starts[line + 1] - start - 1};
}

/* ---- messages -------------------------------------------------------------------------------- */

static bool delivered_add(struct delivered *delivered, uint64_t start)
{
    if (delivered->messages == delivered->capacity) {
        uint64_t capacity = delivered->capacity ? 2 * delivered->capacity : 1 << 16;
        uint64_t *starts = realloc(delivered->starts, capacity * sizeof *starts);
        if (!starts)
            return false;
        delivered->starts = starts;
        delivered->capacity = capacity;
    }
    delivered->starts[delivered->messages++] = start;
    return true;
}

/* Bytes of the message at an offset of the file; 0: it is not whole. */
static uint64_t message_bytes(const struct mapping *mapping, uint64_t at)
{
    uint32_t lengths[2];
    if (mapping->bytes - at < LENGTHS_BYTES)
        return 0;
    memcpy(lengths, mapping->at + at, LENGTHS_BYTES);
    uint64_t bytes = LENGTHS_BYTES + (uint64_t)lengths[0] + lengths[1];
    return bytes <= mapping->bytes - at ? bytes : 0;
}

int delivered_open(struct delivered *delivered, const char *path, struct error *err)
{
    *delivered = (struct delivered){0};
    int rc = mapping_open(&delivered->mapping, path, err);
    uint64_t at = 0;
    while (rc == EMB_OK && at < delivered->mapping.bytes) {
        uint64_t bytes = message_bytes(&delivered->mapping, at);
        if (!bytes)
            rc = error_set(err, EMB_ERR_CORRUPT, "%s: no whole message at byte %llu", path,
                           (unsigned long long)at);
        else if (!delivered_add(delivered, at))
            rc = error_set(err, EMB_ERR_NO_MEMORY, "no memory for an index of %s", path);
        at += bytes;
    }
    if (rc)
        delivered_close(delivered);
    return rc;
}

void delivered_close(struct delivered *delivered)
{
    free(delivered->starts);
    delivered->starts = NULL;
    mapping_close(&delivered->mapping);
}

void delivered_message(const struct delivered *delivered, uint64_t n, struct bytes *key,
                       struct bytes *value)
{
    const char *at = delivered->mapping.at + delivered->starts[n];
    uint32_t lengths[2];
    memcpy(lengths, at, LENGTHS_BYTES);
    *key = (struct bytes){at + LENGTHS_BYTES, lengths[0]};
    *value = (struct bytes){at + LENGTHS_BYTES + lengths[0], lengths[1]};
}

bool delivered_write(FILE *file, struct bytes key, struct bytes value)
{
    uint32_t lengths[2] = {(uint32_t)key.count, (uint32_t)value.count};
    return fwrite(lengths, LENGTHS_BYTES, 1, file) == 1 &&
           fwrite(key.at, 1, key.count, file) == key.count &&
           fwrite(value.at, 1, value.count, file) == value.count;
}

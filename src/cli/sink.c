#include "cli/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES (1u << 20)

int sink_open(struct sink *sink, const char *path, struct error *err)
{
    *sink = (struct sink){.name = "standard output", .fd = STDOUT_FILENO};
    if (path && strcmp(path, "-") != 0) {
        sink->name = path;
        sink->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    }
    if (sink->fd < 0)
        return error_set(err, EMB_ERR_IO, "%s: %s", path, strerror(errno));
    sink->buffer = malloc(BUFFER_BYTES);
    if (sink->buffer)
        return EMB_OK;
    sink_close(sink, NULL);
    return error_set(err, EMB_ERR_NO_MEMORY, "no memory for a buffer of %u bytes", BUFFER_BYTES);
}

static void write_all(struct sink *sink, const char *bytes, size_t count)
{
    while (count > 0 && !sink->failure) {
        ssize_t put = write(sink->fd, bytes, count);
        if (put < 0 && errno != EINTR)
            sink->failure = errno;
        if (put > 0) {
            bytes += put;
            count -= (size_t)put;
        }
    }
}

void sink_put(struct sink *sink, const void *bytes, size_t count)
{
    if (count > BUFFER_BYTES - sink->used) {
        write_all(sink, sink->buffer, sink->used);
        sink->used = 0;
    }
    if (count > BUFFER_BYTES) {
        write_all(sink, bytes, count);
        return;
    }
    if (count) /* what is absent is NULL */
        memcpy(sink->buffer + sink->used, bytes, count);
    sink->used += count;
}

void sink_number(struct sink *sink, uint64_t number)
{
    char text[24];
    int bytes = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    sink_put(sink, text, (size_t)bytes);
}

int sink_flush(struct sink *sink, struct error *err)
{
    write_all(sink, sink->buffer, sink->used);
    sink->used = 0;
    if (!sink->failure)
        return EMB_OK;
    return error_set(err, EMB_ERR_IO, "%s: %s", sink->name, strerror(sink->failure));
}

int sink_close(struct sink *sink, struct error *err)
{
    int rc = sink->buffer ? sink_flush(sink, err) : EMB_OK;
    if (sink->fd > STDOUT_FILENO && close(sink->fd) != 0 && rc == EMB_OK)
        rc = error_set(err, EMB_ERR_IO, "%s: %s", sink->name, strerror(errno));
    free(sink->buffer);
    sink->buffer = NULL;
    return rc;
}

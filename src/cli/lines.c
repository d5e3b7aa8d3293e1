#include "cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_CAPACITY (1u << 20)

static int code_of(int number)
{
    if (number == ENOENT)
        return EMB_ERR_NOT_FOUND;
    return number == EACCES ? EMB_ERR_PERMISSION : EMB_ERR_IO;
}

int lines_open(struct lines *lines, const char *path, char end_byte, struct error *err)
{
    bool standard = strcmp(path, "-") == 0;
    *lines = (struct lines){.name = standard ? "standard input" : path, .end_byte = end_byte};
    lines->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (lines->fd < 0)
        return error_set(err, code_of(errno), "%s: %s", path, strerror(errno));
    lines->capacity = FIRST_CAPACITY;
    lines->buffer = malloc(lines->capacity);
    if (lines->buffer)
        return EMB_OK;
    lines_close(lines);
    return error_set(err, EMB_ERR_NO_MEMORY, "%s: no memory for a buffer", path);
}

void lines_close(struct lines *lines)
{
    if (lines->fd > STDIN_FILENO)
        close(lines->fd);
    free(lines->buffer);
    lines->buffer = NULL;
}

/* Makes room behind what is left: moves it to the front, and doubles the buffer if it is full. */
static int room_make(struct lines *lines, struct error *err)
{
    memmove(lines->buffer, lines->buffer + lines->from, lines->to - lines->from);
    lines->to -= lines->from;
    lines->from = 0;
    if (lines->to < lines->capacity)
        return EMB_OK;
    if (lines->capacity >= 2 * LINES_LONGEST)
        return error_set(err, EMB_ERR_BATCH_TOO_LARGE,
                         "%s, line %llu: longer than %u bytes; no message may be", lines->name,
                         (unsigned long long)lines->number + 1, LINES_LONGEST);
    char *grown = realloc(lines->buffer, 2 * lines->capacity);
    if (!grown)
        return error_set(err, EMB_ERR_NO_MEMORY, "%s: no memory for a line of %zu bytes",
                         lines->name, lines->capacity);
    lines->buffer = grown;
    lines->capacity *= 2;
    return EMB_OK;
}

static int fill(struct lines *lines, struct error *err)
{
    int rc = room_make(lines, err);
    if (rc)
        return rc;
    ssize_t got;
    do
        got = read(lines->fd, lines->buffer + lines->to, lines->capacity - lines->to);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return error_set(err, code_of(errno), "%s: %s", lines->name, strerror(errno));
    lines->to += (size_t)got;
    lines->input_over = got == 0;
    return EMB_OK;
}

static int hand_out(struct lines *lines, size_t bytes, size_t taken, const char **line,
                    size_t *line_bytes)
{
    *line = lines->buffer + lines->from;
    *line_bytes = bytes;
    lines->from += taken;
    lines->number++;
    return 1;
}

int lines_next(struct lines *lines, const char **line, size_t *bytes, struct error *err)
{
    size_t looked = 0; /* of what is left: no end byte in there */
    for (;;) {
        const char *from = lines->buffer + lines->from;
        size_t left = lines->to - lines->from;
        const char *end = memchr(from + looked, lines->end_byte, left - looked);
        if (end)
            return hand_out(lines, (size_t)(end - from), (size_t)(end - from) + 1, line, bytes);
        if (lines->input_over)
            return left ? hand_out(lines, left, left, line, bytes) : 0;
        looked = left;
        int rc = fill(lines, err);
        if (rc)
            return rc;
    }
}

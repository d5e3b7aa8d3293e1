/*
 * Lines of a file, as slices of one large buffer that is refilled with long reads. One thread;
 * from lines_open to lines_close. Reading blocks.
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define LINES_LONGEST (16u << 20) /* no message is larger */

struct lines {
    const char *name; /* of the file, for messages */
    int fd;
    char end_byte;
    char *buffer;
    size_t capacity;
    size_t from; /* what has not been handed out: [from, to) */
    size_t to;
    bool input_over;
    uint64_t number; /* of the line last handed out, from 1 */
};

/* "-" is standard input. EMB_ERR_NOT_FOUND, EMB_ERR_PERMISSION, EMB_ERR_IO, EMB_ERR_NO_MEMORY. */
int lines_open(struct lines *lines, const char *path, char end_byte, struct error *err);
/* 1: a line without its end, valid until the next call (the last one may lack the end byte); 0: no
   more; EMB_ERR_IO, EMB_ERR_NO_MEMORY, EMB_ERR_BATCH_TOO_LARGE (longer than LINES_LONGEST). */
int lines_next(struct lines *lines, const char **line, size_t *bytes, struct error *err);
void lines_close(struct lines *lines);

#endif

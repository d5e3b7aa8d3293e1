/*
 * Where messages are written: a file descriptor behind one large buffer. The first failure is kept
 * and everything after it dropped. One thread; from sink_open to sink_close. Writing blocks.
 */
#ifndef CLI_SINK_H
#define CLI_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sink {
    const char *name;
    int fd;
    char *buffer;
    size_t used;
    int failure; /* errno, or 0 */
};

/* NULL or "-": standard output; else the file is made anew. EMB_ERR_IO, EMB_ERR_NO_MEMORY. */
int sink_open(struct sink *sink, const char *path, struct error *err);
void sink_put(struct sink *sink, const void *bytes, size_t count);
static inline void sink_byte(struct sink *sink, char byte)
{
    sink_put(sink, &byte, 1);
}
void sink_number(struct sink *sink, uint64_t number);
/* Writes what is buffered. EMB_OK, or EMB_ERR_IO with the first failure. */
int sink_flush(struct sink *sink, struct error *err);
/* Flushes and closes; the result of both. */
int sink_close(struct sink *sink, struct error *err);

#endif

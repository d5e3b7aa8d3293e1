/*
 * The source of the demonstration: a file of lines, mapped and indexed, and a list of messages, as
 * the first subscriber writes what it was handed and the disk check reads it back.
 *
 * Writer: its open. Readers: any thread. Lifetime: open to close; a line is valid until then.
 */
#ifndef TOOLS_DEMO_SOURCE_H
#define TOOLS_DEMO_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

struct bytes {
    const char *at;
    uint64_t count;
};

/* A file mapped for reading. */
struct mapping {
    const char *at;
    uint64_t bytes;
};

int mapping_open(struct mapping *mapping, const char *path, struct error *err);
void mapping_close(struct mapping *mapping);

struct source {
    struct mapping mapping;
    uint64_t *starts; /* of each line, and one for the end */
    uint64_t lines;
    uint64_t value_bytes; /* of all lines, without their ends */
    uint64_t longest;
};

int source_open(struct source *source, const char *path, struct error *err);
void source_close(struct source *source);
/* Without its line end. */
struct bytes source_line(const struct source *source, uint64_t line);

/* Messages in the order of their offsets: key_bytes:4, value_bytes:4, key, value for each. */
struct delivered {
    struct mapping mapping;
    uint64_t *starts;
    uint64_t messages;
    uint64_t capacity;
};

int delivered_open(struct delivered *delivered, const char *path, struct error *err);
void delivered_close(struct delivered *delivered);
void delivered_message(const struct delivered *delivered, uint64_t n, struct bytes *key,
                       struct bytes *value);
/* False: it could not be written. */
bool delivered_write(FILE *file, struct bytes key, struct bytes value);

#endif

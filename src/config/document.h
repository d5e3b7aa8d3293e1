/*
 * The shape of a configuration file: one YAML document that is a flat map from names to values or
 * lists of values. What else YAML can say is refused with its place. Pure; one thread. Only this
 * room includes it. YAML 1.1, as libyaml reads it.
 */
#ifndef CONFIG_DOCUMENT_H
#define CONFIG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define DOCUMENT_LIST_BYTES 256 /* of a list, with its commas */

struct document_place {
    unsigned line, column; /* from 1 */
};

struct document_pair {
    const char *key;
    const char *value; /* of a list: its items, parted by commas */
    bool is_list;
    struct document_place place;       /* of the key */
    struct document_place value_place; /* of the value */
};

typedef int document_pair_fn(void *arg, const struct document_pair *pair);

/*
 * Calls fn for each pair, in the file's order, and stops with what it returns if that is not
 * EMB_OK. Texts are valid during the call, UTF-8, and hold no NUL. A file of comments has no pairs.
 * EMB_ERR_INVALID_ARGUMENT: "PATH:LINE:COLUMN: what, accepted".
 */
int document_read(const char *path, const char *bytes, size_t count, document_pair_fn *fn,
                  void *arg, struct error *err);

/* Sets the error "PATH:LINE:COLUMN: ..." and returns EMB_ERR_INVALID_ARGUMENT. */
int document_refuse(struct error *err, const char *path, struct document_place place,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The end of a path that is too long to be shown whole; static in `path`. */
const char *document_path_shown(const char *path);

#endif

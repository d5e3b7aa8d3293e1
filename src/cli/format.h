/*
 * How a read message is written: values as lines, JSON lines, or a form of the user's with %o %k %v
 * %t %h. Parsed once. One thread; the text must outlive the struct.
 */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include "cli/sink.h"
#include "embarcadero/embarcadero.h"

#define FORMAT_PARTS_MAX 64

struct format_part {
    char what;        /* o, k, v, t, h, or 0: the literal text */
    const char *text; /* literal, not terminated */
    size_t bytes;
};

struct format {
    bool json;
    int count;
    struct format_part parts[FORMAT_PARTS_MAX];
    char literal[256]; /* escapes resolved */
};

/*
 * "value", "json", or a form: %o offset, %k key, %v value, %t timestamp in ms, %h headers as
 * key=value,..., %% a percent sign; \n \t \0 \\ as in C. EMB_ERR_INVALID_ARGUMENT names what is
 * wrong in it.
 */
int format_read(struct format *format, const char *text, struct error *err);
void format_put(const struct format *format, struct sink *sink, const struct emb_message *message);

/* "earliest", "latest", an offset, "timestamp:MS" or "@2024-05-01[T12:00:00[.123]][Z]" (UTC) as an
   enum emb_start and its value. EMB_ERR_INVALID_ARGUMENT. */
int format_start_read(const char *text, int *start, uint64_t *value, struct error *err);

#endif

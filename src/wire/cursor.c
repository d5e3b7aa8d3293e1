#include "wire/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void wire_writer_init(struct wire_writer *w, void *bytes, size_t capacity)
{
    *w = (struct wire_writer){.bytes = bytes, .capacity = capacity};
}

static void put(struct wire_writer *w, const void *value, size_t count)
{
    if (w->overflow || count > w->capacity - w->used) {
        w->overflow = true;
        return;
    }
    memcpy(w->bytes + w->used, value, count);
    w->used += count;
}

void wire_put_u8(struct wire_writer *w, uint8_t value)
{
    put(w, &value, sizeof value);
}

void wire_put_u16(struct wire_writer *w, uint16_t value)
{
    put(w, &value, sizeof value);
}

void wire_put_u32(struct wire_writer *w, uint32_t value)
{
    put(w, &value, sizeof value);
}

void wire_put_u64(struct wire_writer *w, uint64_t value)
{
    put(w, &value, sizeof value);
}

void wire_put_text(struct wire_writer *w, const char *text)
{
    size_t count = strlen(text);
    if (count > UINT16_MAX) {
        w->overflow = true;
        return;
    }
    wire_put_u16(w, (uint16_t)count);
    put(w, text, count);
}

void wire_reader_init(struct wire_reader *r, const void *bytes, size_t count, struct error *err)
{
    *r = (struct wire_reader){.bytes = bytes, .count = count, .err = err};
}

void wire_reader_fail(struct wire_reader *r, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    if (r->code)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->code = error_set(r->err, EMB_ERR_PROTOCOL, "%s", text);
}

/* The next `count` bytes, or NULL. */
static const unsigned char *take(struct wire_reader *r, const char *field, size_t count)
{
    if (r->code)
        return NULL;
    if (count > r->count - r->at) {
        wire_reader_fail(r, "%s needs %zu bytes, but only %zu of the body's %zu are left", field,
                         count, r->count - r->at, r->count);
        return NULL;
    }
    const unsigned char *bytes = r->bytes + r->at;
    r->at += count;
    return bytes;
}

static uint64_t get(struct wire_reader *r, const char *field, size_t count)
{
    uint64_t value = 0;
    const unsigned char *bytes = take(r, field, count);
    if (bytes)
        memcpy(&value, bytes, count);
    return value;
}

uint8_t wire_get_u8(struct wire_reader *r, const char *field)
{
    return (uint8_t)get(r, field, 1);
}

uint16_t wire_get_u16(struct wire_reader *r, const char *field)
{
    return (uint16_t)get(r, field, 2);
}

uint32_t wire_get_u32(struct wire_reader *r, const char *field)
{
    return (uint32_t)get(r, field, 4);
}

uint64_t wire_get_u64(struct wire_reader *r, const char *field)
{
    return get(r, field, 8);
}

uint8_t wire_get_choice(struct wire_reader *r, const char *field, uint8_t last)
{
    uint8_t value = wire_get_u8(r, field);
    if (value <= last)
        return value;
    wire_reader_fail(r, "%s is %u; 0 to %u are accepted", field, value, last);
    return 0;
}

void wire_get_text(struct wire_reader *r, const char *field, char *text, size_t capacity)
{
    text[0] = '\0';
    size_t count = wire_get_u16(r, field);
    if (count > capacity - 1)
        wire_reader_fail(r, "%s has %zu bytes; at most %zu are accepted", field, count,
                         capacity - 1);
    const unsigned char *bytes = take(r, field, count);
    if (!bytes)
        return;
    const unsigned char *zero = count ? memchr(bytes, 0, count) : NULL;
    if (zero) {
        wire_reader_fail(r, "%s has a zero byte at %zu; text has none", field,
                         (size_t)(zero - bytes));
        return;
    }
    if (count)
        memcpy(text, bytes, count);
    text[count] = '\0';
}

int wire_reader_end(struct wire_reader *r)
{
    if (r->at != r->count)
        wire_reader_fail(r, "%zu bytes are left after the last field of a body of %zu",
                         r->count - r->at, r->count);
    return r->code;
}

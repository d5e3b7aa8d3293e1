/*
 * How it works: libyaml parses the bytes to events; a walk over them accepts one shape alone, the
 * flat map, so that nothing nests and nothing refers. What libyaml itself refuses is told with its
 * words and its place.
 */
#include "config/document.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/text.h"

#define PATH_SHOWN_BYTES 80
#define KEY_SHOWN_BYTES  48

struct walk {
    yaml_parser_t parser;
    yaml_event_t event; /* the last one read */
    const char *path;
    const char *bytes;
    size_t count;
    struct error *err;
};

/* ---- errors ---------------------------------------------------------------------------------- */

const char *document_path_shown(const char *path)
{
    size_t bytes = strlen(path);
    if (bytes <= PATH_SHOWN_BYTES)
        return path;
    path += bytes - PATH_SHOWN_BYTES;
    while (((unsigned char)*path & 0xC0) == 0x80) /* not in the middle of a character */
        path++;
    return path;
}

int document_refuse(struct error *err, const char *path, struct document_place place,
                    const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(err, EMB_ERR_INVALID_ARGUMENT, "%s:%u:%u: %s", document_path_shown(path),
                     place.line, place.column, text);
}

static struct document_place place_of(yaml_mark_t mark)
{
    return (struct document_place){(unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

/* Where a byte stands that libyaml's reader did not take: it knows only its offset. */
static struct document_place place_of_byte(const struct walk *walk, size_t offset)
{
    struct document_place place = {1, 1};
    for (size_t i = 0; i < offset && i < walk->count; i++) {
        place.column++;
        if (walk->bytes[i] == '\n')
            place = (struct document_place){place.line + 1, 1};
    }
    return place;
}

static int refuse_here(struct walk *walk, const char *what)
{
    return document_refuse(walk->err, walk->path, place_of(walk->event.start_mark), "%s", what);
}

static int refuse_syntax(struct walk *walk)
{
    const yaml_parser_t *parser = &walk->parser;
    const char *problem = parser->problem ? parser->problem : "malformed";
    if (parser->error == YAML_MEMORY_ERROR)
        return error_set(walk->err, EMB_ERR_NO_MEMORY, "no memory to read %s",
                         document_path_shown(walk->path));
    if (parser->error == YAML_READER_ERROR)
        return document_refuse(walk->err, walk->path, place_of_byte(walk, parser->problem_offset),
                               "%s; accepted: UTF-8 text without control characters", problem);
    return document_refuse(walk->err, walk->path, place_of(parser->problem_mark),
                           "not YAML: %s; accepted: lines of the form \"name: value\"", problem);
}

/* ---- events ---------------------------------------------------------------------------------- */

static int refuse_decorated(struct walk *walk, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        return refuse_here(walk, "an anchor; accepted: plain values, each written where it counts");
    if (tag)
        return refuse_here(walk, "a tag; accepted: plain values, whose type the option knows");
    return EMB_OK;
}

/* Reads the next event in place of the last. */
static int advance(struct walk *walk)
{
    yaml_event_delete(&walk->event);
    if (!yaml_parser_parse(&walk->parser, &walk->event))
        return refuse_syntax(walk);
    switch (walk->event.type) {
    case YAML_ALIAS_EVENT:
        return refuse_here(walk, "an alias; accepted: plain values, each written where it counts");
    case YAML_SCALAR_EVENT:
        return refuse_decorated(walk, walk->event.data.scalar.anchor, walk->event.data.scalar.tag);
    case YAML_SEQUENCE_START_EVENT:
        return refuse_decorated(walk, walk->event.data.sequence_start.anchor,
                                walk->event.data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return refuse_decorated(walk, walk->event.data.mapping_start.anchor,
                                walk->event.data.mapping_start.tag);
    default:
        return EMB_OK;
    }
}

static const char *scalar_text(const struct walk *walk)
{
    return (const char *)walk->event.data.scalar.value;
}

static int refuse_nul(struct walk *walk)
{
    const yaml_event_t *event = &walk->event;
    if (memchr(event->data.scalar.value, '\0', event->data.scalar.length))
        return refuse_here(walk, "a NUL character; accepted: text without control characters");
    return EMB_OK;
}

/* What YAML calls null: nothing, ~ or null without quotes. */
static bool is_null(const struct walk *walk)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (walk->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (!strcmp(scalar_text(walk), words[i]))
            return true;
    return false;
}

static int check_value(struct walk *walk)
{
    if (is_null(walk))
        return refuse_here(walk,
                           "a name without a value; accepted: a value, \"\" for an empty text, "
                           "or no line at all for the default");
    return refuse_nul(walk);
}

/* ---- pairs ----------------------------------------------------------------------------------- */

/* *used: bytes of the items before, each with its comma. */
static int add_item(struct walk *walk, char list[DOCUMENT_LIST_BYTES], size_t *used)
{
    int result = check_value(walk);
    if (result)
        return result;
    const char *item = scalar_text(walk);
    if (strchr(item, ','))
        return refuse_here(walk, "a comma in an item of a list; accepted: one word each");
    size_t bytes = strlen(item);
    if (*used + bytes + 2 > DOCUMENT_LIST_BYTES)
        return refuse_here(walk, "a list that is too long; accepted: each word once");
    memcpy(list + *used, item, bytes);
    list[*used + bytes] = ',';
    *used += bytes + 1;
    return EMB_OK;
}

/* From behind a list's start to its end. */
static int read_list(struct walk *walk, char list[DOCUMENT_LIST_BYTES])
{
    size_t used = 0;
    for (;;) {
        int result = advance(walk);
        if (result)
            return result;
        if (walk->event.type == YAML_SEQUENCE_END_EVENT)
            break;
        if (walk->event.type != YAML_SCALAR_EVENT)
            return refuse_here(walk, "a list or map inside a list; accepted: one word each");
        result = add_item(walk, list, &used);
        if (result)
            return result;
    }
    list[used ? used - 1 : 0] = '\0'; /* in place of the last comma */
    return EMB_OK;
}

static int refuse_nested(struct walk *walk, const struct document_pair *pair)
{
    char key[KEY_SHOWN_BYTES];
    text_quote(key, sizeof key, pair->key, strlen(pair->key));
    return document_refuse(
        walk->err, walk->path, pair->place,
        "%s has a map for its value; accepted: one value; nested names are written "
        "flat, as in \"mem.writeback: clwb\"",
        key);
}

static int read_value(struct walk *walk, struct document_pair *pair, document_pair_fn *fn,
                      void *arg)
{
    char list[DOCUMENT_LIST_BYTES];
    int result = advance(walk);
    if (result)
        return result;
    pair->value_place = place_of(walk->event.start_mark);
    pair->is_list = walk->event.type == YAML_SEQUENCE_START_EVENT;
    if (walk->event.type == YAML_MAPPING_START_EVENT)
        return refuse_nested(walk, pair);
    result = pair->is_list ? read_list(walk, list) : check_value(walk);
    if (result)
        return result;
    pair->value = pair->is_list ? list : scalar_text(walk);
    return fn(arg, pair);
}

/* From a key to the end of its value. */
static int read_pair(struct walk *walk, document_pair_fn *fn, void *arg)
{
    if (walk->event.type != YAML_SCALAR_EVENT)
        return refuse_here(walk, "a list or map as a name; accepted: an option's name");
    int result = refuse_nul(walk);
    if (result)
        return result;
    struct document_pair pair = {.place = place_of(walk->event.start_mark)};
    char *key = strdup(scalar_text(walk));
    pair.key = key;
    result = key ? read_value(walk, &pair, fn, arg)
                 : error_set(walk->err, EMB_ERR_NO_MEMORY, "no memory to read %s",
                             document_path_shown(walk->path));
    free(key);
    return result;
}

static int read_map(struct walk *walk, document_pair_fn *fn, void *arg)
{
    for (;;) {
        int result = advance(walk);
        if (result || walk->event.type == YAML_MAPPING_END_EVENT)
            return result;
        result = read_pair(walk, fn, arg);
        if (result)
            return result;
    }
}

/* The document's one node: a map, or nothing at all. */
static int read_root(struct walk *walk, document_pair_fn *fn, void *arg)
{
    int result = advance(walk);
    if (result)
        return result;
    if (walk->event.type == YAML_MAPPING_START_EVENT)
        return read_map(walk, fn, arg);
    if (walk->event.type == YAML_SCALAR_EVENT && is_null(walk))
        return EMB_OK;
    return refuse_here(walk, "no map; accepted: lines of the form \"name: value\"");
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* Begins with the stream's start, which is always there. */
static int read_stream(struct walk *walk, document_pair_fn *fn, void *arg)
{
    int result = advance(walk);
    if (!result)
        result = advance(walk);
    if (result || walk->event.type == YAML_STREAM_END_EVENT)
        return result;
    result = read_root(walk, fn, arg);
    if (!result)
        result = advance(walk); /* the document's end */
    if (!result)
        result = advance(walk);
    if (result || walk->event.type == YAML_STREAM_END_EVENT)
        return result;
    return refuse_here(walk, "a second document; accepted: one");
}

int document_read(const char *path, const char *bytes, size_t count, document_pair_fn *fn,
                  void *arg, struct error *err)
{
    struct walk walk = {.path = path, .bytes = bytes, .count = count, .err = err};
    if (!yaml_parser_initialize(&walk.parser))
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory to read %s", document_path_shown(path));
    yaml_parser_set_encoding(&walk.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&walk.parser, (const unsigned char *)bytes, count);
    int result = read_stream(&walk, fn, arg);
    yaml_event_delete(&walk.event);
    yaml_parser_delete(&walk.parser);
    return result;
}

/* A file's pairs as values of options. */
#include <string.h>

#include "base/text.h"
#include "config/document.h"
#include "config/parse.h"

#define KEY_SHOWN_BYTES 64

struct file {
    struct parse *parse;
    const char *path;
};

static int refuse_unknown(const struct file *file, const struct document_pair *pair)
{
    char key[KEY_SHOWN_BYTES];
    size_t bytes = strlen(pair->key);
    const struct option *nearest = option_nearest(pair->key, bytes);
    text_quote(key, sizeof key, pair->key, bytes);
    if (nearest)
        return document_refuse(file->parse->err, file->path, pair->place,
                               "unknown option %s; did you mean %s?", key, nearest->name);
    return document_refuse(file->parse->err, file->path, pair->place,
                           "unknown option %s; \"embarcadero config example\" prints all of them",
                           key);
}

static int refuse_second(const struct file *file, const struct document_pair *pair, unsigned first)
{
    return document_refuse(file->parse->err, file->path, pair->place,
                           "%s is there a second time; accepted: once, and line %u has it",
                           pair->key, first);
}

static int refuse_list(const struct file *file, const struct document_pair *pair,
                       const struct option *option)
{
    char accepts[OPTION_ACCEPTS_BYTES];
    option_accepts(option, accepts);
    return document_refuse(file->parse->err, file->path, pair->value_place,
                           "%s is a list; accepted: one value, %s", pair->key, accepts);
}

static int take_pair(void *arg, const struct document_pair *pair)
{
    const struct file *file = arg;
    const struct option *option = option_find(pair->key, strlen(pair->key));
    if (!option)
        return refuse_unknown(file, pair);
    const struct config_origin *before = &file->parse->config->origins[option - option_table];
    if (before->source == CONFIG_FROM_FILE)
        return refuse_second(file, pair, before->line);
    if (option->rules & OPTION_NOT_IN_FILE)
        return document_refuse(file->parse->err, file->path, pair->place,
                               "%s cannot be said by a file; accepted: --%s on the command line",
                               pair->key, pair->key);
    if (pair->is_list && option->type != OPTION_SET)
        return refuse_list(file, pair, option);
    struct config_origin origin = {CONFIG_FROM_FILE, pair->place.line, pair->place.column};
    return parse_take(file->parse, option, origin, pair->value);
}

int parse_yaml(struct parse *parse, const char *path, const char *bytes, size_t count)
{
    struct file file = {parse, path};
    return document_read(path, bytes, count, take_pair, &file, parse->err);
}

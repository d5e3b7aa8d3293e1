/*
 * A parse under way: what the sources of this room share. Lives on the stack of config_parse; one
 * thread. Only this room includes it.
 */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include "config/config.h"
#include "config/option.h"

struct parse {
    struct config *config;
    struct error *err;
};

/* Gives the option the value of a source, over what weaker ones said. */
int parse_take(struct parse *parse, const struct option *option, struct config_origin origin,
               const char *value);
/* True when a file, the environment or the command line gave it. */
bool parse_is_told(const struct config *config, const char *name);

/* All of a file's bytes; `path` is for errors. EMB_ERR_INVALID_ARGUMENT names line and column. */
int parse_yaml(struct parse *parse, const char *path, const char *bytes, size_t count);

/* The defaults that depend on other values, where nobody spoke. */
void fit_defaults(struct config *config);
/* Whether values fit together, and are given where they mean something. */
int check_together(const struct config *config, struct error *err);
/* Whether what has no default was given. */
int check_required(const struct config *config, struct error *err);

#endif

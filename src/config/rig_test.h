/*
 * What the tests of this room share: sources as texts. A rig belongs to one test; zeroed, it has no
 * file and no environment.
 */
#ifndef CONFIG_RIG_TEST_H
#define CONFIG_RIG_TEST_H

#include "config/config.h"

#define RIG_FILE  "rack.yaml" /* the only path at which a rig has a file */
#define RIG_WORDS 24

struct rig {
    const char *file;             /* its text; NULL: there is none */
    const char *const *variables; /* "NAME=value", ended by NULL */
    struct config config;         /* what the last parse gave */
    struct error error;
    char line[400];
    char *argv[RIG_WORDS];
    struct config_sources sources;
};

/* Sets rig->sources to the words of `line`, parted by blanks, with the rig's file and variables. */
void rig_set_sources(struct rig *rig, const char *line);
/* config_parse of those. */
int rig_parse(struct rig *rig, const char *line);
/* With the text as the file, and what a node needs on the command line. */
int rig_parse_file(struct rig *rig, const char *text);

/* Each fails the test: a parse that fails, an error that lacks a part, a parse that is not refused.
 */
void rig_accepts(struct rig *rig, const char *line);
void rig_says(const struct rig *rig, const char *part);
void rig_refuses(struct rig *rig, const char *line, const char *a, const char *b, const char *c);
void rig_refuses_file(struct rig *rig, const char *text, const char *place, const char *a,
                      const char *b);

#endif

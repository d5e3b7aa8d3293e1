/*
 * What is not as it should be, in words: from the tables of status_ask alone. docs/operations.md
 * has a paragraph for each.
 */
#ifndef CLI_WARNINGS_H
#define CLI_WARNINGS_H

#include <jansson.h>

/* An array of sentences, the most urgent first; empty when all is well. The caller drops it. */
json_t *warnings_of(const json_t *tables);

#endif

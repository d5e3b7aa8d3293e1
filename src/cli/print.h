/*
 * What commands print: built as JSON values, printed as JSON or, for people, as aligned tables.
 * Uses jansson. One thread.
 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A number; null for all ones, which everywhere means "none" or "not known". */
json_t *print_number(uint64_t number);
/* A text; what is no UTF-8 is shown with '?' for its foreign bytes. */
json_t *print_text(const char *text);
/* Sets object[name] = value (taken over). */
void print_set(json_t *object, const char *name, json_t *value);

/* The value as JSON with a newline. */
void print_json(FILE *to, const json_t *value);
/*
 * An array of objects as a table: one line each, the columns in the order in which members first
 * appear, numbers to the right. What is wider than `width` is turned: one column for each object.
 * One object is printed as lines of name and value.
 */
void print_table(FILE *to, const json_t *rows, size_t width);
/* The columns of the terminal on stdout, or a usual number. */
size_t print_width(void);
/* As JSON or as a table to stdout; takes over the value. */
void print_value(json_t *value, bool as_json);

#endif

/*
 * Options of a command, as a table: what there is, of which type, with which default. The same rows
 * parse the command line, check it and print the help. Values go into a struct of the caller's, one
 * field a row. Pure but for cli_options_help. House, habit 8.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

#define CLI_NOT_GIVEN UINT64_MAX /* a number, size or duration without default */

enum cli_type {
    CLI_FLAG,     /* bool; takes no value */
    CLI_NUMBER,   /* uint64_t */
    CLI_SIZE,     /* uint64_t, bytes */
    CLI_DURATION, /* uint64_t, nanoseconds */
    CLI_CHOICE,   /* int, the index of the choice */
    CLI_TEXT,     /* const char *, into argv; NULL without default */
    CLI_LIST,     /* struct cli_list; may be given several times */
};

#define CLI_LIST_MAX 16

struct cli_list {
    const char *items[CLI_LIST_MAX];
    int count;
};

enum cli_rules {
    CLI_POWER_OF_TWO = 1,
    CLI_BY_NUMBER = 2, /* a choice may also be given by its index */
};

struct cli_option {
    const char *name;
    enum cli_type type;
    size_t field;             /* offset in the struct of values */
    const char *value;        /* default, as it would be given; NULL: none */
    const char *argument;     /* what the help calls its value; NULL for flags and choices */
    const char *const *words; /* choices, NULL-terminated */
    unsigned rules;
    uint64_t min, max; /* max 0: no limit */
    const char *text;
};

/* Rows and the struct that they fill. */
struct cli_options {
    const struct cli_option *rows;
    int count;
    void *values;
};

/* Sets the defaults of one table's rows. A default that its own row refuses is a programmer's
   mistake (asserted). */
void cli_options_default(const struct cli_options *options);

/*
 * Reads argv[0 .. argc-1] into the tables, the first that has the name; what is no option is
 * collected in order in arguments (at most argc) and counted. "--" ends the options, "-" is an
 * argument, a word that begins with "--" is never a value. stop_at_argument: ends in front of the
 * first argument. Returns the words consumed, or EMB_ERR_INVALID_ARGUMENT with *err naming the
 * option, the value and what is accepted.
 */
int cli_options_parse(const struct cli_options *tables, int table_count, int argc,
                      char *const *argv, bool stop_at_argument, const char **arguments,
                      int *argument_count, struct error *err);

/* A line or two for each row. */
void cli_options_help(FILE *to, const struct cli_option *rows, int count);

#endif

/*
 * The tool `embarcadero`: a table of commands, one file per noun. Each command is a row with its
 * options; help, parsing and dispatch follow from the rows. One thread (but for what the library,
 * cli/interrupt.h and bench start); a struct cli lives for one run. House: ndctl, Redis.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"
#include "embarcadero/embarcadero.h"

#define CLI_PROGRAM "embarcadero"

enum cli_exit { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

struct cli {
    const char *brokers; /* NULL: the environment's, else the library's default */
    const char **arguments;
    int argument_count;
    uint32_t timeout_ms; /* of what is asked of a broker; 0: the library's default */
};

struct cli_command {
    const char *noun;
    const char *verb;      /* NULL: the noun is the command */
    const char *arguments; /* "NAME", "TOPIC [FILE...]" */
    int arguments_min;
    int arguments_max; /* -1: any number */
    const char *text;  /* one line */
    const char *more;  /* what else is to be said in the help; may be NULL */
    const char *example;
    const struct cli_option *options;
    int option_count;
    size_t value_bytes;                              /* of the struct that the options fill */
    int (*run)(struct cli *cli, const void *values); /* an enum cli_exit */
};

/* The nouns' rows; each ends with a row without noun. */
extern const struct cli_command topic_commands[];
extern const struct cli_command produce_commands[];
extern const struct cli_command consume_commands[];
extern const struct cli_command status_commands[];
extern const struct cli_command region_commands[];
extern const struct cli_command store_commands[];
extern const struct cli_command bench_commands[];
extern const struct cli_command config_commands[];

/* All of main: the process' exit status. */
int cli_main(int argc, char **argv);

/* Each prints "embarcadero: ..." to stderr; CLI_FAILED, CLI_USAGE. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For what the library answered: CLI_USAGE when an argument was at fault. */
int cli_refused(const struct emb_error *err);
/* A remark on stderr that does not end the command. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Connects as told; NULL: *result is the exit status, the reason has been printed. */
struct emb_client *cli_connect(const struct cli *cli, int *result);
/* Closes the client and returns result, or CLI_FAILED if it was done and closing fails. */
int cli_disconnect(struct emb_client *client, int result);

#endif

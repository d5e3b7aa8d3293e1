#include "cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/words.h"

static const struct cli_command *const nouns[] = {
    topic_commands,  produce_commands, consume_commands, status_commands,
    region_commands, store_commands,   bench_commands,   config_commands,
};

struct global_values {
    const char *brokers;
    bool help;
    bool version;
};

static const struct cli_option global_rows[] = {
    {.name = "brokers",
     .type = CLI_TEXT,
     .field = offsetof(struct global_values, brokers),
     .argument = "tcp://HOST:PORT,...",
     .text = "brokers to ask first; else $EMBARCADERO_BROKERS, else tcp://127.0.0.1:9650"},
    {.name = "help",
     .type = CLI_FLAG,
     .field = offsetof(struct global_values, help),
     .text = "this text"},
    {.name = "version",
     .type = CLI_FLAG,
     .field = offsetof(struct global_values, version),
     .text = "the version"},
};

/* ---- errors ---------------------------------------------------------------------------------- */

static void say(const char *format, va_list args)
{
    fflush(stdout);
    fprintf(stderr, "%s: ", CLI_PROGRAM);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int cli_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    return CLI_FAILED;
}

int cli_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    return CLI_USAGE;
}

void cli_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

int cli_refused(const struct emb_error *err)
{
    cli_note("%s", err->text[0] ? err->text : emb_error_text(err->code));
    bool is_usage = err->code == EMB_ERR_INVALID_ARGUMENT || err->code == EMB_ERR_INVALID_TOPIC ||
                    err->code == EMB_ERR_INVALID_SETTING;
    return is_usage ? CLI_USAGE : CLI_FAILED;
}

/* ---- the connection -------------------------------------------------------------------------- */

struct emb_client *cli_connect(const struct cli *cli, int *result)
{
    struct emb_client_options options;
    struct emb_client *client = NULL;
    struct emb_error err = {0};

    emb_client_options_init(&options);
    options.brokers = cli->brokers;
    options.name = CLI_PROGRAM;
    if (cli->timeout_ms > 0)
        options.timeout_ms = cli->timeout_ms;
    if (emb_client_open(&options, &client, &err) == EMB_OK)
        return client;
    *result = cli_refused(&err);
    return NULL;
}

int cli_disconnect(struct emb_client *client, int result)
{
    struct emb_error err = {0};

    if (emb_client_close(client, &err) != EMB_OK && result == CLI_DONE)
        return cli_refused(&err);
    return result;
}

/* ---- help ------------------------------------------------------------------------------------ */

static void command_name(FILE *to, const struct cli_command *command)
{
    fprintf(to, "%s%s%s", command->noun, command->verb ? " " : "",
            command->verb ? command->verb : "");
}

static void command_line(FILE *to, const struct cli_command *command)
{
    int used = fprintf(to, "  %s %s%s%s", command->noun, command->verb ? command->verb : "",
                       command->verb ? " " : "", command->arguments);
    fprintf(to, "%*s%s\n", used < 34 ? 34 - used : 2, "", command->text);
}

static void help_all(FILE *to)
{
    fprintf(to, "usage: %s [--brokers ADDRESSES] COMMAND [OPTIONS]\n\n", CLI_PROGRAM);
    fprintf(to, "The tool of Embarcadero, a distributed shared log for shared memory.\n\n");
    for (size_t n = 0; n < COUNT_OF(nouns); n++)
        for (const struct cli_command *command = nouns[n]; command->noun; command++)
            command_line(to, command);
    fprintf(to, "\noptions of every command:\n");
    cli_options_help(to, global_rows, COUNT_OF(global_rows));
    fprintf(to, "\nexit status: 0 done, 1 failed, 2 the command line was wrong\n");
    fprintf(to, "\nexample:\n  %s topic create greetings\n", CLI_PROGRAM);
    fprintf(to, "  echo hello | %s produce greetings\n", CLI_PROGRAM);
    fprintf(to, "  %s consume greetings --until-end\n", CLI_PROGRAM);
}

static void help_noun(FILE *to, const struct cli_command *noun)
{
    fprintf(to, "usage: %s %s COMMAND [OPTIONS]\n\n", CLI_PROGRAM, noun->noun);
    for (const struct cli_command *command = noun; command->noun; command++)
        command_line(to, command);
    fprintf(to, "\nexample:\n  %s\n", noun->example);
    fprintf(to, "\n`%s %s COMMAND --help` says more.\n", CLI_PROGRAM, noun->noun);
}

static void help_command(FILE *to, const struct cli_command *command)
{
    fprintf(to, "usage: %s ", CLI_PROGRAM);
    command_name(to, command);
    fprintf(to, "%s%s%s\n\n%s.\n", command->option_count ? " [OPTIONS]" : "",
            *command->arguments ? " " : "", command->arguments, command->text);
    if (command->more)
        fprintf(to, "%s\n", command->more);
    if (command->option_count)
        fprintf(to, "\noptions:\n");
    cli_options_help(to, command->options, command->option_count);
    fprintf(to, "\noptions of every command:\n");
    cli_options_help(to, global_rows, COUNT_OF(global_rows));
    fprintf(to, "\nexample:\n  %s\n", command->example);
}

/* ---- finding the command --------------------------------------------------------------------- */

/* The noun's first row; NULL when there is none. */
static const struct cli_command *noun_find(const char *name)
{
    for (size_t n = 0; n < COUNT_OF(nouns); n++)
        if (strcmp(nouns[n]->noun, name) == 0)
            return nouns[n];
    return NULL;
}

static int unknown_noun(const char *name)
{
    const char *nearest = NULL;
    unsigned least = WORDS_FAR;
    for (size_t n = 0; n < COUNT_OF(nouns); n++) {
        unsigned distance =
            words_distance(name, strlen(name), nouns[n]->noun, strlen(nouns[n]->noun));
        if (distance < least) {
            least = distance;
            nearest = nouns[n]->noun;
        }
    }
    if (nearest)
        return cli_usage("unknown command \"%.60s\"; did you mean %s? --help lists all", name,
                         nearest);
    return cli_usage("unknown command \"%.60s\"; --help lists all", name);
}

/* The row of the verb; the noun itself is a command when its row has none. */
static const struct cli_command *verb_find(const struct cli_command *noun, const char *verb)
{
    for (const struct cli_command *command = noun; command->noun; command++)
        if (strcmp(command->verb, verb) == 0)
            return command;
    return NULL;
}

static int unknown_verb(const struct cli_command *noun, const char *verb)
{
    char verbs[160] = "";
    size_t used = 0;
    for (const struct cli_command *command = noun; command->noun; command++)
        used += (size_t)snprintf(verbs + used, sizeof verbs - used, "%s%s",
                                 command == noun ? "" : ", ", command->verb);
    if (!verb)
        return cli_usage("%s: what to do is missing; accepted: %s", noun->noun, verbs);
    return cli_usage("%s: unknown command \"%.60s\"; accepted: %s", noun->noun, verb, verbs);
}

/* ---- running it ------------------------------------------------------------------------------ */

static int arguments_check(const struct cli_command *command, const struct cli *cli)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s%s", command->noun, command->verb ? " " : "",
             command->verb ? command->verb : "");
    if (cli->argument_count < command->arguments_min)
        return cli_usage("%s: %d arguments are too few; expected: %s", name, cli->argument_count,
                         command->arguments);
    if (command->arguments_max >= 0 && cli->argument_count > command->arguments_max)
        return cli_usage("%s: \"%.60s\" is one argument too many; expected: %s", name,
                         cli->arguments[command->arguments_max],
                         *command->arguments ? command->arguments : "none");
    return CLI_DONE;
}

/* Parses the words behind the command's name and runs it. */
static int command_run(const struct cli_command *command, struct global_values *global, int argc,
                       char **argv)
{
    void *values = calloc(1, command->value_bytes + 1);
    const char **arguments = calloc((size_t)argc + 1, sizeof *arguments);
    struct cli cli = {.arguments = arguments};
    struct cli_options tables[] = {
        {command->options, command->option_count, values},
        {global_rows, COUNT_OF(global_rows), global},
    };
    struct error err;
    int result = CLI_USAGE;

    if (!values || !arguments) {
        free(values);
        free(arguments);
        return cli_fail("out of memory");
    }
    cli_options_default(&tables[0]);
    if (cli_options_parse(tables, 2, argc, argv, false, arguments, &cli.argument_count, &err) < 0) {
        cli_usage("%s%s%s: %s", command->noun, command->verb ? " " : "",
                  command->verb ? command->verb : "", err.text);
    } else if (global->help) {
        help_command(stdout, command);
        result = CLI_DONE;
    } else if (arguments_check(command, &cli) == CLI_DONE) {
        cli.brokers = global->brokers;
        result = command->run(&cli, values);
    }
    free(values);
    free(arguments);
    return result;
}

static int noun_run(const struct cli_command *noun, struct global_values *global, int argc,
                    char **argv)
{
    if (!noun->verb)
        return command_run(noun, global, argc, argv);
    if (argc > 0 && strcmp(argv[0], "--help") == 0)
        global->help = true;
    if (global->help && (argc == 0 || argv[0][0] == '-')) {
        help_noun(stdout, noun);
        return CLI_DONE;
    }
    const struct cli_command *command = argc > 0 ? verb_find(noun, argv[0]) : NULL;
    if (!command)
        return unknown_verb(noun, argc > 0 ? argv[0] : NULL);
    return command_run(command, global, argc - 1, argv + 1);
}

/* stdout is what others read on: a full disk must not look like success. */
static int output_end(int result)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return cli_fail("writing to standard output failed");
    return result;
}

static int cli_run(int argc, char **argv)
{
    struct global_values global = {0};
    struct cli_options table = {global_rows, COUNT_OF(global_rows), &global};
    struct error err;
    int ignored;
    int used = cli_options_parse(&table, 1, argc, argv, true, NULL, &ignored, &err);

    if (used < 0)
        return cli_usage("%s", err.text);
    argc -= used;
    argv += used;
    if (global.version) {
        printf("%s %s\n", CLI_PROGRAM, emb_version());
        return CLI_DONE;
    }
    if (argc > 0 && strcmp(argv[0], "help") == 0) {
        global.help = true;
        argc--;
        argv++;
    }
    if (argc == 0) {
        help_all(global.help ? stdout : stderr);
        return global.help ? CLI_DONE : CLI_USAGE;
    }
    const struct cli_command *noun = noun_find(argv[0]);
    return noun ? noun_run(noun, &global, argc - 1, argv + 1) : unknown_noun(argv[0]);
}

int cli_main(int argc, char **argv)
{
    return output_end(cli_run(argc > 0 ? argc - 1 : 0, argv + 1));
}

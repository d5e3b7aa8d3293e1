/* `embarcadero config`: the daemon's options, printed from their table, and files checked by it. */
#include "config/config.h"

#include "cli/cli.h"

static int docs_run(struct cli *cli, const void *values)
{
    (void)cli;
    (void)values;
    config_print_docs(stdout);
    return CLI_DONE;
}

static int example_run(struct cli *cli, const void *values)
{
    (void)cli;
    (void)values;
    config_print_example(stdout);
    return CLI_DONE;
}

static int check_run(struct cli *cli, const void *values)
{
    (void)values;
    struct config config;
    struct error err = {0};
    int rc = config_parse_file(cli->arguments[0], config_read_file, NULL, &config, &err);
    if (rc == EMB_ERR_INVALID_ARGUMENT)
        return cli_usage("config check: %s", err.text);
    if (rc != EMB_OK)
        return cli_fail("config check: %s", err.text);
    config_print_effective(stdout, &config);
    return CLI_DONE;
}

const struct cli_command config_commands[] = {
    {.noun = "config",
     .verb = "check",
     .arguments = "FILE",
     .arguments_min = 1,
     .arguments_max = 1,
     .text = "Checks a configuration file of the daemon",
     .more =
         "Prints what the file gives. It is checked alone: node-id and region may come from the\n"
         "environment or the command line; `embarcaderod OPTIONS --check-config` sees all. The\n"
         "exit status is 2 if something in it is wrong.",
     .example = "embarcadero config check /etc/embarcadero/embarcadero.yaml",
     .run = check_run},
    {.noun = "config",
     .verb = "example",
     .arguments = "",
     .text = "Prints a configuration file with every option and its default",
     .more = "All options are commented out.",
     .example = "embarcadero config example > embarcadero.yaml",
     .run = example_run},
    {.noun = "config",
     .verb = "docs",
     .arguments = "",
     .text = "Prints the page on all options, docs/configuration.md",
     .example = "embarcadero config docs | less",
     .run = docs_run},
    {0},
};

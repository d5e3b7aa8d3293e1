/* What is printed of the table and of its values beside the help: a file with all defaults, the
   page of the documentation, and what a daemon was really told. */
#include <stdio.h>
#include <string.h>

#include "config/document.h"
#include "config/option.h"

/* ---- effective values ------------------------------------------------------------------------ */

static void origin_text(const struct config *config, const struct option *option,
                        char text[OPTION_SAID_BYTES])
{
    struct config_origin origin = config->origins[option - option_table];
    if (origin.source == CONFIG_FROM_DEV)
        snprintf(text, OPTION_SAID_BYTES, "default with --dev");
    else if (origin.source == CONFIG_FROM_OTHER)
        snprintf(text, OPTION_SAID_BYTES, "default, made to fit");
    else if (origin.source == CONFIG_FROM_FILE)
        snprintf(text, OPTION_SAID_BYTES, "%s:%u", document_path_shown(config->file), origin.line);
    else
        option_said_by(option, origin, config->file, text);
}

static bool is_shown(const struct config *config, const struct option *option)
{
    struct config_origin origin = config->origins[option - option_table];
    return origin.source != CONFIG_FROM_DEFAULT && !(option->rules & OPTION_NOT_IN_FILE);
}

static void print_value(FILE *to, const struct config *config, const struct option *option)
{
    char value[OPTION_VALUE_BYTES], yaml[OPTION_YAML_BYTES], origin[OPTION_SAID_BYTES];
    option_value(option, config, value);
    option_yaml(option, value, yaml);
    origin_text(config, option, origin);
    int used = fprintf(to, "%s: %s", option->name, yaml);
    fprintf(to, "%*s # %s\n", used < 39 ? 39 - used : 0, "", origin);
}

void config_print_effective(FILE *to, const struct config *config)
{
    int shown = 0;
    for (int i = 0; i < option_count; i++)
        if (is_shown(config, &option_table[i])) {
            print_value(to, config, &option_table[i]);
            shown++;
        }
    fprintf(to, "# %s\n",
            shown ? "all others have their default" : "all options have their default");
}

/* ---- the example ----------------------------------------------------------------------------- */

static void print_limits(FILE *to, const struct option *option)
{
    char accepts[OPTION_ACCEPTS_BYTES];
    option_accepts(option, accepts);
    fprintf(to, "# %s", accepts);
    if (option->dev_value)
        fprintf(to, "; with dev: %s", option->dev_value);
    if (option->mode == OPTION_WITH_DEV)
        fprintf(to, "; only with dev");
    if (option->mode == OPTION_WITHOUT_DEV)
        fprintf(to, "; only without dev");
    fprintf(to, "%s\n", option->reloadable ? "; reloadable" : "");
}

static void print_example_option(FILE *to, const struct option *option)
{
    char yaml[OPTION_YAML_BYTES];
    option_yaml(option, option->value, yaml);
    fprintf(to, "\n# %s\n", option->text);
    print_limits(to, option);
    /* What has no default stands there with a value, so that each line is one if uncommented. */
    fprintf(to, "#%s: %s\n", option->name, option->rules & OPTION_NO_DEFAULT ? "0" : yaml);
}

void config_print_example(FILE *to)
{
    fprintf(
        to,
        "# Configuration of embarcaderod, read with --config FILE. Every option is here with its\n"
        "# default, commented out; what is not said keeps it. Weaker than the environment\n"
        "# (EMBARCADERO_<NAME>) and the command line (--name value). A node needs at least its\n"
        "# node-id, here or there, and the region. Check with: embarcadero config check FILE\n"
        "#\n"
        "# Sizes are bytes or have KiB, MiB, GiB, TiB; durations have ns, us, ms, s, min, h.\n"
        "# \"reloadable\": read again on SIGHUP (systemctl reload), without a restart.\n");
    for (int i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        if (option->rules & OPTION_NOT_IN_FILE)
            continue;
        if (option->group)
            fprintf(to, "\n# ---- %s ----\n", option->group);
        print_example_option(to, option);
    }
}

/* ---- the page -------------------------------------------------------------------------------- */

static const char page_start[] =
    "# Configuration\n"
    "\n"
    "The options of the daemon, `embarcaderod`. This page is made from the table in the\n"
    "source by `make docs`; `embarcaderod --help` prints the same.\n"
    "\n"
    "## Where a value comes from\n"
    "\n"
    "The last of these to give an option wins:\n"
    "\n"
    "1. its default, of which some are others with `--dev`;\n"
    "2. the file that `--config FILE` (or `EMBARCADERO_CONFIG`) names, and no other;\n"
    "3. the environment;\n"
    "4. the command line, `--name value` or `--name=value`; a bool is also just `--name`.\n"
    "\n"
    "The file is YAML: one flat map from names to values, as in\n"
    "\n"
    "```yaml\n"
    "region: shm:rack1\n"
    "region-size: 16GiB\n"
    "roles: [broker, replica]     # or: broker,replica\n"
    "mem.writeback: clwb          # names with a point are written flat\n"
    "```\n"
    "\n"
    "Names are spelled as below, in the file too. An unknown name, in the file, the\n"
    "environment or the command line, is an error that offers the nearest one; so is a name\n"
    "that a file has twice, and a value that is out of range or does not go with the\n"
    "others. Nothing is started then (exit status 2). `embarcadero config example` prints a\n"
    "file with every option and its default.\n"
    "\n"
    "Of the variables that begin with `EMBARCADERO_` two are no options:\n"
    "`EMBARCADERO_BROKERS` is for clients, and `EMBARCADERO_IO=thread` lets stores do\n"
    "without io_uring.\n"
    "\n"
    "Sizes are bytes or have `KiB`, `MiB`, `GiB`, `TiB`; durations have `ns`, `us`, `ms`,\n"
    "`s`, `min`, `h`. Whole numbers only.\n"
    "\n"
    "## Check and reload\n"
    "\n"
    "```\n"
    "embarcadero config check FILE          # a file alone, anywhere\n"
    "embarcaderod OPTIONS --check-config    # what this daemon would run with, and who said so\n"
    "```\n"
    "\n"
    "Both check the options, not the machine: whether a port is free or a directory can be\n"
    "written is seen when the daemon starts. On SIGHUP (`systemctl reload`) it reads all\n"
    "sources again. Options marked *yes* under reload take their new value at once; for any\n"
    "other that has changed, the log says that it needs a restart. If anything is wrong\n"
    "with the new values, all stay as they were.\n";

static void print_default(FILE *to, const struct option *option)
{
    if (option->value[0])
        fprintf(to, "`%s`", option->value);
    else
        fprintf(to, "%s", option->rules & OPTION_NO_DEFAULT ? "none" : "empty");
    if (option->dev_value)
        fprintf(to, ", with `--dev` `%s`", option->dev_value);
}

static void print_row(FILE *to, const struct option *option)
{
    static const char *const modes[] = {"", " Only with `--dev`.", " Only without `--dev`."};
    char accepts[OPTION_ACCEPTS_BYTES], variable[OPTION_VARIABLE_BYTES];
    option_accepts(option, accepts);
    option_variable(option, variable);
    fprintf(to, "| `%s` | %s | ", option->name, accepts);
    print_default(to, option);
    fprintf(to, " | %s | %s.%s%s | `%s` |\n", option->reloadable ? "yes" : "", option->text,
            modes[option->mode], option->rules & OPTION_NOT_IN_FILE ? " Not in a file." : "",
            variable);
}

void config_print_docs(FILE *to)
{
    fputs(page_start, to);
    for (int i = 0; i < option_count; i++) {
        if (option_table[i].group)
            fprintf(to,
                    "\n## %s\n\n"
                    "| option | accepted | default | reload | what it is | environment |\n"
                    "|---|---|---|---|---|---|\n",
                    option_table[i].group);
        print_row(to, &option_table[i]);
    }
}

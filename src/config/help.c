#include "config/option.h"

#define HELP_COLUMN 24

static void print_default(FILE *to, const struct option *option)
{
    if (option->value[0])
        fprintf(to, "; default %s", option->value);
    if (option->dev_value)
        fprintf(to, ", with --dev %s", option->dev_value);
    if (option->reloadable)
        fprintf(to, "; reloadable");
}

static void print_option(FILE *to, const struct option *option)
{
    char accepts[OPTION_ACCEPTS_BYTES];
    option_accepts(option, accepts);
    if (option->group)
        fprintf(to, "\n%s\n", option->group);
    fprintf(to, "  --%-*s %s\n", HELP_COLUMN - 5, option->name, option->text);
    fprintf(to, "%*s[%s", HELP_COLUMN, "", accepts);
    print_default(to, option);
    fprintf(to, "]\n");
}

void config_print_help(FILE *to, const char *program)
{
    fprintf(to,
            "Usage: %s [--name value | --name=value]...\n\n"
            "Runs nodes of an Embarcadero rack: brokers, stores and the sequencer.\n"
            "Examples: %s --dev --data /var/tmp/rack\n"
            "          %s --region shm:rack1 --node-id 1 --data d1 --port 9651\n"
            "          %s --config /etc/embarcadero/embarcadero.yaml --check-config\n",
            program, program, program, program);
    for (int i = 0; i < option_count; i++)
        print_option(to, &option_table[i]);
    fprintf(
        to,
        "\nOther\n"
        "  --help                print this and leave\n"
        "  --version             print the version and leave\n\n"
        "Sizes: bytes, or with KiB, MiB, GiB. Durations: with us, ms or s.\n"
        "Every option can also be given by the file that --config names (\"port: 7000\"), and by\n"
        "the environment, as EMBARCADERO_<NAME> in upper case with _ for - and . (for example\n"
        "EMBARCADERO_SEGMENT_SIZE); the environment wins over the file, the command line over\n"
        "both. Those marked reloadable are read again on SIGHUP.\n");
}

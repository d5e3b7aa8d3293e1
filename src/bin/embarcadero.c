/* The command-line tool. */
#include <stdio.h>

#include "bin/streams.h"
#include "cli/cli.h"

int main(int argc, char **argv)
{
    if (streams_open()) {
        perror(CLI_PROGRAM ": /dev/null");
        return CLI_FAILED;
    }
    return cli_main(argc, argv);
}

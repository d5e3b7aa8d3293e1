#include <stdlib.h>

#include "base/bits.h"
#include "cli/options.h"
#include "sim/run/commands.h"
#include "sim/run/many.h"

int command_run(const struct sim_options *options, FILE *out, FILE *err)
{
    struct many *many = calloc(1, sizeof *many);
    struct error error;
    bool given = options->first != CLI_NOT_GIVEN;
    if (!many)
        return SIM_FAILED;

    *many = (struct many){.options = options, .out = out, .err = err};
    state_build(options->commit, many->state.build);
    many->state.bug = options->bug ? options->bug : "-";
    many->state.first = given ? options->first : 0;
    int status = SIM_DONE;
    if (options->state && state_read(options->state, &many->state, &error))
        status = command_failed(err, &error, SIM_USAGE);
    if (many->state.first == 0)
        many->state.first = 1;
    many->state.next = max_u64(many->state.next, many->state.first);
    many->hunt.first = many->state.next;
    uint64_t end = many->state.first + options->seeds;
    many->hunt.count = end > many->hunt.first ? end - many->hunt.first : 0;
    many->hunt.bug = options->bug;
    if (status == SIM_DONE)
        status = many_run(many);
    free(many);
    return status;
}

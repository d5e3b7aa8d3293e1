/*
 * What the program can do, one function each: returns an enum sim_status, prints results to out and
 * what goes wrong to err. sim_main is the whole program but for the process around it.
 */
#ifndef SIM_RUN_COMMANDS_H
#define SIM_RUN_COMMANDS_H

#include <stdio.h>

#include "sim/run/hunt.h"
#include "sim/run/options.h"

int sim_main(int argc, char **argv, FILE *out, FILE *err);

int command_run(const struct sim_options *options, FILE *out, FILE *err);
int command_regressions(const struct sim_options *options, FILE *out, FILE *err);
int command_bugs(FILE *out);
int command_bugs_test(const struct sim_options *options, FILE *out, FILE *err);

/* An error as a line; `status` is returned. */
int command_failed(FILE *err, const struct error *error, int status);

#endif

/* From what the daemon was told to what nodes are made with. Pure. */
#ifndef BIN_SETTINGS_H
#define BIN_SETTINGS_H

#include "bin/daemon.h"
#include "node/process.h"
#include "node/rack.h"

/* Texts are the configuration's, or the caller's. */
struct rack_options settings_rack(const struct daemon *daemon, const char *region_url);
struct process_options settings_process(const struct daemon *daemon);
/* Whether a region can be cut like that: INVALID_SETTING with the option. */
int settings_check(const struct config *config, struct error *err);
/* Of a configuration, for example one that was read again. */
struct broker_limits settings_limits(const struct config *config);

#endif

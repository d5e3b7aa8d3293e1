/*
 * What both forms of the daemon share: what it was told, its log, its signals, who supervises it.
 * Filled by main, used by the main thread alone.
 */
#ifndef BIN_DAEMON_H
#define BIN_DAEMON_H

#include <signal.h>
#include <sys/types.h>

#include "bin/log.h"
#include "config/config.h"
#include "env/env.h"

struct daemon {
    struct config config;
    struct config_sources sources;
    struct env *env;
    struct log log;
    const char *supervisor; /* $NOTIFY_SOCKET, or NULL */
    sigset_t signals;       /* that it waits for: SIGTERM, SIGINT, SIGHUP */
    ino_t ports_inode;      /* of the ports file that it wrote; 0: none */
};

/* The exit status. run_rack: a whole rack in this process. run_node: one node of a rack. */
int run_rack(struct daemon *daemon);
int run_node(struct daemon *daemon);

/* One line of the log, with a field or without (NULL). */
void daemon_log(const struct daemon *daemon, enum log_level level, const char *message,
                const struct log_field *fields, size_t field_count);
/* The number of the signal that came within so long, or 0. */
int daemon_wait(const struct daemon *daemon, uint32_t milliseconds);
/*
 * SIGHUP: reads the configuration again, logs what has changed and what only a restart changes, and
 * takes over the former. true: daemon->config has new values, for whoever runs on them.
 */
bool daemon_reload(struct daemon *daemon);
/* --ports-file: a port a line, written whole before it has its name. Nothing without the option. */
int daemon_write_ports(struct daemon *daemon, const uint16_t *ports, size_t count,
                       struct error *err);
/* If it is still the one that this process wrote. */
void daemon_remove_ports(const struct daemon *daemon);
/* Whether the threads of that many agents each get a core of their own. */
bool daemon_dedicates(const struct daemon *daemon, uint64_t threads);

#endif

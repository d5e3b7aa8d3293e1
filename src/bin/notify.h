/*
 * What the daemon tells systemd of itself: datagrams to the socket that $NOTIFY_SOCKET names, as
 * sd_notify(3) documents them. `address` is that variable's value; where it is NULL or empty nobody
 * listens, and each call does nothing and is EMB_OK. Called by the main thread; a send may block
 * while systemd is busy. A failure is no reason to end, only to be logged.
 */
#ifndef BIN_NOTIFY_H
#define BIN_NOTIFY_H

#include "base/error.h"

/* Ready for clients, and again after a reload. status: one line for `systemctl status`; or NULL. */
int notify_ready(const char *address, const char *status, struct error *err);
/* SIGHUP has come; notify_ready ends it. */
int notify_reloading(const char *address, struct error *err);
int notify_stopping(const char *address, struct error *err);
int notify_status(const char *address, const char *status, struct error *err);

#endif

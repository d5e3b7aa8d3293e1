/*
 * The daemon's log: lines of base/log.h, each written to stderr with one write(2), so that lines of
 * several daemons on one pipe stay whole. Written by the main thread alone; the rack's threads
 * report and never log (house, habit 6). A struct log is a value and needs no closing.
 */
#ifndef BIN_LOG_H
#define BIN_LOG_H

#include "base/log.h"
#include "config/config.h"

struct log {
    int fd;
    enum log_form form;
    enum log_level shown; /* what is less urgent is not written; may be changed at any time */
};

/*
 * journal_stream is $JOURNAL_STREAM or NULL: with CONFIG_LOG_AUTO the form is the journal's if the
 * descriptor is the very one that systemd connected to it. A terminal or file is not, though the
 * variable is inherited.
 */
void log_init(struct log *log, int fd, enum config_log_format format, enum log_level shown,
              const char *journal_stream);

/* One line, if its level is shown. What cannot be written is lost: there is nobody to tell. */
void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields, size_t field_count);

#endif

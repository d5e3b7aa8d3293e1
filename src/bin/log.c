#include "bin/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* systemd.exec(5), $JOURNAL_STREAM: "device:inode" of the descriptor. */
static bool is_journal(int fd, const char *journal_stream)
{
    unsigned long long device, inode;
    struct stat found;
    return journal_stream && sscanf(journal_stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(fd, &found) == 0 && found.st_dev == device && found.st_ino == inode;
}

void log_init(struct log *log, int fd, enum config_log_format format, enum log_level shown,
              const char *journal_stream)
{
    *log = (struct log){.fd = fd, .form = LOG_FORM_TEXT, .shown = shown};
    if (format == CONFIG_LOG_JSON)
        log->form = LOG_FORM_JSON;
    else if (format == CONFIG_LOG_AUTO && is_journal(fd, journal_stream))
        log->form = LOG_FORM_JOURNAL;
}

void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields, size_t field_count)
{
    char text[LOG_LINE_BYTES];
    struct timespec now;
    if (level > log->shown)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    struct log_line line = {.level = level,
                            .unix_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
                            .message = message,
                            .fields = fields,
                            .field_count = field_count};
    size_t bytes = log_format(text, sizeof text, log->form, &line);
    while (write(log->fd, text, bytes) < 0 && errno == EINTR)
        ;
}

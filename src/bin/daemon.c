#include "bin/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"

void daemon_log(const struct daemon *d, enum log_level level, const char *message,
                const struct log_field *fields, size_t field_count)
{
    log_write(&d->log, level, message, fields, field_count);
}

int daemon_wait(const struct daemon *d, uint32_t milliseconds)
{
    struct timespec wait = {.tv_sec = milliseconds / 1000,
                            .tv_nsec = milliseconds % 1000 * 1000000L};
    int signal_number = sigtimedwait(&d->signals, NULL, &wait);
    return signal_number > 0 ? signal_number : 0;
}

static void log_change(void *arg, const char *name, bool applied, const char *before,
                       const char *after)
{
    struct log_field fields[] = {LOG_TEXT("option", name), LOG_TEXT("before", before),
                                 LOG_TEXT("after", after)};
    daemon_log(arg, applied ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
               applied ? "an option has changed" : "an option has changed, which needs a restart",
               fields, COUNT_OF(fields));
}

bool daemon_reload(struct daemon *d)
{
    struct config now;
    struct error err;
    daemon_log(d, LOG_LEVEL_INFO, "reads its configuration again", NULL, 0);
    if (config_reload(&d->sources, &d->config, &now, log_change, d, &err)) {
        struct log_field why[] = {LOG_TEXT("why", err.text)};
        daemon_log(d, LOG_LEVEL_ERROR, "the configuration is wrong, nothing has changed", why, 1);
        return false;
    }
    d->config = now;
    d->log.shown = (enum log_level)now.log_level;
    return true;
}

int daemon_write_ports(struct daemon *d, const uint16_t *ports, size_t count, struct error *err)
{
    const char *path = d->config.ports_file;
    char part[CONFIG_PATH_BYTES + 8];
    struct stat written;
    if (!path[0])
        return EMB_OK;
    snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "w");
    for (size_t i = 0; file && i < count; i++)
        fprintf(file, "%u\n", ports[i]);
    if (!file || fclose(file) || stat(part, &written) || rename(part, path))
        return error_set(err, EMB_ERR_IO, "ports file %s cannot be written: %s", path,
                         strerror(errno));
    d->ports_inode = written.st_ino;
    return EMB_OK;
}

void daemon_remove_ports(const struct daemon *d)
{
    const char *path = d->config.ports_file;
    struct stat found;
    if (d->ports_inode && stat(path, &found) == 0 && found.st_ino == d->ports_inode)
        unlink(path);
}

bool daemon_dedicates(const struct daemon *d, uint64_t threads)
{
    if (d->config.threads == CONFIG_THREADS_AUTO)
        return (uint64_t)sysconf(_SC_NPROCESSORS_ONLN) > threads;
    return d->config.threads == CONFIG_THREADS_DEDICATED;
}

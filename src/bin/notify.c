#include "bin/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

#define STATE_BYTES 512

/* A path, or with @ a name of Linux' abstract space, which has no NUL at its end. */
static int read_address(const char *address, struct sockaddr_un *to, socklen_t *to_bytes,
                        struct error *err)
{
    size_t bytes = strlen(address);
    if ((address[0] != '/' && address[0] != '@') || bytes < 2 || bytes >= sizeof to->sun_path)
        return error_set(
            err, EMB_ERR_INVALID_ARGUMENT,
            "NOTIFY_SOCKET: bad value \"%.60s\"; accepted: an absolute path or @NAME of "
            "2 to %zu bytes",
            address, sizeof to->sun_path - 1);
    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(to->sun_path, address, bytes);
    if (address[0] == '@')
        to->sun_path[0] = '\0';
    *to_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes + (address[0] == '/'));
    return EMB_OK;
}

static int send_state(const char *address, const char *state, struct error *err)
{
    struct sockaddr_un to;
    socklen_t to_bytes = 0;
    if (!address || !*address)
        return EMB_OK;
    int result = read_address(address, &to, &to_bytes, err);
    if (result != EMB_OK)
        return result;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ssize_t sent =
        fd < 0 ? -1
               : sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, to_bytes);
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (sent < 0)
        return error_set(err, EMB_ERR_IO, "NOTIFY_SOCKET %s: %s", address, strerror(why));
    return EMB_OK;
}

/* A line of its own in the datagram, so the status must be none. */
static void status_line(const char *status, char line[STATE_BYTES])
{
    char text[STATE_BYTES - 16];
    size_t taken;
    line[0] = '\0';
    if (!status)
        return;
    text_escape(text, sizeof text, TEXT_BARE, status, strlen(status), &taken);
    snprintf(line, STATE_BYTES, "\nSTATUS=%s", text);
}

int notify_ready(const char *address, const char *status, struct error *err)
{
    char line[STATE_BYTES], state[STATE_BYTES + 16];
    status_line(status, line);
    snprintf(state, sizeof state, "READY=1%s", line);
    return send_state(address, state, err);
}

int notify_reloading(const char *address, struct error *err)
{
    char state[96];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
    return send_state(address, state, err);
}

int notify_stopping(const char *address, struct error *err)
{
    return send_state(address, "STOPPING=1", err);
}

int notify_status(const char *address, const char *status, struct error *err)
{
    char line[STATE_BYTES];
    status_line(status, line);
    return send_state(address, line + (line[0] == '\n'), err);
}

/*
 * Bells: datagram sockets in Linux' abstract name space, which live as long as the process that
 * bound them and belong to its network namespace, as loopback does. A datagram without content is
 * one ring; who has not slept yet finds any number of them and takes them all at once.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "env/posix/posix.h"

struct env_bell {
    struct env_source source; /* first: posix_source_close frees it */
};

static socklen_t address_of(const char *name, struct sockaddr_un *address)
{
    size_t bytes = strlen(name);
    ASSERT(bytes > 0 && bytes < sizeof address->sun_path);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path + 1, name, bytes);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + bytes);
}

static int socket_open(void)
{
    return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static void take_all(void *arg, bool readable, bool writable)
{
    struct env_bell *bell = arg;
    char byte;
    while (recv(bell->source.fd, &byte, sizeof byte, MSG_TRUNC) >= 0)
        ;
}

int env_bell_hang(struct env_poller *poller, const char *name, struct env_bell **bell,
                  struct error *err)
{
    struct sockaddr_un address;
    socklen_t bytes = address_of(name, &address);
    struct env_bell *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for bell %s", name);
    int fd = socket_open();
    int rc = EMB_OK;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, bytes))
        rc = posix_error(err, errno, "bell %s", name);
    if (rc == EMB_OK)
        rc = posix_source_add(poller, &made->source, fd, err);
    if (rc) {
        if (fd >= 0)
            close(fd);
        free(made);
        return rc;
    }
    made->source.fn = take_all;
    made->source.arg = made;
    posix_source_watch(&made->source, true, false);
    *bell = made;
    return EMB_OK;
}

void env_bell_take_down(struct env_bell *bell)
{
    if (bell)
        posix_source_close(&bell->source);
}

int env_bell_find(struct env *env, const char *name)
{
    struct sockaddr_un address;
    socklen_t bytes = address_of(name, &address);
    int fd = socket_open();
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, bytes) == 0)
        return fd;
    close(fd);
    return -1;
}

bool env_bell_ring(int found)
{
    /* A full queue rings already. */
    return send(found, "", 0, MSG_NOSIGNAL) == 0 || errno == EAGAIN || errno == EWOULDBLOCK ||
           errno == ENOBUFS;
}

void env_bell_forget(int found)
{
    close(found);
}

/*
 * A socket as socket.c (making) and socket_io.c, socket_map.c (using) see it.
 * Written and read by its poller's thread; freed through posix_source_close.
 */
#ifndef ENV_POSIX_SOCKET_H
#define ENV_POSIX_SOCKET_H

#include "env/posix/posix.h"

#define SOCKET_NAME_BYTES 72

struct env_socket {
    struct env_source source; /* first: freed through it */
    bool connecting;
    bool local_peer;          /* the other end is on this host */
    int spare_fd;             /* of a listener: given up to refuse a connection when none is left */
    int failed;               /* errno of the failed connect, 0 if none */
    uint64_t accept_failures; /* of a listener */
    char peer[SOCKET_NAME_BYTES];
};

/* What env_recv and env_send return for the result of a system call. */
ssize_t socket_result(ssize_t result);

#endif

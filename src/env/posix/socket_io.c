/* Using sockets: watching, receiving, sending, closing. */
#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "env/posix/socket.h"

/* What close discards of unread bytes at most, in pieces: more than both buffers together. */
#define DISCARD_BYTES  (64u << 10)
#define DISCARD_PIECES 512

void env_socket_watch(struct env_socket *socket, bool readable, bool writable, env_ready_fn *fn,
                      void *arg)
{
    ASSERT(fn || (!readable && !writable));
    socket->source.fn = fn;
    socket->source.arg = arg;
    posix_source_watch(&socket->source, readable, writable);
}

ssize_t socket_result(ssize_t result)
{
    if (result >= 0)
        return result;
    return errno == EAGAIN || errno == EWOULDBLOCK ? ENV_WOULD_BLOCK : ENV_FAILED;
}

ssize_t env_recv(struct env_socket *socket, const struct iovec *iov, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)iov,
                             .msg_iovlen = (size_t)(count < IOV_MAX ? count : IOV_MAX)};
    ssize_t got;
    do {
        got = recvmsg(socket->source.fd, &message, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return socket_result(got);
}

ssize_t env_send(struct env_socket *socket, const struct iovec *iov, int count, bool more)
{
    struct msghdr message = {.msg_iov = (struct iovec *)iov,
                             .msg_iovlen = (size_t)(count < IOV_MAX ? count : IOV_MAX)};
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    ssize_t sent;
    do {
        sent = sendmsg(socket->source.fd, &message, flags);
    } while (sent < 0 && errno == EINTR);
    return socket_result(sent);
}

uint64_t env_unacked_bytes(struct env_socket *socket)
{
    int bytes = 0;
    if (ioctl(socket->source.fd, SIOCOUTQ, &bytes) != 0 || bytes < 0)
        return 0;
    return (uint64_t)bytes;
}

static void socket_close(struct env_socket *socket)
{
    if (socket->spare_fd >= 0)
        close(socket->spare_fd);
    posix_source_close(&socket->source);
}

static bool is_abandoned(const struct env_socket *socket)
{
    return socket->source.poller->env->abandoned;
}

void env_close(struct env_socket *socket)
{
    if (!socket)
        return;
    /*
     * Closing with unread bytes resets the connection, and the peer may then lose what was sent
     * to it last: so they are discarded first.
     */
    char discarded[DISCARD_BYTES];
    if (!is_abandoned(socket)) {
        shutdown(socket->source.fd, SHUT_WR);
        for (int i = 0; i < DISCARD_PIECES; i++)
            if (recv(socket->source.fd, discarded, sizeof discarded, MSG_DONTWAIT) <= 0)
                break;
    }
    socket_close(socket);
}

void env_reset(struct env_socket *socket)
{
    if (!socket)
        return;
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (!is_abandoned(socket))
        setsockopt(socket->source.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    socket_close(socket);
}

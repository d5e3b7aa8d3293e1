/* Sending from a mapping: a file of its own, so that a client links nothing of mappings. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <time.h>

#include "base/assert.h"
#include "env/posix/socket.h"

/* sendfile has no MSG_NOSIGNAL: the signal is held back and, if it came, taken. */
static ssize_t sendfile_without_signal(int to, int from, uint64_t offset, size_t bytes)
{
    sigset_t pipe_signal, before;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    off_t position = (off_t)offset;
    ssize_t sent;
    do {
        sent = sendfile(to, from, &position, bytes);
    } while (sent < 0 && errno == EINTR);
    int failed = sent < 0 ? errno : 0;
    if (failed == EPIPE)
        sigtimedwait(&pipe_signal, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = failed;
    return sent;
}

ssize_t env_sendfile(struct env_socket *socket, struct env_map *map, uint64_t offset, size_t bytes)
{
    ASSERT(offset <= env_map_bytes(map) && bytes <= env_map_bytes(map) - offset);
    if (!env_map_can_sendfile(map))
        return ENV_FAILED;
    if (bytes == 0)
        return 0;
    /*
     * Within one host the receiver's queue holds the very pages of the mapping, acknowledged but
     * unread: what counts as delivered could still be overwritten. So here a copy is sent.
     */
    if (socket->local_peer) {
        struct iovec iov = {.iov_base = env_map_base(map) + offset, .iov_len = bytes};
        return env_send(socket, &iov, 1, false);
    }
    ssize_t sent = sendfile_without_signal(socket->source.fd, posix_map_fd(map), offset, bytes);
    return sent == 0 ? ENV_FAILED : socket_result(sent); /* 0: the file was cut off under us */
}

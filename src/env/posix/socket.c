/* Making sockets: addresses, listening, accepting, connecting. */
#include "env/posix/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bits.h"

#define BUFFER_BYTES (4 << 20)
#define UNACKED_MS   60000
#define FILES_KEPT   64 /* descriptors that connections leave to files, of many */

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
};

static void address_print(const struct address *address, char text[SOCKET_NAME_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)&address->storage;
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
        snprintf(text, SOCKET_NAME_BYTES, "[%s]:%u", host, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const void *)&address->storage;
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
        snprintf(text, SOCKET_NAME_BYTES, "%s:%u", host, ntohs(four->sin_port));
    }
}

static bool address_is_loopback(const struct address *address)
{
    if (address->storage.ss_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)&address->storage)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
    }
    const struct sockaddr_in *four = (const void *)&address->storage;
    return ntohl(four->sin_addr.s_addr) >> 24 == 127;
}

static bool address_same_host(const struct address *a, const struct address *b)
{
    if (a->storage.ss_family != b->storage.ss_family)
        return false;
    if (a->storage.ss_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)&a->storage)->sin6_addr,
                      &((const struct sockaddr_in6 *)&b->storage)->sin6_addr,
                      sizeof(struct in6_addr)) == 0;
    return ((const struct sockaddr_in *)&a->storage)->sin_addr.s_addr ==
           ((const struct sockaddr_in *)&b->storage)->sin_addr.s_addr;
}

static bool address_local(int fd, struct address *address)
{
    memset(address, 0, sizeof(*address));
    address->length = sizeof(address->storage);
    return getsockname(fd, (struct sockaddr *)&address->storage, &address->length) == 0;
}

/* An address is taken as it is; only a name goes to the resolver, which may block. */
static int address_find(const char *host, uint16_t port, bool passive, struct address *address,
                        struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    const char *asked = host;
    if (strcmp(host, "localhost") == 0)
        asked = "127.0.0.1";
    else if (passive && (host[0] == '\0' || strcmp(host, "*") == 0))
        asked = "0.0.0.0";
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    int rc = getaddrinfo(asked, service, &hints, &found);
    if (rc == EAI_NONAME) {
        hints.ai_flags = AI_ADDRCONFIG;
        rc = getaddrinfo(asked, service, &hints, &found);
    }
    if (rc != 0)
        return error_set(err, EMB_ERR_NOT_FOUND,
                         "host \"%s\": %s; give a known name or an address such as 127.0.0.1", host,
                         gai_strerror(rc));
    memset(address, 0, sizeof(*address));
    memcpy(&address->storage, found->ai_addr, found->ai_addrlen);
    address->length = found->ai_addrlen;
    freeaddrinfo(found);
    return EMB_OK;
}

static void option_set(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof(value));
}

/* Beyond the system's limit where that is permitted, else up to it. */
static void buffer_set(int fd, int force_option, int option)
{
    int bytes = BUFFER_BYTES;
    if (setsockopt(fd, SOL_SOCKET, force_option, &bytes, sizeof(bytes)) != 0)
        setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes));
}

/* A host that is gone does not say so: idle connections are probed after 30 s, thrice in 30 s. */
static void options_keepalive(int fd)
{
    option_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    option_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
    option_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    option_set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

/* Before listen and connect: the window scale is agreed on with the first packet. */
static void socket_options(int fd)
{
    buffer_set(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    buffer_set(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    options_keepalive(fd);
}

/* BBR paces by round trips, which costs most of the throughput of loopback. */
static void congestion_for_local(int fd)
{
    char name[16] = "";
    socklen_t length = sizeof(name);
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length) != 0 ||
        strncmp(name, "bbr", 3) != 0)
        return;
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) != 0)
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

/* Takes the descriptor over, also when it fails (NULL). */
static struct env_socket *socket_wrap(struct env_poller *poller, int fd, const struct address *peer,
                                      struct error *err)
{
    struct env_socket *socket = calloc(1, sizeof(*socket));
    if (!socket)
        error_set(err, EMB_ERR_NO_MEMORY, "no memory for a socket");
    if (!socket || posix_source_add(poller, &socket->source, fd, err)) {
        free(socket);
        close(fd);
        return NULL;
    }
    socket->spare_fd = -1;
    address_print(peer, socket->peer);
    return socket;
}

static void socket_know_peer(struct env_socket *socket, const struct address *peer)
{
    struct address own;
    socket->local_peer = address_is_loopback(peer) ||
                         (address_local(socket->source.fd, &own) && address_same_host(&own, peer));
    if (socket->local_peer)
        congestion_for_local(socket->source.fd);
}

static int socket_open(const struct address *address, int *fd, struct error *err)
{
    *fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return posix_error(err, errno, "socket");
    socket_options(*fd);
    return EMB_OK;
}

static int listen_failed(int fd, const char *host, uint16_t port, struct error *err)
{
    int failed = errno;
    close(fd);
    if (failed == EADDRINUSE)
        return error_set(err, EMB_ERR_BUSY,
                         "port %u on %s is in use by another process; stop it or choose another "
                         "port (0: any)",
                         port, host);
    if (failed == EADDRNOTAVAIL)
        return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                         "%s is no address of this host; 0.0.0.0 listens on all of them", host);
    return posix_error(err, failed, "listening on %s port %u", host, port);
}

int env_listen(struct env_poller *poller, const char *host, uint16_t port,
               struct env_socket **listener, struct error *err)
{
    struct address address;
    int fd, rc = address_find(host, port, true, &address, err);
    if (rc || (rc = socket_open(&address, &fd, err)))
        return rc;
    option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, (struct sockaddr *)&address.storage, address.length) != 0 ||
        listen(fd, SOMAXCONN) != 0)
        return listen_failed(fd, host, port, err);
    address_local(fd, &address);
    struct error why = {0};
    struct env_socket *created = socket_wrap(poller, fd, &address, &why);
    if (!created)
        return error_set(err, why.code, "%s", why.text);
    created->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    *listener = created;
    return EMB_OK;
}

/*
 * With no descriptor left the connection would stay in the queue and keep the listener readable:
 * the spare one is given up to take it and turn it away. False: there was none, after all.
 */
static bool refuse_one(struct env_socket *listener)
{
    bool has_spare = listener->spare_fd >= 0;
    if (has_spare)
        close(listener->spare_fd);
    int fd = accept4(listener->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0 || !has_spare;
}

/* The lowest free number is given, so it says how many are in use. */
static bool descriptor_is_kept(int fd)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return false;
    uint64_t kept = min_u64(FILES_KEPT, limit.rlim_cur / 4);
    return (uint64_t)fd + kept >= limit.rlim_cur;
}

static void accept_failed(struct env_socket *listener, int failed)
{
    if (failed == EMFILE || failed == ENFILE)
        listener->accept_failures += refuse_one(listener);
    else
        listener->accept_failures += failed == ENOMEM || failed == ENOBUFS;
}

struct env_socket *env_accept(struct env_socket *listener)
{
    struct address peer = {.length = sizeof(peer.storage)};
    int fd = accept4(listener->source.fd, (struct sockaddr *)&peer.storage, &peer.length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        accept_failed(listener, errno);
        return NULL;
    }
    if (descriptor_is_kept(fd)) {
        close(fd);
        listener->accept_failures++;
        return NULL;
    }
    socket_options(fd);
    /* What is under way is given up earlier than the quarter of an hour that TCP would take. */
    option_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS);
    struct env_socket *socket = socket_wrap(listener->source.poller, fd, &peer, NULL);
    if (socket)
        socket_know_peer(socket, &peer);
    else
        listener->accept_failures++;
    return socket;
}

uint64_t env_accept_failures(const struct env_socket *listener)
{
    return listener->accept_failures;
}

/* A window that stays shut counts as unacknowledged, even if its host says so again and again. */
void env_socket_may_pause(struct env_socket *socket)
{
    option_set(socket->source.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
}

int env_connect(struct env_poller *poller, const char *host, uint16_t port,
                struct env_socket **socket, struct error *err)
{
    struct address peer;
    int fd, rc = address_find(host, port, false, &peer, err);
    if (rc || (rc = socket_open(&peer, &fd, err)))
        return rc;
    if (connect(fd, (struct sockaddr *)&peer.storage, peer.length) != 0 && errno != EINPROGRESS) {
        int failed = errno;
        close(fd);
        return posix_error(err, failed, "connecting to %s port %u", host, port);
    }
    struct error why = {0};
    struct env_socket *created = socket_wrap(poller, fd, &peer, &why);
    if (!created)
        return error_set(err, why.code, "%s", why.text);
    created->connecting = true;
    socket_know_peer(created, &peer);
    *socket = created;
    return EMB_OK;
}

/* 0 when connected, EINPROGRESS while under way, else why it failed. */
static int connect_state(int fd)
{
    int failed = 0;
    socklen_t length = sizeof(failed);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &length) != 0)
        return errno;
    if (failed)
        return failed;
    struct address own, peer = {.length = sizeof(peer.storage)};
    if (getpeername(fd, (struct sockaddr *)&peer.storage, &peer.length) != 0)
        return errno == ENOTCONN ? EINPROGRESS : errno;
    /* A free port of this host may be picked for our own end, and TCP then connects to itself. */
    if (address_local(fd, &own) && own.length == peer.length &&
        memcmp(&own.storage, &peer.storage, own.length) == 0)
        return ECONNREFUSED;
    return 0;
}

int env_connect_result(struct env_socket *socket, struct error *err)
{
    if (socket->connecting && !socket->failed) {
        int state = connect_state(socket->source.fd);
        if (state == EINPROGRESS)
            return ENV_WOULD_BLOCK;
        socket->connecting = false;
        socket->failed = state;
    }
    if (!socket->failed)
        return 0;
    posix_error(err, socket->failed, "connecting to %s", socket->peer);
    return ENV_FAILED;
}

uint16_t env_local_port(struct env_socket *socket)
{
    struct address own;
    if (!address_local(socket->source.fd, &own))
        return 0;
    return ntohs(own.storage.ss_family == AF_INET6
                     ? ((struct sockaddr_in6 *)&own.storage)->sin6_port
                     : ((struct sockaddr_in *)&own.storage)->sin_port);
}

const char *env_peer_name(struct env_socket *socket)
{
    return socket->peer;
}

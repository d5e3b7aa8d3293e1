/*
 * A crowd of connections in a process of its own: crowd PORT COUNT [hello]. Connects COUNT times to
 * 127.0.0.1:PORT, says HELLO on each if asked to, and waits for the answers; prints how many
 * connections stand; ends, and they with it, when its standard input does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/wire.h"

static void descriptors_want(unsigned count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= count)
        return;
    limit.rlim_cur = limit.rlim_max < count ? limit.rlim_max : count;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 60};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return -1;
    }
    return fd;
}

static size_t hello_make(unsigned char *bytes, size_t capacity)
{
    struct wire_writer w;
    struct hello hello = {.client_name = "one of a crowd"};
    wire_writer_init(&w, bytes + FRAME_HEADER_BYTES, capacity - FRAME_HEADER_BYTES);
    hello_put(&w, &hello);
    frame_header_write(bytes,
                       &(struct frame_header){.type = FRAME_HELLO, .body_bytes = (uint32_t)w.used});
    return FRAME_HEADER_BYTES + w.used;
}

static bool say_hello(int fd)
{
    unsigned char bytes[256], answer[FRAME_HEADER_BYTES];
    struct frame_header header;
    size_t count = hello_make(bytes, sizeof bytes);
    if (send(fd, bytes, count, MSG_NOSIGNAL) != (ssize_t)count ||
        recv(fd, answer, sizeof answer, MSG_WAITALL) != (ssize_t)sizeof answer)
        return false;
    return frame_header_read(answer, &header, NULL) == EMB_OK && header.type == FRAME_HELLO_OK;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: crowd PORT COUNT [hello]\n");
        return 2;
    }
    unsigned wanted = (unsigned)atoi(argv[2]), standing = 0;
    descriptors_want(wanted + 16);
    for (unsigned i = 0; i < wanted; i++) {
        int fd = connect_to((uint16_t)atoi(argv[1]));
        standing += fd >= 0 && (argc < 4 || say_hello(fd));
    }
    printf("%u\n", standing);
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}

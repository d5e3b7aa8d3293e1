/* What a listener does when descriptors run out, and how hosts that are gone are noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bits.h"
#include "env/posix/socket.h"
#include "env/posix/test_place.h"

struct world {
    struct env *env;
    struct env_poller *poller;
    struct env_socket *listener, *near, *far; /* near connected, far accepted */
};

static void on_ready(void *arg, bool readable, bool writable)
{
    bool *ready = arg;
    *ready = true;
}

static struct env_socket *connect_to(struct world *world)
{
    struct env_socket *socket;
    struct error err;
    uint16_t port = env_local_port(world->listener);
    ASSERT_CODE(env_connect(world->poller, "127.0.0.1", port, &socket, &err), EMB_OK);
    return socket;
}

/* The next connection, or NULL once one was turned away. */
static struct env_socket *accept_or_fail(struct world *world)
{
    bool ready = false;
    struct env_socket *socket = NULL;
    env_socket_watch(world->listener, true, false, on_ready, &ready);
    for (int i = 0; i < 100 && !socket && env_accept_failures(world->listener) == 0; i++) {
        env_poller_wait(world->poller, 100000000);
        socket = env_accept(world->listener);
    }
    env_socket_watch(world->listener, false, false, NULL, NULL);
    return socket;
}

static int world_open(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct error err;
    *state = world;
    world->env = env_create();
    ASSERT_CODE(env_poller_create(world->env, &world->poller), EMB_OK);
    ASSERT_CODE(env_listen(world->poller, "127.0.0.1", 0, &world->listener, &err), EMB_OK);
    world->near = connect_to(world);
    world->far = accept_or_fail(world);
    return world->far == NULL;
}

static int world_close(void **state)
{
    struct world *world = *state;
    env_close(world->near);
    env_close(world->far);
    env_close(world->listener);
    env_poller_destroy(world->poller);
    env_destroy(world->env);
    free(world);
    return 0;
}

/* Connections do not take the last descriptors: stores must be able to begin files. */
static void some_descriptors_are_kept_for_files(void **state)
{
    struct world *world = *state;
    struct env_socket *sockets[64];
    struct rlimit before, few;
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = (rlim_t)world->far->source.fd + 64;
    setrlimit(RLIMIT_NOFILE, &few);
    int count = 0;
    for (; count < 62 && env_accept_failures(world->listener) == 0; count += 2) {
        sockets[count] = connect_to(world);
        sockets[count + 1] = accept_or_fail(world);
    }
    int file = dup(0);
    assert_true(file >= 0 && count > 4 && count < 62);
    close(file);
    setrlimit(RLIMIT_NOFILE, &before);
    for (int i = 0; i < count; i++)
        if (sockets[i])
            env_close(sockets[i]);
}

/* Half a minute of silence is asked about; what is under way is given up after a minute, unless
   the peer may pause. */
static void hosts_that_are_gone_are_noticed(void **state)
{
    struct world *world = *state;
    const struct {
        int level, option, value;
    } wanted[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                  {IPPROTO_TCP, TCP_KEEPIDLE, 30},
                  {IPPROTO_TCP, TCP_KEEPINTVL, 10},
                  {IPPROTO_TCP, TCP_KEEPCNT, 3},
                  {IPPROTO_TCP, TCP_USER_TIMEOUT, 60000}};
    int value;
    socklen_t length = sizeof value;
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        assert_int_equal(
            getsockopt(world->far->source.fd, wanted[i].level, wanted[i].option, &value, &length),
            0);
        assert_int_equal(value, wanted[i].value);
    }
    env_socket_may_pause(world->far);
    getsockopt(world->far->source.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &length);
    assert_int_equal(value, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(some_descriptors_are_kept_for_files),
        TEST(hosts_that_are_gone_are_noticed),
    };
    return cmocka_run_group_tests_name("env_socket_limits", tests, NULL, NULL);
}

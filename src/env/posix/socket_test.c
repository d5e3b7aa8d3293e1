#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bits.h"
#include "env/posix/socket.h"
#include "env/posix/test_place.h"

#define SECOND 1000000000ull

struct world {
    struct env *env;
    struct env_poller *poller;
    struct env_socket *listener, *near, *far; /* near connected, far accepted */
};

/* What a handler saw. */
struct seen {
    int calls;
    bool readable, writable;
};

static void on_ready(void *arg, bool readable, bool writable)
{
    struct seen *seen = arg;
    seen->calls++;
    seen->readable |= readable;
    seen->writable |= writable;
}

static void wait_for_calls(struct world *world, const struct seen *seen, int calls)
{
    for (int i = 0; i < 100 && seen->calls < calls; i++)
        env_poller_wait(world->poller, SECOND / 10);
    assert_true(seen->calls >= calls);
}

static struct env_socket *accept_next(struct world *world)
{
    struct seen seen = {0};
    env_socket_watch(world->listener, true, false, on_ready, &seen);
    wait_for_calls(world, &seen, 1);
    env_socket_watch(world->listener, false, false, NULL, NULL);
    return env_accept(world->listener);
}

static struct env_socket *connect_to(struct world *world, uint16_t port)
{
    struct env_socket *socket;
    struct error err;
    ASSERT_CODE(env_connect(world->poller, "127.0.0.1", port, &socket, &err), EMB_OK);
    return socket;
}

static int connect_wait(struct world *world, struct env_socket *socket, struct error *err)
{
    struct seen seen = {0};
    env_socket_watch(socket, false, true, on_ready, &seen);
    int result;
    while ((result = env_connect_result(socket, err)) == ENV_WOULD_BLOCK)
        wait_for_calls(world, &seen, seen.calls + 1);
    env_socket_watch(socket, false, false, NULL, NULL);
    return result;
}

static const char *map_url(char url[64])
{
    snprintf(url, 64, "shm:embarcadero-socket-test-%ld", (long)getpid());
    return url;
}

static int world_open(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct error err;
    *state = world;
    world->env = env_create();
    ASSERT_CODE(env_poller_create(world->env, &world->poller), EMB_OK);
    ASSERT_CODE(env_listen(world->poller, "127.0.0.1", 0, &world->listener, &err), EMB_OK);
    world->near = connect_to(world, env_local_port(world->listener));
    ASSERT_CODE(connect_wait(world, world->near, &err), 0);
    world->far = accept_next(world);
    return world->far == NULL;
}

static int world_close(void **state)
{
    struct world *world = *state;
    env_close(world->near);
    env_close(world->far);
    env_close(world->listener);
    env_poller_destroy(world->poller);
    char url[64];
    env_map_remove(world->env, map_url(url), NULL);
    env_destroy(world->env);
    free(world);
    return 0;
}

static ssize_t send_text(struct env_socket *socket, const char *text)
{
    struct iovec iov = {.iov_base = (void *)text, .iov_len = strlen(text)};
    return env_send(socket, &iov, 1, false);
}

static ssize_t recv_once(struct env_socket *socket, void *bytes, size_t count)
{
    struct iovec iov = {.iov_base = bytes, .iov_len = count};
    return env_recv(socket, &iov, 1);
}

/* Receives exactly count bytes, or fewer when the connection ends; *end says how. */
static size_t recv_all(struct world *world, struct env_socket *socket, void *bytes, size_t count,
                       ssize_t *end)
{
    struct seen seen = {0};
    size_t done = 0;
    ssize_t got = 1;
    env_socket_watch(socket, true, false, on_ready, &seen);
    while (done < count) {
        got = recv_once(socket, (char *)bytes + done, count - done);
        if (got == ENV_WOULD_BLOCK)
            wait_for_calls(world, &seen, seen.calls + 1);
        else if (got <= 0)
            break;
        else
            done += (size_t)got;
    }
    env_socket_watch(socket, false, false, NULL, NULL);
    *end = got;
    return done;
}

static ssize_t end_of(struct world *world, struct env_socket *socket)
{
    char byte;
    ssize_t end;
    assert_int_equal(recv_all(world, socket, &byte, 1, &end), 0);
    return end;
}

static void bytes_arrive_scattered_and_gathered(void **state)
{
    struct world *world = *state;
    struct iovec out[] = {{"abc", 3}, {"", 0}, {"defgh", 5}};
    char first[2], second[6];
    struct iovec in[] = {{first, 2}, {second, 6}};
    assert_int_equal(env_send(world->near, out, 2, true), 3);
    assert_int_equal(env_send(world->near, out + 2, 1, false), 5);
    ssize_t end;
    char probe[8];
    assert_int_equal(recv_once(world->near, probe, 1), ENV_WOULD_BLOCK);
    struct seen seen = {0};
    env_socket_watch(world->far, true, false, on_ready, &seen);
    wait_for_calls(world, &seen, 1);
    ssize_t got = env_recv(world->far, in, 2);
    assert_true(got >= 3);
    if (got < 8)
        recv_all(world, world->far, second + got - 2, (size_t)(8 - got), &end);
    assert_memory_equal(first, "ab", 2);
    assert_memory_equal(second, "cdefgh", 6);
}

static void options_are_those_of_the_contract(void **state)
{
    struct world *world = *state;
    struct env_socket *const ends[] = {world->near, world->far};
    for (int i = 0; i < 2; i++) {
        int value = 0, fd = ends[i]->source.fd;
        socklen_t length = sizeof(value);
        getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length);
        assert_true(value);
        char congestion[16] = "";
        length = sizeof(congestion);
        getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, &length);
        assert_string_not_equal(congestion, "bbr");
        assert_true(ends[i]->local_peer);
        length = sizeof(value);
        getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &length);
        if (geteuid() == 0)
            assert_true(value >= 4 << 20);
        getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &length);
        if (geteuid() == 0)
            assert_true(value >= 4 << 20);
    }
}

static void peers_are_named(void **state)
{
    struct world *world = *state;
    char expected[64];
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", env_local_port(world->near));
    assert_string_equal(env_peer_name(world->far), expected);
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", env_local_port(world->listener));
    assert_string_equal(env_peer_name(world->near), expected);
    assert_int_equal(env_local_port(world->far), env_local_port(world->listener));
}

static void interest_decides_who_is_called(void **state)
{
    struct world *world = *state;
    struct seen seen = {0};
    env_socket_watch(world->far, true, false, on_ready, &seen);
    assert_int_equal(env_poller_wait(world->poller, 0), 0);
    assert_int_equal(send_text(world->near, "x"), 1);
    wait_for_calls(world, &seen, 1);
    assert_true(seen.readable && !seen.writable);
    wait_for_calls(world, &seen, 2); /* level-triggered: the byte is still there */
    env_socket_watch(world->far, false, true, on_ready, &seen);
    seen = (struct seen){0};
    assert_int_equal(env_poller_wait(world->poller, SECOND), 1);
    assert_true(!seen.readable && seen.writable);
    env_socket_watch(world->far, false, false, on_ready, &seen);
    seen = (struct seen){0};
    assert_int_equal(env_poller_wait(world->poller, SECOND / 50), 0);
    env_socket_watch(world->far, true, true, on_ready, &seen);
    assert_int_equal(env_poller_wait(world->poller, SECOND), 1);
    assert_true(seen.calls == 1 && seen.readable && seen.writable);
}

static void a_hang_up_of_an_unwatched_socket_lets_the_thread_sleep(void **state)
{
    struct world *world = *state;
    env_reset(world->near);
    world->near = NULL;
    env_poller_wait(world->poller, SECOND / 50);
    uint64_t before = env_now_ns(world->env);
    assert_int_equal(env_poller_wait(world->poller, SECOND / 20), 0);
    assert_true(env_now_ns(world->env) - before >= SECOND / 20);
    struct seen seen = {0};
    env_socket_watch(world->far, false, true, on_ready, &seen);
    wait_for_calls(world, &seen, 1);
    assert_true(seen.writable);
}

static void an_orderly_close_is_an_end(void **state)
{
    struct world *world = *state;
    send_text(world->near, "last words");
    env_close(world->near);
    world->near = NULL;
    char text[10];
    ssize_t end;
    assert_int_equal(recv_all(world, world->far, text, 10, &end), 10);
    assert_memory_equal(text, "last words", 10);
    assert_int_equal(end_of(world, world->far), 0);
}

static void a_close_over_unread_bytes_is_orderly_too(void **state)
{
    struct world *world = *state;
    char text[5];
    ssize_t end;
    struct seen seen = {0};
    send_text(world->far, "nobody reads this");
    env_socket_watch(world->near, true, false, on_ready, &seen);
    wait_for_calls(world, &seen, 1);
    send_text(world->near, "error");
    env_close(world->near);
    world->near = NULL;
    assert_int_equal(recv_all(world, world->far, text, 5, &end), 5);
    assert_memory_equal(text, "error", 5);
    assert_int_equal(end_of(world, world->far), 0);
}

static void a_reset_is_a_failure_and_never_a_signal(void **state)
{
    struct world *world = *state;
    env_reset(world->near);
    world->near = NULL;
    assert_int_equal(end_of(world, world->far), ENV_FAILED);
    assert_int_equal(send_text(world->far, "x"), ENV_FAILED);
    assert_int_equal(send_text(world->far, "x"), ENV_FAILED);
}

static void what_the_peer_does_not_take_stays_unacknowledged(void **state)
{
    struct world *world = *state;
    static char block[1 << 20];
    memset(block, 7, sizeof(block));
    struct iovec iov = {block, sizeof(block)};
    uint64_t sent = 0;
    ssize_t put;
    assert_int_equal(env_unacked_bytes(world->near), 0);
    for (int i = 0; (put = env_send(world->near, &iov, 1, false)) > 0; i++) {
        sent += (uint64_t)put;
        assert_true(i < 1000);
    }
    assert_int_equal(put, ENV_WOULD_BLOCK);
    assert_true(sent > sizeof(block));
    assert_true(env_unacked_bytes(world->near) > 0 && env_unacked_bytes(world->near) <= sent);
    static char taken[1 << 20];
    ssize_t end;
    for (uint64_t left = sent; left > 0;) {
        size_t next = min_u64(left, sizeof(taken));
        memset(taken, 0, sizeof(taken));
        assert_int_equal(recv_all(world, world->far, taken, next, &end), next);
        assert_memory_equal(taken, block, next);
        left -= next;
    }
    for (int i = 0; i < 1000 && env_unacked_bytes(world->near) > 0; i++)
        env_poller_wait(world->poller, SECOND / 1000);
    assert_int_equal(env_unacked_bytes(world->near), 0);
}

struct closer {
    struct env_socket *others[2];
    int calls;
};

static void close_everything(void *arg, bool readable, bool writable)
{
    struct closer *closer = arg;
    closer->calls++;
    env_close(closer->others[0]);
    env_reset(closer->others[1]);
}

static void a_handler_may_close_itself_and_those_later_in_the_list(void **state)
{
    struct world *world = *state;
    for (int round = 0; round < 20; round++) {
        struct closer closer = {.others = {world->near, world->far}};
        send_text(world->near, "x");
        send_text(world->far, "x");
        env_socket_watch(world->near, true, true, close_everything, &closer);
        env_socket_watch(world->far, true, true, close_everything, &closer);
        assert_int_equal(env_poller_wait(world->poller, SECOND), 1);
        assert_int_equal(closer.calls, 1);
        assert_int_equal(env_poller_wait(world->poller, 0), 0);
        struct error err;
        world->near = connect_to(world, env_local_port(world->listener));
        ASSERT_CODE(connect_wait(world, world->near, &err), 0);
        world->far = accept_next(world);
        assert_non_null(world->far);
    }
}

struct muter {
    struct env_socket *other;
    int *calls;
};

static void mute_the_other(void *arg, bool readable, bool writable)
{
    struct muter *muter = arg;
    ++*muter->calls;
    env_socket_watch(muter->other, false, false, NULL, NULL);
}

static void a_handler_may_silence_another_in_the_list(void **state)
{
    struct world *world = *state;
    int calls = 0;
    struct muter near = {world->far, &calls}, far = {world->near, &calls};
    env_socket_watch(world->near, false, true, mute_the_other, &near);
    env_socket_watch(world->far, false, true, mute_the_other, &far);
    assert_int_equal(env_poller_wait(world->poller, SECOND), 1);
    assert_int_equal(calls, 1);
}

static void a_taken_port_is_named(void **state)
{
    struct world *world = *state;
    struct env_socket *second = NULL;
    struct error err;
    uint16_t port = env_local_port(world->listener);
    char number[8];
    snprintf(number, sizeof(number), "%u", port);
    ASSERT_CODE(env_listen(world->poller, "127.0.0.1", port, &second, &err), EMB_ERR_BUSY);
    assert_non_null(strstr(err.text, number));
    assert_null(second);
}

static void bad_hosts_are_refused_with_their_name(void **state)
{
    struct world *world = *state;
    struct env_socket *socket = NULL;
    struct error err;
    assert_true(env_listen(world->poller, "203.0.113.7", 0, &socket, &err) < 0);
    assert_non_null(strstr(err.text, "203.0.113.7"));
    ASSERT_CODE(env_connect(world->poller, "no such host", 1, &socket, &err), EMB_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no such host"));
    ASSERT_CODE(env_connect(world->poller, "", 1, &socket, NULL), EMB_ERR_NOT_FOUND);
    assert_null(socket);
}

static void a_refused_connection_says_so_and_keeps_saying_it(void **state)
{
    struct world *world = *state;
    uint16_t port = env_local_port(world->listener);
    struct error err = {0};
    env_close(world->listener);
    struct env_socket *socket = NULL;
    if (env_connect(world->poller, "127.0.0.1", port, &socket, &err) == EMB_OK) {
        assert_int_equal(connect_wait(world, socket, &err), ENV_FAILED);
        assert_int_equal(env_connect_result(socket, &err), ENV_FAILED);
        env_close(socket);
    }
    ASSERT_CODE(err.code, EMB_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    ASSERT_CODE(env_listen(world->poller, "127.0.0.1", port, &world->listener, &err), EMB_OK);
}

static void names_and_ipv6_work(void **state)
{
    struct world *world = *state;
    struct env_socket *listener, *socket;
    struct error err;
    ASSERT_CODE(env_listen(world->poller, "localhost", 0, &listener, &err), EMB_OK);
    ASSERT_CODE(env_connect(world->poller, "localhost", env_local_port(listener), &socket, &err),
                EMB_OK);
    ASSERT_CODE(connect_wait(world, socket, &err), 0);
    env_close(socket);
    env_close(listener);
    if (env_listen(world->poller, "::1", 0, &listener, &err) != EMB_OK) {
        print_message("skipped: this host has no IPv6\n");
        skip();
    }
    ASSERT_CODE(env_connect(world->poller, "::1", env_local_port(listener), &socket, &err), EMB_OK);
    ASSERT_CODE(connect_wait(world, socket, &err), 0);
    assert_memory_equal(env_peer_name(socket), "[::1]:", 6);
    env_close(socket);
    env_close(listener);
}

static void without_descriptors_a_connection_is_turned_away(void **state)
{
    struct world *world = *state;
    struct env_socket *socket = connect_to(world, env_local_port(world->listener));
    struct seen seen = {0};
    env_socket_watch(world->listener, true, false, on_ready, &seen);
    wait_for_calls(world, &seen, 1);
    struct rlimit before, few;
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = (rlim_t)socket->source.fd + 1;
    int filler[64], fillers = 0;
    setrlimit(RLIMIT_NOFILE, &few);
    while (fillers < 64 && (filler[fillers] = dup(0)) >= 0)
        fillers++;
    assert_int_equal(env_accept_failures(world->listener), 0);
    assert_null(env_accept(world->listener));
    assert_null(env_accept(world->listener));
    assert_int_equal(env_accept_failures(world->listener), 1);
    env_poller_wait(world->poller, 0);
    int calls = seen.calls;
    assert_int_equal(env_poller_wait(world->poller, 0), 0);
    assert_int_equal(seen.calls, calls);
    setrlimit(RLIMIT_NOFILE, &before);
    while (fillers > 0)
        close(filler[--fillers]);
    assert_int_equal(end_of(world, socket), 0);
    env_close(socket);
}

static struct env_map *map_make(struct world *world)
{
    struct env_map *map = NULL;
    struct error err;
    char url[64];
    ASSERT_CODE(env_map_open(world->env, map_url(url), 1 << 20, ENV_MAP_CREATE, &map, &err),
                EMB_OK);
    assert_true(env_map_can_sendfile(map));
    for (size_t i = 0; i < 1 << 20; i++)
        env_map_base(map)[i] = (unsigned char)(i * 31 + (i >> 8));
    return map;
}

static void bytes_of_a_mapping_arrive(void **state, bool local)
{
    struct world *world = *state;
    struct env_map *map = map_make(world);
    world->near->local_peer = local;
    static unsigned char got[200000];
    uint64_t sent = 0;
    while (sent < sizeof(got)) {
        ssize_t put = env_sendfile(world->near, map, 4097 + sent, sizeof(got) - sent);
        assert_true(put > 0);
        sent += (uint64_t)put;
    }
    ssize_t end;
    assert_int_equal(recv_all(world, world->far, got, sizeof(got), &end), sizeof(got));
    assert_memory_equal(got, env_map_base(map) + 4097, sizeof(got));
    assert_int_equal(env_sendfile(world->near, map, 1 << 20, 0), 0);
    env_map_close(map);
}

static void sendfile_sends_the_bytes(void **state)
{
    bytes_of_a_mapping_arrive(state, false);
}

static void sendfile_within_a_host_sends_the_bytes(void **state)
{
    bytes_of_a_mapping_arrive(state, true);
}

static void acknowledged_bytes_of_a_mapping_stay_as_they_were_sent(void **state)
{
    struct world *world = *state;
    struct env_map *map = map_make(world);
    memset(env_map_base(map), 'a', 65536);
    assert_int_equal(env_sendfile(world->near, map, 0, 65536), 65536);
    for (int i = 0; i < 1000 && env_unacked_bytes(world->near) > 0; i++)
        env_poller_wait(world->poller, SECOND / 1000);
    assert_int_equal(env_unacked_bytes(world->near), 0);
    memset(env_map_base(map), 'b', 65536);
    static char got[65536];
    ssize_t end;
    assert_int_equal(recv_all(world, world->far, got, sizeof(got), &end), sizeof(got));
    for (size_t i = 0; i < sizeof(got); i++)
        assert_int_equal(got[i], 'a');
    env_map_close(map);
}

static void sendfile_to_a_reset_peer_fails_without_a_signal(void **state)
{
    struct world *world = *state;
    struct env_map *map = map_make(world);
    world->far->local_peer = false;
    env_reset(world->near);
    world->near = NULL;
    assert_int_equal(end_of(world, world->far), ENV_FAILED);
    assert_int_equal(env_sendfile(world->far, map, 0, 4096), ENV_FAILED);
    sigset_t pending;
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
    env_map_close(map);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_arrive_scattered_and_gathered),
        TEST(options_are_those_of_the_contract),
        TEST(peers_are_named),
        TEST(interest_decides_who_is_called),
        TEST(a_hang_up_of_an_unwatched_socket_lets_the_thread_sleep),
        TEST(an_orderly_close_is_an_end),
        TEST(a_close_over_unread_bytes_is_orderly_too),
        TEST(a_reset_is_a_failure_and_never_a_signal),
        TEST(what_the_peer_does_not_take_stays_unacknowledged),
        TEST(a_handler_may_close_itself_and_those_later_in_the_list),
        TEST(a_handler_may_silence_another_in_the_list),
        TEST(a_taken_port_is_named),
        TEST(bad_hosts_are_refused_with_their_name),
        TEST(a_refused_connection_says_so_and_keeps_saying_it),
        TEST(names_and_ipv6_work),
        TEST(without_descriptors_a_connection_is_turned_away),
        TEST(sendfile_sends_the_bytes),
        TEST(sendfile_within_a_host_sends_the_bytes),
        TEST(acknowledged_bytes_of_a_mapping_stay_as_they_were_sent),
        TEST(sendfile_to_a_reset_peer_fails_without_a_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Connections and pollers of the simulated env, and their faults. */
#include "sim/env/test_world.h"

#define STREAM_BYTES 40000u
#define PORT         9650

/* What the two ends of a connection are to do, and what came of it. */
static struct {
    bool accepted, connected, ended, failed, refused, close, reset;
    uint64_t sent, received;
    uint64_t receive_from_ns;
    bool by_reference;
    size_t chunk;
    unsigned char got[STREAM_BYTES];
    struct env_socket *socket;
} talk;

static void talk_begin(uint64_t seed, const struct env_shape *shape)
{
    begin(seed, shape);
    memset(&talk, 0, sizeof talk);
    talk.chunk = 3000;
}

static bool bytes_are_under_way(void)
{
    return talk.sent > 0;
}

static struct env_poller *server_poller;

static void receive(void *arg, bool readable, bool writable)
{
    struct env_socket *socket = arg;
    if (world_now_ns() < talk.receive_from_ns || talk.ended || talk.failed)
        return;
    unsigned char first[700], second[900];
    struct iovec iov[] = {{first, sizeof first}, {second, sizeof second}};
    ssize_t got = env_recv(socket, iov, 2);
    talk.ended |= got == 0;
    talk.failed |= got == ENV_FAILED;
    if (got <= 0)
        return;
    size_t in_first = (size_t)got < sizeof first ? (size_t)got : sizeof first;
    assert_true(talk.received + (size_t)got <= STREAM_BYTES);
    memcpy(talk.got + talk.received, first, in_first);
    memcpy(talk.got + talk.received + in_first, second, (size_t)got - in_first);
    talk.received += (uint64_t)got;
}

static void accept_one(void *arg, bool readable, bool writable)
{
    struct env_socket *socket = env_accept(arg);
    if (!socket)
        return;
    talk.accepted = true;
    assert_memory_equal(env_peer_name(socket), "host0:", 6);
    assert_int_equal(env_local_port(socket), PORT);
    env_socket_watch(socket, true, false, receive, socket);
}

static void server_main(void *arg)
{
    struct env_socket *listener;
    struct error err;
    assert_int_equal(env_poller_create(arg, &server_poller), EMB_OK);
    assert_int_equal(env_listen(server_poller, "0.0.0.0", PORT, &listener, &err), EMB_OK);
    assert_int_equal(env_listen(server_poller, "localhost", PORT, &listener, &err), EMB_ERR_BUSY);
    env_socket_watch(listener, true, false, accept_one, listener);
    while (true) {
        env_poller_wait(server_poller, talk.receive_from_ns > world_now_ns() ? 0 : 5 * MS);
        fiber_sleep(10 * US);
    }
}

static ssize_t send_some(struct env_map *map)
{
    static unsigned char bytes[STREAM_BYTES];
    size_t count = talk.chunk < STREAM_BYTES - talk.sent ? talk.chunk : STREAM_BYTES - talk.sent;
    if (talk.by_reference)
        return env_sendfile(talk.socket, map, talk.sent, count);
    for (size_t i = 0; i < count; i++)
        bytes[i] = pattern(talk.sent + i);
    struct iovec iov[] = {{bytes, count / 2}, {bytes + count / 2, count - count / 2}};
    ssize_t put = env_send(talk.socket, iov, 2, false);
    memset(bytes, 0, sizeof bytes);
    return put;
}

static void transmit(void *arg, bool readable, bool writable)
{
    struct error err;
    if (!talk.connected) {
        int rc = env_connect_result(talk.socket, &err);
        talk.refused = rc == ENV_FAILED;
        talk.connected = rc == 0;
    }
    if (!talk.connected || talk.sent == STREAM_BYTES) {
        talk.failed |= talk.connected && !talk.close && readable;
        env_socket_watch(talk.socket, false, false, NULL, NULL);
        return;
    }
    ssize_t put = send_some(arg);
    talk.failed |= put == ENV_FAILED;
    talk.sent += put > 0 ? (uint64_t)put : 0;
    if (put == ENV_FAILED)
        env_socket_watch(talk.socket, false, false, NULL, NULL);
}

static void client_main(void *arg)
{
    struct env_poller *poller;
    struct env_map *map;
    struct error err;
    assert_int_equal(env_poller_create(arg, &poller), EMB_OK);
    assert_int_equal(env_map_open(arg, "shm:x", 0, 0, &map, &err), EMB_OK);
    fiber_sleep(1 * MS);
    assert_int_equal(env_connect(poller, "host9", PORT, &talk.socket, &err), EMB_ERR_NOT_FOUND);
    assert_int_equal(env_connect(poller, "host1", PORT, &talk.socket, &err), EMB_OK);
    assert_string_equal(env_peer_name(talk.socket), "host1:9650");
    env_socket_watch(talk.socket, true, true, transmit, map);
    while (true) {
        env_poller_wait(poller, 5 * MS);
        if (talk.sent == STREAM_BYTES && talk.close) {
            env_close(talk.socket);
            talk.socket = NULL;
            return;
        }
        if (talk.sent > 0 && talk.reset) {
            env_reset(talk.socket);
            talk.socket = NULL;
            return;
        }
    }
}

static void talk_start(void)
{
    fiber_start("server", host[1], server_main, env[1]);
    fiber_start("client", host[0], client_main, env[0]);
}

static void check_received(uint64_t bytes)
{
    assert_int_equal(talk.received, bytes);
    for (uint64_t i = 0; i < bytes; i++)
        assert_int_equal(talk.got[i], pattern(i));
}

static void bytes_arrive_in_order_through_a_tiny_window(void **state)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct env_shape tiny = usual;
        tiny.window_bytes = 1000;
        tiny.short_transfers = true;
        talk_begin(seed, &tiny);
        talk.close = true;
        talk.by_reference = seed % 2;
        stored_bytes = read_bytes = 0;
        talk_start();
        run_to(2000);
        check_received(STREAM_BYTES);
        assert_true(talk.ended && !talk.failed);
        assert_int_equal(stored_bytes, STREAM_BYTES);
        assert_int_equal(read_bytes, STREAM_BYTES);
        assert_true(coverage_of_world()->counts[COVER_SHORT_RECEIVE] > 0);
        assert_true(coverage_of_world()->counts[COVER_SHORT_SEND] > 0);
        end();
    }
}

static void a_full_window_blocks_until_bytes_are_received(void **state)
{
    struct env_shape small = usual;
    small.window_bytes = 8192;
    talk_begin(1, &small);
    talk.receive_from_ns = 50 * MS;
    talk_start();
    run_to(40);
    assert_int_equal(talk.sent, 8192);
    assert_int_equal(env_unacked_bytes(talk.socket), 0);
    run_to(500);
    check_received(STREAM_BYTES);
    end();
}

static void a_reset_fails_the_peer(void **state)
{
    talk_begin(1, &usual);
    talk.reset = true;
    talk_start();
    run_to(100);
    assert_true(talk.failed && !talk.ended);
    assert_true(talk.received < STREAM_BYTES);
    end();
}

static void a_broken_connection_fails_both_ends(void **state)
{
    struct env_shape slow = usual;
    slow.window_bytes = 4096;
    talk_begin(3, &slow);
    talk.receive_from_ns = 10 * MS;
    talk_start();
    run_to(8);
    assert_false(net_break_one(host[0], host[2]));
    assert_true(net_break_one(host[0], host[1]));
    assert_false(net_break_one(host[0], NULL));
    run_to(9);
    struct iovec iov = {talk.got, 1};
    assert_int_equal(env_send(talk.socket, &iov, 1, false), ENV_FAILED);
    run_to(100);
    assert_true(talk.failed);
    end();
}

/* The end that hears of it first closes at once: the other hears of it all the same. */
static void a_break_is_heard_of_behind_a_close(void **state)
{
    struct env_shape slow = usual;
    slow.window_bytes = 4096;
    talk_begin(3, &slow);
    talk.receive_from_ns = 10 * MS;
    talk_start();
    run_to(8);
    assert_true(net_break_one(host[0], host[1]));
    env_reset(talk.socket);
    talk.socket = NULL;
    run_to(100);
    assert_true(talk.failed);
    end();
}

static void a_partition_heals(void **state)
{
    talk_begin(4, &usual);
    net_partition(host[0], NULL, 300 * MS);
    talk_start();
    run_to(299);
    assert_false(talk.connected);
    run_to(600);
    check_received(STREAM_BYTES);
    end();
}

static void a_long_partition_fails_the_connect(void **state)
{
    talk_begin(4, &usual);
    net_partition(host[0], host[1], 3000 * MS);
    talk_start();
    run_to(1000);
    assert_false(talk.refused);
    run_to(4000);
    assert_true(talk.refused && !talk.accepted);
    end();
}

static void a_stall_ends(void **state)
{
    bool held = false;
    for (uint64_t seed = 1; seed < 9; seed++) {
        struct env_shape small = usual;
        small.window_bytes = 2000;
        talk_begin(seed, &small);
        talk_start();
        world_run(NULL, 1600 * US);
        uint64_t before = talk.received;
        assert_true(net_stall_one(host[1], 200 * MS));
        run_to(199);
        held |= talk.received == before && before < STREAM_BYTES;
        run_to(500);
        check_received(STREAM_BYTES);
        end();
    }
    assert_true(held);
}

static void a_peer_without_power_answers_nothing(void **state)
{
    talk_begin(5, &usual);
    talk.receive_from_ns = 50 * MS;
    talk.chunk = 100;
    talk_start();
    assert_true(world_run(bytes_are_under_way, 10 * MS));
    host_loses_power(1);
    run_to(900);
    assert_true(talk.sent == STREAM_BYTES && !talk.failed);
    assert_true(env_unacked_bytes(talk.socket) > 0);
    host[1]->powered = true;
    run_to(1500);
    struct iovec iov = {talk.got, 1};
    assert_int_equal(env_send(talk.socket, &iov, 1, false), ENV_FAILED);
    end();
}

static void connects_fail_at_once_or_after_a_second(void **state)
{
    talk_begin(5, &usual);
    fiber_start("client", host[0], client_main, env[0]);
    run_to(10);
    assert_true(talk.refused);
    end();
    talk_begin(5, &usual);
    host_loses_power(1);
    fiber_start("client", host[0], client_main, env[0]);
    run_to(900);
    assert_false(talk.refused);
    run_to(1100);
    assert_true(talk.refused);
    end();
}

static void a_killed_process_resets(void **state)
{
    talk_begin(6, &usual);
    talk.chunk = 1;
    talk_start();
    run_to(2);
    assert_true(talk.connected);
    world_kill(host[1]);
    net_host_gone(host[1], true);
    disk_host_gone(host[1], true);
    run_to(3);
    struct iovec iov = {talk.got, 1};
    assert_int_equal(env_send(talk.socket, &iov, 1, false), ENV_FAILED);
    end();
}

static void sendfile_reads_late(void **state)
{
    talk_begin(7, &usual);
    talk.by_reference = true;
    talk_start();
    assert_true(world_run(bytes_are_under_way, 10 * MS));
    net_partition(host[0], host[1], 200 * MS);
    run_to(150);
    assert_int_equal(env_unacked_bytes(talk.socket), STREAM_BYTES);
    memset(region[0], 0xee, REGION_BYTES);
    run_to(500);
    assert_int_equal(talk.received, STREAM_BYTES);
    assert_int_equal(talk.got[STREAM_BYTES - 1], 0xee);
    assert_int_equal(env_unacked_bytes(talk.socket), 0);
    end();
}

/* ---- poller ---------------------------------------------------------------------------------- */

static struct env_poller *sleeper_poller;
static uint64_t woke_ns[3];

static void sleeper_main(void *arg)
{
    assert_int_equal(env_poller_create(arg, &sleeper_poller), EMB_OK);
    env_poller_wait(sleeper_poller, 100 * MS);
    woke_ns[0] = world_now_ns();
    env_poller_wait(sleeper_poller, 10 * MS);
    woke_ns[1] = world_now_ns();
    env_poller_wake(sleeper_poller);
    assert_int_equal(env_poller_wait(sleeper_poller, 0), 0);
    env_poller_wait(sleeper_poller, 100 * MS);
    woke_ns[2] = world_now_ns();
    env_poller_destroy(sleeper_poller);
}

static void a_poller_sleeps_and_is_woken(void **state)
{
    begin(8, &usual);
    fiber_start("sleeper", host[0], sleeper_main, env[0]);
    run_to(20);
    env_poller_wake(sleeper_poller);
    run_to(500);
    assert_in_range(woke_ns[0], 20 * MS, 21 * MS);
    assert_in_range(woke_ns[1], 30 * MS, 32 * MS);
    assert_in_range(woke_ns[2], woke_ns[1], woke_ns[1] + MS);
    end();
}

/* ---- the same again -------------------------------------------------------------------------- */

static uint64_t hash_of(uint64_t seed)
{
    struct env_shape small = usual;
    small.short_transfers = true;
    small.window_bytes = 3000;
    talk_begin(seed, &small);
    talk_start();
    run_to(2);
    net_break_one(host[0], NULL);
    host_loses_power(0);
    run_to(300);
    uint64_t hash = trace_hash(), random;
    env_random(env[1], &random, sizeof random);
    end();
    return hash ^ random;
}

static void a_seed_gives_the_same_again(void **state)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        uint64_t hash = hash_of(seed);
        assert_int_equal(hash, hash_of(seed));
        assert_int_not_equal(hash, hash_of(seed + 100));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_in_order_through_a_tiny_window),
        cmocka_unit_test(a_full_window_blocks_until_bytes_are_received),
        cmocka_unit_test(a_reset_fails_the_peer),
        cmocka_unit_test(a_broken_connection_fails_both_ends),
        cmocka_unit_test(a_break_is_heard_of_behind_a_close),
        cmocka_unit_test(a_partition_heals),
        cmocka_unit_test(a_long_partition_fails_the_connect),
        cmocka_unit_test(a_stall_ends),
        cmocka_unit_test(a_peer_without_power_answers_nothing),
        cmocka_unit_test(connects_fail_at_once_or_after_a_second),
        cmocka_unit_test(a_killed_process_resets),
        cmocka_unit_test(sendfile_reads_late),
        cmocka_unit_test(a_poller_sleeps_and_is_woken),
        cmocka_unit_test(a_seed_gives_the_same_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

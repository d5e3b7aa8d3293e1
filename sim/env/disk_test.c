/* Disks of the simulated env, and their faults. */
#include "sim/env/test_world.h"

#define BLOCK 4096u

static unsigned char blocks[8][BLOCK] __attribute__((aligned(4096)));
static struct env_dir *dir;
static struct env_file *file;
static struct env_io *io;
static struct env_poller *disk_poller;
static uint64_t synced_bytes;

static void on_sync(struct host *at, const char *name, const unsigned char *durable, uint64_t bytes)
{
    assert_string_equal(name, "log");
    assert_ptr_equal(at, host[0]);
    synced_bytes = bytes;
}

static void disk_open(void)
{
    struct error err;
    for (int i = 0; i < 8; i++)
        memset(blocks[i], 'a' + i, BLOCK);
    disk_watch_syncs(on_sync);
    assert_int_equal(env_dir_open(env[0], "/data", 0, &dir, &err), EMB_ERR_NOT_FOUND);
    assert_int_equal(
        env_dir_open(env[0], "/data", ENV_DIR_CREATE | ENV_DIR_LOCK | ENV_DIR_WRITE, &dir, &err),
        EMB_OK);
    assert_int_equal(
        env_file_open(dir, "log", ENV_FILE_CREATE | ENV_FILE_WRITE | ENV_FILE_DIRECT, &file, &err),
        EMB_OK);
    assert_int_equal(env_poller_create(env[0], &disk_poller), EMB_OK);
    assert_int_equal(env_io_create(disk_poller, 16, &io, &err), EMB_OK);
}

/* The result of the one operation under way. */
static int64_t finish(void)
{
    struct env_completion completion;
    for (int i = 0; i < 1000; i++) {
        world_run(NULL, world_now_ns() + MS);
        if (env_io_poll(io, &completion, 1) == 1)
            return completion.result;
    }
    return 1;
}

static int64_t write_blocks(int first, int count, uint64_t at)
{
    assert_int_equal(env_io_write(io, file, blocks[first], (size_t)count * BLOCK, at * BLOCK, 7),
                     EMB_OK);
    return finish();
}

static int64_t sync_now(void)
{
    assert_int_equal(env_io_sync(io, file, 8), EMB_OK);
    return finish();
}

static void reopen(void)
{
    struct error err;
    env[0] = env_of_host(host[0]);
    assert_int_equal(env_dir_open(env[0], "/data/", ENV_DIR_LOCK, &dir, &err), EMB_OK);
    if (env_file_open(dir, "log", 0, &file, &err) != EMB_OK)
        file = NULL;
}

enum { LOST, KEPT, TORN };

/* How a block that held `old` and was to hold `new` came out. */
static int block_state(uint64_t at, unsigned char old, unsigned char new)
{
    unsigned char bytes[BLOCK] = {0};
    assert_true(env_file_read(file, bytes, BLOCK, at * BLOCK) >= 0);
    bool has_old = memchr(bytes, old, BLOCK), has_new = memchr(bytes, new, BLOCK);
    assert_true(has_old || has_new);
    return has_old && has_new ? TORN : has_new ? KEPT : LOST;
}

static void a_crash_keeps_what_was_synced(void **state)
{
    int seen[3] = {0};
    for (uint64_t seed = 1; seed < 60; seed++) {
        struct error err;
        begin(seed, &usual);
        disk_open();
        assert_int_equal(env_dir_sync(dir, &err), EMB_OK);
        assert_int_equal(env_file_preallocate(file, 64 * BLOCK, &err), EMB_OK);
        assert_int_equal(write_blocks(0, 4, 0), 4 * BLOCK);
        assert_int_equal(sync_now(), 0);
        assert_int_equal(synced_bytes, 4 * BLOCK);
        assert_int_equal(write_blocks(6, 1, 2), BLOCK);
        assert_int_equal(write_blocks(4, 2, 4), 2 * BLOCK);
        assert_int_equal(env_io_write(io, file, blocks[7], BLOCK, 7 * BLOCK, 0), EMB_OK);
        host_loses_power(0);
        reopen();
        assert_non_null(file);
        assert_int_equal(env_file_bytes(file), 64 * BLOCK);
        assert_int_equal(block_state(0, 'a', 'x'), LOST);
        assert_int_equal(block_state(3, 'd', 'x'), LOST);
        seen[block_state(2, 'c', 'g')]++;
        seen[block_state(4, 0, 'e')]++;
        seen[block_state(7, 0, 'h')]++;
        end();
    }
    assert_true(seen[LOST] > 10 && seen[KEPT] > 10 && seen[TORN] > 5);
}

static void a_sync_covers_completed_writes_only(void **state)
{
    int lost = 0;
    for (uint64_t seed = 1; seed < 40; seed++) {
        struct error err;
        begin(seed, &usual);
        disk_open();
        env_dir_sync(dir, &err);
        assert_int_equal(env_io_write(io, file, blocks[0], BLOCK, 0, 1), EMB_OK);
        assert_int_equal(env_io_sync(io, file, 2), EMB_OK);
        assert_true(finish() != 1 && finish() != 1);
        host_loses_power(0);
        reopen();
        unsigned char byte = 0;
        env_file_read(file, &byte, 1, 0);
        lost += byte != 'a';
        end();
    }
    assert_true(lost > 0);
}

static void a_killed_process_loses_nothing_that_completed(void **state)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        begin(seed, &usual);
        disk_open();
        assert_int_equal(write_blocks(0, 2, 0), 2 * BLOCK);
        env_io_write(io, file, blocks[2], BLOCK, 2 * BLOCK, 0);
        env_io_sync(io, file, 0);
        world_kill(host[0]);
        net_host_gone(host[0], true);
        disk_host_gone(host[0], true);
        reopen();
        assert_non_null(file);
        assert_int_equal(block_state(0, 'a', 'x'), LOST);
        assert_int_equal(block_state(1, 'b', 'x'), LOST);
        run_to(100);
        end();
    }
}

static void what_a_failed_sync_covered_stays_uncertain(void **state)
{
    int seen[3] = {0};
    for (uint64_t seed = 1; seed < 60; seed++) {
        struct error err;
        begin(seed, &usual);
        disk_open();
        env_dir_sync(dir, &err);
        assert_int_equal(write_blocks(0, 1, 0), BLOCK);
        assert_int_equal(sync_now(), 0);
        assert_int_equal(write_blocks(1, 1, 0), BLOCK);
        disk_fail_sync(host[0]);
        assert_int_equal(sync_now(), EMB_ERR_IO);
        assert_int_equal(sync_now(), 0);
        host_loses_power(0);
        reopen();
        seen[block_state(0, 'a', 'b')]++;
        end();
    }
    assert_true(seen[LOST] > 5 && seen[KEPT] > 5);
}

static void a_full_disk_refuses(void **state)
{
    struct error err;
    begin(1, &usual);
    disk_open();
    assert_int_equal(env_file_preallocate(file, 2 << 20, &err), EMB_ERR_NO_SPACE);
    assert_int_equal(env_file_preallocate(file, 2 * BLOCK, &err), EMB_OK);
    disk_fill(host[0], 50 * MS);
    uint64_t free_bytes = 1;
    assert_string_equal(env_dir_filesystem(dir, &free_bytes), "simfs");
    assert_int_equal(free_bytes, 0);
    assert_int_equal(write_blocks(0, 2, 0), 2 * BLOCK);
    assert_int_equal(write_blocks(0, 1, 2), EMB_ERR_NO_SPACE);
    run_to(60);
    assert_int_equal(write_blocks(0, 1, 2), BLOCK);
    disk_fail_write(host[0]);
    assert_int_equal(write_blocks(0, 1, 3), EMB_ERR_IO);
    env_dir_filesystem(dir, &free_bytes);
    assert_in_range(free_bytes, (1 << 20) - 4 * BLOCK, (1 << 20) - 3 * BLOCK);
    end();
}

static void a_lock_is_held_until_its_process_is_gone(void **state)
{
    struct error err;
    struct env_dir *other;
    begin(1, &usual);
    disk_open();
    struct env *second = env_of_host(host[0]);
    assert_int_equal(env_dir_open(second, "/data", ENV_DIR_LOCK, &other, &err), EMB_ERR_BUSY);
    assert_non_null(strstr(err.text, "in use by process 1"));
    assert_int_equal(env_dir_open(second, "/data", 0, &other, &err), EMB_OK);
    env_dir_close(other);
    env_destroy(second);
    disk_host_gone(host[0], true);
    reopen();
    env_dir_close(dir);
    end();
}

static void a_name_is_lost_without_a_sync_of_the_directory(void **state)
{
    int lost = 0, back = 0;
    for (uint64_t seed = 1; seed < 40; seed++) {
        struct error err;
        begin(seed, &usual);
        disk_open();
        if (seed % 2 == 0) {
            env_dir_sync(dir, &err);
            assert_int_equal(env_dir_remove(dir, "log", &err), EMB_OK);
            assert_int_equal(env_dir_remove(dir, "log", &err), EMB_ERR_NOT_FOUND);
        }
        host_loses_power(0);
        reopen();
        lost += seed % 2 && !file;
        back += seed % 2 == 0 && file;
        end();
    }
    assert_in_range(lost, 3, 17);
    assert_in_range(back, 3, 17);
}

static void rot_changes_one_old_bit(void **state)
{
    begin(1, &usual);
    disk_open();
    assert_false(disk_rot(host[0]));
    for (uint64_t at = 0; at < 20; at++)
        assert_int_equal(write_blocks(0, 1, at), BLOCK);
    assert_false(disk_rot(host[0]));
    assert_int_equal(sync_now(), 0);
    assert_true(disk_rot(host[0]));
    int changed = 0;
    for (uint64_t at = 0; at < 20 * BLOCK; at++) {
        unsigned char byte;
        assert_int_equal(env_file_read(file, &byte, 1, at), 1);
        changed += byte != 'a';
        assert_true(byte == 'a' || at < 4 * BLOCK);
    }
    assert_int_equal(changed, 1);
    end();
}

static void one_name(void *arg, const char *name, const unsigned char *durable, uint64_t bytes)
{
    strncat(arg, name, 8);
    assert_true(bytes == 0 || durable[0] == 'a');
}

static void checks_see_the_durable_files(void **state)
{
    char names[32] = "";
    struct error err;
    struct env_file *other;
    begin(1, &usual);
    disk_open();
    assert_int_equal(env_file_open(dir, "a", ENV_FILE_CREATE, &other, &err), EMB_OK);
    assert_int_equal(env_file_open(dir, "a", ENV_FILE_CREATE, &other, &err), EMB_ERR_EXISTS);
    write_blocks(0, 1, 0);
    sync_now();
    write_blocks(1, 1, 0);
    disk_files(host[0], "/data", one_name, names);
    assert_string_equal(names, "alog");
    disk_files(host[0], "/dat", one_name, names);
    disk_files(host[1], "/data", one_name, names);
    assert_string_equal(names, "alog");
    disk_slow(host[0], 1000 * MS);
    uint64_t before = world_now_ns();
    sync_now();
    assert_in_range(world_now_ns() - before, 20 * MS, 202 * MS);
    env_io_destroy(io);
    env_poller_destroy(disk_poller);
    end();
}

static void a_cut_file_reads_zeros_when_it_grows_again(void **state)
{
    struct error err;
    unsigned char byte = 1;
    begin(1, &usual);
    disk_open();
    write_blocks(0, 4, 0);
    assert_int_equal(env_file_truncate(file, 100, &err), EMB_OK);
    assert_int_equal(env_file_bytes(file), 100);
    assert_int_equal(env_file_read(file, &byte, 1, 100), 0);
    assert_int_equal(env_file_preallocate(file, 40000, &err), EMB_OK);
    assert_int_equal(env_file_read(file, &byte, 1, 100), 1);
    assert_int_equal(byte, 0);
    assert_int_equal(env_file_read(file, &byte, 1, 99), 1);
    assert_int_equal(byte, 'a');
    sync_now();
    assert_int_equal(synced_bytes, 4 * BLOCK);
    end();
}

/* ---- the same again -------------------------------------------------------------------------- */

static uint64_t hash_of(uint64_t seed)
{
    begin(seed, &usual);
    disk_open();
    write_blocks(0, 3, 0);
    sync_now();
    write_blocks(3, 3, 1);
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
        cmocka_unit_test(a_crash_keeps_what_was_synced),
        cmocka_unit_test(a_sync_covers_completed_writes_only),
        cmocka_unit_test(a_killed_process_loses_nothing_that_completed),
        cmocka_unit_test(what_a_failed_sync_covered_stays_uncertain),
        cmocka_unit_test(a_full_disk_refuses),
        cmocka_unit_test(a_lock_is_held_until_its_process_is_gone),
        cmocka_unit_test(a_name_is_lost_without_a_sync_of_the_directory),
        cmocka_unit_test(rot_changes_one_old_bit),
        cmocka_unit_test(checks_see_the_durable_files),
        cmocka_unit_test(a_cut_file_reads_zeros_when_it_grows_again),
        cmocka_unit_test(a_seed_gives_the_same_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/bits.h"
#include "base/random.h"
#include "env/env.h"
#include "env/posix/test_place.h"

#define SECOND      1000000000ull
#define DEPTH       8u
#define BLOCK_BYTES 4096u

struct world {
    struct env *env;
    struct env_poller *poller;
    struct env_io *io;
    char *place;
    struct env_dir *dir;
    struct env_file *file;
};

static struct env *env_with_engine(const char *engine)
{
    setenv("EMBARCADERO_IO", engine, 1);
    struct env *env = env_create();
    unsetenv("EMBARCADERO_IO");
    return env;
}

static int world_open(void **state, const char *engine)
{
    struct world *world = calloc(1, sizeof(*world));
    *state = world;
    world->env = env_with_engine(engine);
    world->place = place_make();
    return env_poller_create(world->env, &world->poller) ||
           env_io_create(world->poller, DEPTH, &world->io, NULL) ||
           env_dir_open(world->env, world->place, 0, &world->dir, NULL) ||
           env_file_open(world->dir, "file", ENV_FILE_CREATE | ENV_FILE_WRITE | ENV_FILE_DIRECT,
                         &world->file, NULL);
}

static int world_open_default(void **state)
{
    return world_open(state, "");
}

static int world_open_thread(void **state)
{
    return world_open(state, "thread");
}

static int world_close(void **state)
{
    struct world *world = *state;
    env_file_close(world->file);
    env_io_destroy(world->io);
    env_poller_destroy(world->poller);
    env_dir_close(world->dir);
    place_remove(world->place);
    env_destroy(world->env);
    free(world);
    return 0;
}

/* Waits for the next completion as a parked agent does. */
static struct env_completion completion_wait(struct world *world)
{
    struct env_completion completion;
    for (int i = 0; i < 30; i++) {
        if (env_io_poll(world->io, &completion, 1) == 1)
            return completion;
        uint64_t before = env_now_ns(world->env);
        assert_int_equal(env_poller_wait(world->poller, 20 * SECOND), 0);
        assert_true(env_now_ns(world->env) - before < 10 * SECOND);
    }
    fail_msg("woken 30 times without a completion");
    return completion;
}

static unsigned char *blocks_make(unsigned count, uint64_t seed)
{
    unsigned char *bytes = aligned_alloc(BLOCK_BYTES, (size_t)count * BLOCK_BYTES);
    struct random_state random;
    random_seed(&random, seed);
    for (size_t i = 0; i < (size_t)count * BLOCK_BYTES; i++)
        bytes[i] = (unsigned char)random_next(&random);
    return bytes;
}

static void writes_reach_the_file_at_their_offsets(void **state)
{
    struct world *world = *state;
    unsigned char *bytes = blocks_make(DEPTH, 11), *got = blocks_make(DEPTH, 12);
    unsigned seen = 0;
    for (unsigned i = 0; i < DEPTH; i++)
        ASSERT_CODE(env_io_write(world->io, world->file, bytes + i * BLOCK_BYTES, BLOCK_BYTES,
                                 (DEPTH - 1 - i) * BLOCK_BYTES, 100 + i),
                    EMB_OK);
    for (unsigned i = 0; i < DEPTH; i++) {
        struct env_completion completion = completion_wait(world);
        assert_int_equal(completion.result, BLOCK_BYTES);
        assert_in_range(completion.cookie, 100, 100 + DEPTH - 1);
        seen |= 1u << (completion.cookie - 100);
    }
    assert_int_equal(seen, (1u << DEPTH) - 1);
    assert_int_equal(env_file_read(world->file, got, DEPTH * BLOCK_BYTES, 0), DEPTH * BLOCK_BYTES);
    for (unsigned i = 0; i < DEPTH; i++)
        assert_memory_equal(got + (DEPTH - 1 - i) * BLOCK_BYTES, bytes + i * BLOCK_BYTES,
                            BLOCK_BYTES);
    free(bytes);
    free(got);
}

static void a_sync_completes_with_its_cookie(void **state)
{
    struct world *world = *state;
    unsigned char *bytes = blocks_make(1, 1);
    struct env_completion none;
    ASSERT_CODE(env_io_write(world->io, world->file, bytes, BLOCK_BYTES, 0, 7), EMB_OK);
    assert_int_equal(completion_wait(world).cookie, 7);
    ASSERT_CODE(env_io_sync(world->io, world->file, UINT64_MAX), EMB_OK);
    struct env_completion completion = completion_wait(world);
    assert_true(completion.cookie == UINT64_MAX && completion.result == 0);
    assert_int_equal(env_io_poll(world->io, &none, 1), 0);
    free(bytes);
}

static void a_full_queue_is_busy_until_polled(void **state)
{
    struct world *world = *state;
    for (int round = 0; round < 50; round++) {
        for (unsigned i = 0; i < DEPTH; i++)
            ASSERT_CODE(env_io_sync(world->io, world->file, i), EMB_OK);
        ASSERT_CODE(env_io_sync(world->io, world->file, 99), EMB_ERR_BUSY);
        ASSERT_CODE(env_io_write(world->io, world->file, "", 0, 0, 99), EMB_ERR_BUSY);
        for (unsigned i = 0; i < DEPTH; i++)
            assert_true(completion_wait(world).cookie < DEPTH);
    }
}

/* One poll takes less than there is: the rest has to wake the next sleep. */
static void what_a_poll_leaves_wakes_again(void **state)
{
    struct world *world = *state;
    struct env_completion completion;
    for (unsigned i = 0; i < DEPTH; i++)
        ASSERT_CODE(env_io_sync(world->io, world->file, i), EMB_OK);
    for (unsigned i = 0; i < DEPTH; i++) {
        uint64_t before = env_now_ns(world->env);
        do {
            env_poller_wait(world->poller, 20 * SECOND);
        } while (env_io_poll(world->io, &completion, 1) == 0);
        assert_true(env_now_ns(world->env) - before < 10 * SECOND);
    }
}

/* The kernel may interrupt one sleep or another when it clears away a ring closed before. */
static void without_completions_a_poller_sleeps(void **state)
{
    struct world *world = *state;
    struct env_completion completions[4];
    uint64_t longest = 0;
    ASSERT_CODE(env_io_sync(world->io, world->file, 1), EMB_OK);
    completion_wait(world);
    for (int i = 0; i < 5 && longest < SECOND / 20; i++) {
        uint64_t before = env_now_ns(world->env);
        env_poller_wait(world->poller, SECOND / 20);
        longest = max_u64(longest, env_now_ns(world->env) - before);
        assert_int_equal(env_io_poll(world->io, completions, 4), 0);
    }
    assert_true(longest >= SECOND / 20);
}

static void an_empty_write_completes(void **state)
{
    struct world *world = *state;
    unsigned char *bytes = blocks_make(1, 1);
    ASSERT_CODE(env_io_write(world->io, world->file, bytes, 0, 0, 3), EMB_OK);
    assert_int_equal(completion_wait(world).result, 0);
    assert_int_equal(env_file_bytes(world->file), 0);
    free(bytes);
}

static void a_write_to_a_file_opened_for_reading_fails(void **state)
{
    struct world *world = *state;
    struct env_file *file;
    ASSERT_CODE(env_file_open(world->dir, "file", 0, &file, NULL), EMB_OK);
    ASSERT_CODE(env_io_write(world->io, file, "x", 1, 0, 3), EMB_OK);
    ASSERT_CODE(completion_wait(world).result, EMB_ERR_IO);
    env_file_close(file);
}

static void a_file_may_be_closed_under_a_write(void **state)
{
    struct world *world = *state;
    unsigned char *bytes = blocks_make(64, 5), *got = blocks_make(64, 6);
    struct env_file *file;
    ASSERT_CODE(env_file_open(world->dir, "closed", ENV_FILE_CREATE | ENV_FILE_WRITE, &file, NULL),
                EMB_OK);
    for (unsigned i = 0; i < 4; i++)
        ASSERT_CODE(env_io_write(world->io, file, bytes + i * 16 * BLOCK_BYTES, 16 * BLOCK_BYTES,
                                 i * 16 * BLOCK_BYTES, i),
                    EMB_OK);
    env_file_close(file);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(completion_wait(world).result, 16 * BLOCK_BYTES);
    ASSERT_CODE(env_file_open(world->dir, "closed", 0, &file, NULL), EMB_OK);
    assert_int_equal(env_file_read(file, got, 64 * BLOCK_BYTES, 0), 64 * BLOCK_BYTES);
    assert_memory_equal(got, bytes, 64 * BLOCK_BYTES);
    env_file_close(file);
    free(bytes);
    free(got);
}

static void destroying_waits_for_what_is_under_way(void **state)
{
    struct world *world = *state;
    unsigned char *bytes = blocks_make(256, 8), *got = blocks_make(256, 9);
    struct error err;
    for (unsigned i = 0; i < 4; i++)
        ASSERT_CODE(env_io_write(world->io, world->file, bytes + i * 64 * BLOCK_BYTES,
                                 64 * BLOCK_BYTES, i * 64 * BLOCK_BYTES, i),
                    EMB_OK);
    env_io_destroy(world->io);
    assert_int_equal(env_file_read(world->file, got, 256 * BLOCK_BYTES, 0), 256 * BLOCK_BYTES);
    assert_memory_equal(got, bytes, 256 * BLOCK_BYTES);
    free(bytes);
    free(got);
    ASSERT_CODE(env_io_create(world->poller, 0, &world->io, &err), EMB_ERR_INVALID_ARGUMENT);
    ASSERT_CODE(env_io_create(world->poller, 1u << 20, &world->io, &err), EMB_ERR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, "1048576"));
    ASSERT_CODE(env_io_create(world->poller, 1, &world->io, &err), EMB_OK);
}

/* The first piece fits, so the write is short and has to be continued to see that it fails. */
static void a_write_that_does_not_fit_fails_as_a_whole(void **state)
{
    struct world *world = *state;
    char path[300];
    mkdir(place_join(path, sizeof(path), world->place, "small"), 0755);
    place_mount(path, "size=64k");
    unsigned char *bytes = blocks_make(32, 1), *got = blocks_make(15, 2);
    struct env_dir *dir;
    struct env_file *file;
    ASSERT_CODE(env_dir_open(world->env, path, 0, &dir, NULL), EMB_OK);
    ASSERT_CODE(env_file_open(dir, "full", ENV_FILE_CREATE | ENV_FILE_WRITE, &file, NULL), EMB_OK);
    ASSERT_CODE(env_io_write(world->io, file, bytes, 32 * BLOCK_BYTES, 0, 1), EMB_OK);
    ASSERT_CODE(completion_wait(world).result, EMB_ERR_NO_SPACE);
    assert_true(env_file_bytes(file) > 0);
    ASSERT_CODE(env_file_truncate(file, 0, NULL), EMB_OK);
    ASSERT_CODE(env_io_write(world->io, file, bytes, 15 * BLOCK_BYTES, 0, 2), EMB_OK);
    assert_int_equal(completion_wait(world).result, 15 * BLOCK_BYTES);
    assert_int_equal(env_file_read(file, got, 15 * BLOCK_BYTES, 0), 15 * BLOCK_BYTES);
    assert_memory_equal(got, bytes, 15 * BLOCK_BYTES);
    env_file_close(file);
    env_dir_close(dir);
    place_unmount(path);
    free(bytes);
    free(got);
}

static void the_thread_engine_can_be_asked_for(void **state)
{
    struct world *world = *state;
    assert_string_equal(env_io_engine(world->io), "thread");
}

static bool deny_io_uring(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof(program) / sizeof(*program), .filter = program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* In the child: 0 if a sync goes through the thread, 2 if the test cannot be made here. */
static int work_without_io_uring(struct world *world)
{
    if (!deny_io_uring())
        return 2;
    struct env_poller *poller;
    struct env_io *io;
    struct env_completion completion;
    if (env_poller_create(world->env, &poller) || env_io_create(poller, 4, &io, NULL) ||
        strcmp(env_io_engine(io), "thread") != 0 || env_io_sync(io, world->file, 5))
        return 1;
    while (env_io_poll(io, &completion, 1) == 0)
        env_poller_wait(poller, SECOND);
    return completion.cookie == 5 && completion.result == 0 ? 0 : 1;
}

static void where_io_uring_is_denied_the_thread_does_it(void **state)
{
    struct world *world = *state;
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(work_without_io_uring(world));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2) {
        print_message("skipped: no system call can be denied here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define BOTH(name)                                                                                 \
    {"io_uring: " #name, name, world_open_default, world_close, NULL},                             \
    {                                                                                              \
        "thread: " #name, name, world_open_thread, world_close, NULL                               \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(writes_reach_the_file_at_their_offsets),
        BOTH(a_sync_completes_with_its_cookie),
        BOTH(a_full_queue_is_busy_until_polled),
        BOTH(what_a_poll_leaves_wakes_again),
        BOTH(without_completions_a_poller_sleeps),
        BOTH(an_empty_write_completes),
        BOTH(a_write_to_a_file_opened_for_reading_fails),
        BOTH(a_file_may_be_closed_under_a_write),
        BOTH(destroying_waits_for_what_is_under_way),
        BOTH(a_write_that_does_not_fit_fails_as_a_whole),
        cmocka_unit_test_setup_teardown(the_thread_engine_can_be_asked_for, world_open_thread,
                                        world_close),
        cmocka_unit_test_setup_teardown(where_io_uring_is_denied_the_thread_does_it,
                                        world_open_default, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

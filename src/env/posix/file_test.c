#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "env/env.h"
#include "env/posix/test_place.h"

#define NAMES_BYTES 200

struct world {
    struct env *env;
    char *place;
    struct env_dir *dir;
};

static int world_open(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    *state = world;
    world->env = env_create();
    world->place = place_make();
    return env_dir_open(world->env, world->place, 0, &world->dir, NULL);
}

static int world_close(void **state)
{
    struct world *world = *state;
    env_dir_close(world->dir);
    place_remove(world->place);
    env_destroy(world->env);
    free(world);
    return 0;
}

static struct env_file *file_make(struct env_dir *dir, const char *name, unsigned flags)
{
    struct env_file *file = NULL;
    struct error err = {0};
    ASSERT_CODE(env_file_open(dir, name, flags | ENV_FILE_CREATE | ENV_FILE_WRITE, &file, &err),
                EMB_OK);
    return file;
}

static void bytes_are_read_back(void **state)
{
    struct world *world = *state;
    struct env_file *file = file_make(world->dir, "data", 0);
    char got[16] = "";
    ASSERT_CODE(env_file_write(file, "0123456789", 10, 5), EMB_OK);
    assert_int_equal(env_file_bytes(file), 15);
    assert_int_equal(env_file_read(file, got, sizeof(got), 3), 12);
    assert_memory_equal(got,
                        "\0\0"
                        "0123456789",
                        12);
    assert_int_equal(env_file_read(file, got, sizeof(got), 15), 0);
    ASSERT_CODE(env_file_truncate(file, 7, NULL), EMB_OK);
    assert_int_equal(env_file_read(file, got, sizeof(got), 5), 2);
    env_file_close(file);
    ASSERT_CODE(env_file_open(world->dir, "data", 0, &file, NULL), EMB_OK);
    assert_true(env_file_write(file, "x", 1, 0) < 0);
    assert_int_equal(env_file_read(file, got, 2, 5), 2);
    assert_memory_equal(got, "01", 2);
    env_file_close(file);
}

static void a_direct_file_can_be_read_and_written_unaligned(void **state)
{
    struct world *world = *state;
    struct env_file *file = file_make(world->dir, "direct", ENV_FILE_DIRECT);
    char got[3];
    ASSERT_CODE(env_file_write(file, "abcdef", 6, 1), EMB_OK);
    assert_int_equal(env_file_read(file, got, 3, 3), 3);
    assert_memory_equal(got, "cde", 3);
    env_file_close(file);
}

static void names_are_checked(void **state)
{
    struct world *world = *state;
    static const char *const bad[] = {"", ".", "..", "a/b", "/etc/passwd", "LOCK"};
    struct env_file *file;
    struct error err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ASSERT_CODE(env_file_open(world->dir, bad[i], ENV_FILE_CREATE, &file, &err),
                    EMB_ERR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.text, bad[i]));
        ASSERT_CODE(env_dir_remove(world->dir, bad[i], &err), EMB_ERR_INVALID_ARGUMENT);
    }
}

static void failures_are_named(void **state)
{
    struct world *world = *state;
    struct env_file *file;
    struct error err;
    ASSERT_CODE(env_file_open(world->dir, "missing", 0, &file, &err), EMB_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "missing"));
    assert_non_null(strstr(err.text, world->place));
    env_file_close(file_make(world->dir, "there", 0));
    ASSERT_CODE(env_file_open(world->dir, "there", ENV_FILE_CREATE, &file, &err), EMB_ERR_EXISTS);
    ASSERT_CODE(env_dir_remove(world->dir, "there", &err), EMB_OK);
    ASSERT_CODE(env_dir_remove(world->dir, "there", &err), EMB_ERR_NOT_FOUND);
    char path[300];
    mkdir(place_join(path, sizeof(path), world->place, "sub"), 0755);
    ASSERT_CODE(env_file_open(world->dir, "sub", 0, &file, &err), EMB_ERR_INVALID_ARGUMENT);
    mkfifo(place_join(path, sizeof(path), world->place, "pipe"), 0644);
    ASSERT_CODE(env_file_open(world->dir, "pipe", 0, &file, &err), EMB_ERR_INVALID_ARGUMENT);
}

static void preallocation_reserves(void **state)
{
    struct world *world = *state;
    struct env_file *file = file_make(world->dir, "reserved", 0);
    ASSERT_CODE(env_file_write(file, "kept", 4, 0), EMB_OK);
    ASSERT_CODE(env_file_preallocate(file, 1 << 20, NULL), EMB_OK);
    assert_int_equal(env_file_bytes(file), 1 << 20);
    ASSERT_CODE(env_file_preallocate(file, 1000, NULL), EMB_OK);
    ASSERT_CODE(env_file_preallocate(file, 0, NULL), EMB_OK);
    assert_int_equal(env_file_bytes(file), 1 << 20);
    char path[300], got[5] = "";
    struct stat found;
    stat(place_join(path, sizeof(path), world->place, "reserved"), &found);
    assert_true(found.st_blocks * 512 >= 1 << 20);
    env_file_read(file, got, 5, 0);
    assert_memory_equal(got, "kept\0", 5);
    env_file_close(file);
}

static void remember(void *arg, const char *name)
{
    char *all = arg;
    size_t used = strlen(all);
    snprintf(all + used, NAMES_BYTES - used, "%s ", name);
}

static void the_list_is_ordered_by_bytes_and_has_files_only(void **state)
{
    struct world *world = *state;
    static const char *const names[] = {"b", "a10", "B", "a", "a9", "\xc3\xa4", "_"};
    char all[NAMES_BYTES] = "", path[300];
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        env_file_close(file_make(world->dir, names[i], 0));
    mkdir(place_join(path, sizeof(path), world->place, "folder"), 0755);
    struct env_dir *locked;
    ASSERT_CODE(env_dir_open(world->env, world->place, ENV_DIR_LOCK, &locked, NULL), EMB_OK);
    ASSERT_CODE(env_dir_list(locked, remember, all, NULL), EMB_OK);
    assert_string_equal(all, "B _ a a10 a9 b \xc3\xa4 ");
    all[0] = '\0';
    ASSERT_CODE(env_dir_remove(locked, "a10", NULL), EMB_OK);
    ASSERT_CODE(env_dir_list(locked, remember, all, NULL), EMB_OK);
    assert_string_equal(all, "B _ a a9 b \xc3\xa4 ");
    ASSERT_CODE(env_dir_sync(locked, NULL), EMB_OK);
    env_dir_close(locked);
}

static void an_empty_directory_lists_nothing(void **state)
{
    struct world *world = *state;
    char all[NAMES_BYTES] = "";
    ASSERT_CODE(env_dir_list(world->dir, remember, all, NULL), EMB_OK);
    assert_string_equal(all, "");
}

static void directories_are_made_with_their_parents(void **state)
{
    struct world *world = *state;
    char path[300];
    struct env_dir *dir;
    struct error err;
    place_join(path, sizeof(path), world->place, "x/y//z/");
    ASSERT_CODE(env_dir_open(world->env, path, 0, &dir, &err), EMB_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "x/y//z"));
    for (int again = 0; again < 2; again++) {
        ASSERT_CODE(env_dir_open(world->env, path, ENV_DIR_CREATE | ENV_DIR_WRITE, &dir, &err),
                    EMB_OK);
        env_dir_close(dir);
    }
    env_file_close(file_make(world->dir, "file", 0));
    place_join(path, sizeof(path), world->place, "file/below");
    ASSERT_CODE(env_dir_open(world->env, path, ENV_DIR_CREATE, &dir, &err),
                EMB_ERR_INVALID_ARGUMENT);
    place_join(path, sizeof(path), world->place, "file");
    ASSERT_CODE(env_dir_open(world->env, path, ENV_DIR_CREATE, &dir, &err),
                EMB_ERR_INVALID_ARGUMENT);
    ASSERT_CODE(env_dir_open(world->env, "", ENV_DIR_CREATE, &dir, &err), EMB_ERR_INVALID_ARGUMENT);
}

static void a_lock_names_its_holder_until_closed(void **state)
{
    struct world *world = *state;
    struct env_dir *first, *second;
    struct error err;
    char holder[32];
    snprintf(holder, sizeof(holder), "process %ld;", (long)getpid());
    for (int round = 0; round < 2; round++) {
        ASSERT_CODE(env_dir_open(world->env, world->place, ENV_DIR_LOCK, &first, &err), EMB_OK);
        ASSERT_CODE(env_dir_open(world->env, world->place, ENV_DIR_LOCK, &second, &err),
                    EMB_ERR_BUSY);
        assert_non_null(strstr(err.text, holder));
        assert_non_null(strstr(err.text, world->place));
        env_dir_close(first);
    }
}

/* A child that holds the lock; returns once it does. */
static pid_t lock_in_child(struct world *world)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct env_dir *dir;
        if (env_dir_open(world->env, world->place, ENV_DIR_LOCK, &dir, NULL) == EMB_OK)
            (void)!write(ready[1], "x", 1);
        close(ready[1]);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void a_lock_of_a_killed_process_is_free(void **state)
{
    struct world *world = *state;
    struct env_dir *dir = NULL;
    struct error err;
    char holder[32];
    pid_t child = lock_in_child(world);
    snprintf(holder, sizeof(holder), "process %ld;", (long)child);
    ASSERT_CODE(env_dir_open(world->env, world->place, ENV_DIR_LOCK, &dir, &err), EMB_ERR_BUSY);
    assert_non_null(strstr(err.text, holder));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ASSERT_CODE(env_dir_open(world->env, world->place, ENV_DIR_LOCK, &dir, &err), EMB_OK);
    env_dir_close(dir);
}

static void file_systems_are_named(void **state)
{
    struct world *world = *state;
    uint64_t free_bytes = 0;
    assert_non_null(env_dir_filesystem(world->dir, &free_bytes));
    assert_true(free_bytes > 0);
    struct env_dir *dir;
    ASSERT_CODE(env_dir_open(world->env, "/dev/shm", 0, &dir, NULL), EMB_OK);
    assert_string_equal(env_dir_filesystem(dir, NULL), "tmpfs");
    env_dir_close(dir);
    ASSERT_CODE(env_dir_open(world->env, "/proc", 0, &dir, NULL), EMB_OK);
    assert_string_equal(env_dir_filesystem(dir, &free_bytes), "unknown");
    env_dir_close(dir);
}

static void a_full_file_system_is_told(void **state)
{
    struct world *world = *state;
    place_mount(world->place, "size=64k");
    struct env_dir *dir;
    struct error err;
    uint64_t free_bytes = 0;
    ASSERT_CODE(env_dir_open(world->env, world->place, ENV_DIR_LOCK, &dir, &err), EMB_OK);
    assert_string_equal(env_dir_filesystem(dir, &free_bytes), "tmpfs");
    assert_true(free_bytes > 0 && free_bytes <= 65536);
    struct env_file *file = file_make(dir, "full", ENV_FILE_DIRECT);
    ASSERT_CODE(env_file_preallocate(file, 1 << 20, &err), EMB_ERR_NO_SPACE);
    assert_non_null(strstr(err.text, "1048576"));
    static char block[1 << 17];
    ASSERT_CODE(env_file_write(file, block, sizeof(block), 0), EMB_ERR_NO_SPACE);
    env_file_close(file);
    env_dir_close(dir);
    /* Even without a byte for the number the lock can be taken. */
    ASSERT_CODE(env_dir_open(world->env, world->place, ENV_DIR_LOCK, &dir, &err), EMB_OK);
    env_dir_close(dir);
    place_unmount(world->place);
}

static void a_read_only_directory_is_refused_where_it_is_to_be_written(void **state)
{
    struct world *world = *state;
    place_mount(world->place, "size=64k");
    assert_int_equal(mount(NULL, world->place, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    struct env_dir *dir;
    struct error err;
    char path[300];
    ASSERT_CODE(env_dir_open(world->env, world->place, ENV_DIR_WRITE, &dir, &err),
                EMB_ERR_PERMISSION);
    assert_non_null(strstr(err.text, world->place));
    ASSERT_CODE(env_dir_open(world->env, world->place, ENV_DIR_LOCK, &dir, &err),
                EMB_ERR_PERMISSION);
    place_join(path, sizeof(path), world->place, "new");
    ASSERT_CODE(env_dir_open(world->env, path, ENV_DIR_CREATE, &dir, &err), EMB_ERR_PERMISSION);
    ASSERT_CODE(env_dir_open(world->env, world->place, ENV_DIR_CREATE, &dir, &err), EMB_OK);
    struct env_file *file;
    ASSERT_CODE(env_file_open(dir, "new", ENV_FILE_CREATE, &file, &err), EMB_ERR_PERMISSION);
    env_dir_close(dir);
    place_unmount(world->place);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_are_read_back),
        TEST(a_direct_file_can_be_read_and_written_unaligned),
        TEST(names_are_checked),
        TEST(failures_are_named),
        TEST(preallocation_reserves),
        TEST(the_list_is_ordered_by_bytes_and_has_files_only),
        TEST(an_empty_directory_lists_nothing),
        TEST(directories_are_made_with_their_parents),
        TEST(a_lock_names_its_holder_until_closed),
        TEST(a_lock_of_a_killed_process_is_free),
        TEST(file_systems_are_named),
        TEST(a_full_file_system_is_told),
        TEST(a_read_only_directory_is_refused_where_it_is_to_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

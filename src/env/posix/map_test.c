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
#include <sys/mman.h>
#include <sys/wait.h>

#include "env/posix/posix.h"
#include "env/posix/test_place.h"

#define MIB ((uint64_t)1 << 20)

struct world {
    struct env *env;
    char *place;
    char shm_url[64], file_url[300], file_path[300];
};

static int world_open(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    *state = world;
    world->env = env_create();
    world->place = place_make();
    snprintf(world->shm_url, sizeof(world->shm_url), "shm:embarcadero-map-test-%ld",
             (long)getpid());
    place_join(world->file_path, sizeof(world->file_path), world->place, "region");
    snprintf(world->file_url, sizeof(world->file_url), "file:%s/region", world->place);
    return 0;
}

static int world_close(void **state)
{
    struct world *world = *state;
    env_map_remove(world->env, world->shm_url, NULL);
    place_remove(world->place);
    env_destroy(world->env);
    free(world);
    return 0;
}

static struct env_map *map_make(struct world *world, const char *url, uint64_t bytes)
{
    struct env_map *map = NULL;
    struct error err = {0};
    int rc = env_map_open(world->env, url, bytes, ENV_MAP_CREATE, &map, &err);
    assert_string_equal(err.text, "");
    ASSERT_CODE(rc, EMB_OK);
    return map;
}

static int map_refused(struct world *world, const char *url, uint64_t bytes, unsigned flags,
                       struct error *err)
{
    struct env_map *map = NULL;
    int rc = env_map_open(world->env, url, bytes, flags, &map, err);
    assert_null(map);
    return rc;
}

static void two_mappings_share_their_bytes(struct world *world, const char *url)
{
    struct env_map *first = map_make(world, url, 4 * MIB), *second = NULL, *reader = NULL;
    struct error err;
    assert_int_equal(env_map_bytes(first), 4 * MIB);
    assert_int_equal((uintptr_t)env_map_base(first) % (2 * MIB), 0);
    for (uint64_t i = 0; i < 4 * MIB; i++)
        assert_int_equal(env_map_base(first)[i], 0);
    ASSERT_CODE(env_map_open(world->env, url, 0, 0, &second, &err), EMB_OK);
    assert_int_equal(env_map_bytes(second), 4 * MIB);
    env_map_base(second)[4 * MIB - 1] = 0xa5;
    assert_int_equal(env_map_base(first)[4 * MIB - 1], 0xa5);
    ASSERT_CODE(env_map_open(world->env, url, 0, ENV_MAP_READ_ONLY, &reader, &err), EMB_OK);
    assert_int_equal(env_map_base(reader)[4 * MIB - 1], 0xa5);
    env_map_prefault(reader, 0, 4 * MIB);
    assert_true(env_map_can_sendfile(first));
    ASSERT_CODE(map_refused(world, url, 4 * MIB, ENV_MAP_CREATE, &err), EMB_ERR_EXISTS);
    assert_non_null(strstr(err.text, url));
    env_map_close(first);
    env_map_close(second);
    env_map_close(reader);
    ASSERT_CODE(env_map_remove(world->env, url, &err), EMB_OK);
    ASSERT_CODE(env_map_remove(world->env, url, &err), EMB_ERR_NOT_FOUND);
    ASSERT_CODE(map_refused(world, url, 0, 0, &err), EMB_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, url));
}

static void shm_is_shared(void **state)
{
    struct world *world = *state;
    two_mappings_share_their_bytes(world, world->shm_url);
}

static void files_are_shared(void **state)
{
    struct world *world = *state;
    two_mappings_share_their_bytes(world, world->file_url);
}

static void shm_takes_its_pages_on_demand(void **state)
{
    struct world *world = *state;
    struct env_map *map = map_make(world, world->shm_url, 64 * MIB);
    char path[100];
    struct stat found;
    place_join(path, sizeof(path), "/dev/shm", world->shm_url + 4);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_blocks, 0);
    env_map_prefault(map, 4096, MIB);
    assert_int_equal(stat(path, &found), 0);
    assert_true(found.st_blocks * 512 >= (blkcnt_t)MIB);
    assert_true(found.st_blocks * 512 <= (blkcnt_t)(4 * MIB));
    env_map_close(map);
}

static void prefaulting_maps_the_range_and_changes_nothing(void **state)
{
    struct world *world = *state;
    struct env_map *map = map_make(world, world->shm_url, 4 * MIB);
    unsigned char *base = env_map_base(map), pages[1024];
    memset(base, 0x5a, MIB);
    madvise(base, 4 * MIB, MADV_DONTNEED);
    env_map_prefault(map, 0, 4 * MIB);
    for (uint64_t i = 0; i < 4 * MIB; i++)
        assert_int_equal(base[i], i < MIB ? 0x5a : 0);
    assert_int_equal(mincore(base, 4 * MIB, pages), 0);
    for (int i = 0; i < 1024; i++)
        assert_true(pages[i] & 1);
    env_map_prefault(map, 5, 0);
    env_map_prefault(map, 4 * MIB, 0);
    env_map_prefault(map, 4 * MIB - 1, 1);
    env_map_close(map);
}

static void bad_urls_are_refused_with_what_is_accepted(void **state)
{
    struct world *world = *state;
    static const char *const bad[] = {"",         "shm",        "shm:",     "shm:a/b", "shm:.",
                                      "shm:..",   "shm:a b",    "file:",    "dax:",    "dax:dax0",
                                      "http://x", "/dev/shm/x", "shm:\xff", "SHM:x",   "dax:/dev/"};
    struct error err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ASSERT_CODE(map_refused(world, bad[i], MIB, ENV_MAP_CREATE, &err),
                    EMB_ERR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.text, "shm:"));
        ASSERT_CODE(env_map_remove(world->env, bad[i], &err), EMB_ERR_INVALID_ARGUMENT);
    }
    char url[300] = "shm:";
    memset(url + 4, 'x', 249);
    ASSERT_CODE(map_refused(world, url, 0, 0, &err), EMB_ERR_NOT_FOUND);
    url[253] = 'x';
    ASSERT_CODE(map_refused(world, url, 0, 0, &err), EMB_ERR_INVALID_ARGUMENT);
}

static void bad_sizes_are_refused(void **state)
{
    struct world *world = *state;
    static const uint64_t bad[] = {0, 1, 4095, 4097, UINT64_MAX, (uint64_t)1 << 63};
    struct error err;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ASSERT_CODE(map_refused(world, world->shm_url, bad[i], ENV_MAP_CREATE, &err),
                    EMB_ERR_INVALID_ARGUMENT);
    ASSERT_CODE(map_refused(world, world->shm_url, 0, 0, &err), EMB_ERR_NOT_FOUND);
}

/* The refusal names both sizes, and nothing of the region stays. */
static void too_large_is_refused(struct world *world, const char *url)
{
    struct error err;
    uint64_t bytes = (uint64_t)1 << 50;
    ASSERT_CODE(map_refused(world, url, bytes, ENV_MAP_CREATE, &err), EMB_ERR_NO_SPACE);
    assert_non_null(strstr(err.text, "1.0 PiB (1125899906842624 bytes)"));
    const char *there = strstr(err.text, "does not fit: ");
    assert_non_null(there);
    assert_true(strtod(there + strlen("does not fit: "), NULL) > 0);
    assert_non_null(strstr(err.text, "are free"));
    ASSERT_CODE(map_refused(world, url, 0, 0, &err), EMB_ERR_NOT_FOUND);
}

static void a_region_larger_than_what_is_free_is_refused(void **state)
{
    struct world *world = *state;
    too_large_is_refused(world, world->shm_url);
    too_large_is_refused(world, world->file_url);
}

static void a_region_must_fit_a_small_file_system(void **state)
{
    struct world *world = *state;
    place_mount(world->place, "size=1m");
    struct error err;
    ASSERT_CODE(map_refused(world, world->file_url, MIB + 4096, ENV_MAP_CREATE, &err),
                EMB_ERR_NO_SPACE);
    assert_non_null(strstr(err.text, "(1052672 bytes)"));
    assert_non_null(strstr(err.text, "1.0 MiB (1048576 bytes) are free"));
    env_map_close(map_make(world, world->file_url, MIB));
    place_unmount(world->place);
}

static void file_put(const char *path, uint64_t bytes)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    close(fd);
}

static void empty_and_truncated_files_are_told_apart(void **state)
{
    struct world *world = *state;
    struct error err;
    file_put(world->file_path, 0);
    ASSERT_CODE(map_refused(world, world->file_url, 0, 0, &err), EMB_ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "is empty"));
    assert_non_null(strstr(err.text, world->file_url));
    file_put(world->file_path, 4097);
    ASSERT_CODE(map_refused(world, world->file_url, 0, 0, &err), EMB_ERR_CORRUPT);
    assert_non_null(strstr(err.text, "4097"));
    unlink(world->file_path);
    mkfifo(world->file_path, 0644);
    ASSERT_CODE(map_refused(world, world->file_url, 0, ENV_MAP_READ_ONLY, &err),
                EMB_ERR_INVALID_ARGUMENT);
    unlink(world->file_path);
    mkdir(world->file_path, 0755);
    ASSERT_CODE(map_refused(world, world->file_url, 0, 0, &err), EMB_ERR_INVALID_ARGUMENT);
    ASSERT_CODE(map_refused(world, world->file_url, 0, ENV_MAP_READ_ONLY, &err),
                EMB_ERR_INVALID_ARGUMENT);
}

static void a_device_is_mapped_whole_by_path_and_size(void **state)
{
    struct world *world = *state;
    struct env_map *map = NULL, *again = NULL;
    struct error err;
    file_put(world->file_path, 8 * MIB);
    ASSERT_CODE(
        posix_map_device(world->file_path, 8 * MIB, 2 * MIB, 4 * MIB, ENV_MAP_CREATE, &map, &err),
        EMB_OK);
    assert_int_equal(env_map_bytes(map), 8 * MIB);
    assert_int_equal((uintptr_t)env_map_base(map) % (2 * MIB), 0);
    memcpy(env_map_base(map) + 8 * MIB - 4, "last", 4);
    ASSERT_CODE(
        posix_map_device(world->file_path, 8 * MIB, 4096, 0, ENV_MAP_READ_ONLY, &again, &err),
        EMB_OK);
    assert_memory_equal(env_map_base(again) + 8 * MIB - 4, "last", 4);
    env_map_close(map);
    env_map_close(again);
    map = NULL;
    ASSERT_CODE(
        posix_map_device(world->file_path, 8 * MIB, 2 * MIB, 9 * MIB, ENV_MAP_CREATE, &map, &err),
        EMB_ERR_NO_SPACE);
    assert_non_null(strstr(err.text, "9437184"));
    assert_non_null(strstr(err.text, "8388608"));
    ASSERT_CODE(posix_map_device(world->file_path, 7 * MIB, 2 * MIB, 0, 0, &map, &err),
                EMB_ERR_MISMATCH);
    ASSERT_CODE(posix_map_device("/dev/no-such-dax", 8 * MIB, 2 * MIB, 0, 0, &map, &err),
                EMB_ERR_NOT_FOUND);
    assert_null(map);
}

/* Whoever creates holds it, and whoever asks for the lock; others may attach all the same. */
static void is_held_by_one_until_closed(struct world *world, const char *url)
{
    struct env_map *holder = map_make(world, url, 2 * MIB), *other = NULL;
    struct error err;
    ASSERT_CODE(map_refused(world, url, 0, ENV_MAP_LOCK, &err), EMB_ERR_BUSY);
    assert_non_null(strstr(err.text, url));
    assert_non_null(strstr(err.text, "is held by another process"));
    ASSERT_CODE(env_map_open(world->env, url, 0, 0, &other, &err), EMB_OK);
    ASSERT_CODE(map_refused(world, url, 0, ENV_MAP_LOCK, &err), EMB_ERR_BUSY);
    env_map_close(holder);
    holder = NULL;
    ASSERT_CODE(env_map_open(world->env, url, 0, ENV_MAP_LOCK, &holder, &err), EMB_OK);
    ASSERT_CODE(map_refused(world, url, 0, ENV_MAP_LOCK, &err), EMB_ERR_BUSY);
    env_map_close(holder);
    env_map_close(other);
}

static void shm_is_held_by_one(void **state)
{
    struct world *world = *state;
    is_held_by_one_until_closed(world, world->shm_url);
}

static void a_file_is_held_by_one(void **state)
{
    struct world *world = *state;
    is_held_by_one_until_closed(world, world->file_url);
}

static void a_device_is_held_by_one(void **state)
{
    struct world *world = *state;
    struct env_map *holder = NULL, *other = NULL;
    struct error err;
    file_put(world->file_path, 8 * MIB);
    const char *path = world->file_path;
    ASSERT_CODE(posix_map_device(path, 8 * MIB, 4096, 0, ENV_MAP_LOCK, &holder, &err), EMB_OK);
    ASSERT_CODE(posix_map_device(path, 8 * MIB, 4096, 0, ENV_MAP_LOCK, &other, &err), EMB_ERR_BUSY);
    ASSERT_CODE(posix_map_device(path, 8 * MIB, 4096, 0, ENV_MAP_CREATE, &other, &err),
                EMB_ERR_BUSY);
    assert_non_null(strstr(err.text, path));
    ASSERT_CODE(posix_map_device(path, 8 * MIB, 4096, 0, 0, &other, &err), EMB_OK);
    env_map_close(other);
    env_map_close(holder);
}

static void a_holder_that_dies_holds_it_no_more(void **state)
{
    struct world *world = *state;
    struct env_map *map = NULL;
    struct error err;
    int held[2];
    char byte;
    assert_int_equal(pipe(held), 0);
    env_map_close(map_make(world, world->shm_url, 2 * MIB));
    pid_t child = fork();
    if (child == 0) {
        env_map_open(world->env, world->shm_url, 0, ENV_MAP_LOCK, &map, NULL);
        if (write(held[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(held[0], &byte, 1), 1);
    ASSERT_CODE(map_refused(world, world->shm_url, 0, ENV_MAP_LOCK, &err), EMB_ERR_BUSY);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ASSERT_CODE(env_map_open(world->env, world->shm_url, 0, ENV_MAP_LOCK, &map, &err), EMB_OK);
    env_map_close(map);
    close(held[0]);
    close(held[1]);
}

static void an_unknown_dax_device_is_named(void **state)
{
    struct world *world = *state;
    struct error err;
    ASSERT_CODE(map_refused(world, "dax:/dev/dax98.76", 0, 0, &err), EMB_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/dev/dax98.76"));
    ASSERT_CODE(env_map_remove(world->env, "dax:/dev/dax98.76", &err), EMB_OK);
}

static void huge_pages_are_reported_when_granted(void **state)
{
    struct world *world = *state;
    place_mount(world->place, "size=64m,huge=always");
    struct env_map *map = map_make(world, world->file_url, 8 * MIB);
    assert_false(env_map_huge(map)); /* nothing is resident: nothing was granted yet */
    env_map_prefault(map, 0, 8 * MIB);
    assert_true(env_map_huge(map));
    env_map_close(map);
    place_unmount(world->place);
}

static void huge_pages_are_not_reported_when_refused(void **state)
{
    struct world *world = *state;
    place_mount(world->place, "size=64m,huge=never");
    struct env_map *map = map_make(world, world->file_url, 8 * MIB);
    env_map_prefault(map, 0, 8 * MIB);
    assert_false(env_map_huge(map));
    env_map_close(map);
    place_unmount(world->place);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shm_is_shared),
        TEST(files_are_shared),
        TEST(shm_takes_its_pages_on_demand),
        TEST(prefaulting_maps_the_range_and_changes_nothing),
        TEST(bad_urls_are_refused_with_what_is_accepted),
        TEST(bad_sizes_are_refused),
        TEST(a_region_larger_than_what_is_free_is_refused),
        TEST(a_region_must_fit_a_small_file_system),
        TEST(empty_and_truncated_files_are_told_apart),
        TEST(a_device_is_mapped_whole_by_path_and_size),
        TEST(shm_is_held_by_one),
        TEST(a_file_is_held_by_one),
        TEST(a_device_is_held_by_one),
        TEST(a_holder_that_dies_holds_it_no_more),
        TEST(an_unknown_dax_device_is_named),
        TEST(huge_pages_are_reported_when_granted),
        TEST(huge_pages_are_not_reported_when_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

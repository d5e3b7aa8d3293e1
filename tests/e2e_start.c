/*
 * Starting and stopping a rack: what it refuses to start on, with the reason named, and that it
 * leaves nothing behind. Times are printed, never asserted.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/checksum.h"
#include "layout/superblock.h"
#include "tests/raw.h"

static void must_not_start(struct rig *rig, int code, const char *text)
{
    struct error err = {0};
    struct rack *rack = NULL;
    int got = rack_start(&rig->options, &rack, &err);
    if (got == EMB_OK) {
        rack_stop(rack, false);
        fail_msg("the rack starts; %s was expected", emb_error_name(code));
    }
    if (got != code)
        fail_msg("%s was expected, not %s: %s", emb_error_name(code), emb_error_name(got),
                 err.text);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" does not name \"%s\"", err.text, text);
}

/* ---- starting -------------------------------------------------------------------------------- */

static void the_first_ack_comes_soon(void **state)
{
    struct rig *rig = *state;
    struct emb_publisher *publisher;
    struct emb_message message = {.value = "first", .value_bytes = 5};
    struct emb_error err = {0};
    uint64_t begun_ns = env_now_ns(rig->env);
    rig_start(rig);
    uint64_t started_ns = env_now_ns(rig->env);
    rig_topic(rig, "first", EMB_ORDER_CLIENT, 2);
    if (emb_publisher_open(rig->client, "first", NULL, &publisher, &err) ||
        emb_publish_wait(publisher, &message, rig_patience_ms(), NULL, &err))
        fail_msg("%s", err.text);
    uint64_t acked_ns = env_now_ns(rig->env);
    print_message("%s: rack started in %llu ms, first durable ack after %llu ms\n", rig->mode->name,
                  (unsigned long long)((started_ns - begun_ns) / 1000000),
                  (unsigned long long)((acked_ns - begun_ns) / 1000000));
    assert_int_equal(emb_publisher_close(publisher, rig_patience_ms(), NULL), EMB_OK);
    rig_stop(rig);
}

static int threads(void)
{
    return rig_entries("/proc/self/task");
}

static int descriptors(void)
{
    return rig_entries("/proc/self/fd");
}

static bool threads_are(void *arg)
{
    return threads() == *(int *)arg;
}

static void a_stop_leaves_nothing_behind(void **state)
{
    struct rig *rig = *state;
    char node[RIG_PATH + 32];
    int threads_before = threads();
    int descriptors_before = descriptors();
    for (int i = 0; i < 3; i++) {
        rig_start(rig);
        rig_topic(rig, "t", EMB_ORDER_CLIENT, 2);
        struct raw *raw = raw_open(rig, 1); /* still connected, with a batch half sent */
        struct raw_batch batch;
        raw_publish_open(raw, "t", 2);
        raw_batch_make(raw, 0, 1, &batch);
        raw_produce_part(raw, &batch, 70);
        rig_stop(rig);
        raw_close(raw, false);
        /* A joined thread's entry goes a moment after the join. */
        rig_wait_until(threads_are, &threads_before, "the rack's threads were gone");
        assert_int_equal(descriptors(), descriptors_before);
        for (uint32_t n = 0; n < rig->options.nodes; n++) {
            snprintf(node, sizeof node, "%s/node%u", rig->data, n);
            assert_int_equal(access(node, F_OK), 0);
        }
        rig_remove(rig->data);
        assert_int_equal(rig_entries(rig->directory), 0);
    }
}

static void a_region_may_be_kept(void **state)
{
    struct rig *rig = *state;
    struct env_map *map;
    struct region region;
    struct error err = {0};
    rig_start(rig);
    rig_topic(rig, "kept", EMB_ORDER_CLIENT, 2);
    assert_int_equal(emb_client_close(rig->client, NULL), EMB_OK);
    rig->client = NULL;
    rack_stop(rig->rack, true);
    rig->rack = NULL;
    if (env_map_open(rig->env, rig->region_url, 0, ENV_MAP_READ_ONLY, &map, &err) ||
        region_attach(&region, env_map_base(map), env_map_bytes(map), rig->mode->writeback, &err))
        fail_msg("%s", err.text);
    assert_int_equal(region_check(&region, NULL, NULL), 0);
    env_map_close(map);
    assert_int_equal(env_map_remove(rig->env, rig->region_url, &err), EMB_OK);
}

static void impossible_racks_are_refused(void **state)
{
    struct rig *rig = *state;
    rig->options.nodes = 0;
    must_not_start(rig, EMB_ERR_INVALID_SETTING, "0 nodes");
    rig->options.nodes = RACK_NODES_MAX + 1;
    must_not_start(rig, EMB_ERR_INVALID_SETTING, "9 nodes");
    rig->options.nodes = 2;
    rig->options.replicas = 3;
    must_not_start(rig, EMB_ERR_INVALID_SETTING, "3 replicas");
    rig->options.replicas = 2;
    rig->options.geometry.lane_slots = 7;
    must_not_start(rig, EMB_ERR_INVALID_SETTING, "7");
    rig->options.geometry = geometry_test();
    rig->options.max_batch_bytes = 1 << 20;
    must_not_start(rig, EMB_ERR_INVALID_SETTING, "1048576");
    rig->options.max_batch_bytes = 0;
    rig->options.host = "192.0.2.1";
    must_not_start(rig, EMB_ERR_INVALID_ARGUMENT, "192.0.2.1");
    assert_int_equal(access(rig->region_url + 4, F_OK), -1);
}

/* ---- ports ----------------------------------------------------------------------------------- */

static int occupy_port(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void a_port_in_use_is_named(void **state)
{
    struct rig *rig = *state;
    char number[8];
    uint16_t port;
    int descriptors_before = descriptors();
    int fd = occupy_port(&port);
    rig->options.port = port;
    snprintf(number, sizeof number, "%u", port);
    must_not_start(rig, EMB_ERR_BUSY, number);
    close(fd);
    assert_int_equal(descriptors(), descriptors_before);
    rig_remove(rig->data); /* of the nodes before the one that failed */
    rig->options.port = 0;
    rig_start(rig);
    rig_stop(rig);
}

/* ---- data directories ------------------------------------------------------------------------ */

static void a_locked_directory_is_named(void **state)
{
    struct rig *rig = *state;
    char node[RIG_PATH + 32];
    struct env_dir *held;
    struct error err = {0};
    snprintf(node, sizeof node, "%s/node2", rig->data);
    assert_int_equal(env_dir_open(rig->env, node, ENV_DIR_CREATE | ENV_DIR_LOCK, &held, &err),
                     EMB_OK);
    must_not_start(rig, EMB_ERR_BUSY, node);
    env_dir_close(held);
}

static void a_log_is_never_overwritten(void **state)
{
    struct rig *rig = *state;
    char node[RIG_PATH + 32];
    rig_start(rig);
    rig_stop(rig);
    snprintf(node, sizeof node, "%s/node0", rig->data);
    int files = rig_entries(node);
    assert_true(files > 0);
    must_not_start(rig, EMB_ERR_EXISTS, node);
    assert_int_equal(rig_entries(node), files);
}

static void a_directory_that_cannot_be_is_named(void **state)
{
    struct rig *rig = *state;
    char file[RIG_PATH + 32];
    snprintf(file, sizeof file, "%s/file", rig->directory);
    FILE *made = fopen(file, "w");
    assert_non_null(made);
    fclose(made);
    rig->options.data = file; /* a directory below a file */
    struct error err = {0};
    struct rack *rack = NULL;
    assert_int_not_equal(rack_start(&rig->options, &rack, &err), EMB_OK);
    if (!strstr(err.text, file))
        fail_msg("\"%s\" does not name \"%s\"", err.text, file);
}

/* Even root cannot write to a file system that is mounted read-only. */
static void a_read_only_directory_is_named(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(mkdir(rig->data, 0700), 0);
    if (geteuid() != 0) {
        assert_int_equal(chmod(rig->data, 0500), 0);
        must_not_start(rig, EMB_ERR_PERMISSION, rig->data);
        return;
    }
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", rig->data, "tmpfs", MS_RDONLY, NULL))
        rig_skip("no mount can be made here");
    struct error err = {0};
    struct rack *rack = NULL;
    int got = rack_start(&rig->options, &rack, &err);
    umount2(rig->data, MNT_DETACH);
    ASSERT_CODE(got, EMB_ERR_PERMISSION);
    if (!strstr(err.text, rig->data))
        fail_msg("\"%s\" does not name \"%s\"", err.text, rig->data);
}

/* ---- regions --------------------------------------------------------------------------------- */

static void a_region_in_use_is_left_alone(void **state)
{
    struct rig *rig = *state;
    char other[RIG_PATH + 32];
    rig_start(rig);
    snprintf(other, sizeof other, "%s/other", rig->directory);
    rig->options.data = other;
    must_not_start(rig, EMB_ERR_EXISTS, rig->region_url);
    rig->options.data = rig->data;
    rig_topic(rig, "works", EMB_ORDER_CLIENT, 2);
    rig_stop(rig);
}

static void a_region_too_large_is_told_both_numbers(void **state)
{
    struct rig *rig = *state;
    struct error err = {0};
    struct rack *rack = NULL;
    rig->options.geometry.region_bytes = 1ull << 45;
    int got = rack_start(&rig->options, &rack, &err);
    ASSERT_CODE(got, EMB_ERR_NO_SPACE);
    print_message("%s\n", err.text);
    if (!strstr(err.text, "32 TiB") && !strstr(err.text, "35184372088832"))
        fail_msg("\"%s\" does not name what was asked for", err.text);
    if (!strstr(err.text, "free"))
        fail_msg("\"%s\" does not name what is free", err.text);
}

/* A region's file with a right superblock, to be bent. */
struct bent_region {
    char path[RIG_PATH + 32];
    char url[RIG_PATH + 40];
    struct superblock_shared superblock;
};

static void bent_region_make(struct rig *rig, struct bent_region *bent)
{
    struct geometry geometry = geometry_test();
    const uint8_t uuid[16] = {7};
    struct env_map *map;
    struct error err = {0};
    snprintf(bent->path, sizeof bent->path, "%s/bent", rig->directory);
    snprintf(bent->url, sizeof bent->url, "file:%s", bent->path);
    if (env_map_open(rig->env, bent->url, geometry.region_bytes, ENV_MAP_CREATE, &map, &err) ||
        region_format(env_map_base(map), &geometry, MEM_HARDWARE, uuid, &err))
        fail_msg("%s", err.text);
    memcpy(&bent->superblock, env_map_base(map), sizeof bent->superblock);
    env_map_close(map);
}

static void bent_region_write(struct bent_region *bent, bool sealed)
{
    int fd = open(bent->path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (sealed)
        bent->superblock.crc = crc32c(&bent->superblock, offsetof(struct superblock_shared, crc));
    ssize_t written = pwrite(fd, &bent->superblock, sizeof bent->superblock, 0);
    close(fd);
    assert_int_equal(written, sizeof bent->superblock);
}

static void must_not_attach(struct rig *rig, const struct bent_region *bent, int code,
                            const char *text)
{
    struct env_map *map;
    struct region region;
    struct error err = {0};
    int got = env_map_open(rig->env, bent->url, 0, ENV_MAP_READ_ONLY, &map, &err);
    if (got == EMB_OK) {
        got =
            region_attach(&region, env_map_base(map), env_map_bytes(map), MEM_WRITEBACK_AUTO, &err);
        env_map_close(map);
    }
    if (got != code)
        fail_msg("%s was expected, not %s: %s", emb_error_name(code), emb_error_name(got),
                 err.text);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" does not name \"%s\"", err.text, text);
}

static void bent_regions_are_refused(void **state)
{
    struct rig *rig = *state;
    struct bent_region bent;
    bent_region_make(rig, &bent);
    const struct superblock_shared right = bent.superblock;
    bent.superblock.magic = 0x1122334455667788;
    bent_region_write(&bent, false);
    must_not_attach(rig, &bent, EMB_ERR_CORRUPT, "1122334455667788");
    bent.superblock = right;
    bent.superblock.region_bytes ^= 1 << 20;
    bent_region_write(&bent, false);
    must_not_attach(rig, &bent, EMB_ERR_CORRUPT, "CRC");
    bent.superblock = right;
    bent.superblock.layout_version = 0;
    bent_region_write(&bent, true);
    must_not_attach(rig, &bent, EMB_ERR_VERSION, "older");
    bent.superblock.layout_version = right.layout_version + 1;
    bent_region_write(&bent, true);
    must_not_attach(rig, &bent, EMB_ERR_VERSION, "newer");
    bent.superblock = right;
    bent.superblock.struct_bytes[3]++;
    bent_region_write(&bent, true);
    must_not_attach(rig, &bent, EMB_ERR_MISMATCH, "bytes");
    bent.superblock = right;
    bent.superblock.lane_slots = 9;
    bent_region_write(&bent, true);
    must_not_attach(rig, &bent, EMB_ERR_CORRUPT, "9");
    bent.superblock = right;
    bent_region_write(&bent, true);
    assert_int_equal(truncate(bent.path, 32 << 20), 0);
    must_not_attach(rig, &bent, EMB_ERR_CORRUPT, "truncated");
    assert_int_equal(truncate(bent.path, 1000), 0);
    must_not_attach(rig, &bent, EMB_ERR_CORRUPT, "1000");
    assert_int_equal(truncate(bent.path, 0), 0);
    must_not_attach(rig, &bent, EMB_ERR_UNAVAILABLE, "empty");
    assert_int_equal(unlink(bent.path), 0);
    must_not_attach(rig, &bent, EMB_ERR_NOT_FOUND, bent.path);
}

static void an_unreadable_region_is_named(void **state)
{
    struct rig *rig = *state;
    struct bent_region bent;
    struct env_map *map;
    struct error err = {0};
    bent_region_make(rig, &bent);
    assert_int_equal(chmod(bent.path, 0), 0);
    assert_int_equal(chmod(rig->directory, 0755), 0);
    bool root = geteuid() == 0;
    if (root && seteuid(65534))
        rig_skip("this process cannot become somebody else");
    int got = env_map_open(rig->env, bent.url, 0, ENV_MAP_READ_ONLY, &map, &err);
    if (root)
        assert_int_equal(seteuid(0), 0);
    ASSERT_CODE(got, EMB_ERR_PERMISSION);
    if (!strstr(err.text, bent.path))
        fail_msg("\"%s\" does not name \"%s\"", err.text, bent.path);
}

int main(void)
{
    const struct rig_case cases[] = {
        {"the_first_ack_comes_soon", the_first_ack_comes_soon, RIG_IN_PROCESS},
        {"a_stop_leaves_nothing_behind", a_stop_leaves_nothing_behind, RIG_IN_PROCESS},
        {"a_region_may_be_kept", a_region_may_be_kept, RIG_IN_PROCESS},
        {"impossible_racks_are_refused", impossible_racks_are_refused, RIG_FIRST_MODE},
        {"a_port_in_use_is_named", a_port_in_use_is_named, RIG_FIRST_MODE},
        {"a_locked_directory_is_named", a_locked_directory_is_named, RIG_FIRST_MODE},
        {"a_log_is_never_overwritten", a_log_is_never_overwritten, RIG_FIRST_MODE},
        {"a_directory_that_cannot_be_is_named", a_directory_that_cannot_be_is_named,
         RIG_FIRST_MODE},
        {"a_read_only_directory_is_named", a_read_only_directory_is_named, RIG_FIRST_MODE},
        {"a_region_in_use_is_left_alone", a_region_in_use_is_left_alone, RIG_IN_PROCESS},
        {"a_region_too_large_is_told_both_numbers", a_region_too_large_is_told_both_numbers,
         RIG_FIRST_MODE},
        {"bent_regions_are_refused", bent_regions_are_refused, RIG_FIRST_MODE},
        {"an_unreadable_region_is_named", an_unreadable_region_is_named, RIG_FIRST_MODE},
    };
    return rig_run("e2e-start", cases, COUNT_OF(cases));
}

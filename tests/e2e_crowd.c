/*
 * Very many connections, from a process of their own (crowd.c): five thousand that do nothing, and
 * more than there are descriptors for. What others publish and read meanwhile is all there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/raw.h"
#include "tests/traffic.h"

struct crowd {
    pid_t pid;
    int to;   /* closed, it ends */
    int from; /* where it says how many stand */
};

static void crowd_run(struct rig *rig, unsigned count, const char *hello)
{
    char port[16], number[16];
    snprintf(port, sizeof port, "%u", rig_port(rig, 1));
    snprintf(number, sizeof number, "%u", count);
    execl(getenv("EMB_TEST_CROWD"), "crowd", port, number, hello, (char *)NULL);
    _exit(127);
}

/* Without `hello` it is not waited for. */
static struct crowd crowd_start(struct rig *rig, unsigned count, const char *hello)
{
    int to[2], from[2];
    struct crowd crowd;
    assert_int_equal(pipe2(to, O_CLOEXEC) | pipe2(from, O_CLOEXEC), 0);
    crowd.pid = vfork();
    if (crowd.pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        crowd_run(rig, count, hello);
    }
    assert_true(crowd.pid > 0);
    close(to[0]);
    close(from[1]);
    crowd.to = to[1];
    crowd.from = from[0];
    return crowd;
}

static unsigned crowd_standing(struct crowd *crowd)
{
    char text[16] = "";
    assert_true(read(crowd->from, text, sizeof text - 1) > 0);
    return (unsigned)atoi(text);
}

static void crowd_end(struct crowd *crowd)
{
    int status;
    close(crowd->to);
    assert_int_equal(waitpid(crowd->pid, &status, 0), crowd->pid);
    close(crowd->from);
    assert_int_equal(status, 0);
}

static unsigned descriptors_open(void)
{
    return (unsigned)rig_entries("/proc/self/fd");
}

/* The limit from now on; skips the test if it cannot be had. */
static rlim_t descriptors_limit(rlim_t limit)
{
    struct rlimit now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    rlim_t before = now.rlim_cur;
    if (limit > now.rlim_max)
        rig_skip("this needs %llu descriptors; %llu are the most", (unsigned long long)limit,
                 (unsigned long long)now.rlim_max);
    now.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    return before;
}

struct watched {
    struct raw *raw;
    const char *name;
    uint64_t least, most;
};

static bool is_within(void *arg)
{
    struct watched *watched = arg;
    uint64_t value = raw_status(watched->raw, watched->name);
    return value >= watched->least && value <= watched->most;
}

static void wait_for(struct raw *raw, const char *name, uint64_t least, uint64_t most)
{
    struct watched watched = {raw, name, least, most};
    rig_wait_until(is_within, &watched, name);
}

static void five_thousand_do_nothing(void **state)
{
    struct rig *rig = *state;
    rlim_t before = descriptors_limit(5500);
    rig_start(rig);
    struct traffic traffic = traffic_start(rig);
    struct raw *raw = raw_open(rig, 1);
    uint64_t others = raw_status(raw, "connections");
    struct crowd crowd = crowd_start(rig, 5000, "hello");
    assert_int_equal(crowd_standing(&crowd), 5000);
    assert_int_equal(raw_status(raw, "connections"), others + 5000);
    traffic_must_flow(&traffic);
    traffic_must_flow(&traffic);
    crowd_end(&crowd);
    wait_for(raw, "connections", 0, others);
    raw_close(raw, false);
    traffic_end(&traffic);
    rig_stop(rig);
    descriptors_limit(before);
}

/* The rack has no descriptor left, goes on, and takes connections again when it has. */
static void there_are_no_descriptors_left(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct traffic traffic = traffic_start(rig);
    struct raw *raw = raw_open(rig, 1);
    raw_hello(raw);
    struct crowd crowd = crowd_start(rig, 0, NULL);
    crowd_end(&crowd);
    rlim_t before = descriptors_limit(descriptors_open() + 40);
    crowd = crowd_start(rig, 200, NULL);
    wait_for(raw, "accept_failures", 5, UINT64_MAX);
    traffic_must_flow(&traffic);
    crowd_end(&crowd);
    descriptors_limit(before);
    wait_for(raw, "connections", 0, 20);
    struct raw *again = raw_open(rig, 1);
    raw_hello(again);
    raw_close(again, false);
    raw_close(raw, false);
    traffic_end(&traffic);
    rig_stop(rig);
}

int main(void)
{
    const struct rig_case cases[] = {
        {"five_thousand_do_nothing", five_thousand_do_nothing, RIG_EVERYWHERE},
        {"there_are_no_descriptors_left", there_are_no_descriptors_left, RIG_FIRST_MODE},
    };
    return rig_run("e2e-crowd", cases, sizeof cases / sizeof *cases);
}

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/agent.h"
#include "base/flag.h"

#define FAR_NS 10000000000ULL /* longer than any test: only a wake ends such a sleep */

/* An agent that has `work` turns of work and notes when it is called. */
struct worker {
    struct flag turns;
    struct flag work;
    struct flag last_now_ns;
    struct runner *stops; /* told to stop when work runs out */
};

static int worker_do_work(void *state, uint64_t now_ns)
{
    struct worker *worker = state;
    flag_store_release(&worker->turns, flag_load_relaxed(&worker->turns) + 1);
    flag_store_release(&worker->last_now_ns, now_ns);
    uint64_t left = flag_load_acquire(&worker->work);
    if (left == 0)
        return 0;
    flag_store_release(&worker->work, left - 1);
    if (left == 1 && worker->stops)
        runner_stop(worker->stops);
    return 1;
}

struct fixture {
    struct env *env;
    struct runner *runner;
    struct worker worker;
};

static void fixture_add(struct runner *runner, struct worker *worker)
{
    struct agent agent = {.name = "worker", .do_work = worker_do_work, .state = worker};
    runner_add(runner, &agent);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof(fixture));
    fixture.env = env_create();
    assert_non_null(fixture.env);
    struct error err;
    assert_int_equal(runner_create(fixture.env, "test", &fixture.runner, &err), EMB_OK);
    fixture_add(fixture.runner, &fixture.worker);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    runner_destroy(fixture->runner);
    env_destroy(fixture->env);
    return 0;
}

static void a_turn_calls_each_agent_once_with_one_time(void **state)
{
    struct fixture *fixture = *state;
    struct worker second = {0};
    fixture_add(fixture->runner, &second);
    flag_store_release(&second.work, 1);
    assert_int_equal(runner_turn(fixture->runner, 0), 1);
    assert_int_equal(flag_load_relaxed(&fixture->worker.turns), 1);
    assert_int_equal(flag_load_relaxed(&second.turns), 1);
    assert_int_equal(flag_load_relaxed(&second.last_now_ns),
                     flag_load_relaxed(&fixture->worker.last_now_ns));
    assert_int_equal(runner_turn(fixture->runner, 0), 0);
    assert_int_equal(flag_load_relaxed(&second.turns), 2);
}

static void an_idle_turn_looks_once_more_and_sleeps(void **state)
{
    struct fixture *fixture = *state;
    uint64_t before_ns = env_now_ns(fixture->env);
    assert_int_equal(runner_turn(fixture->runner, 20000000), 0);
    assert_true(env_now_ns(fixture->env) - before_ns >= 19000000);
    assert_int_equal(flag_load_relaxed(&fixture->worker.turns), 2);
}

static void a_wake_before_the_sleep_ends_it(void **state)
{
    struct fixture *fixture = *state;
    runner_wake(fixture->runner);
    assert_int_equal(runner_turn(fixture->runner, FAR_NS), 0);
}

static void run_ends_when_an_agent_stops_it(void **state)
{
    struct fixture *fixture = *state;
    flag_store_release(&fixture->worker.work, 1000);
    fixture->worker.stops = fixture->runner;
    runner_run(fixture->runner);
    assert_int_equal(flag_load_relaxed(&fixture->worker.work), 0);
    assert_int_equal(flag_load_relaxed(&fixture->worker.turns), 1000);
    runner_run(fixture->runner); /* stopped for good */
    assert_int_equal(flag_load_relaxed(&fixture->worker.turns), 1000);
}

static struct runner *interrupted;
static void on_signal(int number)
{
    runner_stop(interrupted);
}

static void *signal_soon(void *arg)
{
    struct fixture *fixture = arg;
    while (flag_load_acquire(&fixture->worker.turns) < 3)
        sched_yield();
    raise(SIGUSR1);
    return NULL;
}

static void stop_works_from_a_signal_handler(void **state)
{
    struct fixture *fixture = *state;
    pthread_t thread;
    interrupted = fixture->runner;
    signal(SIGUSR1, on_signal);
    assert_int_equal(pthread_create(&thread, NULL, signal_soon, fixture), 0);
    runner_run(fixture->runner);
    pthread_join(thread, NULL);
    signal(SIGUSR1, SIG_DFL);
}

/* The sleeps of an idle runner grow to their maximum: few turns a second, yet it never stops. */
static void an_idle_runner_parks(void **state)
{
    struct fixture *fixture = *state;
    struct error err;
    assert_int_equal(runner_start(fixture->runner, &err), EMB_OK);
    uint64_t before = flag_load_acquire(&fixture->worker.turns);
    while (flag_load_acquire(&fixture->worker.turns) == before)
        sched_yield();
    uint64_t turns, from_ns, last_ns;
    int slow = 0;
    /* Each turn is seen; those that come RUNNER_PARK_MAX_NS after the last one are sleeps. */
    last_ns = from_ns = flag_load_acquire(&fixture->worker.last_now_ns);
    while (slow < 5) {
        turns = flag_load_acquire(&fixture->worker.turns);
        while (flag_load_acquire(&fixture->worker.turns) == turns)
            sched_yield();
        uint64_t now_ns = flag_load_acquire(&fixture->worker.last_now_ns);
        slow += now_ns - last_ns >= RUNNER_PARK_MAX_NS - 1000000;
        last_ns = now_ns;
    }
    runner_stop(fixture->runner);
    runner_join(fixture->runner);
}

/* Two runners hand one unit of work to and fro: each must be woken by the other's doorbell. */
struct ball {
    struct flag *mine;
    struct flag *theirs;
    struct flag *hits;
};

static int ball_do_work(void *state, uint64_t now_ns)
{
    struct ball *ball = state;
    if (!flag_load_acquire(ball->mine))
        return 0;
    flag_store_release(ball->mine, 0);
    flag_store_release(ball->hits, flag_load_relaxed(ball->hits) + 1);
    flag_store_release(ball->theirs, 1);
    return 1;
}

/* As runner_run, but each sleep would last for ever without the doorbell. */
static void *sleep_deeply(void *arg)
{
    struct runner *runner = ((void **)arg)[0];
    struct flag *hits = ((void **)arg)[1];
    while (flag_load_acquire(hits) < 20000)
        runner_turn(runner, FAR_NS);
    return NULL;
}

/* ---- bells ----------------------------------------------------------------------------------- */

struct bell_log {
    char text[32];
    struct worker *worker;
    uint64_t turns_at_park;
};

static void note_park(void *state, bool parked)
{
    struct bell_log *log = state;
    strncat(log->text, parked ? "P" : "g", sizeof log->text - strlen(log->text) - 1);
    if (parked)
        log->turns_at_park = flag_load_acquire(&log->worker->turns);
}

static void note_ring(void *state)
{
    struct bell_log *log = state;
    strncat(log->text, "R", sizeof log->text - strlen(log->text) - 1);
}

static void bells_hear_of_sleeps_and_of_work(void **state)
{
    struct fixture *fixture = *state;
    struct bell_log log = {.worker = &fixture->worker};
    runner_set_bells(fixture->runner, &(struct runner_bells){&log, note_park, note_ring});
    flag_store_release(&fixture->worker.work, 2);
    assert_int_equal(runner_turn(fixture->runner, 1000), 1);
    assert_int_equal(runner_turn(fixture->runner, 1000), 1);
    assert_string_equal(log.text, "RR");
    assert_int_equal(runner_turn(fixture->runner, 1000), 0);
    assert_string_equal(log.text, "RRPg");
    /* after it said so it looked once more before it slept */
    assert_int_equal(flag_load_acquire(&fixture->worker.turns), log.turns_at_park + 1);
}

static void peers_wake_who_is_parked(void **state)
{
    struct fixture *fixture = *state;
    struct runner *runners[2] = {fixture->runner, NULL};
    struct error err;
    assert_int_equal(runner_create(fixture->env, "peer", &runners[1], &err), EMB_OK);
    struct flag to[2], hits;
    flag_init(&to[0], 1);
    flag_init(&to[1], 0);
    flag_init(&hits, 0);
    struct ball balls[2] = {{&to[0], &to[1], &hits}, {&to[1], &to[0], &hits}};
    pthread_t threads[2];
    void *args[2][2];
    for (int i = 0; i < 2; i++) {
        struct agent agent = {.name = "ball", .do_work = ball_do_work, .state = &balls[i]};
        runner_add(runners[i], &agent);
        runner_set_peers(runners[i], runners, 2);
    }
    uint64_t before_ns = env_now_ns(fixture->env);
    for (int i = 0; i < 2; i++) {
        args[i][0] = runners[i];
        args[i][1] = &hits;
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_deeply, args[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(flag_load_relaxed(&hits) >= 20000);
    /* A lost wake costs a whole sleep. */
    assert_true(env_now_ns(fixture->env) - before_ns < FAR_NS);
    runner_destroy(runners[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_turn_calls_each_agent_once_with_one_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_idle_turn_looks_once_more_and_sleeps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wake_before_the_sleep_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(run_ends_when_an_agent_stops_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stop_works_from_a_signal_handler, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_idle_runner_parks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bells_hear_of_sleeps_and_of_work, set_up, tear_down),
        cmocka_unit_test_setup_teardown(peers_wake_who_is_parked, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Fibers: contexts with stacks of their own, switched by the scheduler alone. One that sleeps has
 * an event with the number of that sleep; a wake moves the event to now. An interrupted one sleeps
 * too, but cannot be woken early.
 *
 * A context is entered once by setcontext, which gives it its stack; from then on it is left and
 * resumed by _setjmp and _longjmp, which make no system call (swapcontext makes one for the signal
 * mask, and was half of a seed's time). The address sanitizer wants to be told of each switch and
 * does not follow jumps between stacks: there it is swapcontext.
 */
#undef _FORTIFY_SOURCE /* its longjmp takes a jump to another stack for an error */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "base/assert.h"
#include "sim/core/internal.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define STACK_BYTES (1024u << 10)
#else
#define STACK_BYTES (256u << 10)
#endif

enum fiber_state { FIBER_FREE, FIBER_RUNS, FIBER_SLEEPS, FIBER_INTERRUPTED };

struct fiber {
    enum fiber_state state;
    char name[24];
    struct host *host;
    void (*main)(void *arg);
    void *arg;
    ucontext_t context;
    jmp_buf jump; /* where it goes on, once it has begun */
    bool begun;
    unsigned char *stack; /* kept from seed to seed */
    uint64_t serial;      /* no other fiber ever has it */
    uint64_t sleep;       /* number of its newest sleep */
    bool wake_is_due;     /* it was woken while it did not sleep */
    bool woken;
    void *shadow; /* of the address sanitizer */
};

static struct {
    struct fiber fibers[FIBERS_MAX];
    struct fiber *current;
    ucontext_t scheduler;
    jmp_buf scheduler_jump;
    uint64_t sleeps;
    uint64_t interrupt_every; /* points, on average; 0: never */
    uint64_t interrupt_in;
    const void *scheduler_stack;
    size_t scheduler_bytes;
    void *scheduler_shadow;
} at;

static void draw_interrupt(void)
{
    if (at.interrupt_every)
        at.interrupt_in = choose_between(CHOICE_SCHEDULE, 1, 2 * at.interrupt_every);
}

void fibers_begin(void)
{
    static const uint16_t every[] = {0, 1000, 300, 100, 100, 30, 10};
    for (int i = 0; i < FIBERS_MAX; i++)
        at.fibers[i].state = FIBER_FREE;
    at.current = NULL;
    at.interrupt_every = every[choose_below(CHOICE_SCHEDULE, sizeof every / sizeof every[0])];
    draw_interrupt();
}

/* ---- switching ------------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__)

static void entered(void)
{
    __sanitizer_finish_switch_fiber(NULL, &at.scheduler_stack, &at.scheduler_bytes);
}

static void to_scheduler(struct fiber *fiber)
{
    __sanitizer_start_switch_fiber(&fiber->shadow, at.scheduler_stack, at.scheduler_bytes);
    swapcontext(&fiber->context, &at.scheduler);
    __sanitizer_finish_switch_fiber(fiber->shadow, NULL, NULL);
}

static void to_fiber(struct fiber *fiber)
{
    __sanitizer_start_switch_fiber(&at.scheduler_shadow, fiber->stack, STACK_BYTES);
    swapcontext(&at.scheduler, &fiber->context);
    __sanitizer_finish_switch_fiber(at.scheduler_shadow, NULL, NULL);
}

_Noreturn static void leave_for_good(void)
{
    __sanitizer_start_switch_fiber(NULL, at.scheduler_stack, at.scheduler_bytes);
    setcontext(&at.scheduler);
    __builtin_unreachable();
}

#else

static void entered(void)
{
}

static void to_scheduler(struct fiber *fiber)
{
    if (_setjmp(fiber->jump) == 0)
        _longjmp(at.scheduler_jump, 1);
}

static void to_fiber(struct fiber *fiber)
{
    if (_setjmp(at.scheduler_jump))
        return;
    if (fiber->begun)
        _longjmp(fiber->jump, 1);
    fiber->begun = true;
    setcontext(&fiber->context);
}

_Noreturn static void leave_for_good(void)
{
    _longjmp(at.scheduler_jump, 1);
}

#endif

_Noreturn void fiber_abandon(void)
{
    at.current->state = FIBER_FREE;
    leave_for_good();
}

static void fiber_entry(void)
{
    entered();
    at.current->main(at.current->arg);
    fiber_abandon();
}

static void fiber_run(struct fiber *fiber)
{
    fiber->state = FIBER_RUNS;
    at.current = fiber;
    to_fiber(fiber);
    at.current = NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void on_due(void *arg, uint64_t sleep)
{
    struct fiber *fiber = arg;
    if (fiber->state == FIBER_FREE || fiber->state == FIBER_RUNS || fiber->sleep != sleep)
        return;
    if (fiber->host && fiber->host->paused_to_ns > world_now_ns())
        world_at(fiber->host->paused_to_ns, on_due, fiber, sleep);
    else
        fiber_run(fiber);
}

static void stack_take(struct fiber *fiber)
{
    if (!fiber->stack)
        fiber->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    ASSERT(fiber->stack != MAP_FAILED);
}

struct fiber *fiber_start(const char *name, struct host *host, void (*main)(void *arg), void *arg)
{
    struct fiber *fiber = at.fibers;
    while (fiber < at.fibers + FIBERS_MAX && fiber->state != FIBER_FREE)
        fiber++;
    ASSERT(fiber < at.fibers + FIBERS_MAX);
    stack_take(fiber);
    fiber->state = FIBER_SLEEPS;
    snprintf(fiber->name, sizeof fiber->name, "%s", name);
    fiber->host = host;
    fiber->main = main;
    fiber->arg = arg;
    fiber->wake_is_due = fiber->woken = fiber->begun = false;
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, fiber_entry, 0);
    fiber->serial = fiber->sleep = ++at.sleeps;
    world_at(world_now_ns(), on_due, fiber, fiber->sleep);
    return fiber;
}

struct fiber *fiber_current(void)
{
    return at.current;
}

uint32_t fiber_number(const struct fiber *fiber)
{
    return (uint32_t)(fiber - at.fibers);
}

uint64_t fiber_serial(const struct fiber *fiber)
{
    return fiber->serial;
}

const char *fiber_name(const struct fiber *fiber)
{
    return fiber->name;
}

void fibers_each(const struct host *host, void (*fn)(uint32_t number))
{
    for (uint32_t i = 0; i < FIBERS_MAX; i++)
        if (at.fibers[i].state != FIBER_FREE && at.fibers[i].host == host)
            fn(i);
}

void fibers_end(const struct host *host)
{
    for (uint32_t i = 0; i < FIBERS_MAX; i++)
        if (at.fibers[i].host == host)
            at.fibers[i].state = FIBER_FREE;
}

struct host *world_current_host(void)
{
    return at.current ? at.current->host : NULL;
}

/* ---- sleeping -------------------------------------------------------------------------------- */

static void sleep_as(struct fiber *fiber, enum fiber_state state, uint64_t ns)
{
    fiber->state = state;
    fiber->sleep = ++at.sleeps;
    world_at(world_now_ns() + ns, on_due, fiber, fiber->sleep);
    to_scheduler(fiber);
}

bool fiber_sleep(uint64_t ns)
{
    struct fiber *fiber = at.current;
    ASSERT(fiber);
    fiber->woken = fiber->wake_is_due;
    fiber->wake_is_due = false;
    sleep_as(fiber, FIBER_SLEEPS, fiber->woken ? 0 : ns);
    return fiber->woken;
}

void fiber_wake(struct fiber *fiber)
{
    if (fiber->state != FIBER_SLEEPS) {
        fiber->wake_is_due = fiber->state != FIBER_FREE;
        return;
    }
    if (fiber->woken)
        return;
    fiber->woken = true;
    world_at(world_now_ns() + choose_below(CHOICE_SCHEDULE, 5 * US), on_due, fiber, fiber->sleep);
}

/* Mostly for a moment, in which a few others run; seldom so long that everybody else goes on. */
static uint64_t draw_interruption_ns(void)
{
    if (choose_one_in(CHOICE_SCHEDULE, 40)) {
        COVER(PREEMPTED_LONG);
        return choose_skewed(CHOICE_SCHEDULE, 20 * US, 8 * MS);
    }
    return choose_skewed(CHOICE_SCHEDULE, 0, 8 * US);
}

void fiber_preempt_point(void)
{
    struct fiber *fiber = at.current;
    if (!fiber || !at.interrupt_every || --at.interrupt_in > 0)
        return;
    draw_interrupt();
    COVER(PREEMPTED);
    sleep_as(fiber, FIBER_INTERRUPTED, draw_interruption_ns());
}

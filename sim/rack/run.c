#include "sim/rack/run.h"

#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "sim/bugs/planted.h"
#include "sim/check/check.h"
#include "sim/memory/memory.h"
#include "sim/rack/internal.h"

#define READY_NS    (3000 * MS) /* for a rack to be ready, without faults */
#define WORK_NS     (20000 * MS)
#define CRIPPLED_NS (500 * MS) /* after a fault that the rack does not survive */
#define SETTLED_NS                                                                                 \
    (4000 * MS)               /* for gaps to be resolved, slow syncs to end, a node to come back   \
                               */
#define READ_NS     (60 * MS) /* for readers to see the last, and pins to go */
#define EVENTS_MOST 20000000ULL
#define CHECK_EVERY 64

struct rack rack;

/* Asked after every event, so most of it only now and then. */
static bool work_is_over(void)
{
    if (world_events() % CHECK_EVERY)
        return false;
    hosts_check();
    if (world_events() > EVENTS_MOST)
        finding("progress", "more than %llu events, and no end", EVENTS_MOST);
    return (faults_over(0) && clients_done()) || (!rack.armed && faults_over(CRIPPLED_NS));
}

/* What was published is ordered, nothing is held for a gap, and all of the log is durable. */
static bool is_settled(void)
{
    struct sequencer_counters counters = {0};
    if (world_events() % CHECK_EVERY)
        return false;
    if (rack.seat->seat)
        seat_counters(rack.seat->seat, &counters);
    return counters.held_now == 0 && hosts_are_still() && log_durable() >= log_end() &&
           slots_have_entries();
}

/* In some seeds power is lost everywhere in the middle of the work. */
static void draw_end(struct run_result *result)
{
    size_t used = strlen(result->shape);
    if (!choose_percent(CHOICE_FAULTS, 15))
        return;
    rack.ends_after_ns = choose_skewed(CHOICE_FAULTS, 2 * MS, 200 * MS);
    snprintf(result->shape + used, sizeof result->shape - used,
             "; power is lost everywhere after %.2f ms", (double)rack.ends_after_ns / 1e6);
}

static void begin(const struct run_options *options, struct run_result *result)
{
    planted_select(options->bug ? planted_find(options->bug) : BUG_NONE);
    world_begin(options->seed, options->trace);
    rack = (struct rack){.armed = true};
    shape_draw(&rack.shape, result->shape, sizeof result->shape);
    env_begin(&rack.shape.env);
    hosts_create();
    check_begin();
    faults_draw(result);
    draw_end(result);
    world_on_accident(memory_accident);
    world_tell_where(where_called);
    hosts_start();
}

/* False: power is lost, or something was found, before all came to rest. */
static bool work(uint64_t keep_faults)
{
    struct rack_addresses addresses;
    uint64_t end_ns = rack.ends_after_ns ? rack.ends_after_ns : WORK_NS;
    if (!world_run(hosts_ready, world_now_ns() + READY_NS)) {
        finding("progress", "the rack is not ready after %llu ms", READY_NS / MS);
        return false;
    }
    hosts_addresses(&addresses);
    clients_start(&rack.shape.workload, &addresses);
    hosts_move();
    faults_start(keep_faults);
    world_run(work_is_over, world_now_ns() + end_ns);
    hosts_check();
    if (rack.ends_after_ns)
        return false;
    clients_stop();
    rack.still = true;
    if (rack.armed)
        world_run(is_settled, world_now_ns() + SETTLED_NS);
    world_run(NULL, world_now_ns() + READ_NS);
    hosts_check();
    return true;
}

static void judge(bool at_rest)
{
    if (at_rest && !world_has_finding())
        check_quiet(rack.armed);
    if (world_has_finding())
        return;
    hosts_count_coverage();
    faults_power_lost();
    check_power_lost();
}

static void conclude(struct run_result *result)
{
    const struct world_finding *found = world_finding();
    result->failed = found->there;
    snprintf(result->checker, sizeof result->checker, "%s", found->checker);
    snprintf(result->finding, sizeof result->finding, "%s", found->text);
    result->hash = trace_hash();
    result->simulated_ns = world_now_ns();
    result->batches = clients_batches();
    result->coverage = *coverage_of_world();
}

void run_seed(const struct run_options *options, struct run_result *result)
{
    memset(result, 0, sizeof *result);
    begin(options, result);
    judge(work(options->keep_faults));
    conclude(result);
    clients_end();
    check_end();
    env_end();
    world_end();
}

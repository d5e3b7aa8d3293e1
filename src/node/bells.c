/*
 * How it works, edge N1. The sleeper publishes `parked`, drains, has one more turn, sleeps. The
 * others do their work, which ends with a drain, drain, look at `parked`, ring. Either that last
 * turn sees the work or they see the word. A ring that is lost, or that comes from nobody, costs
 * one look.
 */
#include "node/bells.h"

#include <stdio.h>
#include <stdlib.h>

#define LOOK_EVERY_NS 1000000000ULL
#define BELL_COUNT    (2 * NODE_MAX) /* of each node: its thread's, and the sequencer's */
#define NAME_BYTES    64
#define NOBODY        (-1)

struct bells {
    struct env *env;
    struct region *region;
    struct pub_u64 *own; /* the word that says whether this thread sleeps */
    uint32_t number;     /* of its bell */
    struct env_bell *bell;
    int found[BELL_COUNT]; /* those that hang on this host, NOBODY for the others and the own */
    uint32_t here[BELL_COUNT];
    uint32_t here_count;
    uint64_t look_ns;
};

static struct pub_u64 *word_of(struct region *region, uint32_t number)
{
    struct node_beat_shared *beat = region_node_beat(region, number / 2);
    return number % 2 ? &beat->seat_parked : &beat->parked;
}

/* Of one region on one host. */
static void name_of(const struct bells *b, uint32_t number, char name[NAME_BYTES])
{
    int used = snprintf(name, NAME_BYTES, "embarcadero/");
    for (int i = 0; i < 16; i++)
        used += snprintf(name + used, NAME_BYTES - (size_t)used, "%02x", b->region->uuid[i]);
    snprintf(name + used, NAME_BYTES - (size_t)used, "/%u", number);
}

static void park(void *state, bool parked)
{
    struct bells *b = state;
    mem_publish_u64(&b->region->mem, b->own, parked); /* N1 */
    if (parked)
        mem_drain(&b->region->mem);
}

static void forget(struct bells *b, uint32_t number)
{
    env_bell_forget(b->found[number]);
    b->found[number] = NOBODY;
    b->look_ns = 0; /* another may hang there already */
}

static void ring(void *state)
{
    struct bells *b = state;
    if (b->here_count == 0)
        return;
    mem_drain(&b->region->mem); /* N1 */
    for (uint32_t i = 0; i < b->here_count; i++) {
        uint32_t number = b->here[i];
        if (b->found[number] != NOBODY &&
            mem_observe_u64(&b->region->mem, word_of(b->region, number)) &&
            !env_bell_ring(b->found[number]))
            forget(b, number);
    }
}

/* Who hangs a bell here; cheap enough for once a second. */
static int look(void *state, uint64_t now_ns)
{
    struct bells *b = state;
    char name[NAME_BYTES];
    if (b->look_ns && now_ns - b->look_ns < LOOK_EVERY_NS)
        return 0;
    b->look_ns = now_ns;
    b->here_count = 0;
    for (uint32_t number = 0; number < BELL_COUNT; number++) {
        if (number == b->number)
            continue;
        name_of(b, number, name);
        if (b->found[number] == NOBODY)
            b->found[number] = env_bell_find(b->env, name);
        if (b->found[number] != NOBODY)
            b->here[b->here_count++] = number;
    }
    return 0;
}

int bells_create(struct env *env, struct runner *runner, struct region *region, uint32_t node,
                 bool is_seat, struct bells **out, struct error *err)
{
    char name[NAME_BYTES];
    struct bells *b = calloc(1, sizeof *b);
    if (!b)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for the bells of node %u", node);
    *b = (struct bells){.env = env, .region = region, .number = 2 * node + is_seat};
    b->own = word_of(region, b->number);
    for (uint32_t i = 0; i < BELL_COUNT; i++)
        b->found[i] = NOBODY;
    name_of(b, b->number, name);
    int rc = env_bell_hang(runner_poller(runner), name, &b->bell, err);
    if (rc) {
        free(b);
        return rc;
    }
    runner_set_bells(runner, &(struct runner_bells){b, park, ring});
    runner_add(runner, &(struct agent){"bells", look, b});
    *out = b;
    return EMB_OK;
}

void bells_destroy(struct bells *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; i < BELL_COUNT; i++)
        if (b->found[i] != NOBODY)
            env_bell_forget(b->found[i]);
    env_bell_take_down(b->bell);
    free(b);
}

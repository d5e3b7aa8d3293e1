/* Faults of the network. */
#include "base/bits.h"
#include "sim/env/internal.h"

static bool link_joins(const struct connection *connection, const struct host *a,
                       const struct host *b)
{
    const struct host *from = connection->end[0].host, *to = connection->end[1].host;
    bool works = connection->end[0].env && connection->end[1].env && connection->end[0].connected &&
                 !connection->end[0].failed && !connection->end[1].failed &&
                 !connection->stream[0].cut && !connection->stream[1].cut;
    if (!works)
        return false;
    return b ? (from == a && to == b) || (from == b && to == a) : from == a || to == a;
}

/* One of those that work, by chance; NULL: there is none. */
static struct connection *link_pick(const struct host *a, const struct host *b)
{
    uint64_t count = 0;
    struct connection *at;
    for (at = TAILQ_FIRST(&simulated.network.connections); at; at = TAILQ_NEXT(at, link))
        count += link_joins(at, a, b);
    if (count == 0)
        return NULL;
    uint64_t left = choose_below(CHOICE_NETWORK, count);
    for (at = TAILQ_FIRST(&simulated.network.connections); at; at = TAILQ_NEXT(at, link))
        if (link_joins(at, a, b) && left-- == 0)
            break;
    return at;
}

bool net_break_one(struct host *a, struct host *b)
{
    struct connection *picked = link_pick(a, b);
    if (picked)
        link_break(picked);
    return picked != NULL;
}

bool net_stall_one(struct host *host, uint64_t until_ns)
{
    struct connection *picked = link_pick(host, NULL);
    if (!picked)
        return false;
    int from = (int)choose_below(CHOICE_NETWORK, 2);
    TRACE("net-stall", picked->number, from, "connection %u stalls: nothing passes from %s to %s",
          picked->number, picked->end[from].host->name, picked->end[!from].host->name);
    COVER(CONNECTION_STALLED);
    stream_stall(picked, from, until_ns);
    return true;
}

static void partition_pair(const struct host *a, const struct host *b, uint64_t until_ns)
{
    uint64_t *there = &simulated.network.partitioned_to_ns[a->number][b->number];
    uint64_t *back = &simulated.network.partitioned_to_ns[b->number][a->number];
    *there = *back = max_u64(*there, until_ns);
}

void net_partition(struct host *a, struct host *b, uint64_t until_ns)
{
    TRACE("net-partition", a->number, b ? b->number : HOSTS_MAX, "%s is cut off from %s", a->name,
          b ? b->name : "all others");
    COVER(PARTITIONED);
    for (uint32_t i = 0; i < world_host_count(); i++) {
        struct host *other = world_host(i);
        if (other != a && (!b || other == b))
            partition_pair(a, other, until_ns);
    }
}

/* What a node adds to its broker's STATUS answers: its process, its replica and store. */
#include "node/status.h"

#include <stdio.h>
#include <unistd.h>

struct sink {
    broker_status_fn *fn;
    void *arg;
    const char *table;
    uint32_t row;
};

static void put(const struct sink *sink, const char *name, struct status_item *item)
{
    item->row = sink->row;
    snprintf(item->table, sizeof item->table, "%s", sink->table);
    snprintf(item->name, sizeof item->name, "%s", name);
    sink->fn(sink->arg, item);
}

static void put_number(const struct sink *sink, const char *name, uint64_t number)
{
    put(sink, name, &(struct status_item){.number = number});
}

static void put_text(const struct sink *sink, const char *name, const char *text)
{
    struct status_item item = {.is_text = true};
    snprintf(item.text, sizeof item.text, "%.*s", (int)sizeof item.text - 1, text);
    put(sink, name, &item);
}

void node_status_process(uint32_t node, broker_status_fn *fn, void *arg)
{
    const struct sink sink = {.fn = fn, .arg = arg, .table = "process", .row = node};
    put_number(&sink, "pid", (uint64_t)getpid());
}

/* Whether a request stands in its line that the log does not know. */
static bool asks(struct region *region, const struct meta_state *meta, uint32_t node)
{
    struct node_request_shared request;
    return region_node_request_observe(region, node, &request) && request.roles != 0 && /* R7 */
           request.incarnation > meta->nodes[node].incarnation;
}

static const char *state_text(const struct meta_node *node, bool silent, bool asks_in)
{
    if (asks_in)
        return "asks";
    return !node->live ? "left" : silent ? "silent" : "live";
}

static void put_member(const struct sink *sink, struct region *region, const struct member *member)
{
    struct node_read_shared *line = region_node_read(region, sink->row);
    put_number(sink, "silent_ms", member_silent_ns(member, sink->row) / 1000000);
    put_number(sink, "read_position", mem_observe_u64(&region->mem, &line->read_position));
    put_number(sink, "needed", mem_observe_u64(&region->mem, &line->needed));
    put_number(sink, "store_synced", mem_observe_u64(&region->mem, &line->store_synced));
}

void node_status_members(struct region *region, const struct meta_state *meta,
                         const struct member *member, broker_status_fn *fn, void *arg)
{
    struct sink sink = {.fn = fn, .arg = arg, .table = "node"};
    uint32_t silent = member_silent_nodes(member);
    for (sink.row = 0; sink.row < NODE_MAX; sink.row++) {
        const struct meta_node *node = &meta->nodes[sink.row];
        bool asks_in = asks(region, meta, sink.row);
        if (node->incarnation == 0 && !asks_in)
            continue;
        put_text(&sink, "state", state_text(node, silent >> sink.row & 1, asks_in));
        if (node->live)
            put_member(&sink, region, member);
    }
}

void node_status_log(uint32_t node, uint32_t sequencer, uint64_t durable_waits_ms,
                     broker_status_fn *fn, void *arg)
{
    const struct sink sink = {.fn = fn, .arg = arg, .table = "broker", .row = node};
    put_number(&sink, "sequencer", sequencer < NODE_MAX ? sequencer : UINT64_MAX);
    put_number(&sink, "durable_waits_ms", durable_waits_ms);
}

void node_status_replica(uint32_t node, const struct replica *replica, const struct store *store,
                         broker_status_fn *fn, void *arg)
{
    const struct sink sink = {.fn = fn, .arg = arg, .table = "replica", .row = node};
    struct store_counters counters;
    struct error failure;
    int failed = replica_failure(replica, &failure);
    store_counters(store, &counters);
    put_number(&sink, "position", replica_position(replica));
    put_number(&sink, "synced", store_synced(store));
    put_number(&sink, "entries", counters.entries);
    put_number(&sink, "payload_bytes", counters.payload_bytes);
    put_number(&sink, "written_bytes", counters.appended_bytes);
    put_number(&sink, "syncs", counters.syncs);
    put_number(&sink, "sync_us_mean",
               counters.syncs ? counters.sync_ns_total / counters.syncs / 1000 : 0);
    put_number(&sink, "files", counters.files);
    put_text(&sink, "engine", counters.engine);
    put_text(&sink, "failure", failed ? failure.text : "none");
}

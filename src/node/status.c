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

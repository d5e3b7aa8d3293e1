#include "broker/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CLIENTS_TOLD 20u /* of a broker: anybody may ask, and each costs this thread */

struct status_sink {
    broker_status_fn *fn;
    void *arg;
    const char *table;
    uint32_t row;
};

/* Cut to what fits. There are hundreds in an answer that anybody may ask for again and again. */
static void copy_text(char *to, size_t room, const char *from)
{
    size_t bytes = strnlen(from, room - 1);
    memcpy(to, from, bytes);
    to[bytes] = 0;
}

static void put_item(struct status_sink *sink, const char *name, struct status_item *item)
{
    copy_text(item->table, sizeof(item->table), sink->table);
    copy_text(item->name, sizeof(item->name), name);
    item->row = sink->row;
    sink->fn(sink->arg, item);
}

static void put_number(struct status_sink *sink, const char *name, uint64_t number)
{
    struct status_item item = {.number = number};
    put_item(sink, name, &item);
}

static void put_string(struct status_sink *sink, const char *name, const char *text)
{
    struct status_item item = {.is_text = true};
    copy_text(item.text, sizeof(item.text), text);
    put_item(sink, name, &item);
}

static void put_text(struct status_sink *sink, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void put_text(struct status_sink *sink, const char *name, const char *format, ...)
{
    struct status_item item = {.is_text = true};
    va_list args;
    va_start(args, format);
    vsnprintf(item.text, sizeof(item.text), format, args);
    va_end(args);
    put_item(sink, name, &item);
}

/* ---- this broker ----------------------------------------------------------------------------- */

static void put_positions(const struct broker *b, struct status_sink *sink)
{
    put_number(sink, "node", b->options.node);
    put_number(sink, "epoch", follower_epoch(b->follower));
    put_number(sink, "life", follower_meta(b->follower)->life);
    put_number(sink, "committed", follower_position(b->follower));
    put_number(sink, "durable", follower_durable(b->follower));
    put_number(sink, "kept", follower_kept(b->follower));
}

static void put_lane(const struct broker *b, struct status_sink *sink)
{
    const struct lane *lane = &b->lane;
    put_number(sink, "lane_open", lane->open && !lane->lost);
    if (!lane->open)
        return;
    put_number(sink, "slots", lane->slots.capacity);
    put_number(sink, "slots_used", slot_ring_used(&lane->slots));
    put_number(sink, "slots_published", lane->slots.next);
    put_number(sink, "retry_below", lane->retry_below);
    put_number(sink, "blog_bytes", blog_total_bytes(&lane->blog));
    put_number(sink, "blog_free_bytes", blog_free_bytes(&lane->blog));
    put_number(sink, "paused", b->pressure.paused);
    put_number(sink, "refusing", b->pressure.refusing);
    put_number(sink, "answers_waiting", ring_count(&b->pending.answers));
}

static void put_counters(const struct broker *b, struct status_sink *sink)
{
    const struct broker_counters *n = &b->counters;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"connections", n->connections},
                {"accepted", n->accepted},
                {"refused", n->refused},
                {"refused_client", n->refused_client},
                {"accept_failures", n->accept_failures},
                {"frame_timeouts", n->frame_timeouts},
                {"unread_timeouts", n->unread_timeouts},
                {"idle_timeouts", n->idle_timeouts},
                {"over_memory", n->over_memory},
                {"frames_in", n->frames_in},
                {"batches_in", n->batches_in},
                {"bytes_in", n->bytes_in},
                {"batches_out", n->batches_out},
                {"bytes_out", n->bytes_out},
                {"sendfile_bytes", n->sendfile_bytes},
                {"acks", n->acks},
                {"retries", n->retries},
                {"duplicates", n->duplicates},
                {"rejected", n->rejected},
                {"corrupt_batches", n->corrupt_batches},
                {"refused_batches", n->refused_batches},
                {"pauses", n->pauses},
                {"backpressure", n->backpressure},
                {"requests", n->requests},
                {"protocol_errors", n->protocol_errors},
                {"stalled", n->stalled}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        put_number(sink, rows[i].name, rows[i].value);
}

/* ---- the rack -------------------------------------------------------------------------------- */

static void put_roles(struct status_sink *sink, uint32_t roles)
{
    put_text(sink, "roles", "%s%s%s%s", roles & ROLE_BROKER ? "broker " : "",
             roles & ROLE_REPLICA ? "replica " : "", roles & ROLE_SEQUENCER ? "sequencer " : "",
             roles & ROLE_STANDBY ? "standby " : "");
}

static void put_nodes(const struct meta_state *meta, struct status_sink *sink)
{
    sink->table = "node";
    for (sink->row = 0; sink->row < NODE_MAX; sink->row++) {
        const struct meta_node *node = &meta->nodes[sink->row];
        if (!node->incarnation)
            continue;
        put_text(sink, "address", "%.*s:%u", NODE_HOST_BYTES, node->host, node->port);
        put_roles(sink, node->roles);
        put_number(sink, "incarnation", node->incarnation);
        put_number(sink, "first_segment", node->first_segment);
        put_number(sink, "segments", node->segments);
    }
}

static void put_chain(struct status_sink *sink, const struct meta_chain *chain)
{
    char text[CHAIN_MAX * 4 + 1] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < chain->count && i < CHAIN_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", i ? "," : "",
                                 chain->members[i]);
    put_text(sink, "chain", "%s", text);
    put_number(sink, "chain_version", chain->version);
}

static void put_lanes(const struct meta_state *meta, struct status_sink *sink)
{
    sink->table = "lane";
    for (sink->row = 0; sink->row <= LANE_MAX; sink->row++) {
        const struct meta_lane *lane = &meta->lanes[sink->row];
        if (lane->node >= NODE_MAX && lane->chain.version == 0)
            continue;
        if (lane->node < NODE_MAX)
            put_number(sink, "node", lane->node);
        put_number(sink, "generation", lane->generation);
        put_chain(sink, &lane->chain);
    }
}

static void put_topic(struct broker *b, const struct meta_topic *topic, struct status_sink *sink)
{
    struct topic_info info;
    topic_info_fill(b, topic, &info);
    put_text(sink, "name", "%s", info.name);
    put_number(sink, "order", info.settings.order);
    put_number(sink, "replicas", info.settings.replicas);
    put_number(sink, "min_insync", info.settings.min_insync);
    put_number(sink, "gap", info.settings.gap);
    put_number(sink, "durability", info.settings.durability);
    put_number(sink, "first_offset", info.first_offset);
    put_number(sink, "next_offset", info.next_offset);
    put_number(sink, "durable_offset", info.durable_offset);
}

static void put_topics(struct broker *b, struct status_sink *sink)
{
    const struct meta_state *meta = follower_meta(b->follower);
    sink->table = "topic";
    for (uint32_t i = 0; i < meta->topics_max; i++) {
        sink->row = meta->topics[i].id;
        if (topic_is_live(&meta->topics[i]))
            put_topic(b, &meta->topics[i], sink);
    }
}

static void put_topic_name(const struct broker *b, const char *name, uint32_t id,
                           struct status_sink *sink)
{
    const struct meta_topic *topic = meta_topic_by_id(follower_meta(b->follower), id);
    if (topic)
        put_string(sink, name, topic->name);
}

/* The newest connections: who is there, and what for. */
static void put_clients(const struct broker *b, struct status_sink *sink)
{
    uint32_t count = 0;
    sink->table = "client";
    for (struct list *at = b->all.prev; at != &b->all && count < CLIENTS_TOLD; at = at->prev) {
        const struct connection *c = CONTAINER_OF(at, struct connection, all_link);
        if (!c->heard)
            continue;
        sink->row = b->options.node * CLIENTS_TOLD + count++;
        put_number(sink, "broker", b->options.node);
        put_string(sink, "address", env_peer_name(c->socket));
        put_string(sink, "name", c->name);
        if (c->publishing.open)
            put_topic_name(b, "publishes", c->publishing.topic, sink);
        if (c->delivery.subscribed)
            put_topic_name(b, "reads", c->delivery.topic, sink);
        put_number(sink, "sent_bytes", c->sent_bytes);
    }
}

void broker_status(struct broker *b, broker_status_fn *fn, void *arg)
{
    const struct meta_state *meta = follower_meta(b->follower);
    struct status_sink sink = {.fn = fn, .arg = arg, .table = "broker", .row = b->options.node};
    put_positions(b, &sink);
    put_lane(b, &sink);
    put_counters(b, &sink);
    put_nodes(meta, &sink);
    put_lanes(meta, &sink);
    put_topics(b, &sink);
    put_clients(b, &sink);
    if (b->options.more_status)
        b->options.more_status(b->options.more_arg, fn, arg);
}

#include "bin/settings.h"

#define NS_PER_MS 1000000

static struct geometry geometry_of(const struct config *c)
{
    return (struct geometry){.region_bytes = c->region_bytes,
                             .segment_bytes = (uint32_t)c->segment_bytes,
                             .lanes = (uint32_t)c->lanes,
                             .lane_slots = (uint32_t)c->lane_slots,
                             .goi_segments = (uint32_t)c->goi_segments,
                             .goi_segment_entries = (uint32_t)c->goi_segment_entries,
                             .topics = (uint32_t)c->topics,
                             .sessions = (uint32_t)c->sessions};
}

int settings_check(const struct config *c, struct error *err)
{
    const struct geometry geometry = geometry_of(c);
    return geometry_check(&geometry, err);
}

struct broker_limits settings_limits(const struct config *c)
{
    return (struct broker_limits){
        .max_connections = (uint32_t)c->max_connections,
        .max_connections_per_client = (uint32_t)c->max_connections_per_client,
        .idle_timeout_ms = (uint32_t)(c->idle_timeout_ns / NS_PER_MS),
        .frame_timeout_ms = (uint32_t)(c->frame_timeout_ns / NS_PER_MS),
        .client_memory_bytes = c->client_memory_bytes,
        .request_wait_ms = (uint32_t)(c->request_wait_ns / NS_PER_MS),
        .deliver_stall_ms = (uint32_t)(c->deliver_stall_ns / NS_PER_MS),
        .high_percent = (uint32_t)c->backpressure_high_percent,
        .low_percent = (uint32_t)c->backpressure_low_percent,
        .backpressure_ms = (uint32_t)(c->backpressure_time_ns / NS_PER_MS)};
}

struct rack_options settings_rack(const struct daemon *d, const char *region_url)
{
    const struct config *c = &d->config;
    return (struct rack_options){.env = d->env,
                                 .region_url = region_url,
                                 .geometry = geometry_of(c),
                                 .coherence = (enum mem_coherence)c->coherence,
                                 .writeback = (enum mem_writeback)c->writeback,
                                 .nodes = (uint32_t)c->nodes,
                                 .replicas = (uint32_t)c->replicas,
                                 .host = c->host,
                                 .port = (uint16_t)c->port,
                                 .data = c->data,
                                 /* one a node, and one for the sequencer */
                                 .dedicated = daemon_dedicates(d, c->nodes + 1),
                                 .sync_bytes = c->sync_bytes,
                                 .pass_ns = c->pass_time_ns,
                                 .fence_timeout_ns = c->gap_fence_timeout_ns,
                                 .skip_timeout_ns = c->gap_skip_timeout_ns,
                                 .max_batch_bytes = (uint32_t)c->max_batch_bytes,
                                 .max_message_bytes = (uint32_t)c->max_message_bytes,
                                 .limits = settings_limits(c)};
}

struct process_options settings_process(const struct daemon *d)
{
    const struct config *c = &d->config;
    return (struct process_options){.place = {.env = d->env,
                                              .url = c->region,
                                              .geometry = geometry_of(c),
                                              .coherence = (enum mem_coherence)c->coherence},
                                    .writeback = (enum mem_writeback)c->writeback,
                                    .node = (uint32_t)c->node_id,
                                    .roles = c->roles,
                                    .nodes = (uint32_t)c->nodes,
                                    .replicas = (uint32_t)c->replicas,
                                    .host = c->host,
                                    .advertise = c->advertise_host[0] ? c->advertise_host : NULL,
                                    .port = (uint16_t)c->port,
                                    .data = c->data,
                                    .dedicated = daemon_dedicates(d, 2),
                                    .sync_bytes = c->sync_bytes,
                                    .pass_ns = c->pass_time_ns,
                                    .fence_timeout_ns = c->gap_fence_timeout_ns,
                                    .skip_timeout_ns = c->gap_skip_timeout_ns,
                                    .max_batch_bytes = (uint32_t)c->max_batch_bytes,
                                    .max_message_bytes = (uint32_t)c->max_message_bytes,
                                    .limits = settings_limits(c)};
}

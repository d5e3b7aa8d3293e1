/* What clients may take: defaults, what is possible, and the memory of one connection. */
#include <inttypes.h>

#include "broker/state.h"

#define CLIENT_MEMORY_LEAST (64u << 10)

void limits_complete(struct broker_limits *limits)
{
    default_u32(&limits->max_connections, 10000);
    default_u32(&limits->frame_timeout_ms, 10000);
    default_u32(&limits->request_wait_ms, 10000);
    default_u32(&limits->deliver_stall_ms, 500);
    default_u32(&limits->high_percent, 80);
    default_u32(&limits->low_percent, limits->high_percent < 50 ? limits->high_percent : 50);
    default_u32(&limits->backpressure_ms, 10000);
    if (limits->client_memory_bytes == 0)
        limits->client_memory_bytes = 64u << 20;
}

int limits_check(const struct broker_limits *limits, struct error *err)
{
    if (limits->max_connections > 1000000)
        return error_set(err, EMB_ERR_INVALID_SETTING,
                         "max_connections is %u; 1 to 1000000 are accepted",
                         limits->max_connections);
    if (limits->client_memory_bytes < CLIENT_MEMORY_LEAST)
        return error_set(err, EMB_ERR_INVALID_SETTING,
                         "client_memory_bytes is %" PRIu64 "; at least %u is accepted",
                         limits->client_memory_bytes, CLIENT_MEMORY_LEAST);
    if (limits->high_percent > 100 || limits->low_percent > limits->high_percent)
        return error_set(
            err, EMB_ERR_INVALID_SETTING,
            "high_percent is %u and low_percent %u; 1 <= low <= high <= 100 is accepted",
            limits->high_percent, limits->low_percent);
    return EMB_OK;
}

int broker_set_limits(struct broker *b, const struct broker_limits *limits, struct error *err)
{
    struct broker_limits complete = *limits;
    limits_complete(&complete);
    int code = limits_check(&complete, err);
    if (code != EMB_OK)
        return code;
    b->options.limits = complete;
    pressure_set(&b->pressure, complete.high_percent, complete.low_percent,
                 complete.backpressure_ms * 1000000ULL);
    return EMB_OK;
}

static size_t ring_bytes(const struct ring *ring)
{
    return ring->capacity * ring->item_bytes;
}

static size_t memory_of(const struct connection *c)
{
    bool allocated = c->input.control && c->input.control != c->input.own_control;
    size_t body = allocated ? c->input.frame.body_bytes : 0;
    size_t requests = c->requests + (c->publishing.lost != NULL);
    return sizeof(*c) + body + requests * sizeof(struct meta_request) + c->output.capacity +
           ring_bytes(&c->acks) + ring_bytes(&c->delivery.inflight.batches);
}

bool memory_allows(const struct connection *c, size_t more, struct error *err)
{
    uint64_t limit = c->broker->options.limits.client_memory_bytes;
    size_t used = memory_of(c);
    if (used + more <= limit)
        return true;
    error_set(err, EMB_ERR_LIMIT,
              "this connection has %zu bytes of the broker's memory and asks for %zu more; "
              "client-memory is %" PRIu64 "; read answers sooner, or ask for less",
              used, more, limit);
    return false;
}

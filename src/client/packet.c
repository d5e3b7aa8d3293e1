#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "client/publisher.h"

static void packet_free(struct packet *packet)
{
    free(packet->buffer);
    free(packet->scratch);
    free(packet->cookies);
    free(packet);
}

static struct packet *packet_create(struct emb_publisher *p)
{
    struct packet *packet = calloc(1, sizeof *packet);

    if (packet == NULL)
        return NULL;
    packet->buffer = aligned_alloc(CACHE_LINE, align_up(p->batch_bytes_max, CACHE_LINE));
    if (p->options.compression != EMB_COMPRESSION_NONE) {
        packet->scratch_bytes = align_up(batch_scratch_bytes(p->batch_bytes_max), CACHE_LINE);
        packet->scratch = aligned_alloc(CACHE_LINE, packet->scratch_bytes);
    }
    if (packet->buffer == NULL || (packet->scratch_bytes > 0 && packet->scratch == NULL)) {
        packet_free(packet);
        return NULL;
    }
    return packet;
}

/* The pool is a stack: what was used last is the likeliest in the cache. */
struct packet *packet_take(struct emb_publisher *p)
{
    struct packet *packet = p->pool;

    if (packet != NULL) {
        p->pool = packet->next;
    } else if (p->packet_count < PACKETS_MAX) {
        packet = packet_create(p);
        if (packet == NULL)
            return NULL;
        p->packet_count++;
    } else {
        return NULL;
    }
    batch_builder_init(&packet->builder, packet->buffer, p->batch_bytes_max);
    packet->finished = false;
    packet->next = NULL;
    return packet;
}

void packet_put(struct emb_publisher *p, struct packet *packet)
{
    packet->next = p->pool;
    p->pool = packet;
}

void packets_free(struct emb_publisher *p)
{
    ASSERT(p->oldest == NULL);
    while (p->pool != NULL) {
        struct packet *packet = p->pool;
        p->pool = packet->next;
        packet_free(packet);
    }
}

void packet_list_add(struct emb_publisher *p, struct packet *packet)
{
    packet->newer = NULL;
    packet->older = p->newest;
    if (p->newest != NULL)
        p->newest->newer = packet;
    else
        p->oldest = packet;
    p->newest = packet;
}

void packet_list_remove(struct emb_publisher *p, struct packet *packet)
{
    if (packet->older != NULL)
        packet->older->newer = packet->newer;
    else
        p->oldest = packet->newer;
    if (packet->newer != NULL)
        packet->newer->older = packet->older;
    else
        p->newest = packet->older;
}

uint64_t packet_bytes(const struct packet *packet)
{
    return packet->builder.message_count > 0 ? packet->builder.used : 0;
}

bool packet_cookie_reserve(struct packet *packet)
{
    if (packet->builder.message_count < packet->cookie_capacity)
        return true;
    size_t capacity = packet->cookie_capacity > 0 ? packet->cookie_capacity * 2 : 1024;
    uint64_t *grown = realloc(packet->cookies, capacity * sizeof *grown);
    if (grown == NULL)
        return false;
    packet->cookies = grown;
    packet->cookie_capacity = capacity;
    return true;
}

/* Order 4 keeps a sequence per broker, so the broker is fixed with the sequence. */
static void sequence_take(struct emb_publisher *p, struct packet *packet)
{
    uint32_t stripe = 0;

    packet->outgoing.stripe = -1;
    if (!p->has_sessions) {
        packet->client_sequence = UINT64_MAX;
        return;
    }
    if (p->settings.order == TOPIC_ORDER_CLIENT_BROKER) {
        stripe = p->next_stripe++ % p->stripes;
        packet->outgoing.stripe = (int)stripe;
    }
    packet->client_sequence = p->next_sequence[stripe];
    p->next_sequence[stripe] += packet->builder.message_count;
}

struct packet *packet_seal(struct emb_publisher *p)
{
    struct packet *packet = p->open;

    ASSERT(packet != NULL && packet->builder.message_count > 0);
    p->open = NULL;
    sequence_take(p, packet);
    packet->next = NULL;
    *p->sealed_end = packet;
    p->sealed_end = &packet->next;
    p->sealed_count++;
    return packet;
}

void packet_finish(struct emb_publisher *p, struct packet *packet)
{
    void *finished = NULL;
    ssize_t bytes =
        batch_finish(&packet->builder, p->session, packet->client_sequence,
                     (enum batch_compression)p->options.compression, p->options.compression_level,
                     packet->scratch, packet->scratch_bytes, &finished);

    if (bytes < 0) /* what cannot be compressed goes as it is */
        bytes = batch_finish(&packet->builder, p->session, packet->client_sequence, BATCH_NONE, 0,
                             NULL, 0, &finished);
    ASSERT(bytes > 0);
    packet->outgoing.bytes = finished;
    packet->outgoing.byte_count = (size_t)bytes;
}

#include "broker/peers.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"

void peers_init(struct peer_table *table)
{
    for (int i = 0; i < PEER_CHAINS; i++)
        list_init(&table->chains[i]);
}

static size_t address_bytes(const char *name)
{
    const char *port = strrchr(name, ':');
    return port ? (size_t)(port - name) : strlen(name);
}

static struct list *chain_of(struct peer_table *table, const char *name, size_t bytes)
{
    uint64_t hash = bytes;
    for (size_t i = 0; i < bytes; i++)
        hash = hash_u64(hash ^ (unsigned char)name[i]);
    return &table->chains[hash % PEER_CHAINS];
}

static struct peer *peer_find(struct list *chain, const char *name, size_t bytes)
{
    for (struct list *at = chain->next; at != chain; at = at->next) {
        struct peer *peer = CONTAINER_OF(at, struct peer, link);
        if (strncmp(peer->address, name, bytes) == 0 && peer->address[bytes] == 0)
            return peer;
    }
    return NULL;
}

struct peer *peer_enter(struct peer_table *table, const char *name)
{
    size_t bytes = address_bytes(name);
    struct list *chain = chain_of(table, name, bytes);
    struct peer *peer = peer_find(chain, name, bytes);
    if (!peer) {
        peer = calloc(1, sizeof(*peer) + bytes + 1);
        if (!peer)
            return NULL;
        memcpy(peer->address, name, bytes);
        list_init(&peer->link);
        list_append(chain, &peer->link);
    }
    peer->connections++;
    return peer;
}

void peer_leave(struct peer *peer)
{
    ASSERT(peer->connections > 0);
    if (--peer->connections)
        return;
    list_remove(&peer->link);
    free(peer);
}

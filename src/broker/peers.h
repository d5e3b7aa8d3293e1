/*
 * How many connections each client address has: a hash table of chains. One thread. Lifetime: the
 * broker's; an address is forgotten with its last connection.
 */
#ifndef BROKER_PEERS_H
#define BROKER_PEERS_H

#include <stdint.h>

#include "broker/list.h"

#define PEER_CHAINS 1024 /* addresses are the clients', not theirs to choose in numbers */

struct peer {
    struct list link;
    uint32_t connections;
    char address[]; /* without the port */
};

struct peer_table {
    struct list chains[PEER_CHAINS];
};

void peers_init(struct peer_table *table);
/* The peer of "address:port", with one connection more; NULL: no memory. */
struct peer *peer_enter(struct peer_table *table, const char *name);
void peer_leave(struct peer *peer);

#endif

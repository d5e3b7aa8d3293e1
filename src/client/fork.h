/*
 * What fork() does to clients. The list of all clients of the process is the library's one piece of
 * state with static lifetime: the system calls fork handlers without an argument.
 *
 * Writers: who opens and closes clients, and the forking thread; under a mutex of its own, which is
 * taken before a client's. Public contract: embarcadero.h, "Fork".
 */
#ifndef CLIENT_FORK_H
#define CLIENT_FORK_H

#include "client/client.h"

/* From now on the client is looked after when the process forks. */
void fork_watch(struct emb_client *client);
/* Before it is freed; in a child too, and also when it was never watched. */
void fork_forget(struct emb_client *client);

#endif

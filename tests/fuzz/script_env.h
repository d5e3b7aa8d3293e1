/*
 * A network for fuzz targets instead of env/posix: no bytes travel but those that the target feeds
 * in, and time is what it says. One thread. Lifetime: script_create to script_destroy; sockets
 * stay, closed or not, until then.
 */
#ifndef TESTS_FUZZ_SCRIPT_ENV_H
#define TESTS_FUZZ_SCRIPT_ENV_H

#include "env/env.h"

#define SCRIPT_SOCKETS_MAX 512

struct env *script_create(void);
void script_destroy(struct env *env);
struct env_poller *script_poller(struct env *env);
void script_pass(struct env *env, uint64_t ns);
uint64_t script_now_ns(const struct env *env);
/* Calls the handlers of what is ready. */
void script_poll(struct env *env);

/* A peer connects to the listener; NULL: there are too many, or no listener. */
struct env_socket *script_connect(struct env *env);
/* The n-th socket that env_connect made, or NULL. */
struct env_socket *script_connected(struct env *env, unsigned n);
/* How often a handler was called. */
unsigned script_calls(const struct env *env);
/* What its owner then receives. */
void script_feed(struct env_socket *socket, const void *bytes, size_t count);
enum script_end { SCRIPT_FIN, SCRIPT_RST };
void script_end(struct env_socket *socket, enum script_end how);
void script_reset_all(struct env *env);
/* The peer takes that many bytes more; at first it takes all. */
void script_window(struct env_socket *socket, size_t bytes);
/* Whether its owner has closed it. */
bool script_is_closed(const struct env_socket *socket);
/* That at once, so that nothing of what was sent is under way any more. */
bool script_is_reset(const struct env_socket *socket);
/* The peer's TCP acknowledges nothing of what is sent from now on; or all of it. */
void script_hold_acks(struct env_socket *socket, bool hold);
/* What its owner sent and was not taken yet. */
const unsigned char *script_sent(const struct env_socket *socket, size_t *count);
/* Takes the first bytes of it; they are valid until the owner's next send. */
const unsigned char *script_taken(struct env_socket *socket, size_t count);

#endif

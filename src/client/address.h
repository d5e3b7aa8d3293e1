/* Broker addresses as text: "tcp://host:port,host:port". Pure; any thread. */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include "client/tcp/connection.h"

#define ADDRESSES_MAX          32
#define ADDRESSES_DEFAULT      "tcp://127.0.0.1:9650"
#define ADDRESSES_DEFAULT_PORT 9650

/*
 * Reads 1 to ADDRESSES_MAX addresses; "tcp://" may be missing, and ":port" (then 9650). IPv6 stands
 * in brackets. EMB_ERR_INVALID_ARGUMENT with the part that cannot be read.
 */
int addresses_read(const char *text, struct address *addresses, uint32_t *count, struct error *err);

#endif

/* The rack's state as one JSON object, for `status` and for what `bench` needs to know. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include <jansson.h>

#include "embarcadero/embarcadero.h"

/* Asks one broker or all (EMB_BROKER_ANY): {table: [{"row": N, name: value, ...}]}. The caller
   drops it. *result: CLI_DONE, or CLI_FAILED once one did not answer (said on stderr). Blocks. */
json_t *status_ask(struct emb_client *client, int broker, int *result);

/* Puts an item into the tables of that form, rows in ascending order; the first one of a name
   counts. */
void status_take(void *tables, const struct emb_status_item *item);

#endif

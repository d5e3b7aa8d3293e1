/*
 * Answers that wait for durability, in order of position: outcomes come in that order, D only
 * rises, so a queue is enough. Pure. One thread. Lifetime: the broker's.
 */
#ifndef BROKER_PENDING_H
#define BROKER_PENDING_H

#include "base/ring.h"
#include "wire/wire.h"

struct meta_request;

struct pending_answer {
    uint64_t position;            /* told once this lies below D */
    struct meta_request *request; /* the answer to a request; NULL: an ack item */
    uint64_t connection;
    struct ack_item item;
};

struct pending_queue {
    struct ring answers;
};

void pending_init(struct pending_queue *queue);
void pending_free(struct pending_queue *queue);
/* Positions never fall. false: memory is out. */
bool pending_push(struct pending_queue *queue, const struct pending_answer *answer);
/* Takes the oldest if it is below `durable`. */
bool pending_take(struct pending_queue *queue, uint64_t durable, struct pending_answer *answer);

#endif

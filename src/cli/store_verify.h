/*
 * Checks of several stores against each other, and dumps of what they hold. Every batch is looked
 * at once, in order of position, with all stores that have it. One thread. Reading blocks.
 */
#ifndef CLI_STORE_VERIFY_H
#define CLI_STORE_VERIFY_H

#include <stdio.h>

#include "cli/sink.h"
#include "cli/store_catalog.h"

#define MEMBER_ANY UINT32_MAX

/* The same batch in all stores: at[i] is store i's entry of it, or NULL. */
struct catalog_walk {
    const struct catalog *catalog;
    size_t *next; /* per store */
    const struct catalog_batch **at;
    uint64_t position;
};

int walk_begin(struct catalog_walk *walk, const struct catalog *catalog);
/* false: there are no more. */
bool walk_next(struct catalog_walk *walk);
void walk_end(struct catalog_walk *walk);
/* The first store's entry of the batch. */
const struct catalog_batch *walk_batch(const struct catalog_walk *walk);

/*
 * Compares the stores: the same entry and the same payload wherever one stands; each payload on
 * every given store that its lane's chain names, below what that store had synced or any knew to be
 * durable; no store given twice. Fills the topics' figures and the stores' `missing`. Calls fn with
 * a sentence for each problem; returns their number or EMB_ERR_NO_MEMORY.
 */
int64_t store_verify(struct catalog *catalog, void (*fn)(void *arg, const char *problem),
                     void *arg);

/*
 * Writes the values of the topic's messages as lines, in order of position, each batch read from
 * the given member of its chain (0: the head), or MEMBER_ANY: from any store. EMB_ERR_NOT_FOUND
 * when a batch is nowhere to be read, with its position; EMB_ERR_CORRUPT_BATCH; EMB_ERR_IO.
 */
int store_dump_values(const struct catalog *catalog, uint16_t topic, uint32_t member,
                      struct sink *to, struct error *err);
/* A line for each payload in each store: node, position, lane, topic, base offset, messages, bytes
   and the CRC32C of the batch in hexadecimal. topic 0: all. */
void store_dump_batches(const struct catalog *catalog, uint16_t topic, struct sink *to);

#endif

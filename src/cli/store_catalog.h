/*
 * What several stores hold, as one catalog: for each store its summary and an index of its DATA
 * entries, and from their META records the topics and the chains. Read with store_scan, which
 * checks every CRC. One thread; from catalog_read to catalog_free. Reading blocks.
 */
#ifndef CLI_STORE_CATALOG_H
#define CLI_STORE_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "env/env.h"
#include "meta/meta.h"
#include "store/store.h"

/* One DATA entry in one store. */
struct catalog_batch {
    uint64_t position;
    uint64_t base_offset;
    uint64_t payload_at;    /* in its file */
    uint32_t payload_bytes; /* 0: the payload is not in this store */
    uint32_t payload_crc;
    uint32_t entry_crc;
    uint32_t message_count;
    uint32_t file; /* index in the store's files */
    uint16_t topic;
    uint8_t lane;
    uint8_t flags; /* enum entry_flags */
};

#define CATALOG_FILE_NAME_BYTES 64

struct catalog_store {
    const char *path;
    int result; /* of store_scan */
    struct error err;
    struct store_summary summary;
    char (*files)[CATALOG_FILE_NAME_BYTES];
    uint32_t file_count;
    struct catalog_batch *batches; /* in order of position */
    size_t batch_count;
    size_t batch_room;
    uint64_t missing; /* batches that its chains ask of it and that are not there: store_verify */
};

struct catalog_topic {
    uint16_t id;
    bool deleted;
    char name[TOPIC_NAME_MAX + 1];
    struct topic_settings settings;
    uint64_t batches, messages, bytes; /* of all stores together, each batch once */
    uint32_t copies;                   /* the fewest stores that any of its batches is in */
};

struct catalog_chain {
    uint64_t position; /* in force from here on */
    uint32_t lane;
    uint16_t version;
    uint16_t count;
    uint32_t members[CHAIN_MAX];
};

struct catalog {
    struct env *env;
    struct catalog_store *stores;
    int store_count;
    struct catalog_topic *topics;
    size_t topic_count;
    struct catalog_chain *chains; /* in order of position */
    size_t chain_count;
    bool no_memory;
};

/* Reads all stores. A store that is not there, or damaged, has its result and goes on being a
   member of the catalog. EMB_OK or EMB_ERR_NO_MEMORY. */
int catalog_read(struct catalog *catalog, const char *const *paths, int count, struct error *err);
void catalog_free(struct catalog *catalog);

/* The topic of this name (the newest that has it) or number; NULL: none. */
struct catalog_topic *catalog_topic_find(struct catalog *catalog, const char *name);
struct catalog_topic *catalog_topic_by_id(struct catalog *catalog, uint16_t id);
/* The chain of a lane that is in force at a position; NULL: none is known. */
const struct catalog_chain *catalog_chain_at(const struct catalog *catalog, uint32_t lane,
                                             uint64_t position);

#endif

#include "cli/store_catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/units.h"
#include "store/format.h"

/* Where the callback of a scan stands. */
struct reading {
    struct catalog *catalog;
    struct catalog_store *store;
};

/* Room for one more at the end of an array; NULL without memory. */
static void *array_grow(void *array, size_t count, size_t *room, size_t item_bytes)
{
    if (count < *room)
        return array;
    size_t wanted = *room ? 2 * *room : 64;
    void *grown = realloc(array, wanted * item_bytes);
    if (grown)
        *room = wanted;
    return grown;
}

/* ---- META ------------------------------------------------------------------------------------ */

struct catalog_topic *catalog_topic_by_id(struct catalog *catalog, uint16_t id)
{
    for (size_t i = 0; i < catalog->topic_count; i++)
        if (catalog->topics[i].id == id)
            return &catalog->topics[i];
    return NULL;
}

struct catalog_topic *catalog_topic_find(struct catalog *catalog, const char *name)
{
    uint64_t id;
    for (size_t i = catalog->topic_count; i-- > 0;)
        if (strcmp(catalog->topics[i].name, name) == 0)
            return &catalog->topics[i];
    return units_number_read(name, &id) && id <= UINT16_MAX
               ? catalog_topic_by_id(catalog, (uint16_t)id)
               : NULL;
}

static void topic_add(struct catalog *catalog, uint16_t id, const struct meta_record *record)
{
    if (catalog_topic_by_id(catalog, id))
        return; /* another store has told it */
    struct catalog_topic *grown =
        realloc(catalog->topics, (catalog->topic_count + 1) * sizeof *grown);
    if (!grown) {
        catalog->no_memory = true;
        return;
    }
    catalog->topics = grown;
    struct catalog_topic *topic = &catalog->topics[catalog->topic_count++];
    *topic = (struct catalog_topic){
        .id = id,
        .copies = UINT32_MAX,
        .settings = {.order = record->topic_create.order,
                     .replicas = record->topic_create.replicas,
                     .min_insync = record->topic_create.min_insync,
                     .gap = record->topic_create.gap,
                     .durability = record->topic_create.durability,
                     .gap_timeout_us = record->topic_create.gap_timeout_us},
    };
    memcpy(topic->name, record->topic_create.name, sizeof topic->name);
}

static void chain_add(struct catalog *catalog, uint64_t position, const struct meta_record *record)
{
    size_t at = catalog->chain_count;
    for (size_t i = 0; i < catalog->chain_count; i++)
        if (catalog->chains[i].position == position)
            return;
    struct catalog_chain *grown = realloc(catalog->chains, (at + 1) * sizeof *grown);
    if (!grown) {
        catalog->no_memory = true;
        return;
    }
    catalog->chains = grown;
    for (; at > 0 && grown[at - 1].position > position; at--)
        grown[at] = grown[at - 1];
    grown[at] = (struct catalog_chain){.position = position,
                                       .lane = record->chain.lane,
                                       .version = record->chain.version,
                                       .count = record->chain.count};
    memcpy(grown[at].members, record->chain.members, sizeof grown[at].members);
    catalog->chain_count++;
}

const struct catalog_chain *catalog_chain_at(const struct catalog *catalog, uint32_t lane,
                                             uint64_t position)
{
    for (size_t i = catalog->chain_count; i-- > 0;)
        if (catalog->chains[i].lane == lane && catalog->chains[i].position <= position)
            return &catalog->chains[i];
    return NULL;
}

static void meta_take(struct catalog *catalog, const struct store_frame *frame)
{
    struct meta_record record;
    if (!frame->payload ||
        meta_batch_read(frame->payload, frame->payload_bytes, &record, NULL) != EMB_OK)
        return; /* counted by the scan if it is damage */
    if (record.type == META_TOPIC_CREATE)
        topic_add(catalog, frame->entry.topic, &record);
    else if (record.type == META_CHAIN)
        chain_add(catalog, frame->position, &record);
    else if (record.type == META_TOPIC_DELETE) {
        struct catalog_topic *topic =
            catalog_topic_by_id(catalog, (uint16_t)record.topic_delete.topic);
        if (topic)
            topic->deleted = true;
    }
}

/* ---- DATA ------------------------------------------------------------------------------------ */

/* The index of the frame's file in the store's list. */
static bool file_index(struct catalog_store *store, const char *name, uint32_t *index)
{
    uint32_t count = store->file_count;
    if (count == 0 || strcmp(store->files[count - 1], name) != 0) {
        void *grown = realloc(store->files, (count + 1) * sizeof *store->files);
        if (!grown)
            return false;
        store->files = grown;
        snprintf(store->files[count], CATALOG_FILE_NAME_BYTES, "%s", name);
        store->file_count++;
    }
    *index = store->file_count - 1;
    return true;
}

static bool batch_add(struct catalog_store *store, const struct store_frame *frame)
{
    const struct goi_entry_shared *entry = &frame->entry;
    uint32_t file;
    void *grown =
        array_grow(store->batches, store->batch_count, &store->batch_room, sizeof *store->batches);
    if (!grown)
        return false;
    store->batches = grown;
    if (!file_index(store, frame->file, &file))
        return false;
    store->batches[store->batch_count++] = (struct catalog_batch){
        .position = frame->position,
        .base_offset = entry->base_offset,
        .payload_at = frame->file_offset + sizeof(struct store_entry_frame),
        .payload_bytes = (uint32_t)frame->payload_bytes,
        .payload_crc = frame->payload ? crc32c(frame->payload, frame->payload_bytes) : 0,
        .entry_crc = entry->crc,
        .message_count = entry->message_count,
        .file = file,
        .topic = entry->topic,
        .lane = entry->lane,
        .flags = entry->flags,
    };
    return true;
}

static int frame_take(void *arg, const struct store_frame *frame)
{
    struct reading *reading = arg;
    if (frame->kind != STORE_FRAME_ENTRY)
        return 0;
    if (frame->entry.kind == ENTRY_META)
        meta_take(reading->catalog, frame);
    else if (frame->entry.kind == ENTRY_DATA && !batch_add(reading->store, frame))
        reading->catalog->no_memory = true;
    return reading->catalog->no_memory ? EMB_ERR_NO_MEMORY : 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int catalog_read(struct catalog *catalog, const char *const *paths, int count, struct error *err)
{
    *catalog = (struct catalog){.env = env_create(), .store_count = count};
    catalog->stores = calloc((size_t)count + 1, sizeof *catalog->stores);
    if (!catalog->env || !catalog->stores)
        return error_set(err, EMB_ERR_NO_MEMORY, "out of memory");
    for (int i = 0; i < count; i++) {
        struct catalog_store *store = &catalog->stores[i];
        struct reading reading = {catalog, store};
        store->path = paths[i];
        store->result = store_scan(catalog->env, store->path, frame_take, &reading, &store->summary,
                                   &store->err);
        if (catalog->no_memory)
            return error_set(err, EMB_ERR_NO_MEMORY, "store %s: no memory for its index",
                             store->path);
    }
    return EMB_OK;
}

void catalog_free(struct catalog *catalog)
{
    for (int i = 0; catalog->stores && i < catalog->store_count; i++) {
        free(catalog->stores[i].files);
        free(catalog->stores[i].batches);
    }
    free(catalog->stores);
    free(catalog->topics);
    free(catalog->chains);
    if (catalog->env)
        env_destroy(catalog->env);
}

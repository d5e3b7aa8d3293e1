#include "cli/store_verify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "batch/batch.h"

/* ---- walking --------------------------------------------------------------------------------- */

int walk_begin(struct catalog_walk *walk, const struct catalog *catalog)
{
    size_t count = (size_t)catalog->store_count + 1;
    *walk = (struct catalog_walk){.catalog = catalog};
    walk->next = calloc(count, sizeof *walk->next);
    walk->at = calloc(count, sizeof *walk->at);
    if (walk->next && walk->at)
        return EMB_OK;
    walk_end(walk);
    return EMB_ERR_NO_MEMORY;
}

void walk_end(struct catalog_walk *walk)
{
    free(walk->next);
    free(walk->at);
    walk->next = NULL;
    walk->at = NULL;
}

bool walk_next(struct catalog_walk *walk)
{
    const struct catalog *catalog = walk->catalog;
    uint64_t lowest = UINT64_MAX;
    for (int i = 0; i < catalog->store_count; i++) {
        const struct catalog_store *store = &catalog->stores[i];
        if (walk->next[i] < store->batch_count && store->batches[walk->next[i]].position < lowest)
            lowest = store->batches[walk->next[i]].position;
    }
    for (int i = 0; i < catalog->store_count; i++) {
        const struct catalog_store *store = &catalog->stores[i];
        bool has =
            walk->next[i] < store->batch_count && store->batches[walk->next[i]].position == lowest;
        walk->at[i] = has ? &store->batches[walk->next[i]++] : NULL;
    }
    walk->position = lowest;
    return lowest != UINT64_MAX;
}

const struct catalog_batch *walk_batch(const struct catalog_walk *walk)
{
    for (int i = 0; i < walk->catalog->store_count; i++)
        if (walk->at[i])
            return walk->at[i];
    return NULL;
}

/* ---- comparing ------------------------------------------------------------------------------- */

struct verify {
    struct catalog *catalog;
    void (*fn)(void *arg, const char *problem);
    void *arg;
    int64_t problems;
    uint64_t durable; /* below it everything was on its whole chain, as one of the stores knows */
};

__attribute__((format(printf, 2, 3))) static void problem(struct verify *verify, const char *format,
                                                          ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    verify->problems++;
    verify->fn(verify->arg, text);
}

/* The stores agree on the entry and on the payload. */
static void compare_copies(struct verify *verify, const struct catalog_walk *walk)
{
    const struct catalog *catalog = walk->catalog;
    const struct catalog_batch *first = NULL, *payload = NULL;
    for (int i = 0; i < catalog->store_count; i++) {
        const struct catalog_batch *batch = walk->at[i];
        if (!batch)
            continue;
        if (first && batch->entry_crc != first->entry_crc)
            problem(verify, "position %" PRIu64 ": the entry in %s is not that of the others",
                    walk->position, catalog->stores[i].path);
        first = first ? first : batch;
        if (!batch->payload_bytes)
            continue;
        if (payload && (batch->payload_crc != payload->payload_crc ||
                        batch->payload_bytes != payload->payload_bytes))
            problem(verify, "position %" PRIu64 ": the batch in %s is not that of the others",
                    walk->position, catalog->stores[i].path);
        payload = payload ? payload : batch;
    }
}

static bool chain_names(const struct catalog_chain *chain, uint32_t node)
{
    for (uint32_t i = 0; chain && i < chain->count && i < CHAIN_MAX; i++)
        if (chain->members[i] == node)
            return true;
    return false;
}

/* One that is given twice would be counted as two copies. */
static void compare_stores(struct verify *verify)
{
    const struct catalog *catalog = verify->catalog;
    for (int i = 0; i < catalog->store_count; i++)
        for (int k = 0; k < i; k++) {
            const struct catalog_store *one = &catalog->stores[k], *other = &catalog->stores[i];
            if (one->summary.node == other->summary.node && one->summary.files > 0 &&
                memcmp(one->summary.uuid, other->summary.uuid, sizeof one->summary.uuid) == 0)
                problem(verify, "%s and %s are the same store of node %u: give each once",
                        one->path, other->path, one->summary.node);
        }
}

/* What a store has lost at its end it cannot tell itself; another may know that it was durable. */
static void note_durable(struct verify *verify)
{
    for (int i = 0; i < verify->catalog->store_count; i++) {
        uint64_t durable = verify->catalog->stores[i].summary.durable_position;
        if (durable > verify->durable)
            verify->durable = durable;
    }
}

static bool must_have(const struct verify *verify, const struct catalog_store *store,
                      uint64_t position)
{
    return position < store->summary.synced_position || position < verify->durable;
}

/* Each given member of the chain has the payload. */
static void compare_chain(struct verify *verify, const struct catalog_walk *walk)
{
    struct catalog *catalog = verify->catalog;
    const struct catalog_batch *batch = walk_batch(walk);
    if (!(batch->flags & (ENTRY_ASKS_SYNC | ENTRY_ASKS_COPY)))
        return;
    const struct catalog_chain *chain = catalog_chain_at(catalog, batch->lane, walk->position);
    for (int i = 0; i < catalog->store_count; i++) {
        struct catalog_store *store = &catalog->stores[i];
        if (!chain_names(chain, store->summary.node) || !must_have(verify, store, walk->position) ||
            (walk->at[i] && walk->at[i]->payload_bytes))
            continue;
        store->missing++;
        problem(verify, "position %" PRIu64 ": %s is in the chain of lane %u and lacks the batch",
                walk->position, store->path, batch->lane);
    }
}

static void count_topic(struct verify *verify, const struct catalog_walk *walk)
{
    const struct catalog_batch *batch = walk_batch(walk);
    struct catalog_topic *topic = catalog_topic_by_id(verify->catalog, batch->topic);
    uint32_t copies = 0;
    uint32_t bytes = 0;
    if (!topic)
        return;
    for (int i = 0; i < verify->catalog->store_count; i++)
        if (walk->at[i] && walk->at[i]->payload_bytes) {
            copies++;
            bytes = walk->at[i]->payload_bytes;
        }
    topic->batches++;
    topic->messages += batch->message_count;
    topic->bytes += bytes;
    if (copies < topic->copies)
        topic->copies = copies;
}

int64_t store_verify(struct catalog *catalog, void (*fn)(void *arg, const char *problem), void *arg)
{
    struct verify verify = {.catalog = catalog, .fn = fn, .arg = arg};
    struct catalog_walk walk;
    if (walk_begin(&walk, catalog) != EMB_OK)
        return EMB_ERR_NO_MEMORY;
    compare_stores(&verify);
    note_durable(&verify);
    while (walk_next(&walk)) {
        compare_copies(&verify, &walk);
        compare_chain(&verify, &walk);
        count_topic(&verify, &walk);
    }
    walk_end(&walk);
    return verify.problems;
}

/* ---- dumping --------------------------------------------------------------------------------- */

/* The file that was read last stays open: batches come mostly from one after the other. */
struct dump {
    const struct catalog *catalog;
    struct sink *to;
    void *bytes;
    size_t room;
    struct env_dir **dirs; /* per store, opened when needed */
    struct env_file **files;
    uint32_t *open_files; /* index of what files[i] is */
};

static int dump_begin(struct dump *dump, const struct catalog *catalog, struct sink *to)
{
    size_t count = (size_t)catalog->store_count + 1;
    *dump = (struct dump){.catalog = catalog, .to = to};
    dump->dirs = calloc(count, sizeof *dump->dirs);
    dump->files = calloc(count, sizeof *dump->files);
    dump->open_files = calloc(count, sizeof *dump->open_files);
    return dump->dirs && dump->files && dump->open_files ? EMB_OK : EMB_ERR_NO_MEMORY;
}

static void dump_end(struct dump *dump)
{
    for (int i = 0; i < dump->catalog->store_count; i++) {
        if (dump->files && dump->files[i])
            env_file_close(dump->files[i]);
        if (dump->dirs && dump->dirs[i])
            env_dir_close(dump->dirs[i]);
    }
    free(dump->dirs);
    free(dump->files);
    free(dump->open_files);
    free(dump->bytes);
}

static int file_of(struct dump *dump, int store, uint32_t index, struct error *err)
{
    const struct catalog_store *from = &dump->catalog->stores[store];
    if (dump->files[store] && dump->open_files[store] == index)
        return EMB_OK;
    if (dump->files[store])
        env_file_close(dump->files[store]);
    dump->files[store] = NULL;
    if (!dump->dirs[store]) {
        int rc = env_dir_open(dump->catalog->env, from->path, 0, &dump->dirs[store], err);
        if (rc)
            return rc;
    }
    dump->open_files[store] = index;
    return env_file_open(dump->dirs[store], from->files[index], 0, &dump->files[store], err);
}

static int payload_read(struct dump *dump, int store, const struct catalog_batch *batch,
                        struct error *err)
{
    int rc = file_of(dump, store, batch->file, err);
    if (rc)
        return rc;
    if (batch->payload_bytes > dump->room) {
        free(dump->bytes);
        dump->room = 2 * (size_t)batch->payload_bytes;
        dump->bytes = malloc(dump->room);
        if (!dump->bytes) {
            dump->room = 0;
            return error_set(err, EMB_ERR_NO_MEMORY, "no memory for a batch of %u bytes",
                             batch->payload_bytes);
        }
    }
    ssize_t got =
        env_file_read(dump->files[store], dump->bytes, batch->payload_bytes, batch->payload_at);
    if (got != (ssize_t)batch->payload_bytes ||
        crc32c(dump->bytes, batch->payload_bytes) != batch->payload_crc)
        return error_set(err, EMB_ERR_IO,
                         "position %" PRIu64 ": reading its batch from %s again gave other bytes",
                         batch->position, dump->catalog->stores[store].path);
    return EMB_OK;
}

static int values_write(struct dump *dump, const struct catalog_batch *batch, struct error *err)
{
    struct batch_reader reader;
    struct record record;
    struct error why = {0};
    uint64_t offset;
    int rc = batch_reader_open(&reader, dump->bytes, batch->payload_bytes, (size_t)128 << 20, &why);
    if (rc == EMB_OK) {
        while ((rc = batch_reader_next(&reader, &record, &offset, &why)) == 1) {
            sink_put(dump->to, record.value, record.value_bytes);
            sink_byte(dump->to, '\n');
        }
        batch_reader_close(&reader);
    }
    if (rc < 0)
        return error_set(err, rc, "position %" PRIu64 ": %.200s", batch->position, why.text);
    return EMB_OK;
}

/* The store to read a batch from, or -1. */
static int store_choose(const struct catalog_walk *walk, uint32_t member)
{
    const struct catalog *catalog = walk->catalog;
    const struct catalog_chain *chain =
        catalog_chain_at(catalog, walk_batch(walk)->lane, walk->position);
    for (int i = 0; i < catalog->store_count; i++) {
        if (!walk->at[i] || !walk->at[i]->payload_bytes)
            continue;
        if (member == MEMBER_ANY || (chain && member < chain->count &&
                                     chain->members[member] == catalog->stores[i].summary.node))
            return i;
    }
    return -1;
}

static int batch_dump(struct dump *dump, const struct catalog_walk *walk, uint32_t member,
                      struct error *err)
{
    int store = store_choose(walk, member);
    if (store < 0 && member != MEMBER_ANY)
        return error_set(err, EMB_ERR_NOT_FOUND,
                         "position %" PRIu64 ": member %u of its chain is not among the stores "
                         "given, or lacks the batch",
                         walk->position, member);
    if (store < 0)
        return error_set(err, EMB_ERR_NOT_FOUND,
                         "position %" PRIu64 ": its batch is in none of the stores given",
                         walk->position);
    int rc = payload_read(dump, store, walk->at[store], err);
    return rc == EMB_OK ? values_write(dump, walk->at[store], err) : rc;
}

int store_dump_values(const struct catalog *catalog, uint16_t topic, uint32_t member,
                      struct sink *to, struct error *err)
{
    struct dump dump;
    struct catalog_walk walk;
    if (walk_begin(&walk, catalog) != EMB_OK)
        return error_set(err, EMB_ERR_NO_MEMORY, "out of memory");
    int rc = dump_begin(&dump, catalog, to);
    if (rc)
        error_set(err, rc, "out of memory");
    while (rc == EMB_OK && walk_next(&walk))
        if (walk_batch(&walk)->topic == topic)
            rc = batch_dump(&dump, &walk, member, err);
    dump_end(&dump);
    walk_end(&walk);
    return rc;
}

void store_dump_batches(const struct catalog *catalog, uint16_t topic, struct sink *to)
{
    char line[192];
    for (int i = 0; i < catalog->store_count; i++)
        for (size_t n = 0; n < catalog->stores[i].batch_count; n++) {
            const struct catalog_batch *b = &catalog->stores[i].batches[n];
            if (!b->payload_bytes || (topic && b->topic != topic))
                continue;
            int bytes =
                snprintf(line, sizeof line, "%u %" PRIu64 " %u %u %" PRIu64 " %u %u %08x\n",
                         catalog->stores[i].summary.node, b->position, b->lane, b->topic,
                         b->base_offset, b->message_count, b->payload_bytes, b->payload_crc);
            sink_put(to, line, (size_t)bytes);
        }
}

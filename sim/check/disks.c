/*
 * What really stands on disks, in terms of the log, and D as it follows from that alone.
 *
 * After each good sync of a store's file the bytes that survive a crash are read on from where the
 * last look stopped, frame by frame. An entry counts for its host once its frame is whole, is the
 * log's, and what it carries is, byte for byte, what was published. A frame whose payload is not
 * (yet) right is not passed. No code of src/store is used.
 *
 * A store that joined later begins with a snapshot; that stands for the META before it (whether it
 * holds what it should is looked at in the end, in stores.c). Before a lane had its chain, META is
 * durable on all stores that were admitted until then.
 */
#include <stdlib.h>

#include "sim/check/internal.h"
#include "store/format.h"

#define FRAME_ENTRY    1
#define FRAME_SNAPSHOT 3

struct store_file_walk {
    uint32_t host;
    uint64_t first_position;
    uint64_t at; /* the next frame; 0: the header was not seen yet */
    bool is_first;
    bool has_snapshot;
};

static struct {
    struct store_file_walk *files;
    uint64_t file_count, file_capacity;
    uint16_t *hosts; /* by position: bit per host that has it whole */
    uint16_t *bare;  /* ... and carries no payload there */
    uint64_t host_capacity, bare_capacity;
    uint64_t used; /* of both */
    uint64_t durable;
    uint64_t kept;
} disks;

_Static_assert(HOSTS_MAX <= 16, "a bit per host");

void disks_begin(void)
{
    disks.file_count = 0;
    if (disks.used) {
        memset(disks.hosts, 0, disks.used * sizeof *disks.hosts);
        memset(disks.bare, 0, disks.used * sizeof *disks.bare);
    }
    disks.used = disks.durable = disks.kept = 0;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static bool name_is_of_store(const char *name, uint64_t *first_position)
{
    uint64_t value = 0;
    if (strlen(name) != STORE_NAME_DIGITS + 4 || strcmp(name + STORE_NAME_DIGITS, ".log"))
        return false;
    for (int i = 0; i < STORE_NAME_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(name[i] - '0');
    }
    *first_position = value;
    return true;
}

static struct store_file_walk *walk_of(uint32_t host, uint64_t first_position)
{
    for (uint64_t i = disks.file_count; i-- > 0;)
        if (disks.files[i].host == host && disks.files[i].first_position == first_position)
            return &disks.files[i];
    disks.files =
        array_grow(disks.files, &disks.file_capacity, disks.file_count + 1, sizeof *disks.files);
    struct store_file_walk *walk = &disks.files[disks.file_count++];
    *walk = (struct store_file_walk){.host = host, .first_position = first_position};
    return walk;
}

static bool header_seen(struct store_file_walk *walk, const unsigned char *bytes)
{
    struct store_file_header header;
    memcpy(&header, bytes, sizeof header);
    if (header.magic != STORE_FILE_MAGIC || header.first_position != walk->first_position ||
        header.crc != crc32c(&header, offsetof(struct store_file_header, crc)))
        return false;
    walk->is_first = header.file_index == 0;
    if (!walk->is_first)
        COVER(FILE_ROLLED);
    walk->at = sizeof header;
    return true;
}

/* The bytes behind the header that the frame's CRC covers. */
static uint64_t covered_bytes(const struct store_frame_header *header)
{
    uint64_t entry = sizeof(struct goi_entry_shared);
    if (header->kind != FRAME_ENTRY)
        return header->total_bytes - sizeof *header;
    if (header->flags & STORE_FLAG_WHOLE)
        return entry + header->payload_bytes;
    return entry + min_u64(header->payload_bytes, STORE_BATCH_PREFIX);
}

static bool frame_is_right(const struct store_file_walk *walk, const unsigned char *frame,
                           const struct store_frame_header *header, uint64_t available)
{
    uint64_t where[2] = {walk->first_position, walk->at};
    if (header->magic != STORE_FRAME_MAGIC || header->total_bytes < sizeof *header ||
        header->total_bytes % STORE_FRAME_ALIGN || header->total_bytes > available ||
        (header->kind == FRAME_ENTRY &&
         sizeof(struct store_entry_frame) + header->payload_bytes > header->total_bytes))
        return false;
    uint32_t crc = crc32c(where, sizeof where);
    crc = crc32c_extend(crc, frame, offsetof(struct store_frame_header, crc));
    return header->crc == crc32c_extend(crc, frame + sizeof *header, (size_t)covered_bytes(header));
}

static bool payload_is_right(uint64_t position, const unsigned char *payload, uint32_t bytes)
{
    uint32_t expected_bytes;
    const unsigned char *expected = log_payload(position, &expected_bytes);
    return expected && bytes == expected_bytes && batch_is_same(expected, payload, bytes);
}

static void mark(uint64_t position, uint32_t host, bool bare)
{
    disks.hosts = array_grow(disks.hosts, &disks.host_capacity, position + 1, sizeof *disks.hosts);
    disks.bare = array_grow(disks.bare, &disks.bare_capacity, position + 1, sizeof *disks.bare);
    disks.used = max_u64(disks.used, position + 1);
    disks.hosts[position] |= (uint16_t)(1u << host);
    if (bare)
        disks.bare[position] |= (uint16_t)(1u << host);
}

/* false: it is not whole yet. */
static bool entry_seen(const struct store_file_walk *walk, const struct store_frame_header *header,
                       const unsigned char *body)
{
    const unsigned char *payload = body + sizeof(struct goi_entry_shared);
    if (header->position >= log_end()) {
        finding("stores", "the store of %s holds position %llu, but the log ends at %llu",
                world_host(walk->host)->name, (ull)header->position, (ull)log_end());
        return true;
    }
    const struct committed *committed = log_at(header->position);
    if (memcmp(body, &committed->entry, sizeof committed->entry)) {
        finding("stores", "the store of %s holds another entry for %s",
                world_host(walk->host)->name, entry_text(committed));
        return true;
    }
    if (header->payload_bytes &&
        !payload_is_right(header->position, payload, header->payload_bytes))
        return false;
    mark(header->position, walk->host, header->payload_bytes == 0);
    return true;
}

static bool frame_seen(struct store_file_walk *walk, const unsigned char *bytes, uint64_t available)
{
    struct store_frame_header header;
    if (available < sizeof header)
        return false;
    memcpy(&header, bytes, sizeof header);
    if (!frame_is_right(walk, bytes, &header, available))
        return false;
    if (header.kind == FRAME_ENTRY && !entry_seen(walk, &header, bytes + sizeof header))
        return false;
    walk->has_snapshot |= header.kind == FRAME_SNAPSHOT;
    walk->at += header.total_bytes;
    return true;
}

void disks_synced(struct host *host, const char *name, const unsigned char *durable, uint64_t bytes)
{
    uint64_t first_position;
    if (!name_is_of_store(name, &first_position))
        return;
    struct store_file_walk *walk = walk_of(host->number, first_position);
    if (bytes < sizeof(struct store_file_header) || (!walk->at && !header_seen(walk, durable)))
        return;
    while (walk->at < bytes && frame_seen(walk, durable + walk->at, bytes - walk->at))
        ;
    disks_advance();
}

/* ---- D --------------------------------------------------------------------------------------- */

static bool host_has(uint64_t position, uint32_t host, bool payload)
{
    if (position >= disks.used || host >= HOSTS_MAX || !(disks.hosts[position] >> host & 1))
        return false;
    return !payload || !(disks.bare[position] >> host & 1);
}

/* Its log begins behind the position, with a snapshot. */
static bool host_began_after(uint64_t position, uint32_t host)
{
    for (uint64_t i = 0; i < disks.file_count; i++) {
        const struct store_file_walk *walk = &disks.files[i];
        if (walk->host == host && walk->is_first && walk->has_snapshot)
            return walk->first_position > position;
    }
    return false;
}

static bool host_keeps(uint64_t position, uint32_t host)
{
    const struct goi_entry_shared *entry = &log_at(position)->entry;
    return host_has(position, host, carries_payload(entry)) ||
           (entry->kind != ENTRY_DATA && host_began_after(position, host));
}

/* Stores that were admitted before the position: who has read it knows of them at least. */
static bool early_stores_keep(uint64_t position)
{
    const struct meta_state *meta = log_meta();
    for (uint32_t id = 0; id < NODE_MAX; id++) {
        const struct meta_node *node = &meta->nodes[id];
        if (node->live && (node->roles & ROLE_REPLICA) &&
            meta->lanes[node->lanes[0]].granted_position < position && !host_keeps(position, id))
            return false;
    }
    return true;
}

static uint32_t members_wanted(const struct goi_entry_shared *entry)
{
    const struct topic_settings *topic = entry->kind == ENTRY_DATA ? log_topic(entry->topic) : NULL;
    return topic ? topic->min_insync : 1;
}

/* Whether the entry stands on its chain as it asks. Copies are in caches of hosts, where nobody can
   look: those who ask for no more are taken to have it. */
static bool stands(uint64_t position, bool count_members)
{
    const struct goi_entry_shared *entry = &log_at(position)->entry;
    if (!(entry->flags & (ENTRY_ASKS_SYNC | ENTRY_ASKS_COPY)))
        return true;
    const struct meta_chain *chain = log_chain(entry->lane);
    bool before_chain = !chain || position < chain->position;
    if (before_chain && entry->kind != ENTRY_DATA && early_stores_keep(position))
        return true;
    if (!chain)
        return false;
    if (count_members && chain->count < members_wanted(entry))
        return false;
    for (uint32_t i = 0; i < chain->count && (entry->flags & ENTRY_ASKS_SYNC); i++)
        if (!host_keeps(position, chain->members[i]))
            return false;
    return true;
}

static uint64_t advance(uint64_t from, bool count_members)
{
    while (from < log_end() && stands(from, count_members))
        from++;
    return from;
}

void disks_advance(void)
{
    uint64_t before = disks.durable;
    disks.kept = advance(disks.kept, false);
    disks.durable = advance(disks.durable, true);
    if (disks.durable != before)
        tell_durable(before, disks.durable);
}

uint64_t log_durable(void)
{
    return min_u64(disks.durable, log_end());
}

uint64_t log_kept(void)
{
    return min_u64(disks.kept, log_end());
}

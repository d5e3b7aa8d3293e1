/*
 * A sequencer's workspace: the epoch record, committed_seq and the checkpoint's two halves. Its
 * writer is the sequencer it was granted to, alone; a later owner tells its lines from an earlier
 * one's by owner_epoch.
 */
#include <stdlib.h>

#include "base/bits.h"
#include "region/internal.h"

#define LOAD_TRIES 4 /* a half can change while it is copied, each time to a newer one */

/* ---- epoch record and committed_seq ---------------------------------------------------------- */

void region_interval_publish(struct region *region, uint32_t workspace, uint64_t owner_epoch,
                             uint64_t index, const struct interval *interval)
{
    ASSERT(index < INTERVAL_MAX);
    struct interval_shared line = {
        .index = index,
        .owner_epoch = owner_epoch,
        .epoch = interval->epoch,
        .end = interval->end,
        .next_start = interval->next_start,
    };
    line.crc = line_crc(&line);
    /* Pairs with region_interval_observe, R2. */
    mem_publish_line(&region->mem, region_interval_line(region, workspace, index), &line);
}

bool region_interval_observe(struct region *region, uint32_t workspace, uint64_t owner_epoch,
                             uint64_t index, struct interval *interval)
{
    struct interval_shared line;
    if (index >= INTERVAL_MAX)
        return false;
    /* To act: the reader follows the log on it. Pairs with region_interval_publish, R2. */
    mem_observe_line_to_act(&region->mem, &line, region_interval_line(region, workspace, index));
    if (line.index != index || line.owner_epoch != owner_epoch || !line_is_valid(&line))
        return false;
    *interval =
        (struct interval){.epoch = line.epoch, .end = line.end, .next_start = line.next_start};
    return true;
}

static struct pub_u64 *committed_word(struct region *region, uint32_t workspace)
{
    return &((struct committed_shared *)region_workspace(region, workspace))->committed;
}

void region_committed_publish(struct region *region, uint32_t workspace, uint64_t committed)
{
    /* Pairs with region_committed_observe, R4: the entries below it were drained before. */
    mem_publish_u64(&region->mem, committed_word(region, workspace), committed);
}

uint64_t region_committed_observe(struct region *region, uint32_t workspace)
{
    /* Pairs with region_committed_publish, R4. */
    return mem_observe_u64_to_act(&region->mem, committed_word(region, workspace));
}

/* ---- checkpoint ------------------------------------------------------------------------------ */

void *region_checkpoint_line(const struct region *region, uint32_t workspace, int half)
{
    ASSERT(half == 0 || half == 1);
    unsigned char *end = region_workspace(region, workspace) + region->areas.workspace_bytes;
    return end - (uint64_t)(2 - half) * region->areas.checkpoint_bytes;
}

void *region_checkpoint_body(struct region *region, uint32_t workspace, int half,
                             uint64_t *capacity)
{
    *capacity = region->areas.checkpoint_bytes - LINE_BYTES;
    return (unsigned char *)region_checkpoint_line(region, workspace, half) + LINE_BYTES;
}

void region_checkpoint_publish(struct region *region, uint32_t workspace, int half,
                               const struct checkpoint_shared *header)
{
    ASSERT(header->bytes <= region->areas.checkpoint_bytes - LINE_BYTES);
    struct checkpoint_shared line = *header;
    line.crc = line_crc(&line);
    mem_drain(&region->mem); /* the body first; pairs with region_checkpoint_load, R2 */
    mem_publish_line(&region->mem, region_checkpoint_line(region, workspace, half), &line);
    mem_drain(&region->mem);
}

static bool observe_header(struct region *region, uint32_t workspace, int half,
                           uint64_t owner_epoch, struct checkpoint_shared *header)
{
    mem_observe_line(&region->mem, header, region_checkpoint_line(region, workspace, half));
    return line_is_valid(header) && header->owner_epoch == owner_epoch &&
           header->bytes <= region->areas.checkpoint_bytes - LINE_BYTES;
}

uint64_t region_checkpoint_newest(struct region *region, uint32_t workspace, uint64_t owner_epoch)
{
    struct checkpoint_shared header;
    uint64_t newest = 0;
    for (int half = 0; half < 2; half++)
        if (observe_header(region, workspace, half, owner_epoch, &header))
            newest = max_u64(newest, header.sequence);
    return newest;
}

/* The writer may already be at the next checkpoint but one; body_crc tells. So this race is
   allowed, and hidden from race detectors. */
__attribute__((no_sanitize("thread"))) static void
copy_body(unsigned char *to, const unsigned char *from, uint64_t bytes)
{
    uint64_t at = 0;
    for (; at + 8 <= bytes; at += 8)
        *(uint64_t *)(to + at) = *(const volatile uint64_t *)(from + at);
    for (; at < bytes; at++)
        to[at] = *(const volatile unsigned char *)(from + at);
}

/* EMB_ERR_CORRUPT: the body was not what the header says. */
static int load_half(struct region *region, uint32_t workspace, int half,
                     const struct checkpoint_shared *header, void **bytes)
{
    uint64_t capacity;
    const unsigned char *body = region_checkpoint_body(region, workspace, half, &capacity);
    void *copy = malloc(max_u64(header->bytes, 1));
    if (!copy)
        return EMB_ERR_NO_MEMORY;
    mem_observe_range(&region->mem, body, header->bytes);
    copy_body(copy, body, header->bytes);
    if (crc32c(copy, header->bytes) != header->body_crc) {
        free(copy);
        return EMB_ERR_CORRUPT;
    }
    *bytes = copy;
    return EMB_OK;
}

/* One attempt: the newer of the halves, else the other. */
static int load_newest(struct region *region, uint32_t workspace, uint64_t owner_epoch,
                       struct checkpoint_shared *header, void **bytes)
{
    struct checkpoint_shared headers[2];
    bool valid[2];
    for (int half = 0; half < 2; half++)
        valid[half] = observe_header(region, workspace, half, owner_epoch, &headers[half]);
    int first = valid[1] && (!valid[0] || headers[1].sequence > headers[0].sequence);
    int code = EMB_ERR_NOT_FOUND;
    for (int i = 0; i < 2 && (code == EMB_ERR_NOT_FOUND || code == EMB_ERR_CORRUPT); i++) {
        int half = i == 0 ? first : 1 - first;
        if (!valid[half])
            continue;
        code = load_half(region, workspace, half, &headers[half], bytes);
        *header = headers[half];
    }
    return code;
}

int region_checkpoint_load(struct region *region, uint32_t workspace, uint64_t owner_epoch,
                           struct checkpoint_shared *header, void **bytes)
{
    int code = EMB_ERR_CORRUPT;
    for (int i = 0; i < LOAD_TRIES && code == EMB_ERR_CORRUPT; i++)
        code = load_newest(region, workspace, owner_epoch, header, bytes);
    return code == EMB_ERR_CORRUPT ? EMB_ERR_NOT_FOUND : code;
}

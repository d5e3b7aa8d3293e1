/*
 * Checkpoints: the whole state, written in slices into one half of the workspace while passes go
 * on, each item with the position as of which it was taken. `covers` is the position at which the
 * writing began: everything below it is in every item. When all is written, it is drained, and
 * the header makes it the newest.
 *
 * Body: meta bytes:8, META items (meta/encode.c), then per lane: lane:4 generation:4 collected:8,
 * bitmap of (lane_slots / 8) bytes: bit i set: slot collected - 1 - i has no outcome yet.
 */
#include <string.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "sequencer/state.h"

#define CHECKPOINT_EVERY_NS 1000000000ULL
#define SLICE_ITEMS         16
#define SLICE_BYTES         8192

static void begin(struct sequencer *s)
{
    struct checkpoint_state *c = &s->checkpoint;
    c->under_way = true;
    c->wanted = false;
    c->half = (int)(c->sequence & 1);
    c->covers = s->counter;
    c->durable = s->durable.durable.position;
    c->used = sizeof(uint64_t); /* the size of the META items goes there in the end */
    c->cursor = (struct meta_cursor){0};
    c->lane = 0;
    c->last_ns = s->now_ns;
}

/* One lane's slots without outcome: those that are held or wait for room. */
static void put_lane(struct sequencer *s, uint32_t lane, unsigned char *to)
{
    const struct lane_in *in = &s->lanes[lane];
    uint32_t slots = s->region->geometry.lane_slots;
    memcpy(to, &lane, 4);
    memcpy(to + 4, &in->generation, 4);
    memcpy(to + 8, &in->next, 8);
    memset(to + 16, 0, slots / 8);
    for (uint64_t back = 0; back < slots && back < in->next; back++)
        if (*collect_undecided(s, lane, in->next - 1 - back))
            to[16 + back / 8] |= (unsigned char)(1u << back % 8);
}

static int write_slice(struct sequencer *s, unsigned char *body, uint64_t capacity)
{
    struct checkpoint_state *c = &s->checkpoint;
    uint64_t before = c->used;
    if (!meta_encode_done(&c->cursor)) {
        uint64_t room = min_u64(capacity - c->used, SLICE_BYTES);
        int64_t bytes =
            meta_encode(&s->meta, &c->cursor, s->counter, SLICE_ITEMS, body + c->used, room);
        if (bytes < 0)
            return (int)bytes;
        c->used += (uint64_t)bytes;
        if (meta_encode_done(&c->cursor)) {
            uint64_t meta_bytes = c->used - sizeof(uint64_t);
            memcpy(body, &meta_bytes, sizeof meta_bytes);
            mem_write_back(&s->region->mem, body, sizeof meta_bytes);
        }
    } else {
        uint64_t bytes = 16 + s->region->geometry.lane_slots / 8;
        if (c->used + bytes > capacity)
            return EMB_ERR_NO_SPACE;
        if (s->lanes[c->lane].live) {
            put_lane(s, c->lane, body + c->used);
            c->used += bytes;
        }
        c->lane++;
    }
    mem_write_back(&s->region->mem, body + before, c->used - before);
    return EMB_OK;
}

static bool all_written(const struct sequencer *s)
{
    return meta_encode_done(&s->checkpoint.cursor) &&
           s->checkpoint.lane == s->region->geometry.lanes;
}

static void finish(struct sequencer *s, const unsigned char *body)
{
    struct checkpoint_state *c = &s->checkpoint;
    struct checkpoint_shared header = {.sequence = c->sequence + 1,
                                       .owner_epoch = s->epoch.epoch,
                                       .covers = c->covers,
                                       .bytes = c->used,
                                       .durable = c->durable,
                                       .body_crc = crc32c(body, c->used)};
    region_checkpoint_publish(s->region, s->epoch.workspace, c->half, &header); /* R2 */
    c->sequence++;
    c->covers_drained = c->covers;
    c->under_way = false;
    s->counters.checkpoints++;
}

static int slice(struct sequencer *s)
{
    uint64_t capacity;
    unsigned char *body =
        region_checkpoint_body(s->region, s->epoch.workspace, s->checkpoint.half, &capacity);
    int rc = write_slice(s, body, capacity);
    if (rc == EMB_OK && all_written(s))
        finish(s, body);
    return rc;
}

int checkpoint_write(struct sequencer *s)
{
    begin(s);
    int rc = EMB_OK;
    while (rc == EMB_OK && s->checkpoint.under_way)
        rc = slice(s);
    return rc;
}

/* Due when an eighth of the GOI was written since the last, a second passed with news, or a node
   waits for it. */
static bool due(const struct sequencer *s)
{
    uint64_t since = s->counter - s->checkpoint.covers_drained;
    return s->checkpoint.wanted || since >= s->region->areas.goi_entries / 8 ||
           (since > 0 && s->now_ns - s->checkpoint.last_ns >= CHECKPOINT_EVERY_NS);
}

int checkpoint_pass(struct sequencer *s)
{
    if (!s->checkpoint.under_way && due(s))
        begin(s);
    if (!s->checkpoint.under_way)
        return 0;
    int rc = slice(s);
    ASSERT(rc == EMB_OK); /* the geometry gives a half room for every item there can be */
    return 1;
}

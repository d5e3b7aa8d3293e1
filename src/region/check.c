/*
 * What `region check` finds. Lines that were never written are all zero, as formatting leaves
 * them; any other line must be valid. A live region changes meanwhile, so a line is called
 * damaged only after it looked so several times.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "region/internal.h"

#define TRIES         64
#define PROBLEM_BYTES 200

struct check {
    struct region *region;
    void (*fn)(void *arg, const char *problem);
    void *arg;
    int problems;
};

__attribute__((format(printf, 2, 3))) static void problem(struct check *check, const char *format,
                                                          ...)
{
    char text[PROBLEM_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    check->problems++;
    if (check->fn)
        check->fn(check->arg, text);
}

enum look { UNUSED, VALID, DAMAGED };

/* Copies the line out and judges it; DAMAGED was reported already. */
static enum look look_at(struct check *check, const void *line, void *copy, const char *what,
                         uint64_t number)
{
    static const unsigned char nothing[LINE_BYTES];
    for (int i = 0; i < TRIES; i++) {
        mem_observe_line(&check->region->mem, copy, line);
        if (!memcmp(copy, nothing, LINE_BYTES))
            return UNUSED;
        if (line_is_valid(copy))
            return VALID;
    }
    problem(check, "%s %llu: its CRC is %08x, its bytes have %08x", what,
            (unsigned long long)number, line_crc_field(copy), line_crc(copy));
    return DAMAGED;
}

static void check_epoch_slots(struct check *check)
{
    struct epoch_slot_shared line;
    for (uint32_t slot = 0; slot < EPOCH_SLOT_COUNT; slot++) {
        if (look_at(check, region_epoch_line(check->region, slot), &line, "epoch slot", slot) !=
            VALID)
            continue;
        if (line.workspace >= WORKSPACE_COUNT)
            problem(check, "epoch slot %u: workspace %u; there are %d", slot, line.workspace,
                    WORKSPACE_COUNT);
        if (line.sequencer >= NODE_MAX)
            problem(check, "epoch slot %u: sequencer %u; node ids end at %d", slot, line.sequencer,
                    NODE_MAX - 1);
    }
}

/* The intervals of one workspace, whosever they are; *start gets where the current owner's own
   positions begin. */
static void check_intervals(struct check *check, uint32_t workspace, uint64_t owner_epoch,
                            uint64_t *start)
{
    struct interval_shared line;
    *start = NO_POSITION;
    for (uint64_t i = 0; i < INTERVAL_MAX; i++) {
        if (look_at(check, region_interval_line(check->region, workspace, i), &line, "interval",
                    i) != VALID)
            continue;
        if (line.index != i)
            problem(check, "interval %llu of workspace %u: it says that it is %llu",
                    (unsigned long long)i, workspace, (unsigned long long)line.index);
        if (line.next_start < line.end)
            problem(check, "interval %llu of workspace %u: ends at %llu, the next starts at %llu",
                    (unsigned long long)i, workspace, (unsigned long long)line.end,
                    (unsigned long long)line.next_start);
        if (line.owner_epoch == owner_epoch)
            *start = line.next_start;
    }
}

/* Only the newest must be whole: the other half may be under way. */
static void check_checkpoint(struct check *check, uint32_t workspace, uint64_t owner_epoch)
{
    struct checkpoint_shared header;
    void *body = NULL;
    bool any = false;
    for (int half = 0; half < 2; half++) {
        const void *line = region_checkpoint_line(check->region, workspace, half);
        if (look_at(check, line, &header, "checkpoint header", (uint64_t)half) != VALID)
            continue;
        if (header.bytes > check->region->areas.checkpoint_bytes - LINE_BYTES)
            problem(check, "checkpoint header %d of workspace %u: a body of %llu bytes; %llu fit",
                    half, workspace, (unsigned long long)header.bytes,
                    (unsigned long long)check->region->areas.checkpoint_bytes - LINE_BYTES);
        any |= header.owner_epoch == owner_epoch;
    }
    if (any && region_checkpoint_load(check->region, workspace, owner_epoch, &header, &body) ==
                   EMB_ERR_NOT_FOUND)
        problem(check, "workspace %u: no checkpoint of epoch %llu has the body its header names",
                workspace, (unsigned long long)owner_epoch);
    free(body);
}

static void check_nodes(struct check *check)
{
    struct node_request_shared line;
    for (uint32_t node = 0; node < NODE_MAX; node++) {
        const void *at = &region_node(check->region, node)->request;
        if (look_at(check, at, &line, "node request", node) == VALID &&
            line.host[NODE_HOST_BYTES - 1] != 0)
            problem(check, "node request %u: its host name has no end", node);
    }
}

static void check_segments(struct check *check)
{
    struct segment_shared line;
    for (uint32_t segment = 0; segment < check->region->areas.segments; segment++) {
        if (look_at(check, region_segment_line(check->region, segment), &line, "segment",
                    segment) != VALID)
            continue;
        if (line.owner > NODE_MAX || line.lane > LANE_SEQUENCER)
            problem(check, "segment %u: owner %u, lane %u; at most %d and %d are accepted", segment,
                    line.owner, line.lane, NODE_MAX, LANE_SEQUENCER);
    }
}

static void check_lanes(struct check *check)
{
    struct pbr_entry_shared line;
    for (uint32_t lane = 0; lane < check->region->geometry.lanes; lane++) {
        for (uint32_t slot = 0; slot < check->region->geometry.lane_slots; slot++) {
            const void *at = region_lane_line(check->region, lane, slot);
            if (look_at(check, at, &line, "PBR slot", slot) == VALID &&
                (line.index & (check->region->geometry.lane_slots - 1)) != slot)
                problem(check, "PBR slot %u of lane %u: it holds index %llu", slot, lane,
                        (unsigned long long)line.index);
        }
    }
}

/* Its own entry, or already the next lap's. */
static bool goi_is_there(struct check *check, uint64_t position, struct goi_entry_shared *entry)
{
    struct goi_entry_shared next;
    for (int i = 0; i < TRIES; i++) {
        if (region_goi_observe(check->region, position, entry))
            return true;
        if (region_goi_observe(check->region, position + check->region->areas.goi_entries, &next))
            return false;
    }
    problem(check, "GOI position %llu: it is committed, but no valid entry of it is there",
            (unsigned long long)position);
    return false;
}

static void check_goi_entry(struct check *check, uint64_t position, uint64_t epoch)
{
    struct goi_entry_shared entry;
    if (!goi_is_there(check, position, &entry))
        return;
    if (entry.kind < ENTRY_DATA || entry.kind > ENTRY_SKIP || entry.lane > LANE_SEQUENCER)
        problem(check, "GOI position %llu: kind %u, lane %u; 1 to %d and 0 to %d are accepted",
                (unsigned long long)position, entry.kind, entry.lane, ENTRY_SKIP, LANE_SEQUENCER);
    if (entry.epoch != (uint32_t)epoch)
        problem(check, "GOI position %llu: epoch %u within the interval of epoch %llu",
                (unsigned long long)position, entry.epoch, (unsigned long long)epoch);
    if (entry.kind == ENTRY_DATA && !region_payload(check->region, entry.payload))
        problem(check, "GOI position %llu: its payload (address %llu, %u bytes) is in no segment",
                (unsigned long long)position, (unsigned long long)payload_address(entry.payload),
                payload_bytes(entry.payload));
}

/* What is committed in the current interval and still in the ring. */
static void check_goi(struct check *check, const struct epoch_view *view, uint64_t start)
{
    uint64_t committed = region_committed_observe(check->region, view->workspace);
    uint64_t ring = check->region->areas.goi_entries;
    if (start == NO_POSITION || committed < start)
        return; /* it has no epoch record yet, or nothing of its own */
    uint64_t first = max_u64(start, committed > ring ? committed - ring : 0);
    for (uint64_t position = first; position < committed; position++)
        check_goi_entry(check, position, view->epoch);
}

int region_check(struct region *region, void (*fn)(void *arg, const char *problem), void *arg)
{
    struct check check = {.region = region, .fn = fn, .arg = arg};
    struct epoch_view view;
    uint64_t start = NO_POSITION, ignored;
    check_epoch_slots(&check);
    region_epoch_look(region, &view);
    for (uint32_t workspace = 0; workspace < WORKSPACE_COUNT; workspace++) {
        bool current = view.epoch && workspace == view.workspace;
        check_intervals(&check, workspace, view.epoch, current ? &start : &ignored);
        if (current)
            check_checkpoint(&check, workspace, view.epoch);
    }
    if (view.epoch)
        check_goi(&check, &view, start);
    check_nodes(&check);
    check_segments(&check);
    check_lanes(&check);
    return check.problems;
}

/*
 * "No two entries share a position, and a committed one never changes." (3-protocol, Invariants)
 *
 * The log is read position by position, each once, when committed_seq in memory covers it (log.c,
 * which also finds a position below it without an entry, and a committed_seq that falls). Here:
 * every store to a GOI line, and every GOI line that reaches memory, is compared with what the log
 * has at its position. Allowed are the same bytes again, and a position that is not committed; so
 * a line may never go back to an earlier lap, nor be damaged. And an entry's epoch is that of the
 * committed_seq which covers it.
 */
#include "sim/check/internal.h"

static void committed(const struct committed *entry)
{
    if (entry->entry.epoch != (uint32_t)entry->epoch)
        finding("positions", "%s: it is of epoch %u, but committed by epoch %llu",
                entry_text(entry), entry->entry.epoch, (ull)entry->epoch);
}

/* The newest committed position that lies in this line; false: none. */
static bool newest_in_line(uint32_t ring_index, uint64_t *position)
{
    uint64_t entries = memory_areas()->goi_entries, end = log_end();
    if (end <= ring_index)
        return false;
    *position = (end - 1 - ring_index) / entries * entries + ring_index;
    return true;
}

static void judge(const struct host *host, const unsigned char line[64], const char *what)
{
    uint64_t newest, position;
    struct goi_entry_shared entry;
    memcpy(&entry, line, sizeof entry);
    if (!newest_in_line(line_place()->minor, &newest))
        return;
    if (!goi_line_position(&entry, line_place()->minor, &position)) {
        finding("positions", "%s by %s puts something that is no entry over %s", what, host->name,
                entry_text(log_at(newest)));
        return;
    }
    if (position > newest || (position == newest && !memcmp(line, &log_at(newest)->entry, 64)))
        return;
    finding("positions", "%s by %s puts position %llu, session %llx, offset %lld, over %s", what,
            host->name, (ull)position, (ull)entry.session, (long long)entry.base_offset,
            entry_text(log_at(newest)));
}

static void line_stored(const struct host *host, uint64_t offset, const unsigned char line[64])
{
    if (line_place()->area == PLACE_GOI)
        judge(host, line, "a store");
}

static void line_reached(const struct host *host, uint64_t offset, const unsigned char before[64],
                         const unsigned char after[64])
{
    if (line_place()->area == PLACE_GOI)
        judge(host, after, "a line written back");
}

const struct checker check_positions = {
    .name = "positions",
    .invariant = "no two entries share a position, and a committed one never changes",
    .committed = committed,
    .line_stored = line_stored,
    .line_reached = line_reached,
};

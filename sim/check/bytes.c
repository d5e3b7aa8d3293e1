/*
 * "Everything delivered is byte for byte what was published." (3-protocol, Invariants)
 *
 * When a DATA entry is committed, memory itself holds at its payload the bytes of an act that was
 * invoked: where memory is not coherent they were written back before. What is delivered has the
 * bytes of the act of its log entry, but for base offset, which is the entry's, and leader epoch,
 * which is the life of the log.
 */
#include <endian.h>

#include "sim/check/internal.h"

#define LEADER_EPOCH_AT 12

static void committed(const struct committed *committed)
{
    const struct goi_entry_shared *entry = &committed->entry;
    if (entry->kind == ENTRY_DATA && !committed->act)
        finding("bytes", "%s: the %u bytes that memory holds of it are no batch that was published",
                entry_text(committed), payload_bytes(entry->payload));
}

static uint64_t first_difference(const unsigned char *a, const unsigned char *b, uint32_t count)
{
    uint32_t at = 16;
    while (at < count && a[at] == b[at])
        at++;
    return at;
}

static void judge_header(const struct delivery_seen *seen, const struct committed *committed)
{
    uint64_t base_offset;
    uint32_t leader_epoch;
    memcpy(&base_offset, seen->bytes, sizeof base_offset);
    memcpy(&leader_epoch, (const unsigned char *)seen->bytes + LEADER_EPOCH_AT,
           sizeof leader_epoch);
    base_offset = be64toh(base_offset);
    leader_epoch = be32toh(leader_epoch);
    if (base_offset != committed->entry.base_offset || leader_epoch != log_meta()->life)
        finding("bytes",
                "subscriber %u got %s with base offset %llu and leader epoch %u, not the "
                "life %u",
                seen->subscriber, entry_text(committed), (ull)base_offset, leader_epoch,
                log_meta()->life);
}

static void delivered(const struct delivery_seen *seen)
{
    uint64_t position = readers_position(seen->topic, seen->base_offset);
    const struct committed *committed = position != NO_POSITION ? log_at(position) : NULL;
    const struct act *act = committed ? committed->act : NULL;
    if (!act)
        return; /* a finding of "readers", or above */
    if (seen->byte_count != act->byte_count)
        finding("bytes", "subscriber %u got %u bytes of %s, which has %u", seen->subscriber,
                seen->byte_count, act_text(act), act->byte_count);
    else if (!batch_is_same(seen->bytes, act->bytes, act->byte_count))
        finding("bytes",
                "subscriber %u got from node %u other bytes, from byte %llu of %u on, than "
                "%s has; %s",
                seen->subscriber, seen->node,
                (ull)first_difference(seen->bytes, act->bytes, act->byte_count), act->byte_count,
                act_text(act), entry_text(committed));
    else
        judge_header(seen, committed);
}

const struct checker check_bytes = {
    .name = "bytes",
    .invariant = "everything delivered is byte for byte what was published",
    .committed = committed,
    .delivered = delivered,
};

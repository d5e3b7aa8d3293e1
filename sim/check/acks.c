/*
 * "An acknowledged batch is committed under the epoch that acknowledged it (order 0 at level 1
 * aside), and synced on its whole chain if the ack says so." (3-protocol, Invariants; P4)
 *
 * When an answer arrives, what it says must hold of the log as memory and disks have it:
 *   OK           a DATA entry of the act lies below the log's end (the old end, if a successor was
 *                there), at level 2 below D; the offset it names is that entry's.
 *   duplicate    the same of a NOP entry about the act; what it is a duplicate of lies before it.
 *   SEQUENCE, LOST   only a slot's REJECTED entry says so, and it is told below D at every level.
 * Order 0 at level 1 says no more than "published". D at arrival is not lower than when the answer
 * was given, so there are no false alarms, but an answer that was given a little too early can look
 * right by the time it arrives. So it is judged at the broker too, at the moment it is given: at
 * level 1 the position must be below the log's end by then, at level 2 below D. Other refusals are
 * also said by brokers, or by the client's own end.
 */
#include <stdio.h>

#include "sim/check/internal.h"

/* An entry about the act of this kind (and reason) below the limit, or NO_POSITION. */
static uint64_t find_entry(const struct act *act, uint8_t kind, int reason, uint64_t base_offset,
                           uint64_t limit)
{
    for (uint64_t at = log_last_about(act); at != NO_POSITION; at = log_next_about(at)) {
        const struct goi_entry_shared *entry = &log_at(at)->entry;
        bool offset_fits = base_offset == NO_OFFSET || entry->base_offset == base_offset;
        if (at < limit && entry->kind == kind && offset_fits &&
            (kind != ENTRY_REJECTED || entry->reason == -reason))
            return at;
    }
    return NO_POSITION;
}

static void old_end_text(char *text, size_t bytes)
{
    uint64_t epoch, end = log_old_end(&epoch);
    text[0] = 0;
    if (end != NO_POSITION)
        snprintf(text, bytes, " (the end of epoch %llu)", (ull)epoch);
}

static void judge(const struct act *act, const char *said, uint8_t kind, int reason,
                  uint64_t base_offset, bool durable)
{
    char ended[64];
    uint64_t at = find_entry(act, kind, reason, base_offset, log_end());
    old_end_text(ended, sizeof ended);
    if (at == NO_POSITION && find_entry(act, kind, reason, NO_OFFSET, log_end()) == NO_POSITION)
        finding("acks", "%s was answered %s by node %u, but no entry below %llu%s says so",
                act_text(act), said, act->answered_by, (ull)log_end(), ended);
    else if (at == NO_POSITION)
        finding("acks",
                "%s was answered %s by node %u with offset %llu, which no entry about it has",
                act_text(act), said, act->answered_by, (ull)base_offset);
    else if (durable && find_entry(act, kind, reason, base_offset, log_durable()) == NO_POSITION)
        finding("acks",
                "%s was answered %s by node %u, but %s is not durable: on disks the log is "
                "whole up to %llu",
                act_text(act), said, act->answered_by, entry_text(log_at(at)), (ull)log_durable());
}

static void ok(const struct act *act, const struct answer *answer)
{
    const struct topic_settings *topic = log_topic(act->topic);
    bool durable = act->acks == 2;
    if (!topic)
        finding("acks", "%s was acknowledged, but there is no such topic", act_text(act));
    else if (answer->duplicate)
        judge(act, "\"duplicate\"", ENTRY_NOP, 0, answer->base_offset, durable);
    else if (topic->order != TOPIC_ORDER_NONE || act->acks != 1)
        judge(act, "OK", ENTRY_DATA, 0, answer->base_offset, durable);
}

static void answered(struct act *act)
{
    const struct answer *answer = history_answer_now();
    if (answer->status == EMB_OK)
        ok(act, answer);
    else if (answer->status == EMB_ERR_SEQUENCE || answer->status == EMB_ERR_LOST)
        judge(act, answer->status == EMB_ERR_LOST ? "LOST" : "SEQUENCE", ENTRY_REJECTED,
              answer->status, NO_OFFSET, true);
}

void acks_given(const struct host *host, uint64_t position, bool durable)
{
    char ended[64];
    old_end_text(ended, sizeof ended);
    if (position >= log_end())
        finding("acks", "%s acts on position %llu, but the log ends at %llu%s", host->name,
                (ull)position, (ull)log_end(), ended);
    else if (durable && position >= log_durable())
        finding("acks",
                "%s gives the answer of %s as durable, but on disks the log is whole up to %llu",
                host->name, entry_text(log_at(position)), (ull)log_durable());
}

const struct checker check_acks = {
    .name = "acks",
    .invariant = "an acknowledged batch is committed under the epoch that acknowledged it, and "
                 "synced on its whole chain if the ack says so",
    .answered = answered,
};

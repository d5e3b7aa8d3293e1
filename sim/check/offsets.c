/*
 * "Topic offsets are dense." (3-protocol, Invariants)
 *
 * Each DATA entry begins where the topic's one before it ended, from 0 on, and its topic exists at
 * that position.
 */
#include "sim/check/internal.h"

static uint64_t *next_offset; /* by topic */
static uint64_t topics;

static void begin(void)
{
    if (topics)
        memset(next_offset, 0, topics * sizeof *next_offset);
}

static void committed(const struct committed *committed)
{
    const struct goi_entry_shared *entry = &committed->entry;
    if (entry->kind != ENTRY_DATA)
        return;
    const struct meta_topic *topic = meta_topic_by_id(log_meta(), entry->topic);
    if (!topic || topic->deleted) {
        finding("offsets", "%s: there is no such topic (any more)", entry_text(committed));
        return;
    }
    next_offset = array_grow(next_offset, &topics, entry->topic + 1ULL, sizeof *next_offset);
    if (entry->base_offset != next_offset[entry->topic])
        finding("offsets", "%s: the topic's next offset is %llu", entry_text(committed),
                (ull)next_offset[entry->topic]);
    if (entry->message_count == 0)
        finding("offsets", "%s: a batch without messages", entry_text(committed));
    next_offset[entry->topic] = entry->base_offset + entry->message_count;
}

const struct checker check_offsets = {
    .name = "offsets",
    .invariant = "topic offsets are dense",
    .begin = begin,
    .committed = committed,
};

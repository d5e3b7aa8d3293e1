/*
 * "Readers agree on every position." (3-protocol, Invariants; P2, P3)
 *
 * They agree with each other because each agrees with the log: a delivered batch is the entry that
 * the log has of that topic and offset, below its end (level latest) or below D (level durable),
 * and of a successor's old end in any case. A subscription gets its topic's batches without a hole
 * and in order, beginning with the one that holds the offset it began at.
 */
#include "sim/check/internal.h"
#include "wire/wire.h"

struct subscription {
    bool begun; /* something came, or the beginning is not known */
    bool known; /* ... it is known */
    uint16_t topic;
    uint64_t next_offset;
};

static struct map positions;               /* topic << 48 | base offset: position */
static struct subscription *subscriptions; /* by subscriber */
static uint64_t subscription_count;

static uint64_t key_of(uint16_t topic, uint64_t base_offset)
{
    return (uint64_t)topic << 48 | (base_offset & ((1ULL << 48) - 1));
}

static void begin(void)
{
    map_clear(&positions);
    if (subscription_count)
        memset(subscriptions, 0, subscription_count * sizeof *subscriptions);
}

uint64_t readers_position(uint16_t topic, uint64_t base_offset)
{
    uint64_t position;
    if (!map_get(&positions, key_of(topic, base_offset), &position) || position >= log_end())
        return NO_POSITION;
    return position;
}

static void committed(const struct committed *committed)
{
    if (committed->entry.kind == ENTRY_DATA && committed->entry.topic != UINT16_MAX)
        map_put(&positions, key_of(committed->entry.topic, committed->entry.base_offset),
                committed->position);
}

static struct subscription *subscription_of(uint32_t subscriber)
{
    subscriptions =
        array_grow(subscriptions, &subscription_count, subscriber + 1ULL, sizeof *subscriptions);
    return &subscriptions[subscriber];
}

void readers_subscribed(uint32_t subscriber, uint16_t topic, uint64_t offset)
{
    *subscription_of(subscriber) =
        (struct subscription){.known = offset != NO_OFFSET, .topic = topic, .next_offset = offset};
}

static void judge_place(const struct delivery_seen *seen)
{
    struct subscription *subscription = subscription_of(seen->subscriber);
    uint64_t first = seen->base_offset, end = first + seen->message_count;
    uint64_t next = subscription->next_offset;
    bool fits = subscription->begun ? first == next : first <= next && next < end;
    if (subscription->known && (!fits || seen->topic != subscription->topic))
        finding("readers",
                "subscriber %u got offsets %llu to %llu of topic %u from node %u; it %s "
                "%llu of topic %u",
                seen->subscriber, (ull)first, (ull)end - 1, seen->topic, seen->node,
                subscription->begun ? "is at" : "began at", (ull)next, subscription->topic);
    *subscription = (struct subscription){
        .begun = true, .known = true, .topic = seen->topic, .next_offset = end};
}

static void judge_entry(const struct delivery_seen *seen, uint64_t position)
{
    const struct committed *committed = log_at(position);
    const struct goi_entry_shared *entry = &committed->entry;
    bool told = seen->position != NO_POSITION;
    if (entry->message_count != seen->message_count || entry->session != seen->session ||
        entry->client_sequence != seen->client_sequence || (told && seen->position != position))
        finding("readers",
                "subscriber %u got from node %u position %lld, session %llx, sequence "
                "%lld+%u; the log has %s",
                seen->subscriber, seen->node, (long long)seen->position, (ull)seen->session,
                (long long)seen->client_sequence, seen->message_count, entry_text(committed));
    if (seen->level == READ_DURABLE && position >= log_durable())
        finding("readers",
                "subscriber %u reads what is durable and got from node %u %s, but on "
                "disks the log is whole up to %llu",
                seen->subscriber, seen->node, entry_text(committed), (ull)log_durable());
}

static void delivered(const struct delivery_seen *seen)
{
    uint64_t position = readers_position(seen->topic, seen->base_offset);
    judge_place(seen);
    if (position != NO_POSITION)
        judge_entry(seen, position);
    else
        finding("readers",
                "subscriber %u got from node %u a batch at offset %llu of topic %u; below "
                "%llu the log has none there",
                seen->subscriber, seen->node, (ull)seen->base_offset, seen->topic, (ull)log_end());
}

void readers_opened(const struct host *host, uint64_t position, bool durable)
{
    if (position >= log_end())
        finding("readers", "%s delivers position %llu, but the log ends at %llu", host->name,
                (ull)position, (ull)log_end());
    else if (durable && position >= log_durable())
        finding("readers", "%s delivers %s as durable, but on disks the log is whole up to %llu",
                host->name, entry_text(log_at(position)), (ull)log_durable());
}

const struct checker check_readers = {
    .name = "readers",
    .invariant = "readers agree on every position",
    .begin = begin,
    .committed = committed,
    .delivered = delivered,
};

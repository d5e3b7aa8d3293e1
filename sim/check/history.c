/*
 * What clients did. Acts lie in blocks that stay where they are; they are found by a hash of their
 * batch without its first 16 bytes (base offset, length, leader epoch), which differ on delivery.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim/check/internal.h"

#define BLOCK_ACTS 256
#define BLOCKS_MAX 1024
#define BUCKETS    4096
#define PREFIX     16 /* of a batch: not what was published, but where it stands */
#define LENGTH_AT  8
#define LENGTH_END 12
#define TEXTS      8
#define TEXT_BYTES 200

static struct {
    struct known_act *blocks[BLOCKS_MAX];
    uint32_t count;
    uint32_t buckets[BUCKETS]; /* number + 1 */
    uint64_t acknowledged;     /* highest position; NO_POSITION: none */
    struct answer answer;
} history;

static struct known_act *known_at(uint32_t number)
{
    ASSERT(number < history.count);
    return &history.blocks[number / BLOCK_ACTS][number % BLOCK_ACTS];
}

void history_begin(void)
{
    history_forget();
    history.acknowledged = NO_POSITION;
}

void history_forget(void)
{
    for (uint32_t i = 0; i < history.count; i++)
        free(known_at(i)->act.bytes);
    history.count = 0;
    memset(history.buckets, 0, sizeof history.buckets);
}

/* ---- finding by bytes ------------------------------------------------------------------------ */

bool batch_is_same(const void *a, const void *b, uint32_t byte_count)
{
    const unsigned char *one = a, *two = b;
    return byte_count >= PREFIX &&
           memcmp(one + LENGTH_AT, two + LENGTH_AT, LENGTH_END - LENGTH_AT) == 0 &&
           memcmp(one + PREFIX, two + PREFIX, byte_count - PREFIX) == 0;
}

static uint32_t *bucket_of(const void *bytes, uint32_t byte_count)
{
    uint32_t rest = byte_count > PREFIX ? byte_count - PREFIX : 0;
    return &history.buckets[crc32c((const unsigned char *)bytes + PREFIX, rest) % BUCKETS];
}

struct act *history_find(const void *bytes, uint32_t byte_count)
{
    if (byte_count < PREFIX)
        return NULL;
    for (uint32_t at = *bucket_of(bytes, byte_count); at; at = known_at(at - 1)->hash_next) {
        struct act *act = &known_at(at - 1)->act;
        if (act->byte_count == byte_count && batch_is_same(act->bytes, bytes, byte_count))
            return act;
    }
    return NULL;
}

/* ---- what happened --------------------------------------------------------------------------- */

struct act *history_invoke(const struct act *act)
{
    uint32_t number = history.count, block = number / BLOCK_ACTS;
    ASSERT(block < BLOCKS_MAX && act->byte_count >= PREFIX);
    if (!history.blocks[block])
        history.blocks[block] = malloc(BLOCK_ACTS * sizeof(struct known_act));
    ASSERT(history.blocks[block]);
    history.count++;
    struct known_act *known = known_at(number);
    *known = (struct known_act){.act = *act, .last_about = NO_POSITION};
    known->act.number = number;
    known->act.state = ACT_INVOKED;
    known->act.base_offset = NO_OFFSET;
    known->act.after_position = history.acknowledged;
    known->act.invoked_ns = world_now_ns();
    known->act.answered_ns = 0;
    known->act.bytes = malloc(act->byte_count);
    ASSERT(known->act.bytes);
    memcpy(known->act.bytes, act->bytes, act->byte_count);
    uint32_t *bucket = bucket_of(act->bytes, act->byte_count);
    known->hash_next = *bucket;
    *bucket = number + 1;
    tell_invoked(&known->act);
    return &known->act;
}

/* What later acts come after by real time (P1): order 0 at level 1 says no more than "published".
 */
static void note_acknowledged(const struct act *act)
{
    const struct topic_settings *topic = log_topic(act->topic);
    uint64_t position = log_first_data(act);
    if (act->acks == 0 || position == NO_POSITION || !topic ||
        (topic->order == TOPIC_ORDER_NONE && act->acks < 2))
        return;
    if (history.acknowledged == NO_POSITION || position > history.acknowledged)
        history.acknowledged = position;
}

static void take_ok(struct known_act *known, uint64_t base_offset, bool duplicate)
{
    struct act *act = &known->act;
    bool differs = act->base_offset != NO_OFFSET && base_offset != NO_OFFSET &&
                   act->base_offset != base_offset;
    if (differs && act->session != NO_SESSION)
        finding("acks", "%s was acknowledged with base offset %llu, and again with %llu",
                act_text(act), (ull)act->base_offset, (ull)base_offset);
    act->state = ACT_ACKED;
    act->duplicate = duplicate;
    if (base_offset != NO_OFFSET)
        act->base_offset = base_offset;
    if (known->oks++ == 0)
        known->acts_when_acked = history.count;
    known->plain_oks += !duplicate;
}

/* Else it is to be sent again. */
static bool is_outcome(int status)
{
    return status != EMB_ERR_RETRY && status != EMB_ERR_BACKPRESSURE;
}

static void take_refusal(struct known_act *known, int status)
{
    if (!is_outcome(status))
        return;
    if (known->act.state != ACT_ACKED)
        known->act.state = ACT_REFUSED;
    known->refused_sequence |= status == EMB_ERR_SEQUENCE;
    known->refused_lost |= status == EMB_ERR_LOST;
    known->refused_content |= status == EMB_ERR_BATCH_TOO_LARGE || status == EMB_ERR_CORRUPT_BATCH;
}

void history_answer(struct act *act, uint32_t node, int status, uint64_t base_offset,
                    bool duplicate)
{
    struct known_act *known = known_act(act);
    history.answer =
        (struct answer){.status = status, .base_offset = base_offset, .duplicate = duplicate};
    act->status = status;
    act->answered_by = node;
    if (is_outcome(status) && act->answered_ns == 0)
        act->answered_ns = world_now_ns();
    if (status == EMB_OK)
        take_ok(known, base_offset, duplicate);
    else
        take_refusal(known, status);
    tell_answered(act);
    if (status == EMB_OK)
        note_acknowledged(act);
}

const struct answer *history_answer_now(void)
{
    return &history.answer;
}

void history_unknown(struct act *act)
{
    if (act->state == ACT_INVOKED)
        act->state = ACT_UNKNOWN;
}

uint32_t history_count(void)
{
    return history.count;
}

struct act *history_at(uint32_t number)
{
    return &known_at(number)->act;
}

void history_delivered(const struct delivery_seen *seen)
{
    tell_delivered(seen);
}

void history_subscribed(uint32_t subscriber, uint16_t topic, uint64_t offset)
{
    readers_subscribed(subscriber, topic, offset);
}

/* ---- bytes and texts ------------------------------------------------------------------------- */

/* Cells of 16 bytes, each of which names publisher, cell and number. */
void history_fill(unsigned char *value, uint32_t bytes, uint32_t publisher, uint64_t number)
{
    struct {
        uint32_t publisher;
        uint32_t cell;
        uint64_t number;
    } cell = {.publisher = publisher, .number = number};
    for (uint32_t at = 0; at < bytes; at += sizeof cell, cell.cell++)
        memcpy(value + at, &cell, min_u64(sizeof cell, bytes - at));
}

static char *next_text(void)
{
    static char texts[TEXTS][TEXT_BYTES];
    static unsigned next;
    return texts[next++ % TEXTS];
}

const char *act_text(const struct act *act)
{
    char *text = next_text();
    if (act->session == NO_SESSION)
        snprintf(text, TEXT_BYTES, "batch %u of publisher %u (topic %u, %u messages, acks %u)",
                 act->number, act->publisher, act->topic, act->message_count, act->acks);
    else
        snprintf(text, TEXT_BYTES,
                 "batch %u of publisher %u (topic %u, session 0x%llx, sequence %llu, %u messages, "
                 "acks %u)",
                 act->number, act->publisher, act->topic, (ull)act->session,
                 (ull)act->client_sequence, act->message_count, act->acks);
    return text;
}

/* "DATA", "REJECTED LOST", "META NODE_ADMIT". */
static void kind_text(const struct committed *committed, char *text, size_t bytes)
{
    static const char *const kinds[] = {
        [ENTRY_DATA] = "DATA",         [ENTRY_META] = "META",   [ENTRY_NOP] = "NOP",
        [ENTRY_REJECTED] = "REJECTED", [ENTRY_RETRY] = "RETRY", [ENTRY_SKIP] = "SKIP"};
    static const char *const types[META_TYPE_END] = {[META_LIFE] = "LIFE",
                                                     [META_EPOCH] = "EPOCH",
                                                     [META_NODE_ADMIT] = "NODE_ADMIT",
                                                     [META_CHAIN] = "CHAIN",
                                                     [META_PRODUCER_BLOCK] = "PRODUCER_BLOCK",
                                                     [META_TOPIC_CREATE] = "TOPIC_CREATE",
                                                     [META_TOPIC_DELETE] = "TOPIC_DELETE",
                                                     [META_SESSION_OPEN] = "SESSION_OPEN",
                                                     [META_SESSION_END] = "SESSION_END",
                                                     [META_NODE_LEAVE] = "NODE_LEAVE"};
    const struct goi_entry_shared *entry = &committed->entry;
    uint8_t type = committed->record.type;
    const char *more = "";
    if (entry->kind == ENTRY_META)
        more = type > 0 && type < META_TYPE_END ? types[type] : "of an unknown type";
    else if (entry->kind == ENTRY_REJECTED)
        more = error_name(error_from_wire(entry->reason));
    bool known = entry->kind >= ENTRY_DATA && entry->kind <= ENTRY_SKIP;
    snprintf(text, bytes, "%s%s%s", known ? kinds[entry->kind] : "an unknown kind",
             *more ? " " : "", more);
}

const char *entry_text(const struct committed *committed)
{
    const struct goi_entry_shared *entry = &committed->entry;
    char kind[64], session[64] = "", from[48] = "";
    char *text = next_text();
    kind_text(committed, kind, sizeof kind);
    if (entry->session != NO_SESSION)
        snprintf(session, sizeof session, ", session 0x%llx, sequence %llu+%u", (ull)entry->session,
                 (ull)entry->client_sequence, entry->message_count);
    if (entry->lane != LANE_SEQUENCER)
        snprintf(from, sizeof from, ", lane %u slot %llu", entry->lane, (ull)committed->slot);
    int used = snprintf(text, TEXT_BYTES, "position %llu: %s", (ull)committed->position, kind);
    if (entry->topic)
        used += snprintf(text + used, TEXT_BYTES - (size_t)used, ", topic %u", entry->topic);
    if (entry->topic && entry->base_offset != NO_OFFSET)
        used += snprintf(text + used, TEXT_BYTES - (size_t)used, ", offset %llu",
                         (ull)entry->base_offset);
    snprintf(text + used, TEXT_BYTES - (size_t)used, "%s%s", session, from);
    return text;
}

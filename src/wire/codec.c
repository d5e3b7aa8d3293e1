/* One put and one get per structure: the same list of fields twice, in the order of the wire. */
#include "wire/wire.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/bits.h"

#define ACKS_LAST 2

void hello_put(struct wire_writer *w, const struct hello *hello)
{
    wire_put_text(w, hello->client_name);
}

void hello_get(struct wire_reader *r, struct hello *hello)
{
    wire_get_text(r, "client name", hello->client_name, sizeof hello->client_name);
}

static void broker_address_put(struct wire_writer *w, const struct broker_address *broker)
{
    wire_put_u32(w, broker->node);
    wire_put_text(w, broker->host);
    wire_put_u16(w, broker->port);
}

static void broker_address_get(struct wire_reader *r, struct broker_address *broker)
{
    broker->node = wire_get_u32(r, "broker node");
    wire_get_text(r, "broker host", broker->host, sizeof broker->host);
    broker->port = wire_get_u16(r, "broker port");
}

void hello_ok_put(struct wire_writer *w, const struct hello_ok *ok)
{
    wire_put_u32(w, ok->node);
    wire_put_u32(w, ok->life);
    wire_put_u32(w, ok->max_batch_bytes);
    wire_put_u32(w, ok->max_message_bytes);
    wire_put_u32(w, ok->broker_count);
    if (ok->broker_count > COUNT_OF(ok->brokers)) {
        w->overflow = true;
        return;
    }
    for (uint32_t i = 0; i < ok->broker_count; i++)
        broker_address_put(w, &ok->brokers[i]);
}

void hello_ok_get(struct wire_reader *r, struct hello_ok *ok)
{
    memset(ok, 0, sizeof *ok);
    ok->node = wire_get_u32(r, "node");
    ok->life = wire_get_u32(r, "life");
    ok->max_batch_bytes = wire_get_u32(r, "largest batch");
    ok->max_message_bytes = wire_get_u32(r, "largest message");
    uint32_t count = wire_get_u32(r, "broker count");
    if (count > COUNT_OF(ok->brokers)) {
        wire_reader_fail(r, "broker count is %" PRIu32 "; at most %zu are accepted", count,
                         COUNT_OF(ok->brokers));
        return;
    }
    ok->broker_count = count;
    for (uint32_t i = 0; i < count; i++)
        broker_address_get(r, &ok->brokers[i]);
}

void topic_settings_put(struct wire_writer *w, const struct topic_settings *settings)
{
    wire_put_u8(w, settings->order);
    wire_put_u8(w, settings->replicas);
    wire_put_u8(w, settings->min_insync);
    wire_put_u8(w, settings->gap);
    wire_put_u8(w, settings->durability);
    wire_put_u32(w, settings->gap_timeout_us);
}

/* Whether they are possible is topic_settings_check's to say, with a code of its own. */
void topic_settings_get(struct wire_reader *r, struct topic_settings *settings)
{
    settings->order = wire_get_u8(r, "order");
    settings->replicas = wire_get_u8(r, "replicas");
    settings->min_insync = wire_get_u8(r, "min_insync");
    settings->gap = wire_get_u8(r, "gap policy");
    settings->durability = wire_get_u8(r, "durability");
    settings->gap_timeout_us = wire_get_u32(r, "gap timeout");
}

void topic_info_put(struct wire_writer *w, const struct topic_info *info)
{
    wire_put_text(w, info->name);
    wire_put_u16(w, info->id);
    topic_settings_put(w, &info->settings);
    wire_put_u64(w, info->position);
    wire_put_u64(w, info->first_offset);
    wire_put_u64(w, info->next_offset);
    wire_put_u64(w, info->durable_offset);
}

void topic_info_get(struct wire_reader *r, struct topic_info *info)
{
    wire_get_text(r, "topic name", info->name, sizeof info->name);
    info->id = wire_get_u16(r, "topic id");
    topic_settings_get(r, &info->settings);
    info->position = wire_get_u64(r, "topic position");
    info->first_offset = wire_get_u64(r, "first offset");
    info->next_offset = wire_get_u64(r, "next offset");
    info->durable_offset = wire_get_u64(r, "durable offset");
}

void publish_open_put(struct wire_writer *w, const struct publish_open *open)
{
    wire_put_u16(w, open->topic);
    wire_put_u64(w, open->session);
    wire_put_u8(w, open->acks);
    wire_put_u64(w, open->after_position);
}

void publish_open_get(struct wire_reader *r, struct publish_open *open)
{
    open->topic = wire_get_u16(r, "topic id");
    open->session = wire_get_u64(r, "session");
    open->acks = wire_get_choice(r, "acks", ACKS_LAST);
    open->after_position = wire_get_u64(r, "position");
}

void subscribe_put(struct wire_writer *w, const struct subscribe *subscribe)
{
    wire_put_text(w, subscribe->topic);
    wire_put_u8(w, subscribe->start);
    wire_put_u64(w, subscribe->value);
    wire_put_u8(w, subscribe->level);
    wire_put_u32(w, subscribe->subscription);
    wire_put_u64(w, subscribe->after_position);
}

void subscribe_get(struct wire_reader *r, struct subscribe *subscribe)
{
    wire_get_text(r, "topic name", subscribe->topic, sizeof subscribe->topic);
    subscribe->start = wire_get_choice(r, "start", START_TIMESTAMP);
    subscribe->value = wire_get_u64(r, "start value");
    subscribe->level = wire_get_choice(r, "read level", READ_LATEST);
    subscribe->subscription = wire_get_u32(r, "subscription");
    subscribe->after_position = wire_get_u64(r, "position");
}

void ack_item_put(struct wire_writer *w, const struct ack_item *item)
{
    wire_put_u64(w, item->correlation);
    wire_put_u64(w, item->base_offset);
    wire_put_u16(w, (uint16_t)-item->status);
    wire_put_u8(w, item->duplicate);
    wire_put_u8(w, 0);
    wire_put_u32(w, 0);
}

void ack_item_get(struct wire_reader *r, struct ack_item *item)
{
    item->correlation = wire_get_u64(r, "correlation");
    item->base_offset = wire_get_u64(r, "base offset");
    item->status = error_from_wire(wire_get_u16(r, "status"));
    item->duplicate = wire_get_choice(r, "duplicate", 1);
    uint32_t reserved = wire_get_u8(r, "reserved");
    reserved |= wire_get_u32(r, "reserved");
    if (reserved)
        wire_reader_fail(r, "reserved bytes of an ack are 0x%" PRIx32 "; 0 is accepted", reserved);
}

void status_item_put(struct wire_writer *w, const struct status_item *item)
{
    wire_put_text(w, item->table);
    wire_put_u32(w, item->row);
    wire_put_text(w, item->name);
    wire_put_u8(w, item->is_text);
    if (item->is_text)
        wire_put_text(w, item->text);
    else
        wire_put_u64(w, item->number);
}

void status_item_get(struct wire_reader *r, struct status_item *item)
{
    wire_get_text(r, "status table", item->table, sizeof item->table);
    item->row = wire_get_u32(r, "status row");
    wire_get_text(r, "status name", item->name, sizeof item->name);
    item->is_text = wire_get_choice(r, "status kind", 1);
    item->number = 0;
    item->text[0] = '\0';
    if (item->is_text)
        wire_get_text(r, "status text", item->text, sizeof item->text);
    else
        item->number = wire_get_u64(r, "status number");
}

/* Text that is too long is cut: an error that arrives in part is better than none. */
void error_put(struct wire_writer *w, int code, const char *text)
{
    char cut[ERROR_TEXT_BYTES];
    snprintf(cut, sizeof cut, "%s", text);
    wire_put_u16(w, (uint16_t)-code);
    wire_put_text(w, cut);
}

void error_get(struct wire_reader *r, struct error *error)
{
    uint16_t status = wire_get_u16(r, "status");
    if (status == 0)
        wire_reader_fail(r, "status of an error is 0; 1 and above are accepted");
    wire_get_text(r, "error text", error->text, sizeof error->text);
    error->code = r->code ? r->code : error_from_wire(status);
}

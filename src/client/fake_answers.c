#include "client/fake_connection.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static uint64_t start_find(const struct fake_rack *rack, const struct subscribe *subscribe)
{
    if (subscribe->start == START_EARLIEST)
        return rack->first_offset;
    if (subscribe->start == START_LATEST)
        return rack->next_offset;
    if (subscribe->start == START_OFFSET)
        return subscribe->value;
    for (uint32_t at = 0; at < rack->log_count; at++) {
        const struct fake_batch *batch = &rack->batches[rack->log[at]];
        if (1000 + batch->base_offset + batch->message_count - 1 >= subscribe->value)
            return batch->base_offset;
    }
    return rack->next_offset;
}

static struct topic_info topic_make(const struct fake_rack *rack)
{
    struct topic_info info = {
        .name = "orders",
        .id = 7,
        .settings = rack->settings,
        .position = 3,
        .first_offset = rack->first_offset,
        .next_offset = rack->next_offset,
        .durable_offset = rack->next_offset,
    };
    return info;
}

static void subscribe_answer(struct fake_connection *c, const struct frame_header *header,
                             const void *body)
{
    struct fake_rack *rack = c->rack;
    unsigned char bytes[1024];
    struct wire_reader r;
    struct wire_writer w;
    struct subscribe subscribe;
    struct topic_info info = topic_make(rack);

    wire_reader_init(&r, body, header->body_bytes, NULL);
    subscribe_get(&r, &subscribe);
    ASSERT(wire_reader_end(&r) == EMB_OK);
    rack->subscribed++;
    uint64_t start = start_find(rack, &subscribe);
    if (strcmp(subscribe.topic, "orders") != 0) {
        fake_answer_error(c, header->correlation, EMB_ERR_UNKNOWN_TOPIC, subscribe.topic);
        return;
    }
    if (start < rack->first_offset) {
        fake_answer_error(c, header->correlation, EMB_ERR_OFFSET_OUT_OF_RANGE, "oldest is 10");
        return;
    }
    wire_writer_init(&w, bytes, sizeof bytes);
    topic_info_put(&w, &info);
    wire_put_u64(&w, start + (rack->subscribed > rack->odd_after ? rack->offer_more : 0));
    fake_answer(c, FRAME_SUBSCRIBE_OK, header->correlation, &w);
    c->subscribed = true;
    c->subscription = subscribe.subscription;
    c->next_offset = start;
}

static void hello_answer(struct fake_connection *c, uint64_t correlation)
{
    struct fake_rack *rack = c->rack;
    unsigned char bytes[16384];
    struct wire_writer w;
    struct hello_ok ok = {
        .node = c->broker,
        .life = 1,
        .max_batch_bytes = 4u << 20,
        .max_message_bytes = 1u << 20,
        .broker_count = rack->broker_count,
    };

    for (uint32_t i = 0; i < rack->broker_count; i++) {
        ok.brokers[i].node = i;
        ok.brokers[i].port = rack->ports[i];
        snprintf(ok.brokers[i].host, sizeof ok.brokers[i].host, "127.0.0.1");
    }
    wire_writer_init(&w, bytes, sizeof bytes);
    hello_ok_put(&w, &ok);
    fake_answer(c, FRAME_HELLO_OK, correlation, &w);
}

static void topic_answer(struct fake_connection *c, const struct frame_header *header,
                         const void *body)
{
    unsigned char bytes[1024];
    struct wire_reader r;
    struct wire_writer w;
    struct topic_settings settings;
    struct topic_info info = topic_make(c->rack);
    char name[TOPIC_NAME_MAX + 1];

    wire_reader_init(&r, body, header->body_bytes, NULL);
    wire_get_text(&r, "name", name, sizeof name);
    if (header->type == FRAME_TOPIC_CREATE) {
        topic_settings_get(&r, &settings);
        info.settings = settings;
    }
    ASSERT(wire_reader_end(&r) == EMB_OK);
    if (header->type == FRAME_TOPIC_CREATE && strcmp(name, "orders") == 0) {
        fake_answer_error(c, header->correlation, EMB_ERR_TOPIC_EXISTS, "topic orders exists");
        return;
    }
    if (header->type != FRAME_TOPIC_CREATE && strcmp(name, "orders") != 0) {
        fake_answer_error(c, header->correlation, EMB_ERR_UNKNOWN_TOPIC, name);
        return;
    }
    wire_writer_init(&w, bytes, sizeof bytes);
    if (header->type == FRAME_TOPIC_DELETE) {
        wire_put_u64(&w, 9);
        fake_answer(c, FRAME_OK, header->correlation, &w);
        return;
    }
    memcpy(info.name, name, sizeof info.name);
    topic_info_put(&w, &info);
    fake_answer(c, FRAME_TOPIC_OK, header->correlation, &w);
}

static void list_answer(struct fake_connection *c, uint64_t correlation)
{
    unsigned char bytes[1024];
    struct wire_writer w;
    struct topic_info info = topic_make(c->rack);

    wire_writer_init(&w, bytes, sizeof bytes);
    wire_put_u32(&w, 2);
    topic_info_put(&w, &info);
    snprintf(info.name, sizeof info.name, "second");
    topic_info_put(&w, &info);
    fake_answer(c, FRAME_TOPIC_LIST_OK, correlation, &w);
}

static void status_answer(struct fake_connection *c, uint64_t correlation)
{
    unsigned char bytes[1024];
    struct wire_writer w;
    struct status_item item = {.table = "lane", .row = c->broker, .name = "slots", .number = 42};

    wire_writer_init(&w, bytes, sizeof bytes);
    wire_put_u32(&w, 2);
    status_item_put(&w, &item);
    snprintf(item.name, sizeof item.name, "chain");
    snprintf(item.text, sizeof item.text, "0,1");
    item.is_text = true;
    status_item_put(&w, &item);
    fake_answer(c, FRAME_STATUS_OK, correlation, &w);
}

static void position_answer(struct fake_connection *c, const struct frame_header *header)
{
    struct fake_rack *rack = c->rack;
    unsigned char bytes[32];
    struct wire_writer w;

    wire_writer_init(&w, bytes, sizeof bytes);
    if (header->type == FRAME_SESSION_OPEN) {
        uint64_t producer = (uint64_t)(100 + rack->sessions_opened++);
        rack->next_sequence[producer & 63] = 0; /* its place may be an older one's */
        wire_put_u64(&w, producer << 16);
    }
    if (header->type == FRAME_SESSION_CLOSE) {
        pthread_mutex_lock(&rack->mutex);
        rack->sessions_closed++;
        pthread_mutex_unlock(&rack->mutex);
    }
    wire_put_u64(&w, 11);
    fake_answer(c, header->type == FRAME_SESSION_OPEN ? FRAME_SESSION_OK : FRAME_OK,
                header->correlation, &w);
}

/* 1: the frame was answered as it should not be; -1: close the connection; 0: nothing odd. */
static int odd_answer(struct fake_connection *c, const struct frame_header *header)
{
    struct fake_rack *rack = c->rack;
    struct wire_writer w;

    if (rack->odd == FAKE_ODD_NONE || header->type != rack->odd_type ||
        rack->odd_seen++ < rack->odd_after)
        return 0;
    if (rack->odd == FAKE_ODD_CLOSE)
        return -1;
    if (rack->odd == FAKE_ODD_ERROR)
        fake_answer_error(c, header->correlation, rack->odd_code, rack->odd_text);
    if (rack->odd == FAKE_ODD_WRONG) {
        wire_writer_init(&w, NULL, 0);
        fake_answer(c, FRAME_SESSION_CLOSE, header->correlation, &w);
    }
    return 1;
}

int fake_frame(struct fake_connection *c, const struct frame_header *header, const void *body)
{
    int odd = odd_answer(c, header);

    if (odd != 0)
        return odd < 0 ? -1 : 0;
    switch (header->type) {
    case FRAME_HELLO:
        hello_answer(c, header->correlation);
        break;
    case FRAME_TOPIC_CREATE:
    case FRAME_TOPIC_DESCRIBE:
    case FRAME_TOPIC_DELETE:
        topic_answer(c, header, body);
        break;
    case FRAME_TOPIC_LIST:
        list_answer(c, header->correlation);
        break;
    case FRAME_STATUS:
        status_answer(c, header->correlation);
        break;
    case FRAME_SESSION_OPEN:
    case FRAME_SESSION_CLOSE:
    case FRAME_PUBLISH_OPEN:
        position_answer(c, header);
        break;
    case FRAME_SUBSCRIBE:
        subscribe_answer(c, header, body);
        break;
    case FRAME_PRODUCE:
        return fake_produce(c, header, body);
    default:
        ASSERT(!"a frame that no client sends");
    }
    return 0;
}

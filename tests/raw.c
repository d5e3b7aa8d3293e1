#include "tests/raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checksum.h"
#include "batch/batch.h"
#include "batch/field.h"

#define NONE UINT64_MAX

struct raw *raw_open(struct rig *rig, uint32_t node)
{
    return raw_open_from(rig, node, INADDR_LOOPBACK);
}

struct raw *raw_open_from(struct rig *rig, uint32_t node, uint32_t source)
{
    struct raw *raw = calloc(1, sizeof *raw);
    assert_non_null(raw);
    raw->body = malloc(RAW_BODY_MAX);
    raw->next_correlation = 100;
    raw->session = NONE;
    raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = rig_patience_ms() / 1000};
    setsockopt(raw->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(raw->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(rig_port(rig, node)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
    int at_once = 1;
    setsockopt(raw->fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    assert_int_equal(bind(raw->fd, (struct sockaddr *)&own, sizeof own), 0);
    if (connect(raw->fd, (struct sockaddr *)&address, sizeof address))
        fail_msg("node %u cannot be reached: %s", node, strerror(errno));
    return raw;
}

void raw_close(struct raw *raw, bool reset)
{
    struct linger at_once = {.l_onoff = 1};
    if (reset)
        setsockopt(raw->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(raw->fd);
    free(raw->body);
    free(raw);
}

void raw_send(struct raw *raw, const void *bytes, size_t count)
{
    while (count) {
        ssize_t sent = send(raw->fd, bytes, raw->slow ? 1 : count, MSG_NOSIGNAL);
        if (sent <= 0)
            fail_msg("%zu bytes are not taken: %s", count, strerror(errno));
        bytes = (const char *)bytes + sent;
        count -= (size_t)sent;
    }
}

uint64_t raw_frame(struct raw *raw, uint8_t type, const void *body, uint32_t body_bytes)
{
    unsigned char bytes[FRAME_HEADER_BYTES];
    struct frame_header header = {
        .type = type, .body_bytes = body_bytes, .correlation = raw->next_correlation++};
    frame_header_write(bytes, &header);
    raw_send(raw, bytes, sizeof bytes);
    raw_send(raw, body, body_bytes);
    return header.correlation;
}

/* False at the end of the connection, orderly or not. */
static bool receive_all(struct raw *raw, void *bytes, size_t count)
{
    while (count) {
        ssize_t got = recv(raw->fd, bytes, count, 0);
        if (got < 0 && errno == EAGAIN)
            fail_msg("nothing came within %u ms", rig_patience_ms());
        if (got <= 0)
            return false;
        bytes = (char *)bytes + got;
        count -= (size_t)got;
    }
    return true;
}

static void keep_acks(struct raw *raw)
{
    struct wire_reader r;
    struct error err = {0};
    wire_reader_init(&r, raw->body, raw->header.body_bytes, &err);
    for (uint32_t i = 0; i < raw->header.body_bytes / ACK_ITEM_BYTES; i++) {
        assert_true(raw->item_count < RAW_ITEMS_MAX);
        ack_item_get(&r, &raw->items[raw->item_count++]);
    }
    assert_int_equal(wire_reader_end(&r), EMB_OK);
}

bool raw_receive(struct raw *raw)
{
    unsigned char bytes[FRAME_HEADER_BYTES];
    struct error err = {0};
    if (!receive_all(raw, bytes, sizeof bytes))
        return false;
    if (frame_header_read(bytes, &raw->header, &err))
        fail_msg("a broker sent: %s", err.text);
    assert_true(raw->header.body_bytes <= RAW_BODY_MAX);
    if (!receive_all(raw, raw->body, raw->header.body_bytes))
        return false;
    if (raw->header.type == FRAME_ACK)
        keep_acks(raw);
    return true;
}

void raw_expect(struct raw *raw, uint8_t type)
{
    struct wire_reader r;
    struct error err = {0};
    do {
        if (!raw_receive(raw))
            fail_msg("the broker ended the connection; %s was expected", frame_type_name(type));
    } while (raw->header.type == FRAME_ACK || raw->header.type == FRAME_DELIVER);
    if (raw->header.type == FRAME_ERROR && type != FRAME_ERROR) {
        wire_reader_init(&r, raw->body, raw->header.body_bytes, NULL);
        error_get(&r, &err);
        fail_msg("%s was expected, but the broker says: %s", frame_type_name(type), err.text);
    }
    assert_string_equal(frame_type_name(raw->header.type), frame_type_name(type));
}

int raw_error(struct raw *raw, struct error *err)
{
    struct wire_reader r;
    raw_expect(raw, FRAME_ERROR);
    wire_reader_init(&r, raw->body, raw->header.body_bytes, NULL);
    error_get(&r, err);
    assert_int_equal(wire_reader_end(&r), EMB_OK);
    return err->code;
}

void raw_expect_error(struct raw *raw, int code, const char *text)
{
    struct error err = {0};
    raw_error(raw, &err);
    if (err.code != code)
        fail_msg("%s was expected, not %s: %s", emb_error_name(code), emb_error_name(err.code),
                 err.text);
    if (text && !strstr(err.text, text))
        fail_msg("\"%s\" does not name \"%s\"", err.text, text);
}

void raw_expect_end(struct raw *raw)
{
    while (raw_receive(raw))
        if (raw->header.type != FRAME_ACK && raw->header.type != FRAME_DELIVER)
            fail_msg("a %s frame; the end was expected", frame_type_name(raw->header.type));
}

/* ---- requests -------------------------------------------------------------------------------- */

void raw_hello(struct raw *raw)
{
    unsigned char body[128];
    struct wire_writer w;
    struct hello hello = {.client_name = "raw"};
    wire_writer_init(&w, body, sizeof body);
    hello_put(&w, &hello);
    raw_frame(raw, FRAME_HELLO, body, (uint32_t)w.used);
    raw_expect(raw, FRAME_HELLO_OK);
}

struct topic_info raw_describe(struct raw *raw, const char *topic)
{
    unsigned char body[300];
    struct wire_writer w;
    struct wire_reader r;
    struct topic_info info = {0};
    struct error err = {0};
    wire_writer_init(&w, body, sizeof body);
    wire_put_text(&w, topic);
    raw_frame(raw, FRAME_TOPIC_DESCRIBE, body, (uint32_t)w.used);
    raw_expect(raw, FRAME_TOPIC_OK);
    wire_reader_init(&r, raw->body, raw->header.body_bytes, &err);
    topic_info_get(&r, &info);
    assert_int_equal(wire_reader_end(&r), EMB_OK);
    return info;
}

static uint64_t open_session(struct raw *raw, const struct topic_info *info, uint64_t *position)
{
    unsigned char body[16];
    struct wire_writer w;
    struct wire_reader r;
    struct error err = {0};
    wire_writer_init(&w, body, sizeof body);
    wire_put_u16(&w, info->id);
    wire_put_u64(&w, info->position);
    raw_frame(raw, FRAME_SESSION_OPEN, body, (uint32_t)w.used);
    raw_expect(raw, FRAME_SESSION_OK);
    wire_reader_init(&r, raw->body, raw->header.body_bytes, &err);
    uint64_t session = wire_get_u64(&r, "session");
    *position = wire_get_u64(&r, "position");
    assert_int_equal(wire_reader_end(&r), EMB_OK);
    return session;
}

static void publish_open_send(struct raw *raw, uint64_t after_position)
{
    unsigned char body[32];
    struct wire_writer w;
    struct publish_open open = {.topic = raw->topic,
                                .session = raw->session,
                                .acks = raw->acks,
                                .after_position = after_position};
    wire_writer_init(&w, body, sizeof body);
    publish_open_put(&w, &open);
    raw_frame(raw, FRAME_PUBLISH_OPEN, body, (uint32_t)w.used);
}

void raw_publish_open(struct raw *raw, const char *topic, uint8_t acks)
{
    struct topic_info info = raw_describe(raw, topic);
    uint64_t position = info.position;
    raw->topic = info.id;
    raw->acks = acks;
    if (info.settings.order >= TOPIC_ORDER_TOKEN)
        raw->session = open_session(raw, &info, &position);
    raw->position = position;
    publish_open_send(raw, position);
    raw_expect(raw, FRAME_OK);
}

void raw_publish_join(struct raw *raw, const struct raw *opener)
{
    raw->topic = opener->topic;
    raw->acks = opener->acks;
    raw->session = opener->session;
    publish_open_send(raw, opener->position);
    raw_expect(raw, FRAME_OK);
}

bool raw_session_has_ended(struct rig *rig, uint32_t node, uint16_t topic, uint64_t session)
{
    struct raw *raw = raw_open(rig, node);
    struct wire_reader r;
    struct error err = {0};
    raw->topic = topic;
    raw->acks = 1;
    raw->session = session;
    publish_open_send(raw, NONE);
    assert_true(raw_receive(raw));
    if (raw->header.type == FRAME_ERROR) {
        wire_reader_init(&r, raw->body, raw->header.body_bytes, NULL);
        error_get(&r, &err);
    }
    raw_close(raw, false);
    return err.code == EMB_ERR_SESSION_FENCED;
}

uint64_t raw_status(struct raw *raw, const char *name)
{
    struct wire_reader r;
    struct error err = {0};
    struct status_item item;
    raw_frame(raw, FRAME_STATUS, NULL, 0);
    raw_expect(raw, FRAME_STATUS_OK);
    wire_reader_init(&r, raw->body, raw->header.body_bytes, &err);
    for (uint32_t count = wire_get_u32(&r, "count"); count; count--) {
        status_item_get(&r, &item);
        if (strcmp(item.table, "broker") == 0 && strcmp(item.name, name) == 0)
            return item.number;
    }
    fail_msg("a broker's status has no \"%s\"", name);
    return 0;
}

/* ---- batches --------------------------------------------------------------------------------- */

void raw_batch_make(const struct raw *raw, uint64_t sequence, uint32_t messages,
                    struct raw_batch *batch)
{
    struct batch_builder builder;
    void *finished;
    char value[64];
    *batch = (struct raw_batch){0};
    batch_builder_init(&builder, batch->bytes, sizeof batch->bytes);
    for (uint32_t i = 0; i < messages; i++) {
        snprintf(value, sizeof value, "raw %llu", (unsigned long long)(sequence + i));
        struct record record = {.timestamp_ms = 1700000000000ull + i,
                                .value = value,
                                .value_bytes = (uint32_t)strlen(value)};
        assert_true(batch_append(&builder, &record));
    }
    ssize_t bytes =
        batch_finish(&builder, raw->session, sequence, BATCH_NONE, 0, NULL, 0, &finished);
    assert_true(bytes > 0 && finished == batch->bytes);
    batch->byte_count = (uint32_t)bytes;
    batch->frame = (struct frame_header){.type = FRAME_PRODUCE,
                                         .body_bytes = batch->byte_count,
                                         .session = raw->session,
                                         .client_sequence = sequence,
                                         .max_timestamp_ms = builder.max_timestamp_ms,
                                         .topic = raw->topic,
                                         .acks = raw->acks,
                                         .message_count = messages};
}

void raw_batch_seal(struct raw_batch *batch)
{
    put_be32(batch->bytes + FIELD_CRC,
             crc32c(batch->bytes + FIELD_ATTRIBUTES, batch->byte_count - FIELD_ATTRIBUTES));
}

uint64_t raw_produce(struct raw *raw, struct raw_batch *batch)
{
    unsigned char header[FRAME_HEADER_BYTES];
    batch->frame.correlation = raw->next_correlation++;
    frame_header_write(header, &batch->frame);
    raw_send(raw, header, sizeof header);
    raw_send(raw, batch->bytes, batch->byte_count);
    return batch->frame.correlation;
}

void raw_produce_part(struct raw *raw, struct raw_batch *batch, size_t count)
{
    unsigned char header[FRAME_HEADER_BYTES];
    batch->frame.correlation = raw->next_correlation++;
    frame_header_write(header, &batch->frame);
    raw_send(raw, header, count < sizeof header ? count : sizeof header);
    if (count > sizeof header)
        raw_send(raw, batch->bytes, count - sizeof header);
}

struct ack_item raw_ack(struct raw *raw, uint64_t correlation)
{
    for (;;) {
        for (uint32_t i = 0; i < raw->item_count; i++) {
            struct ack_item item = raw->items[i];
            if (item.correlation != correlation)
                continue;
            raw->items[i] = raw->items[--raw->item_count];
            return item;
        }
        if (!raw_receive(raw))
            fail_msg("the broker ended the connection before answering a batch");
        if (raw->header.type == FRAME_ERROR)
            fail_msg("the broker answered a batch with an error frame");
    }
}

struct ack_item raw_settle(struct raw *raw, struct raw_batch *batch)
{
    struct ack_item item;
    do {
        item = raw_ack(raw, raw_produce(raw, batch));
    } while (item.status == EMB_ERR_RETRY);
    return item;
}

#include "wire/wire.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/checksum.h"

/* Where the fields stand; the diagram is in wire.h. */
enum frame_at {
    AT_MAGIC = 0,
    AT_BODY_BYTES = 4,
    AT_TYPE = 8,
    AT_VERSION = 9,
    AT_FLAGS = 10,
    AT_CRC = 12,
    AT_CORRELATION = 16,
    AT_BY_TYPE = 24,
    AT_SESSION = 24,
    AT_CLIENT_SEQUENCE = 32,
    PRODUCE_MAX_TIMESTAMP = 40,
    PRODUCE_TOPIC = 48,
    PRODUCE_ACKS = 50,
    PRODUCE_ZERO_51 = 51,
    PRODUCE_MESSAGE_COUNT = 52,
    PRODUCE_ZERO_56 = 56,
    DELIVER_BASE_OFFSET = 40,
    DELIVER_POSITION = 48,
    DELIVER_MESSAGE_COUNT = 56,
    DELIVER_SUBSCRIPTION = 60,
};

/* Per type: its name, and the largest body. What brokers answer may be long, what they are asked
 * not. */
static const struct frame_kind {
    const char *name;
    uint32_t max_body_bytes;
} frame_kinds[FRAME_TYPE_END] = {
    [FRAME_HELLO] = {"HELLO", FRAME_MAX_CONTROL_BYTES},
    [FRAME_HELLO_OK] = {"HELLO_OK", FRAME_MAX_BODY_BYTES},
    [FRAME_ERROR] = {"ERROR", FRAME_MAX_BODY_BYTES},
    [FRAME_OK] = {"OK", FRAME_MAX_BODY_BYTES},
    [FRAME_TOPIC_CREATE] = {"TOPIC_CREATE", FRAME_MAX_CONTROL_BYTES},
    [FRAME_TOPIC_DESCRIBE] = {"TOPIC_DESCRIBE", FRAME_MAX_CONTROL_BYTES},
    [FRAME_TOPIC_DELETE] = {"TOPIC_DELETE", FRAME_MAX_CONTROL_BYTES},
    [FRAME_TOPIC_LIST] = {"TOPIC_LIST", FRAME_MAX_CONTROL_BYTES},
    [FRAME_TOPIC_OK] = {"TOPIC_OK", FRAME_MAX_BODY_BYTES},
    [FRAME_TOPIC_LIST_OK] = {"TOPIC_LIST_OK", FRAME_MAX_BODY_BYTES},
    [FRAME_SESSION_OPEN] = {"SESSION_OPEN", FRAME_MAX_CONTROL_BYTES},
    [FRAME_SESSION_OK] = {"SESSION_OK", FRAME_MAX_BODY_BYTES},
    [FRAME_SESSION_CLOSE] = {"SESSION_CLOSE", FRAME_MAX_CONTROL_BYTES},
    [FRAME_PUBLISH_OPEN] = {"PUBLISH_OPEN", FRAME_MAX_CONTROL_BYTES},
    [FRAME_PRODUCE] = {"PRODUCE", FRAME_MAX_BODY_BYTES},
    [FRAME_ACK] = {"ACK", FRAME_MAX_BODY_BYTES},
    [FRAME_SUBSCRIBE] = {"SUBSCRIBE", FRAME_MAX_CONTROL_BYTES},
    [FRAME_SUBSCRIBE_OK] = {"SUBSCRIBE_OK", FRAME_MAX_BODY_BYTES},
    [FRAME_DELIVER] = {"DELIVER", FRAME_MAX_BODY_BYTES},
    [FRAME_UNSUBSCRIBE] = {"UNSUBSCRIBE", FRAME_MAX_CONTROL_BYTES},
    [FRAME_STATUS] = {"STATUS", FRAME_MAX_CONTROL_BYTES},
    [FRAME_STATUS_OK] = {"STATUS_OK", FRAME_MAX_BODY_BYTES},
};

const char *frame_type_name(uint8_t type)
{
    return type > 0 && type < FRAME_TYPE_END ? frame_kinds[type].name : "UNKNOWN";
}

/* With a constant size these compile to one load or store. */
static inline void put(unsigned char *bytes, size_t at, const void *value, size_t count)
{
    memcpy(bytes + at, value, count);
}

static inline uint64_t get(const unsigned char *bytes, size_t at, size_t count)
{
    uint64_t value = 0;
    memcpy(&value, bytes + at, count);
    return value;
}

/* The CRC32C of the header with its crc field zero. */
static uint32_t header_crc(const unsigned char *bytes)
{
    unsigned char copy[FRAME_HEADER_BYTES];
    memcpy(copy, bytes, sizeof copy);
    memset(copy + AT_CRC, 0, 4);
    return crc32c(copy, sizeof copy);
}

static void put_produce(unsigned char *bytes, const struct frame_header *header)
{
    put(bytes, AT_SESSION, &header->session, 8);
    put(bytes, AT_CLIENT_SEQUENCE, &header->client_sequence, 8);
    put(bytes, PRODUCE_MAX_TIMESTAMP, &header->max_timestamp_ms, 8);
    put(bytes, PRODUCE_TOPIC, &header->topic, 2);
    put(bytes, PRODUCE_ACKS, &header->acks, 1);
    put(bytes, PRODUCE_MESSAGE_COUNT, &header->message_count, 4);
}

static void put_deliver(unsigned char *bytes, const struct frame_header *header)
{
    put(bytes, AT_SESSION, &header->session, 8);
    put(bytes, AT_CLIENT_SEQUENCE, &header->client_sequence, 8);
    put(bytes, DELIVER_BASE_OFFSET, &header->base_offset, 8);
    put(bytes, DELIVER_POSITION, &header->position, 8);
    put(bytes, DELIVER_MESSAGE_COUNT, &header->message_count, 4);
    put(bytes, DELIVER_SUBSCRIPTION, &header->subscription, 4);
}

void frame_header_write(void *to_64_bytes, const struct frame_header *header)
{
    ASSERT(header->type > 0 && header->type < FRAME_TYPE_END);
    ASSERT(header->body_bytes <= frame_kinds[header->type].max_body_bytes);
    unsigned char *bytes = to_64_bytes;
    const uint32_t magic = FRAME_MAGIC;
    memset(bytes, 0, FRAME_HEADER_BYTES);
    put(bytes, AT_MAGIC, &magic, 4);
    put(bytes, AT_BODY_BYTES, &header->body_bytes, 4);
    bytes[AT_TYPE] = header->type;
    bytes[AT_VERSION] = FRAME_VERSION;
    put(bytes, AT_FLAGS, &header->flags, 2);
    put(bytes, AT_CORRELATION, &header->correlation, 8);
    if (header->type == FRAME_PRODUCE)
        put_produce(bytes, header);
    else if (header->type == FRAME_DELIVER)
        put_deliver(bytes, header);
    uint32_t crc = crc32c(bytes, FRAME_HEADER_BYTES);
    put(bytes, AT_CRC, &crc, 4);
}

static int check_frame(const unsigned char *bytes, struct error *err)
{
    uint32_t magic = (uint32_t)get(bytes, AT_MAGIC, 4);
    if (magic != FRAME_MAGIC)
        return error_set(err, EMB_ERR_PROTOCOL,
                         "frame magic is 0x%08" PRIx32 "; 0x%08x (\"EMB1\") is accepted", magic,
                         FRAME_MAGIC);
    uint32_t crc = (uint32_t)get(bytes, AT_CRC, 4), expected = header_crc(bytes);
    if (crc != expected)
        return error_set(err, EMB_ERR_PROTOCOL,
                         "frame header CRC32C is 0x%08" PRIx32 "; its bytes have 0x%08" PRIx32, crc,
                         expected);
    if (bytes[AT_VERSION] != FRAME_VERSION)
        return error_set(err, EMB_ERR_VERSION, "frame version is %u; this side speaks %d",
                         bytes[AT_VERSION], FRAME_VERSION);
    if (bytes[AT_TYPE] == 0 || bytes[AT_TYPE] >= FRAME_TYPE_END)
        return error_set(err, EMB_ERR_PROTOCOL, "frame type is %u; 1 to %d are accepted",
                         bytes[AT_TYPE], FRAME_TYPE_END - 1);
    return EMB_OK;
}

static int check_body_bytes(const struct frame_header *header, struct error *err)
{
    const struct frame_kind *kind = &frame_kinds[header->type];
    if (header->body_bytes <= kind->max_body_bytes)
        return EMB_OK;
    return error_set(err, EMB_ERR_PROTOCOL,
                     "%s frame has a body of %" PRIu32 " bytes; at most %" PRIu32 " are accepted",
                     kind->name, header->body_bytes, kind->max_body_bytes);
}

/* Reserved bytes [from, to) must be zero, so that a later version can give them a meaning. */
static int check_zero(const unsigned char *bytes, size_t from, size_t to, struct error *err)
{
    for (size_t at = from; at < to; at++)
        if (bytes[at])
            return error_set(err, EMB_ERR_PROTOCOL,
                             "%s frame has 0x%02x at byte %zu of its header; 0 is accepted",
                             frame_type_name(bytes[AT_TYPE]), bytes[at], at);
    return EMB_OK;
}

static int get_produce(const unsigned char *bytes, struct frame_header *header, struct error *err)
{
    header->session = get(bytes, AT_SESSION, 8);
    header->client_sequence = get(bytes, AT_CLIENT_SEQUENCE, 8);
    header->max_timestamp_ms = get(bytes, PRODUCE_MAX_TIMESTAMP, 8);
    header->topic = (uint16_t)get(bytes, PRODUCE_TOPIC, 2);
    header->acks = bytes[PRODUCE_ACKS];
    header->message_count = (uint32_t)get(bytes, PRODUCE_MESSAGE_COUNT, 4);
    if (header->acks > 2)
        return error_set(err, EMB_ERR_PROTOCOL,
                         "PRODUCE frame has acks %u; 0, 1 and 2 are accepted", header->acks);
    int result = check_zero(bytes, PRODUCE_ZERO_51, PRODUCE_ZERO_51 + 1, err);
    return result ? result : check_zero(bytes, PRODUCE_ZERO_56, FRAME_HEADER_BYTES, err);
}

static int get_deliver(const unsigned char *bytes, struct frame_header *header)
{
    header->session = get(bytes, AT_SESSION, 8);
    header->client_sequence = get(bytes, AT_CLIENT_SEQUENCE, 8);
    header->base_offset = get(bytes, DELIVER_BASE_OFFSET, 8);
    header->position = get(bytes, DELIVER_POSITION, 8);
    header->message_count = (uint32_t)get(bytes, DELIVER_MESSAGE_COUNT, 4);
    header->subscription = (uint32_t)get(bytes, DELIVER_SUBSCRIPTION, 4);
    return EMB_OK;
}

int frame_header_read(const void *from_64_bytes, struct frame_header *header, struct error *err)
{
    const unsigned char *bytes = from_64_bytes;
    int result = check_frame(bytes, err);
    if (result)
        return result;
    *header = (struct frame_header){
        .body_bytes = (uint32_t)get(bytes, AT_BODY_BYTES, 4),
        .type = bytes[AT_TYPE],
        .flags = (uint16_t)get(bytes, AT_FLAGS, 2),
        .correlation = get(bytes, AT_CORRELATION, 8),
    };
    result = check_body_bytes(header, err);
    if (!result)
        result = check_zero(bytes, AT_FLAGS, AT_FLAGS + 2, err);
    if (result)
        return result;
    switch (header->type) {
    case FRAME_PRODUCE:
        return get_produce(bytes, header, err);
    case FRAME_DELIVER:
        return get_deliver(bytes, header);
    default:
        return check_zero(bytes, AT_BY_TYPE, FRAME_HEADER_BYTES, err);
    }
}

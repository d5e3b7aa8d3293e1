/*
 * The fields a RecordBatch v2 is made of: big-endian numbers of the header and the zig-zag varints
 * of records (Protocol Buffers encoding, as Kafka's KIP-98 adopts it). Only for src/batch. Pure.
 */
#ifndef BATCH_FIELD_H
#define BATCH_FIELD_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Offsets of the header's fields; the diagram is in batch.h. */
enum batch_field {
    FIELD_BASE_OFFSET = 0,
    FIELD_LENGTH = 8,
    FIELD_LEADER_EPOCH = 12,
    FIELD_MAGIC = 16,
    FIELD_CRC = 17,
    FIELD_ATTRIBUTES = 21,
    FIELD_LAST_OFFSET_DELTA = 23,
    FIELD_FIRST_TIMESTAMP = 27,
    FIELD_MAX_TIMESTAMP = 35,
    FIELD_PRODUCER_ID = 43,
    FIELD_PRODUCER_EPOCH = 51,
    FIELD_BASE_SEQUENCE = 53,
    FIELD_RECORD_COUNT = 57,
};

#define FIELD_LENGTH_END       12u /* what the length field counts begins here */
#define ATTRIBUTES_COMPRESSION 0x7u
#define ATTRIBUTES_APPEND_TIME 0x8u
#define ATTRIBUTES_KNOWN       0xfu
#define BATCH_MAGIC            2
#define RECORD_MIN_BYTES       7u /* length, attributes, two deltas, no key, no value, no headers */

static inline uint16_t get_be16(const unsigned char *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return be16toh(value);
}

static inline uint32_t get_be32(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return be32toh(value);
}

static inline uint64_t get_be64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return be64toh(value);
}

static inline void put_be16(unsigned char *at, uint16_t value)
{
    value = htobe16(value);
    memcpy(at, &value, sizeof value);
}

static inline void put_be32(unsigned char *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof value);
}

static inline void put_be64(unsigned char *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof value);
}

static inline uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t unzigzag(uint64_t value)
{
    return (int64_t)((value >> 1) ^ (0 - (value & 1)));
}

/* Bytes of the varint that holds value: ceil(bits / 7) without a division or a branch. */
static inline size_t varint_bytes(uint64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    return (bits * 9 + 64) / 64;
}

/* Writes the varint and returns the byte after it. */
static inline unsigned char *put_varint(unsigned char *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    *at++ = (unsigned char)value;
    return at;
}

/*
 * Reads a zig-zag varint of at most `bits` (32 or 64) bits and moves *at behind it. False when the
 * bytes end before it does, or when it holds more bits; *at is then undefined.
 */
static inline bool get_varint(const unsigned char **at, const unsigned char *end, unsigned bits,
                              int64_t *value)
{
    uint64_t sum = 0;
    for (unsigned shift = 0; *at < end && shift < bits; shift += 7) {
        unsigned byte = *(*at)++;
        if (bits - shift < 7 && (byte & 0x7f) >> (bits - shift))
            return false;
        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = unzigzag(sum);
            return true;
        }
    }
    return false;
}

#endif

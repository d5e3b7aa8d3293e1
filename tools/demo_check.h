/*
 * What subscribers were handed, held against the source: P1 by markers, P2 on bytes and order,
 * P3 between two subscribers, and whether acknowledgements told the right offsets.
 *
 * Publisher k publishes lines k, k + PUBLISHERS, ... of the source, with the key "k:line" and the
 * line as value. Marker i is published by marker publisher i % PUBLISHERS, with the key
 * "mPUBLISHER:i" and the value "marker i", after marker i - 1 was acknowledged.
 *
 * One thread per check; compared with each other when their threads have ended. A check that
 * returned false stays so, and `why` names the first violation.
 */
#ifndef TOOLS_DEMO_CHECK_H
#define TOOLS_DEMO_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/demo_source.h"

#define PUBLISHERS     4
#define KEY_TEXT_BYTES 32
#define WHY_BYTES      512
/* A message's id: its line, or with this bit its number as a marker. */
#define ID_MARKER (1ULL << 63)

/* Writes the key, and for markers the value; both are zero-terminated. Returns its bytes. */
uint32_t key_text(uint64_t id, char text[KEY_TEXT_BYTES]);
uint32_t marker_text(uint64_t marker, char text[KEY_TEXT_BYTES]);

struct reader_check {
    const struct source *source;
    unsigned subscriber;       /* 1, 2: as the report calls it */
    uint64_t next[PUBLISHERS]; /* line expected next of each */
    uint64_t next_marker;
    uint64_t lines; /* of the source, seen */
    uint64_t *ids;  /* by offset */
    uint64_t count;
    uint64_t capacity;
    char why[WHY_BYTES];
};

struct checked_message {
    uint64_t offset;
    struct bytes key;
    struct bytes value;
};

void reader_check_init(struct reader_check *check, const struct source *source,
                       unsigned subscriber);
void reader_check_free(struct reader_check *check);
/* P1, P2 and dense offsets, for the next message that was handed out. */
bool reader_check_message(struct reader_check *check, const struct checked_message *message);
/* Nothing is missing at the end. */
bool reader_check_end(struct reader_check *check, uint64_t markers);

/* P3: both saw the same messages at the same offsets. */
bool readers_agree(const struct reader_check *a, const struct reader_check *b, char why[WHY_BYTES]);
/* The n-th message of the publisher stands where its acknowledgement said; ids as above. */
bool acks_agree(const struct reader_check *check, const uint64_t *acked, uint64_t count,
                uint64_t first_id, uint64_t id_step, char why[WHY_BYTES]);

/* "bytes" shortened and without control characters, for a message to people. */
#define EXCERPT_BYTES 64
const char *excerpt(struct bytes bytes, char text[EXCERPT_BYTES]);
bool bytes_equal(struct bytes a, struct bytes b);

#endif

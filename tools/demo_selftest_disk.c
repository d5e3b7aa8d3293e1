/*
 * How it works. Three nodes, two lanes with chains of two, and a topic of a few batches: frames as
 * a scan of each store gives them are made by hand and given to the check. A fault is planted in
 * one frame of one store, or in what was asked for.
 */
#include "tools/demo_selftest_disk.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "batch/batch.h"
#include "meta/meta.h"
#include "tools/demo_disk.h"

#define NODES       3u
#define LANES       2u
#define TOPIC       7u
#define BATCHES     6u
#define PER_BATCH   3u
#define MESSAGES    (BATCHES * PER_BATCH)
#define BATCH_ROOM  1024u
#define FIRST_BATCH 10u /* its position */
#define TEXT_BYTES  32u

enum fault {
    NONE,
    VALUE_ALTERED,
    VALUE_NONE,
    KEY_ALTERED,
    RECORD_MISSING,
    PAYLOAD_MISSING,
    ENTRY_MISSING,
    LAST_MISSING,
    LAST_MISSING_EVERYWHERE,
    OFFSETS_SWAPPED,
    OTHER_POSITION,
    ONE_MORE,
    CHAIN_OF_ONE,
    CHAIN_UNKNOWN,
    NOT_SYNCED,
    STORE_MISSING,
    TOPIC_UNKNOWN,
    FAULTS
};

static const char *const fault_names[FAULTS] = {
    "nothing",
    "a byte of a value altered at one member",
    "an empty value turned into none at one member",
    "a byte of a key altered at one member",
    "a record missing in a batch",
    "a payload missing at one member",
    "a batch missing at one member",
    "the last batch missing at one member",
    "the last batch missing everywhere",
    "two batches swapped",
    "a batch at another position at one member",
    "a batch that was never delivered",
    "a chain of one",
    "no chain for a lane",
    "a batch behind the last sync",
    "a store missing",
    "a topic that nobody created",
};

static uint32_t text_of(const char *what, uint64_t offset, char text[TEXT_BYTES])
{
    if (offset % 5 == 4 && *what == 'v')
        text[0] = '\0';
    else
        snprintf(text, TEXT_BYTES, "%s %llu", what, (unsigned long long)offset);
    return (uint32_t)strlen(text);
}

static int open_test_delivered(struct delivered *delivered)
{
    char path[32], key[TEXT_BYTES], value[TEXT_BYTES];
    struct error err;
    bool good = true;
    int fd = memfd_create("delivered", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    FILE *file = fopen(path, "wb");
    for (uint64_t i = 0; file && i < MESSAGES; i++) {
        struct bytes key_bytes = {key, text_of("key", i, key)};
        struct bytes value_bytes = {value, text_of("value", i, value)};
        good = delivered_write(file, key_bytes, value_bytes) && good;
    }
    good = file && fclose(file) == 0 && good;
    int rc = good ? delivered_open(delivered, path, &err) : EMB_ERR_IO;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static int give(struct disk_check *check, uint64_t position, const struct goi_entry_shared *entry,
                const void *payload, size_t bytes)
{
    struct store_frame frame = {.kind = STORE_FRAME_ENTRY,
                                .position = position,
                                .entry = *entry,
                                .payload = payload,
                                .payload_bytes = payload ? bytes : 0};
    return disk_check_frame(check, &frame);
}

static void give_meta(struct disk_check *check, uint64_t position, const struct meta_record *record)
{
    char bytes[META_BATCH_BYTES];
    struct goi_entry_shared entry = {
        .kind = ENTRY_META, .lane = LANE_SEQUENCER, .topic = TOPIC, .message_count = 1};
    give(check, position, &entry, bytes, meta_batch_build(bytes, record, 1));
}

static void give_head(struct disk_check *check, enum fault fault)
{
    for (uint32_t lane = 0; lane < LANES; lane++) {
        struct meta_record record = {.type = META_CHAIN, .version = 1};
        record.chain.lane = lane;
        record.chain.version = 1;
        record.chain.count = fault == CHAIN_OF_ONE ? 1 : 2;
        record.chain.members[0] = lane;
        record.chain.members[1] = lane + 1;
        if (fault != CHAIN_UNKNOWN || lane == 0)
            give_meta(check, lane, &record);
    }
    struct meta_record record = {.type = META_TOPIC_CREATE, .version = 1};
    snprintf(record.topic_create.name, sizeof record.topic_create.name, "%s",
             fault == TOPIC_UNKNOWN ? "another" : "demo");
    give_meta(check, LANES, &record);
}

static bool is_empty_value(uint64_t offset)
{
    return offset % 5 == 4;
}

static size_t build_batch(unsigned char *room, uint64_t base_offset, enum fault fault)
{
    struct batch_builder builder;
    char key[TEXT_BYTES], value[TEXT_BYTES];
    void *finished;
    batch_builder_init(&builder, room, BATCH_ROOM);
    for (uint64_t i = base_offset; i < base_offset + PER_BATCH; i++) {
        struct record record = {.timestamp_ms = 1, .key = key, .value = value};
        record.key_bytes = text_of("key", i, key);
        record.value_bytes = text_of("value", i, value);
        if (fault == VALUE_ALTERED)
            value[0] ^= 1;
        if (fault == VALUE_NONE && is_empty_value(i))
            record.value = NULL;
        if (fault == KEY_ALTERED)
            key[0] ^= 1;
        if (fault != RECORD_MISSING || i != base_offset)
            batch_append(&builder, &record);
    }
    ssize_t bytes =
        batch_finish(&builder, NO_SESSION, NO_SEQUENCE, BATCH_NONE, 0, NULL, 0, &finished);
    return bytes > 0 && finished == room ? (size_t)bytes : 0;
}

static int give_batch(struct disk_check *check, unsigned batch, enum fault fault)
{
    unsigned char room[BATCH_ROOM];
    unsigned lane = batch % LANES;
    bool cares = check->node == lane || check->node == lane + 1;
    uint64_t position = FIRST_BATCH + batch + (fault == OTHER_POSITION);
    unsigned told = fault == OFFSETS_SWAPPED ? batch ^ 1 : batch;
    struct goi_entry_shared entry = {.kind = ENTRY_DATA,
                                     .topic = TOPIC,
                                     .lane = (uint8_t)lane,
                                     .base_offset = told * PER_BATCH,
                                     .message_count = PER_BATCH};
    size_t bytes = build_batch(room, entry.base_offset, fault);
    bool gives = cares && fault != PAYLOAD_MISSING;
    return give(check, position, &entry, gives ? room : NULL, bytes);
}

/* ---- stores ---------------------------------------------------------------------------------- */

/* Batch 3, of lane 1: messages 9 to 11; message 9 has an empty value. */
static bool is_planted(unsigned node, unsigned batch, enum fault fault)
{
    if (fault == OFFSETS_SWAPPED)
        return batch == 2 || batch == 3;
    return node == 2 && batch == 3;
}

static bool is_left_out(unsigned node, unsigned batch, enum fault fault)
{
    if (fault == ENTRY_MISSING)
        return node == 2 && batch == 3;
    if (fault == LAST_MISSING)
        return node == 2 && batch == BATCHES - 1;
    return fault == LAST_MISSING_EVERYWHERE && batch == BATCHES - 1;
}

static bool give_store(struct disk_check *check, unsigned node, enum fault fault)
{
    struct goi_entry_shared other = {
        .kind = ENTRY_DATA, .topic = TOPIC + 1, .lane = 0, .base_offset = 0, .message_count = 9};
    int rc = 0;
    disk_check_begin(check, node);
    give_head(check, fault);
    give(check, LANES + 1, &other, NULL, 0);
    for (unsigned batch = 0; batch < BATCHES + (fault == ONE_MORE) && rc == 0; batch++)
        if (!is_left_out(node, batch, fault))
            rc = give_batch(check, batch, is_planted(node, batch, fault) ? fault : NONE);
    uint64_t end = FIRST_BATCH + BATCHES + 1;
    return disk_check_end(check, fault == NOT_SYNCED && node == 1 ? end - 3 : end);
}

static unsigned try_fault(const struct delivered *delivered, enum fault fault)
{
    struct disk_check check;
    disk_check_init(&check, delivered, "demo");
    bool good = true;
    for (unsigned node = 0; good && node < NODES - (fault == STORE_MISSING); node++)
        good = give_store(&check, node, fault);
    good = good && disk_check_finish(&check, 2);
    bool right = fault == NONE ? good : !good && strncmp(check.why, "P4", 2) == 0;
    if (!right)
        fprintf(stderr, "selftest: %s in the stores: %s\n", fault_names[fault],
                good ? "not found" : check.why);
    disk_check_free(&check);
    return !right;
}

unsigned selftest_disk(unsigned *planted)
{
    struct delivered delivered;
    unsigned count = 0;
    *planted = FAULTS - 1;
    if (open_test_delivered(&delivered)) {
        fprintf(stderr, "selftest: the file of delivered messages cannot be made\n");
        return 1;
    }
    for (int fault = NONE; fault < FAULTS; fault++)
        count += try_fault(&delivered, fault);
    delivered_close(&delivered);
    return count;
}

#include <string.h>

#include "base/assert.h"
#include "batch/batch.h"
#include "meta/meta.h"

uint32_t meta_batch_build(void *to, const struct meta_record *record, uint64_t now_ms)
{
    struct batch_builder builder;
    batch_builder_init(&builder, to, META_BATCH_BYTES);
    struct record message = {
        .timestamp_ms = now_ms, .value = record, .value_bytes = sizeof *record};
    bool fits = batch_append(&builder, &message);
    ASSERT(fits);
    void *finished;
    ssize_t bytes =
        batch_finish(&builder, NO_SESSION, NO_SEQUENCE, BATCH_NONE, 0, NULL, 0, &finished);
    ASSERT(bytes > 0 && finished == to);
    return (uint32_t)bytes;
}

static int bad(struct error *err, const char *what, uint64_t value, const char *accepted)
{
    return error_set(err, EMB_ERR_CORRUPT_BATCH, "META record: %s is %llu; %s", what,
                     (unsigned long long)value, accepted);
}

static int check_fields(const struct meta_record *r, struct error *err)
{
    if (r->type == 0 || r->type >= META_TYPE_END)
        return bad(err, "type", r->type, "1 to 10 are known");
    if (r->version != 1)
        return bad(err, "version", r->version, "1 is known");
    if (r->type == META_NODE_ADMIT) {
        if (r->admit.node >= NODE_MAX || r->admit.lane_count > NODE_LANES_MAX)
            return bad(err, "node", r->admit.node, "below 32, with at most 4 lanes");
        if (!memchr(r->admit.host, 0, NODE_HOST_BYTES))
            return bad(err, "host", 0, "it must end within 22 bytes");
        for (uint32_t i = 0; i < r->admit.lane_count; i++)
            if (r->admit.lanes[i] >= LANE_MAX)
                return bad(err, "lane", r->admit.lanes[i], "below 64");
    }
    if (r->type == META_CHAIN) {
        if (r->chain.lane > LANE_SEQUENCER || r->chain.count > CHAIN_MAX)
            return bad(err, "chain's lane", r->chain.lane, "0 to 64, with at most 8 members");
        for (uint32_t i = 0; i < r->chain.count; i++)
            if (r->chain.members[i] >= NODE_MAX)
                return bad(err, "chain member", r->chain.members[i], "below 32");
    }
    if (r->type == META_NODE_LEAVE && r->leave.node >= NODE_MAX)
        return bad(err, "node", r->leave.node, "below 32");
    if (r->type == META_TOPIC_CREATE && !memchr(r->topic_create.name, 0, TOPIC_NAME_MAX + 1))
        return bad(err, "topic name", 0, "it must end within 250 bytes");
    return EMB_OK;
}

int meta_batch_read(const void *bytes, size_t count, struct meta_record *record, struct error *err)
{
    struct batch_identity identity = {.session = NO_SESSION,
                                      .client_sequence = NO_SEQUENCE,
                                      .message_count = 1,
                                      .max_timestamp_ms = UINT64_MAX};
    int rc = batch_check(bytes, count, &identity, err);
    if (rc)
        return rc;
    struct batch_reader reader;
    rc = batch_reader_open(&reader, bytes, count, META_BATCH_BYTES, err);
    if (rc)
        return rc;
    struct record message;
    uint64_t offset;
    rc = batch_reader_next(&reader, &message, &offset, err);
    if (rc == 1 && message.value_bytes == sizeof *record) {
        memcpy(record, message.value, sizeof *record);
        rc = check_fields(record, err);
    } else if (rc >= 0) {
        rc = bad(err, "size", rc ? message.value_bytes : 0, "320 bytes are one record");
    }
    batch_reader_close(&reader);
    return rc;
}

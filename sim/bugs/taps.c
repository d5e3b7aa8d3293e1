/*
 * Functions of the production code that the simulator listens to, at their callers (`-Wl,--wrap`):
 * payload is read, a pin is validated, an answer is given, a batch is opened for a subscriber, an
 * assertion has failed.
 */
#include "base/checksum.h"
#include "batch/batch.h"
#include "broker/state.h"
#include "follower/follower.h"
#include "sim/bugs/planted.h"
#include "sim/bugs/wraps.h"
#include "sim/check/check.h"
#include "sim/core/internal.h"
#include "sim/memory/memory.h"
#include "store/store.h"

WRAPS(uint32_t, crc32c, const void *bytes, size_t count)
{
    memory_read(bytes, count, "checksum");
    return REAL(crc32c)(bytes, count);
}

WRAPS(uint32_t, crc32c_extend, uint32_t crc, const void *bytes, size_t count)
{
    memory_read(bytes, count, "checksum");
    return REAL(crc32c_extend)(crc, bytes, count);
}

WRAPS(int, batch_check, const void *bytes, size_t available, const struct batch_identity *identity,
      struct error *err)
{
    memory_read(bytes, available, "check");
    if (planted(BUG_TORN_FRAME_ACCEPTED) && !fiber_current()) /* a scan after the power was lost */
        return EMB_OK;
    return REAL(batch_check)(bytes, available, identity, err);
}

/* For the trace: what the bytes that pass between hosts are. */
WRAPS(void, frame_header_write, void *to_64_bytes, const struct frame_header *header)
{
    TRACE("frame", header->type, header->correlation, "%s, correlation %llu, %u bytes",
          frame_type_name(header->type), (unsigned long long)header->correlation,
          header->body_bytes);
    REAL(frame_header_write)(to_64_bytes, header);
}

WRAPS(int, store_append, struct store *store, uint64_t position,
      const struct goi_entry_shared *entry, const void *payload, size_t payload_bytes)
{
    int rc = REAL(store_append)(store, position, entry, payload, payload_bytes);
    if (rc == EMB_OK)
        reuse_copied(world_current_host(), position + 1);
    return rc;
}

/* Told by replicas: at their beginning, as they go on, and NO_POSITION at their end. */
WRAPS(void, follower_set_needed, struct follower *f, uint64_t position)
{
    if (position == NO_POSITION || position == 0)
        reuse_copied(world_current_host(), position);
    REAL(follower_set_needed)
    (f, planted(BUG_NEEDED_AHEAD) && position != NO_POSITION ? position + 64 : position);
}

WRAPS(bool, pending_take, struct pending_queue *queue, uint64_t durable,
      struct pending_answer *answer)
{
    bool taken = REAL(pending_take)(queue, durable, answer);
    const struct host *host = world_current_host();
    if (taken && host)
        acks_given(host, answer->position, true);
    return taken;
}

WRAPS(bool, follower_outcome_take, struct follower *f, struct outcome *outcome)
{
    bool taken = REAL(follower_outcome_take)(f, outcome);
    const struct host *host = world_current_host();
    if (taken && host)
        acks_given(host, outcome->position, false);
    planted_note_outcome(taken && outcome->kind == ENTRY_NOP);
    return taken;
}

WRAPS(void, pressure_update, struct pressure *pressure, const struct pressure_levels *levels,
      uint64_t now_ns)
{
    uint64_t before = pressure->pauses;
    REAL(pressure_update)(pressure, levels, now_ns);
    COVER_ADD(PAUSE_ROOM, pressure->pauses - before);
}

WRAPS(void, pin_open, struct connection *c, uint64_t position)
{
    const struct host *host = world_current_host();
    if (host)
        readers_opened(host, position, c->delivery.level == READ_DURABLE);
    planted_note_delivery();
    REAL(pin_open)(c, position);
}

WRAPS(bool, follower_payload_stands, struct follower *f, uint64_t position,
      const struct goi_entry_shared *entry)
{
    bool stands = REAL(follower_payload_stands)(f, position, entry);
    const struct host *host = world_current_host();
    if (stands && host)
        reuse_validated(host, position);
    return stands;
}

/* The fiber ends where it is; the world stops before its next event. */
WRAPS(void, assert_failed, const char *condition, const char *file, int line)
{
    finding("assertion", "%s (%s:%d)", condition, file, line);
    if (fiber_current())
        fiber_abandon();
    REAL(assert_failed)(condition, file, line);
}

/*
 * Functions of the production code that the simulator listens to, at their callers (`-Wl,--wrap`):
 * checksums read payload, a pin is validated, an assertion has failed.
 */
#include "base/checksum.h"
#include "follower/follower.h"
#include "sim/bugs/wraps.h"
#include "sim/check/check.h"
#include "sim/core/internal.h"
#include "sim/memory/memory.h"

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

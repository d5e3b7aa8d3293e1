#include "base/checksum.h"

#include <isa-l/crc.h>

uint32_t crc32c_extend(uint32_t crc, const void *bytes, size_t count)
{
    /* ISA-L takes an int; its prototype lacks const. */
    while (count > 1u << 30) {
        crc = ~crc32_iscsi((unsigned char *)bytes, 1 << 30, ~crc);
        bytes = (const unsigned char *)bytes + (1u << 30);
        count -= 1u << 30;
    }
    return ~crc32_iscsi((unsigned char *)bytes, (int)count, ~crc);
}

uint32_t crc32c(const void *bytes, size_t count)
{
    return crc32c_extend(0, bytes, count);
}

/* CRC32C (Castagnoli, RFC 3720 section 12.1) over ISA-L. Pure; any thread. */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The CRC32C of bytes, as RecordBatch v2, iSCSI and ext4 compute it. */
uint32_t crc32c(const void *bytes, size_t count);

/* Continues a CRC32C: crc32c_extend(crc32c(a), b) is the CRC32C of a followed by b. */
uint32_t crc32c_extend(uint32_t crc, const void *bytes, size_t count);

#endif

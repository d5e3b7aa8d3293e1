/*
 * Fuzz target: the first byte chooses what the rest is taken for, a frame's header (0) or a body.
 * What is accepted must be written back to the very same bytes: there is one form of everything.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "wire/bodies.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void try_header(const uint8_t *bytes)
{
    unsigned char copy[FRAME_HEADER_BYTES], again[FRAME_HEADER_BYTES];
    struct frame_header header;
    struct error err;
    (void)frame_header_read(bytes, &header, &err);
    memcpy(copy, bytes, sizeof copy);
    memset(copy + 12, 0, 4); /* a fuzzer does not guess a CRC */
    uint32_t crc = crc32c(copy, sizeof copy);
    memcpy(copy + 12, &crc, sizeof crc);
    if (frame_header_read(copy, &header, &err))
        return;
    frame_header_write(again, &header);
    ASSERT(!memcmp(again, copy, sizeof copy));
}

static void try_body(enum body_kind kind, const uint8_t *bytes, size_t count)
{
    union body body;
    struct wire_reader r;
    struct error err;
    wire_reader_init(&r, bytes, count, &err);
    body_get(kind, &r, &body);
    if (wire_reader_end(&r))
        return;
    unsigned char *again = malloc(count + 1);
    struct wire_writer w;
    wire_writer_init(&w, again, count);
    body_put(kind, &w, &body);
    ASSERT(!w.overflow && w.used == count);
    /* A status of a later version is read as PROTOCOL, and so is not written as it was. */
    if (kind != BODY_error && kind != BODY_ack_item)
        ASSERT(!memcmp(again, bytes, count));
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (count == 0 || bytes[0] > BODY_END)
        return 0;
    if (bytes[0] > 0)
        try_body((enum body_kind)(bytes[0] - 1), bytes + 1, count - 1);
    else if (count > FRAME_HEADER_BYTES)
        try_header(bytes + 1);
    return 0;
}

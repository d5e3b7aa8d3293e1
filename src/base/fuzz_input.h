/*
 * Hands a fuzz target's input out piece by piece; past its end there are zeros. For fuzz targets
 * only. Lifetime: one run. C does not say in which order initializers and arguments are evaluated:
 * take one piece a statement, or another compiler reads a corpus differently.
 */
#ifndef BASE_FUZZ_INPUT_H
#define BASE_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct fuzz_input {
    const uint8_t *bytes;
    size_t left;
};

static inline const uint8_t *input_bytes(struct fuzz_input *in, size_t most, size_t *count)
{
    const uint8_t *bytes = in->bytes;
    *count = most < in->left ? most : in->left;
    in->bytes += *count;
    in->left -= *count;
    return bytes;
}

static inline void input_fill(struct fuzz_input *in, void *to, size_t bytes)
{
    size_t count;
    const uint8_t *from = input_bytes(in, bytes, &count);
    memset(to, 0, bytes);
    if (count)
        memcpy(to, from, count);
}

static inline uint8_t input_u8(struct fuzz_input *in)
{
    uint8_t value;
    input_fill(in, &value, sizeof value);
    return value;
}

static inline uint16_t input_u16(struct fuzz_input *in)
{
    uint16_t value;
    input_fill(in, &value, sizeof value);
    return value;
}

static inline uint32_t input_u32(struct fuzz_input *in)
{
    uint32_t value;
    input_fill(in, &value, sizeof value);
    return value;
}

static inline uint64_t input_u64(struct fuzz_input *in)
{
    uint64_t value;
    input_fill(in, &value, sizeof value);
    return value;
}

#endif

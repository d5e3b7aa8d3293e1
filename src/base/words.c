#include "base/words.h"

#include "base/bits.h"

#define WORD_BYTES_MAX 64

/* Wagner and Fischer 1974, with one row. */
static unsigned edits(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    unsigned row[WORD_BYTES_MAX + 1];
    for (unsigned j = 0; j <= b_bytes; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_bytes; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_bytes; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_bytes];
}

unsigned words_distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    if (a_bytes > WORD_BYTES_MAX || b_bytes > WORD_BYTES_MAX)
        return WORDS_FAR;
    unsigned distance = edits(a, a_bytes, b, b_bytes);
    return distance < WORDS_FAR && distance < min_u64(a_bytes, b_bytes) ? distance : WORDS_FAR;
}

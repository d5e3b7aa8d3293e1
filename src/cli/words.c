#include "cli/words.h"

#include <stddef.h>

const char *const cli_order_words[] = {"none",          "broker", "total", "token",
                                       "client-broker", "client", NULL};
const char *const cli_gap_words[] = {"fence", "skip", NULL};
const char *const cli_durability_words[] = {"sync", "periodic", NULL};
const char *const cli_acks_words[] = {"0", "1", "2", NULL};
const char *const cli_level_words[] = {"durable", "latest", NULL};
const char *const cli_compression_words[] = {"none", "lz4", "zstd", NULL};

const char *cli_word(const char *const *words, int number)
{
    for (int i = 0; words[i] && number >= 0; i++)
        if (i == number)
            return words[i];
    return "?";
}

int cli_compression(int index)
{
    static const int methods[] = {EMB_COMPRESSION_NONE, EMB_COMPRESSION_LZ4, EMB_COMPRESSION_ZSTD};
    return methods[index];
}

/* The words that stand for the numbers of the public API, for options and for what is printed.
   Constant; any thread. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "embarcadero/embarcadero.h"

extern const char *const cli_order_words[];       /* by enum emb_order */
extern const char *const cli_gap_words[];         /* by enum emb_gap */
extern const char *const cli_durability_words[];  /* by enum emb_durability */
extern const char *const cli_acks_words[];        /* by enum emb_acks */
extern const char *const cli_level_words[];       /* by enum emb_level */
extern const char *const cli_compression_words[]; /* see cli_compression */

/* words[number], or "?" beyond their end. */
const char *cli_word(const char *const *words, int number);
/* The enum emb_compression of an index in cli_compression_words. */
int cli_compression(int index);

#endif

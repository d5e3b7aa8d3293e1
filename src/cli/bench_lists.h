/* Lists in options, as in "--order 0,5": read and checked, each error naming what is accepted.
   Pure; any thread. */
#ifndef CLI_BENCH_LISTS_H
#define CLI_BENCH_LISTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define BENCH_LIST_MAX 8

struct bench_list {
    uint64_t items[BENCH_LIST_MAX];
    int count;
};

/* What a list takes beside what the reader of its items takes. */
struct bench_list_rules {
    const char *option;       /* its name, for errors */
    bool sizes;               /* "64KiB"; else whole numbers */
    const char *const *words; /* an item may also be one of these: its index; NULL: none */
    uint64_t words_from;      /* what is added to that index */
    uint64_t min, max;
};

/* Items between commas, none twice. EMB_ERR_INVALID_ARGUMENT names the option and the item. */
int bench_list_read(const struct bench_list_rules *rules, const char *text, struct bench_list *list,
                    struct error *err);

#endif

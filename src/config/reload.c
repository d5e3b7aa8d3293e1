/*
 * How it works: all sources are read anew; what only a restart can change is put back to what it
 * was; what came out is checked once more, for new and old values may not go together; and only
 * then is anything told.
 */
#include "config/config.h"
#include "config/option.h"
#include "config/parse.h"

#include <stdio.h>

/* Puts back what cannot change now. `wanted` keeps what the sources say. */
static void keep_fixed(const struct config *before, struct config *now)
{
    for (int i = 0; i < option_count; i++)
        if (!option_table[i].reloadable)
            option_copy(&option_table[i], now, before);
}

static int check_again(const struct config *now, struct error *err)
{
    struct error inner = {0};
    if (check_together(now, &inner) == EMB_OK)
        return EMB_OK;
    return error_set(err, EMB_ERR_INVALID_ARGUMENT,
                     "%s (what only a restart changes still has its old value)", inner.text);
}

static void tell(const struct config *before, const struct config *wanted,
                 config_change_fn *change_fn, void *arg)
{
    for (int i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        char from[OPTION_VALUE_BYTES], to[OPTION_VALUE_BYTES];
        if (option_same(option, before, wanted))
            continue;
        option_value(option, before, from);
        option_value(option, wanted, to);
        change_fn(arg, option->name, option->reloadable, from, to);
    }
}

int config_reload(const struct config_sources *sources, const struct config *before,
                  struct config *now, config_change_fn *change_fn, void *arg, struct error *err)
{
    struct config wanted;
    int result = config_parse(sources, &wanted, err);
    if (result != EMB_OK)
        return result;
    *now = wanted;
    keep_fixed(before, now);
    result = check_again(now, err);
    if (result == EMB_OK && change_fn)
        tell(before, &wanted, change_fn, arg);
    return result;
}

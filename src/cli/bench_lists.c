#include "cli/bench_lists.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

#define ITEM_BYTES    48
#define ACCEPTS_BYTES 200

static void accepts_text(const struct bench_list_rules *rules, char text[ACCEPTS_BYTES])
{
    char min[UNITS_TEXT_BYTES], max[UNITS_TEXT_BYTES];
    snprintf(min, sizeof min, "%llu", (unsigned long long)rules->min);
    snprintf(max, sizeof max, "%llu", (unsigned long long)rules->max);
    if (rules->sizes) {
        units_size_text(rules->min, min);
        units_size_text(rules->max, max);
    }
    size_t used = (size_t)snprintf(text, ACCEPTS_BYTES, "up to %d %s from %s to %s", BENCH_LIST_MAX,
                                   rules->sizes ? "sizes" : "numbers", min, max);
    for (int i = 0; rules->words && rules->words[i] && used < ACCEPTS_BYTES; i++)
        used += (size_t)snprintf(text + used, ACCEPTS_BYTES - used, "%s%s", i ? ", " : ", or ",
                                 rules->words[i]);
    if (used < ACCEPTS_BYTES)
        snprintf(text + used, ACCEPTS_BYTES - used, ", between commas, none twice");
}

static bool item_read(const struct bench_list_rules *rules, const char *text, uint64_t *to)
{
    for (uint64_t i = 0; rules->words && rules->words[i]; i++)
        if (strcmp(rules->words[i], text) == 0) {
            *to = rules->words_from + i;
            return true;
        }
    bool good = rules->sizes ? units_size_read(text, to) : units_number_read(text, to);
    return good && *to >= rules->min && *to <= rules->max;
}

static bool list_has(const struct bench_list *list, uint64_t item)
{
    for (int i = 0; i < list->count; i++)
        if (list->items[i] == item)
            return true;
    return false;
}

static int refuse(const struct bench_list_rules *rules, const char *item, struct error *err)
{
    char accepts[ACCEPTS_BYTES];
    accepts_text(rules, accepts);
    return error_set(err, EMB_ERR_INVALID_ARGUMENT, "--%s: bad item \"%.60s\"; accepted: %s",
                     rules->option, item, accepts);
}

int bench_list_read(const struct bench_list_rules *rules, const char *text, struct bench_list *list,
                    struct error *err)
{
    char item[ITEM_BYTES];
    list->count = 0;
    for (;;) {
        size_t bytes = strcspn(text, ",");
        uint64_t value;
        snprintf(item, sizeof item, "%.*s", (int)bytes, text);
        if (bytes >= sizeof item || list->count == BENCH_LIST_MAX ||
            !item_read(rules, item, &value) || list_has(list, value))
            return refuse(rules, item, err);
        list->items[list->count++] = value;
        if (text[bytes] == '\0')
            return EMB_OK;
        text += bytes + 1;
    }
}

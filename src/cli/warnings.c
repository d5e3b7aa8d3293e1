#include "cli/warnings.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WAITS_MS 1000 /* D may stand for so long */

static void warn(json_t *warnings, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void warn(json_t *warnings, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_array_append_new(warnings, json_string(text));
}

static long long number_of(const json_t *row, const char *name)
{
    return json_integer_value(json_object_get(row, name)); /* 0 if it is none */
}

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

/* The row of a table with this number, or NULL. */
static const json_t *row_of(const json_t *tables, const char *table, long long number)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(tables, table), i, row)
    {
        if (number_of(row, "row") == number)
            return row;
    }
    return NULL;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static bool is_member(const char *chain, long long node)
{
    char text[256], *rest = NULL;
    snprintf(text, sizeof text, "%s", chain);
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        long long member;
        if (sscanf(word, "%lld", &member) == 1 && member == node)
            return true;
    }
    return false;
}

/* "0,2": the lanes whose chain has the node. */
static void lanes_of(const json_t *tables, long long node, char *text, size_t bytes)
{
    size_t i, used = 0;
    json_t *row;
    text[0] = '\0';
    json_array_foreach(json_object_get(tables, "lane"), i, row)
    {
        if (is_member(text_of(row, "chain"), node) && used < bytes)
            used += (size_t)snprintf(text + used, bytes - used, "%s%lld", used ? "," : "",
                                     number_of(row, "row"));
    }
}

static long long sequencer_of(const json_t *tables)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(tables, "broker"), i, row)
    {
        if (json_is_integer(json_object_get(row, "sequencer")))
            return number_of(row, "sequencer");
    }
    return -1;
}

static void warn_silent(const json_t *tables, const json_t *node, json_t *warnings)
{
    char lanes[128];
    long long id = number_of(node, "row");
    double seconds = (double)number_of(node, "silent_ms") / 1000;
    lanes_of(tables, id, lanes, sizeof lanes);
    if (id == sequencer_of(tables))
        warn(warnings,
             "node %lld, the sequencer, has been silent for %.1f s: nothing is ordered or "
             "acknowledged",
             id, seconds);
    else if (lanes[0])
        warn(warnings,
             "node %lld has been silent for %.1f s: its store is in the chains of lanes %s, so "
             "that nothing becomes durable any more once those are published in",
             id, seconds, lanes);
    else
        warn(warnings,
             "node %lld has been silent for %.1f s: memory is held for it, and will run out", id,
             seconds);
}

static void warn_of_nodes(const json_t *tables, json_t *warnings)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(tables, "node"), i, row)
    {
        if (!strcmp(text_of(row, "state"), "silent"))
            warn_silent(tables, row, warnings);
        else if (!strcmp(text_of(row, "state"), "asks"))
            warn(warnings,
                 "node %lld asks to be admitted and is not: no lane is free, it is beyond the "
                 "nodes that the rack is made for, its id has not left, or its process is gone",
                 number_of(row, "row"));
    }
}

/* ---- the log --------------------------------------------------------------------------------- */

/* The store that has synced least, of the nodes that have one; -1: none. */
static long long slowest_store(const json_t *tables)
{
    size_t i;
    json_t *row;
    long long slowest = -1, least = 0;
    json_array_foreach(json_object_get(tables, "node"), i, row)
    {
        long long synced = number_of(row, "store_synced");
        if (!strstr(text_of(row, "roles"), "replica") || !strcmp(text_of(row, "state"), "left"))
            continue;
        if (slowest < 0 || synced < least) {
            slowest = number_of(row, "row");
            least = synced;
        }
    }
    return slowest;
}

/* All brokers see the same log: one that waits is enough. */
static void warn_of_durability(const json_t *tables, json_t *warnings)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(tables, "broker"), i, row)
    {
        long long waits_ms = number_of(row, "durable_waits_ms");
        if (waits_ms < WAITS_MS)
            continue;
        warn(warnings,
             "what is durable has stood at position %lld for %.1f s, %lld behind what is "
             "committed; the slowest store is that of node %lld",
             number_of(row, "durable"), (double)waits_ms / 1000,
             number_of(row, "committed") - number_of(row, "durable"), slowest_store(tables));
        return;
    }
}

static void warn_of_chains(const json_t *tables, json_t *warnings)
{
    size_t i;
    json_t *row;
    if (slowest_store(tables) < 0)
        return; /* a rack without stores */
    json_array_foreach(json_object_get(tables, "lane"), i, row)
    {
        if (number_of(row, "chain_version"))
            continue;
        warn(warnings, "lanes have no chains yet: topics with replicas wait for more nodes with a "
                       "store");
        return;
    }
}

static void warn_of_replicas(const json_t *tables, json_t *warnings)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(tables, "replica"), i, row)
    {
        const char *failure = text_of(row, "failure");
        if (failure[0] && strcmp(failure, "none"))
            warn(warnings, "the store of node %lld has failed: %s", number_of(row, "row"), failure);
    }
}

static void warn_of_epochs(const json_t *tables, json_t *warnings)
{
    size_t i;
    json_t *row;
    const json_t *first = json_array_get(json_object_get(tables, "broker"), 0);
    json_array_foreach(json_object_get(tables, "broker"), i, row)
    {
        if (number_of(row, "epoch") != number_of(first, "epoch"))
            warn(warnings, "broker %lld follows epoch %lld, broker %lld epoch %lld",
                 number_of(first, "row"), number_of(first, "epoch"), number_of(row, "row"),
                 number_of(row, "epoch"));
    }
}

/* ---- brokers --------------------------------------------------------------------------------- */

static long long percent(long long part, long long whole)
{
    return whole ? 100 * part / whole : 0;
}

static void warn_of_pressure(const json_t *row, json_t *warnings)
{
    long long segments = percent(number_of(row, "blog_bytes") - number_of(row, "blog_free_bytes"),
                                 number_of(row, "blog_bytes"));
    if (number_of(row, "paused"))
        warn(warnings,
             "broker %lld %s: its ring is %lld %% and its memory %lld %% in use; it waits for "
             "stores or readers",
             number_of(row, "row"),
             number_of(row, "refusing") ? "refuses batches" : "pauses its publishers",
             percent(number_of(row, "slots_used"), number_of(row, "slots")), segments);
}

static void warn_of_brokers(const json_t *tables, json_t *warnings)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(tables, "broker"), i, row)
    {
        long long id = number_of(row, "row");
        const json_t *node = row_of(tables, "node", id);
        if (!number_of(row, "lane_open"))
            warn(warnings, "broker %lld serves nobody: %s", id,
                 node && !strcmp(text_of(node, "state"), "left") ? "it leaves the rack"
                                                                 : "it is not admitted");
        else
            warn_of_pressure(row, warnings);
    }
}

json_t *warnings_of(const json_t *tables)
{
    json_t *warnings = json_array();
    warn_of_nodes(tables, warnings);
    warn_of_replicas(tables, warnings);
    warn_of_durability(tables, warnings);
    warn_of_chains(tables, warnings);
    warn_of_epochs(tables, warnings);
    warn_of_brokers(tables, warnings);
    return warnings;
}

#include "base/topic.h"

#include <ctype.h>
#include <string.h>

int topic_name_check(const char *name, struct error *err)
{
    if (!name)
        return error_set(err, EMB_ERR_INVALID_TOPIC,
                         "topic name is NULL; 1 to %d bytes are accepted", TOPIC_NAME_MAX);
    size_t bytes = strlen(name);
    if (bytes < 1 || bytes > TOPIC_NAME_MAX)
        return error_set(err, EMB_ERR_INVALID_TOPIC,
                         "topic name has %zu bytes; 1 to %d are accepted", bytes, TOPIC_NAME_MAX);
    for (const char *at = name; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (!(c < 128 && isalnum(c)) && c != '.' && c != '_' && c != '-')
            return error_set(err, EMB_ERR_INVALID_TOPIC,
                             "topic name has byte 0x%02x at %d; letters, digits, '.', '_' and '-' "
                             "are accepted",
                             c, (int)(at - name));
    }
    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return error_set(err, EMB_ERR_INVALID_TOPIC, "a topic cannot be named \"%s\"", name);
    return EMB_OK;
}

static int check_replication(const struct topic_settings *s, struct error *err)
{
    if (s->replicas > TOPIC_REPLICAS_MAX)
        return error_set(err, EMB_ERR_INVALID_SETTING, "replicas is %u; 0 to %d are accepted",
                         s->replicas, TOPIC_REPLICAS_MAX);
    if (s->min_insync > s->replicas)
        return error_set(err, EMB_ERR_INVALID_SETTING,
                         "min_insync is %u; at most the number of replicas, %u, is accepted",
                         s->min_insync, s->replicas);
    return EMB_OK;
}

int topic_settings_check(const struct topic_settings *s, struct error *err)
{
    if (s->order > TOPIC_ORDER_CLIENT)
        return error_set(err, EMB_ERR_INVALID_SETTING, "order is %u; 0 to 5 are accepted",
                         s->order);
    if (s->gap > TOPIC_GAP_SKIP)
        return error_set(err, EMB_ERR_INVALID_SETTING,
                         "gap policy is %u; 0 (fence) and 1 (skip) are accepted", s->gap);
    if (s->durability > TOPIC_DURABILITY_PERIODIC)
        return error_set(err, EMB_ERR_INVALID_SETTING,
                         "durability is %u; 0 (sync) and 1 (periodic) are accepted", s->durability);
    if (s->gap == TOPIC_GAP_SKIP && !topic_has_sessions(s))
        return error_set(err, EMB_ERR_INVALID_SETTING,
                         "gap policy skip with order %u: orders 0 to 2 have no gaps; choose fence",
                         s->order);
    return check_replication(s, err);
}

/*
 * What a topic is set to: the same few numbers on the wire, in META records and in the state of
 * every node. Values are part of the wire and disk formats. Pure. Design: 1-requirements.
 */
#ifndef BASE_TOPIC_H
#define BASE_TOPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define TOPIC_NAME_MAX     249 /* bytes, without the end */
#define TOPIC_REPLICAS_MAX 8

enum topic_order {
    TOPIC_ORDER_NONE = 0,
    TOPIC_ORDER_BROKER = 1,
    TOPIC_ORDER_TOTAL = 2,
    TOPIC_ORDER_TOKEN = 3,
    TOPIC_ORDER_CLIENT_BROKER = 4,
    TOPIC_ORDER_CLIENT = 5,
};
enum topic_gap { TOPIC_GAP_FENCE = 0, TOPIC_GAP_SKIP = 1 };
enum topic_durability { TOPIC_DURABILITY_SYNC = 0, TOPIC_DURABILITY_PERIODIC = 1 };

struct topic_settings {
    uint8_t order; /* enum topic_order */
    uint8_t replicas;
    uint8_t min_insync;      /* 0: as many as replicas */
    uint8_t gap;             /* enum topic_gap */
    uint8_t durability;      /* enum topic_durability */
    uint32_t gap_timeout_us; /* 0: the policy's default (fence 15 s, skip 1.5 ms) */
};

#define TOPIC_SETTINGS_DEFAULT ((struct topic_settings){.order = TOPIC_ORDER_CLIENT, .replicas = 2})

/* Names: [A-Za-z0-9._-]{1,249}, not "." or "..". EMB_ERR_INVALID_TOPIC names the bad byte. */
int topic_name_check(const char *name, struct error *err);
/* EMB_ERR_INVALID_SETTING for impossible ones, with the value and what would be accepted. */
int topic_settings_check(const struct topic_settings *settings, struct error *err);
/* Whether the order is kept per session (orders 3 to 5). */
static inline bool topic_has_sessions(const struct topic_settings *settings)
{
    return settings->order >= TOPIC_ORDER_TOKEN;
}

#endif

/*
 * Every structure that has a codec, as a row: so that tests and the fuzz target treat all alike.
 * Tests only.
 */
#ifndef WIRE_BODIES_H
#define WIRE_BODIES_H

#include "wire/wire.h"

union body {
    struct hello hello;
    struct hello_ok hello_ok;
    struct topic_settings topic_settings;
    struct topic_info topic_info;
    struct publish_open publish_open;
    struct subscribe subscribe;
    struct ack_item ack_item;
    struct status_item status_item;
    struct error error;
};

static inline void error_body_put(struct wire_writer *w, const struct error *error)
{
    error_put(w, error->code, error->text);
}

#define BODIES(X)                                                                                  \
    X(hello, hello_put, hello_get)                                                                 \
    X(hello_ok, hello_ok_put, hello_ok_get)                                                        \
    X(topic_settings, topic_settings_put, topic_settings_get)                                      \
    X(topic_info, topic_info_put, topic_info_get)                                                  \
    X(publish_open, publish_open_put, publish_open_get)                                            \
    X(subscribe, subscribe_put, subscribe_get)                                                     \
    X(ack_item, ack_item_put, ack_item_get)                                                        \
    X(status_item, status_item_put, status_item_get)                                               \
    X(error, error_body_put, error_get)

enum body_kind {
#define BODY_KIND(name, put, get) BODY_##name,
    BODIES(BODY_KIND)
#undef BODY_KIND
        BODY_END
};

static inline void body_put(enum body_kind kind, struct wire_writer *w, const union body *body)
{
    switch (kind) {
#define BODY_PUT(name, put, get)                                                                   \
    case BODY_##name:                                                                              \
        put(w, &body->name);                                                                       \
        break;
        BODIES(BODY_PUT)
#undef BODY_PUT
    case BODY_END:
        break;
    }
}

static inline void body_get(enum body_kind kind, struct wire_reader *r, union body *body)
{
    switch (kind) {
#define BODY_GET(name, put, get)                                                                   \
    case BODY_##name:                                                                              \
        get(r, &body->name);                                                                       \
        break;
        BODIES(BODY_GET)
#undef BODY_GET
    case BODY_END:
        break;
    }
}

#endif

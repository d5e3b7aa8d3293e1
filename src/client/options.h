/*
 * Reading option structs of callers, who may have been compiled against an earlier header: what
 * their struct lacks gets its default. Values out of range are EMB_ERR_INVALID_ARGUMENT with the
 * name, the value and the range. `given` may be NULL.
 */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include "base/error.h"
#include "base/topic.h"
#include "embarcadero/embarcadero.h"

int client_options_read(const struct emb_client_options *given, struct emb_client_options *options,
                        struct error *err);
int publisher_options_read(const struct emb_publisher_options *given,
                           struct emb_publisher_options *options, struct error *err);
int subscriber_options_read(const struct emb_subscriber_options *given,
                            struct emb_subscriber_options *options, struct error *err);
int topic_settings_read(const struct emb_topic_settings *given, struct topic_settings *settings,
                        struct error *err);

#endif

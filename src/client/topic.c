#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"
#include "client/options.h"

#define TOPIC_INFO_LEAST_BYTES 45u /* with an empty name */

static void info_convert(const struct topic_info *from, struct emb_topic_info *to)
{
    emb_topic_settings_init(&to->settings);
    memcpy(to->name, from->name, sizeof to->name);
    to->id = from->id;
    to->settings.order = from->settings.order;
    to->settings.replicas = from->settings.replicas;
    to->settings.min_insync = from->settings.min_insync;
    to->settings.gap = from->settings.gap;
    to->settings.durability = from->settings.durability;
    to->settings.gap_timeout_us = from->settings.gap_timeout_us;
    to->first_offset = from->first_offset;
    to->next_offset = from->next_offset;
    to->durable_offset = from->durable_offset;
}

static int info_read(struct emb_client *client, const struct request *r, struct topic_info *info,
                     struct error *err)
{
    struct wire_reader reader;

    wire_reader_init(&reader, r->answer, r->answer_bytes, err);
    topic_info_get(&reader, info);
    int code = wire_reader_end(&reader);
    if (code == EMB_OK)
        client_saw(client, info->position);
    return code;
}

/* Sends a topic's name, with settings if there are any; the answer is a topic_info. */
static int topic_ask(struct emb_client *client, uint8_t type, const char *topic,
                     const struct topic_settings *settings, struct topic_info *info,
                     struct error *err)
{
    unsigned char body[TOPIC_NAME_MAX + 64];
    struct wire_writer w;

    int code = topic_name_check(topic, err);
    if (code != EMB_OK)
        return code;
    struct request *r = calloc(1, sizeof *r);
    if (r == NULL)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for a request");
    wire_writer_init(&w, body, sizeof body);
    wire_put_text(&w, topic);
    if (settings != NULL)
        topic_settings_put(&w, settings);
    uint8_t expected = type == FRAME_TOPIC_DELETE ? FRAME_OK : FRAME_TOPIC_OK;
    code = client_ask(client, EMB_BROKER_ANY, r, type, expected, &w, err);
    if (code == EMB_OK && info != NULL)
        code = info_read(client, r, info, err);
    request_end(r);
    free(r);
    return code;
}

int client_topic(struct emb_client *client, const char *topic, struct topic_info *info,
                 struct error *err)
{
    return topic_ask(client, FRAME_TOPIC_DESCRIBE, topic, NULL, info, err);
}

static int info_result(int code, const struct topic_info *got, struct emb_topic_info *info,
                       struct emb_error *err)
{
    if (code != EMB_OK)
        return code;
    if (info != NULL)
        info_convert(got, info);
    return result_ok(err);
}

int emb_topic_create(struct emb_client *client, const char *topic,
                     const struct emb_topic_settings *settings, struct emb_topic_info *info,
                     struct emb_error *err)
{
    struct topic_settings wanted;
    struct topic_info got;

    int code = topic_settings_read(settings, &wanted, error_of(err));
    if (code == EMB_OK)
        code = topic_ask(client, FRAME_TOPIC_CREATE, topic, &wanted, &got, error_of(err));
    return info_result(code, &got, info, err);
}

int emb_topic_describe(struct emb_client *client, const char *topic, struct emb_topic_info *info,
                       struct emb_error *err)
{
    struct topic_info got;

    int code = client_topic(client, topic, &got, error_of(err));
    return info_result(code, &got, info, err);
}

int emb_topic_delete(struct emb_client *client, const char *topic, struct emb_error *err)
{
    int code = topic_ask(client, FRAME_TOPIC_DELETE, topic, NULL, NULL, error_of(err));
    return code == EMB_OK ? result_ok(err) : code;
}

static int list_read(const struct request *r, struct emb_topic_info **topics, size_t *count,
                     struct error *err)
{
    struct topic_info info;
    struct wire_reader reader;

    wire_reader_init(&reader, r->answer, r->answer_bytes, err);
    uint32_t announced = wire_get_u32(&reader, "count");
    /* A lying count cannot ask for much memory. */
    if (reader.code == EMB_OK && announced > r->answer_bytes / TOPIC_INFO_LEAST_BYTES)
        return error_set(err, EMB_ERR_PROTOCOL, "a list of %u topics in %zu bytes", announced,
                         r->answer_bytes);
    *topics = calloc(announced > 0 ? announced : 1, sizeof **topics);
    if (*topics == NULL)
        return error_set(err, EMB_ERR_NO_MEMORY, "no memory for %u topics", announced);
    for (*count = 0; *count < announced && reader.code == EMB_OK; ++*count) {
        topic_info_get(&reader, &info);
        if (reader.code == EMB_OK)
            info_convert(&info, &(*topics)[*count]);
    }
    return wire_reader_end(&reader);
}

int emb_topic_list(struct emb_client *client, struct emb_topic_info **topics, size_t *count,
                   struct emb_error *err)
{
    struct request *r = calloc(1, sizeof *r);

    *topics = NULL;
    *count = 0;
    if (r == NULL)
        return error_set(error_of(err), EMB_ERR_NO_MEMORY, "no memory for a request");
    int code = client_ask(client, EMB_BROKER_ANY, r, FRAME_TOPIC_LIST, FRAME_TOPIC_LIST_OK, NULL,
                          error_of(err));
    if (code == EMB_OK)
        code = list_read(r, topics, count, error_of(err));
    request_end(r);
    free(r);
    if (code == EMB_OK)
        return result_ok(err);
    free(*topics);
    *topics = NULL;
    *count = 0;
    return code;
}

void emb_topic_list_free(struct emb_topic_info *topics)
{
    free(topics);
}

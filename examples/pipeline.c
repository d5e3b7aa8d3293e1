/*
 * Reads one topic, transforms each message and publishes it to another: pipeline FROM TO [COUNT]
 *
 * It can be killed at any time and started again: each message of FROM has its effect in TO once.
 * How: every message of TO carries the offset of its source in a header, and TO keeps its
 * publisher's order, so what it holds is always the result of a beginning of FROM, without gaps. A
 * new run looks at the last message of TO and goes on behind its source: progress and result are
 * one write. What a killed run had sent may still arrive while the next one begins; so who reads TO
 * passes over a message whose source is not above all before it. Run one pipeline at a time.
 *
 * Ends where FROM ended at the start, or after COUNT messages.
 */
#include <embarcadero/embarcadero.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE "source-offset"

static void die(const char *what, const struct emb_error *err)
{
    fprintf(stderr, "pipeline: %s: %s (%s)\n", what, err->text, emb_error_name(err->code));
    exit(1);
}

/* TO, made if it is not there. */
static void topic_describe(struct emb_client *client, const char *topic,
                           struct emb_topic_info *info)
{
    struct emb_error err;

    int code = emb_topic_describe(client, topic, info, &err);
    if (code == EMB_ERR_UNKNOWN_TOPIC)
        code = emb_topic_create(client, topic, NULL, info, &err);
    if (code != EMB_OK)
        die("a topic cannot be used", &err);
}

static struct emb_subscriber *reader_open(struct emb_client *client, const char *topic,
                                          uint64_t offset)
{
    struct emb_subscriber_options options;
    struct emb_subscriber *subscriber;
    struct emb_error err;

    emb_subscriber_options_init(&options);
    options.start = offset > 0 ? EMB_START_OFFSET : EMB_START_EARLIEST;
    options.start_value = offset;
    if (emb_subscriber_open(client, topic, &options, &subscriber, &err) != EMB_OK)
        die("a topic cannot be read", &err);
    return subscriber;
}

static uint64_t source_of(const struct emb_message *message)
{
    char number[24] = "";

    for (uint32_t i = 0; i < message->header_count; i++) {
        const struct emb_header *header = &message->headers[i];
        if (strcmp(header->key, SOURCE) == 0 && header->value_bytes < sizeof number) {
            memcpy(number, header->value, header->value_bytes);
            return strtoull(number, NULL, 10);
        }
    }
    fprintf(stderr, "pipeline: offset %llu was not published by a pipeline\n",
            (unsigned long long)message->offset);
    exit(1);
}

/* The offset in FROM that is to be read next: behind the source of TO's last message. */
static uint64_t progress_find(struct emb_client *client, const struct emb_topic_info *to)
{
    struct emb_message message;
    struct emb_error err;

    if (to->next_offset == 0)
        return 0;
    struct emb_subscriber *subscriber = reader_open(client, to->name, to->next_offset - 1);
    int got = emb_subscriber_next(subscriber, &message, 30000, &err);
    if (got < 0)
        die("the last result cannot be read", &err);
    if (got == 0) {
        fprintf(stderr, "pipeline: the last result is not durable yet\n");
        exit(1);
    }
    uint64_t next = source_of(&message) + 1;
    emb_subscriber_close(subscriber);
    return next;
}

/* What the pipeline does to a message: here, capital letters. */
static uint32_t transform(const struct emb_message *message, char *result, size_t capacity)
{
    uint32_t bytes = message->value_bytes < capacity ? message->value_bytes : (uint32_t)capacity;

    for (uint32_t i = 0; i < bytes; i++)
        result[i] = (char)toupper(((const unsigned char *)message->value)[i]);
    return bytes;
}

static void result_publish(struct emb_publisher *publisher, const struct emb_message *source)
{
    char value[4096], number[24];
    struct emb_header header;
    struct emb_message message;
    struct emb_error err;

    memset(&header, 0, sizeof header);
    header.key = SOURCE;
    header.value = number;
    header.value_bytes =
        (uint32_t)snprintf(number, sizeof number, "%llu", (unsigned long long)source->offset);
    memset(&message, 0, sizeof message);
    message.key = source->key;
    message.key_bytes = source->key_bytes;
    message.value = value;
    message.value_bytes = transform(source, value, sizeof value);
    message.headers = &header;
    message.header_count = 1;
    if (emb_publish(publisher, &message, 0, 30000, &err) != EMB_OK)
        die("a result was not accepted", &err);
}

int main(int argc, char **argv)
{
    struct emb_client *client;
    struct emb_publisher *publisher;
    struct emb_topic_info from, to;
    struct emb_message message;
    struct emb_error err;
    uint64_t count = 0;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: pipeline FROM TO [COUNT]\n");
        return 2;
    }
    const uint64_t most = argc == 4 ? strtoull(argv[3], NULL, 10) : UINT64_MAX;
    if (emb_client_open(NULL, &client, &err) != EMB_OK)
        die("no connection", &err);
    topic_describe(client, argv[1], &from);
    topic_describe(client, argv[2], &to);
    const uint64_t first = progress_find(client, &to);
    struct emb_subscriber *subscriber = reader_open(client, argv[1], first);
    /* Without callbacks: the first failure ends a session, and emb_publisher_close tells it. */
    if (emb_publisher_open(client, argv[2], NULL, &publisher, &err) != EMB_OK)
        die("the publisher cannot be opened", &err);
    while (count < most && emb_subscriber_position(subscriber) < from.durable_offset) {
        int got = emb_subscriber_next(subscriber, &message, 30000, &err);
        if (got < 0)
            die("reading failed", &err);
        if (got == 0)
            break;
        result_publish(publisher, &message);
        count++;
    }
    if (emb_publisher_close(publisher, 30000, &err) != EMB_OK)
        die("results were not published", &err);
    emb_subscriber_close(subscriber);
    emb_client_close(client, NULL);
    printf("%llu messages from offset %llu on\n", (unsigned long long)count,
           (unsigned long long)first);
    return 0;
}

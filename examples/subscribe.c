/*
 * Prints what is new in a topic since the last time: subscribe TOPIC FILE
 *
 * FILE keeps the offset of the first message that was not printed yet; without it reading begins at
 * the earliest message. Ends where the topic ended at the start. A reader owns its position: the
 * brokers keep nothing of it, and two readers do not disturb each other.
 */
#include <embarcadero/embarcadero.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const struct emb_error *err)
{
    fprintf(stderr, "subscribe: %s: %s (%s)\n", what, err->text, emb_error_name(err->code));
    exit(1);
}

/* Whether there was a position. */
static bool position_load(const char *path, uint64_t *position)
{
    unsigned long long number;
    FILE *file = fopen(path, "r");

    if (file == NULL)
        return false;
    bool found = fscanf(file, "%llu", &number) == 1;
    fclose(file);
    *position = number;
    return found;
}

/* Beside it, then in its place: a crash leaves the old one or the new one. */
static void position_save(const char *path, uint64_t position)
{
    char beside[1024];

    snprintf(beside, sizeof beside, "%s.new", path);
    FILE *file = fopen(beside, "w");
    if (file == NULL || fprintf(file, "%llu\n", (unsigned long long)position) < 0 ||
        fclose(file) != 0 || rename(beside, path) != 0) {
        perror(path);
        exit(1);
    }
}

/* Prints up to the offset `end`; returns the position. */
static uint64_t messages_print(struct emb_subscriber *subscriber, uint64_t end)
{
    struct emb_message message;
    struct emb_error err;

    while (emb_subscriber_position(subscriber) < end) {
        int got = emb_subscriber_next(subscriber, &message, 10000, &err);
        if (got < 0)
            die("reading failed", &err);
        if (got == 0)
            break; /* nothing for ten seconds */
        printf("%llu: %.*s\n", (unsigned long long)message.offset, (int)message.value_bytes,
               message.value_bytes > 0 ? (const char *)message.value : "");
    }
    return emb_subscriber_position(subscriber);
}

int main(int argc, char **argv)
{
    struct emb_subscriber_options options;
    struct emb_client *client;
    struct emb_subscriber *subscriber;
    struct emb_topic_info info;
    struct emb_error err;

    if (argc != 3) {
        fprintf(stderr, "usage: subscribe TOPIC FILE\n");
        return 2;
    }
    if (emb_client_open(NULL, &client, &err) != EMB_OK)
        die("no connection", &err);
    if (emb_topic_describe(client, argv[1], &info, &err) != EMB_OK)
        die("the topic cannot be read", &err);
    emb_subscriber_options_init(&options); /* from the earliest, what is durable */
    if (position_load(argv[2], &options.start_value))
        options.start = EMB_START_OFFSET;
    int code = emb_subscriber_open(client, argv[1], &options, &subscriber, &err);
    if (code == EMB_ERR_OFFSET_OUT_OF_RANGE) {
        /* What was next has been dropped for its age: a real program decides what that means. */
        fprintf(stderr, "subscribe: %s; reading from the earliest\n", err.text);
        options.start = EMB_START_EARLIEST;
        code = emb_subscriber_open(client, argv[1], &options, &subscriber, &err);
    }
    if (code != EMB_OK)
        die("the subscriber cannot be opened", &err);
    position_save(argv[2], messages_print(subscriber, info.durable_offset));
    emb_subscriber_close(subscriber);
    emb_client_close(client, NULL);
    return 0;
}

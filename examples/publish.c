/*
 * Publishes the lines of standard input: publish TOPIC
 *
 * The topic is made if it is not there. emb_publish only hands a line over; what became of it is
 * told later, to a callback. The brokers are those of $EMBARCADERO_BROKERS.
 */
#include <embarcadero/embarcadero.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Written by the callback, in the client's thread; read after emb_publisher_flush, which returns
   when all callbacks have: that needs no lock. */
struct outcomes {
    uint64_t durable;
    uint64_t failed;
    uint64_t last_offset;
    char first_error[EMB_ERROR_TEXT_BYTES];
};

/* Called once for each batch of messages, which share their fate. */
static void on_result(void *arg, const struct emb_result *result)
{
    struct outcomes *outcomes = (struct outcomes *)arg;

    if (result->code == EMB_OK) {
        outcomes->durable += result->count;
        outcomes->last_offset = result->base_offset + result->count - 1;
        return;
    }
    if (outcomes->failed == 0)
        snprintf(outcomes->first_error, sizeof outcomes->first_error, "%s", result->text);
    outcomes->failed += result->count;
}

static void die(const char *what, const struct emb_error *err)
{
    fprintf(stderr, "publish: %s: %s (%s)\n", what, err->text, emb_error_name(err->code));
    exit(1);
}

static struct emb_publisher *publisher_open(struct emb_client *client, const char *topic,
                                            struct outcomes *outcomes)
{
    struct emb_publisher_options options;
    struct emb_publisher *publisher;
    struct emb_error err;

    /* Without settings: one total order, kept for each publisher, and two replicas. */
    int code = emb_topic_create(client, topic, NULL, NULL, &err);
    if (code != EMB_OK && code != EMB_ERR_TOPIC_EXISTS)
        die("the topic cannot be made", &err);
    emb_publisher_options_init(&options);
    options.on_result = on_result;
    options.arg = outcomes;
    if (emb_publisher_open(client, topic, &options, &publisher, &err) != EMB_OK)
        die("the publisher cannot be opened", &err);
    return publisher;
}

static void lines_publish(struct emb_publisher *publisher)
{
    char line[4096];
    struct emb_message message;
    struct emb_error err;

    while (fgets(line, sizeof line, stdin) != NULL) {
        memset(&message, 0, sizeof message);
        message.value = line; /* copied before emb_publish returns */
        message.value_bytes = (uint32_t)strcspn(line, "\n");
        /* Waits here only while the buffer of 32 MiB is full. */
        if (emb_publish(publisher, &message, 0, 30000, &err) != EMB_OK)
            die("a line was not accepted", &err);
    }
}

int main(int argc, char **argv)
{
    struct outcomes outcomes;
    struct emb_client *client;
    struct emb_publisher *publisher;
    struct emb_error err;

    if (argc != 2) {
        fprintf(stderr, "usage: publish TOPIC <LINES\n");
        return 2;
    }
    memset(&outcomes, 0, sizeof outcomes);
    if (emb_client_open(NULL, &client, &err) != EMB_OK)
        die("no connection", &err);
    publisher = publisher_open(client, argv[1], &outcomes);
    lines_publish(publisher);
    /* Flushes too, and fails if any message failed. */
    int code = emb_publisher_close(publisher, 30000, &err);
    emb_client_close(client, NULL);
    printf("%llu durable, %llu failed", (unsigned long long)outcomes.durable,
           (unsigned long long)outcomes.failed);
    if (outcomes.durable > 0)
        printf(", last offset %llu", (unsigned long long)outcomes.last_offset);
    printf("\n");
    if (code != EMB_OK)
        fprintf(stderr, "publish: %s\n", outcomes.failed > 0 ? outcomes.first_error : err.text);
    return code == EMB_OK ? 0 : 1;
}

/* Who creates the topics: one after the other, asking brokers in turn until one says yes. */
#include <stdlib.h>

#include "base/assert.h"
#include "client/tcp/request.h"
#include "sim/client/internal.h"

#define ANSWER_WAIT_NS (1000 * MS)

static void asking_end(void)
{
    request_end(clients.asking);
    free(clients.asking);
    clients.asking = NULL;
}

/* One question to one broker; the answer's code, and info if it is EMB_OK. */
static int topic_ask(const struct topic_plan *topic, uint8_t type, uint32_t broker,
                     struct topic_info *info)
{
    unsigned char body[TOPIC_NAME_MAX + 64];
    struct wire_writer w;
    struct wire_reader reader;
    struct request *r = calloc(1, sizeof *r);

    ASSERT(r != NULL);
    wire_writer_init(&w, body, sizeof body);
    wire_put_text(&w, topic->name);
    if (type == FRAME_TOPIC_CREATE)
        topic_settings_put(&w, &topic->settings);
    r->poller = clients.creator.poller;
    r->client_name = clients.creator.name;
    r->addresses = clients.rack.addresses;
    r->address_count = clients.rack.count;
    r->first = broker;
    r->type = type;
    r->expected = FRAME_TOPIC_OK;
    r->body = body;
    r->body_bytes = w.used;
    r->deadline_ns = client_now_ns(&clients.creator) + ANSWER_WAIT_NS;
    clients.asking = r;
    request_start(r, client_now_ns(&clients.creator));
    while (!r->done)
        client_wait(&clients.creator, request_work(r, client_now_ns(&clients.creator)));
    int code = r->error.code;
    if (code == EMB_OK) {
        wire_reader_init(&reader, r->answer, r->answer_bytes, NULL);
        topic_info_get(&reader, info);
        code = wire_reader_end(&reader);
    }
    asking_end();
    return code;
}

void topics_free(void)
{
    if (clients.asking == NULL)
        return;
    clients.asking->connection.socket = NULL;
    asking_end();
}

static bool error_is_passing(int code)
{
    return code == EMB_ERR_UNAVAILABLE || code == EMB_ERR_TIMEOUT || code == EMB_ERR_CLOSED ||
           code == EMB_ERR_UNKNOWN_TOPIC || code == EMB_ERR_BUSY || code == EMB_ERR_BACKPRESSURE ||
           code == EMB_ERR_STALE_EPOCH;
}

static void topic_create(struct topic_plan *topic)
{
    struct topic_info info;
    uint32_t broker = (uint32_t)draw_below(clients.rack.count);
    uint8_t type = FRAME_TOPIC_CREATE;
    uint64_t since_ns = world_now_ns();
    int code;

    while ((code = topic_ask(topic, type, broker, &info)) != EMB_OK) {
        TRACE("topic", (uint64_t)(int64_t)code, broker, "topic %s: broker %u of the list says %s",
              topic->name, broker, error_name(code));
        if (code == EMB_ERR_TOPIC_EXISTS) { /* an earlier question was heard after all */
            type = FRAME_TOPIC_DESCRIBE;
            continue;
        }
        if (!error_is_passing(code))
            finding("client", "topic %s cannot be created: %s", topic->name, error_text(code));
        if (!error_is_passing(code) || clients.stopping ||
            world_now_ns() - since_ns >= CLIENT_PATIENCE_NS) {
            topic->state = TOPIC_REFUSED;
            return;
        }
        broker = (broker + 1) % clients.rack.count;
        client_pause(draw_between(1 * MS, 10 * MS));
    }
    topic->id = info.id;
    topic->position = info.position;
    topic->state = TOPIC_THERE;
    TRACE("topic", info.id, info.position, "topic %s is there: number %u, position %llu",
          topic->name, info.id, (unsigned long long)info.position);
}

void topics_main(void *unused)
{
    client_pause(draw_below(500 * US));
    for (uint32_t i = 0; i < clients.topic_count; i++)
        topic_create(&clients.topics[i]);
}

/*
 * How it works: a reader lets the production core work and takes what it received, as fast or as
 * slowly as was drawn. Where a subscription begins is told to the history in the order of takes:
 * what the core received under the earlier one may still wait when a new one has begun.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bits.h"
#include "batch/batch.h"
#include "client/tcp/subscribe.h"
#include "sim/client/internal.h"

#define TIMEOUT_NS    (3000 * MS)
#define TAKES_A_TURN  8
#define FAILURES_MAX  50
#define NO_NODE       UINT32_MAX
#define PAUSE_ONE_IN  3 /* takes of a slow reader */
#define UNSUBSCRIBING 7 /* a correlation */

struct reading {
    struct subscribe_core core;
    uint64_t next; /* the offset after the last batch taken */
    bool took;     /* something, since it began or sought */
    bool untold;   /* a subscription begins at `begins`, and the history does not know yet */
    uint64_t begins;
    uint64_t reconnects;
    uint32_t failures;                  /* in a row */
    uint32_t nodes[CLIENT_BROKERS_MAX]; /* of each address, as its broker greeted */
};

/* ---- subscriptions --------------------------------------------------------------------------- */

static void subscription_tell(struct reader *r)
{
    struct reading *g = r->reading;

    g->untold = false;
    TRACE("subscribe", r->number, g->begins, "reader %u reads topic %u from offset %llu on",
          r->number, r->topic->id, (unsigned long long)g->begins);
    history_subscribed(r->number, r->topic->id, g->begins);
}

/* After a turn of the core in which a subscription began: where. `value` is where it would go on
   after a loss, from before that turn. */
static void subscription_note(struct reader *r, bool was_answered, bool goes_on, uint64_t value)
{
    struct reading *g = r->reading;
    const struct subscribe_core *core = &g->core;

    g->untold = true;
    if (!was_answered)
        g->begins = core->first_offset;
    else if (goes_on)
        g->begins = value;
    else /* nothing was received before, so what is ready is of this one */
        g->begins = core->ready != NULL ? core->ready->header.base_offset : core->expected;
    if (core->ready == NULL)
        subscription_tell(r);
}

static int core_work(struct reader *r, uint64_t now_ns)
{
    struct reading *g = r->reading;
    struct subscribe_core *core = &g->core;
    bool was_answered = core->answered;
    bool goes_on = core->options.start == START_OFFSET;
    uint64_t value = core->options.value;
    uint64_t before_ns = core->up_since_ns;

    int work = subscribe_work(core, now_ns);
    if (core->connection.state == CONNECTION_UP)
        g->nodes[core->at] = core->connection.rack->node;
    if (core->up_since_ns != before_ns)
        subscription_note(r, was_answered, goes_on, value);
    if (core->reconnects > g->reconnects)
        COVER_ADD(RESUBSCRIBED, core->reconnects - g->reconnects);
    g->reconnects = core->reconnects;
    return work;
}

static void reading_start(struct reader *r, uint8_t start, uint64_t value)
{
    struct reading *g = r->reading;
    struct subscribe_options options = {
        .poller = r->client.poller,
        .client_name = r->client.name,
        .addresses = clients.rack.addresses,
        .address_count = clients.rack.count,
        .first = (uint32_t)draw_below(clients.rack.count),
        .start = start,
        .value = value,
        .level = r->level,
        .after_position = r->topic->position,
        .timeout_ns = TIMEOUT_NS,
        .max_buffered_bytes = r->max_buffered_bytes,
    };

    snprintf(options.topic, sizeof options.topic, "%s", r->topic->name);
    g->took = g->untold = false;
    g->reconnects = 0;
    subscribe_start(&g->core, &options, client_now_ns(&r->client));
}

static void reading_seek(struct reader *r, uint8_t start, uint64_t value)
{
    struct reading *g = r->reading;

    TRACE("seek", r->number, value, "reader %u seeks: start %u, %llu", r->number, start,
          (unsigned long long)value);
    g->took = g->untold = false;
    subscribe_seek(&g->core, start, value, client_now_ns(&r->client));
}

static void reading_start_as_drawn(struct reader *r)
{
    uint64_t value = 0;

    if (r->start == START_OFFSET)
        value = draw_skewed(0, 200);
    else if (r->start == START_TIMESTAMP)
        value = env_wall_ms(r->client.env) - draw_below(50);
    reading_start(r, r->start, value);
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* As the library does before it hands anything out. */
static void incoming_check(const struct reader *r, const struct incoming *incoming)
{
    const struct frame_header *frame = &incoming->header;
    const struct batch_identity identity = {
        .session = frame->session,
        .client_sequence = frame->client_sequence,
        .message_count = frame->message_count,
        .max_timestamp_ms = UINT64_MAX,
    };
    struct batch_header header = {0};
    struct error err = {0};

    int code = batch_check(incoming->bytes, frame->body_bytes, &identity, &err);
    if (code == EMB_OK)
        code = batch_header_read(incoming->bytes, frame->body_bytes, &header, &err);
    if (code != EMB_OK)
        finding("bytes", "reader %u, topic %u, offset %llu, from %s: %s", r->number, r->topic->id,
                (unsigned long long)frame->base_offset, incoming->broker, err.text);
    else if (header.base_offset != frame->base_offset)
        finding("bytes", "reader %u, topic %u: the frame says offset %llu, its batch %llu, from %s",
                r->number, r->topic->id, (unsigned long long)frame->base_offset,
                (unsigned long long)header.base_offset, incoming->broker);
}

static uint32_t node_of(const struct reading *g, const struct incoming *incoming)
{
    char name[sizeof incoming->broker];

    for (uint32_t i = 0; i < clients.rack.count; i++) {
        const struct address *address = &clients.rack.addresses[i];
        snprintf(name, sizeof name, "%s:%u", address->host, address->port);
        if (strcmp(name, incoming->broker) == 0)
            return g->nodes[i];
    }
    return NO_NODE;
}

static void incoming_tell(const struct reader *r, const struct incoming *incoming)
{
    const struct frame_header *frame = &incoming->header;
    const struct delivery_seen seen = {
        .subscriber = r->number,
        .topic = r->topic->id,
        .level = r->level,
        .base_offset = frame->base_offset,
        .position = frame->position,
        .message_count = frame->message_count,
        .session = frame->session,
        .client_sequence = frame->client_sequence,
        .bytes = incoming->bytes,
        .byte_count = frame->body_bytes,
        .node = node_of(r->reading, incoming),
    };

    COVER(DELIVERED);
    TRACE("take", r->number, frame->base_offset,
          "reader %u takes offset %llu (+%u) of topic %u, position %lld, from %s", r->number,
          (unsigned long long)frame->base_offset, frame->message_count, r->topic->id,
          (long long)frame->position, incoming->broker);
    history_delivered(&seen);
}

static bool batch_take(struct reader *r)
{
    struct reading *g = r->reading;
    struct incoming *incoming = subscribe_take(&g->core);

    if (incoming == NULL) {
        if (g->untold)
            subscription_tell(r);
        return false;
    }
    uint64_t end = incoming->header.base_offset + incoming->header.message_count;
    if (g->untold && end > g->begins)
        subscription_tell(r);
    incoming_check(r, incoming);
    incoming_tell(r, incoming);
    g->next = end;
    g->took = true;
    g->failures = 0;
    subscribe_give(&g->core, incoming);
    return true;
}

/* ---- whims ----------------------------------------------------------------------------------- */

static void seek_edge(struct reader *r)
{
    reading_seek(r, START_EARLIEST, 0);
    if (--r->edge_seeks == 0)
        r->seek_every = 0; /* it reads on as others do */
}

static void seek_somewhere(struct reader *r)
{
    uint64_t back = draw_skewed(1, r->reading->next);

    if (r->edge_seeks > 0)
        seek_edge(r);
    else if (draw_one_in(5))
        reading_seek(r, START_EARLIEST, 0);
    else if (draw_one_in(8))
        reading_seek(r, START_TIMESTAMP, env_wall_ms(r->client.env) - draw_below(50));
    else
        reading_seek(r, START_OFFSET, r->reading->next - back);
}

/* Another broker from where it stood, the same one by unsubscribing (whose answer the core does not
   expect: it begins anew), or the whole subscription anew. */
static void leave_somehow(struct reader *r)
{
    struct reading *g = r->reading;

    if (draw_one_in(3) && g->core.connection.state == CONNECTION_UP) {
        connection_send(&g->core.connection, FRAME_UNSUBSCRIBE, UNSUBSCRIBING, NULL, 0);
        return;
    }
    COVER(RESUBSCRIBED);
    subscribe_stop(&g->core);
    if (draw_one_in(4))
        reading_start_as_drawn(r);
    else
        reading_start(r, START_OFFSET, g->next);
}

static void whim_follow(struct reader *r)
{
    if (clients.stopping)
        return;
    if (r->seek_every > 0 && draw_one_in(r->seek_every))
        seek_somewhere(r);
    else if (r->leave_every > 0 && draw_one_in(r->leave_every))
        leave_somehow(r);
}

static int batches_take(struct reader *r)
{
    int work = 0;

    while (work < TAKES_A_TURN && batch_take(r)) {
        work++;
        whim_follow(r);
        if (r->pause_ns > 0 && draw_one_in(PAUSE_ONE_IN)) {
            client_pause(draw_skewed(1 * MS, r->pause_ns));
            break;
        }
    }
    return work;
}

/* ---- failures -------------------------------------------------------------------------------- */

/* False: it reads no more. */
static bool failure_follow(struct reader *r)
{
    struct reading *g = r->reading;
    int code = g->core.error.code;

    TRACE("failed", r->number, (uint64_t)(int64_t)code, "reader %u: %s", r->number,
          g->core.error.text);
    if (code == EMB_ERR_CORRUPT || code == EMB_ERR_CORRUPT_BATCH)
        finding("readers", "reader %u: %s", r->number, g->core.error.text);
    if (clients.stopping || ++g->failures > FAILURES_MAX)
        return false;
    if (code == EMB_ERR_OFFSET_OUT_OF_RANGE) {
        COVER(OUT_OF_RANGE);
        reading_seek(r, START_EARLIEST, 0);
        return true;
    }
    client_pause(draw_between(5 * MS, 50 * MS));
    if (g->took)
        reading_seek(r, START_OFFSET, g->next);
    else
        reading_seek(r, START_EARLIEST, 0);
    return true;
}

/* ---- the reader ------------------------------------------------------------------------------ */

void reader_main(void *reader)
{
    struct reader *r = reader;

    client_pause(r->delay_ns + draw_skewed(1, 20 * MS));
    if (!client_topic_wait(r->topic))
        return;
    r->reading = calloc(1, sizeof *r->reading);
    ASSERT(r->reading != NULL);
    memset(r->reading->nodes, 0xff, sizeof r->reading->nodes);
    reading_start_as_drawn(r);
    for (;;) {
        int work = core_work(r, client_now_ns(&r->client));
        work += batches_take(r);
        if (r->reading->core.state == SUBSCRIBE_FAILED && !failure_follow(r))
            break;
        client_wait(&r->client, work);
    }
    subscribe_stop(&r->reading->core);
    free(r->reading);
    r->reading = NULL;
}

void reader_free(struct reader *r)
{
    if (r->reading == NULL)
        return;
    r->reading->core.connection.socket = NULL;
    subscribe_stop(&r->reading->core);
    free(r->reading);
    r->reading = NULL;
}

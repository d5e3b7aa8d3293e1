/*
 * How it works: a steady publisher is what the library is - the production core with a window of
 * batches - without threads. It publishes through one session after the other; when one ends, what
 * was in flight has an unknown fate, and the next one goes on with new batches.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/bits.h"
#include "batch/batch.h"
#include "client/tcp/publish.h"
#include "sim/client/internal.h"

#define LAST_WORDS_NS (2 * MS) /* in which an ended core says goodbye */
#define CLOSING_NS    (1000 * MS)

/* A batch in flight. */
struct flight {
    struct outgoing outgoing;
    struct act *act; /* NULL: free */
};

struct steady {
    struct publisher *publisher;
    struct publish_core core;
    struct flight flights[PUBLISH_WINDOW_MAX];
    uint64_t sequence; /* of the next message */
    uint32_t quota;    /* batches of this session that are still to be published */
    uint64_t news_ns;  /* when the last answer came, or the first batch went out */
    bool was_up;
    bool drops; /* ends by dropping its connections */
};

/* ---- outcomes -------------------------------------------------------------------------------- */

/* Whether a broker spoke of this batch: the core tells what ended with a session in other states.
 */
static bool is_answered(const struct steady *s, const struct publish_outcome *outcome)
{
    const struct lane *lane = &s->core.lanes[outcome->outgoing->connection];

    return s->core.options.acks > 0 && s->core.state == PUBLISH_UP &&
           lane->connection.state == CONNECTION_UP;
}

static void outcome_tell(void *arg, const struct publish_outcome *outcome)
{
    struct steady *s = arg;
    struct flight *flight = CONTAINER_OF(outcome->outgoing, struct flight, outgoing);
    struct act *act = flight->act;
    const struct lane *lane = &s->core.lanes[outcome->outgoing->connection];

    flight->act = NULL;
    s->news_ns = s->core.now_ns;
    if (is_answered(s, outcome))
        message_answer(s->publisher, act, lane->connection.rack->node, outcome->code,
                       outcome->base_offset, outcome->duplicate);
    else
        message_unknown(s->publisher, act);
}

/* ---- publishing ------------------------------------------------------------------------------ */

static struct flight *flight_take(struct steady *s)
{
    struct flight *flight = s->flights;

    while (flight->act != NULL)
        flight++;
    ASSERT(flight < s->flights + PUBLISH_WINDOW_MAX);
    return flight;
}

static void batch_submit(struct steady *s, uint64_t now_ns)
{
    struct publisher *p = s->publisher;
    struct flight *flight = flight_take(s);
    struct message message;
    uint64_t limit = min_u64(clients.batch_bytes_most, publish_max_batch_bytes(&s->core));

    message_draw(p, (uint32_t)limit, &message);
    message.session = s->core.session;
    message.sequence = s->core.options.sessions ? s->sequence : CLIENT_NO_NUMBER;
    flight->act = message_invoke(p, &message);
    flight->outgoing = (struct outgoing){
        .bytes = flight->act->bytes, .byte_count = flight->act->byte_count, .stripe = -1};
    if (s->core.flying_count == 0)
        s->news_ns = now_ns;
    publish_submit(&s->core, &flight->outgoing, message.sequence, message.count,
                   flight->act->max_timestamp_ms);
    TRACE("send", flight->act->number, flight->outgoing.connection,
          "publisher %u sends batch %u (act %u) to %s", p->number, message.number,
          flight->act->number, s->core.lanes[flight->outgoing.connection].connection.name);
    s->sequence += message.count;
    s->quota--;
}

static int batches_submit(struct steady *s, uint64_t now_ns)
{
    struct publisher *p = s->publisher;
    int work = 0;

    while (publish_room(&s->core) > 0 && s->quota > 0 && p->made < p->batches &&
           !clients.stopping && now_ns >= p->next_ns) {
        batch_submit(s, now_ns);
        p->next_ns = now_ns + (draw_one_in(4) ? 0 : draw_skewed(1 * US, p->pace_ns));
        work++;
    }
    return work;
}

/* ---- a session ------------------------------------------------------------------------------- */

static void session_begin(struct steady *s, uint64_t now_ns)
{
    struct publisher *p = s->publisher;
    const struct publish_options options = {
        .poller = p->client.poller,
        .client_name = p->client.name,
        .addresses = clients.rack.addresses,
        .address_count = clients.rack.count,
        .topic = p->topic->id,
        .sessions = topic_has_sessions(&p->topic->settings),
        .after_position = p->topic->position,
        .acks = p->acks,
        .window = p->window,
        .deadline_ns = now_ns + draw_between(300 * MS, 600 * MS),
    };

    s->quota = (uint32_t)draw_skewed(10, 200);
    s->drops = draw_one_in(6);
    s->news_ns = now_ns;
    if (p->asking_since_ns == 0)
        p->asking_since_ns = world_now_ns();
    publish_start(&s->core, &options, now_ns, outcome_tell, s);
}

static void session_is_up(struct steady *s)
{
    struct publisher *p = s->publisher;

    s->was_up = true;
    p->failures = 0;
    p->asking_since_ns = 0;
    if (s->core.options.sessions)
        COVER(SESSION_OPENED);
    TRACE("session", p->number, s->core.session, "publisher %u has session %#llx over %u brokers",
          p->number, (unsigned long long)s->core.session, publish_stripes(&s->core));
}

/* Nobody answers for too long: as a user who loses patience, or a connection that times out. */
static void patience_look(struct steady *s, uint64_t now_ns)
{
    uint64_t waits_ns = now_ns - s->news_ns;

    if (s->core.state == PUBLISH_CLOSING && waits_ns >= CLOSING_NS)
        publish_end(&s->core, EMB_ERR_TIMEOUT, "the session could not be closed in time");
    if (s->core.flying == NULL || waits_ns < CLIENT_PATIENCE_GONE_NS)
        return;
    bool is_gone = client_broker_is_gone(s->core.flying->connection);
    if (!is_gone && waits_ns >= CLIENT_PATIENCE_NS)
        s->publisher->gave_up = "a batch had no answer";
    if (is_gone || waits_ns >= CLIENT_PATIENCE_NS)
        publish_end(&s->core, EMB_ERR_TIMEOUT, "no answer for too long");
}

static void connections_reset(struct steady *s)
{
    for (uint32_t i = 0; i < s->core.lane_count; i++)
        connection_stop(&s->core.lanes[i].connection, true);
}

/* All is published that this session was to publish: it ends. */
static void ending_look(struct steady *s, uint64_t now_ns)
{
    const struct publisher *p = s->publisher;
    bool is_through = s->quota == 0 || p->made >= p->batches || clients.stopping;

    if (s->core.state != PUBLISH_UP || !is_through)
        return;
    if (s->drops && !clients.stopping) {
        publish_end(&s->core, EMB_ERR_CLOSED, "its connections are dropped on purpose");
        connections_reset(s);
    } else if (s->core.flying == NULL) {
        s->news_ns = now_ns;
        publish_close(&s->core);
    }
}

static int session_turn(struct steady *s)
{
    uint64_t now_ns = client_now_ns(&s->publisher->client);
    int work = publish_work(&s->core, now_ns);

    if (s->core.state == PUBLISH_UP && !s->was_up)
        session_is_up(s);
    int submitted = batches_submit(s, now_ns);
    if (submitted > 0)
        work += submitted + publish_work(&s->core, now_ns);
    patience_look(s, now_ns);
    ending_look(s, now_ns);
    return work;
}

static bool session_is_over(const struct steady *s)
{
    return s->core.state == PUBLISH_CLOSED || s->core.state == PUBLISH_ENDED ||
           (clients.stopping && s->core.state < PUBLISH_UP);
}

static void last_words(struct steady *s)
{
    uint64_t until_ns = world_now_ns() + LAST_WORDS_NS;

    while (world_now_ns() < until_ns)
        client_wait(&s->publisher->client,
                    publish_work(&s->core, client_now_ns(&s->publisher->client)));
}

static void session_end(struct steady *s)
{
    struct publisher *p = s->publisher;

    TRACE("session", p->number, (uint64_t)(int64_t)s->core.error.code,
          "publisher %u: session %#llx is over: %s", p->number, (unsigned long long)s->core.session,
          s->core.error.code == EMB_OK ? "closed" : s->core.error.text);
    if (s->core.state == PUBLISH_ENDED) {
        if (s->core.session != CLIENT_NO_NUMBER && s->core.error.code != EMB_ERR_SESSION_FENCED)
            COVER(SESSION_LOST);
        last_words(s);
    }
    COVER_ADD(BACKPRESSURE, s->core.backpressure);
    p->failures += !s->was_up;
    publish_stop(&s->core);
    free(s);
    p->steady = NULL;
}

static void session_run(struct publisher *p)
{
    struct steady *s = calloc(1, sizeof *s);

    ASSERT(s != NULL);
    s->publisher = p;
    p->steady = s;
    session_begin(s, client_now_ns(&p->client));
    while (!session_is_over(s))
        client_wait(&p->client, session_turn(s));
    if (!s->was_up && clients.stopping)
        p->asking_since_ns = 0;
    session_end(s);
}

/* ---- the publisher --------------------------------------------------------------------------- */

void steady_main(void *publisher)
{
    struct publisher *p = publisher;

    if (publisher_begin(p)) {
        while (publisher_goes_on(p)) {
            session_run(p);
            publisher_rest(p);
        }
    }
    p->asking_since_ns = 0;
    p->done = true;
}

const struct act *steady_waiting(const struct publisher *publisher, uint32_t *address)
{
    const struct steady *s = publisher->steady;

    if (s == NULL || s->core.flying == NULL)
        return NULL;
    *address = s->core.flying->connection;
    return CONTAINER_OF(s->core.flying, struct flight, outgoing)->act;
}

void steady_free(struct publisher *publisher)
{
    struct steady *s = publisher->steady;

    if (s == NULL)
        return;
    for (uint32_t i = 0; i < s->core.lane_count; i++)
        connection_drop_memory(&s->core.lanes[i].connection);
    free(s);
    publisher->steady = NULL;
}

/*
 * How it works: an unruly publisher opens a session on one broker, names it to several, and is then
 * free in what it sends them (mischief.c). Its life goes through phases; it is over when all that
 * was sent has an outcome, or nobody is left who could tell one.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/bits.h"
#include "batch/batch.h"
#include "sim/client/unruly.h"

#define SESSION_CORRELATION 2
#define OPEN_CORRELATION    3
#define CLOSE_CORRELATION   4
#define FIRST_CORRELATION   16
#define CONNECTING_NS       (300 * MS)
#define OPENING_NS          (2000 * MS)
#define CLOSING_NS          (1000 * MS)

/* ---- lanes ----------------------------------------------------------------------------------- */

static bool lane_is_up(const struct unruly_lane *lane)
{
    return lane->connection.state == CONNECTION_UP;
}

bool unruly_lane_is_open(const struct unruly_lane *lane)
{
    return lane->opened && lane_is_up(lane);
}

uint32_t unruly_draw_lane(const struct unruly *u, uint32_t but)
{
    uint32_t found[UNRULY_LANES_MAX], count = 0;

    for (uint32_t i = 0; i < u->lane_count; i++)
        if (unruly_lane_is_open(&u->lanes[i]) && i != but)
            found[count++] = i;
    if (count > 0)
        return found[draw_below(count)];
    return but < u->lane_count && unruly_lane_is_open(&u->lanes[but]) ? but : UNRULY_NO_LANE;
}

static void copies_lost(struct unruly *u, uint32_t lane)
{
    for (uint32_t i = 0; i < UNRULY_COPIES; i++) {
        struct copy *copy = &u->copies[i];
        if (copy->lane != lane)
            continue;
        copy->outgoing.queued = false;
        if (copy->parcel == NULL)
            continue;
        struct parcel *parcel = copy->parcel;
        copy->parcel = NULL;
        parcel->copies--;
        parcel->lost_copy = true;
        parcel_settle(u, parcel);
    }
}

/* The brokers end a session that loses a connection, unless it was closed before. */
void unruly_lane_lost(struct unruly *u, uint32_t lane)
{
    u->lanes[lane].opened = false;
    copies_lost(u, lane);
    if (u->session == CLIENT_NO_NUMBER)
        return;
    if (!u->closed && !u->lost)
        COVER(SESSION_LOST);
    u->lost = true;
    if (draw_one_in(2)) /* else it tries on, and is told */
        u->over = true;
}

static uint32_t lanes_in(const struct unruly *u, enum connection_state state)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < u->lane_count; i++)
        count += u->lanes[i].connection.state == state;
    return count;
}

static void sent_ignore(void *arg, struct outgoing *outgoing)
{
}

/* Two brokers or more, if there are, beginning with any. */
static void lanes_start(struct unruly *u)
{
    const struct connection_events events = {.arg = u, .sent = sent_ignore};
    uint32_t most = (uint32_t)min_u64(clients.rack.count, UNRULY_LANES_MAX);
    uint32_t first = (uint32_t)draw_below(clients.rack.count);

    u->lane_count = (uint32_t)draw_between(min_u64(2, most), most);
    for (uint32_t i = 0; i < u->lane_count; i++) {
        struct unruly_lane *lane = &u->lanes[i];
        lane->address = (first + i) % clients.rack.count;
        connection_start(&lane->connection, u->publisher->client.poller,
                         &clients.rack.addresses[lane->address], u->publisher->client.name,
                         &events);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

static void phase_set(struct unruly *u, enum unruly_phase phase, uint64_t now_ns)
{
    u->phase = phase;
    u->phase_ns = now_ns;
}

static void session_open_send(struct unruly *u, uint64_t now_ns)
{
    unsigned char body[16];
    struct wire_writer w;
    uint32_t lane = (uint32_t)draw_below(u->lane_count);

    while (!lane_is_up(&u->lanes[lane]))
        lane = (lane + 1) % u->lane_count;
    wire_writer_init(&w, body, sizeof body);
    wire_put_u16(&w, u->publisher->topic->id);
    wire_put_u64(&w, u->publisher->topic->position);
    connection_send(&u->lanes[lane].connection, FRAME_SESSION_OPEN, SESSION_CORRELATION, body,
                    w.used);
    u->asked_lane = lane;
    phase_set(u, UNRULY_SESSION, now_ns);
}

static void publish_open_send(struct unruly *u, uint64_t now_ns)
{
    unsigned char body[64];
    struct wire_writer w;
    const struct publish_open open = {
        .topic = u->publisher->topic->id,
        .session = u->session,
        .acks = u->publisher->acks,
        .after_position = u->position,
    };

    wire_writer_init(&w, body, sizeof body);
    publish_open_put(&w, &open);
    for (uint32_t i = 0; i < u->lane_count; i++)
        if (lane_is_up(&u->lanes[i]))
            connection_send(&u->lanes[i].connection, FRAME_PUBLISH_OPEN, OPEN_CORRELATION, body,
                            w.used);
    phase_set(u, UNRULY_OPENING, now_ns);
}

void unruly_close_send(struct unruly *u)
{
    unsigned char body[8];
    struct wire_writer w;
    uint32_t lane = unruly_draw_lane(u, UNRULY_NO_LANE);

    if (u->closed || lane == UNRULY_NO_LANE)
        return;
    wire_writer_init(&w, body, sizeof body);
    wire_put_u64(&w, u->session);
    connection_send(&u->lanes[lane].connection, FRAME_SESSION_CLOSE, CLOSE_CORRELATION, body,
                    w.used);
    u->closed = true;
    u->asked_lane = lane;
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void session_take(struct unruly *u, const struct frame_header *header, const void *body,
                         uint64_t now_ns)
{
    struct wire_reader r;

    wire_reader_init(&r, body, header->body_bytes, NULL);
    uint64_t session = wire_get_u64(&r, "session");
    uint64_t position = wire_get_u64(&r, "position");
    if (wire_reader_end(&r) != EMB_OK) {
        finding("client", "publisher %u: a SESSION_OK frame that cannot be read",
                u->publisher->number);
        return;
    }
    u->session = session;
    u->position = position;
    COVER(SESSION_OPENED);
    TRACE("session", u->publisher->number, session, "unruly publisher %u has session %#llx",
          u->publisher->number, (unsigned long long)session);
    if (u->end == UNRULY_END_VANISH && draw_one_in(2)) { /* before any broker knows whose it is */
        COVER(SESSION_LOST);
        u->was_up = true;
        u->phase = UNRULY_OVER;
        return;
    }
    publish_open_send(u, now_ns);
}

static void acks_take(struct unruly *u, uint32_t lane, const struct frame_header *header,
                      const void *body, uint64_t now_ns)
{
    struct wire_reader r;
    struct ack_item item;

    u->phase_ns = now_ns;
    wire_reader_init(&r, body, header->body_bytes, NULL);
    while (r.code == EMB_OK && r.at < r.count) {
        ack_item_get(&r, &item);
        if (r.code == EMB_OK)
            mischief_answer(u, lane, &item, now_ns);
    }
    if (r.code != EMB_OK)
        finding("client", "publisher %u: an ACK frame that cannot be read", u->publisher->number);
}

/* An ERROR frame: to the close it says that the session had ended before. */
static void error_take(struct unruly *u, uint32_t lane, const struct frame_header *header,
                       const void *body)
{
    struct connection *c = &u->lanes[lane].connection;
    struct error err = {0};

    connection_error_get(c, header, body, &err);
    TRACE("error", u->publisher->number, (uint64_t)(int64_t)err.code, "publisher %u is told: %s",
          u->publisher->number, err.text);
    if (header->correlation == CLOSE_CORRELATION) {
        u->close_answered = true;
        return;
    }
    connection_fail(c, err.code, "%s", error_text(err.code));
    if (header->correlation == SESSION_CORRELATION)
        u->phase = UNRULY_OVER;
}

static void frame_take(struct unruly *u, uint32_t lane, const struct frame_header *header,
                       const void *body, uint64_t now_ns)
{
    if (header->type == FRAME_ACK)
        acks_take(u, lane, header, body, now_ns);
    else if (header->type == FRAME_ERROR)
        error_take(u, lane, header, body);
    else if (header->type == FRAME_SESSION_OK && u->phase == UNRULY_SESSION)
        session_take(u, header, body, now_ns);
    else if (header->type == FRAME_OK && header->correlation == OPEN_CORRELATION)
        u->lanes[lane].opened = true;
    else if (header->type == FRAME_OK && header->correlation == CLOSE_CORRELATION)
        u->close_answered = true;
    else
        finding("client", "publisher %u: broker %s sends a %s frame that nobody asked for",
                u->publisher->number, u->lanes[lane].connection.name,
                frame_type_name(header->type));
}

static int lane_work(struct unruly *u, uint32_t lane, uint64_t now_ns)
{
    struct connection *c = &u->lanes[lane].connection;
    struct frame_header header;
    void *body;

    if (c->state == CONNECTION_NONE ||
        (c->state == CONNECTION_DOWN && c->socket == NULL && !u->lanes[lane].opened))
        return 0;
    int work = connection_work(c);
    while (lane_is_up(&u->lanes[lane]) && connection_receive(c, &header, &body) > 0) {
        frame_take(u, lane, &header, body, now_ns);
        work++;
    }
    if (c->state == CONNECTION_DOWN) {
        unruly_lane_lost(u, lane);
        work++;
    }
    return work;
}

/* ---- phases ---------------------------------------------------------------------------------- */

static void connecting_look(struct unruly *u, uint64_t now_ns)
{
    uint32_t up = lanes_in(u, CONNECTION_UP);
    bool is_late = now_ns - u->phase_ns >= CONNECTING_NS;

    if (up + lanes_in(u, CONNECTION_DOWN) < u->lane_count && !is_late)
        return;
    for (uint32_t i = 0; i < u->lane_count; i++)
        if (!lane_is_up(&u->lanes[i]))
            connection_stop(&u->lanes[i].connection, true);
    if (up == 0)
        u->phase = UNRULY_OVER;
    else
        session_open_send(u, now_ns);
}

static void opening_look(struct unruly *u, uint64_t now_ns)
{
    uint32_t opened = 0;

    for (uint32_t i = 0; i < u->lane_count; i++)
        opened += unruly_lane_is_open(&u->lanes[i]);
    if (opened == 0 && lanes_in(u, CONNECTION_UP) == 0) {
        u->phase = UNRULY_OVER;
    } else if (opened == lanes_in(u, CONNECTION_UP)) {
        u->was_up = true;
        u->publisher->failures = 0;
        u->publisher->asking_since_ns = 0;
        phase_set(u, UNRULY_UP, now_ns);
    }
}

static bool any_parcel(const struct unruly *u)
{
    for (uint32_t i = 0; i < UNRULY_PARCELS; i++)
        if (u->parcels[i].used)
            return true;
    return false;
}

/* Answers that will not come any more: from hosts that are gone, or for far too long. */
static void patience_look(struct unruly *u, uint64_t now_ns)
{
    uint64_t waits_ns = now_ns - u->phase_ns;

    if (waits_ns < CLIENT_PATIENCE_GONE_NS || !any_parcel(u))
        return;
    for (uint32_t i = 0; i < u->lane_count; i++) {
        struct connection *c = &u->lanes[i].connection;
        if (!lane_is_up(&u->lanes[i]))
            continue;
        bool is_gone = client_broker_is_gone(u->lanes[i].address);
        if (waits_ns < CLIENT_PATIENCE_NS && !is_gone)
            continue;
        if (!is_gone)
            u->publisher->gave_up = "a batch had no answer";
        connection_stop(c, true);
        unruly_lane_lost(u, i);
        u->over = true;
    }
}

static int up_work(struct unruly *u, uint64_t now_ns)
{
    int work = mischief_work(u, now_ns);

    patience_look(u, now_ns);
    if (!u->over || any_parcel(u))
        return work;
    unruly_close_send(u);
    phase_set(u, u->closed ? UNRULY_CLOSING : UNRULY_OVER, now_ns);
    return work + 1;
}

static int phase_work(struct unruly *u, uint64_t now_ns)
{
    uint64_t lasts_ns = now_ns - u->phase_ns;

    if (u->phase == UNRULY_UP)
        return up_work(u, now_ns);
    if (u->phase == UNRULY_CONNECTING)
        connecting_look(u, now_ns);
    else if (u->phase == UNRULY_OPENING)
        opening_look(u, now_ns);
    if ((u->phase == UNRULY_SESSION || u->phase == UNRULY_OPENING) && lasts_ns >= OPENING_NS)
        u->phase = UNRULY_OVER;
    if ((u->phase == UNRULY_SESSION || u->phase == UNRULY_CLOSING) &&
        !lane_is_up(&u->lanes[u->asked_lane]))
        u->phase = UNRULY_OVER;
    if (u->phase == UNRULY_CLOSING && (u->close_answered || lasts_ns >= CLOSING_NS))
        u->phase = UNRULY_OVER;
    return 0;
}

static int life_turn(struct unruly *u)
{
    uint64_t now_ns = client_now_ns(&u->publisher->client);
    int work = 0;

    for (uint32_t i = 0; i < u->lane_count; i++)
        work += lane_work(u, i, now_ns);
    if (u->phase < UNRULY_OVER)
        work += phase_work(u, now_ns);
    if (clients.stopping && u->phase < UNRULY_UP)
        u->phase = UNRULY_OVER;
    return work;
}

/* ---- life ------------------------------------------------------------------------------------ */

static enum unruly_end draw_end(void)
{
    if (draw_percent(40))
        return UNRULY_END_CLOSE;
    return (enum unruly_end)draw_between(UNRULY_END_CLOSE_EARLY, UNRULY_END_VANISH);
}

static struct unruly *life_begin(struct publisher *p)
{
    struct unruly *u = calloc(1, sizeof *u);

    ASSERT(u != NULL);
    u->publisher = p;
    p->life = u;
    u->end = draw_end();
    u->quota = (uint32_t)draw_skewed(8, 100);
    u->session = CLIENT_NO_NUMBER;
    u->correlation = FIRST_CORRELATION;
    if (p->asking_since_ns == 0)
        p->asking_since_ns = world_now_ns();
    lanes_start(u);
    phase_set(u, UNRULY_CONNECTING, client_now_ns(&p->client));
    return u;
}

/* What has no outcome by now will have none. */
static void life_end(struct unruly *u)
{
    struct publisher *p = u->publisher;

    for (uint32_t i = 0; i < u->lane_count; i++) {
        connection_stop(&u->lanes[i].connection, !u->closed);
        copies_lost(u, i);
    }
    for (uint32_t i = 0; i < UNRULY_PARCELS; i++) {
        u->parcels[i].send_at_ns = 0;
        if (u->parcels[i].used)
            parcel_settle(u, &u->parcels[i]);
    }
    TRACE("session", p->number, u->session, "unruly publisher %u: session %#llx is over", p->number,
          (unsigned long long)u->session);
    p->failures += !u->was_up;
    free(u);
    p->life = NULL;
}

void unruly_main(void *publisher)
{
    struct publisher *p = publisher;

    if (publisher_begin(p)) {
        while (publisher_goes_on(p)) {
            struct unruly *u = life_begin(p);
            while (u->phase != UNRULY_OVER)
                client_wait(&p->client, life_turn(u));
            life_end(u);
            publisher_rest(p);
        }
    }
    p->asking_since_ns = 0;
    p->done = true;
}

const struct act *unruly_waiting(const struct publisher *publisher, uint32_t *address)
{
    const struct unruly *u = publisher->life;
    const struct parcel *oldest = NULL;

    for (uint32_t i = 0; u != NULL && i < UNRULY_PARCELS; i++) {
        const struct parcel *parcel = &u->parcels[i];
        if (!parcel->used || parcel->act == NULL || parcel->lane == UNRULY_NO_LANE)
            continue;
        if (oldest == NULL || parcel->order < oldest->order)
            oldest = parcel;
    }
    if (oldest == NULL)
        return NULL;
    *address = u->lanes[oldest->lane].address;
    return oldest->act;
}

void unruly_free(struct publisher *publisher)
{
    struct unruly *u = publisher->life;

    if (u == NULL)
        return;
    for (uint32_t i = 0; i < u->lane_count; i++)
        connection_drop_memory(&u->lanes[i].connection);
    free(u);
    publisher->life = NULL;
}
